package handlers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

func refusedKey(status string) error {
	return &fault.Error{Code: fault.Denied, Scope: fault.ScopeAccount, Charge: fault.ChargeNone, Err: errors.New(status)}
}

// locked is a provider that refuses a key, also to tell its balance while bad.
type locked struct {
	*vendor
	bad bool
}

func (l *locked) Credits(ctx context.Context) (float64, error) {
	if l.bad {
		return 0, refusedKey("401")
	}
	return l.vendor.Credits(ctx)
}

// denyOnce has one request refused, and says which account's.
func denyOnce(t *testing.T, r *rig, status string) {
	t.Helper()
	r.vendor.submits = append(r.vendor.submits, func(func()) error { return refusedKey(status) })
	id := r.submit(1, session.Spec{})
	task, _ := r.next(id, 0)
	if err := r.deliver(task); !handlers.IsFailure(err) {
		t.Fatalf("a request with a refused key: %v, want a failure", err)
	}
	r.wantLabel(id, "failed")
}

// wantChosen submits nothing: it asks to which of two accounts sessions are bound.
func (r *rig) wantChosen(when string, want ...string) {
	r.t.Helper()
	known := []account.Known{
		{ID: account.ID{Provider: "vendor", Name: "main"}, Endpoint: account.KindExtend},
		{ID: account.ID{Provider: "vendor", Name: "spare"}, Endpoint: account.KindExtend},
	}
	if err := r.gate.Announce(r.t.Context(), known); err != nil {
		r.t.Fatal(err)
	}
	client, chosen := enqueue.NewFromRedis(r.rdb), map[string]bool{}
	for range 30 {
		name, err := client.Choose(r.t.Context(), "vendor", "")
		if err != nil {
			r.t.Fatal(err)
		}
		chosen[name] = true
	}
	for _, name := range want {
		if !chosen[name] || len(chosen) != len(want) {
			r.t.Errorf("%s sessions are bound to %v, want %v", when, chosen, want)
		}
	}
}

func lockedRig(t *testing.T) (*rig, *locked) {
	t.Helper()
	r := newRig(t)
	door := &locked{vendor: r.vendor}
	r.driver = door
	r.restart()
	return r, door
}

// TestARefusedKeyIsAvoidedUntilItIsChanged: new sessions are bound elsewhere, for as
// long as the provider refuses the key also to tell the balance.
func TestARefusedKeyIsAvoidedUntilItIsChanged(t *testing.T) {
	r, door := lockedRig(t)
	r.wantChosen("at first", "main", "spare")
	door.bad = true
	denyOnce(t, r, "401")
	r.wantChosen("after a 401", "spare")
	for range 40 {
		r.pass(30 * time.Second)
		r.mini.FastForward(30 * time.Second)
		r.sweep()
	}
	r.wantChosen("20 minutes later", "spare")
	door.bad = false // the configuration has another key now
	r.restart()
	r.pass(30 * time.Second)
	r.mini.FastForward(30 * time.Second)
	r.sweep()
	r.wantChosen("with another key", "main", "spare")
}

// TestARefusedRequestIsNoRefusedKey: a key that may ask for the balance and nothing
// else is not taken for a good one; a request that is accepted shows that it is.
func TestARefusedRequestIsNoRefusedKey(t *testing.T) {
	r, _ := lockedRig(t)
	denyOnce(t, r, "403")
	r.sweep()
	r.wantChosen("though the balance is told", "spare")
	r.carryOn(r.submit(1, session.Spec{}))
	r.wantChosen("after a request was accepted", "main", "spare")
	denyOnce(t, r, "403")
	r.wantChosen("after another refusal", "spare")
	r.pass(10 * time.Minute)
	r.sweep()
	r.wantChosen("ten minutes later", "main", "spare")
}

// TestAnotherWorkersSuccessOpensAnAccount: who sweeps knows of every denial.
func TestAnotherWorkersSuccessOpensAnAccount(t *testing.T) {
	r, _ := lockedRig(t)
	denyOnce(t, r, "403")
	r.restart()
	r.sweep()
	r.carryOn(r.submit(1, session.Spec{}))
	r.wantChosen("after another worker's request was accepted", "main", "spare")
}

// TestOtherRefusalsDenyNoAccount: a file that may not be read is no bad key.
func TestOtherRefusalsDenyNoAccount(t *testing.T) {
	r, _ := lockedRig(t)
	for _, refused := range []func(func()) error{refuse(fault.Denied), refuse(fault.Rejected), refuse(fault.Exhausted)} {
		r.vendor.submits = append(r.vendor.submits, refused)
		task, _ := r.next(r.submit(1, session.Spec{}), 0)
		_ = r.deliver(task) // its outcome is in the state
	}
	r.wantChosen("after refusals of items", "main", "spare")
}
