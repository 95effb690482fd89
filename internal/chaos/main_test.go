//go:build unix

// Package chaos breaks what Segue stands on, while it works: workers, Redis, the
// connections between all of them, and their clocks. They are real processes, a real
// redis-server and real connections; the provider is the simulated one.
//
// A run is drawn from a seed: which faults, on whom, when, and for how long. When the
// faults are over, everything is let end, and the provider's own books decide: nothing
// was paid twice, nothing that was paid for is lost, the results are complete and in
// order, and every session was settled once. The order of events is the machine's, so
// a seed repeats the faults of a run and not their every effect.
//
//	go test ./internal/chaos                                        the short form
//	go test ./internal/chaos -timeout 0 -chaos.seeds=50             as many new seeds
//	go test ./internal/chaos -timeout 0 -chaos.minutes=60           new seeds for so long
//	go test ./internal/chaos -run TestSeeds -chaos.seed=N           one run again
//
// Seeds that once failed are kept in testdata/seeds.txt, and every form runs them.
package chaos_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

var (
	seedFlag    = flag.Uint64("chaos.seed", 0, "run this seed alone, as a failed run printed it")
	seedsFlag   = flag.Int("chaos.seeds", 0, "long form: how many new seeds to run")
	minutesFlag = flag.Float64("chaos.minutes", 0, "long form: run new seeds for so many minutes")
	lengthFlag  = flag.Duration("chaos.length", 0, "how long the faults of one run last (0: 12s, and 30s in the long form)")
)

// long says that time is no object: what takes minutes is tested too.
func long() bool { return *seedsFlag > 0 || *minutesFlag > 0 }

// buildDir is where this run's binary is.
var buildDir string

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait more than they work: small machines have room for several.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("4"); err != nil {
			panic(err)
		}
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "segue-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	buildDir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return code
}

// clockShift is the variable by which a process of the program built here is given a
// wrong clock: a duration such as -5m.
const clockShift = "CHAOS_CLOCK_SHIFT"

// underTest builds the program once: segue as it is shipped, but for its clock. Go
// programs ask the kernel for the time without going through the C library, so that
// nothing from outside can lie to them; a changed package time can. The monotonic
// clock stays right, as it does when an administrator sets the time.
var underTest = sync.OnceValues(func() (string, error) {
	overlay, err := wrongClock(filepath.Join(runtime.GOROOT(), "src", "time")) //nolint:staticcheck // the toolchain that builds this test builds the program too
	if err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "segue")
	return path, proctest.Build(path, false, "-overlay", overlay)
})

// wrongClock writes the overlay for go build: time.Now is later by clockShift.
func wrongClock(dir string) (overlay string, err error) {
	source, err := os.ReadFile(filepath.Join(dir, "time.go"))
	if err != nil {
		return "", err
	}
	const asks = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	if n := strings.Count(string(source), asks); n != 1 {
		return "", fmt.Errorf("time.Now of %s asks for the time in another way (%d places)", runtime.Version(), n)
	}
	changed := strings.Replace(string(source), asks, strings.Replace(asks, "\n", "\n	sec += shift\n", 1), 1)
	shift := fmt.Sprintf(`package time

import "syscall"

var shift = readShift()

func readShift() int64 {
	text, _ := syscall.Getenv(%q)
	d, err := ParseDuration(text)
	if err != nil {
		return 0
	}
	return int64(d / Second)
}
`, clockShift)
	replaced := map[string]string{}
	for name, text := range map[string]string{"time.go": changed, "shift.go": shift} {
		path := filepath.Join(buildDir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replaced[filepath.Join(dir, name)] = path
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(buildDir, "overlay.json")
	return overlay, os.WriteFile(overlay, text, 0o600)
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
