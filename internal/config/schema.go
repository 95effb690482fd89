package config

import (
	"reflect"
	"slices"
	"strings"
)

// node is one key, or one group of keys, of the configuration. The tree of them
// is derived from Config, so a key exists as soon as its field does.
type node struct {
	name string
	// leaf is the type of a key that has a value; nil for a group.
	leaf     reflect.Type
	fallback string
	children []*node
	// elem is what stands under each name of a map; nil for anything else.
	elem *node
	// optional groups exist only where something in them is set.
	optional bool
}

// root is the whole schema.
var root = describe("", reflect.TypeFor[Config]())

// describe derives the schema of one type.
func describe(name string, t reflect.Type) *node {
	if _, isLeaf := parsers[t]; isLeaf {
		return &node{name: name, leaf: t}
	}
	switch t.Kind() {
	case reflect.Map:
		return &node{name: name, elem: describe("", t.Elem())}
	case reflect.Pointer:
		n := describe(name, t.Elem())
		n.optional = true
		return n
	}
	n := &node{name: name}
	for field := range fields(t) {
		child := describe(field.Tag.Get("mapstructure"), field.Type)
		child.fallback = field.Tag.Get("default")
		n.children = append(n.children, child)
	}
	return n
}

// fields yields the fields of t that are keys.
func fields(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for field := range t.Fields() {
			if tag := field.Tag.Get("mapstructure"); tag == "" || tag == "-" {
				continue
			}
			if !yield(field) {
				return
			}
		}
	}
}

// child finds a key of a group.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// names lists the keys of a group.
func (n *node) names() []string {
	names := make([]string, len(n.children))
	for i, c := range n.children {
		names[i] = c.name
	}
	return names
}

// path is where a key stands: its name and those of the groups around it.
type path []string

// at appends without ever sharing the backing array.
func (p path) at(names ...string) path {
	return append(slices.Clip(p), names...)
}

// String writes a path as documents do.
func (p path) String() string { return strings.Join(p, ".") }

// separator joins paths to map keys; no name contains it.
const separator = "\x00"

func (p path) key() string { return strings.Join(p, separator) }

// find walks the schema; nil when there is no such key. Names of a map's
// entries match anything.
func (n *node) find(p path) *node {
	for _, name := range p {
		switch {
		case n.elem != nil:
			n = n.elem
		default:
			if n = n.child(name); n == nil {
				return nil
			}
		}
	}
	return n
}

// variable is the name of the environment variable for a path.
func variable(p path) string {
	return "SEGUE_" + token(strings.Join(p, "_"))
}

// token writes a name as variables do: capitals, and _ for anything else.
func token(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}
