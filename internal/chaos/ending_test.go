//go:build unix

package chaos_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

// paidAt is the endpoint that a step of a vendor is charged at.
func paidAt(v proctest.Vendor, step string) string {
	if step == "upload" && len(v.Paid) > 1 {
		return v.Paid[0]
	}
	return v.Paid[len(v.Paid)-1]
}

// calm ends every fault: connections are good, and a healthy worker is in every place.
func (r *rig) calm() {
	r.t.Helper()
	r.provider.Faults(simulator.Faults{})
	r.gate.shut.Store(false)
	if !r.redis.process.Running() {
		r.redis.start()
	}
	for _, w := range r.workers {
		w.toRedis.mend()
		w.toProvider.mend()
		w.process.Signal(syscall.SIGCONT)
		if !w.process.Running() {
			w.start()
		}
	}
	for _, w := range r.workers {
		w.awaitReady()
	}
	r.calmed = time.Now()
}

// stuck are the states that an item leaves by evidence or by a decision.
var stuck = []string{"held", "reconciling"}

// ripe says whether it is time for the operator to decide about an item in doubt. What
// is reconciling settles by itself where there is evidence, and where there is none it
// is held after the provider's horizon, half an hour. No form waits for that; the long
// one waits until the last chance of every request is over.
func (r *rig) ripe(it *proctest.Item) bool {
	// By then whatever a worker that was frozen had still to send has been charged.
	const arrived = 5 * time.Second
	patience := 12 * time.Second
	if long() {
		patience = 5 * time.Minute
	}
	calm := time.Since(r.calmed)
	return it.Status == "held" && calm > arrived || it.Status == "reconciling" && calm > patience
}

// over says whether an item has ended.
func over(it *proctest.Item) bool {
	return it.Status == "succeeded" || it.Status == "failed" || it.Status == "canceled"
}

// finish lets every session end, and decides about what is in doubt as an operator
// does who has the provider's own list.
func (r *rig) finish(atMost time.Duration) {
	r.t.Helper()
	began := time.Now()
	decisions := 0
	again := time.NewTicker(400 * time.Millisecond)
	defer again.Stop()
	for unfinished := []string{""}; len(unfinished) > 0; <-again.C {
		unfinished = nil
		for _, s := range r.sessions {
			open, decided := r.advance(s)
			unfinished, decisions = append(unfinished, open...), decisions+decided
		}
		if len(unfinished) > 0 && time.Since(began) > atMost {
			r.t.Fatalf("%d items have not ended within %s:\n%s", len(unfinished), atMost, strings.Join(unfinished, "\n"))
		}
	}
	r.awaitSettled()
	r.t.Logf("ended in %s, with %d decisions by the operator", time.Since(began).Round(100*time.Millisecond), decisions)
}

// judge holds the provider's own books against everything that Segue says.
func (r *rig) judge() {
	r.t.Helper()
	for _, finding := range r.books().findings() {
		r.t.Error(finding)
	}
}

// advance looks at a session: it describes the items that have not ended, and decides
// about them once nothing of the session moves by itself.
func (r *rig) advance(s *submitted) (open []string, decisions int) {
	r.t.Helper()
	st := r.status(s)
	moving := false
	for n := range st.Items {
		it := &st.Items[n]
		if over(it) {
			continue
		}
		moving = moving || !slices.Contains(stuck, it.Status)
		line := fmt.Sprintf("%s (%s): %s at %s", it.ItemID, s.vendor.Name, it.Status, it.Step)
		if it.Error != nil {
			line += ": " + it.Error.Reason
		}
		open = append(open, line)
	}
	if len(open) > 0 && !moving {
		decisions = r.decide(s, st, r.ripe)
	}
	return open, decisions
}

// decide resolves those of a session's items in doubt whose time has come, and counts
// them.
func (r *rig) decide(s *submitted, st *proctest.Status, ripe func(*proctest.Item) bool) int {
	r.t.Helper()
	decisions := 0
	book := map[proctest.Job][]simulator.Charge(nil)
	for _, it := range st.Items {
		if !slices.Contains(stuck, it.Status) || !ripe(&it) {
			continue
		}
		if book == nil {
			book = r.provider.Book()
		}
		charges := book[proctest.Job{SHA256: it.SHA256, Endpoint: paidAt(s.vendor, it.Step)}]
		decision := []string{"resolve", it.ItemID, "--resubmit"}
		if len(charges) > 0 {
			decision = []string{"resolve", it.ItemID, "--operation", charges[len(charges)-1].OperationID}
		}
		_, said, code := r.run(decision...)
		if code == 0 {
			decisions++
			if len(charges) == 0 {
				r.presumed[s.vendor.Name] += s.vendor.Price
			}
			r.t.Logf("segue %s  (%s: %s)", strings.Join(decision, " "), it.Status, it.Error.Reason)
			continue
		}
		// It may have settled itself meanwhile, and what is reconciling may be left to.
		if it.Status == "held" {
			r.t.Logf("segue %s: exit code %d: %s", strings.Join(decision, " "), code, said)
		}
	}
	return decisions
}

// awaitSettled waits until what follows each completion was done.
func (r *rig) awaitSettled() {
	r.t.Helper()
	proctest.Eventually(r.t, time.Minute, "every session is settled", func() bool {
		return !slices.ContainsFunc(r.sessions, func(s *submitted) bool { return r.redis.field(s.id, "settled") == "" })
	})
}

// accounts are Segue's books, when nothing is reserved in them any more or it takes
// too long.
func (r *rig) accounts() []account {
	r.t.Helper()
	var all []account
	for until := time.Now().Add(20 * time.Second); ; {
		out, said, code := r.run("accounts", "--offline", "--json")
		if err := json.Unmarshal([]byte(out), &all); err != nil || code != 0 {
			r.t.Fatalf("segue accounts: exit code %d, %v: %s", code, err, said)
		}
		if time.Now().After(until) || !slices.ContainsFunc(all, func(a account) bool { return a.Reserved != 0 }) {
			break
		}
	}
	for n := range all {
		all[n].presumed = r.presumed[all[n].Provider]
	}
	return all
}

// books reads everything that the run is judged by.
func (r *rig) books() *books {
	r.t.Helper()
	// The verdict first: asking about operations and tracks is conduct, too.
	b := &books{verdict: r.provider.Verdict(), charges: r.provider.Book(), made: map[string][]string{}, decided: r.decided, accounts: r.accounts()}
	for _, s := range r.sessions {
		e := ended{
			vendor: s.vendor, songs: s.songs, status: r.status(s),
			completions: r.redis.field(s.id, "completions"), settled: r.redis.field(s.id, "settled"),
		}
		for _, it := range e.status.Items {
			for _, track := range it.Tracks {
				got, err := os.ReadFile(track.File)
				if err != nil || !bytes.Equal(got, r.provider.Track(track.AudioID)) {
					e.differing = append(e.differing, track.File)
				}
			}
		}
		for _, song := range s.songs {
			for _, endpoint := range s.vendor.Paid {
				for _, c := range b.charges[proctest.Job{SHA256: song.SHA256, Endpoint: endpoint}] {
					b.made[c.OperationID] = s.vendor.Tracks(r.provider, c.OperationID)
				}
			}
		}
		b.sessions = append(b.sessions, e)
	}
	return b
}
