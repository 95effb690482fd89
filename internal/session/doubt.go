package session

import (
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

const (
	// maxDeaths is how many workers may die at one step before it is quarantined.
	maxDeaths = 3
	// maxDoubts is how many requests of one step may end in doubt before only a
	// person sends another one.
	maxDoubts = 3
	// silence is how long after its claim ended a worker that fell silent may still
	// have sent its request: the request's deadline is earlier than the claim's end,
	// and is checked once more when the request is written.
	silence = time.Minute
)

// Doubt records that the outcome of a paid request is unknown. The claim stays, so
// that late evidence still finds its item.
func (it *Item) Doubt(token string, why Failure, now time.Time) error {
	if !it.holds(token) || it.State != Sending {
		return it.illegal("Doubt")
	}
	it.doubt(why, now, now)
	return nil
}

func (it *Item) doubt(why Failure, now, over time.Time) {
	claim := *it.Claim // the item may share it with a copy
	claim.Doubt, claim.Over = now.UnixMilli(), over.UnixMilli()
	it.Claim = &claim
	it.State = Reconciling
	it.Failure = &why
	it.Doubts++
	it.Attempts = 0
}

// Orphan takes the step away from a worker that died or overran its claim. A paid
// request may have left, and where the worker is only frozen it may still leave
// until the claim is over: its outcome is in doubt, with the claim kept as the
// record of the intent. Anything else goes back on the queue under a new task id,
// unless it has now killed its third worker.
func (it *Item) Orphan(why Failure, now time.Time) error {
	if !it.State.claimed() {
		return it.illegal("Orphan")
	}
	it.Deaths++
	if it.State == Sending {
		over := now
		if until := time.UnixMilli(it.Claim.Until); until.After(over) {
			over = until
		}
		it.doubt(why, now, over.Add(silence))
		return nil
	}
	it.release()
	it.Rescue++
	it.State = Queued
	it.Failure = &why
	if it.Deaths >= maxDeaths {
		it.quarantine(why)
	}
	return nil
}

// quarantine ends an item whose step kills its workers.
func (it *Item) quarantine(why Failure) {
	why.Code = fault.Internal
	why.Charge = fault.ChargeNone.String()
	why.Reason = fmt.Sprintf("quarantined: %d workers died at this step; the last: %s", it.Deaths, why.Reason)
	it.fail(why)
}

// Refute records evidence that the request in doubt was not accepted: nothing was
// charged. The step is queued as a new generation, so that whatever the old one
// may still bring is told apart. A step that has killed its third worker is
// quarantined, and one whose requests end in doubt again and again is held.
func (it *Item) Refute(why Failure, now time.Time) error {
	if it.State != Reconciling {
		return it.illegal("Refute")
	}
	switch {
	case it.Deaths >= maxDeaths:
		it.quarantine(why)
		return nil
	case it.Doubts >= maxDoubts:
		why.Reason = fmt.Sprintf("%d requests of this step ended in doubt; the last: %s", it.Doubts, why.Reason)
		it.State, it.Failure = Held, &why
		return nil
	}
	it.again(now)
	it.Failure = &why
	return nil
}

// Hold gives the search for evidence up: a person decides.
func (it *Item) Hold(why Failure) error {
	if it.State != Reconciling {
		return it.illegal("Hold")
	}
	it.State = Held
	it.Failure = &why
	return nil
}

// Repeat sends a request in doubt again, because the producer chose so when it
// submitted: what the first one cost is presumed to be lost. A step that kills its
// workers, or whose requests end in doubt again and again, is held instead.
func (it *Item) Repeat(why Failure, now time.Time) error {
	if it.State != Reconciling {
		return it.illegal("Repeat")
	}
	if it.Deaths >= maxDeaths || it.Doubts >= maxDoubts {
		return it.Hold(why)
	}
	it.presume(now)
	it.again(now)
	return nil
}

// again is a new generation of the current step that nobody decided about: what it
// has done to workers still counts.
func (it *Item) again(now time.Time) {
	deaths, doubts := it.Deaths, it.Doubts
	it.rerun(it.Step, now)
	it.Deaths, it.Doubts = deaths, doubts
}

// presume puts the request in doubt on record as one that may have been charged.
func (it *Item) presume(now time.Time) {
	it.charge(Operation{Step: it.Step, Generation: it.Generation, Credits: it.Claim.Credits, At: now.UnixMilli(), Presumed: true})
}
