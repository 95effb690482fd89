package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile is more than any configuration needs; reading stops there when
// somebody names the wrong file.
const maxFile = 4 << 20

// openFile finds the configuration file: the one that was asked for, which must
// be there, or the first of the search path that is.
func (l *loader) openFile() (name string, text []byte) {
	candidates, asked := l.options.SearchPaths, l.options.File
	if asked == "" {
		asked = l.options.lookup("SEGUE_CONFIG")
	}
	if asked != "" {
		candidates = []string{asked}
	}
	for _, candidate := range candidates {
		text, err := l.read(candidate, maxFile)
		if errors.Is(err, fs.ErrNotExist) && asked == "" {
			continue
		}
		if err != nil {
			l.reports = append(l.reports, report{origin{layer: layerFile}, Finding{Where: candidate, Reason: fileReason(err)}})
			return "", nil
		}
		return candidate, text
	}
	return "", nil
}

// read reads a whole file, having noted what it looks like.
func (l *loader) read(name string, limit int64) ([]byte, error) {
	l.looks[name] = look(name)
	return readLimited(name, limit)
}

// readLimited reads a whole file that must be a regular one.
func readLimited(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("larger than %d bytes", limit)
	}
	return text, nil
}

// fileReason says why a file cannot be read, without its name.
func fileReason(err error) string {
	var pathErr *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "reading it is not permitted"
	case errors.As(err, &pathErr):
		return pathErr.Err.Error()
	}
	return err.Error()
}

// readFile collects the settings of the configuration file.
func (l *loader) readFile() (name string) {
	name, text := l.openFile()
	if name == "" {
		return ""
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // Windows editors begin files so
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return name
	}
	if err == nil {
		if next := decoder.Decode(&second); next == nil {
			l.failLine(name, second.Line, "a second document starts here; a configuration is one")
		} else if !errors.Is(next, io.EOF) {
			err = next
		}
	}
	if err != nil {
		l.failSyntax(name, text, err)
		return name
	}
	r := fileReader{loader: l, name: name}
	r.group(root, document.Content[0], nil)
	return name
}

func (l *loader) failLine(name string, line int, reason string) {
	o := origin{layer: layerFile, name: name, line: line}
	l.reports = append(l.reports, report{o, Finding{Where: o.where(), Reason: reason}})
}

// yamlLine takes the position out of the library's message; it has no type for
// it.
var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// parserError matches the messages whose line the library counts from 0; it
// counts those of its scanner from 1.
var parserError = regexp.MustCompile(`^did not find expected (',' or|key|'-' indicator|node content|<)`)

// failSyntax reports what is not YAML at all.
func (l *loader) failSyntax(name string, text []byte, err error) {
	message, line := strings.TrimPrefix(err.Error(), "yaml: "), 1
	if parts := yamlLine.FindStringSubmatch(err.Error()); parts != nil {
		message = parts[2]
		line, _ = strconv.Atoi(parts[1]) // digits, by the pattern
		if parserError.MatchString(message) {
			line = min(line+1, len(bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))))
		}
	}
	if at := tabIndent(text); at > 0 {
		line, message = at, "a tab; YAML indents with spaces"
	}
	l.failLine(name, line, message)
}

// tabIndent finds the first line that is indented with a tab.
func tabIndent(text []byte) int {
	number := 0
	for line := range bytes.Lines(text) {
		number++
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if bytes.ContainsRune(indent, '\t') {
			return number
		}
	}
	return 0
}

// fileReader walks the YAML tree beside the schema.
type fileReader struct {
	*loader
	name string
}

func (r *fileReader) at(y *yaml.Node) origin {
	return origin{layer: layerFile, name: r.name, line: y.Line}
}

// value reads whatever stands at a key.
func (r *fileReader) value(n *node, y *yaml.Node, p path) {
	y = dealias(y)
	switch {
	case y.Kind == yaml.ScalarNode && y.Tag == "!!null":
		if n.optional {
			r.enter(r.at(y), p)
		}
	case n.leaf == nil:
		r.group(n, y, p)
	case y.Kind == yaml.MappingNode:
		r.fail(r.at(y), p, "takes a value, not keys under it")
	case y.Kind == yaml.SequenceNode:
		r.list(n, y, p)
	default:
		r.scalar(n, y, p)
	}
}

// scalar reads a single value. A list of one may be written without brackets.
func (r *fileReader) scalar(n *node, y *yaml.Node, p path) {
	if n.leaf == typeList && y.Value != "" {
		r.put(r.at(y), p, []string{y.Value})
		return
	}
	r.set(r.at(y), p, n, y.Value)
}

// list reads a sequence of plain values.
func (r *fileReader) list(n *node, y *yaml.Node, p path) {
	if n.leaf != typeList {
		r.fail(r.at(y), p, "takes one value, not a list")
		return
	}
	entries := make([]string, 0, len(y.Content))
	for _, item := range y.Content {
		item = dealias(item)
		if item.Kind != yaml.ScalarNode {
			r.fail(r.at(item), p, "the entries of this list are plain values")
			return
		}
		entries = append(entries, item.Value)
	}
	r.put(r.at(y), p, entries)
}

// group reads the keys under a key.
func (r *fileReader) group(n *node, y *yaml.Node, p path) {
	y = dealias(y)
	if y.Kind == yaml.ScalarNode && y.Tag == "!!null" {
		return
	}
	if y.Kind != yaml.MappingNode {
		r.fail(r.at(y), p, groupReason(n, p))
		return
	}
	if n.optional {
		r.enter(r.at(y), p)
	}
	first := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if line, twice := first[key.Value]; twice {
			r.fail(r.at(key), p.at(key.Value), fmt.Sprintf("given twice; the first is on line %d", line))
			continue
		}
		first[key.Value] = key.Line
		r.key(n, key, value, p)
	}
}

// key reads one key of a group or one name of a map.
func (r *fileReader) key(n *node, key, value *yaml.Node, p path) {
	at := p.at(key.Value)
	switch child := n.child(key.Value); {
	case key.Kind != yaml.ScalarNode:
		r.fail(r.at(key), p, "a key is a plain word")
	case key.Tag == "!!merge":
		r.fail(r.at(key), p, "merge keys (<<) are not supported; repeat the keys, or use an alias for the whole group")
	case n.elem != nil:
		r.enter(r.at(key), at)
		r.value(n.elem, value, at)
	case child != nil:
		r.value(child, value, at)
	default:
		r.fail(r.at(key), at, "there is no such key; "+r.suggest(n, key.Value))
	}
}

// suggest names the key that was meant: one beside it, else one of the same
// name elsewhere.
func (r *fileReader) suggest(n *node, name string) string {
	if _, near := nearest(name, n.names()); near {
		return didYouMean(name, n.names())
	}
	if found := elsewhere(root, nil, name); found != "" {
		return "did you mean " + found + "?"
	}
	return didYouMean(name, n.names())
}

// elsewhere finds a key by its last name anywhere outside the maps.
func elsewhere(n *node, p path, name string) string {
	for _, c := range n.children {
		if c.name == name {
			return p.at(name).String()
		}
		if found := elsewhere(c, p.at(c.name), name); found != "" {
			return found
		}
	}
	return ""
}

// groupReason says what a key takes that was given a plain value.
func groupReason(n *node, p path) string {
	switch {
	case len(p) == 0:
		return "this is not a configuration: it begins with keys such as redis: and providers:"
	case n.elem != nil:
		return "takes names with keys under them, as in {name: {key: value}}"
	}
	return "takes keys under it: " + inTerms(n.names())
}

// dealias follows an alias to what it stands for.
func dealias(y *yaml.Node) *yaml.Node {
	for y.Kind == yaml.AliasNode {
		y = y.Alias
	}
	return y
}
