package archtest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// walk is CONTRIBUTING.md's "Adding a provider", done for a provider that does
// not exist: what is added and changed at each step, and what the rule about
// complete providers still finds missing after it. Files come from testdata/walk.
var walk = []struct {
	step    string
	adds    []string
	changes []change
	missing []string
}{
	{
		step: "the driver",
		adds: []string{"internal/provider/chime/chime.go"},
		missing: []string{
			"internal/provider/chime: not registered in internal/provider/all",
			"internal/provider/chime: no conformance run (drivertest.Run in a test)",
			"internal/provider/chime: no fake of it (internal/simulator/chime.go)",
		},
	},
	{
		step: "the registry",
		changes: []change{
			{"internal/provider/all/all.go", "\tr.Register(kie.Apikley())\n", "\tr.Register(kie.Apikley())\n\tr.Register(chime.Info(), chime.Open)\n"},
			{"internal/provider/all/all.go", "\t\"github.com/segue-audio/segue/internal/provider\"\n", "\t\"github.com/segue-audio/segue/internal/provider\"\n\t\"github.com/segue-audio/segue/internal/provider/chime\"\n"},
			{"internal/provider/all/all_test.go", "{\"apikley\", \"kie\", ", "{\"apikley\", \"chime\", \"kie\", "},
			{"internal/provider/all/all_test.go", "\"https://api.apikley.ru\", ", "\"https://api.apikley.ru\", \"chime\": \"https://api.chime.invalid\", "},
		},
		missing: []string{
			"internal/provider/chime: no conformance run (drivertest.Run in a test)",
			"internal/provider/chime: no fake of it (internal/simulator/chime.go)",
		},
	},
	{
		step: "the fake",
		adds: []string{"internal/simulator/chime.go"},
		changes: []change{
			{"internal/simulator/frame.go", "slices.Concat(mountsea(), ", "slices.Concat(chime(), mountsea(), "},
			{"internal/simulator/options.go", "\t\"kie.extend\": 12, ", "\t\"chime.upload\": 1, \"chime.extend\": 5,\n\t\"kie.extend\": 12, "},
		},
		missing: []string{"internal/provider/chime: no conformance run (drivertest.Run in a test)"},
	},
	{
		step: "the conformance run",
		adds: []string{"internal/provider/chime/chime_test.go"},
	},
}

// change replaces one text of a file, which must stand there once.
type change struct{ file, old, new string }

// TestWalk takes every step in a copy of this repository. In the end all rules
// hold there, the driver passes its conformance run against its fake, and the
// table of providers has it.
func TestWalk(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and tests a copy of the repository")
	}
	root := copied(t)
	for _, step := range walk {
		for _, name := range step.adds {
			write(t, filepath.Join(root, name), read(t, filepath.Join("testdata", "walk", name)))
		}
		for _, c := range step.changes {
			c.apply(t, root)
		}
		if diff := cmp.Diff(step.missing, complete(loaded(t, root, "./internal/provider/...", "./internal/simulator"))); diff != "" {
			t.Errorf("after %q, what is missing (-want +got):\n%s", step.step, diff)
		}
	}
	repository := loaded(t, root, "./...")
	for name, rule := range rules {
		for _, violation := range rule(repository) {
			t.Errorf("rule %s, after the walk: %s", name, violation)
		}
	}
	inside(t, root, "test", "-count=1", "./internal/provider/chime", "./internal/provider/all")
	inside(t, root, "generate", "./internal/provider/all")
	if table := read(t, filepath.Join(root, "docs", "providers-table.md")); !strings.Contains(table, "| `chime` | https://api.chime.invalid | 1 | 5 |") {
		t.Errorf("docs/providers-table.md has no row of the new provider:\n%s", table)
	}
}

// copied copies the repository to where the test may change it, without what no
// build needs.
func copied(t *testing.T) string {
	t.Helper()
	from, to := filepath.Join("..", ".."), t.TempDir()
	// What the demo or a developer left beside the repository is no part of it.
	tops, err := entries(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata" || entry.Name() == "node_modules" || name == "bin"):
			return filepath.SkipDir
		case entry.IsDir() && name != "." && filepath.Dir(name) == "." && !slices.Contains(tops, name):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || strings.HasSuffix(name, ".test"):
			return nil
		}
		write(t, filepath.Join(to, name), read(t, path))
		return nil
	})
	if err != nil {
		t.Fatalf("copying the repository: %v", err)
	}
	return to
}

func (c change) apply(t *testing.T, root string) {
	t.Helper()
	path := filepath.Join(root, c.file)
	text := read(t, path)
	if n := strings.Count(text, c.old); n != 1 {
		t.Fatalf("%s has %q %d times, want once: the walk leads elsewhere now; see CONTRIBUTING.md", c.file, c.old, n)
	}
	write(t, path, strings.Replace(text, c.old, c.new, 1))
}

// inside runs the go command in the copy. Trimmed paths let the build cache serve
// every copy that has the same content.
func inside(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go %s, in the copy: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
