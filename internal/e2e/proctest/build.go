//go:build unix

// Package proctest runs Segue's own programs for tests that know what a user knows:
// real processes with real signals, a simulated provider in a process of its own, and
// that provider's books, by which everything is judged.
//
// Whatever is started ends with its test, and has to behave until then: a process
// that raced, panicked or printed a key fails the test.
package proctest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"time"
)

// Build builds segue as the file path, with the race detector or without. Further
// flags are those of go build.
func Build(path string, race bool, flags ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	args := append([]string{"build", fmt.Sprintf("-race=%t", race), "-o", path}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/segue-audio/segue/cmd/segue")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// UnderRace says whether this test binary was built with -race.
func UnderRace() bool {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return false
	}
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
}

// Environment is what a process is given: a home of its own, and the way to the
// programs of this machine. The tests' own variables stay out of it.
func Environment(home string) []string {
	return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "TZ=UTC"}
}
