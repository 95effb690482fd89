package handlers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

const (
	// sweepEvery is how often stuck items are looked for. A worker counts as dead
	// session.DeadAfter after its last beat, and the next sweep takes its steps
	// away: at most 8 s after it died, and the time that the sweep itself takes.
	sweepEvery = 2 * time.Second
	// sweepBatch is how many items of one session a sweep looks at.
	sweepBatch = 200
	// queuedLook is when the sweep looks again at an item whose task waits its
	// turn on the queue.
	queuedLook = time.Minute
)

// Sweep executes keeper:sweep: it finds what is stuck and wakes it. Everything
// it does is a compare-and-set or an enqueue under a fixed id, so any number of
// sweeps may run at once.
func (h *Handlers) Sweep(ctx context.Context, p tasks.Sweep) error {
	alive, err := h.Store.Workers(ctx)
	if err != nil {
		return err
	}
	open, err := h.Store.Open(ctx)
	if err != nil {
		return err
	}
	var all []error
	var waiting []account.ID
	for _, id := range open {
		if ctx.Err() != nil {
			break
		}
		waits, err := h.sweepSession(ctx, id, alive)
		if err != nil {
			all = append(all, err)
		}
		if (waits != account.ID{}) && !slices.Contains(waiting, waits) {
			waiting = append(waiting, waits)
		}
	}
	for _, id := range waiting {
		all = append(all, h.summon(ctx, id))
	}
	all = append(all, h.sweepLedger(ctx), h.sweepLeases(ctx, waiting), h.alarm(ctx, p.Slot))
	return errors.Join(all...)
}

// sweepLeases gives back slots and places whose items do not need them any more: their
// worker died between recording what became of an item and giving them back.
func (h *Handlers) sweepLeases(ctx context.Context, waiting []account.ID) error {
	known, err := h.Gate.Known(ctx, "")
	if err != nil {
		return err
	}
	ids := append([]account.ID{uploads}, waiting...)
	for _, acc := range known {
		if !slices.Contains(waiting, acc.ID) {
			ids = append(ids, acc.ID)
		}
	}
	var all []error
	for _, id := range ids {
		stale, err := h.Gate.Stale(ctx, id, sweepBatch)
		all = append(all, err)
		for _, lease := range stale {
			all = append(all, h.sweepLease(ctx, id, lease))
		}
	}
	return errors.Join(all...)
}

func (h *Handlers) sweepLease(ctx context.Context, id account.ID, lease account.Lease) error {
	needed, err := h.needs(ctx, id, lease)
	if err != nil {
		return err
	}
	var left account.Left
	switch {
	case needed:
		return h.Gate.Renew(ctx, id, lease)
	case lease.Stock:
		left, err = h.Gate.Unstock(ctx, id, lease.Entry)
	default:
		left, err = h.Gate.Leave(ctx, id, lease.Entry)
	}
	if err == nil && left.Waiting {
		err = h.Queue.Admission(ctx, id.Provider, id.Name, left.Seq+1)
	}
	return err
}

// needs says whether an item still needs what it holds.
func (h *Handlers) needs(ctx context.Context, id account.ID, lease account.Lease) (bool, error) {
	ses, index, ok := session.ParseItemID(lease.Entry)
	var entry ledger.Entry
	if !lease.Stock {
		parsed, err := ledger.ParseEntry(lease.Entry)
		entry, ses, index, ok = parsed, parsed.Session, parsed.Index, err == nil
	}
	if !ok {
		return false, nil
	}
	work, err := h.Store.Load(ctx, ses, index)
	if fault.CodeOf(err) == fault.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	it := &work.Item
	waits := false
	if it.State == session.Queued && it.Step != session.StepFetch {
		if waits, err = h.Store.Waits(ctx, it); err != nil {
			return false, err
		}
	}
	switch {
	case lease.Stock:
		return stocked(it) && (!waits || it.Step == session.StepExtend), nil
	case entryOf(it) != entry || waits:
		return false, nil
	case id == uploads:
		return it.State == session.Queued || uploading(it, it), nil
	}
	return it.State == session.Queued || sameRequest(it, it), nil
}

// sweepSession looks at what is overdue in one session, and says which account its
// items wait for, if any wait.
func (h *Handlers) sweepSession(ctx context.Context, id string, alive map[string]bool) (waits account.ID, err error) {
	overdue, err := h.Store.Overdue(ctx, id, sweepBatch)
	switch {
	case err != nil:
		return waits, err
	case overdue.Over:
		return waits, h.Store.Close(ctx, id)
	case !overdue.Ready:
		return waits, nil // a submission that is under way, or was cut off: nothing of it may be sent
	}
	waits, err = h.sweepBacklog(ctx, overdue, id)
	all := []error{err}
	for _, completion := range overdue.Completions {
		all = append(all, h.resettle(ctx, id, completion))
	}
	for _, index := range overdue.Indexes {
		all = append(all, h.sweepItem(ctx, id, index, overdue.Canceled, alive))
	}
	return waits, errors.Join(all...)
}

// sweepBacklog makes sure that a session that has items waiting takes part in its
// account's turns.
func (h *Handlers) sweepBacklog(ctx context.Context, overdue *session.Overdue, ses string) (waits account.ID, err error) {
	for _, step := range session.Backlogged() {
		if overdue.Backlog[step] == 0 {
			continue
		}
		waits = idOf(&overdue.Session)
		if _, err := h.Gate.Join(ctx, waits, string(step), ses, overdue.Session.Priority.Weight()); err != nil {
			return waits, err
		}
	}
	return waits, nil
}

// resettle makes sure that the task that settles a completion will run.
func (h *Handlers) resettle(ctx context.Context, id string, completion int) error {
	for rescue := 0; ; rescue++ {
		task, err := session.SettleTask(id, completion, rescue)
		if err != nil {
			return fault.New(fault.Internal, "handlers.Sweep", err)
		}
		place, err := h.Queue.Find(task)
		switch {
		case err != nil:
			return err
		case place == queue.Coming || place == queue.Active:
			return nil // asynq runs it, or finds its dead worker, by itself
		case place == queue.Gone:
			return h.Queue.Put(ctx, task, 0)
		}
	}
}

// sweepItem looks at one item whose time has come.
func (h *Handlers) sweepItem(ctx context.Context, id string, index int, canceled bool, alive map[string]bool) error {
	work, err := h.Store.Load(ctx, id, index)
	if err != nil {
		return err
	}
	it := &work.Item
	switch it.State {
	case session.Sending, session.Running:
		return h.sweepClaimed(ctx, work, alive)
	case session.Queued:
		if canceled && it.Step != session.StepFetch {
			return done(h.cancel(ctx, id, index))
		}
		return h.sweepQueued(ctx, it)
	case session.Waiting, session.Reconciling:
		return h.sweepQueued(ctx, it)
	case session.Held, session.Succeeded, session.Failed, session.Canceled:
	}
	return nil
}

// sweepClaimed takes a step from a worker that is dead or overran its claim.
func (h *Handlers) sweepClaimed(ctx context.Context, work *session.Work, alive map[string]bool) error {
	it := &work.Item
	switch {
	case !alive[it.Claim.Worker]:
		return h.orphan(ctx, work, "worker "+it.Claim.Worker+" died")
	case work.Now.UnixMilli() >= it.Claim.Until:
		return h.orphan(ctx, work, "worker "+it.Claim.Worker+" overran its claim")
	}
	// Claims are looked at in every sweep: there are no more of them than workers
	// have room for.
	return h.later(ctx, it, sweepEvery/2)
}

// later makes the sweep look again after a while.
func (h *Handlers) later(ctx context.Context, it *session.Item, look time.Duration) error {
	_, err := h.Store.Defer(ctx, it.Session, look, it.Index)
	return err
}

// sweepQueued makes sure that an item's task will run. A task that is active
// although its item has not moved is in the hands of a dead worker, or of one
// that is slow: a new one under a new id takes over, and the old one, being
// behind its item's state, does nothing.
func (h *Handlers) sweepQueued(ctx context.Context, it *session.Item) error {
	task, ok, err := session.Next(it)
	if err != nil || !ok {
		return err
	}
	place, err := h.Queue.Find(task)
	if err != nil {
		return err
	}
	switch place {
	case queue.Coming:
		return h.later(ctx, it, queuedLook)
	case queue.Gone:
		if err := h.Queue.Put(ctx, task, 0); err != nil {
			return err
		}
		return h.later(ctx, it, soon)
	case queue.Active, queue.Over, queue.Stuck:
	}
	return h.replace(ctx, it)
}

// replace replaces an item's task by one with a new id.
func (h *Handlers) replace(ctx context.Context, it *session.Item) error {
	if err := it.Renew(); err != nil {
		return err
	}
	_, err := h.Store.Write(ctx, it, soon)
	switch {
	case fault.CodeOf(err) == fault.Conflict:
		return nil // it moved: it was not stuck
	case err != nil:
		return err
	}
	h.Log.InfoContext(ctx, "task replaced", slog.String("item", it.ID()), slog.String("at", it.Label()), slog.Int("rescue", it.Rescue))
	return h.follow(ctx, it, 0)
}
