package handlers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
)

const (
	// deniedFor is how long an account whose credential was refused is avoided by new
	// sessions, unless it is accepted before.
	deniedFor = 10 * time.Minute
	// keyEvery is how often it is asked whether a refused key is accepted by now: a
	// configuration may have changed.
	keyEvery = 30 * time.Second
)

// keyUsed draws from the outcome of a request what it says about its account's
// credential. balance says that the balance was asked for, which takes nothing but a
// good key. A failure of it is logged: the request has its own outcome.
func (h *Handlers) keyUsed(ctx context.Context, id account.ID, balance bool, cause error) {
	ctx = context.WithoutCancel(ctx)
	f, failed := errors.AsType[*fault.Error](cause)
	before, known := h.trips.denial(id)
	var err error
	switch {
	case failed && f.Code == fault.Denied && f.Scope == fault.ScopeAccount:
		denial := account.Denial{ID: id, For: deniedFor, Key: balance, Why: fault.Reason(cause)}
		if err = h.Gate.Deny(ctx, denial); err == nil && !known {
			h.Log.WarnContext(ctx, "account denied: new sessions avoid it", slog.String("account", id.String()), slog.String("reason", denial.Why))
		}
		denial.Key = denial.Key || before.Key
		h.trips.deny(denial)
	case cause == nil && known && (before.Key || !balance):
		var was bool
		if was, err = h.Gate.Allow(ctx, id); was {
			h.Log.InfoContext(ctx, "account accepted again", slog.String("account", id.String()))
		}
		h.trips.allow(id)
	}
	if err != nil {
		h.Log.WarnContext(ctx, "what a provider said of a key could not be noted", slog.String("account", id.String()), slog.String("cause", err.Error()))
	}
}

// balanceOf asks what an account has left.
func (h *Handlers) balanceOf(ctx context.Context, acc *account.Account) (float64, error) {
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	balance, err := acc.Driver.Credits(asking)
	h.keyUsed(ctx, account.ID{Provider: acc.Provider, Name: acc.Name}, true, err)
	return balance, err
}

// learnDenied learns which accounts other workers found denied.
func (h *Handlers) learnDenied(ctx context.Context) ([]account.Denial, error) {
	denied, err := h.Gate.Denied(ctx)
	if err == nil {
		h.trips.learn(denied)
	}
	return denied, err
}

// tryKey asks, in turns with the other workers, whether a refused key is accepted by
// now.
func (h *Handlers) tryKey(ctx context.Context, d account.Denial) error {
	acc, err := h.Accounts.Get(d.Provider, d.Name)
	if err != nil {
		return nil //nolint:nilerr // another worker has its key
	}
	mine, err := h.Ledger.Turn(ctx, ledger.Account{Provider: d.Provider, Name: d.Name}, "key", keyEvery)
	if err != nil || !mine {
		return err
	}
	if _, err := h.balanceOf(ctx, acc); err != nil {
		h.Log.DebugContext(ctx, "a denied account has no balance", slog.String("account", d.String()), slog.String("cause", err.Error()))
	}
	return nil
}

// denial is what this process knows of an account's credential.
func (b *breakers) denial(id account.ID) (account.Denial, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, known := b.denied[id]
	return d, known
}

func (b *breakers) deny(d account.Denial) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.denied == nil {
		b.denied = map[account.ID]account.Denial{}
	}
	b.denied[d.ID] = d
}

func (b *breakers) allow(id account.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.denied, id)
}

// learn replaces what is known by what the registry says.
func (b *breakers) learn(list []account.Denial) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.denied = make(map[account.ID]account.Denial, len(list))
	for _, d := range list {
		b.denied[d.ID] = d
	}
}
