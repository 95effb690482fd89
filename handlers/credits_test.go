package handlers_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

var vendorMain = ledger.Account{Provider: "vendor", Name: "main"}

func (r *rig) books() *ledger.State {
	r.t.Helper()
	state, err := r.ledger.State(r.t.Context(), vendorMain)
	if err != nil {
		r.t.Fatal(err)
	}
	return state
}

// TestTheLedgerFollowsTheItems: after a session, what the books say was spent is what
// the items say, whatever happened to them.
func TestTheLedgerFollowsTheItems(t *testing.T) {
	r := newRig(t)
	r.vendor.submits = []func(func()) error{refuse(fault.Unavailable), billAndLose}
	id := r.submit(3, session.Spec{OnUnknown: session.Resubmit})
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Fatalf("status %s, want succeeded", current.Status())
	}
	var committed, spent float64
	for index := range 3 {
		committed += r.item(id, index).Committed()
		spent += r.item(id, index).Credits()
	}
	// Three songs at 12, and an upload that may have been paid for in vain.
	if state := r.books(); state.Spent != 38 || state.Reserved != 0 || committed != 38 || spent != 36 {
		t.Errorf("books: %g spent, %g reserved; items: %g, %g of it known; want 38, 0, 38, 36", state.Spent, state.Reserved, committed, spent)
	}
}

func TestAUsedUpSessionBudgetEndsItsItems(t *testing.T) {
	r := newRig(t)
	budget := 14.0 // one song at 12, and an upload at 2
	id := r.submit(3, session.Spec{Budget: &budget})
	current := r.carryOn(id)
	if tally := current.Tally(); tally.Succeeded+tally.Failed != 3 || tally.Failed < 2 {
		t.Errorf("%+v, want at most one song, and the others failed", tally)
	}
	if state := r.books(); state.Spent > 14 || state.Reserved != 0 {
		t.Errorf("%g spent, %g reserved; want at most 14, and 0", state.Spent, state.Reserved)
	}
	for index := range 3 {
		if it := r.item(id, index); it.State == session.Failed && (it.Failure.Code != fault.Exhausted || it.Failure.Charge != "not charged" || !strings.Contains(it.Failure.Reason, "14")) {
			t.Errorf("item %d: %+v, want exhausted, not charged, and the budget named", index, it.Failure)
		}
	}
}

// TestAUsedUpSharedBudgetEndsItsItems: nobody can raise what several sessions share, such
// as a schedule's day, so nothing waits for that.
func TestAUsedUpSharedBudgetEndsItsItems(t *testing.T) {
	r := newRig(t)
	credits := 14.0 // one song at 12, and an upload at 2
	shared := session.Spec{Limits: []session.Limit{
		{Scope: "schedule", Key: "nightly"}, {Scope: "schedule", Key: "nightly/2026-11-22", Credits: &credits},
	}}
	r.carryOn(r.submit(1, shared))
	id := r.submit(2, shared)
	if current := r.carryOn(id); current.Status() != session.StatusFailed {
		t.Errorf("status %s, want failed: the session before has spent the day's", current.Status())
	}
	if state := r.books(); state.Spent != 14 || state.Reserved != 0 {
		t.Errorf("%g spent, %g reserved; want 14: a song, an upload; and 0", state.Spent, state.Reserved)
	}
	for index := range 2 {
		if it := r.item(id, index); it.Failure == nil || it.Failure.Code != fault.Exhausted || !strings.Contains(it.Failure.Reason, "schedule nightly/2026-11-22 is 14 credits") {
			t.Errorf("item %d: %+v, want exhausted, and the budget named", index, it.Failure)
		}
	}
}

// TestAnAccountBudgetMakesItemsWait: nobody spends a retry on it.
func TestAnAccountBudgetMakesItemsWait(t *testing.T) {
	r := newRig(t)
	budget := 1.0
	r.budget = &budget
	r.restart()
	id := r.submit(1, session.Spec{})
	task, _ := r.next(id, 0)
	if err := r.deliver(task); err != nil {
		t.Errorf("over budget: %v, want it back in its session", err)
	}
	r.wantLabel(id, "upload.queued")
	if it := r.item(id, 0); it.Failure == nil || it.Failure.Code != fault.Exhausted || it.Attempts != 0 || !it.Backlog {
		t.Errorf("%d attempts, in its session: %v, failure %+v; want none, and one that says why it waits", it.Attempts, it.Backlog, it.Failure)
	}
	r.wantCharges()
	budget = 12
	r.restart()
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("with a larger budget: %s, want succeeded", current.Status())
	}
}

// TestADryAccountParksItsItems: once the provider has said that there are no
// credits, nothing more is sent until its balance says otherwise.
func TestADryAccountParksItsItems(t *testing.T) {
	r := newRig(t)
	sent := 0
	empty := func(func()) error {
		sent++
		return &fault.Error{Code: fault.Exhausted, Scope: fault.ScopeAccount, Charge: fault.ChargeNone, Err: errors.New("402")}
	}
	r.vendor.submits = []func(func()) error{empty, empty, empty}
	id := r.submit(3, session.Spec{})
	for index := range 3 {
		task, _ := r.next(id, index)
		if err := r.deliver(task); err != nil {
			t.Errorf("item %d: %v; want it back in its session, with no attempt spent", index, err)
		}
	}
	if sent != 1 {
		t.Errorf("%d requests were sent to an account without credits, want 1", sent)
	}
	if it := r.item(id, 0); !strings.HasPrefix(it.Failure.Reason, "parked until the account has credits again") || it.Attempts != 0 {
		t.Errorf("reason %q", it.Failure.Reason)
	}
	r.vendor.submits = nil
	r.sweep() // asks for the balance: there is credit
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
}

// TestAReservationWithoutAClaimIsFreed: its worker died between the two.
func TestAReservationWithoutAClaimIsFreed(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	r.h.Hook = func(place string) {
		if place == "reserved" {
			panic(errCrash)
		}
	}
	task, _ := r.next(id, 0)
	if err := r.deliver(task); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if state := r.books(); state.Reserved != 2 {
		t.Fatalf("%g reserved, want 2", state.Reserved)
	}
	if _, err := r.store.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.pass(time.Minute)
	r.sweep()
	if state := r.books(); state.Reserved != 0 || state.Spent != 0 {
		t.Errorf("%g reserved, %g spent; want 0 and 0", state.Reserved, state.Spent)
	}
}

// lossy loses the replies of commands that were carried out.
type lossy struct{ lose func(redis.Cmder) bool }

func (l *lossy) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *lossy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (l *lossy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && l.lose(cmd) {
			err = &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
			cmd.SetErr(err)
		}
		return err
	}
}

// TestAClaimWhoseReplyIsLost is given back: nothing was sent under it.
func TestAClaimWhoseReplyIsLost(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	lost := 0
	r.rdb.AddHook(&lossy{func(cmd redis.Cmder) bool {
		for _, arg := range cmd.Args() {
			if text, ok := arg.([]byte); ok && strings.Contains(string(text), `"state":"sending"`) && lost == 0 {
				lost++
				return true
			}
		}
		return false
	}})
	task, _ := r.next(id, 0)
	if err := r.deliver(task); handlers.IsFailure(err) {
		t.Errorf("attempt: %v, want a wait", err)
	}
	if lost != 1 {
		t.Fatal("no reply was lost")
	}
	r.wantLabel(id, "upload.queued")
	r.wantCharges()
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}
