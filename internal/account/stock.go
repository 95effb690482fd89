package account

import (
	"context"
	"errors"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// Stocked takes places in the stock for a prefix of the items and says how many have
// one now; one that had its place before keeps it. Without a limit all of them fit,
// and nothing is kept.
func (g *Gate) Stocked(ctx context.Context, id ID, items []string, l Limits) (int, error) {
	const op = "account.Stocked"
	if err := errors.Join(check(op, id), l.check(op), checkEntries(op, items...)); err != nil {
		return 0, err
	}
	if l.Stock == 0 || len(items) == 0 {
		return len(items), nil
	}
	a, err := g.ask(ctx, op, stockedScript, id, words([]any{l.Stock, lease.Milliseconds()}, items)...)
	if err != nil {
		return 0, err
	}
	return int(a.Whole()), a.End()
}

// Unstock gives an item's place in the stock back.
func (g *Gate) Unstock(ctx context.Context, id ID, item string) (Left, error) {
	return g.left(ctx, "account.Unstock", unstockScript, id, item)
}

// Begin counts an admission that starts, so that later events ask for the next one.
// It gives the new number.
func (g *Gate) Begin(ctx context.Context, id ID) (int64, error) {
	const op = "account.Begin"
	if err := check(op, id); err != nil {
		return 0, err
	}
	n, err := g.rdb.HIncrBy(ctx, keyAccount(id), "begun", 1).Result()
	return n, reply.Down(op, err)
}

// Lease is a slot, or a place in the stock, whose holder has not been heard of.
type Lease struct {
	// Entry is the entry, or the item of the stock.
	Entry string
	// Stock says that it is a place in the stock.
	Stock bool
}

// Stale gives slots and places whose lease of 60 s has run out, slots before places
// and the oldest first, and each once in 30 s: somebody should Renew what is still
// needed and give back the rest.
func (g *Gate) Stale(ctx context.Context, id ID, limit int) ([]Lease, error) {
	const op = "account.Stale"
	if err := check(op, id); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, nil
	}
	a, err := g.ask(ctx, op, staleScript, id, limit, offered.Milliseconds())
	if err != nil {
		return nil, err
	}
	var leases []Lease
	for _, stock := range []bool{false, true} {
		a.In(func(names *reply.List) {
			for names.Left() > 0 {
				leases = append(leases, Lease{Entry: names.Text(), Stock: stock})
			}
		})
	}
	return leases, a.End()
}

// Renew keeps leases for another 60 s; what is held no more stays gone.
func (g *Gate) Renew(ctx context.Context, id ID, leases ...Lease) error {
	const op = "account.Renew"
	var entries, items []string
	for _, l := range leases {
		if l.Stock {
			items = append(items, l.Entry)
		} else {
			entries = append(entries, l.Entry)
		}
	}
	if err := errors.Join(check(op, id), checkEntries(op, entries...), checkEntries(op, items...)); err != nil {
		return err
	}
	if len(leases) == 0 {
		return nil
	}
	args := words(words([]any{lease.Milliseconds(), len(entries)}, entries), items)
	_, err := g.done(ctx, op, renewScript, id, args...)
	return err
}

// checkWeight refuses what nobody can be served by.
func checkWeight(op string, weight int) error {
	if weight < 1 || weight > maxWeight {
		return fault.New(fault.Invalid, op, errors.New("a weight is between 1 and 1,000,000"))
	}
	return nil
}
