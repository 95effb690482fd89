package ledger

import (
	"context"
	"errors"

	"github.com/segue-audio/segue/internal/session"
)

// Follow makes the books follow what one write changed about an item. The item is
// the truth: what cannot be written here now is put right later, by whoever looks
// after stale reservations and by Agree. mark is that of the writer's own reservation
// of the step that the item was at: one that somebody made since is not released. 0
// releases whichever there is.
func (b *Book) Follow(ctx context.Context, a Account, before, after *session.Item, mark int64) error {
	var all []error
	for _, e := range touched(before, after) {
		was, _ := before.Standing(session.StepName(e.Step), e.Generation)
		is, credits := after.Standing(session.StepName(e.Step), e.Generation)
		switch {
		case was == session.Free && is == session.Charged:
			// Nobody waited for this charge: what is reserved now is for another request.
			all = append(all, b.Charge(ctx, a, e, credits))
		case was != is:
			all = append(all, b.stand(ctx, a, e, is, credits, mark))
		}
	}
	return errors.Join(all...)
}

// stand writes what has become of the credits of one request.
func (b *Book) stand(ctx context.Context, a Account, e Entry, standing session.Standing, credits float64, mark int64) error {
	switch standing {
	case session.Charged:
		return b.Settle(ctx, a, e, credits)
	case session.Refunded:
		return errors.Join(b.Settle(ctx, a, e, credits), b.Refund(ctx, a, e, credits))
	case session.Free:
		if mark != 0 {
			return b.Lapse(ctx, a, Open{Entry: e, Mark: mark})
		}
		return b.Release(ctx, a, e)
	case session.Open:
	}
	return nil
}

// touched are the requests whose standing a write may have changed: the one that
// the item was at, and those that either version has on record.
func touched(before, after *session.Item) []Entry {
	entries := []Entry{{before.Session, before.Index, string(before.Step), before.Generation}}
	seen := map[Entry]bool{entries[0]: true}
	for _, it := range []*session.Item{before, after} {
		for _, op := range it.Operations {
			e := Entry{it.Session, it.Index, string(op.Step), op.Generation}
			if !seen[e] {
				seen[e] = true
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// Agree makes what the books say a session spent agree with what its items say,
// unless something of it is open or changes meanwhile: then there is a next time.
func (b *Book) Agree(ctx context.Context, a Account, id string, committed float64) error {
	totals, err := b.Totals(ctx, a, ScopeSession, id)
	if err != nil || totals.Reserved > 0 || totals.Spent == committed {
		return err
	}
	_, err = b.TrueUp(ctx, a, id, totals.Spent, committed)
	return err
}
