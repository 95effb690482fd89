package config

import (
	"slices"
	"strings"
)

// setting is one key's value from one place.
type setting struct {
	path   path
	value  any
	origin origin
}

// loader collects settings and findings from all places.
type loader struct {
	options Options
	// layers are the settings of each place, by path.
	layers [layerFlag + 1]map[string]setting
	// entries are the names of maps, and the optional groups, that somebody wrote,
	// by path: an account with no keys of its own exists all the same.
	entries map[string]entry
	reports []report
	// warnings are for Config.Warnings.
	warnings []report
	drivers  map[string]Driver
	// builtin are the drivers that nobody configured: they are filled with
	// defaults like the others, but neither printed nor checked.
	builtin map[string]bool
	// missing says, by the path of a secret, why there is none to use.
	missing map[string]error
	// looks is what each file looked like that was read, or looked for.
	looks map[string]string
}

// entry is one name under a map, or an optional group that is there.
type entry struct {
	path   path
	origin origin
}

func newLoader(o Options) *loader {
	l := &loader{
		options: o, entries: map[string]entry{}, drivers: map[string]Driver{}, builtin: map[string]bool{},
		missing: map[string]error{}, looks: map[string]string{},
	}
	for i := range l.layers {
		l.layers[i] = map[string]setting{}
	}
	for _, d := range o.Drivers {
		l.drivers[d.Name] = d
	}
	return l
}

// fail notes a finding about a key.
func (l *loader) fail(o origin, p path, reason string) {
	l.reports = append(l.reports, report{o, Finding{Where: o.where(), Key: p.String(), Reason: reason}})
}

// warn notes something for Config.Warnings.
func (l *loader) warn(o origin, p path, reason string) {
	l.warnings = append(l.warnings, report{o, Finding{Where: o.where(), Key: p.String(), Reason: reason}})
}

// set parses the text of a key and notes it, or says why it cannot be.
func (l *loader) set(o origin, p path, n *node, text string) {
	value, err := parse(n.leaf, text)
	if err != nil {
		l.fail(o, p, err.Error())
		return
	}
	l.put(o, p, value)
}

// put notes a value, and every map entry and optional group on the way to it.
func (l *loader) put(o origin, p path, value any) {
	l.layers[o.layer][p.key()] = setting{p, value, o}
	n := root
	for i := range p {
		isEntry := n.elem != nil
		n = n.find(p[i : i+1])
		if isEntry || n.optional {
			l.enter(o, p[:i+1])
		}
	}
}

// enter notes that a map entry or optional group is there. The first place that
// names it is where it comes from.
func (l *loader) enter(o origin, p path) {
	if _, known := l.entries[p.key()]; !known {
		l.entries[p.key()] = entry{slices.Clone(p), o}
	}
}

// under lists the names that the map at p holds, sorted.
func (l *loader) under(p path) []string {
	var names []string
	for _, e := range l.entries {
		if len(e.path) == len(p)+1 && e.path[:len(p)].key() == p.key() {
			names = append(names, e.path[len(p)])
		}
	}
	slices.Sort(names)
	return names
}

// effective is the setting that wins for a path.
func (l *loader) effective(p path) (setting, bool) {
	for _, layer := range slices.Backward(l.layers[:]) {
		if s, ok := layer[p.key()]; ok {
			return s, true
		}
	}
	return setting{}, false
}

// text is the effective value of a key that holds a string.
func (l *loader) text(p path) string {
	s, _ := l.effective(p)
	text, _ := s.value.(string)
	return text
}

// origin is where to look for the cause of trouble with a key: its own value,
// else the entry or group it belongs to.
func (l *loader) origin(p path) origin {
	if s, ok := l.effective(p); ok && s.origin.layer != layerDefault {
		return s.origin
	}
	for end := len(p); end > 0; end-- {
		if e, ok := l.entries[p[:end].key()]; ok {
			return e.origin
		}
	}
	return origin{}
}

// isBuiltin says that a key belongs to a driver that nobody configured.
func (l *loader) isBuiltin(p path) bool {
	return len(p) > 1 && p[0] == "providers" && l.builtin[p[1]]
}

// each calls fn for every key that exists: maps are walked by their entries,
// optional groups only where they are there.
func (l *loader) each(n *node, p path, fn func(n *node, p path)) {
	if n.leaf != nil {
		fn(n, p)
		return
	}
	if _, there := l.entries[p.key()]; n.optional && !there {
		return
	}
	if n.elem != nil {
		for _, name := range l.under(p) {
			l.each(n.elem, p.at(name), fn)
		}
		return
	}
	for _, child := range n.children {
		l.each(child, p.at(child.name), fn)
	}
}

// nested turns one layer into the maps within maps that viper takes.
func nested(layer map[string]setting) map[string]any {
	tree := map[string]any{}
	for _, key := range sortedKeys(layer) {
		s, at := layer[key], tree
		for _, name := range s.path[:len(s.path)-1] {
			below, ok := at[name].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[name] = below
			}
			at = below
		}
		at[s.path[len(s.path)-1]] = s.value
	}
	return tree
}

// inTerms writes a list for a message.
func inTerms(names []string) string { return strings.Join(names, ", ") }
