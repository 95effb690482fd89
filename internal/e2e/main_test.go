//go:build unix

// Package e2e holds whole-system tests: real processes of the segue binary, a
// real redis-server, the simulated provider as a process of its own, real audio
// files, and real signals.
//
// The tests know what a user knows: the command line, the configuration file,
// HTTP, and the files that are left behind. What a session should have come to is
// computed from the provider's own books, never from Segue's.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// The words of this package for what is started and judged here.
type (
	process  = proctest.Process
	launch   = proctest.Launch
	provider = proctest.Provider
	vendor   = proctest.Vendor
	song     = proctest.Song
	status   = proctest.Status
	item     = proctest.Item
	job      = proctest.Job
)

// seed repeats a run of the simulated provider as far as it depends on it: the
// order of events is the machine's.
var seed = flag.Int64("seed", 0, "seed of the simulated provider, as a failed test printed it (0: a new one each)")

// buildDir is where this run's binaries are.
var buildDir string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "segue-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	buildDir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

// underTest gives the path of the program under test, built once. When the tests run
// under the race detector, so does the program, and a race fails the test.
var underTest = sync.OnceValues(func() (string, error) { return build(proctest.UnderRace()) })

// asShipped is the program as it is shipped, for what measures or is large.
var asShipped = sync.OnceValues(func() (string, error) {
	if !proctest.UnderRace() {
		return underTest()
	}
	return build(false)
})

func build(race bool) (string, error) {
	path := filepath.Join(buildDir, fmt.Sprintf("segue-race-%t", race))
	return path, proctest.Build(path, race)
}

// program is underTest for tests.
func program(t testing.TB) string {
	t.Helper()
	path, err := underTest()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
