package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// shortage is why the next request of a session's account would not be sent.
type shortage struct {
	// what tells apart the reasons, so that each is said once; empty is none.
	what string
	// cure is what ends it, as a sentence without the number of files.
	cure string
}

// shortage says whether an account has, or may spend, what the dearest of some steps
// costs. The configuration is this command's own: workers elsewhere may have others.
func (s *system) shortage(ctx context.Context, current *session.Session, steps map[session.StepName]bool) (shortage, error) {
	acc := ledger.Account{Provider: current.Provider, Name: current.Account}
	state, err := s.ledger.State(ctx, acc)
	if err != nil {
		return shortage{}, err
	}
	dry, err := s.ledger.DryAccounts(ctx)
	if err != nil {
		return shortage{}, err
	}
	if slices.Contains(dry, acc) {
		return shortage{"dry", fmt.Sprintf("account %s is out of credits; buy some, and it goes on by itself within a minute", acc)}, nil
	}
	h := s.holding(acc)
	price := s.dearest(current, steps)
	key := "providers." + acc.Provider + ".accounts." + acc.Name
	if rest := left(h.daily, totals(state.Today)); rest != nil && *rest < price {
		return shortage{"day", fmt.Sprintf("%s has %s of its daily budget of %s left; it goes on tomorrow (UTC), or when %s.daily_budget is raised and this command repeated",
			acc, number(*rest), credits(*h.daily), key)}, nil
	}
	if rest := left(h.budget, totals(state.Totals)); rest != nil && *rest < price {
		return shortage{"budget", fmt.Sprintf("%s has %s of its budget of %s left; it goes on when %s.budget is raised and this command repeated",
			acc, number(*rest), credits(*h.budget), key)}, nil
	}
	return shortage{}, nil
}

// dearest is the highest price of some steps, 0 where prices are not known.
func (s *system) dearest(current *session.Session, steps map[session.StepName]bool) float64 {
	p, err := s.config().Provider(current.Provider)
	if err != nil {
		return 0
	}
	price := 0.0
	if steps[session.StepUpload] {
		price = p.Credits.Upload
	}
	if steps[session.StepExtend] {
		price = max(price, p.Credits.Extend)
	}
	return price
}

// unpaid says that an item waits because its next request could not be paid for, or
// was too much for the provider: only the ledger can tell which.
func unpaid(it *session.Item) bool {
	return it.State == session.Queued && it.Failure != nil && it.Failure.Code == fault.Exhausted
}

// credits says once, for all files together, that they wait for credits. It answers
// whether that is why files wait.
func (s *screen) credits(ctx context.Context, sys *system, current *session.Session, waiting int, steps map[session.StepName]bool) (bool, error) {
	if waiting == 0 {
		s.wanting = ""
		return false, nil
	}
	why, err := sys.shortage(ctx, current, steps)
	if err != nil || why.what == "" {
		return false, err
	}
	if s.wanting != why.what {
		s.wanting = why.what
		s.say("waiting for credits: %s (%s)", why.cure, plural(waiting, "file"))
	}
	return true, nil
}

// unpaidOf counts items that wait so, and the steps that they wait at.
func unpaidOf(items []*session.Item) (waiting int, steps map[session.StepName]bool) {
	steps = map[session.StepName]bool{}
	for _, it := range items {
		if unpaid(it) {
			waiting++
			steps[it.Step] = true
		}
	}
	return waiting, steps
}

// resume wakes what waits for credits where there are some by now: a budget was raised,
// or a balance has risen. balance is what the provider said just now, if it did.
func (s *system) resume(ctx context.Context, id string, balance float64, known bool) error {
	current, err := s.store.Session(ctx, id)
	if err != nil || queuedOf(current) == 0 {
		return err
	}
	if known {
		acc := ledger.Account{Provider: current.Provider, Name: current.Account}
		if _, err := s.ledger.Refill(ctx, acc, balance); err != nil {
			return err
		}
	}
	parked := make([]tasks.Task, 0, queuedOf(current))
	steps := map[session.StepName]bool{}
	err = s.store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		task, ok, err := session.Next(it)
		if ok && unpaid(it) {
			parked = append(parked, task)
			steps[it.Step] = true
		}
		return err
	})
	if err != nil || len(parked) == 0 {
		return err
	}
	if why, err := s.shortage(ctx, current, steps); err != nil || why.what != "" {
		return err // they would only wait anew
	}
	of := account.ID{Provider: current.Provider, Name: current.Account}
	return errors.Join(s.unpark(ctx, of, current, steps), s.wake(parked), s.readmit(ctx, of))
}

// unpark lets a session that could not pay take its turns again.
func (s *system) unpark(ctx context.Context, of account.ID, current *session.Session, steps map[session.StepName]bool) error {
	if err := s.gate.Unpark(ctx, of, current.ID); err != nil {
		return err
	}
	for step := range steps {
		if _, err := s.gate.Join(ctx, of, string(step), current.ID, current.Priority.Weight()); err != nil {
			return err
		}
	}
	return nil
}

// readmit ends the pause of an account that had no credits, and lets those be admitted
// that wait in their sessions.
func (s *system) readmit(ctx context.Context, id account.ID) error {
	for _, step := range session.Backlogged() {
		if _, err := s.gate.Expire(ctx, id, string(step), handlers.DryPause); err != nil {
			return err
		}
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return err
	}
	return s.queue.AdmissionAt(ctx, id.Provider, id.Name, now.UnixMilli(), 0)
}

// wake runs sleeping tasks now.
func (s *system) wake(sleeping []tasks.Task) error {
	failed := make([]error, len(sleeping))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(askers, len(sleeping)) {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(sleeping)); n = next.Add(1) - 1 {
				if failed[n] = s.queue.Wake(sleeping[n]); failed[n] != nil {
					next.Store(int64(len(sleeping)))
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// enough is a session's budget that would do for all that failed for want of one;
// 0 when nothing did.
func (s *system) enough(ctx context.Context, status *enqueue.Status) (float64, error) {
	current, err := s.store.Session(ctx, status.SessionID)
	if err != nil || current.Budget == nil || status.Counts.Failed == 0 {
		return 0, err
	}
	if _, err := s.config().Provider(current.Provider); err != nil {
		return 0, nil //nolint:nilerr // only those who have it configured know its prices
	}
	failed, price, err := s.priceOf(ctx, current, retrying{code: fault.Exhausted})
	if err != nil || len(failed) == 0 {
		return 0, err
	}
	books, err := s.books(ctx, current)
	if err != nil {
		return 0, err
	}
	if needed := tidy(books.Spent + books.Reserved + price); needed > *current.Budget {
		return math.Ceil(needed), nil
	}
	return 0, nil // credits were wanting elsewhere
}
