package ledger

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// look is when a sweep should look at what was reserved and not heard of since.
// It is also for how long one sweep keeps others from what it was given.
const look = 30 * time.Second

// Reservation asks for the credits of one paid request.
type Reservation struct {
	Account Account
	Entry   Entry
	// Credits is the price.
	Credits float64
	// Limits are the budgets that it must stay within.
	Limits []Limit
}

// Reserved says how the account stood when a reservation was made.
type Reserved struct {
	// Quiet says that nothing else of the account was open.
	Quiet bool
	// Moves is State.Moves.
	Moves int64
	// Mark tells this call of Reserve apart from those before and after it.
	Mark int64
}

// Reserve sets credits aside for a request that has not left. It is idempotent
// under the entry: reserving what is open succeeds and changes no amount, whatever
// price is named; it only makes the reservation fresh, so that no sweep that looked
// before takes it away (see Lapse). Entries that cost nothing pass every limit.
//
// Refusals cost nothing (fault.ChargeNone): exhausted, wrapping *OverBudget or *Dry,
// with RetryAfter where waiting can help; conflict when the entry was charged
// already, so that whoever asks is late.
func (b *Book) Reserve(ctx context.Context, r Reservation) (Reserved, error) {
	const op = "ledger.Reserve"
	args, err := r.args(op)
	if err != nil {
		return Reserved{}, err
	}
	if err := b.list(ctx, op, r.Account); err != nil {
		return Reserved{}, err
	}
	answer, err := reply.Run(ctx, b.rdb, op, reserveScript, keysWith(r.Account, r.Entry.Session), args...)
	if err != nil {
		return Reserved{}, err
	}
	if word := answer.Text(); word != "ok" {
		return Reserved{}, r.refusal(op, word, answer)
	}
	reserved := Reserved{Quiet: answer.Truth(), Moves: answer.Whole(), Mark: answer.Whole()}
	return reserved, answer.End()
}

// Affords answers as Reserve would for an entry that nothing is known of, and
// reserves nothing: nil when the account's and the session's limits have room for it.
func (b *Book) Affords(ctx context.Context, r Reservation) error {
	const op = "ledger.Affords"
	args, err := r.args(op)
	if err != nil {
		return err
	}
	answer, err := reply.Run(ctx, b.rdb, op, affordsScript, keysOf(r.Account), args...)
	if err != nil {
		return err
	}
	if word := answer.Text(); word != "ok" {
		return r.refusal(op, word, answer)
	}
	return nil
}

// refusal is why a reservation was refused, as a script said it.
func (r *Reservation) refusal(op, word string, answer *reply.List) error {
	numbers := answer.Wholes()
	if err := answer.End(); err != nil {
		return err
	}
	switch word {
	case "paid":
		return fault.Uncharged(fault.Conflict, op, fmt.Errorf("%s was charged already", r.Entry))
	case "dry":
		return tooDry(op, numbers)
	case "budget":
		return overBudget(op, r, numbers)
	}
	return fault.New(fault.Malformed, op, fmt.Errorf("script answered %q", word))
}

// args checks a reservation and gives the script's arguments.
func (r *Reservation) args(op string) ([]any, error) {
	if err := check(op, r.Account, r.Entry); err != nil {
		return nil, err
	}
	amount, err := price(op, r.Credits)
	if err != nil {
		return nil, err
	}
	args := make([]any, 0, 4+2*len(r.Limits))
	args = append(args, r.Entry.Session, r.Entry.part(), amount, look.Milliseconds())
	for _, limit := range r.Limits {
		if err := limit.check(r.Entry.Session); err != nil {
			return nil, fault.New(fault.Invalid, op, err)
		}
		args = append(args, limit.field())
		if math.IsInf(limit.Credits, 1) {
			args = append(args, "")
			continue
		}
		allowed, err := price(op, limit.Credits)
		if err != nil {
			return nil, err
		}
		args = append(args, allowed)
	}
	return args, nil
}

// Settle records that the entry was charged, with what it truly cost: its
// reservation becomes spent, past any budget if need be. It is counted once per
// entry, and also when the reservation is gone: then it is a stray, see Charge.
func (b *Book) Settle(ctx context.Context, a Account, e Entry, credits float64) error {
	return b.charge(ctx, "ledger.Settle", a, e, credits, "")
}

// Charge records a stray: the charge of a request that was released before anybody
// knew that it had been charged. It is counted once per entry, past any budget, in
// the scopes and on the day of the reservation that was released last. Of an entry
// that was settled it is no news and changes nothing. It never touches what is open:
// an entry whose request was refused, as everybody thought, may be reserved again,
// and then its second request is settled and counted too.
func (b *Book) Charge(ctx context.Context, a Account, e Entry, credits float64) error {
	return b.charge(ctx, "ledger.Charge", a, e, credits, "1")
}

func (b *Book) charge(ctx context.Context, op string, a Account, e Entry, credits float64, stray string) error {
	if err := check(op, a, e); err != nil {
		return err
	}
	amount, err := price(op, credits)
	if err != nil {
		return err
	}
	if err := b.list(ctx, op, a); err != nil {
		return err
	}
	_, err = b.done(ctx, op, chargeScript, keysWith(a, e.Session), e.Session, e.part(), amount, stray)
	return err
}

// Refund records that the provider gave credits back, once per entry and never more
// than were charged. A reservation that is still open ends with it, unless the entry
// has a stray: then that was refunded. It does nothing for an entry that was neither
// reserved nor charged.
func (b *Book) Refund(ctx context.Context, a Account, e Entry, credits float64) error {
	const op = "ledger.Refund"
	if err := check(op, a, e); err != nil {
		return err
	}
	amount, err := price(op, credits)
	if err != nil {
		return err
	}
	_, err = b.done(ctx, op, refundScript, keysWith(a, e.Session), e.Session, e.part(), amount)
	return err
}

// Release frees a reservation: its request surely cost nothing. It does nothing for
// an entry that is not open.
func (b *Book) Release(ctx context.Context, a Account, e Entry) error {
	return b.release(ctx, "ledger.Release", a, e, "")
}

// Open is a reservation that a sweep was given.
type Open struct {
	Entry   Entry
	Credits float64
	// Mark tells apart the calls of Reserve that made it, or made it fresh.
	Mark int64
}

// Lapse is Release for a sweep: it frees the reservation only if nobody has reserved
// the entry since it was given out, whatever the item looked like when it was read.
func (b *Book) Lapse(ctx context.Context, a Account, o Open) error {
	return b.release(ctx, "ledger.Lapse", a, o.Entry, o.Mark)
}

func (b *Book) release(ctx context.Context, op string, a Account, e Entry, mark any) error {
	if err := check(op, a, e); err != nil {
		return err
	}
	_, err := b.done(ctx, op, releaseScript, keysWith(a, e.Session), e.Session, e.part(), mark)
	return err
}

// Keep leaves a reservation open, and says when to look at it again. It does nothing
// for an entry that is not open.
func (b *Book) Keep(ctx context.Context, a Account, e Entry, again time.Duration) error {
	const op = "ledger.Keep"
	if err := check(op, a, e); err != nil {
		return err
	}
	_, err := b.done(ctx, op, keepScript, keysOf(a), e.String(), again.Milliseconds())
	return err
}

// Stale gives reservations whose time to be looked at has come, at most limit,
// longest due first. That time is 30 s after the last Reserve unless Keep said
// otherwise. What it gives it gives again after 30 s, unless something was done
// about it: two sweeps do not get the same.
func (b *Book) Stale(ctx context.Context, a Account, limit int) ([]Open, error) {
	const op = "ledger.Stale"
	if err := checkAccount(op, a); err != nil {
		return nil, err
	}
	answer, err := reply.Run(ctx, b.rdb, op, staleScript, keysOf(a), limit, look.Milliseconds())
	if err != nil {
		return nil, err
	}
	stale := make([]Open, 0, answer.Left()/3)
	for answer.Left() > 0 {
		entry, err := ParseEntry(answer.Text())
		if err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
		stale = append(stale, Open{Entry: entry, Mark: answer.Whole(), Credits: credits(answer.Whole())})
	}
	return stale, answer.End()
}
