package archtest

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// exposed lists the internal types that a package's exported names carry. A
// service that imports the package could hold such a value, and could neither
// name its type nor be promised that it stays.
func exposed(p *types.Package) []string {
	w := &exportWalk{home: p, seen: make(map[types.Type]bool)}
	scope := p.Scope()
	for _, name := range scope.Names() {
		obj := scope.Lookup(name)
		if !obj.Exported() {
			continue
		}
		w.visit(obj.Type(), p.Name()+"."+name)
	}
	slices.Sort(w.found)
	return slices.Compact(w.found)
}

// exportWalk follows a package's exported names to the types they are made of.
type exportWalk struct {
	home  *types.Package
	seen  map[types.Type]bool
	found []string
}

func (w *exportWalk) visit(t types.Type, trail string) {
	switch t := t.(type) {
	case *types.Alias:
		w.name(t, t.Obj(), t.TypeArgs(), trail)
	case *types.Named:
		w.name(t, t.Obj(), t.TypeArgs(), trail)
	case *types.Map:
		w.visit(t.Key(), trail)
		w.visit(t.Elem(), trail)
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		w.visit(t.Elem(), trail)
	case *types.Signature:
		w.signature(t, trail)
	case *types.Struct:
		w.fields(t, trail)
	case *types.Interface:
		w.contract(t, trail)
	case *types.Union:
		for term := range t.Terms() {
			w.visit(term.Type(), trail)
		}
	}
}

// name judges a named type; one of the package's own is followed further, as
// its exported fields and methods are reachable even when its name is not.
func (w *exportWalk) name(t types.Type, obj *types.TypeName, args *types.TypeList, trail string) {
	for arg := range args.Types() {
		w.visit(arg, trail)
	}
	switch {
	case obj.Pkg() == nil:
		return
	case internal(obj.Pkg().Path()):
		w.found = append(w.found, fmt.Sprintf("%s exposes %s.%s: a producer cannot name an internal type", trail, obj.Pkg().Path(), obj.Name()))
		return
	case obj.Pkg().Path() != w.home.Path() || w.seen[t]:
		return
	}
	w.seen[t] = true
	if alias, ok := t.(*types.Alias); ok {
		w.visit(alias.Rhs(), trail)
		return
	}
	w.visit(t.Underlying(), trail)
	named, ok := t.(*types.Named)
	if !ok {
		return
	}
	w.parameters(named.TypeParams(), trail)
	for m := range named.Methods() {
		if m.Exported() {
			w.visit(m.Type(), trail+"."+m.Name())
		}
	}
}

func (w *exportWalk) signature(s *types.Signature, trail string) {
	w.parameters(s.TypeParams(), trail)
	for v := range s.Params().Variables() {
		w.visit(v.Type(), trail)
	}
	for v := range s.Results().Variables() {
		w.visit(v.Type(), trail)
	}
}

func (w *exportWalk) parameters(list *types.TypeParamList, trail string) {
	for p := range list.TypeParams() {
		w.visit(p.Constraint(), trail)
	}
}

// fields follows what a holder of the struct can touch: exported fields, and
// embedded ones, whose own exported names are promoted.
func (w *exportWalk) fields(s *types.Struct, trail string) {
	for f := range s.Fields() {
		if f.Exported() || f.Embedded() {
			w.visit(f.Type(), trail+"."+f.Name())
		}
	}
}

func (w *exportWalk) contract(i *types.Interface, trail string) {
	for m := range i.ExplicitMethods() {
		if m.Exported() {
			w.visit(m.Type(), trail+"."+m.Name())
		}
	}
	for e := range i.EmbeddedTypes() {
		w.visit(e, trail)
	}
}

// internal says whether Go would refuse the import path to another module.
func internal(importPath string) bool {
	return slices.Contains(strings.Split(importPath, "/"), "internal")
}

// TestExportsOfEnqueue reads what producers get to see as the compiler wrote
// it down (export data), so that inferred types count as well.
func TestExportsOfEnqueue(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	packages, err := golist(t.Context(), root, "-deps", "-export", "-json=ImportPath,Export,Module", "./enqueue/...")
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	var public []string
	for _, p := range packages {
		exports[p.ImportPath] = p.Export
		if p.Module != nil && p.Module.Main && !internal(p.ImportPath) && strings.Contains(p.ImportPath, "/enqueue") {
			public = append(public, p.ImportPath)
		}
	}
	if len(public) == 0 {
		t.Fatal("no package under enqueue; want at least enqueue itself")
	}
	compiled := importer.ForCompiler(token.NewFileSet(), "gc", func(p string) (io.ReadCloser, error) { return os.Open(exports[p]) })
	for _, p := range public {
		pkg, err := compiled.Import(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, violation := range exposed(pkg) {
			t.Error(violation)
		}
	}
}
