package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// Adopt is an operator's word that a held item's request was accepted, and as
// which operation. Naming the operation a second time is harmless.
func (it *Item) Adopt(operation string, now time.Time) error {
	if it.State == Waiting && it.Operation == operation {
		return nil
	}
	if it.State != Held {
		return it.illegal("Adopt")
	}
	return it.Accept(it.Claim.Token, &provider.Accepted{OperationID: operation}, now)
}

// Resubmit lets a held item's request be sent again, as a new generation. It may
// cost a second time: only an operator, or a policy the producer chose, says so.
func (it *Item) Resubmit(now time.Time) error {
	if it.State != Held {
		return it.illegal("Resubmit")
	}
	it.rerun(it.Step, now)
	return nil
}

// Abandon ends a held item without a result. It may have been charged.
func (it *Item) Abandon() error {
	if it.State != Held {
		return it.illegal("Abandon")
	}
	why := Failure{Code: fault.Canceled, Step: it.Step, Reason: "abandoned while its outcome was unknown", Charge: fault.ChargeUnknown.String()}
	if it.Failure != nil {
		why.Reason = "abandoned: " + it.Failure.Reason
	}
	it.fail(why)
	return nil
}

// Retry runs a failed or canceled item again from the given step (or, when step
// is empty, from the one that it ended at), as a new generation. What earlier
// steps achieved is kept.
func (it *Item) Retry(step StepName, now time.Time) error {
	if it.State != Failed && it.State != Canceled {
		return it.illegal("Retry")
	}
	if step == "" {
		step = it.Step
	}
	if err := it.canStartAt(step); err != nil {
		return fault.New(fault.Invalid, "session.Retry", err)
	}
	it.rerun(step, now)
	return nil
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

// rerun puts a step on the queue as a generation that was never used before.
func (it *Item) rerun(step StepName, now time.Time) {
	it.release()
	generation := it.Used[step]
	if step == it.Step {
		generation = max(generation, it.Generation+1)
	}
	it.Step, it.State, it.Generation = step, Queued, generation
	it.Rescue, it.Attempts, it.Deaths = 0, 0, 0
	it.Operation, it.OperationAt, it.Checkpoint = "", 0, nil
	it.Since = now.UnixMilli()
	it.Failure = nil
}
