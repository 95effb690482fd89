package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

const (
	// tripAfter is how many requests in a row must have failed on the way before all
	// others are kept from following them.
	tripAfter = 5
	// afterRate is how long an endpoint is closed that says 429 and not for how long,
	// when no rate is known.
	afterRate = 10 * time.Second
)

// breakers are this process's circuit breakers, one for each account and endpoint.
// They only see failures of the way: what a provider answers is its own affair.
type breakers struct {
	mu     sync.Mutex
	all    map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]
	denied map[account.ID]account.Denial
}

func (b *breakers) of(name string) *gobreaker.TwoStepCircuitBreaker[struct{}] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all[name] != nil {
		return b.all[name]
	}
	if b.all == nil {
		b.all = map[string]*gobreaker.TwoStepCircuitBreaker[struct{}]{}
	}
	b.all[name] = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:        name,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
		// The gate keeps the endpoint closed, for every worker, and lets one try. This
		// breaker only counts.
		Timeout: time.Millisecond,
	})
	return b.all[name]
}

// failed records whether a request came through, and says whether so many did not that
// the way must be taken to be closed.
func (b *breakers) failed(name string, onTheWay bool) (tripped bool) {
	breaker := b.of(name)
	report, err := breaker.Allow()
	if err != nil {
		return onTheWay
	}
	cause := error(nil)
	if onTheWay {
		cause = errors.New("it did not come through")
	}
	report(cause)
	return onTheWay && breaker.State() == gobreaker.StateOpen
}

// observe draws from a request's outcome what it says about the requests to come. Where
// it says that none may follow for the time being, paused is true and the request cost
// nothing: it is repeated when the pause is over.
func (h *Handlers) observe(ctx context.Context, j *job, canary bool, cause error) (paused bool) {
	h.keyUsed(ctx, idOf(&j.Session), false, cause)
	if !limited(j.account, j.Item.Step) {
		return false
	}
	id, endpoint := idOf(&j.Session), string(j.Item.Step)
	tripped := h.trips.failed(id.String()+"/"+endpoint, onTheWay(cause))
	refused, reach := closing(j.account, cause)
	switch {
	case reach == fault.ScopeProvider:
		paused = h.closeAll(ctx, j, refused)
	case reach == fault.ScopeEndpoint:
		paused = h.close(ctx, id, endpoint, refused)
	case tripped || (canary && onTheWay(cause)):
		why := fmt.Sprintf("requests do not come through: %s", fault.Reason(cause))
		h.close(ctx, id, endpoint, account.Pause{Why: why, Code: string(fault.CodeOf(cause))})
	case canary && !broke(cause):
		h.reopen(ctx, id, endpoint)
	}
	return paused
}

// onTheWay says that a request got no answer that its provider gave.
func onTheWay(cause error) bool {
	if cause == nil || fault.ChargeOf(cause) == fault.ChargeMade {
		return false
	}
	f, ok := errors.AsType[*fault.Error](cause)
	if !ok || (f.Scope != fault.ScopeItem && f.Charge == fault.ChargeNone) {
		return false // it said for how many others it holds
	}
	return f.Code == fault.Unavailable || f.Code == fault.Timeout
}

// closing says how far a refusal reaches, and for how long it holds.
func closing(acc *account.Account, cause error) (account.Pause, fault.Scope) {
	f, ok := errors.AsType[*fault.Error](cause)
	if !ok || f.Charge != fault.ChargeNone || (f.Code != fault.Exhausted && f.Code != fault.Unavailable) {
		return account.Pause{}, fault.ScopeItem
	}
	pause := account.Pause{For: f.RetryAfter, Why: fault.Reason(cause), Code: string(f.Code)}
	switch f.Scope {
	case fault.ScopeProvider:
		return pause, f.Scope
	case fault.ScopeEndpoint:
		if pause.For <= 0 {
			pause.For = max(acc.Info.Limits.Submit.Per, afterRate)
		}
		return pause, f.Scope
	case fault.ScopeItem, fault.ScopeAccount:
	}
	return account.Pause{}, fault.ScopeItem
}

// close closes an endpoint of an account, for every worker.
func (h *Handlers) close(ctx context.Context, id account.ID, endpoint string, p account.Pause) bool {
	err := h.Gate.Close(context.WithoutCancel(ctx), id, endpoint, p)
	if err != nil {
		h.Log.WarnContext(ctx, "endpoint could not be paused", slog.String("account", id.String()), slog.String("cause", err.Error()))
		return false
	}
	if p.For > 0 {
		// Without it the next sweep asks, a little later.
		if err := h.summonIn(ctx, id, p.For); err != nil {
			h.Log.WarnContext(ctx, "the end of a pause could not be planned", slog.String("account", id.String()), slog.String("cause", err.Error()))
		}
	}
	h.Log.WarnContext(ctx, "endpoint paused", slog.String("account", id.String()), slog.String("endpoint", endpoint),
		slog.Duration("for", p.For), slog.String("reason", p.Why))
	return true
}

// closeAll closes every limited endpoint of every account of a provider.
func (h *Handlers) closeAll(ctx context.Context, j *job, p account.Pause) bool {
	own := idOf(&j.Session)
	ids := []account.ID{own}
	for _, known := range h.announced() {
		if known.Provider == own.Provider && known.ID != own {
			ids = append(ids, known.ID)
		}
	}
	closed := false
	for _, id := range ids {
		for _, step := range session.Backlogged() {
			if limited(j.account, step) {
				done := h.close(ctx, id, string(step), p)
				closed = closed || (done && id == own)
			}
		}
	}
	return closed
}

func (h *Handlers) announced() []account.Known {
	if h.Announced == nil {
		return nil
	}
	return h.Announced()
}

// summon asks for an admission at once.
func (h *Handlers) summon(ctx context.Context, id account.ID) error { return h.summonIn(ctx, id, 0) }

// summonIn asks for an admission after a while.
func (h *Handlers) summonIn(ctx context.Context, id account.ID, delay time.Duration) error {
	now, err := h.Store.Now(ctx)
	if err != nil {
		return err
	}
	if delay > 0 {
		delay += time.Second // the queue drops parts of seconds
	}
	return h.Queue.AdmissionAt(ctx, id.Provider, id.Name, now.Add(delay).UnixMilli(), delay)
}

// reopen opens an endpoint again, and lets in whoever waits.
func (h *Handlers) reopen(ctx context.Context, id account.ID, endpoint string) {
	ctx = context.WithoutCancel(ctx)
	was, err := h.Gate.Reopen(ctx, id, endpoint)
	if err == nil && was {
		h.Log.InfoContext(ctx, "endpoint open again", slog.String("account", id.String()), slog.String("endpoint", endpoint))
		err = h.summon(ctx, id)
	}
	if err != nil {
		h.Log.WarnContext(ctx, "endpoint could not be reopened", slog.String("account", id.String()), slog.String("cause", err.Error()))
	}
}
