package handlers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// errUnknownOperation says that the provider does not know what a report names.
var errUnknownOperation = errors.New("the provider does not know the operation")

// Adopt makes use of a report that names an operation: an item in doubt goes on
// with it, and one that has moved on puts it on record, since it was paid. A report
// is a hint: the provider is asked whether it knows the operation.
func (h *Handlers) Adopt(ctx context.Context, report *session.Report, it *session.Item) error {
	work, err := h.Store.Load(ctx, it.Session, it.Index)
	if err != nil {
		return err
	}
	if report.Operation == "" || onRecord(&work.Item, report.Operation) {
		return nil
	}
	if report.About(&work.Item) && answered(work.Item.State) {
		return nil
	}
	acc, err := h.Accounts.Get(work.Session.Provider, work.Session.Account)
	if err != nil {
		return err
	}
	switch err := h.verify(ctx, work, acc.Driver, report); {
	case errors.Is(err, errUnknownOperation):
		h.Log.WarnContext(ctx, "a callback names an operation that its provider does not know",
			slog.String("item", it.ID()), slog.String("operation", report.Operation))
		return nil
	case err != nil:
		return err
	}
	credits := acc.Info.Prices.Extend
	if report.Step == session.StepUpload {
		credits = 0
		if acc.Info.Uploads.Paid {
			credits = acc.Info.Prices.Upload
		}
	}
	return h.adopt(ctx, work, report, credits)
}

func (h *Handlers) adopt(ctx context.Context, work *session.Work, report *session.Report, credits float64) error {
	before, adopted := work.Item, false
	work, written, err := h.Store.Update(ctx, work.Item.Session, work.Item.Index, soon, func(w *session.Work) error {
		before = w.Item
		adopted = report.About(&w.Item) && w.Item.State.InDoubt()
		if adopted {
			return w.Item.Adopt(report.Operation, w.Now)
		}
		return w.Item.Stray(session.Operation{
			ID: report.Operation, Step: report.Step, Generation: report.Generation, Credits: credits, At: w.Now.UnixMilli(),
		}, w.Now)
	})
	switch {
	case fault.CodeOf(err) == fault.Conflict:
		return nil // it is not in doubt any more
	case err != nil:
		return err
	}
	attrs := []any{slog.String("item", work.Item.ID()), slog.String("operation", report.Operation)}
	if adopted {
		h.Log.InfoContext(ctx, "doubt settled by a callback", attrs...)
	} else {
		h.Log.WarnContext(ctx, "a callback names an operation that was not on record", attrs...)
	}
	h.account(ctx, &work.Session, &before, &work.Item, 0)
	return h.follow(ctx, &work.Item, written.Completion)
}

// answered says that the request's own answer is expected or known, so that a report
// has nothing to add. An item that ended, or was given back, is told of what was paid.
func answered(s session.State) bool {
	return s == session.Sending || s == session.Running || s == session.Waiting
}

func onRecord(it *session.Item, operation string) bool {
	return slices.ContainsFunc(it.Operations, func(op session.Operation) bool { return op.ID == operation })
}

// verify asks the provider for the operation, a few times: some need a moment to
// know their own.
func (h *Handlers) verify(ctx context.Context, work *session.Work, driver provider.Driver, report *session.Report) error {
	const tries = 3
	var err error
	for n := range tries {
		if n > 0 {
			sleep(ctx, time.Second)
		}
		asking, cancel := context.WithTimeout(ctx, pollTimeout)
		_, err = driver.Poll(asking, &provider.Operation{
			ID: report.Operation, Step: string(report.Step), Session: work.Session.Remote, Checkpoint: work.Item.Checkpoint,
		})
		cancel()
		if fault.CodeOf(err) != fault.NotFound {
			return err
		}
	}
	return errors.Join(errUnknownOperation, err)
}
