package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// topLevel is all that may stand at the top of the repository: its card, and
// the files a stranger looks for.
var topLevel = []string{
	".ci", ".dockerignore", ".editorconfig", ".gitattributes", ".gitignore", ".golangci.yml",
	"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
	"bench", "cmd", "deploy", "docs", "enqueue", "examples", "go.mod", "go.sum", "handlers", "internal", "scripts", "tasks", "tools",
}

// vague are the names under which anything may be put, and is.
var vague = []string{"common", "helper", "helpers", "types", "models", "model", "util", "utils", "misc"}

// named are the folders that other rules speak of: a rule about a folder that
// was renamed would hold for ever.
var named = []string{
	"cmd/segue", "enqueue", "internal/fault", "internal/provider", "internal/provider/all",
	"internal/provider/drivertest", "internal/provider/rest", "internal/simulator", "tasks",
}

// processCalls are the doors to the process, by import path: reading the
// environment or the command line, ending it. UserHomeDir and its like read
// the environment too.
var processCalls = map[string][]string{
	"os": {
		"Args", "Clearenv", "Environ", "Exit", "ExpandEnv", "Getenv", "LookupEnv", "Setenv", "Unsetenv",
		"UserCacheDir", "UserConfigDir", "UserHomeDir",
	},
	"log":                   {"Fatal", "Fatalf", "Fatalln"},
	"flag":                  {"Parse"},
	"syscall":               {"Clearenv", "Environ", "Exit", "Getenv", "Setenv", "Unsetenv"},
	"golang.org/x/sys/unix": {"Clearenv", "Environ", "Exit", "Getenv", "Setenv", "Unsetenv"},
}

// viperMethods read the environment behind the caller's back.
var viperMethods = []string{"AutomaticEnv", "BindEnv"}

// layout: the top of the repository, and the folders that the rules name.
func layout(t *tree) []string {
	var found []string
	for _, e := range t.entries {
		if !slices.Contains(topLevel, e) {
			found = append(found, fmt.Sprintf("%s: the top level is the project's card; this has no place on it", e))
		}
	}
	for _, dir := range named {
		if !slices.ContainsFunc(t.folders, func(f *folder) bool { return f.dir == dir }) {
			found = append(found, fmt.Sprintf("%s: a rule speaks of this package, and it is not there", dir))
		}
	}
	return found
}

// names: a package is called by what it is for.
func names(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		if slices.Contains(vague, path.Base(f.dir)) {
			found = append(found, fmt.Sprintf("%s: a package of this name is for anything; name it by what it is for", f.dir))
			continue
		}
		for _, file := range f.files {
			if name := strings.TrimSuffix(file.ast.Name.Name, "_test"); slices.Contains(vague, name) {
				found = append(found, fmt.Sprintf("%s/%s: package %s is for anything; name it by what it is for", f.dir, file.name, name))
			}
		}
	}
	return found
}

// comments: every package says what it is, in a file of the package itself, or
// in a test file where there is nothing else.
func comments(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		product := slices.ContainsFunc(f.files, func(s source) bool { return !s.test() })
		documented := slices.ContainsFunc(f.files, func(s source) bool {
			return s.test() != product && introduces(s.ast)
		})
		if len(f.files) > 0 && !documented {
			found = append(found, fmt.Sprintf("%s: no package comment (\"Package %s …\")", f.dir, f.files[0].ast.Name.Name))
		}
	}
	return found
}

// introduces says whether the file carries the package's comment. That of a
// command begins with what the command is called, which is not the package.
func introduces(file *ast.File) bool {
	text := file.Doc.Text()
	if file.Name.Name == "main" {
		return text != ""
	}
	return strings.HasPrefix(text, "Package "+file.Name.Name+" ") || strings.HasPrefix(text, "Package "+strings.TrimSuffix(file.Name.Name, "_test")+" ")
}

// process: only cmd reads the environment, ends the process, or listens for
// signals. Everything else is given what it needs, and so can be tested. Tests
// and what supports them may ask whether they run in CI. The programs that Segue
// is measured beside, in bench, are commands of their own.
func process(t *tree) []string {
	var found []string
	for _, f := range t.folders {
		if within(f.dir, "cmd") || within(f.dir, "bench") || supportsTests(f.dir) {
			continue
		}
		for _, file := range f.files {
			if !file.test() {
				found = append(found, t.doors(file)...)
			}
		}
	}
	return found
}

// doors lists the uses of processCalls in one file.
func (t *tree) doors(file source) []string {
	const why = "only cmd reads the environment, exits or listens for signals"
	var found []string
	called := make(map[string]string)
	for _, spec := range file.ast.Imports {
		p := unquote(spec.Path.Value)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		switch {
		case p == "os/signal":
			found = append(found, fmt.Sprintf("%s: os/signal: %s", t.at(spec.Pos()), why))
		case name == "." && processCalls[p] != nil:
			found = append(found, fmt.Sprintf("%s: dot import of %s: %s", t.at(spec.Pos()), p, why))
		default:
			called[name] = p
		}
	}
	ast.Inspect(file.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(processCalls[called[x.Name]], sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: %s.%s: %s", t.at(sel.Pos()), called[x.Name], sel.Sel.Name, why))
		} else if slices.Contains(viperMethods, sel.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: %s: %s", t.at(sel.Pos()), sel.Sel.Name, why))
		}
		return true
	})
	return found
}

// complete: a provider is one folder, one line in all/, one simulator file and
// one conformance run. Whatever was forgotten is named.
func complete(t *tree) []string {
	registry := t.imports[t.module+"/"+providers+"/all"]
	var found []string
	for _, f := range t.folders {
		if own, ok := driver(f.dir); !ok || own != f.dir {
			continue
		}
		if !slices.Contains(registry, t.path(f)) {
			found = append(found, f.dir+": not registered in internal/provider/all")
		}
		if !slices.Contains(f.imported(true), t.module+"/"+providers+"/drivertest") {
			found = append(found, f.dir+": no conformance run (drivertest.Run in a test)")
		}
		if !t.simulated(path.Base(f.dir)) {
			found = append(found, fmt.Sprintf("%s: no fake of it (internal/simulator/%s.go)", f.dir, path.Base(f.dir)))
		}
	}
	return found
}

// simulated says whether the simulator has a file for the provider.
func (t *tree) simulated(provider string) bool {
	return slices.ContainsFunc(t.folders, func(f *folder) bool {
		return f.dir == "internal/simulator" && slices.ContainsFunc(f.files, func(s source) bool {
			return !s.test() && (s.name == provider+".go" || strings.HasPrefix(s.name, provider+"_"))
		})
	})
}
