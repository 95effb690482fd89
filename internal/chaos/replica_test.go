//go:build unix

package chaos_test

import (
	"context"
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
	r := assemble(t, setup{seed: 3, workers: 2, calls: 4, answer: 800})
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
	lagging := time.Now()
	before := len(r.provider.Charges())
	const lag = 3 * time.Second
	time.Sleep(lag) // what the replica misses
	missed := replica.lag(r.redis)
	r.redis.kill()
	link.mend()
	replica.do("REPLICAOF", "NO", "ONE")
	r.promote(replica)
	if missed <= 0 {
		t.Errorf("the replica had missed %d bytes, want some: nothing was tested", missed)
	}
	t.Logf("promoted after %s, %d bytes behind; %d charges before the lag, %d at its end",
		time.Since(lagging).Round(time.Millisecond), missed, before, len(r.provider.Charges()))
	if !long() {
		// A claim of a worker that lives is waited for until it is over: two minutes.
		for _, w := range r.workers {
			w.process.Kill()
		}
	}
	r.calm()
	r.finish(wait())
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
