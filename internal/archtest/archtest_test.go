package archtest

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rules are all borders, by the name a failing test shows.
var rules = map[string]func(*tree) []string{
	"comments":   comments,
	"complete":   complete,
	"cycles":     cycles,
	"drivers":    drivers,
	"importers":  importers,
	"layout":     layout,
	"names":      names,
	"process":    process,
	"producer":   producer,
	"standalone": standalone,
	"strangers":  strangers,
}

// TestRepository holds the rules against this repository.
func TestRepository(t *testing.T) {
	repository := load(t)
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		t.Run(name, func(t *testing.T) {
			for _, violation := range rules[name](repository) {
				t.Error(violation)
			}
		})
	}
}

// sound is a module that breaks no rule. Cases add to it or replace in it.
var sound = map[string]string{
	"go.mod":                                  "",
	"cmd/segue/main.go":                       "// Segue carries audio.\npackage main\nimport (\"os\"; \"os/signal\"; \"example.com/m/internal/provider/all\")\nfunc main() { signal.Ignore(); os.Exit(len(os.Getenv(\"X\"))); all.F() }",
	"tasks/tasks.go":                          "// Package tasks names the tasks.\npackage tasks\nimport \"time\"\nvar T time.Time",
	"tasks/tasks_test.go":                     "package tasks\nimport \"github.com/google/go-cmp/cmp\"\nvar _ = cmp.Diff",
	"enqueue/enqueue.go":                      "// Package enqueue submits.\npackage enqueue\nimport (\"github.com/hibiken/asynq\"; \"github.com/redis/go-redis/v9\")\nvar _ = asynq.X",
	"internal/fault/fault.go":                 "// Package fault has the codes.\npackage fault",
	"internal/provider/provider.go":           "// Package provider is the contract.\npackage provider\nimport \"example.com/m/internal/fault\"",
	"internal/provider/rest/rest.go":          "// Package rest speaks HTTP.\npackage rest",
	"internal/provider/drivertest/run.go":     "// Package drivertest is the suite.\npackage drivertest",
	"internal/provider/all/all.go":            "// Package all lists the drivers.\npackage all\nimport \"example.com/m/internal/provider/kie\"",
	"internal/provider/kie/kie.go":            "// Package kie drives KIE.\npackage kie\nimport (\"example.com/m/internal/provider\"; \"example.com/m/internal/provider/rest\"; \"example.com/m/internal/fault\")",
	"internal/provider/kie/kie_test.go":       "package kie_test\nimport (\"os\"; \"example.com/m/internal/provider/drivertest\"; \"example.com/m/internal/simulator\")\nvar ci = os.Getenv(\"CI\")",
	"internal/simulator/simulator.go":         "// Package simulator is the fake.\npackage simulator\nimport \"example.com/m/internal/fault\"",
	"internal/simulator/kie.go":               "package simulator",
	"github.com/hibiken/asynq/asynq.go":       "package asynq\nimport (\"github.com/google/uuid\"; \"github.com/spf13/cast\")",
	"github.com/redis/go-redis/v9/redis.go":   "package redis",
	"github.com/google/uuid/uuid.go":          "package uuid",
	"github.com/spf13/cast/cast.go":           "package cast",
	"github.com/spf13/viper/viper.go":         "package viper",
	"github.com/redis/go-redis/v9/x/x.go":     "package x\nimport \"github.com/spf13/viper\"",
	"github.com/google/go-cmp/cmp/compare.go": "package cmp",
}

// plant builds a tree from sources by file name. What lies below a folder with
// a dot in its name is another module; three elements name one.
func plant(t *testing.T, sources map[string]string) *tree {
	t.Helper()
	planted := &tree{
		module: "example.com/m", fset: token.NewFileSet(),
		imports: make(map[string][]string), owner: make(map[string]string),
	}
	byDir := make(map[string]*folder)
	tops := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		dir, base := path.Split(name)
		dir = path.Clean(dir)
		top, _, _ := strings.Cut(name, "/")
		foreign := strings.Contains(top, ".") && dir != "."
		if !foreign {
			tops[top] = true
		}
		if !strings.HasSuffix(base, ".go") {
			continue
		}
		if byDir[dir] == nil {
			byDir[dir] = &folder{dir: dir}
		}
		if err := byDir[dir].parse(planted.fset, base, sources[name]); err != nil {
			t.Fatal(err)
		}
		if foreign {
			planted.imports[dir] = byDir[dir].imported(false)
			planted.owner[dir] = strings.Join(strings.SplitN(dir, "/", 4)[:3], "/")
			continue
		}
		importPath := path.Join(planted.module, dir)
		planted.imports[importPath] = byDir[dir].imported(false)
		planted.owner[importPath] = planted.module
		if !slices.Contains(planted.folders, byDir[dir]) {
			planted.folders = append(planted.folders, byDir[dir])
		}
	}
	planted.entries = slices.Sorted(maps.Keys(tops))
	return planted
}

// TestSound shows that the rules have nothing against a module that keeps them.
func TestSound(t *testing.T) {
	planted := plant(t, sound)
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		if got := rules[name](planted); len(got) > 0 {
			t.Errorf("%s found %q in a sound module, want nothing", name, got)
		}
	}
}

// violations: each case adds files to the sound module (an empty text removes
// one) and says all that its rule must find.
var violations = []struct {
	rule  string
	files map[string]string
	want  []string
}{
	{
		rule:  "comments",
		files: map[string]string{"tasks/tasks.go": "package tasks", "internal/e2e/e2e_test.go": "package e2e_test"},
		want: []string{
			"internal/e2e: no package comment (\"Package e2e_test …\")",
			"tasks: no package comment (\"Package tasks …\")",
		},
	},
	{
		rule:  "comments",
		files: map[string]string{"tasks/tasks.go": "// The tasks.\npackage tasks", "cmd/segue/main.go": "package main"},
		want: []string{
			"cmd/segue: no package comment (\"Package main …\")",
			"tasks: no package comment (\"Package tasks …\")",
		},
	},
	{
		rule:  "complete",
		files: map[string]string{"internal/provider/mountsea/mountsea.go": "// Package mountsea drives MountSea.\npackage mountsea"},
		want: []string{
			"internal/provider/mountsea: not registered in internal/provider/all",
			"internal/provider/mountsea: no conformance run (drivertest.Run in a test)",
			"internal/provider/mountsea: no fake of it (internal/simulator/mountsea.go)",
		},
	},
	{
		rule: "cycles",
		files: map[string]string{
			"internal/ledger/ledger.go":        "package ledger\nimport \"example.com/m/internal/account/slots\"",
			"internal/account/slots/slots.go":  "package slots",
			"internal/account/account.go":      "package account\nimport \"example.com/m/internal/session\"",
			"internal/session/session.go":      "package session\nimport \"example.com/m/internal/ledger/money\"",
			"internal/ledger/money/money.go":   "package money",
			"internal/session/session_test.go": "package session\nimport \"example.com/m/cmd/segue\"",
		},
		want: []string{"internal/account -> internal/session -> internal/ledger -> internal/account: areas import each other in a circle"},
	},
	{
		rule: "drivers",
		files: map[string]string{
			"internal/provider/mountsea/mountsea.go": "package mountsea\nimport (\"example.com/m/internal/provider/kie\"; \"example.com/m/internal/config\"; \"example.com/m/internal/provider/mountsea/wire\")",
			"internal/config/config.go":              "package config",
		},
		want: []string{
			"internal/provider/mountsea imports internal/config: a driver imports provider, provider/rest and fault, and no other driver",
			"internal/provider/mountsea imports internal/provider/kie: a driver imports provider, provider/rest and fault, and no other driver",
		},
	},
	{
		rule: "importers",
		files: map[string]string{
			"internal/api/api.go":    "package api\nimport (\"example.com/m/cmd/segue/app\"; \"example.com/m/internal/provider/kie\"; \"example.com/m/internal/provider/drivertest\")",
			"handlers/handlers.go":   "package handlers\nimport (\"example.com/m/internal/archtest\"; \"example.com/m/internal/e2e\")",
			"internal/api/a_test.go": "package api\nimport \"example.com/m/internal/e2e\"",
		},
		want: []string{
			"handlers imports internal/archtest: archtest holds tests",
			"handlers imports internal/e2e: e2e holds tests",
			"internal/api imports cmd/segue/app: cmd is the wiring; nothing stands above it",
			"internal/api imports internal/provider/drivertest: drivertest is for tests; no product code may need it",
			"internal/api imports internal/provider/kie: drivers are reached through provider/all, the explicit registry",
		},
	},
	{
		rule:  "layout",
		files: map[string]string{"pkg/x/x.go": "package x", "notes.txt": "", "tasks/tasks.go": "", "tasks/tasks_test.go": ""},
		want: []string{
			"pkg: the top level is the project's card; this has no place on it",
			"tasks: a rule speaks of this package, and it is not there",
		},
	},
	{
		rule: "names",
		files: map[string]string{
			"internal/util/util.go":       "package util",
			"internal/api/helpers/x.go":   "package x",
			"internal/session/session.go": "package types",
		},
		want: []string{
			"internal/api/helpers: a package of this name is for anything; name it by what it is for",
			"internal/session/session.go: package types is for anything; name it by what it is for",
			"internal/util: a package of this name is for anything; name it by what it is for",
		},
	},
	{
		rule: "process",
		files: map[string]string{
			"internal/config/config.go": "package config\nimport (\"os\"; v \"github.com/spf13/viper\")\nfunc f() {\n_ = os.Getenv(\"HOME\")\nv.New().AutomaticEnv()\n_ = os.Args\n}",
			"internal/api/api.go":       "package api\nimport \"os/signal\"\nvar _ = signal.Notify",
			"internal/api/exit.go":      "package api\nimport (sys \"os\"; . \"syscall\"; \"log\")\nfunc f() {\nsys.Exit(1)\nlog.Fatal(1)\n}",
			"internal/api/gen.go":       "//go:build ignore\n\npackage main\nimport \"os\"\nvar _ = os.Args",
			"internal/api/api_test.go":  "package api\nimport \"os\"\nvar _ = os.Getenv(\"CI\")",
			"internal/apitest/t.go":     "package apitest\nimport \"os\"\nvar _ = os.Getenv(\"CI\")",
		},
		want: []string{
			"internal/api/api.go:2: os/signal: only cmd reads the environment, exits or listens for signals",
			"internal/api/exit.go:2: dot import of syscall: only cmd reads the environment, exits or listens for signals",
			"internal/api/exit.go:4: os.Exit: only cmd reads the environment, exits or listens for signals",
			"internal/api/exit.go:5: log.Fatal: only cmd reads the environment, exits or listens for signals",
			"internal/config/config.go:4: os.Getenv: only cmd reads the environment, exits or listens for signals",
			"internal/config/config.go:5: AutomaticEnv: only cmd reads the environment, exits or listens for signals",
			"internal/config/config.go:6: os.Args: only cmd reads the environment, exits or listens for signals",
		},
	},
	{
		rule: "producer",
		files: map[string]string{
			"enqueue/enqueue.go":          "package enqueue\nimport \"example.com/m/internal/session\"",
			"internal/session/session.go": "package session\nimport (\"github.com/spf13/viper\"; \"github.com/spf13/cast\"; \"github.com/minio/minio-go/v7\")",
		},
		want: []string{
			"enqueue pulls in github.com/minio/minio-go/v7 (github.com/minio/minio-go/v7): asynq, go-redis, uuid and what those need, no more",
			"enqueue pulls in github.com/spf13/viper (github.com/spf13/viper): asynq, go-redis, uuid and what those need, no more",
		},
	},
	{
		rule: "standalone",
		files: map[string]string{
			"tasks/tasks.go":          "package tasks\nimport (\"example.com/m/internal/fault\"; \"github.com/hibiken/asynq\"; \"time\")",
			"internal/fault/fault.go": "package fault\nimport (\"errors\"; \"example.com/m/internal/session\")",
		},
		want: []string{
			"internal/fault imports internal/session: everything imports fault, so it imports nothing of ours",
			"tasks imports example.com/m/internal/fault: tasks is for every producer, and imports the standard library alone",
			"tasks imports github.com/hibiken/asynq: tasks is for every producer, and imports the standard library alone",
		},
	},
	{
		rule: "strangers",
		files: map[string]string{
			"internal/simulator/kie.go": "package simulator\nimport \"example.com/m/internal/wire\"",
			"internal/wire/wire.go":     "package wire\nimport \"example.com/m/internal/provider/rest\"",
		},
		want: []string{"internal/simulator reaches internal/provider/rest: simulator and drivers share no code"},
	},
	{
		rule: "strangers",
		files: map[string]string{
			"internal/provider/rest/rest.go": "package rest\nimport \"example.com/m/internal/simulator\"",
		},
		want: []string{
			"internal/provider/all reaches internal/simulator: simulator and drivers share no code",
			"internal/provider/kie reaches internal/simulator: simulator and drivers share no code",
			"internal/provider/rest reaches internal/simulator: simulator and drivers share no code",
		},
	},
}

// TestRules shows that each rule catches what it is there for, and that no
// rule goes without such a proof.
func TestRules(t *testing.T) {
	proven := make(map[string]bool)
	for _, v := range violations {
		proven[v.rule] = true
		t.Run(v.rule, func(t *testing.T) {
			sources := maps.Clone(sound)
			for name, text := range v.files {
				sources[name] = text
				if text == "" {
					delete(sources, name)
				}
			}
			if diff := cmp.Diff(v.want, rules[v.rule](plant(t, sources))); diff != "" {
				t.Errorf("rule %s (-want +got):\n%s", v.rule, diff)
			}
		})
	}
	for name := range rules {
		if !proven[name] {
			t.Errorf("rule %s: no case shows that it catches anything", name)
		}
	}
}

// compile type-checks one file; it may import "secret/internal/vault" and what
// the standard library holds.
func compile(t *testing.T, text string) *types.Package {
	t.Helper()
	fset := token.NewFileSet()
	vault := checked(t, fset, "secret/internal/vault", "package vault\ntype Key struct{}\ntype Err struct{}\nfunc (Err) Error() string { return \"\" }", nil)
	return checked(t, fset, "secret/enqueue", text, map[string]*types.Package{"secret/internal/vault": vault})
}

func checked(t *testing.T, fset *token.FileSet, importPath, text string, known imports) *types.Package {
	t.Helper()
	file, err := parser.ParseFile(fset, importPath+".go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Importer: known}
	pkg, err := conf.Check(importPath, fset, []*ast.File{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// imports gives packages by path, and the standard library's from source.
type imports map[string]*types.Package

func (i imports) Import(p string) (*types.Package, error) {
	if known := i[p]; known != nil {
		return known, nil
	}
	return importer.Default().Import(p)
}

// TestExposed shows that internal types are found wherever an exported name
// can carry one, and are nobody's business where none does.
func TestExposed(t *testing.T) {
	const head = "package enqueue\nimport v \"secret/internal/vault\"\nvar _ v.Key\n"
	for _, tt := range []struct {
		name, text string
		want       []string // what exposes; the type is always vault's Key or Err
	}{
		{"parameter", "func F(v.Key) {}", []string{"enqueue.F"}},
		{"result", "func F() (int, *v.Key) { return 0, nil }", []string{"enqueue.F"}},
		{"field", "type T struct{ K []v.Key }", []string{"enqueue.T.K"}},
		{"map key", "var M map[v.Key]int", []string{"enqueue.M"}},
		{"channel of functions", "var C chan func(v.Key)", []string{"enqueue.C"}},
		{"method", "type T struct{}\nfunc (*T) M(v.Key) {}", []string{"enqueue.T.M"}},
		{"method of an unexported type that is returned", "type t struct{}\nfunc (t) M() v.Key { return v.Key{} }\nfunc F() t { return t{} }", []string{"enqueue.F.M"}},
		{"embedded", "type T struct{ v.Key }", []string{"enqueue.T.Key"}},
		{"embedded at second hand", "type t struct{ K v.Key }\ntype T struct{ t }", []string{"enqueue.T.t.K"}},
		{"alias", "type T = v.Key", []string{"enqueue.T"}},
		{"definition", "type T v.Key\ntype U struct{ T }", nil},
		{"interface", "type I interface{ M(v.Key) }", []string{"enqueue.I.M"}},
		{"type argument", "type G[T any] struct{ v T }\nfunc F() G[v.Key] { return G[v.Key]{} }", []string{"enqueue.F"}},
		{"constraint", "func F[T v.Key | int](T) {}", []string{"enqueue.F"}},
		{"inferred error variable", "var ErrX = v.Err{}", []string{"enqueue.ErrX"}},
		{"error as error", "var ErrX error = v.Err{}", nil},
		{"hidden field", "type T struct{ k v.Key }", nil},
		{"unexported function", "func f(v.Key) {}", nil},
		{"nothing", "func F(int) error { return nil }", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, violation := range exposed(compile(t, head+tt.text)) {
				where, _, _ := strings.Cut(violation, " exposes secret/internal/vault.")
				got = append(got, where)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}
