package archtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is a module as the rules see it.
type tree struct {
	module string
	fset   *token.FileSet
	// folders are this module's packages, by path.
	folders []*folder
	// imports is the graph of everything reachable, by import path. Ours are
	// the union over all platforms, without test files.
	imports map[string][]string
	// owner names the module of an import path; the standard library has none.
	owner map[string]string
	// entries are the names at the top of the repository.
	entries []string
}

// folder is one directory of Go source.
type folder struct {
	// dir is the slash-separated path from the module's root.
	dir   string
	files []source
}

// source is one parsed file.
type source struct {
	name string
	ast  *ast.File
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// parse adds one file to a folder. Generators that `go run` alone ever sees
// (//go:build ignore) are no part of the package and are left out.
func (f *folder) parse(fset *token.FileSet, name string, text any) error {
	parsed, err := parser.ParseFile(fset, path.Join(f.dir, name), text, parser.ParseComments)
	if err != nil {
		return err
	}
	for _, group := range parsed.Comments {
		for _, c := range group.List {
			if group.Pos() < parsed.Package && constraint.IsGoBuild(c.Text) && strings.Contains(c.Text, "ignore") {
				return nil
			}
		}
	}
	f.files = append(f.files, source{name: name, ast: parsed})
	return nil
}

// imported lists what the folder imports, from test files or from the others.
func (f *folder) imported(test bool) []string {
	found := make(map[string]bool)
	for _, file := range f.files {
		if file.test() != test {
			continue
		}
		for _, spec := range file.ast.Imports {
			found[unquote(spec.Path.Value)] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// path gives the folder's import path.
func (t *tree) path(f *folder) string { return path.Join(t.module, f.dir) }

// dir turns one of our import paths into a folder; others are not ours.
func (t *tree) dir(importPath string) (string, bool) {
	if importPath == t.module {
		return ".", true
	}
	return strings.CutPrefix(importPath, t.module+"/")
}

// reach gives everything that a package needs to compile, itself included.
func (t *tree) reach(importPath string) map[string]bool {
	found := make(map[string]bool)
	var visit func(string)
	visit = func(p string) {
		if found[p] {
			return
		}
		found[p] = true
		for _, next := range t.imports[p] {
			visit(next)
		}
	}
	visit(importPath)
	return found
}

// at gives a place in our source as file:line.
func (t *tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// within says whether dir is the folder root or below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, root+"/")
}

func unquote(literal string) string {
	s, err := strconv.Unquote(literal)
	if err != nil {
		return literal
	}
	return s
}

// listed is what `go list -json` says about a package.
type listed struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	Export     string
	Module     *struct {
		Path string
		Main bool
	}
}

// golist runs `go list` at the module's root. It needs no network: whoever can
// build this test has every module it lists.
func golist(ctx context.Context, root string, args ...string) ([]listed, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list"}, args...)...)
	cmd.Dir = root
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w\n%s", strings.Join(args, " "), err, complaints.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("go list %s: %w", strings.Join(args, " "), err)
		}
		all = append(all, p)
	}
}

// load reads this repository. Packages that do not compile are read all the
// same (-e): a border is not hidden by a missing semicolon.
func load(t *testing.T) *tree {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return loaded(t, root, "./...")
}

// loaded reads the packages of the module at root that the patterns name.
func loaded(t *testing.T, root string, patterns ...string) *tree {
	t.Helper()
	packages, err := golist(t.Context(), root, append([]string{"-e", "-deps", "-json=ImportPath,Dir,Standard,Imports,Module"}, patterns...)...)
	if err != nil {
		t.Fatal(err)
	}
	made := &tree{fset: token.NewFileSet(), imports: make(map[string][]string), owner: make(map[string]string)}
	for _, p := range packages {
		if err := made.add(root, p); err != nil {
			t.Fatal(err)
		}
	}
	if made.entries, err = entries(t.Context(), root); err != nil {
		t.Fatal(err)
	}
	return made
}

// add takes one listed package into the tree; ours are parsed.
func (t *tree) add(root string, p listed) error {
	t.imports[p.ImportPath] = p.Imports
	if p.Module != nil {
		t.owner[p.ImportPath] = p.Module.Path
	}
	if p.Module == nil || !p.Module.Main || p.Dir == "" {
		return nil
	}
	t.module = p.Module.Path
	dir, err := filepath.Rel(root, p.Dir)
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(p.Dir, "*.go"))
	if err != nil {
		return err
	}
	f := &folder{dir: filepath.ToSlash(dir)}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := f.parse(t.fset, filepath.Base(name), text); err != nil {
			return err
		}
	}
	t.folders = append(t.folders, f)
	t.imports[p.ImportPath] = f.imported(false)
	return nil
}

// entries lists what the repository holds at its top: what git tracks, so that
// a developer's own scratch files are nobody's business, or everything where
// there is no git (a source archive, an image build).
func entries(ctx context.Context, root string) ([]string, error) {
	cmd := exec.CommandContext(ctx, "git", "ls-files", "-z", "--full-name", ".")
	cmd.Dir = root
	if out, err := cmd.Output(); err == nil && len(out) > 0 {
		found := make(map[string]bool)
		for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
			top, _, _ := strings.Cut(name, "/")
			found[top] = true
		}
		return slices.Sorted(maps.Keys(found)), nil
	}
	all, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		if e.Name() != ".git" && e.Name() != "bin" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
