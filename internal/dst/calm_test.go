package dst

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

// rounds is how long everything may take to end once the faults have stopped.
const rounds = 400

// calm stops the faults and lets everything end: what is frozen wakes, every task
// is delivered, every callback arrives, sweeps run, and time passes. Then nothing may
// be left but what a person must decide; and when a person has decided, nothing.
func (s *sim) calm() {
	s.quiet, s.down = true, false
	s.remark("calm")
	for _, p := range s.workers {
		s.thaw(p)
	}
	s.beat()
	for len(s.open) > 0 {
		s.produce()
	}
	for n := 0; len(s.violations) == 0; n++ {
		if s.p.budget > 0 {
			s.resolved() // what is held holds its part of the budget, and others wait for it
		}
		if s.ended() && s.resolved() {
			break
		}
		if n == rounds {
			s.fail("P2: it does not end: " + s.standing())
			return
		}
		s.round(n)
	}
	if len(s.violations) > 0 {
		return
	}
	s.check()
	s.checkEnd()
}

// round lets everybody do what there is to do once.
func (s *sim) round(n int) {
	s.runAll()
	for _, id := range s.vendor.running() {
		s.vendor.finish(id)
	}
	for _, t := range s.broker.ready() {
		s.broker.deliver(t, s.workers[n%len(s.workers)], false)
		s.settleDown()
		s.runAll()
	}
	reports := s.vendor.callbacks
	s.vendor.callbacks = nil
	for _, d := range reports {
		s.post(d)
		s.runAll()
	}
	s.broker.recover()
	s.startSweep(s.workers[0])
	s.runAll()
	s.pass([]time.Duration{3 * time.Second, 10 * time.Second, time.Minute, 5 * time.Minute}[min(n/20, 3)])
}

// runAll lets every actor go on to its end. Those that sleep need time.
func (s *sim) runAll() {
	for n := 0; len(s.actors) > 0 && n < 10_000; n++ {
		if able := s.able(); len(able) > 0 {
			s.release(able[0], 1_000_000)
			continue
		}
		s.pass(time.Second)
	}
	if len(s.actors) > 0 {
		s.fail(fmt.Sprintf("%s does not return", s.actors[0].name))
	}
}

// ended says whether nothing is left to do but what a person decides: no session
// but those that wait for one is owed work, and no credits are set aside but theirs.
func (s *sim) ended() bool {
	held, waiting := 0, map[string]bool{}
	for place, it := range s.everything() {
		switch {
		case it.State == session.Held:
			held++
			waiting[place.session] = true
		case !it.State.Ended():
			return false
		}
	}
	for _, id := range s.sessions {
		current, err := s.store.Session(unwatched, id)
		if err != nil {
			s.fail(err.Error())
			return true
		}
		if !current.Status().Over() || current.Completions != current.Settled {
			return false
		}
	}
	owed, err := s.store.Open(unwatched)
	if err != nil {
		s.fail(err.Error())
	}
	if slices.ContainsFunc(owed, func(id string) bool { return !waiting[id] }) {
		return false
	}
	books, err := s.ledger.State(unwatched, purse)
	if err != nil {
		s.fail(err.Error())
		return true
	}
	return books.Open <= held
}

// purse is the account of all sessions.
var purse = ledger.Account{Provider: "vendor", Name: "main"}

// resolved lets a person decide about what is held, and says whether nothing is.
// Half of the runs end without: held items are where they belong.
func (s *sim) resolved() bool {
	if s.seed%2 == 0 && s.p.budget == 0 {
		return true
	}
	some := false
	for _, id := range s.sessions {
		for s.resolveOne(id) {
			some = true
			s.runAll()
		}
	}
	return !some
}

// standing says where everything is, for a failure.
func (s *sim) standing() string {
	var words []string
	for _, id := range s.sessions {
		current, err := s.store.Session(unwatched, id)
		if err != nil {
			s.fail(err.Error())
			continue
		}
		words = append(words, fmt.Sprintf("%s %s, %d completions, %d settled, open %v", id, current.Status(), current.Completions, current.Settled, current.Counts))
		for _, it := range s.items(id) {
			words = append(words, fmt.Sprintf("  %d: %s generation %d rescue %d %+v", it.Index, it.Label(), it.Generation, it.Rescue, it.Failure))
		}
	}
	books, err := s.ledger.State(unwatched, purse)
	owed, err2 := s.store.Open(unwatched)
	words = append(words, fmt.Sprintf("books %+v (%v), owed work %v (%v)", books, err, owed, err2))
	return strings.Join(words, "\n")
}
