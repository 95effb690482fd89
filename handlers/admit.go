package handlers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// admitted is how many items of one session are admitted at once, at most.
const admitBatch = 64

// Admit executes session:admit: the sessions of an account take turns, as many of
// their items as there is room for get their tasks. Whoever asks for it while it runs
// asks for the next one.
func (h *Handlers) Admit(ctx context.Context, p tasks.Admit) error {
	id := account.ID{Provider: p.Provider, Name: p.Account}
	if _, err := h.Gate.Begin(ctx, id); err != nil {
		return err
	}
	acc, err := h.Accounts.Get(p.Provider, p.Account)
	if err != nil {
		// The sweep asks again, until one asks a worker that has the account.
		h.Log.WarnContext(ctx, "nothing admitted", slog.String("account", id.String()), slog.String("cause", err.Error()))
		return nil
	}
	var all []error
	for _, step := range []session.StepName{session.StepExtend, session.StepUpload} {
		for more := true; more && ctx.Err() == nil; {
			more, err = h.admit(ctx, acc, step)
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// admit gives one session its turn. more is false when there is no room, or nobody
// who waits.
func (h *Handlers) admit(ctx context.Context, acc *account.Account, step session.StepName) (more bool, err error) {
	id, limits := account.ID{Provider: acc.Provider, Name: acc.Name}, limitsOf(acc)
	picked, ok, err := h.Gate.Pick(ctx, id, string(step), limits, account.Picking{Ahead: ahead, Most: admitBatch, Limited: limited(acc, step)})
	if err != nil || !ok {
		return false, err
	}
	items, left, err := h.Store.Admit(ctx, picked.Session, step, picked.Allowed)
	served := 0
	if err == nil && len(items) > 0 {
		served, err = h.letIn(ctx, acc, step, items)
	}
	waits := err != nil || left+len(items) > served
	err = errors.Join(err, h.Gate.Return(ctx, id, string(step), picked.Session, picked.Weight, served, waits))
	return err == nil && served == len(items), err
}

// letIn gives admitted items their slots and their tasks, as far as there is room, and
// puts the others back.
func (h *Handlers) letIn(ctx context.Context, acc *account.Account, step session.StepName, items []*session.Item) (served int, err error) {
	turns, err := h.roomFor(ctx, acc, step, items)
	if rest := items[len(turns):]; len(rest) > 0 {
		indexes := make([]int, len(rest))
		for n, it := range rest {
			indexes[n] = it.Index
		}
		err = errors.Join(err, h.Store.Readmit(ctx, rest[0].Session, step, indexes...))
	}
	for n, turn := range turns {
		task, ok, bad := session.Next(items[n])
		if bad != nil || !ok {
			return n, fault.New(fault.Internal, "handlers.Admit", errors.Join(bad, errors.New("an item that waits has no task")))
		}
		// One that does not come onto the queue is put there by the sweep.
		err = errors.Join(err, h.Queue.Put(ctx, task, turn))
	}
	return len(turns), err
}

// roomFor takes what the first of the items need before they may have their tasks, and
// says how long until the turn of each.
func (h *Handlers) roomFor(ctx context.Context, acc *account.Account, step session.StepName, items []*session.Item) ([]time.Duration, error) {
	id, limits := account.ID{Provider: acc.Provider, Name: acc.Name}, limitsOf(acc)
	n := len(items)
	if step == session.StepUpload {
		names := make([]string, n)
		for i, it := range items {
			names[i] = it.ID()
		}
		stocked, err := h.Gate.Stocked(ctx, id, names, limits)
		if err != nil {
			return nil, err
		}
		n = stocked
	}
	if !limited(acc, step) || n == 0 {
		return make([]time.Duration, n), nil
	}
	entries := make([]string, n)
	for i, it := range items[:n] {
		entries[i] = slotOf(it)
	}
	entered, err := h.Gate.Enter(ctx, id, string(step), limits, account.Request{Entries: entries, Ahead: ahead})
	if err != nil {
		return nil, err
	}
	if step == session.StepUpload {
		for _, it := range items[len(entered.Turns):n] {
			if _, err := h.Gate.Unstock(ctx, id, it.ID()); err != nil {
				return entered.Turns, err
			}
		}
	}
	return entered.Turns, nil
}

// admitAtOnce spares an item that comes to its next step the way through its session's
// backlog, where there is room and nobody waits.
func (h *Handlers) admitAtOnce(ctx context.Context, j *job, before, after *session.Item) {
	j.turn = 0
	if after.State != session.Queued || !after.Backlog || before.Step == after.Step || !limited(j.account, after.Step) {
		return
	}
	entered, err := h.Gate.Enter(ctx, idOf(&j.Session), string(after.Step), limitsOf(j.account),
		account.Request{Entries: []string{slotOf(after)}, Ahead: ahead, Polite: true})
	if err == nil && len(entered.Turns) == 1 {
		after.Backlog, j.turn = false, entered.Turns[0]
	}
}
