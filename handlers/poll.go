package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/timing"
	"github.com/segue-audio/segue/tasks"
)

const (
	// pollTimeout bounds one question; it is free and asked again.
	pollTimeout = 20 * time.Second
	// maxUnknown is how often a provider may say that it does not know an
	// operation before it is believed: some need a moment to know their own.
	maxUnknown = 5
	// maxFreeUploads is how often an upload that costs nothing is begun anew when
	// nothing comes of it.
	maxFreeUploads = 3
)

// Poll executes audio:poll: it asks once about one operation, then sleeps or
// moves on. Between two questions nothing is held: no goroutine, no retry.
func (h *Handlers) Poll(ctx context.Context, p tasks.Poll) error {
	j, err := h.begin(ctx, p.Step, session.Waiting)
	if j == nil || err != nil {
		return err
	}
	operation := j.Item.Operation
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	state, err := j.account.Driver.Poll(asking, j.operation())
	cancel()
	switch {
	case err != nil:
		return h.unanswered(ctx, j, err)
	case !state.Done:
		return h.notReady(ctx, j, state)
	case state.Failure != nil:
		why := failure(j.Item.Step, state.Failure)
		why.Charge = fault.ChargeOf(state.Failure).String()
		h.mayBeRefunded(ctx, j)
		if why.Code == fault.NotFound {
			h.forgetClip(ctx, j)
		}
		err := h.record(ctx, j, 0, func(it *session.Item, _ time.Time) error { return it.Lose(operation, why) })
		return outcome(err, final(state.Failure))
	}
	noticed := j.age()
	err = h.record(ctx, j, soon, func(it *session.Item, now time.Time) error { return it.Finish(operation, state, now) })
	if err == nil {
		h.Timing.Observe(ctx, j.kind, noticed, bounds(j.account.Info.Poll))
	}
	return err
}

// operation is what the item waits for, as its driver knows it.
func (j *job) operation() *provider.Operation {
	return &provider.Operation{
		ID: j.Item.Operation, Step: string(j.Item.Step),
		Session: j.Session.Remote, Checkpoint: j.Item.Checkpoint,
	}
}

// notReady puts the poll to sleep.
func (h *Handlers) notReady(ctx context.Context, j *job, state *provider.State) error {
	if h.outlived(j) {
		return h.lost(ctx, j, fmt.Errorf("the provider still says %q", state.Word))
	}
	pause := h.pause(ctx, j)
	if j.Item.Failure != nil {
		err := h.record(ctx, j, pause+soon, func(it *session.Item, _ time.Time) error { return it.Note(nil) })
		return outcome(err, wait(pause, errors.New(state.Word)))
	}
	report, err := h.Store.Defer(ctx, j.Item.Session, pause+soon, j.Item.Index)
	switch {
	case err != nil:
		return err
	case report.About(&j.Item) && report.Done && report.At > j.Now.UnixMilli():
		// The end was reported while the question was on its way.
		return wait(time.Millisecond, errors.New(state.Word))
	case report.About(&j.Item) && report.Done:
		// It was reported before, and the provider's own books are behind.
		return wait(j.account.Info.Poll.Min, errors.New(state.Word))
	}
	return wait(pause, errors.New(state.Word))
}

// unanswered deals with a question that got no usable answer. Asking is free, so
// it is asked again until the operation's own deadline.
func (h *Handlers) unanswered(ctx context.Context, j *job, cause error) error {
	h.keyUsed(ctx, idOf(&j.Session), false, cause)
	if h.outlived(j) || (fault.CodeOf(cause) == fault.NotFound && j.Item.Attempts+1 >= maxUnknown) {
		return h.lost(ctx, j, cause)
	}
	pause := max(backoff(j.Item.Attempts, cause), j.account.Info.Poll.Min)
	why := failure(j.Item.Step, cause)
	err := h.record(ctx, j, pause+soon, func(it *session.Item, _ time.Time) error { return it.Note(&why) })
	return outcome(err, wait(pause, cause))
}

// refundable is how long a provider may take to give back what a failed operation
// cost, without saying so. None states a time; a day is generous.
const refundable = 24 * time.Hour

// mayBeRefunded records, before anything else, that the account's balance may rise
// by itself.
func (h *Handlers) mayBeRefunded(ctx context.Context, j *job) {
	if err := h.Ledger.Cloud(ctx, accountOf(&j.Session), refundable); err != nil {
		h.Log.WarnContext(ctx, "a possible refund could not be noted", slog.String("item", j.Item.ID()), slog.String("cause", err.Error()))
	}
}

// lost ends an item whose operation will not be heard of any more. The operation
// stays on record, so that it can still be asked for. An upload that costs nothing
// is begun anew instead.
func (h *Handlers) lost(ctx context.Context, j *job, cause error) error {
	operation := j.Item.Operation
	if j.Item.Step == session.StepUpload && !j.account.Info.Uploads.Paid && j.Item.Used[session.StepUpload] < maxFreeUploads {
		err := h.record(ctx, j, soon, func(it *session.Item, now time.Time) error { return it.Restart(operation, now) })
		return outcome(err, nil)
	}
	h.mayBeRefunded(ctx, j)
	why := session.Failure{
		Code: fault.Timeout, Step: j.Item.Step, Charge: fault.ChargeMade.String(),
		Reason: fmt.Sprintf("operation %s was accepted, but nothing came of it in %s: %s", operation, j.age().Round(time.Second), fault.Reason(cause)),
	}
	if fault.CodeOf(cause) == fault.NotFound {
		why.Code = fault.NotFound
	}
	err := h.record(ctx, j, 0, func(it *session.Item, _ time.Time) error { return it.Lose(operation, why) })
	return outcome(err, final(cause))
}

// age is how long ago the operation was accepted.
func (j *job) age() time.Duration { return j.Now.Sub(time.UnixMilli(j.Item.OperationAt)) }

func (h *Handlers) outlived(j *job) bool { return j.age() > j.account.Info.Poll.Deadline }

// pause is the wait until the next question about the job's operation.
func (h *Handlers) pause(ctx context.Context, j *job) time.Duration {
	return h.Timing.Pause(ctx, j.kind, j.age(), bounds(j.account.Info.Poll))
}

func bounds(p provider.Polling) timing.Bounds { return timing.Bounds{Min: p.Min, Max: p.Max} }

// kindOf names the operations that take as long as the item's current step.
func kindOf(work *session.Work) string {
	model := ""
	if work.Item.Step == session.StepExtend {
		model = work.Item.EffectiveParams(&work.Session.Spec).Model
	}
	return timing.Kind(work.Session.Provider, string(work.Item.Step), model)
}
