package enqueue

import (
	"context"
	"fmt"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
)

// Choose says which account a session of a provider would be bound to that names none:
// the one that the session of this key has, if there is one, and otherwise one of those
// that workers have announced, at random among those with credit, a free slot and no
// pause.
func (c *Client) Choose(ctx context.Context, provider, key string) (string, error) {
	if key != "" {
		bound, err := c.store.Bound(ctx, key)
		if err != nil || bound != "" {
			return bound, translate(err)
		}
	}
	name, err := c.choose(ctx, provider)
	return name, translate(err)
}

// choose binds a session that names no account to one of those that workers have
// announced: at random among those with credit, a free slot and no pause, and not to
// one that is being drained. Before the first worker was ever started there are none:
// then it is the account that every provider has.
func (c *Client) choose(ctx context.Context, provider string) (string, error) {
	known, err := c.gate.Known(ctx, provider)
	if err != nil {
		return "", err
	}
	if len(known) == 0 {
		return defaultAccount, nil
	}
	limits := make(map[account.ID]account.Known, len(known))
	for _, acc := range known {
		limits[acc.ID] = acc
	}
	all, err := c.books.DryAccounts(ctx)
	if err != nil {
		return "", err
	}
	dry := make(map[ledger.Account]bool, len(all))
	for _, acc := range all {
		dry[acc] = true
	}
	id, err := c.gate.Choose(ctx, provider, func(id account.ID) (bool, error) {
		name := ledger.Account{Provider: id.Provider, Name: id.Name}
		if dry[name] {
			return false, nil
		}
		return c.affords(ctx, name, limits[id])
	})
	if fault.CodeOf(err) == fault.NotFound {
		return "", fmt.Errorf("%w: every account of %s is being drained: name one, or let one take new sessions again", ErrConflict, provider)
	}
	return id.Name, err
}

// affords says whether an account's budgets leave anything to spend.
func (c *Client) affords(ctx context.Context, name ledger.Account, known account.Known) (bool, error) {
	if known.Budget == nil && known.DailyBudget == nil {
		return true, nil
	}
	state, err := c.books.State(ctx, name)
	if err != nil {
		return false, err
	}
	over := func(budget *float64, totals ledger.Totals) bool {
		return budget != nil && totals.Spent+totals.Reserved >= *budget
	}
	return !over(known.Budget, state.Totals) && !over(known.DailyBudget, state.Today), nil
}
