// Package deploy_test holds what this folder promises: that the files parse,
// name things that exist, agree with each other and with the program's
// defaults, and let a worker drain before anybody kills it.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/config"
)

// subcommands are those of the command line's documentation.
var subcommands = []string{
	"run", "submit", "status", "sessions", "items", "results", "cancel", "retry", "resolve", "plan", "worker", "serve",
	"scheduler", "up", "schedule", "accounts", "ledger", "sim", "certify", "doctor", "config", "rebuild", "version", "demo",
}

// drain is worker.drain's documented default.
const drain = 25 * time.Second

// margin is what a role may take beyond its drain: closing connections, the
// last writes, a slow machine.
const margin = 10 * time.Second

// drivers are those that the configurations here name.
var drivers = []config.Driver{{Name: "mountsea"}, {Name: "sim", Keyless: true}}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads one of the configurations as a deployment would, with its secrets
// in a folder of the test's own.
func load(t *testing.T, file string, environ []string) *config.Config {
	t.Helper()
	secrets := t.TempDir()
	for _, name := range []string{"mountsea_api_key", "api_token"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte("not-a-key\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	moved := filepath.Join(t.TempDir(), "segue.yaml")
	text := strings.ReplaceAll(read(t, file), "/run/secrets", secrets)
	if err := os.WriteFile(moved, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, e := range environ {
		environ[i] = strings.ReplaceAll(e, "%d", secrets)
	}
	c, err := config.Load(config.Options{File: moved, Environ: environ, Drivers: drivers, Home: t.TempDir()})
	if err != nil {
		t.Fatalf("%s with %q:\n%v", file, environ, err)
	}
	return c
}

func TestDrainIsTheDocumentedOne(t *testing.T) {
	c, err := config.Load(config.Options{Drivers: drivers, Home: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if c.Worker.Drain != drain {
		t.Errorf("worker.drain is %v by default, want %v; compose.yaml and the units rest on it", c.Worker.Drain, drain)
	}
	for _, file := range []string{"segue.yaml", "segue.sim.yaml"} {
		if got := load(t, file, nil).Worker.Drain; got != drain {
			t.Errorf("%s: worker.drain %v, want %v", file, got, drain)
		}
	}
}

// checkStop compares a supervisor's patience with the drain.
func checkStop(t *testing.T, where, limit string) {
	t.Helper()
	got, err := time.ParseDuration(limit)
	if err != nil {
		t.Errorf("%s: stop limit %q: %v", where, limit, err)
		return
	}
	if got < drain+margin {
		t.Errorf("%s kills after %v, want at least %v (drain) + %v", where, got, drain, margin)
	}
}

// checkCommand wants a documented subcommand first.
func checkCommand(t *testing.T, where string, args []string) {
	t.Helper()
	if len(args) == 0 || !slices.Contains(subcommands, args[0]) {
		t.Errorf("%s runs `segue %s`, which is no subcommand", where, strings.Join(args, " "))
	}
}

// TestCommandsRun asks the program itself for every command that a file here
// runs: that it is there, and that it has the flags.
func TestCommandsRun(t *testing.T) {
	segue := filepath.Join(t.TempDir(), "segue")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", segue, "../cmd/segue")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	commands := map[string][]string{"Dockerfile": {"version"}}
	for name, s := range compose(t).ours() {
		commands["compose.yaml "+name] = s.Command
	}
	for _, name := range services {
		commands[name] = strings.Fields(readUnit(t, name).one(t, "ExecStart"))[1:]
	}
	for where, args := range commands {
		help := exec.CommandContext(t.Context(), segue, args[0], "--help")
		help.Env = []string{"HOME=" + t.TempDir()}
		out, err := help.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "segue "+args[0]) {
			t.Errorf("%s: segue %s --help: %v\n%s", where, args[0], err, out)
			continue
		}
		for _, flag := range args[1:] {
			if strings.HasPrefix(flag, "--") && !strings.Contains(string(out), flag+" ") {
				t.Errorf("%s: segue %s has no %s", where, args[0], flag)
			}
		}
	}
}

// pinned is an image with a tag that begins with a version.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:(v?\d[\w.-]*|local)$`)

func checkImage(t *testing.T, where, image string) {
	t.Helper()
	if !pinned.MatchString(image) {
		t.Errorf("%s: image %q, want one that is pinned by a version tag", where, image)
	}
}

func TestPinned(t *testing.T) {
	for image, want := range map[string]bool{
		"redis:7.4": true, "golang:1.26.8": true, "ghcr.io/segue-audio/segue:v1.2.3": true, "segue:local": true,
		"redis": false, "redis:latest": false, "redis:alpine": false,
	} {
		if got := pinned.MatchString(image); got != want {
			t.Errorf("image %q pinned: got %v, want %v", image, got, want)
		}
	}
}
