package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// A request that its provider's limits count goes three ways before it leaves. The
// admission gives its item a slot and a turn; at the turn the handler begins; and
// immediately before the request is written, the turn is stamped. What may not go
// then waits in its session, where it costs nothing, until it is admitted again.

const (
	// ahead is how far in the future turns are handed out: longer than the time
	// between two sweeps, so that there is always somebody whose turn comes next.
	ahead = 5 * time.Second
	// patience is how long a handler waits for its turn itself. The queue keeps whole
	// seconds: what wakes early must not go back to sleep.
	patience = 1500 * time.Millisecond
	// stamping is how long it may wait for others that were late to be let go first.
	stamping = 10 * time.Second
	// fresh is how long a stamp holds: less than what the gate leaves between two of them.
	fresh = account.Guard / 2
	// stock is how many items of an account may be uploaded ahead of their extend: what
	// is staged at a provider expires.
	stock = 64
)

// idOf names a session's account as the gate does.
func idOf(spec *session.Session) account.ID {
	return account.ID{Provider: spec.Provider, Name: spec.Account}
}

// limited says whether the limits of a provider count a step's request.
func limited(acc *account.Account, step session.StepName) bool {
	return step == session.StepExtend || (step == session.StepUpload && acc.Info.Uploads.Clips)
}

// limitsOf are an account's limits as the gate knows them.
func limitsOf(acc *account.Account) account.Limits {
	known := acc.Info.Limits
	return account.Limits{Rate: account.Rate(known.Submit), InFlight: known.InFlight, Stock: stock}
}

// slotOf names the current step's request, which holds a slot.
func slotOf(it *session.Item) string { return entryOf(it).String() }

// enter makes sure that the job's request has a slot and that its turn has come. Where
// in is false, err is what the handler returns: the step waits, without an attempt.
func (h *Handlers) enter(ctx context.Context, j *job) (in bool, err error) {
	if !limited(j.account, j.Item.Step) {
		return true, nil
	}
	id, endpoint := idOf(&j.Session), string(j.Item.Step)
	entered, err := h.Gate.Enter(ctx, id, endpoint, limitsOf(j.account), account.Request{Entries: []string{slotOf(&j.Item)}, Ahead: ahead, Door: true})
	if err != nil {
		return false, h.postpone(ctx, j, err)
	}
	if len(entered.Turns) == 0 {
		return false, h.yield(ctx, j, refusal(entered.Closed, entered.Full))
	}
	turn := entered.Turns[0]
	if turn > patience && j.token == "" {
		// It was woken early, or those before it were late: its turn is kept.
		if _, err := h.Store.Defer(ctx, j.Item.Session, turn+soon, j.Item.Index); err != nil {
			return false, err
		}
		return false, wait(turn, errors.New("its turn comes later"))
	}
	if turn > 0 {
		sleep(ctx, turn)
	}
	return ctx.Err() == nil, ctx.Err()
}

// stamp is called when little but the request is left to do. It says whether the
// request may leave, having waited for the turn of those before it, and since when.
func (h *Handlers) stamp(ctx context.Context, j *job) (canary bool, at time.Time, err error) {
	if !limited(j.account, j.Item.Step) {
		return false, at, nil
	}
	id, endpoint, entry := idOf(&j.Session), string(j.Item.Step), slotOf(&j.Item)
	for giveUp := time.Now().Add(stamping); ; {
		asked := time.Now()
		gone, err := h.Gate.Go(ctx, id, endpoint, limitsOf(j.account), entry)
		switch {
		case err != nil:
			return false, at, err
		case gone.Closed != nil:
			return false, at, refusal(gone.Closed, false)
		case gone.Missing:
			return false, at, refusal(nil, true)
		case gone.Wait <= 0 && stillFresh(asked):
			return gone.Canary, asked, nil
		case gone.Wait <= 0 && time.Now().Before(giveUp):
			continue // this process stood still, or Redis answered late
		case time.Now().Add(gone.Wait).After(giveUp):
			return false, at, refusal(nil, false)
		}
		if sleep(ctx, gone.Wait); ctx.Err() != nil {
			return false, at, fault.Uncharged(fault.Canceled, "handlers.stamp", ctx.Err())
		}
	}
}

// leaving makes a request look at its turn once more when it is about to be written: a
// connection may have to be opened first, or the process may have stood still. What was
// stamped only just now need not be asked for again. One that costs nothing also looks
// at its claim, which another worker may have by now: a paid one is fenced by its
// deadline, and must not be sent again whoever has the item.
func (h *Handlers) leaving(ctx context.Context, j *job, stamped time.Time) context.Context {
	// The limits of an upload in several parts are not known so exactly.
	exact := limited(j.account, j.Item.Step) && (j.Item.Step == session.StepExtend || j.account.Info.Uploads.By == provider.ByURL)
	own := &ownership{h: h, session: j.Item.Session, index: j.Item.Index, token: j.token, seen: j.began}
	free := j.Item.State == session.Running
	if !exact && !free {
		return ctx
	}
	return provider.BeforeLeaving(ctx, func(ctx context.Context) error {
		if free {
			if err := own.look(ctx); err != nil {
				return err
			}
		}
		if !exact || stillFresh(stamped) {
			return nil
		}
		_, _, err := h.stamp(ctx, j)
		return err
	})
}

// ownedFor is how long a claim surely holds after it was seen: its worker had said that
// it lives a beat before, at most, and is not taken to be dead before that is old.
var ownedFor = session.DeadAfter - beatEvery - time.Second

// ownership is a claim that is looked at now and then. Requests of one job may ask at
// the same time.
type ownership struct {
	h       *Handlers
	session string
	index   int
	token   string

	mu   sync.Mutex
	seen time.Time // when it was written, or looked at
}

// look refuses what the claim does not cover any more, or may not.
func (o *ownership) look(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	asked := time.Now()
	if asked.Sub(o.seen) < ownedFor && asked.Round(0).Sub(o.seen.Round(0)) < ownedFor {
		return nil
	}
	work, err := o.h.Store.Load(ctx, o.session, o.index)
	switch {
	case err != nil:
		return notItsTurn("whether another worker has the step by now is not known: " + fault.Reason(err))
	case work.Item.Claim == nil || work.Item.Claim.Token != o.token:
		return notItsTurn("another worker has the step by now")
	}
	o.seen = asked
	return nil
}

// stillFresh says that a stamp of that time holds, by both of this machine's clocks.
func stillFresh(stamped time.Time) bool {
	return time.Since(stamped) < fresh && time.Now().Round(0).Sub(stamped.Round(0)) < fresh
}

// errNotItsTurn is in every error of a request that the gate did not let go.
var errNotItsTurn = errors.New("not its turn")

// refusal says why the gate let nothing in.
func refusal(closed *account.Closed, full bool) error {
	why := "others are first"
	switch {
	case closed != nil && closed.Until > 0:
		why = fmt.Sprintf("paused for %s: %s", closed.Until.Round(time.Second), closed.Why)
	case closed != nil:
		why = "paused until one request has shown that it is over: " + closed.Why
	case full:
		why = "the account has as many operations running as its provider allows"
	}
	return notItsTurn(why)
}

// notItsTurn is a request that was not let go.
func notItsTurn(why string) error {
	return &fault.Error{Code: fault.Exhausted, Op: "handlers.enter", Charge: fault.ChargeNone, Err: turnError(why)}
}

// turnError is a reason, for people, that is errNotItsTurn.
type turnError string

func (e turnError) Error() string        { return string(e) }
func (e turnError) Is(target error) bool { return target == errNotItsTurn }

// yield puts the job's step back into its session, where it waits to be admitted. No
// attempt is counted, and the task is over: another follows under a new id.
func (h *Handlers) yield(ctx context.Context, j *job, cause error) error {
	why := failure(j.Item.Step, cause)
	why.Charge = fault.ChargeNone.String()
	token := j.token
	return h.record(ctx, j, soon, func(it *session.Item, _ time.Time) error { return it.Yield(token, why) })
}

// pace makes what a write changed about an item true of its account's slots: a slot is
// held from before the request leaves until the operation has ended. What this does not
// come to, the sweep of leases does.
func (h *Handlers) pace(ctx context.Context, s *session.Session, before, after *session.Item) {
	id := idOf(s)
	wanted := map[account.ID]int64{}
	note := func(of account.ID, demand account.Demand, err error) {
		if err != nil {
			h.Log.WarnContext(ctx, "slots are behind", slog.String("item", after.ID()), slog.String("cause", err.Error()))
		}
		if demand.Waiting {
			wanted[of] = demand.Seq + 1
		}
	}
	if before.Step == session.StepUpload && !uploading(before, after) {
		left, err := h.Gate.Leave(ctx, uploads, slotOf(before))
		note(uploads, left.Demand, err)
	}
	if before.Step != session.StepFetch && !sameRequest(before, after) {
		left, err := h.Gate.Leave(ctx, id, slotOf(before))
		note(id, left.Demand, err)
	}
	if (stocked(before) || before.Step == session.StepExtend && before.State == session.Sending) && !stocked(after) {
		left, err := h.Gate.Unstock(ctx, id, after.ID())
		note(id, left.Demand, err)
	}
	if after.State == session.Queued && after.Backlog {
		demand, err := h.Gate.Join(ctx, id, string(after.Step), after.Session, s.Priority.Weight())
		note(id, demand, err)
	}
	for _, of := range []account.ID{uploads, id} {
		if seq := wanted[of]; seq > 0 {
			note(of, account.Demand{}, h.Queue.Admission(ctx, of.Provider, of.Name, seq))
		}
	}
}

// uploading says that an item's upload goes on moving the file.
func uploading(before, after *session.Item) bool {
	return after.Step == session.StepUpload && after.Generation == before.Generation &&
		(after.State == session.Running || after.State == session.Sending)
}

// sameRequest says that an item's request, if it holds a slot, goes on holding it.
func sameRequest(before, after *session.Item) bool {
	if before.Step != after.Step || before.Generation != after.Generation {
		return false
	}
	switch after.State {
	case session.Sending, session.Running, session.Waiting, session.Reconciling:
		return true
	case session.Queued, session.Held, session.Succeeded, session.Failed, session.Canceled:
	}
	return false
}

// stocked says that an item is between its admission and its extend.
func stocked(it *session.Item) bool {
	switch it.Step {
	case session.StepUpload:
		return !it.State.Ended() && it.State != session.Held && !(it.State == session.Queued && it.Backlog && it.Rescue > 0)
	case session.StepExtend:
		return it.State == session.Queued
	case session.StepFetch:
	}
	return false
}
