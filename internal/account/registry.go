package account

import (
	"context"
	"errors"
	"time"
)

var errMissing = errors.New("not written yet")

// Known is what workers know about an account, for producers that have no
// configuration.
type Known struct {
	ID
	Limits Limits
	// Budget and DailyBudget are those of Account.
	Budget, DailyBudget *float64
	// Endpoint is the one whose pauses decide whether a session is bound here.
	Endpoint string
	// Draining and Seen are answers; Announce does not look at them.
	Draining bool
	// Seen is when it was last announced.
	Seen time.Time
}

// Announce puts accounts on the registry. Workers call it at every start and once a
// minute.
func (g *Gate) Announce(ctx context.Context, accounts []Known) error { return errMissing }

// Known gives the accounts of a provider that were announced within the last hour, by
// name; "" is every provider's.
func (g *Gate) Known(ctx context.Context, provider string) ([]Known, error) { return nil, errMissing }

// Drain says whether no new sessions are bound to an account; those it has go on.
func (g *Gate) Drain(ctx context.Context, id ID, on bool) error { return errMissing }

// Forget removes an account from the registry and deletes its pauses. The caller has
// checked that nothing of it is open.
func (g *Gate) Forget(ctx context.Context, id ID) error { return errMissing }

// Choose picks an account of the provider for a new session: among those that are
// known and not draining, at random in the best class. With credits is better than
// without, then open with a free slot better than open and full, and that better than
// closed. credits is asked for each of them; nil has them all. It answers not_found
// when there is none.
func (g *Gate) Choose(ctx context.Context, provider string, credits func(ID) (bool, error)) (ID, error) {
	return ID{}, errMissing
}
