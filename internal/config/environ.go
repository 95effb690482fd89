package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// lookup gives a variable's value; empty and unset are the same.
func (o Options) lookup(name string) string {
	for _, pair := range slices.Backward(o.Environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// readEnviron collects the settings of the SEGUE_ variables. An empty variable
// counts as unset: compose files and unit files produce them.
func (l *loader) readEnviron() {
	for _, pair := range slices.Sorted(slices.Values(l.options.Environ)) {
		name, value, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, "SEGUE_")
		if !ours || value == "" || name == "SEGUE_CONFIG" || slices.Contains(l.options.Reserved, name) {
			continue
		}
		o := origin{layer: layerEnviron, name: name}
		switch found := simplest(l.match(root, nil, rest)); {
		case len(found) == 1:
			l.set(o, found[0].path, root.find(found[0].path), value)
		case len(found) > 1:
			l.fail(o, nil, fmt.Sprintf("may mean %s or %s; write that one in the file", found[0].path, found[1].path))
		case !injected(name, value):
			l.fail(o, nil, "there is no such key; "+l.suggestVariable(name))
		}
	}
}

// candidate is a key that a variable may mean. Words and names are both joined
// by _, so there can be several.
type candidate struct {
	path path
	// created counts the map names in it that nobody has written before.
	created int
}

// match finds the keys under n that a variable's remaining words may mean.
func (l *loader) match(n *node, p path, rest string) []candidate {
	if n.elem != nil {
		return l.matchName(n, p, rest)
	}
	var found []candidate
	for _, child := range n.children {
		word, at := token(child.name), p.at(child.name)
		if child.leaf != nil {
			if rest == word {
				found = append(found, candidate{path: at})
			}
			continue
		}
		if below, ok := strings.CutPrefix(rest, word+"_"); ok {
			found = append(found, l.match(child, at, below)...)
		}
	}
	return found
}

// matchName does the same where a name of a map comes next: one that is there
// already, else a new one in lower case.
func (l *loader) matchName(n *node, p path, rest string) []candidate {
	var found []candidate
	for _, name := range l.under(p) {
		if below, ok := strings.CutPrefix(rest, token(name)+"_"); ok {
			found = append(found, l.match(n.elem, p.at(name), below)...)
		}
	}
	if len(found) > 0 || keepsCase(p) {
		return found
	}
	for i := 1; i < len(rest)-1; i++ {
		if rest[i] != '_' {
			continue
		}
		for _, c := range l.match(n.elem, p.at(strings.ToLower(rest[:i])), rest[i+1:]) {
			found = append(found, candidate{c.path, c.created + 1})
		}
	}
	return found
}

// keepsCase says that the names of the map at p are not ours to choose: models
// are named by the provider, V4_5 and chirp-v50, and a variable cannot say so.
func keepsCase(p path) bool { return p[len(p)-1] == "models" }

// simplest keeps the candidates that invent the fewest names.
func simplest(found []candidate) []candidate {
	if len(found) < 2 {
		return found
	}
	fewest := slices.MinFunc(found, func(a, b candidate) int { return a.created - b.created }).created
	return slices.DeleteFunc(found, func(c candidate) bool { return c.created > fewest })
}

// suggestVariable names the variable that was meant.
func (l *loader) suggestVariable(name string) string {
	var known []string
	l.imagine(root, nil, func(p path) { known = append(known, variable(p)) })
	best, ok := nearest(name, known)
	if below := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(k, name+"_") }); below >= 0 {
		best, ok = known[below], true // the name of a group
	}
	if ok {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "see `segue config print` for the keys there are"
}

// imagine calls fn for every key that exists or that somebody may have been
// about to create: the drivers' names and the account main are the likely ones.
func (l *loader) imagine(n *node, p path, fn func(p path)) {
	if n.leaf != nil {
		fn(p)
		return
	}
	for _, child := range n.children {
		l.imagine(child, p.at(child.name), fn)
	}
	if n.elem == nil {
		return
	}
	names := l.under(p)
	switch {
	case len(p) == 1 && p[0] == "providers":
		names = append(names, sortedKeys(l.drivers)...)
	case !keepsCase(p):
		names = append(names, mainAccount)
	}
	for _, name := range slices.Compact(names) {
		l.imagine(n.elem, p.at(name), fn)
	}
}

// linkName is how Kubernetes and Docker announce services in the environment of
// every container: a Service called segue makes SEGUE_PORT=tcp://10.0.0.1:8080.
// Those are nobody's spelling mistakes.
var linkName = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$`)

// injected says that a variable was made by the orchestrator.
func injected(name, value string) bool {
	return linkName.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
}
