package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// The decisions about a doubt, as Decided keeps them.
const (
	decidedResubmit = "resubmit"
	decidedAbandon  = "abandon"
)

// Adopt says that a request in doubt was accepted, and as which operation: by an
// operator's word, or by evidence. Naming the operation a second time is harmless.
func (it *Item) Adopt(operation string, now time.Time) error {
	if !it.State.InDoubt() {
		for _, op := range it.Operations {
			if op.ID == operation {
				return nil
			}
		}
		return it.illegal("Adopt")
	}
	return it.Accept(it.Claim.Token, &provider.Accepted{OperationID: operation}, now)
}

// AdoptClip says that an upload in doubt was accepted and has become a clip.
// Naming the clip a second time is harmless.
func (it *Item) AdoptClip(clip provider.Clip, now time.Time) error {
	switch {
	case it.Clip != nil && it.Clip.ID == clip.ID:
		return nil
	case !it.State.InDoubt() || it.Step != StepUpload:
		return it.illegal("AdoptClip")
	}
	return it.Accept(it.Claim.Token, &provider.Accepted{Clip: &clip}, now)
}

// Resubmit is an operator's word that a request in doubt was not accepted: it is
// sent again, as a new generation. If it was accepted after all, that pays twice.
// Saying so a second time is harmless.
func (it *Item) Resubmit(now time.Time) error {
	switch {
	case it.State.InDoubt():
	case it.Decided == decidedResubmit:
		return nil
	default:
		return it.illegal("Resubmit")
	}
	if now.UnixMilli() < it.Claim.Over {
		it.presume(now) // whoever claimed it may be frozen, and still send: budgets count it
	}
	it.rerun(it.Step, now)
	it.Decided = decidedResubmit
	return nil
}

// Abandon ends an item in doubt without a result. It may have been charged. Saying
// so a second time is harmless.
func (it *Item) Abandon(now time.Time) error {
	switch {
	case it.State.InDoubt():
	case it.State == Failed && it.Decided == decidedAbandon:
		return nil
	default:
		return it.illegal("Abandon")
	}
	why := Failure{Code: fault.Canceled, Step: it.Step, Reason: "abandoned while its outcome was unknown", Charge: fault.ChargeUnknown.String()}
	if it.Failure != nil {
		why.Reason = "abandoned: " + it.Failure.Reason
	}
	it.presume(now)
	it.fail(why)
	it.Decided = decidedAbandon
	return nil
}

// Retry runs a failed or canceled item again from the given step (or, when step
// is empty, from the one that it ended at), as a new generation. What earlier
// steps achieved is kept, but for another item's clip that the provider did not find.
func (it *Item) Retry(step StepName, now time.Time) error {
	if it.State != Failed && it.State != Canceled {
		return it.illegal("Retry")
	}
	step = it.RetriedFrom(step)
	if err := it.canStartAt(step); err != nil {
		return fault.New(fault.Invalid, "session.Retry", err)
	}
	if step == StepUpload {
		it.disown()
		it.Anew = true // who retries an upload wants one
	}
	it.rerun(step, now)
	return nil
}

// RetriedFrom is the step that a Retry begins with.
func (it *Item) RetriedFrom(step StepName) StepName {
	lost := it.ClipOf != "" && it.Step == StepExtend && it.Failure != nil && it.Failure.Code == fault.NotFound
	switch {
	case step != "":
		return step
	case lost:
		return StepUpload
	}
	return it.Step
}

// canStartAt says whether what a step needs is there.
func (it *Item) canStartAt(step StepName) error {
	for _, planned := range it.Plan {
		switch {
		case planned == step:
			return nil
		case planned == StepUpload && it.Clip == nil:
			return fmt.Errorf("item %s has no clip: its upload comes first", it.ID())
		case planned == StepExtend && len(it.Tracks) == 0:
			return fmt.Errorf("item %s has no tracks: its extend comes first", it.ID())
		}
	}
	return errors.New("item " + it.ID() + " has no step " + string(step))
}

// rerun queues a step as a generation that was never used before.
func (it *Item) rerun(step StepName, now time.Time) {
	it.release()
	generation := it.Used[step]
	if step == it.Step {
		generation = max(generation, it.Generation+1)
	}
	it.Step, it.State, it.Generation = step, Queued, generation
	it.Rescue, it.Attempts, it.Deaths, it.Doubts = 0, 0, 0, 0
	it.Operation, it.OperationAt, it.Checkpoint = "", 0, nil
	it.Since = now.UnixMilli()
	it.Backlog = step != StepFetch
	it.Failure = nil
}
