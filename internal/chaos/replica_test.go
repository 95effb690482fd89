//go:build unix

package chaos_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// TestReplicaPromoted takes the master away when its replica has not heard of the
// last seconds, and lets the replica take over. It has forgotten what was recorded
// then, but no intent: a request that it does not know of was not sent.
func TestReplicaPromoted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	r, paid := failover(t, setup{seed: 3, workers: 2, calls: 4, answer: 800})
	// Two workers make four uploads and four calls at once.
	if paid > 16 {
		t.Errorf("%d requests were charged while the replica lagged, want at most those that were under way", paid)
	}
	r.judge()
}

// TestReplicaPromotedUnwaited is the same without waiting for the replica: songs are
// then paid for twice. It is here for the suite, which must see that.
func TestReplicaPromotedUnwaited(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	r, _ := failover(t, setup{seed: 3, workers: 2, calls: 4, answer: 800, redis: ", wait_replicas: 0"})
	found := r.books().findings()
	if !slices.ContainsFunc(found, func(finding string) bool { return strings.HasPrefix(finding, "extra charge: 2 times") }) {
		t.Errorf("a replica that had forgotten intents took over, and nothing was paid twice, or the oracle is blind: %q", found)
	}
}

// failover runs an installation whose master dies while its replica lags, and lets it
// end on the replica. It gives how much was paid for that the replica never heard of.
func failover(t *testing.T, with setup) (r *rig, paid int) {
	t.Helper()
	r = assemble(t, with)
	replica, link := startRedis(t), lay(t, "replication", r.redis.address)
	replica.follow(link.address())
	for _, w := range r.workers {
		w.start()
		w.awaitReady()
	}
	for _, v := range vendorsNamed("kie", "mountsea", "kkiai") {
		r.submit(v, 8)
	}
	r.provider.AwaitCharges(6)
	link.spoil(frozen(back))
	before := len(r.provider.Charges())
	const lag = 3 * time.Second
	time.Sleep(lag) // what the replica misses
	missed := replica.lag(r.redis)
	r.redis.kill()
	paid = len(r.provider.Charges()) - before
	link.mend()
	replica.do("REPLICAOF", "NO", "ONE")
	r.promote(replica)
	if missed <= 0 {
		t.Errorf("the replica had missed %d bytes, want some: nothing was tested", missed)
	}
	t.Logf("promoted %d bytes behind; %d charges before the lag, %d in it", missed, before, paid)
	if !long() {
		// A claim of a worker that lives is waited for until it is over: two minutes.
		for _, w := range r.workers {
			w.process.Kill()
		}
	}
	r.calm()
	r.finish(wait())
	return r, paid
}

// promote leads everybody to another server.
func (r *rig) promote(to *server) {
	r.redis = to
	r.front.lead(to.address)
	for _, w := range r.workers {
		w.toRedis.lead(to.address)
	}
}

// follow makes the server a replica of what is at an address, and waits until it has
// all that is there.
func (s *server) follow(address string) {
	s.t.Helper()
	host, port, _ := strings.Cut(address, ":")
	s.do("REPLICAOF", host, port)
	proctest.Eventually(s.t, 20*time.Second, "the replica is up to date", func() bool {
		return s.info("replication", "master_link_status") == "up"
	})
}

// lag is how many bytes of its master's writes a replica has not heard of.
func (s *server) lag(master *server) int {
	s.t.Helper()
	return number(s.t, master.info("replication", "master_repl_offset")) - number(s.t, s.info("replication", "slave_repl_offset"))
}

// info reads a line of INFO.
func (s *server) info(section, name string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := s.rdb.Info(ctx, section).Result()
	if err != nil {
		s.t.Fatalf("INFO %s: %v", section, err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return value
		}
	}
	return ""
}
