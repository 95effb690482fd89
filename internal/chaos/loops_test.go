//go:build unix

package chaos_test

import (
	"testing"
	"time"
)

// TestLoops repeats one fault for half a minute, in the long form: what it breaks is
// then known by its name.
func TestLoops(t *testing.T) {
	if !long() {
		t.Skip("takes many minutes: -chaos.seeds or -chaos.minutes")
	}
	const workers, length = 3, 30 * time.Second
	for _, tt := range []struct {
		name  string
		every time.Duration
		fault func(p *plan, at time.Duration, worker int)
	}{
		{"workers killed", 700 * time.Millisecond, (*plan).killWorker},
		{"workers replaced", 1500 * time.Millisecond, (*plan).replaceWorker},
		{"workers frozen", 2 * time.Second, (*plan).stopWorker},
		{"redis killed", 4 * time.Second, (*plan).killRedis},
		{"clients cut", 500 * time.Millisecond, (*plan).cutClients},
		{"scripts flushed", 300 * time.Millisecond, (*plan).flushScripts},
		{"queues deleted", 5 * time.Second, (*plan).wipeQueues},
		{"redis slow", time.Second, (*plan).slowRedis},
		{"redis frozen", time.Second, (*plan).freezeRedis},
		{"redis reset", 500 * time.Millisecond, (*plan).resetRedis},
		{"redis cut", 500 * time.Millisecond, (*plan).cutRedis},
		{"provider reset", 2 * time.Second, (*plan).resetProvider},
		{"provider cut", 2 * time.Second, (*plan).cutProvider},
		{"callbacks shut out", 3 * time.Second, (*plan).shutGate},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlan(1)
			for n, at := 0, time.Second; at < length; n, at = n+1, at+tt.every {
				tt.fault(p, at, n%workers)
			}
			p.order()
			p.shifts = make([]time.Duration, workers)
			planned(t, 1, p, 60)
		})
	}
}
