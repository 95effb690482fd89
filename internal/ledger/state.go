package ledger

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// Totals are what one scope adds up to, in credits.
type Totals struct {
	// Spent is what was charged and not given back, Reserved what open reservations
	// hold, Refunded what was given back.
	Spent, Reserved, Refunded float64
}

// State is how an account stands, at one moment.
type State struct {
	// Now is that moment, by Redis's clock.
	Now time.Time
	Totals
	// Today are the totals of the UTC day.
	Today Totals
	// Open is the number of open reservations.
	Open int
	// Moves counts the changes of the books: every reservation made, settled or
	// released, every stray, refund and correction. Two equal numbers say that nothing
	// has happened in between.
	Moves int64
	// Balance is what the provider last said, BalanceAt when; zero when it never did.
	Balance   float64
	BalanceAt time.Time
	// DryUntil is until when nothing is reserved, unless the balance reaches DryNeed
	// before. It is zero when the account is not dry.
	DryUntil time.Time
	DryNeed  float64
}

// State reads how an account stands. One without books is all zero.
func (b *Book) State(ctx context.Context, a Account) (*State, error) {
	const op = "ledger.State"
	if err := checkAccount(op, a); err != nil {
		return nil, err
	}
	answer, err := reply.Run(ctx, b.rdb, op, stateScript, keysOf(a))
	if err != nil {
		return nil, err
	}
	state := &State{
		Now: answer.Moment(), Open: int(answer.Whole()), Moves: answer.Whole(),
		Totals:  totalsIn(answer),
		Today:   totalsIn(answer),
		Balance: credits(answer.Whole()), BalanceAt: at(answer.Whole()),
	}
	if until, need := answer.Moment(), credits(answer.Whole()); until.After(state.Now) {
		state.DryUntil, state.DryNeed = until, need
	}
	return state, answer.End()
}

func totalsIn(l *reply.List) Totals {
	return Totals{Spent: credits(l.Whole()), Reserved: credits(l.Whole()), Refunded: credits(l.Whole())}
}

// Totals reads one scope: ScopeAccount, whose key is ignored, ScopeSession with a
// session id, ScopeDay with a UTC date as 2006-01-02 (empty for today), or one of
// the caller's own. One that nothing was counted in is all zero.
func (b *Book) Totals(ctx context.Context, a Account, scope, key string) (Totals, error) {
	const op = "ledger.Totals"
	if err := checkAccount(op, a); err != nil {
		return Totals{}, err
	}
	field, err := fieldOf(scope, key)
	if err != nil {
		return Totals{}, fault.New(fault.Invalid, op, err)
	}
	if field == ScopeDay {
		state, err := b.State(ctx, a)
		if err != nil {
			return Totals{}, err
		}
		return state.Today, nil
	}
	list, err := b.rdb.HMGet(ctx, keyBook(a), "spent/"+field, "reserved/"+field, "refunded/"+field).Result()
	if err != nil {
		return Totals{}, reply.Down(op, err)
	}
	for n := range list {
		list[n] = cmp.Or(list[n], any("0")) // what nothing was counted in has no field
	}
	answer := reply.Of(op, list...)
	totals := totalsIn(answer)
	return totals, answer.End()
}

func fieldOf(scope, key string) (string, error) {
	switch scope {
	case ScopeAccount:
		return scope, nil
	case ScopeDay:
		return dayField(key)
	case ScopeSession:
		if !nameForm.MatchString(key) {
			return "", fmt.Errorf("%q is no session", key)
		}
		return scope + "/" + key, nil
	}
	limit := Limit{Scope: scope, Key: key}
	return limit.field(), limit.check("")
}

// TrueUp sets what a session spent to what its items say, if the books still say
// was and nothing of the session is open, and corrects the account by as much. What
// days and other scopes add up to stays as it was counted. It answers whether the
// books say total now; repeating it changes nothing. Refunds that total takes into
// account must have been recorded before: one that comes after it is counted again.
func (b *Book) TrueUp(ctx context.Context, a Account, session string, was, total float64) (bool, error) {
	const op = "ledger.TrueUp"
	if err := checkAccount(op, a); err != nil {
		return false, err
	}
	if _, err := fieldOf(ScopeSession, session); err != nil {
		return false, fault.New(fault.Invalid, op, err)
	}
	from, err := price(op, was)
	if err != nil {
		return false, err
	}
	to, err := price(op, total)
	if err != nil {
		return false, err
	}
	if err := b.list(ctx, op, a); err != nil {
		return false, err
	}
	return b.done(ctx, op, trueUpScript, keysWith(a, session), session, from, to)
}
