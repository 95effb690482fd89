package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/longjson"
	"github.com/segue-audio/segue/internal/session"
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
	if err := h.remember(ctx, p.Session); err != nil {
		return again(backoff(0, err), err)
	}
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

// rememberAtOnce is how many items Remember is told of at a time.
const rememberAtOnce = 256

// remember tells what was paid for. What cannot be remembered whatever is tried is
// said and passed over: the session still ends.
func (h *Handlers) remember(ctx context.Context, id string) error {
	if h.Remember == nil {
		return nil
	}
	current, err := h.Store.Session(ctx, id)
	if err != nil {
		return err
	}
	batch := make([]*session.Item, 0, rememberAtOnce)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := h.Remember(ctx, current, batch)
		batch = batch[:0]
		if fault.CodeOf(err) == fault.Invalid || fault.CodeOf(err) == fault.Denied {
			h.Log.ErrorContext(ctx, "results are not remembered, and would be paid for again", slog.String("session", id), slog.String("reason", fault.Reason(err)))
			return nil
		}
		return err
	}
	err = h.Store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		if it.State != session.Succeeded {
			return nil
		}
		if batch = append(batch, it); len(batch) == cap(batch) {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// report writes the session beside its archived results, so that a folder of
// songs says where it came from without Redis. A session that settles again is
// written over; no other session is.
func (h *Handlers) report(ctx context.Context, id string) error {
	current, err := h.Store.Session(ctx, id)
	if err != nil {
		return err
	}
	view, name := current.View(), h.recordName(current)
	err = h.Store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		view.AudioIDs = append(view.AudioIDs, it.AudioIDs()...)
		view.CreditsSpent += it.Credits()
		view.Committed += it.Committed()
		name.look(it)
		return nil
	})
	if err != nil {
		return err
	}
	if err := h.Ledger.Agree(ctx, accountOf(current), id, view.Committed); err != nil {
		return err
	}
	store, err := h.Archive(current.Archive)
	if err != nil {
		return err
	}
	text, remove := spool(current.Total)
	defer remove()
	if err := longjson.Write(text, view, longjson.List{Name: "items", Elements: h.records(ctx, id)}); err != nil {
		return err
	}
	if file, ok := text.(io.Seeker); ok {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return fault.New(fault.Unavailable, "handlers.Settle", err)
		}
	}
	return store.Put(ctx, name.String(), text)
}

// inMemory is how many items are written down in memory, at some 1 KB each. What is
// larger is written to a temporary file, if there may be one.
const inMemory = 5000

func spool(items int) (text io.ReadWriter, remove func()) {
	if items > inMemory {
		if file, err := os.CreateTemp("", "segue-session-*.json"); err == nil {
			return file, func() { _, _ = file.Close(), os.Remove(file.Name()) } // the system tidies up what is left
		}
	}
	return new(bytes.Buffer), func() {}
}

// errEnough ends a reading that nobody listens to any more.
var errEnough = errors.New("enough")

// records are the session's items as they are written down.
func (h *Handlers) records(ctx context.Context, id string) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		err := h.Store.Each(ctx, id, 0, 0, func(it *session.Item) error {
			view := it.View()
			// A signed URL does not belong into a file that is kept (P5).
			for t := range view.Tracks {
				view.Tracks[t].AudioURL = ""
			}
			if !yield(view, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}
}

// recordName is where a session is written down: in the folder that the layout gives
// it, where its results are there. They are not when the layout was changed meanwhile.
type recordName struct{ folder, within, aside string }

func (h *Handlers) recordName(current *session.Session) *recordName {
	f := archive.Fields{
		Session: current.ID, Name: current.Name, Provider: current.Provider, Account: current.Account,
		Date: time.UnixMilli(current.Created).UTC(),
	}
	layout := h.keeping().Layout
	folder, _ := layout.Folder(f)
	return &recordName{folder: folder, within: layout.Record(f), aside: archive.RecordAside(current.ID)}
}

// look finds out whether an item's results lie elsewhere.
func (n *recordName) look(it *session.Item) {
	for _, t := range it.Tracks {
		if t.File != "" && !strings.Contains("/"+filepath.ToSlash(t.File), "/"+n.folder+"/") {
			n.within = n.aside
		}
	}
}

func (n *recordName) String() string { return n.within }
