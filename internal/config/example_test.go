package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// commentedKey is a key of the example: # and the key, indented by two or more
// spaces below the top. Prose has one space after the #.
var commentedKey = regexp.MustCompile(`(?m)^#((?:  +)?[A-Za-z0-9_]+:(?: |$))`)

// loadExample loads the example as it is, or with every key uncommented.
func loadExample(t *testing.T, uncommented bool) *loader {
	t.Helper()
	text := Example()
	if uncommented {
		text = commentedKey.ReplaceAllString(text, "$1")
	}
	file := filepath.Join(t.TempDir(), "segue.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{File: file, Home: "/home/anna", Drivers: []Driver{{
		Name: "kie", BaseURL: "https://api.kie.ai", StagingURL: "https://kieai.redpandaai.co", Credits: Credits{Extend: 12},
	}}}
	if _, err := Load(o); err != nil {
		t.Fatalf("the example does not load: %v", err)
	}
	l := newLoader(o)
	l.readFile()
	return l
}

func TestExampleAsItIsChangesNothing(t *testing.T) {
	l := loadExample(t, false)
	if n := len(l.layers[layerFile]); n != 0 {
		t.Errorf("the example sets %d keys, want none", n)
	}
}

// Every key of the structs must be in the example, so that adding a field
// without documenting it fails here.
func TestExampleListsEveryKey(t *testing.T) {
	l := loadExample(t, true)
	shown := map[string]bool{}
	for _, s := range l.layers[layerFile] {
		shown[generic(s.path)] = true
	}
	// A secret can be given one way only, so these stand in the prose.
	for _, key := range []string{"s3.access_key", "s3.access_key_file", "s3.secret_key", "s3.secret_key_file"} {
		shown[key] = true
	}
	every(root, nil, func(_ *node, p path) {
		if !shown[p.String()] {
			t.Errorf("example.yaml lacks %s", p)
		}
		if !strings.Contains(Example(), p[len(p)-1]) {
			t.Errorf("example.yaml does not mention %s", p)
		}
	})
}

// A value in the example is the default, or the default is named near it.
func TestExampleStatesTheDefaults(t *testing.T) {
	l := loadExample(t, true)
	l.fillDefaults()
	for _, s := range l.layers[layerFile] {
		fallback := l.layers[layerDefault][s.path.key()]
		if s.path.String() == "state_dir" {
			s.value = l.resolve(s.origin, "~/.local/state/segue")
		}
		if s.path.String() == "archive.url" || isZero(s.value) && isZero(fallback.value) || cmp.Equal(s.value, fallback.value) {
			continue
		}
		if !documented(s.origin.line, fallback.value) {
			t.Errorf("line %d: %s is %v; the default %v is not named", s.origin.line, s.path, plain(s.value), plain(fallback.value))
		}
	}
}

// documented says that the prose above a line of the example names the default.
// A zero default means "not said" and needs no naming.
func documented(line int, fallback any) bool {
	if isZero(fallback) {
		return true
	}
	want := fmt.Sprintf("default %v", plain(fallback))
	if list, ok := fallback.([]string); ok {
		want = "default " + strings.Join(list, ", ")
	}
	lines := strings.Split(Example(), "\n")
	return slices.ContainsFunc(lines[max(0, line-14):line-1], func(above string) bool {
		return strings.HasPrefix(above, "# ") && strings.Contains(above, want)
	})
}

// generic writes a path with * for the names of maps.
func generic(p path) string {
	named := make(path, len(p))
	n := root
	for i, name := range p {
		named[i] = name
		if n.elem != nil {
			named[i] = "*"
		}
		n = n.find(p[i : i+1])
	}
	return named.String()
}

// every visits each key of the schema, with * for the names of maps.
func every(n *node, p path, fn func(n *node, p path)) {
	switch {
	case n.leaf != nil:
		fn(n, p)
	case n.elem != nil:
		every(n.elem, p.at("*"), fn)
	}
	for _, c := range n.children {
		every(c, p.at(c.name), fn)
	}
}

func TestEveryKeyHasANameAndADefaultThatParses(t *testing.T) {
	count := 0
	every(root, nil, func(n *node, p path) {
		count++
		if _, err := parse(n.leaf, n.fallback); err != nil {
			t.Errorf("%s: default %q: %v", p, n.fallback, err)
		}
		if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(n.name) {
			t.Errorf("%s: %q is not snake_case", p, n.name)
		}
	})
	if count < 60 {
		t.Errorf("the schema has %d keys; did the walk miss some?", count)
	}
}

func TestDistance(t *testing.T) {
	cases := []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"drain", "drain", 0}, {"drian", "drain", 1}, {"drin", "drain", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}}
	for _, c := range cases {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
