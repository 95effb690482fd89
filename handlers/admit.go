package handlers

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// admitBatch is how many items of one session are admitted at once, at most.
const admitBatch = 64

// uploads is the account of what all accounts share: the bandwidth of the workers. Its
// slots are uploads that are under way or about to be, and the accounts take turns at it
// as sessions do at an account.
var uploads = account.ID{Provider: "_", Name: "uploads"}

// uploadsEach is how many uploads are admitted for each that can run at once, so that a
// worker that has finished one finds the next; fewestUploads is how many at least.
const (
	uploadsEach   = 2
	fewestUploads = 8
)

// Admit executes session:admit: the sessions of an account take turns, as many of
// their items as there is room for get their tasks. Whoever asks for it while it runs
// asks for the next one.
func (h *Handlers) Admit(ctx context.Context, p tasks.Admit) error {
	id := account.ID{Provider: p.Provider, Name: p.Account}
	if _, err := h.Gate.Begin(ctx, id); err != nil {
		return err
	}
	if id == uploads {
		return h.admitUploads(ctx)
	}
	acc, err := h.Accounts.Get(p.Provider, p.Account)
	if err != nil {
		// The sweep asks again, until one asks a worker that has the account.
		h.Log.WarnContext(ctx, "nothing admitted", slog.String("account", id.String()), slog.String("cause", err.Error()))
		return nil
	}
	_, extends := h.admitUpTo(ctx, acc, session.StepExtend, 0)
	_, err = h.Gate.Join(ctx, uploads, account.KindUpload, shareOf(id), session.Normal.Weight())
	return errors.Join(extends, err, h.admitUploads(ctx))
}

// shareOf names an account in the ring of the accounts.
func shareOf(id account.ID) string { return id.Provider + ":" + id.Name }

// admitUploads gives accounts their turns at the workers' bandwidth. One that could do
// nothing with its turn takes no part until something about it changes.
func (h *Handlers) admitUploads(ctx context.Context) error {
	limits, err := h.uploadLimits(ctx)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		picked, ok, err := h.Gate.Pick(ctx, uploads, account.KindUpload, limits, account.Picking{Ahead: ahead, Most: admitBatch, Limited: true})
		if err != nil || !ok {
			return err
		}
		provider, name, _ := strings.Cut(picked.Session, ":")
		served := 0
		acc, err := h.Accounts.Get(provider, name)
		if err == nil {
			served, err = h.admitUpTo(ctx, acc, session.StepUpload, picked.Allowed)
		}
		if err != nil {
			h.Log.WarnContext(ctx, "no uploads admitted", slog.String("account", picked.Session), slog.String("cause", err.Error()))
		}
		more := served == picked.Allowed
		if err := h.Gate.Return(ctx, uploads, account.KindUpload, picked.Session, picked.Weight, served, more); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// uploadLimits says how many uploads are under way or about to be, over all workers.
func (h *Handlers) uploadLimits(ctx context.Context) (account.Limits, error) {
	alive, err := h.Store.Workers(ctx)
	return account.Limits{InFlight: max(fewestUploads, uploadsEach*h.Uploads*len(alive))}, err
}

// admitUpTo gives the sessions of an account their turns until so many items were
// admitted (0 is any number), there is no more room, or nobody waits.
func (h *Handlers) admitUpTo(ctx context.Context, acc *account.Account, step session.StepName, most int) (served int, err error) {
	for ctx.Err() == nil && (most == 0 || served < most) {
		batch := admitBatch
		if most > 0 {
			batch = min(batch, most-served)
		}
		n, err := h.admit(ctx, acc, step, batch)
		served += n
		if err != nil || n == 0 {
			return served, err
		}
	}
	return served, ctx.Err()
}

// admit gives one session its turn. One that cannot pay passes it on.
func (h *Handlers) admit(ctx context.Context, acc *account.Account, step session.StepName, most int) (served int, err error) {
	id, limits := account.ID{Provider: acc.Provider, Name: acc.Name}, limitsOf(acc)
	for {
		picked, ok, err := h.Gate.Pick(ctx, id, string(step), limits, account.Picking{Ahead: ahead, Most: most, Limited: limited(acc, step)})
		if err != nil || !ok {
			return 0, err
		}
		served, waits, err := h.takeTurn(ctx, acc, step, picked)
		err = errors.Join(err, h.Gate.Return(ctx, id, string(step), picked.Session, picked.Weight, served, waits))
		if err != nil || served > 0 || waits {
			return served, err
		}
		// Nothing of this session waited any more, or it cannot pay: the next one.
	}
}

// takeTurn lets in what a session that was picked may have, and says whether more of
// it waits for another turn. One that is parked again waits for none.
func (h *Handlers) takeTurn(ctx context.Context, acc *account.Account, step session.StepName, picked account.Picked) (served int, waits bool, err error) {
	if picked.Parked {
		if parked, err := h.parkAgain(ctx, acc, step, picked.Session); err != nil || parked {
			return 0, err != nil, err
		}
	}
	allowed := picked.Allowed
	if step == session.StepUpload {
		room, err := h.roomAhead(ctx, picked.Session)
		if allowed = min(allowed, room); err != nil || allowed <= 0 {
			return 0, err != nil, err // the sweep lets it join again
		}
	}
	items, left, err := h.Store.Admit(ctx, picked.Session, step, allowed)
	if err == nil && len(items) > 0 {
		served, err = h.letIn(ctx, acc, step, items)
	}
	return served, err != nil || left+len(items) > served, err
}

// roomAhead says how many items of a session may yet be uploaded ahead of their extend.
// Those of one that was parked have left the stock: without this, every song that it
// can pay for would have it stage many more.
func (h *Handlers) roomAhead(ctx context.Context, id string) (int, error) {
	s, err := h.Store.Session(ctx, id)
	if fault.CodeOf(err) == fault.NotFound {
		return stock, nil
	}
	if err != nil {
		return 0, err
	}
	room := stock - s.Counts[string(session.StepExtend)+"."+string(session.Queued)]
	for _, state := range []session.State{session.Running, session.Sending, session.Waiting} {
		room -= s.Counts[string(session.StepUpload)+"."+string(state)]
	}
	return room, nil
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
	names, entries := make([]string, n), make([]string, n)
	for i, it := range items {
		names[i], entries[i] = it.ID(), slotOf(it)
	}
	if step == session.StepUpload {
		room, err := h.Gate.Stocked(ctx, id, names, limits)
		if err == nil && room > 0 {
			room, err = h.underway(ctx, entries[:room])
		}
		if err != nil {
			return nil, err
		}
		n = room
	}
	turns := make([]time.Duration, n)
	if limited(acc, step) && n > 0 {
		entered, err := h.Gate.Enter(ctx, id, string(step), limits, account.Request{Entries: entries[:n], Ahead: ahead})
		if err != nil {
			return nil, err
		}
		turns = entered.Turns
	}
	if step == session.StepUpload {
		return turns, h.giveUpRoom(ctx, id, names[len(turns):], entries[len(turns):])
	}
	return turns, nil
}

// underway gives the first of the entries their place among the uploads of all accounts.
func (h *Handlers) underway(ctx context.Context, entries []string) (int, error) {
	limits, err := h.uploadLimits(ctx)
	if err != nil {
		return 0, err
	}
	entered, err := h.Gate.Enter(ctx, uploads, account.KindUpload, limits, account.Request{Entries: entries, Ahead: ahead})
	return len(entered.Turns), err
}

// giveUpRoom gives back what uploads had taken that are not admitted after all.
func (h *Handlers) giveUpRoom(ctx context.Context, id account.ID, names, entries []string) error {
	for n := range names {
		_, stock := h.Gate.Unstock(ctx, id, names[n])
		_, place := h.Gate.Leave(ctx, uploads, entries[n])
		if err := errors.Join(stock, place); err != nil {
			return err
		}
	}
	return nil
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
