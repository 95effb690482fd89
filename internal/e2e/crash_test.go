//go:build unix

package e2e_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/segue-audio/segue/internal/simulator"
)

// harmless are faults that delay or repeat what is free and never leave a charge
// in doubt: what is held in their presence was held for another reason.
func harmless() simulator.Faults {
	return simulator.Faults{
		simulator.Delay: 0.25, simulator.RateLimited: 0.03, simulator.Maintenance: 0.01, simulator.StatusError: 0.05,
		simulator.CDNCut: 0.05, simulator.CDNMissing: 0.05, simulator.CDNSlow: 0.05, simulator.CDNPage: 0.02,
	}
}

// TestCrash is the promise as a whole: fifty songs of all formats, two workers, one
// of them killed in the middle and the other one restarted. Every song ends, each
// is paid for once, and the results are complete and in order.
//
// A song whose paid request was on its way when the worker was killed is held:
// nobody can tell from here whether it was accepted. The test then does what the
// operator does, by the provider's own list.
func TestCrash(t *testing.T) {
	t.Parallel()
	s := onRedis(t, slowly)
	s.provider.Faults(harmless())
	songs := mixed(t, t.TempDir(), 50)
	victim, other := s.worker("victim"), s.worker("other")
	id := s.submit(songs)

	s.provider.AwaitCharges(33)
	victim.Kill()
	s.provider.AwaitCharges(50)
	s.restart(other, "successor")

	st, code := s.watch(id)
	held := st.Held()
	if (code == 8) != (len(held) > 0) {
		t.Errorf("exit code %d with %d held items", code, len(held))
	}
	killed := fmt.Sprintf("-%d-", victim.PID())
	for _, it := range held {
		if !strings.Contains(it.Error.Reason, killed) || !strings.Contains(it.Error.Reason, "died") || it.Error.Charge != "unknown" {
			t.Errorf("%s is held because %q, charge %q; want only what the killed worker (pid %d) was sending",
				it.Source, it.Error.Reason, it.Error.Charge, victim.PID())
		}
	}
	t.Logf("%d songs were held after the kill", len(held))
	if len(held) > 0 {
		s.resolve(held)
		st, code = s.watch(id)
	}
	if code != 0 {
		t.Errorf("exit code %d at the end, want 0", code)
	}
	s.provider.Faults(simulator.Faults{})
	fulfilled(t, s.provider, songs, st)
	archived(t, s.provider, filepath.Join(s.dir, "archive"), st)
	s.settledOnce(id)
}

// TestRollingRestart restarts three workers one after another while they work.
// Nothing is lost, repeated or held: a worker that is told to stop finishes what it
// has begun.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	s := onRedis(t, slowly)
	s.provider.Faults(harmless())
	songs := tones(t, t.TempDir(), 60)
	var workers []*process
	for n := range 3 {
		workers = append(workers, s.worker(fmt.Sprintf("worker %d", n)))
	}
	id := s.submit(songs)
	for n, w := range workers {
		s.provider.AwaitCharges(25 * (n + 1))
		s.restart(w, fmt.Sprintf("worker %d again", n))
	}
	st, code := s.watch(id)
	if code != 0 {
		t.Errorf("exit code %d, want 0; held: %+v", code, st.Held())
	}
	s.provider.Faults(simulator.Faults{})
	fulfilled(t, s.provider, songs, st)
	archived(t, s.provider, filepath.Join(s.dir, "archive"), st)
	s.settledOnce(id)
}

// restart stops a worker as a supervisor does, and starts another one.
func (s *system) restart(w *process, name string) {
	s.t.Helper()
	w.Signal(syscall.SIGTERM)
	if code := w.Wait(drain); code != 0 {
		s.t.Errorf("%s: exit code %d after SIGTERM, want 0", w.Name, code)
	}
	s.worker(name)
}

// settledOnce holds the session's own record to one completion, settled once.
func (s *system) settledOnce(id string) {
	s.t.Helper()
	completions, settled := field(s.t, s.rdb, id, "completions"), field(s.t, s.rdb, id, "settled")
	if completions != "1" || settled != "1" {
		s.t.Errorf("%s completions, %s settled; want 1 and 1", completions, settled)
	}
}
