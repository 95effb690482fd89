package config

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Value is one key of the effective configuration, ready to be shown.
type Value struct {
	// Key is the whole key, with dots.
	Key string `json:"key"`
	// Value is a string, number, bool, list of strings, or nil; a secret is "***".
	Value any `json:"value"`
	// From is "default", "default of driver kie", "segue.yaml:12",
	// "env SEGUE_REDIS_URL" or "flag --redis-url".
	From string `json:"from"`

	path path
}

// Values lists every key in the order of the documentation, secrets masked.
// Drivers that nobody configured are left out.
func (c *Config) Values() []Value { return slices.Clone(c.values) }

// show takes the picture that Values and Print give: before the secrets are
// resolved, so that it holds none but those written into the configuration.
func (l *loader) show() []Value {
	var values []Value
	l.each(root, nil, func(_ *node, p path) {
		if l.isBuiltin(p) {
			return
		}
		s, _ := l.effective(p)
		values = append(values, Value{p.String(), plain(s.value), s.origin.String(), slices.Clone(p)})
	})
	return values
}

// commentColumn is where Print starts its comments, if the line leaves room.
const commentColumn = 46

// Print writes the effective configuration as YAML that says for each key where
// its value came from. It loads again, except for the secrets, which are masked.
func (c *Config) Print(w io.Writer) error {
	var out bytes.Buffer
	var open path
	for _, v := range c.values {
		group := v.path[:len(v.path)-1]
		shared := commonLength(open, group)
		for depth := shared; depth < len(group); depth++ {
			name, err := scalar(group[depth])
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s%s:\n", strings.Repeat("  ", depth), name)
		}
		open = group
		if err := v.print(&out); err != nil {
			return err
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

// print writes one key with its comment.
func (v Value) print(out *bytes.Buffer) error {
	text, err := scalar(v.Value)
	if err != nil {
		return err
	}
	line := strings.Repeat("  ", len(v.path)-1) + v.path[len(v.path)-1] + ": " + text
	gap := max(2, commentColumn-utf8.RuneCountInString(line))
	fmt.Fprintf(out, "%s%s# %s\n", line, strings.Repeat(" ", gap), v.From)
	return nil
}

// scalar writes a value in YAML's words on one line.
func scalar(value any) (string, error) {
	var y yaml.Node
	if err := y.Encode(value); err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	switch {
	case y.Kind == yaml.SequenceNode:
		y.Style = yaml.FlowStyle
	case strings.ContainsAny(y.Value, "\r\n"):
		y.Style = yaml.DoubleQuotedStyle
	}
	text, err := yaml.Marshal(&y)
	if err != nil {
		return "", fmt.Errorf("config: %w", err)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}

// commonLength counts the names that two paths begin with.
func commonLength(a, b path) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
