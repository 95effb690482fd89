package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/tasks"
)

// Settle executes session:settle: everything that follows a session's completion.
// What it does may be repeated; that it was done is recorded once, by the script
// that takes the completion out of the outbox.
func (h *Handlers) Settle(ctx context.Context, p tasks.Settle) error {
	owed, err := h.Store.Owes(ctx, p.Session, p.Completion)
	if err != nil || !owed {
		return err
	}
	switch err := h.report(ctx, p.Session); {
	case fault.CodeOf(err) == fault.Invalid:
		// No attempt will ever succeed: the report is missed, and the session still ends.
		h.Log.ErrorContext(ctx, "session settled without its report", slog.String("session", p.Session), slog.String("reason", fault.Reason(err)))
	case err != nil:
		return again(backoff(0, err), err)
	}
	h.at("reported")
	first, err := h.Store.Settle(ctx, p.Session, p.Completion)
	if err != nil {
		return err
	}
	if first {
		h.Log.InfoContext(ctx, "session settled", slog.String("session", p.Session), slog.Int("completion", p.Completion))
	}
	overdue, err := h.Store.Overdue(ctx, p.Session, 0)
	if err != nil || !overdue.Over {
		return err
	}
	return h.Store.Close(ctx, p.Session)
}

// report writes the session beside its archived results, so that a folder of
// songs says where it came from without Redis.
func (h *Handlers) report(ctx context.Context, id string) error {
	const op = "handlers.Settle"
	current, err := h.Store.Session(ctx, id)
	if err != nil {
		return err
	}
	view, err := h.Store.View(ctx, id)
	if err != nil {
		return err
	}
	if err := h.Ledger.Agree(ctx, accountOf(current), id, view.Committed); err != nil {
		return err
	}
	// A signed URL does not belong into a file that is kept (P5).
	for i := range view.Items {
		for t := range view.Items[i].Tracks {
			view.Items[i].Tracks[t].AudioURL = ""
		}
	}
	body, err := json.MarshalIndent(view, "", "  ")
	if err != nil {
		return fault.New(fault.Internal, op, err)
	}
	store, err := h.Archive(current.Archive)
	if err != nil {
		return err
	}
	return store.Put(ctx, id+"/session.json", bytes.NewReader(append(body, '\n')))
}
