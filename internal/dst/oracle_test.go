package dst

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

// paid says whether the provider bills a step.
func (s *sim) paid(step session.StepName) bool { return s.vendor.price(step) > 0 }

// asked is called when a paid request has left that was not surely refused.
//
// P1: per item, step and generation there is one such request at most.
//
// P7: its credits are set aside at that moment.
//
// And a second generation is paid for only if the first was not billed, or was given
// back, or if somebody decided so: an operator, or the policy that the session was submitted
// with.
func (s *sim) asked(r *request) {
	if !s.paid(r.step) {
		return
	}
	entry := ledger.Entry{Session: r.session, Index: r.index, Step: string(r.step), Generation: r.generation}
	books := "segue:ledger:{" + purse.String() + "}"
	counted := s.mini.HGet(books+":of:"+r.session, strings.TrimPrefix(entry.String(), r.session+"."))
	if s.mini.HGet(books+":open", entry.String()) == "" && !strings.HasPrefix(counted, "paid") { // presumed to be lost: it is counted
		s.fail(fmt.Sprintf("P7: its credits are not set aside: %s", r))
	}
	for _, before := range s.vendor.requests {
		switch {
		case before == r || before.refused || before.place != r.place:
		case before.generation == r.generation:
			s.fail(fmt.Sprintf("P1: a second request for one generation: %s, and %s", before, r))
		case before.operation == "" || r.operation == "" || s.vendor.refunded(before):
		case !s.mayPayAgain(before, r):
			s.fail(fmt.Sprintf("P1: paid twice, and nobody decided so: %s, and %s", before, r))
		}
	}
}

// within is called when a request was accepted: the provider is never asked for more than
// it allows, in any stretch of time. What runs on after everybody has given it up is not
// known to run.
func (s *sim) within(r *request) {
	recent, running := 0, 0
	for _, other := range s.vendor.requests {
		if other.operation == "" {
			continue
		}
		if other.step == r.step && r.accepted.Sub(other.accepted) < rateSpan {
			recent++
		}
		if op := s.vendor.operations[other.operation]; other == r || (op != nil && !op.done && s.followed(other)) {
			running++
		}
	}
	if s.p.rate > 0 && recent > s.p.rate {
		s.fail(fmt.Sprintf("limits: %d requests within %s, of which %d are allowed; the last: %s", recent, rateSpan, s.p.rate, r))
	}
	// One that costs nothing may be sent by a worker from which its step was taken.
	if s.p.inFlight > 0 && running > s.p.inFlight && s.paid(r.step) {
		s.fail(fmt.Sprintf("limits: %d operations run, of which %d are allowed; the last: %s", running, s.p.inFlight, r))
	}
}

// followed says that an item still follows what a request of it started.
func (s *sim) followed(r *request) bool {
	stored := s.mini.HGet("segue:{"+r.session+"}:items", strconv.Itoa(r.index))
	var it session.Item
	if err := json.Unmarshal([]byte(stored[strings.IndexByte(stored, '{'):]), &it); err != nil {
		s.fail(err.Error())
	}
	if it.Step != r.step || it.Generation != r.generation {
		return false
	}
	if it.State == session.Waiting {
		return it.Operation == r.operation
	}
	// A request that costs nothing is repeated when its answer is lost: the last one counts.
	last := r
	for _, other := range s.vendor.requests {
		if other.place == r.place && other.operation != "" {
			last = other
		}
	}
	return last == r && (it.State == session.Sending || it.State == session.Reconciling)
}

// repeated says that nobody could say what a request had come to when the generation
// after its own came to be: that is when the policy decides to send it again.
func (s *sim) repeated(r *request) bool {
	known, born := s.births[birth{r.place, r.generation + 1}]
	return born && !slices.ContainsFunc(known, func(op session.Operation) bool { return op.ID == r.operation })
}

// birth is a generation of an item's step.
type birth struct {
	place
	generation int
}

// witnessBirths notes what was on an item's record when each generation of its steps
// came to be: what whoever decided about it knew.
func (s *sim) witnessBirths() {
	for _, id := range s.sessions {
		for index := range s.p.items {
			stored := s.mini.HGet("segue:{"+id+"}:items", strconv.Itoa(index))
			if stored == s.seenAs[item{id, index}] {
				continue
			}
			s.seenAs[item{id, index}] = stored
			var it session.Item
			if err := json.Unmarshal([]byte(stored[strings.IndexByte(stored, '{'):]), &it); err != nil {
				s.fail(err.Error())
			}
			born := birth{place{id, index, it.Step}, it.Generation}
			if _, known := s.births[born]; !known {
				s.births[born] = it.Operations
			}
		}
	}
}

// mayPayAgain says whether somebody decided, after a first charge and before a
// second one, that the step may be paid for again.
func (s *sim) mayPayAgain(first, second *request) bool {
	if s.p.resubmit && s.repeated(first) {
		return true
	}
	return slices.ContainsFunc(s.decisions, func(d decision) bool {
		return d.pays && d.item == (item{first.session, first.index}) && d.step == first.step && first.at < d.at && d.at <= second.at
	})
}

// inspectReturn looks at what a handler returned.
//
// P6: waiting spends no retry. A poll that was told to wait says so to the queue.
func (s *sim) inspectReturn(a *actor) {
	if s.impatient && a.waited && a.err != nil && !a.faulted {
		a.err = errImpatient
	}
	if !a.waited || a.faulted || a.err == nil || errors.Is(a.err, context.DeadlineExceeded) || fault.CodeOf(a.err) == fault.Timeout {
		return // it was not waiting that failed: its own time was over
	}
	if handlers.IsFailure(a.err) {
		s.fail(fmt.Sprintf("P6: %s was told to wait, and spends a retry: %v", a.name, a.err))
	}
	if handlers.RetryDelay(0, a.err, nil) <= 0 {
		s.fail(fmt.Sprintf("P6: %s was told to wait, and does not: %v", a.name, a.err))
	}
}

// check asks for what must hold at any moment.
//
// P2: every charge is on its item's record; or its item is claimed, being
// reconciled, or held for the generation that made it; or whoever made it still
// holds the answer; or somebody decided about it.
func (s *sim) check() {
	var all map[item]*session.Item
	for _, r := range s.vendor.requests {
		if r.operation == "" || !s.paid(r.step) || s.vendor.refunded(r) {
			continue
		}
		if all == nil {
			all = s.everything()
		}
		it := all[item{r.session, r.index}]
		if it == nil {
			s.fail(fmt.Sprintf("P2: %s, and the item is gone", r))
			return
		}
		if !s.accounted(r, it) {
			s.fail(fmt.Sprintf("P2: %s, and it is on no record; the item is %s generation %d with operations %v",
				r, it.Label(), it.Generation, it.Operations))
		}
	}
	s.checkBudget()
	for about, times := range s.settled {
		if times > 1 {
			s.fail(fmt.Sprintf("P3: settled %d times: %s", times, about))
		}
	}
}

// checkBudget looks at what a session may spend.
//
// P7: what was spent and what is reserved never pass a budget. A person's word may
// pass it: a charge that was said to be none is counted when it comes to light, and
// one that was given up without knowing is presumed.
func (s *sim) checkBudget() {
	if s.p.budget == 0 || len(s.decisions) > 0 {
		return
	}
	for _, id := range s.sessions {
		totals, err := s.ledger.Totals(unwatched, purse, ledger.ScopeSession, id)
		if err != nil || totals.Spent+totals.Reserved > float64(s.p.budget) {
			s.fail(fmt.Sprintf("P7: %s has %g spent and %g reserved of %d (%v)", id, totals.Spent, totals.Reserved, s.p.budget, err))
		}
		charged := 0.0
		for _, r := range s.vendor.requests {
			if r.session == id && r.operation != "" && !s.vendor.refunded(r) {
				charged += s.vendor.price(r.step)
			}
		}
		if charged > float64(s.p.budget) {
			s.fail(fmt.Sprintf("P7: the provider charged %g for %s, whose budget is %d", charged, id, s.p.budget))
		}
	}
}

func (s *sim) everything() map[item]*session.Item {
	all := map[item]*session.Item{}
	for _, id := range s.sessions {
		for _, it := range s.items(id) {
			all[item{id, it.Index}] = &it
		}
	}
	return all
}

// is says whether an operation on an item's record is this request: by its name, or
// as the request whose clip was found on the provider's list, which names no more.
func (r *request) is(op session.Operation) bool {
	return op.ID == r.operation || (op.ID == "" && op.Step == r.step && op.Generation == r.generation)
}

func (s *sim) accounted(r *request, it *session.Item) bool {
	switch {
	case slices.ContainsFunc(it.Operations, r.is):
		return true
	case slices.Contains(s.actors, r.actor) && !r.actor.proc.dead:
		return true
	case it.Step == r.step && it.Generation == r.generation && it.Claim != nil && !it.State.Ended():
		return true
	}
	return slices.ContainsFunc(s.decisions, func(d decision) bool {
		return d.item == (item{r.session, r.index}) && d.step == r.step && r.at < d.at
	})
}

// checkEnd asks for what must hold when everything has ended.
//
// P3: every input's result is at its place, once; every completion was settled.
// P7: the books say of every credit what the items say. Only a request that was held
// back because it came too late may be in doubt without its credits being set aside,
// and only a refund may be missing: both keep a budget too well.
func (s *sim) checkEnd() {
	var committed, doubted float64
	for _, it := range s.everything() {
		committed += it.Committed()
		if it.State == session.Held {
			doubted += it.Claim.Credits
		}
	}
	books, err := s.ledger.State(unwatched, purse)
	if err != nil || books.Spent < committed || books.Reserved > doubted {
		s.fail(fmt.Sprintf("P7: the books say %g spent and %g reserved (%v), the items %g and %g", books.Spent, books.Reserved, err, committed, doubted))
	}
	for _, id := range s.sessions {
		current, err := s.store.Session(unwatched, id)
		if err != nil {
			s.fail(err.Error())
			return
		}
		s.checkResults(id)
		if current.Status() == session.StatusHeld {
			continue
		}
		if current.Completions < 1 || current.Completions != current.Settled {
			s.fail(fmt.Sprintf("P3: %s completed %d times, settled %d times", id, current.Completions, current.Settled))
		}
	}
}

// checkResults compares a session's audioIds with what the provider made of each
// of its files.
func (s *sim) checkResults(id string) {
	got, err := s.store.AudioIDs(unwatched, id)
	if err != nil {
		s.fail(err.Error())
		return
	}
	var want []string
	for _, it := range s.items(id) {
		ids := it.AudioIDs()
		want = append(want, ids...)
		for _, audio := range ids {
			name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(audio, "clip-"), "-a"), "-b")
			op := s.vendor.operations[name]
			if op == nil || op.of.session != id || op.of.index != it.Index {
				s.fail(fmt.Sprintf("P3: item %s has the result %s of another", it.ID(), audio))
			}
		}
		if it.State == session.Succeeded && len(ids) == 0 {
			s.fail(fmt.Sprintf("P3: item %s succeeded and has no result", it.ID()))
		}
	}
	if !slices.Equal(got, want) {
		s.fail(fmt.Sprintf("P3: audioIds of %s are %v, want %v", id, got, want))
	}
	slices.Sort(got)
	if len(slices.Compact(slices.Clone(got))) != len(got) {
		s.fail(fmt.Sprintf("P3: audioIds of %s hold one twice: %v", id, got))
	}
}
