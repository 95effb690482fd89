package handlers

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

const (
	// reservedFor is how long a reservation without a claim is surely kept: the sweep
	// looks at it after 30 s.
	reservedFor = 10 * time.Second
	// underwayLook and heldLook are when the sweep looks again at a reservation whose
	// request is on the way, or in doubt.
	underwayLook = 30 * time.Second
	heldLook     = 5 * time.Minute
	// parked is how long an item waits for credits before it asks again, where nothing
	// but its own asking tells when there are some.
	parked = 30 * time.Second
	// parkedLook is how often it is asked whether a parked session can pay by now: a
	// budget may have been raised, or a day be over.
	parkedLook = 10 * time.Second
	// contended is the same for what other requests of the session hold: that is
	// settled within seconds.
	contended = 3 * time.Second
)

// accountOf names a session's account as the ledger does.
func accountOf(spec *session.Session) ledger.Account {
	return ledger.Account{Provider: spec.Provider, Name: spec.Account}
}

// entryOf names the request of an item's current step.
func entryOf(it *session.Item) ledger.Entry {
	return ledger.Entry{Session: it.Session, Index: it.Index, Step: string(it.Step), Generation: it.Generation}
}

// reserve sets the request's credits aside, within every budget. It is idempotent.
func (h *Handlers) reserve(ctx context.Context, j *job, r request) error {
	if !r.paid || r.credits <= 0 {
		return nil
	}
	reserved, err := h.Ledger.Reserve(ctx, ledger.Reservation{
		Account: accountOf(&j.Session), Entry: entryOf(&j.Item), Credits: r.credits, Limits: limits(&j.Session, j.account),
	})
	if err != nil {
		return err
	}
	j.mark = reserved.Mark
	if reserved.Quiet {
		h.readBefore(ctx, j, reserved.Moves)
	}
	return nil
}

// limits are the budgets that a session's requests must fit into.
func limits(s *session.Session, acc *account.Account) []ledger.Limit {
	var all []ledger.Limit
	if acc.Budget != nil {
		all = append(all, ledger.Limit{Scope: ledger.ScopeAccount, Credits: *acc.Budget})
	}
	if acc.DailyBudget != nil {
		all = append(all, ledger.Limit{Scope: ledger.ScopeDay, Credits: *acc.DailyBudget})
	}
	for _, shared := range s.Limits {
		credits := math.Inf(1)
		if shared.Credits != nil {
			credits = *shared.Credits
		}
		all = append(all, ledger.Limit{Scope: shared.Scope, Key: shared.Key, Credits: credits})
	}
	if s.Budget != nil {
		all = append(all, ledger.Limit{Scope: ledger.ScopeSession, Key: s.ID, Credits: *s.Budget})
	}
	return all
}

// unaffordable deals with a request whose credits could not be set aside: a session
// that has used up its own budget, or one that it shares, ends there; everything else
// waits for credits, in its session, and the session stands in nobody's way: it is
// parked until it can pay.
func (h *Handlers) unaffordable(ctx context.Context, j *job, cause error) error {
	switch {
	case fault.CodeOf(cause) == fault.Conflict:
		return wait(time.Second, cause) // it was charged already: this delivery is late
	case usedUp(cause):
		why := failure(j.Item.Step, cause)
		why.Charge = fault.ChargeNone.String()
		return outcome(h.giveUp(ctx, j, why), final(cause))
	case fault.CodeOf(cause) != fault.Exhausted:
		return h.postpone(ctx, j, cause)
	}
	// Before the item is written down, so that its place in the stock is not kept for it
	// by a worker that dies in between.
	if err := h.Gate.Park(ctx, idOf(&j.Session), j.Session.ID, parkedFor(cause)); err != nil {
		return h.postpone(ctx, j, err)
	}
	return h.starve(ctx, j, cause)
}

// starve is yield for want of credits.
func (h *Handlers) starve(ctx context.Context, j *job, cause error) error {
	why := failure(j.Item.Step, cause)
	why.Charge = fault.ChargeNone.String()
	token := j.token
	return h.record(ctx, j, soon, func(it *session.Item, _ time.Time) error { return it.Park(token, why) })
}

// usedUp says that credits were refused for good: by a budget of the session's own, or
// one that it shares, which has been spent. What an account may spend changes, with
// the day or by its owner's hand.
func usedUp(cause error) bool {
	over, ok := errors.AsType[*ledger.OverBudget](cause)
	return ok && over.Final && over.Scope != ledger.ScopeAccount && over.Scope != ledger.ScopeDay
}

// parkedFor is how long a session stays parked before it is asked again whether it can
// pay.
func parkedFor(cause error) time.Duration {
	if over, ok := errors.AsType[*ledger.OverBudget](cause); ok && over.Scope == ledger.ScopeSession {
		return contended
	}
	return parkedLook
}

// parkAgain says whether a session that was parked cannot pay yet; then it is parked
// for another while. Nothing of it is woken to find out.
func (h *Handlers) parkAgain(ctx context.Context, acc *account.Account, step session.StepName, id string) (parked bool, err error) {
	s, err := h.Store.Session(ctx, id)
	if fault.CodeOf(err) == fault.NotFound {
		return false, h.Gate.Unpark(ctx, account.ID{Provider: acc.Provider, Name: acc.Name}, id)
	}
	if err != nil {
		return false, err
	}
	err = h.Ledger.Affords(ctx, ledger.Reservation{
		Account: accountOf(s), Entry: ledger.Entry{Session: id, Step: string(step)},
		Credits: awaited(acc, s, step), Limits: limits(s, acc),
	})
	switch {
	case err == nil || usedUp(err) || permanent(err):
		return false, h.Gate.Unpark(ctx, idOf(s), id) // it can pay, or its items end
	case fault.CodeOf(err) == fault.Exhausted:
		return true, h.Gate.Park(ctx, idOf(s), id, parkedFor(err))
	}
	return false, err
}

// awaited is what a parked session must be able to pay before something of it goes on:
// nothing is uploaded that could not be extended then.
func awaited(acc *account.Account, s *session.Session, step session.StepName) float64 {
	prices := acc.Info.Prices
	switch {
	case step == session.StepExtend || !acc.Info.Uploads.Paid:
		return prices.Extend
	case s.Params == nil:
		return prices.Upload
	}
	return prices.Upload + prices.Extend
}

// broke says that an account has no credits left.
func broke(cause error) bool {
	f, ok := errors.AsType[*fault.Error](cause)
	return ok && f.Code == fault.Exhausted && f.Scope == fault.ScopeAccount && f.Charge == fault.ChargeNone
}

// park records that the account has run dry: from now on nothing of it is sent until
// its balance says that there is credit again. The item waits for that.
func (h *Handlers) park(ctx context.Context, j *job, r request, why session.Failure, cause error) error {
	if err := h.Ledger.RunDry(ctx, accountOf(&j.Session), 2*parked, r.credits); err != nil {
		h.Log.WarnContext(ctx, "account could not be marked as dry", slog.String("cause", err.Error()))
	}
	why.Reason = "parked until the account has credits again: " + why.Reason
	pause := account.Pause{For: 2 * parked, Why: "no credits: " + fault.Reason(cause), Code: DryPause}
	if limited(j.account, j.Item.Step) && h.close(ctx, idOf(&j.Session), string(j.Item.Step), pause) {
		return h.starve(ctx, j, fault.Uncharged(fault.Exhausted, "handlers.park", errors.New(why.Reason)))
	}
	return outcome(h.giveBack(ctx, j, why, parked), wait(parked, cause))
}

// DryPause is the code of the pause of an account without credits.
const DryPause = "no_credits"

// refilled lets the requests of an account be tried again that has credits again.
func (h *Handlers) refilled(ctx context.Context, name ledger.Account) error {
	id := account.ID{Provider: name.Provider, Name: name.Name}
	for _, step := range session.Backlogged() {
		if _, err := h.Gate.Expire(ctx, id, string(step), DryPause); err != nil {
			return err
		}
	}
	return h.summon(ctx, id)
}

// account makes the ledger follow what a write changed about an item. If it cannot,
// the sweep of open reservations and the session's settling put it right: the item
// is the truth. mark is that of the writer's own reservation, 0 when it has none.
func (h *Handlers) account(ctx context.Context, s *session.Session, before, after *session.Item, mark int64) {
	if err := h.Ledger.Follow(ctx, accountOf(s), before, after, mark); err != nil {
		h.Log.WarnContext(ctx, "ledger is behind", slog.String("item", after.ID()), slog.String("cause", err.Error()))
	}
}

// sweepLedger looks after reservations whose worker left them, and asks whether dry
// accounts have credits again, and denied ones a key.
func (h *Handlers) sweepLedger(ctx context.Context) error {
	accounts, err := h.Ledger.Accounts(ctx)
	if err != nil {
		return err
	}
	var all []error
	for _, acc := range accounts {
		stale, err := h.Ledger.Stale(ctx, acc, sweepBatch)
		all = append(all, err)
		for _, open := range stale {
			all = append(all, h.sweepReservation(ctx, acc, open))
		}
	}
	denied, err := h.learnDenied(ctx)
	return errors.Join(append(all, err, h.askBalances(ctx, accounts, denied))...)
}

// sweepReservation makes a reservation follow its item.
func (h *Handlers) sweepReservation(ctx context.Context, acc ledger.Account, open ledger.Open) error {
	entry := open.Entry
	work, err := h.Store.Load(ctx, entry.Session, entry.Index)
	if fault.CodeOf(err) == fault.NotFound {
		return h.Ledger.Lapse(ctx, acc, open)
	}
	if err != nil {
		return err
	}
	standing, credits := work.Item.Standing(session.StepName(entry.Step), entry.Generation)
	switch standing {
	case session.Open:
		look := underwayLook
		if work.Item.State == session.Held {
			look = heldLook
		}
		return h.Ledger.Keep(ctx, acc, entry, look)
	case session.Charged:
		return h.Ledger.Settle(ctx, acc, entry, credits)
	case session.Refunded:
		return errors.Join(h.Ledger.Settle(ctx, acc, entry, credits), h.Ledger.Refund(ctx, acc, entry, credits))
	case session.Free:
	}
	if err := h.Ledger.Lapse(ctx, acc, open); err != nil || work.Session.Completions == 0 {
		return err
	}
	// It may have been the last thing that kept books and items from being compared.
	view, err := h.Store.View(ctx, entry.Session)
	if err != nil {
		return err
	}
	return h.Ledger.Agree(ctx, acc, entry.Session, view.Committed)
}
