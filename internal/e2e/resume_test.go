//go:build unix

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

// TestResume interrupts segue run on its embedded Redis in the middle, by Ctrl-C
// and as a crash does, and gives the same command again. It goes on where it was,
// pays for nothing twice, and no redis-server is left behind.
func TestResume(t *testing.T) {
	needsRedisServer(t)
	for _, tt := range []struct {
		name      string
		interrupt func(*process)
		code      int
		says      string
		mayHold   bool
	}{
		{name: "Ctrl-C", interrupt: (*process).Interrupt, code: 130, says: "segue: stopped; nothing is lost"},
		// Killed by a signal there is no exit code, and what was on its way is in doubt.
		{name: "SIGKILL", interrupt: (*process).Kill, code: -1, mayHold: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := onEmbedded(t, program(t), slowly, "--extend-time", "2s")
			s.provider.Faults(simulator.Faults{simulator.Delay: 0.25})
			songs := mixed(t, t.TempDir(), 12)
			first := s.see(songs)
			awaitExtends(t, s.provider, len(songs), 3)
			if got := len(s.redisServers()); got != 1 && runtime.GOOS == "linux" {
				t.Errorf("%d redis-servers while segue run is at work, want 1", got)
			}
			tt.interrupt(first)
			if code := first.Wait(drain); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(first.Stderr.String(), tt.says) {
				t.Errorf("stderr does not say %q:\n%s", tt.says, first.Stderr)
			}
			if got := len(s.provider.Charges()); got >= 24 {
				t.Fatalf("%d charges when it ended: it was not interrupted in the middle", got)
			}
			s.noRedisServer()

			st, resumed := s.seeOn(songs)
			if len(resumed) != 1 && !tt.mayHold {
				t.Errorf("the command was needed %d times more, want once: nothing is in doubt after it stopped cleanly", len(resumed))
			}
			fulfilled(t, s.provider, songs, st)
			archived(t, s.provider, filepath.Join(s.dir, "archive"), st)
			for _, p := range resumed {
				if want := "going on with session " + st.SessionID; !strings.Contains(p.stderr, want) {
					t.Errorf("stderr does not say %q:\n%s", want, p.stderr)
				}
			}
			s.noRedisServer()
		})
	}
}

// awaitExtends waits until the provider has all uploads and a number of extensions
// has begun. Until it has the uploads, it needs the very process that the test is
// about to end: only that one serves the files.
func awaitExtends(t testing.TB, p *provider, uploads, extends int) {
	t.Helper()
	what := fmt.Sprintf("%d uploads and %d extensions", uploads, extends)
	proctest.Eventually(t, 2*time.Minute, what, func() bool {
		count := map[string]int{}
		for _, c := range p.Charges() {
			count[c.Endpoint]++
		}
		return count["mountsea.item"] == uploads && count["mountsea.generate"] >= extends && p.State().Downloads == 0
	})
}

// command is the command that is given again and again.
func (s *system) command(songs []song) []string {
	return append([]string{"run", "--provider", "mountsea", "--extend", "--continue-at", "-1", "--json"}, proctest.Paths(songs)...)
}

// see starts segue run in a process group, as a shell does.
func (s *system) see(songs []song) *process {
	s.t.Helper()
	l := s.launch("segue run", s.command(songs)...)
	l.Group = true
	return proctest.Start(s.t, l)
}

// seeOn gives the command again until everything has succeeded, and decides about
// what is held as the operator does.
func (s *system) seeOn(songs []song) (*status, []output) {
	s.t.Helper()
	var all []output
	for range 3 {
		out := s.run(3*time.Minute, s.command(songs)...)
		all = append(all, out)
		if out.code != 0 && out.code != 8 {
			s.t.Fatalf("the same command again: exit code %d, want 0 or 8 (held)\n%s", out.code, out.stderr)
		}
		st := proctest.Decode(s.t, out.stdout)
		if out.code == 0 {
			return st, all
		}
		s.resolve(st.Held())
	}
	s.t.Fatal("items are held again after each was decided about")
	return nil, nil
}

// redisServers are the processes that work in the state directory: the embedded
// Redis, whoever its parent is by now. Only Linux tells, and only there does a
// server end with a parent that was killed; elsewhere the next command ends it.
func (s *system) redisServers() []string {
	s.t.Helper()
	home, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		s.t.Fatal(err)
	}
	var found []string
	for _, link := range links {
		dir, err := os.Readlink(link) // fails for zombies and for what has just ended
		if err == nil && dir == filepath.Join(home, "state", "redis") {
			found = append(found, filepath.Dir(link))
		}
	}
	return found
}

// noRedisServer waits until the embedded Redis is gone.
func (s *system) noRedisServer() {
	s.t.Helper()
	proctest.Eventually(s.t, 20*time.Second, "no redis-server is left behind", func() bool { return len(s.redisServers()) == 0 })
}
