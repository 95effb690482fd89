package handlers_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// purse is the account of a town whose songs cost 10 credits, and its budgets, which
// may be raised while it is used.
type purse struct {
	mu            sync.Mutex
	budget, daily *float64
	pools         []*account.Pool
}

func (p *purse) raise(budget float64) {
	p.mu.Lock()
	p.budget = &budget
	p.mu.Unlock()
	for _, pool := range p.pools {
		pool.Reset()
	}
}

// bind gives a worker the account.
func (p *purse) bind(driver provider.Driver) func(*handlers.Handlers, provider.Info) {
	return func(h *handlers.Handlers, info provider.Info) {
		info.Prices = provider.Prices{Extend: 10}
		h.Accounts = account.NewPool(func(name, acc string) (*account.Account, error) {
			p.mu.Lock()
			budget, daily := p.budget, p.daily
			p.mu.Unlock()
			return &account.Account{Provider: name, Name: acc, Info: info, Driver: driver, Budget: budget, DailyBudget: daily}, nil
		})
		p.pools = append(p.pools, h.Accounts)
	}
}

// order submits a session; songs that are not extended cost nothing.
func (w *town) order(name string, items int, extend bool, budget *float64) string {
	w.t.Helper()
	s := enqueue.Session{Provider: "vendor", Budget: budget}
	if extend {
		s.Extend = &enqueue.Extend{Model: "m1", ContinueAt: -5}
	}
	for n := range items {
		s.Items = append(s.Items, enqueue.Item{Source: "/in/" + name + "-" + string(rune('a'+n%26)) + "-" + time.Duration(n).String() + ".mp3"})
	}
	submitted, err := w.client.Submit(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	return submitted.SessionID
}

// songs is how many were asked for so far.
func (s *strict) songs() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted)
}

// within waits for a session, for so long at most.
func (w *town) within(d time.Duration, name, id string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	status, err := w.client.Wait(ctx, id)
	switch {
	case err != nil:
		w.t.Errorf("%s after %s: %v, want it over", name, d, err)
	case status.Status != "succeeded":
		w.t.Errorf("%s is %s: %+v, want succeeded", name, status.Status, status.Counts)
	}
}

// TestWhatTheDaysBudgetRefusesStandsInNobodysWay: songs that wait for the next day do
// not keep those that cost nothing from being worked on; the next day they go on.
func TestWhatTheDaysBudgetRefusesStandsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		midnight := time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
		time.Sleep(time.Until(midnight.Add(-12 * time.Minute)))
		daily := 50.0
		vendor, purse := &strict{limits: twentyInTen, takes: 20 * time.Second}, &purse{daily: &daily}
		w := newTownOf(t, 1, vendor, purse.bind(vendor))
		defer w.stop()
		poor := w.order("poor", 90, true, nil)
		time.Sleep(4 * time.Minute)
		if got := vendor.songs(); got != 5 {
			t.Errorf("%d songs for 50 credits at 10, want 5", got)
		}
		free := w.order("free", 40, false, nil)
		w.within(4*time.Minute, "a session that costs nothing", free)
		if got := vendor.songs(); got != 5 {
			t.Errorf("%d songs before midnight, want 5", got)
		}
		time.Sleep(time.Until(midnight.Add(40 * time.Second)))
		if got := vendor.songs(); got != 10 {
			t.Errorf("%d songs 40 s into the next day, want 10", got)
		}
		w.wantNoAttempts(poor)
	})
}

// wantNoAttempts: waiting for credits spends no retry.
func (w *town) wantNoAttempts(id string) {
	w.t.Helper()
	spent := 0
	err := w.store.Each(w.t.Context(), id, 0, 0, func(it *session.Item) error {
		spent += it.Attempts
		return nil
	})
	if err != nil || spent != 0 {
		w.t.Errorf("%d attempts counted, %v; want none", spent, err)
	}
}

// forgetful loses the answers to its first requests.
type forgetful struct {
	*strict
	lose atomic.Int64
}

func (f *forgetful) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	if f.lose.Add(-1) >= 0 {
		return nil, fault.New(fault.Timeout, "vendor.Extend", errors.New("no answer"))
	}
	return f.strict.Extend(ctx, r)
}

// TestASessionWhoseBudgetIsHeldStandsInNobodysWay: what a held song may have cost is
// kept from the session's budget until a person decides. Its other songs wait for
// that, and the songs of other sessions do not wait for them.
func TestASessionWhoseBudgetIsHeldStandsInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor, purse := &forgetful{strict: &strict{limits: twentyInTen, takes: 20 * time.Second}}, &purse{}
		vendor.lose.Store(2)
		w := newTownOf(t, 1, vendor.strict, purse.bind(vendor))
		defer w.stop()
		budget := 25.0
		poor := w.order("poor", 90, true, &budget)
		time.Sleep(4 * time.Minute)
		if got := vendor.songs(); got != 0 {
			t.Errorf("%d songs beside two that are held, want none: 5 of 25 credits are left", got)
		}
		w.within(4*time.Minute, "a session of the same account", w.order("rich", 20, true, nil))
		w.wantNoAttempts(poor)
	})
}

// TestARaisedBudgetBringsItsItemsBack within seconds.
func TestARaisedBudgetBringsItsItemsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := 30.0
		vendor, purse := &strict{limits: twentyInTen, takes: 20 * time.Second}, &purse{budget: &budget}
		w := newTownOf(t, 1, vendor, purse.bind(vendor))
		defer w.stop()
		id := w.order("a", 80, true, nil)
		time.Sleep(4 * time.Minute)
		if got := vendor.songs(); got != 3 {
			t.Errorf("%d songs for 30 credits at 10, want 3", got)
		}
		purse.raise(800)
		time.Sleep(30 * time.Second)
		if got := vendor.songs(); got < 20 {
			t.Errorf("%d songs half a minute after the budget was raised, want 20 at least", got)
		}
		w.within(10*time.Minute, "the session", id)
		w.wantNoAttempts(id)
	})
}

// TestParkedItemsCostNothing: a session that waits for credits costs Redis the same,
// however many items it has.
func TestParkedItemsCostNothing(t *testing.T) {
	if underRace {
		t.Skip("it counts commands, which the race detector does not change: make test runs it without")
	}
	measure := func(items int) (commands float64) {
		synctest.Test(t, func(t *testing.T) {
			budget := 30.0
			vendor, purse := &strict{limits: twentyInTen, takes: 20 * time.Second}, &purse{budget: &budget}
			w := newTownOf(t, 1, vendor, purse.bind(vendor))
			defer w.stop()
			if items > 0 {
				w.order("a", items, true, nil)
			}
			time.Sleep(2 * time.Minute)
			before := w.commands.Load()
			time.Sleep(2 * time.Minute)
			commands = float64(w.commands.Load() - before)
		})
		return commands / 120
	}
	idle, few, many := measure(0), measure(100), measure(600)
	t.Logf("commands per second: %.2f with no session, %.2f with 100 items that wait for credits, %.2f with 600", idle, few, many)
	if many > few*1.05 {
		t.Errorf("%.2f commands per second with 600 items that wait, %.2f with 100; want the same", many, few)
	}
	// What it costs that a session waits at all: two sweeps' looks and one admission in 2 s.
	if few-idle > 12 {
		t.Errorf("%.2f commands per second for a session that waits for credits, want at most 12", few-idle)
	}
}

// TestWaitingForCreditsIsNotWaitingForAProvider: what was parked for longer than a step
// waits for its provider goes on as if it had just come.
func TestWaitingForCreditsIsNotWaitingForAProvider(t *testing.T) {
	for name, credits := range map[string]func(r *rig, has bool){
		"a budget": func(r *rig, has bool) {
			r.budget = new(0.0)
			if has {
				r.budget = nil
			}
			r.restart()
		},
		"an account": func(r *rig, has bool) {
			if has {
				return
			}
			r.vendor.submits = []func(func()) error{func(func()) error {
				return &fault.Error{Code: fault.Exhausted, Scope: fault.ScopeAccount, Charge: fault.ChargeNone, Op: "vendor.Submit", Err: errors.New("402")}
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			credits(r, false)
			id := r.submit(1, session.Spec{})
			task, _ := r.next(id, 0)
			_ = r.deliver(task) // it waits, and its failure says for what
			if it := r.item(id, 0); it.Label() != "upload.queued" || it.Failure == nil || it.Failure.Code != fault.Exhausted {
				t.Fatalf("%s: %+v, want it to wait for credits", it.Label(), it.Failure)
			}
			r.pass(25 * time.Hour) // a step waits 24 for its provider
			credits(r, true)
			r.vendor.submits = []func(func()) error{refuse(fault.Unavailable)}
			if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
				t.Errorf("status %s, %+v; want succeeded", current.Status(), r.item(id, 0).Failure)
			}
		})
	}
}

// TestParkedSessionWhoseLimitsAreWrong: nobody can say whether it can pay. Its items
// find out, and end.
func TestParkedSessionWhoseLimitsAreWrong(t *testing.T) {
	r := newRig(t)
	r.budget = new(0.0)
	r.restart()
	id := r.submit(1, session.Spec{})
	task, _ := r.next(id, 0)
	if err := r.deliver(task); err != nil {
		t.Fatal(err)
	}
	if err := r.store.SetBudget(t.Context(), id, -1); err != nil {
		t.Fatal(err)
	}
	r.pass(11 * time.Second)
	r.sweep()
	r.admit()
	if waits, err := r.store.Waits(t.Context(), r.item(id, 0)); waits || err != nil {
		t.Errorf("it waits: %t, %v; want it admitted", waits, err)
	}
	r.carryOn(id)
	r.wantLabel(id, "failed")
}

// mute is a provider that does not say what an account has left until it is let go.
type mute struct {
	provider.Driver
	asked chan struct{}
	let   chan struct{}
}

func (m *mute) Credits(context.Context) (float64, error) {
	m.asked <- struct{}{}
	<-m.let
	return 0, nil
}

// TestProviderThatDoesNotAnswerKeepsOneSweep: a worker has few places for sweeps and
// admissions. Those of other accounts go on while one waits for a provider.
func TestProviderThatDoesNotAnswerKeepsOneSweep(t *testing.T) {
	r := newRig(t)
	silent := &mute{Driver: r.vendor, asked: make(chan struct{}, 4), let: make(chan struct{})}
	r.driver = silent
	r.restart()
	for _, name := range []string{"one", "two"} {
		if err := r.ledger.RunDry(t.Context(), ledger.Account{Provider: "vendor", Name: name}, time.Minute, 10); err != nil {
			t.Fatal(err)
		}
	}
	over := make(chan error, 2)
	sweep := func() { over <- r.h.Sweep(t.Context(), tasks.Sweep{V: 1, Slot: 1}) }
	go sweep()
	<-silent.asked
	go sweep()
	select {
	case <-silent.asked:
		t.Error("a second sweep waits for the provider too")
	case err := <-over:
		if err != nil {
			t.Errorf("the second sweep: %v", err)
		}
		over <- nil // for the count below
	}
	close(silent.let)
	for range 2 {
		if err := <-over; err != nil {
			t.Errorf("a sweep: %v", err)
		}
	}
}

// staging is a strict vendor that knows what was staged there.
type staging struct {
	*strict
	staged sync.Map
}

func (s *staging) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	s.staged.Store(r.Audio.Name, true)
	return s.strict.Upload(ctx, r)
}

// TestASongNowAndThenStagesNoMoreThanOneStock: what is staged expires, and a session
// whose budget grows by one song at a time needs no more of it for that.
func TestASongNowAndThenStagesNoMoreThanOneStock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := 30.0
		vendor, purse := &staging{strict: &strict{limits: twentyInTen, takes: 20 * time.Second}}, &purse{budget: &budget}
		w := newTownOf(t, 1, vendor.strict, purse.bind(vendor))
		defer w.stop()
		w.order("a", 400, true, nil)
		time.Sleep(4 * time.Minute)
		for songs := 4; songs <= 18; songs++ {
			purse.raise(10 * float64(songs))
			time.Sleep(time.Minute)
		}
		staged := 0
		vendor.staged.Range(func(any, any) bool { staged++; return true })
		if songs := vendor.songs(); songs != 18 || staged > songs+64+8 {
			t.Errorf("%d songs for 180 credits at 10, and %d files staged; want 18, and 64 more than that at most, and 8 on their way", songs, staged)
		}
	})
}
