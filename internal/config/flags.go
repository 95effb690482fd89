package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// annotation marks the flags that set a key.
const annotation = "segue_config_key"

// AddFlag adds the flag of a key to a flag set: --redis-url for redis.url. The
// flag has no default of its own, so that it only counts when it is given. A key
// that does not exist is a defect of the program and panics.
func AddFlag(flags *pflag.FlagSet, key, usage string) {
	name := strings.NewReplacer(".", "-", "_", "-").Replace(key)
	flags.String(name, "", usage)
	f := flags.Lookup(name)
	if n := root.find(strings.Split(key, ".")); n != nil && n.leaf == typeBool {
		f.NoOptDefVal = "true"
	}
	BindFlag(f, key)
}

// BindFlag makes a flag of another name set a key. A key that does not exist, or
// that names a whole group, is a defect of the program and panics.
func BindFlag(f *pflag.Flag, key string) {
	if n := root.find(strings.Split(key, ".")); n == nil || n.leaf == nil {
		panic("config: there is no key " + key)
	}
	if f.Annotations == nil {
		f.Annotations = map[string][]string{}
	}
	f.Annotations[annotation] = []string{key}
}

// readFlags collects the settings of the flags that were given.
func (l *loader) readFlags() {
	if l.options.Flags == nil {
		return
	}
	l.options.Flags.Visit(func(f *pflag.Flag) {
		keys := f.Annotations[annotation]
		if len(keys) == 0 {
			return
		}
		p := path(strings.Split(keys[0], "."))
		o := origin{layer: layerFlag, name: "--" + f.Name}
		l.set(o, p, root.find(p), flagText(f))
	})
}

// flagText is a flag's value as text; a list without the brackets of pflag.
func flagText(f *pflag.Flag) string {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return strings.Join(list.GetSlice(), ",")
	}
	return f.Value.String()
}
