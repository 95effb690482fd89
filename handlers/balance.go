package handlers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

const (
	// balanceEvery is how often the balance of an account without credits is asked for.
	balanceEvery = 15 * time.Second
	// keepReadingEvery is how often a balance is written down, to be compared with the
	// books.
	keepReadingEvery = 15 * time.Minute
	// readingEvery is how often, at most, a balance is read for the comparison after
	// a lost answer.
	readingEvery = 5 * time.Second
)

// askBalances asks providers what accounts have left, where that is of use. One sweep
// of a process at a time does so: a provider that does not answer must not keep all
// places that the process has for sweeps and admissions.
func (h *Handlers) askBalances(ctx context.Context, accounts []ledger.Account, denied []account.Denial) error {
	if !h.asking.TryLock() {
		return nil
	}
	defer h.asking.Unlock()
	dry, err := h.Ledger.DryAccounts(ctx)
	all := []error{err}
	for _, acc := range dry {
		all = append(all, h.refill(ctx, acc))
	}
	for _, d := range denied {
		all = append(all, h.tryKey(ctx, d))
	}
	for _, acc := range accounts {
		all = append(all, h.takeReading(ctx, acc))
	}
	return errors.Join(all...)
}

// refill asks, in turns with the other workers, whether a dry account has credits.
func (h *Handlers) refill(ctx context.Context, name ledger.Account) error {
	acc, err := h.Accounts.Get(name.Provider, name.Name)
	if err != nil {
		return nil //nolint:nilerr // another worker has its key
	}
	mine, err := h.Ledger.Turn(ctx, name, "refill", balanceEvery)
	if err != nil || !mine {
		return err
	}
	balance, err := h.balanceOf(ctx, acc)
	if err != nil {
		h.Log.WarnContext(ctx, "balance of a dry account is not known", slog.String("account", name.String()), slog.String("cause", err.Error()))
		return nil
	}
	reopened, err := h.Ledger.Refill(ctx, name, balance)
	if reopened {
		h.Log.InfoContext(ctx, "account has credits again", slog.String("account", name.String()), slog.Float64("credits", balance))
		err = errors.Join(err, h.refilled(ctx, name))
	}
	return err
}

// takeReading writes down, in turns with the other workers, what a provider says
// its account has left, on days when something is spent: comparing two of them shows
// whether the books explain what became of the credits.
func (h *Handlers) takeReading(ctx context.Context, name ledger.Account) error {
	mine, err := h.Ledger.Turn(ctx, name, "reading", keepReadingEvery)
	if err != nil || !mine {
		return err
	}
	acc, err := h.Accounts.Get(name.Provider, name.Name)
	if err != nil {
		return nil //nolint:nilerr // another worker has its key, and the next turn
	}
	before, err := h.Ledger.State(ctx, name)
	if err != nil || (before.Today.Spent == 0 && before.Open == 0) {
		return err
	}
	balance, err := h.balanceOf(ctx, acc)
	if err != nil {
		h.Log.DebugContext(ctx, "no reading of the balance", slog.String("account", name.String()), slog.String("cause", err.Error()))
		return nil
	}
	_, err = h.Ledger.Reading(ctx, name, balance, before)
	return err
}

// readings remembers when this process last read a balance.
type readings struct {
	mu   sync.Mutex
	last map[ledger.Account]time.Time
}

func (r *readings) due(acc ledger.Account) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.last[acc]) < readingEvery {
		return false
	}
	if r.last == nil {
		r.last = map[ledger.Account]time.Time{}
	}
	r.last[acc] = time.Now()
	return true
}

// readBefore reads the balance before a request leaves, while nothing else of the
// account is under way: should its answer be lost, the balance may tell. The intent
// carries it, so that it is surely older than the request. It is free, and a failure
// of it changes nothing.
func (h *Handlers) readBefore(ctx context.Context, j *job, moves int64) {
	acc := accountOf(&j.Session)
	if j.account.Info.Evidence.Balance <= 0 || !h.looked.due(acc) {
		return
	}
	underway, err := h.Store.Underway(ctx, acc.Provider, acc.Name)
	if err != nil || underway > 0 {
		return
	}
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	balance, err := j.account.Driver.Credits(asking)
	if err != nil {
		h.Log.DebugContext(ctx, "no balance to compare with", slog.String("account", acc.String()), slog.String("cause", err.Error()))
		return
	}
	j.before = &session.Balance{Credits: balance, Moves: moves}
}

// quietSince gives the balance from before the job's request, when nothing but that
// request has happened in the account since.
func (h *Handlers) quietSince(ctx context.Context, j *job) (before float64, quiet bool, err error) {
	if j.Item.Claim.Before == nil {
		return 0, false, nil
	}
	acc := accountOf(&j.Session)
	state, err := h.Ledger.State(ctx, acc)
	if err != nil || state.Moves != j.Item.Claim.Before.Moves || state.Open != 1 {
		return 0, false, err
	}
	clouded, err := h.Ledger.Clouded(ctx, acc)
	if err != nil || clouded {
		return 0, false, err
	}
	underway, err := h.Store.Underway(ctx, acc.Provider, acc.Name)
	return j.Item.Claim.Before.Credits, underway == 0, err
}
