//go:build unix

package chaos_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// A frozen process is not a dead one: it is taken for dead, its work is given to
// others, and then it goes on where it was. A long pause of a virtual machine does it.

// TestFrozenInFlight freezes a worker whose paid requests are at the provider, and
// wakes it when others have been told that it is dead.
func TestFrozenInFlight(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	r := assemble(t, setup{seed: 1, workers: 2, calls: 8, answer: 2500})
	first, second := r.workers[0], r.workers[1]
	first.start()
	for _, v := range vendorsNamed("kie", "mountsea", "kkiai") {
		r.submit(v, 6)
	}
	r.provider.AwaitCharges(6)
	first.process.Signal(syscall.SIGSTOP)
	second.start()
	second.awaitReady()
	r.awaitDead()
	if long() {
		r.t.Log("waiting until every claim is over")
		time.Sleep(pastClaims)
	}
	first.process.Signal(syscall.SIGCONT)
	r.calm()
	r.finish(wait())
	r.judge()
}

// pastClaims is longer than a claim of a paid step lasts (2 min), and than the minute
// more for which a claim of a worker that fell silent is believed.
const pastClaims = 200 * time.Second

// wait is how long a run may take to end when its faults are over.
func wait() time.Duration {
	if long() {
		return 9 * time.Minute
	}
	return 2 * time.Minute
}

// TestFrozenBeforeSending freezes a worker that has claimed items whose paid requests
// have not left, and wakes it when others have been told that it is dead; in the long
// form only when an operator has had them sent by others. Late or never, none of them is paid
// for twice.
func TestFrozenBeforeSending(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	const songs = 40
	r := assemble(t, setup{seed: 2, workers: 2, calls: 8, answer: 300})
	first, second := r.workers[0], r.workers[1]
	// With one thread, much that is claimed waits for its turn to be sent.
	first.env = []string{"GOMAXPROCS=1"}
	first.start()
	s := r.submit(vendorsNamed("mountsea")[0], songs)
	unsent := 0
	for attempt := 1; unsent == 0; attempt++ {
		r.awaitClaim(s)
		first.process.Signal(syscall.SIGSTOP)
		if unsent = r.unsent(s); unsent == 0 {
			first.process.Signal(syscall.SIGCONT)
		}
		if attempt == 500 {
			t.Skip("the worker was never caught between claiming and sending")
		}
	}
	t.Logf("frozen with %d requests claimed and not sent", unsent)
	second.start()
	second.awaitReady()
	r.awaitDead()
	if long() {
		r.t.Log("waiting until every claim is over, and sending the requests anew")
		time.Sleep(pastClaims)
		st := r.status(s)
		r.decide(s, st, func(*proctest.Item) bool { return true })
		proctest.Eventually(t, 3*time.Minute, "every song is paid for", func() bool { return len(r.provider.Charges()) >= 2*songs })
	}
	first.process.Signal(syscall.SIGCONT)
	r.calm()
	r.finish(wait())
	r.judge()
}

// awaitClaim waits until some paid request is claimed and unanswered.
func (r *rig) awaitClaim(s *submitted) {
	r.t.Helper()
	timeout := time.After(time.Minute)
	for r.redis.claimed(s.id) == 0 {
		select {
		case <-timeout:
			r.t.Fatal("nothing was claimed within a minute")
		default:
		}
	}
}

// unsent counts the claims of frozen workers whose request has not reached the
// provider: those that are neither charged nor recorded as accepted.
func (r *rig) unsent(s *submitted) int {
	r.t.Helper()
	const passage = 100 * time.Millisecond
	time.Sleep(passage) // what has left arrives
	accepted := 0
	for _, it := range r.status(s).Items {
		accepted += len(it.OperationIDs)
	}
	return r.redis.claimed(s.id) - (len(r.provider.Charges()) - accepted)
}

// awaitDead waits until no claim of a paid request is left: its worker is taken for
// dead.
func (r *rig) awaitDead() {
	r.t.Helper()
	proctest.Eventually(r.t, time.Minute, "the claims of the frozen worker are taken from it", func() bool {
		for _, s := range r.sessions {
			if r.redis.silent(s.id, r.workers[0].process.PID()) > 0 {
				return false
			}
		}
		return true
	})
}
