package handlers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// bookkeeper is a vendor whose lists can be asked.
type bookkeeper struct {
	*vendor
	books func(q *provider.Question) (*provider.Books, error)
}

func (b *bookkeeper) Books(_ context.Context, q *provider.Question) (*provider.Books, error) {
	return b.books(q)
}

// doubt submits items and lets the first one's upload end in doubt.
func (r *rig) doubt(n int, answer func(func()) error) string {
	r.t.Helper()
	r.vendor.submits = []func(func()) error{answer}
	id := r.submit(n, session.Spec{})
	task, _ := r.next(id, 0)
	_ = r.deliver(task) // its outcome is in the state
	if got := r.item(id, 0).Label(); got != "upload.reconciling" {
		r.t.Fatalf("the item is at %s, want upload.reconciling", got)
	}
	return id
}

// look lets evidence be looked for once.
func (r *rig) look(id string) {
	r.t.Helper()
	task, ok := r.next(id, 0)
	if !ok || task.Type != "audio:reconcile" {
		r.t.Fatalf("%s follows, want a search for evidence", task.ID)
	}
	if err := r.deliver(task); handlers.IsFailure(err) && err != nil {
		r.t.Fatalf("looking for evidence is a failure: %v", err)
	}
}

func (r *rig) wantLabel(id string, want string) {
	r.t.Helper()
	if got := r.item(id, 0); got.Label() != want {
		r.t.Fatalf("item at %s (%+v), want %s", got.Label(), got.Failure, want)
	}
}

func TestListsThatShowNoChargeAreBelievedWhenTheyAreOld(t *testing.T) {
	r := newRig(t)
	r.info.Evidence.Books = 5 * time.Minute
	charges := 0
	r.driver = &bookkeeper{r.vendor, func(*provider.Question) (*provider.Books, error) {
		return &provider.Books{Charges: charges}, nil
	}}
	r.restart()
	id := r.doubt(1, loseUnbilled)
	for range 4 {
		r.look(id)
		r.wantLabel(id, "upload.reconciling")
		r.pass(time.Minute)
	}
	r.pass(2 * time.Minute)
	r.look(id)
	r.wantLabel(id, "upload.queued")
	if it := r.item(id, 0); it.Generation != 1 || it.Failure == nil || !strings.Contains(it.Failure.Reason, "shows no charge") {
		t.Errorf("generation %d, %+v; want 1, and why", it.Generation, it.Failure)
	}
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

// TestAFrozenWorkerMayStillSend: that a silent worker's request was not accepted is
// believed only once it cannot leave any more.
func TestAFrozenWorkerMayStillSend(t *testing.T) {
	r := newRig(t)
	r.info.Evidence.Books = time.Second
	r.driver = &bookkeeper{r.vendor, func(*provider.Question) (*provider.Books, error) { return &provider.Books{}, nil }}
	r.restart()
	id := r.submit(1, session.Spec{})
	r.h.Hook = func(place string) {
		if place == "claimed" {
			panic(errCrash)
		}
	}
	task, _ := r.next(id, 0)
	if err := r.deliver(task); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	r.restart()
	r.pass(session.DeadAfter + time.Second)
	r.sweep()
	for range 17 { // the claim lasts two minutes, and a minute is added
		r.look(id)
		r.wantLabel(id, "upload.reconciling")
		r.pass(10 * time.Second)
	}
	r.pass(10 * time.Second)
	r.look(id)
	r.wantLabel(id, "upload.queued")
}

func TestListsWithAChargeLeaveItToAPerson(t *testing.T) {
	r := newRig(t)
	r.info.Evidence.Books = time.Minute
	r.driver = &bookkeeper{r.vendor, func(*provider.Question) (*provider.Books, error) { return &provider.Books{Charges: 1}, nil }}
	r.restart()
	id := r.doubt(1, billAndLose)
	r.pass(2 * time.Hour)
	r.look(id)
	r.wantLabel(id, "upload.held")
	if reason := r.item(id, 0).Failure.Reason; !strings.Contains(reason, "shows 1 such charges") {
		t.Errorf("reason %q, want what was seen", reason)
	}
	r.wantCharges("upload a.mp3 in remote-1")
}

func TestListsThatCannotBeReadAreNoEvidence(t *testing.T) {
	r := newRig(t)
	r.info.Evidence.Books = time.Minute
	r.driver = &bookkeeper{r.vendor, func(*provider.Question) (*provider.Books, error) {
		return nil, fault.New(fault.Unavailable, "v.Books", errors.New("503"))
	}}
	r.restart()
	id := r.doubt(1, loseUnbilled)
	r.pass(2 * time.Hour)
	r.look(id)
	r.wantLabel(id, "upload.held")
}

func TestTheOneClipThatNobodyElseCanHave(t *testing.T) {
	r := newRig(t)
	r.info.Evidence.Books = time.Minute
	listed := []string{}
	r.driver = &bookkeeper{r.vendor, func(*provider.Question) (*provider.Books, error) {
		return &provider.Books{Clips: listed, Charges: 2}, nil
	}}
	r.restart()
	id := r.doubt(2, billAndLose)
	// The other file is on its way: the clip might be its own.
	task, _ := r.next(id, 1)
	if err := r.deliver(task); err != nil {
		t.Fatal(err)
	}
	listed = []string{"clip-op-1"}
	r.look(id)
	r.wantLabel(id, "upload.reconciling")
	task, _ = r.next(id, 1)
	if err := r.deliver(task); err != nil {
		t.Fatal(err)
	}
	listed = []string{"clip-op-2", "clip-op-1"}
	r.look(id)
	r.wantLabel(id, "extend.queued")
	if clip := r.item(id, 0).Clip; clip == nil || clip.ID != "clip-op-1" {
		t.Errorf("the item has clip %+v, want clip-op-1", clip)
	}
	if got := r.item(id, 0).Credits(); got != 2 {
		t.Errorf("%g credits, want 2: it was charged", got)
	}
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "upload b.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-2 at 55")
}

func TestABalanceThatDidNotMove(t *testing.T) {
	cases := []struct {
		name    string
		answer  func(func()) error
		disturb func(r *rig)
		want    string
		words   string
	}{
		{"not billed", loseUnbilled, func(*rig) {}, "upload.queued", "did not move"},
		{"billed", billAndLose, func(*rig) {}, "upload.held", "went from 100 to 98"},
		{"something else was paid for", loseUnbilled, func(r *rig) {
			entry := ledger.Entry{Session: "ses_01939f3e-7b2a-7c4d-8e5f-0123456789ab", Step: "extend"}
			acc := ledger.Account{Provider: "vendor", Name: "main"}
			_, err := r.ledger.Reserve(r.t.Context(), ledger.Reservation{Account: acc, Entry: entry, Credits: 1})
			if err := errors.Join(err, r.ledger.Release(r.t.Context(), acc, entry)); err != nil {
				r.t.Fatal(err)
			}
		}, "upload.held", ""},
		{"a refund may have come", loseUnbilled, func(r *rig) {
			if err := r.ledger.Cloud(r.t.Context(), ledger.Account{Provider: "vendor", Name: "main"}, time.Hour*24); err != nil {
				r.t.Fatal(err)
			}
		}, "upload.held", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.info.Evidence.Balance = 2 * time.Minute
			r.restart()
			id := r.doubt(1, c.answer)
			r.look(id)
			r.wantLabel(id, "upload.reconciling")
			c.disturb(r)
			r.pass(2*time.Minute + time.Second)
			r.look(id)
			if got := r.item(id, 0).Label(); got == "upload.reconciling" {
				r.pass(2 * time.Minute)
				r.look(id)
			}
			r.wantLabel(id, c.want)
			if reason := r.item(id, 0).Failure.Reason; !strings.Contains(reason, c.words) {
				t.Errorf("reason %q, want %q in it", reason, c.words)
			}
		})
	}
}

// TestACallbackNamesTheOperation: before, while and after evidence is looked for.
// One that names what the provider does not know is a lie.
func TestACallbackNamesTheOperation(t *testing.T) {
	r := newRig(t)
	r.info.Callbacks, r.info.Evidence.Callback = true, 21*time.Minute
	r.restart()
	r.h.Callback = func(string, string) string { return "https://segue.test/callbacks/vendor/token" }
	id := r.doubt(1, billAndLose)
	r.look(id)
	r.pass(20 * time.Minute)
	r.look(id)
	r.wantLabel(id, "upload.reconciling")
	report := func(operation string) {
		t.Helper()
		kept, err := r.store.Report(t.Context(), r.item(id, 0).Ref(), session.Report{Operation: operation, Kind: "complete", Done: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.h.Adopt(t.Context(), kept, r.item(id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	unknown := func() (*provider.State, error) {
		return nil, fault.New(fault.NotFound, "v.Poll", errors.New("no such task"))
	}
	r.vendor.states = []func() (*provider.State, error){unknown, unknown, unknown}
	report("op-666")
	r.wantLabel(id, "upload.reconciling")
	r.pass(2 * time.Minute)
	r.vendor.states = []func() (*provider.State, error){unknown, unknown, unknown}
	r.look(id)
	r.wantLabel(id, "upload.held")
	report("op-1")
	r.wantLabel(id, "upload.waiting")
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

// TestDoubtAfterDoubtAsksAPerson: evidence may send a step again, but not for ever.
func TestDoubtAfterDoubtAsksAPerson(t *testing.T) {
	r := newRig(t)
	r.info.Evidence.Books = time.Second
	r.driver = &bookkeeper{r.vendor, func(*provider.Question) (*provider.Books, error) { return &provider.Books{}, nil }}
	r.restart()
	r.vendor.submits = []func(func()) error{loseUnbilled, loseUnbilled, loseUnbilled}
	id := r.submit(1, session.Spec{})
	for range 3 {
		task, _ := r.next(id, 0)
		_ = r.deliver(task)
		r.pass(2 * time.Second)
		r.look(id)
	}
	r.wantLabel(id, "upload.held")
	r.wantCharges()
}

// TestAReportAfterwardsIsPutOnRecord: an operator gave the item up, and then the
// provider says what was paid for.
func TestAReportAfterwardsIsPutOnRecord(t *testing.T) {
	r := newRig(t)
	id := r.doubt(1, billAndLose)
	_, _, err := r.store.Update(t.Context(), id, 0, time.Minute, func(w *session.Work) error { return w.Item.Abandon(w.Now) })
	if err != nil {
		t.Fatal(err)
	}
	kept, err := r.store.Report(t.Context(), r.item(id, 0).Ref(), session.Report{Operation: "op-1", Kind: "complete", Done: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.h.Adopt(t.Context(), kept, r.item(id, 0)); err != nil {
			t.Fatal(err)
		}
	}
	it := r.item(id, 0)
	if it.State != session.Failed || len(it.Operations) != 1 || it.Operations[0].ID != "op-1" || it.Operations[0].Presumed || it.Credits() != 2 {
		t.Errorf("item %s with %+v, want failed, and op-1 known to have cost 2", it.State, it.Operations)
	}
}
