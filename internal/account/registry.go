package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// announced is how long an announcement holds.
const announced = time.Hour

// note is how the registry keeps what is known.
type note struct {
	N           int      `json:"n,omitempty"`
	PerMS       int64    `json:"per_ms,omitempty"`
	InFlight    int      `json:"in_flight,omitempty"`
	Stock       int      `json:"stock,omitempty"`
	Budget      *float64 `json:"budget,omitempty"`
	DailyBudget *float64 `json:"daily_budget,omitempty"`
	Endpoint    string   `json:"endpoint"`
}

// Known is what workers know about an account, for producers that have no
// configuration.
type Known struct {
	ID
	Limits Limits
	// Budget and DailyBudget are those of Account.
	Budget, DailyBudget *float64
	// Endpoint is the one whose pauses decide whether a session is bound here.
	Endpoint string
	// Draining, Denied and Seen are answers; Announce does not look at them.
	Draining bool
	// Denied says that its credential was refused lately, see Deny.
	Denied bool
	// Seen is when it was last announced.
	Seen time.Time
}

// Announce puts accounts on the registry. Workers call it at every start and once a
// minute.
func (g *Gate) Announce(ctx context.Context, accounts []Known) error {
	const op = "account.Announce"
	if len(accounts) == 0 {
		return nil
	}
	args := make([]any, 0, 2*len(accounts))
	for _, k := range accounts {
		if err := errors.Join(check(op, k.ID, k.Endpoint), k.Limits.check(op)); err != nil {
			return err
		}
		known, err := json.Marshal(note{
			N: k.Limits.Rate.N, PerMS: k.Limits.Rate.Per.Milliseconds(), InFlight: k.Limits.InFlight,
			Stock: k.Limits.Stock, Budget: k.Budget, DailyBudget: k.DailyBudget, Endpoint: k.Endpoint,
		})
		if err != nil {
			return fault.New(fault.Invalid, op, err)
		}
		args = append(args, k.String(), known)
	}
	return reply.Down(op, announceScript.Run(ctx, g.rdb, []string{keyKnown, keySeen}, args...).Err())
}

// Known gives the accounts of a provider that were announced within the last hour, by
// name; "" is every provider's.
func (g *Gate) Known(ctx context.Context, provider string) ([]Known, error) {
	const op = "account.Known"
	a, err := reply.Run(ctx, g.rdb, op, knownScript, []string{keyKnown, keySeen, keyDraining, keyDenied}, int(announced.Seconds()))
	if err != nil {
		return nil, err
	}
	var list []Known
	a.All(func(one *reply.List) {
		if k := knownIn(one); provider == "" || k.Provider == provider {
			list = append(list, k)
		}
	})
	if err := a.End(); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Known) int { return strings.Compare(a.String(), b.String()) })
	return list, nil
}

func knownIn(a *reply.List) Known {
	var n note
	provider, name, _ := strings.Cut(a.Text(), "/")
	if err := json.Unmarshal([]byte(a.Text()), &n); err != nil {
		a.Fail(err.Error())
	}
	return Known{
		ID: ID{Provider: provider, Name: name},
		Limits: Limits{
			Rate:     Rate{N: n.N, Per: time.Duration(n.PerMS) * time.Millisecond},
			InFlight: n.InFlight, Stock: n.Stock,
		},
		Budget: n.Budget, DailyBudget: n.DailyBudget, Endpoint: n.Endpoint,
		Seen: time.Unix(a.Whole(), 0), Draining: a.Truth(), Denied: a.Truth(),
	}
}

// Drain says whether no new sessions are bound to an account; those it has go on.
func (g *Gate) Drain(ctx context.Context, id ID, on bool) error {
	const op = "account.Drain"
	if err := check(op, id); err != nil {
		return err
	}
	if on {
		return reply.Down(op, g.rdb.SAdd(ctx, keyDraining, id.String()).Err())
	}
	return reply.Down(op, g.rdb.SRem(ctx, keyDraining, id.String()).Err())
}

// Forget removes an account from the registry and deletes its pauses. The caller has
// checked that nothing of it is open. Workers that still know it announce it again.
func (g *Gate) Forget(ctx context.Context, id ID) error {
	const op = "account.Forget"
	if err := check(op, id); err != nil {
		return err
	}
	// Not seen, it is not chosen any more: what follows may be repeated.
	_, err := g.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRem(ctx, keySeen, id.String())
		p.HDel(ctx, keyKnown, id.String())
		p.SRem(ctx, keyDraining, id.String())
		p.HDel(ctx, keyDenied, id.String())
		return nil
	})
	if err != nil {
		return reply.Down(op, err)
	}
	return reply.Down(op, g.rdb.Del(ctx, keyPauses(id)).Err())
}

// Choose picks an account of the provider for a new session: among those that are
// known and not draining, at random in the best class. With credits is better than
// without, then open with a free slot better than open and full, and that better than
// closed; whose credential was refused lately comes after all others. credits is asked
// for each of them; nil has them all. It answers not_found when there is none.
func (g *Gate) Choose(ctx context.Context, provider string, credits func(ID) (bool, error)) (ID, error) {
	const op = "account.Choose"
	known, err := g.Known(ctx, provider)
	if err != nil {
		return ID{}, err
	}
	var best []ID
	least := math.MaxInt
	for _, k := range known {
		if k.Draining {
			continue
		}
		class, err := g.class(ctx, op, k, credits)
		if err != nil {
			return ID{}, err
		}
		if class < least {
			least, best = class, best[:0]
		}
		if class == least {
			best = append(best, k.ID)
		}
	}
	if len(best) == 0 {
		return ID{}, fault.New(fault.NotFound, op, fmt.Errorf("no worker has an account of provider %q for new sessions", provider))
	}
	return best[rand.IntN(len(best))], nil
}

// class is how ready an account is for a new session, 0 is at once. Those without
// credits come after those with, and after them those that would fail at once.
func (g *Gate) class(ctx context.Context, op string, k Known, credits func(ID) (bool, error)) (int, error) {
	a, err := g.ask(ctx, op, classScript, k.ID, k.Endpoint, k.Limits.InFlight)
	if err != nil {
		return 0, err
	}
	class := int(a.Whole())
	if k.Denied {
		class += 20
	}
	if credits == nil {
		return class, a.End()
	}
	rich, err := credits(k.ID)
	if err != nil {
		return 0, err
	}
	if !rich {
		class += 10
	}
	return class, a.End()
}
