package source

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// walker goes through one directory tree.
type walker struct {
	*expansion
	root string
	row  row
	// entered are the real directories on the way and behind: each is entered
	// once, so links that lead back up end.
	entered map[string]bool
	visit   func(rel string)
	// complete says that everything could be read.
	complete bool
}

// walk calls visit for every regular file below root, with its path relative to
// root and slashes, in natural order. It follows links, enters each directory
// once, and no deeper than depth unless that is negative. It says whether
// everything could be read; what could not is a finding.
func (e *expansion) walk(root string, r row, depth int, visit func(rel string)) bool {
	w := walker{expansion: e, root: root, row: r, entered: map[string]bool{}, visit: visit, complete: true}
	w.enter("", depth)
	return w.complete
}

// enter goes through one directory.
func (w *walker) enter(rel string, depth int) {
	if w.over() {
		w.complete = false
		return
	}
	abs := filepath.Join(w.root, filepath.FromSlash(rel))
	target, err := filepath.EvalSymlinks(abs)
	if err != nil {
		w.unreadable(rel, err)
		return
	}
	if w.entered[target] || w.excluded(abs, target) {
		return
	}
	w.entered[target] = true
	entries, err := os.ReadDir(abs)
	if err != nil {
		w.unreadable(rel, err)
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return natural(a.Name(), b.Name()) })
	for _, entry := range entries {
		if w.over() {
			w.complete = false
			return
		}
		if !passedOver(entry.Name()) {
			w.entry(path.Join(rel, entry.Name()), entry, depth)
		}
	}
}

// entry looks at one name in a directory.
func (w *walker) entry(rel string, entry os.DirEntry, depth int) {
	mode := entry.Type()
	if mode&os.ModeSymlink != 0 {
		stat, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(rel)))
		if err != nil {
			return // a link to nowhere is not a file
		}
		mode = stat.Mode()
	}
	switch {
	case mode.IsDir() && depth != 0:
		w.enter(rel, depth-1)
	case mode.IsRegular():
		w.visit(rel)
	}
}

// unreadable is a finding about a directory; an expansion that silently lacked
// an album would be worse than none.
func (w *walker) unreadable(rel string, err error) {
	w.complete = false
	shown := w.row.shown
	if rel != "" {
		shown = filepath.Join(w.root, filepath.FromSlash(rel))
	}
	w.fail(w.row.origin, shown, "%s", reason(err))
}

// excluded says that a directory is one of those never entered.
func (w *walker) excluded(names ...string) bool {
	return slices.ContainsFunc(w.options.Exclude, func(dir string) bool { return slices.Contains(names, filepath.Clean(dir)) })
}

// passedOver says that a name is nobody's song: hidden, which includes the ._x
// of macOS, unfinished, or what macOS packs beside the files of an archive.
func passedOver(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(strings.ToLower(name), ".part") || name == "__MACOSX"
}

// natural compares as people sort: numbers by their value, letters without
// their case. Names that are equal so are compared byte by byte, so that the
// order is always the same.
func natural(a, b string) int {
	x, y := strings.ToLower(a), strings.ToLower(b)
	for x != "" && y != "" {
		n, m := digits(x), digits(y)
		if n > 0 && m > 0 {
			if c := byValue(x[:n], y[:m]); c != 0 {
				return c
			}
			x, y = x[n:], y[m:]
			continue
		}
		if x[0] != y[0] {
			return int(x[0]) - int(y[0])
		}
		x, y = x[1:], y[1:]
	}
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	return strings.Compare(a, b)
}

// digits counts the digits that text begins with.
func digits(text string) int { return len(text) - len(strings.TrimLeft(text, "0123456789")) }

// byValue compares two runs of digits of any length.
func byValue(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}
