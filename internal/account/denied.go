package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/reply"
)

// Denial says that a provider did not accept an account's credential.
type Denial struct {
	ID
	// For is how long that is believed.
	For time.Duration
	// Key says that the credential itself is refused, whatever it is used for. Without
	// it only a request was: it may lack a permission that asking for the balance needs
	// none of.
	Key bool
	// Why is for people. It must hold no secret.
	Why string
}

// Deny puts on the registry that a provider refused an account's credential: new
// sessions are bound to other accounts, where there are any. What is known of its key
// stays known until Allow.
func (g *Gate) Deny(ctx context.Context, d Denial) error {
	const op = "account.Deny"
	if err := check(op, d.ID); err != nil {
		return err
	}
	return reply.Down(op, denyScript.Run(ctx, g.rdb, []string{keyDenied}, d.String(), d.For.Milliseconds(), flag(d.Key), d.Why).Err())
}

// Allow ends a denial: the credential was accepted. was says that there was one.
func (g *Gate) Allow(ctx context.Context, id ID) (was bool, err error) {
	const op = "account.Allow"
	if err := check(op, id); err != nil {
		return false, err
	}
	n, err := g.rdb.HDel(ctx, keyDenied, id.String()).Result()
	return n > 0, reply.Down(op, err)
}

// Denied gives the denials that are still believed, by account; For is how much longer.
func (g *Gate) Denied(ctx context.Context) ([]Denial, error) {
	const op = "account.Denied"
	a, err := reply.Run(ctx, g.rdb, op, deniedScript, []string{keyDenied})
	if err != nil {
		return nil, err
	}
	var list []Denial
	a.All(func(one *reply.List) {
		provider, name, _ := strings.Cut(one.Text(), "/")
		list = append(list, Denial{ID: ID{Provider: provider, Name: name}, For: one.Span(), Key: one.Truth(), Why: one.Text()})
	})
	if err := a.End(); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b Denial) int { return strings.Compare(a.String(), b.String()) })
	return list, nil
}
