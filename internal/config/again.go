package config

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Again loads the configuration anew, as it was loaded: what may have changed are the
// files. It fails as [Load] does, and leaves c as it is.
func (c *Config) Again() (*Config, error) { return c.again() }

// ReadFrom is what the files looked like from which c was read, where it was looked for
// in vain included. Two that are equal mean that nothing was changed between.
func (c *Config) ReadFrom() string { return written(c.looks) }

// Looks is what those files look like now.
func (c *Config) Looks() string {
	now := make(map[string]string, len(c.looks))
	for name := range c.looks {
		now[name] = look(name)
	}
	return written(now)
}

func written(looks map[string]string) string {
	var text strings.Builder
	for _, name := range sortedKeys(looks) {
		fmt.Fprintf(&text, "%q %s\n", name, looks[name])
	}
	return text.String()
}

// look is what a change of a file changes. Links are followed: that is how mounted
// secrets are replaced.
func look(name string) string {
	stat, err := os.Stat(name)
	if err != nil {
		return "absent"
	}
	return fmt.Sprintf("%d %d %s", stat.Size(), stat.ModTime().UnixNano(), stat.Mode())
}

// Changes lists the keys, sorted, whose values are not the same in another
// configuration, those that one of them lacks included. A key and its file or variable
// count as one, under the key's name.
func (c *Config) Changes(other *Config) []string {
	before, after := c.flat(), other.flat()
	changed := map[string]bool{}
	for key, value := range before {
		if now, ok := after[key]; !ok || !reflect.DeepEqual(value, now) {
			changed[key] = true
		}
	}
	for key := range after {
		if _, ok := before[key]; !ok {
			changed[key] = true
		}
	}
	return slices.Sorted(func(yield func(string) bool) {
		for key := range changed {
			if !yield(key) {
				return
			}
		}
	})
}

// flat gives every key's value, secrets as they are.
func (c *Config) flat() map[string]any {
	all := map[string]any{}
	flatten(all, nil, reflect.ValueOf(*c))
	return all
}

// flatten walks a struct beside the schema.
func flatten(into map[string]any, at path, v reflect.Value) {
	if v.Kind() == reflect.Pointer && !v.IsNil() && v.Elem().Kind() == reflect.Struct {
		v = v.Elem()
	}
	_, isLeaf := parsers[v.Type()]
	switch {
	case isLeaf || v.Kind() == reflect.Pointer:
		into[at.String()] = v.Interface()
	case v.Kind() == reflect.Map:
		for _, name := range v.MapKeys() {
			flatten(into, at.at(name.String()), v.MapIndex(name))
		}
	case v.Kind() == reflect.Struct:
		for field := range fields(v.Type()) {
			flatten(into, at.at(field.Tag.Get("mapstructure")), v.FieldByIndex(field.Index))
		}
	}
}
