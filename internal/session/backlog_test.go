package session_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// admitted takes items out of the backlog and wants as many as were asked for.
func admitted(t *testing.T, store *session.Store, id string, step session.StepName, n int) []int {
	t.Helper()
	items, _, err := store.Admit(t.Context(), id, step, n)
	if err != nil || len(items) != n {
		t.Fatalf("Admit(%s, %d) = %d items, %v", step, n, len(items), err)
	}
	indexes := make([]int, n)
	for i, it := range items {
		indexes[i] = it.Index
	}
	return indexes
}

// backlog counts what waits.
func backlog(t *testing.T, store *session.Store, id string) map[session.StepName]int {
	t.Helper()
	overdue, err := store.Overdue(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	return overdue.Backlog
}

func waiting(upload, extend int) map[session.StepName]int {
	return map[session.StepName]int{session.StepUpload: upload, session.StepExtend: extend}
}

func TestItemsWaitInTheirSessionUntilTheyAreAdmitted(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id := submitted(t, store, 12, extendPlan)
		if got := admitted(t, store, id, session.StepUpload, 3); !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("admitted first: %v, want [0 1 2]", got)
		}
		if got := admitted(t, store, id, session.StepUpload, 1); !slices.Equal(got, []int{3}) {
			t.Errorf("admitted next: %v, want [3]", got)
		}
		if err := store.Readmit(t.Context(), id, session.StepUpload, 1, 2); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(waiting(10, 0), backlog(t, store, id)); diff != "" {
			t.Errorf("backlog (-want +got):\n%s", diff)
		}
		if got := admitted(t, store, id, session.StepUpload, 3); !slices.Equal(got, []int{1, 2, 4}) {
			t.Errorf("admitted after two went back: %v, want [1 2 4]", got)
		}
		if items, left, err := store.Admit(t.Context(), id, session.StepUpload, 0); err != nil || len(items) != 0 || left != 7 {
			t.Errorf("Admit of none = %d, %d left, %v; want 0 and 7", len(items), left, err)
		}
	})
}

// What has moved since it was admitted is not put back.
func TestReadmitLeavesAloneWhatHasMoved(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id := submitted(t, store, 2, extendPlan)
	admitted(t, store, id, session.StepUpload, 2)
	change(t, store, id, 0, func(it *session.Item) error { return it.Take(session.Claim{Token: "t", Worker: "w"}, false) })
	if err := store.Readmit(t.Context(), id, session.StepUpload, 0, 1, 7); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(waiting(1, 0), backlog(t, store, id)); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}

// change applies one transition.
func change(t *testing.T, store *session.Store, id string, index int, apply func(*session.Item) error) {
	t.Helper()
	_, _, err := store.Update(t.Context(), id, index, 0, func(w *session.Work) error { return apply(&w.Item) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestYieldPutsAnItemBackWithoutAnAttempt(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id := submitted(t, store, 1, extendPlan)
	admitted(t, store, id, session.StepUpload, 1)
	change(t, store, id, 0, func(it *session.Item) error { return it.Take(session.Claim{Token: "t", Worker: "w"}, false) })
	if diff := cmp.Diff(waiting(0, 0), backlog(t, store, id)); diff != "" {
		t.Errorf("claimed (-want +got):\n%s", diff)
	}
	change(t, store, id, 0, func(it *session.Item) error { return it.Yield("t", session.Failure{Reason: "paused"}) })
	if diff := cmp.Diff(waiting(1, 0), backlog(t, store, id)); diff != "" {
		t.Errorf("yielded (-want +got):\n%s", diff)
	}
	work, err := store.Load(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	it := work.Item
	if it.State != session.Queued || it.Attempts != 0 || it.Rescue != 1 || it.Claim != nil || !it.Backlog || it.Failure.Reason != "paused" {
		t.Errorf("yielded: %+v, want queued in the backlog, under a new task id, with its reason and no attempt", it)
	}
	if err := it.Yield("x", session.Failure{}); err == nil {
		t.Error("Yield with somebody else's token succeeded")
	}
}

// One write cancels what waits, however much it is; the sweep writes it down later.
func TestCancelEmptiesTheBacklog(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id := submitted(t, store, 700, extendPlan)
		admitted(t, store, id, session.StepUpload, 5)
		if _, err := store.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		overdue, err := store.Overdue(t.Context(), id, 1000)
		if err != nil || len(overdue.Indexes) != 695 || overdue.Backlog[session.StepUpload] != 0 {
			t.Errorf("after a cancel %d items are due and %d wait, %v; want 695 and 0", len(overdue.Indexes), overdue.Backlog[session.StepUpload], err)
		}
		if items, _, err := store.Admit(t.Context(), id, session.StepUpload, 9); err != nil || len(items) != 0 {
			t.Errorf("a canceled session admitted %d items, %v", len(items), err)
		}
		if err := store.Readmit(t.Context(), id, session.StepUpload, 0); err != nil || backlog(t, store, id)[session.StepUpload] != 0 {
			t.Errorf("an item went back into the backlog of a canceled session, %v", err)
		}
	})
}

func TestNothingOfAnUnfinishedSubmissionIsAdmitted(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Create(t.Context(), session.Spec{ID: id, Provider: "p", Account: "main"}, false); err != nil {
		t.Fatal(err)
	}
	item := session.New{Item: session.NewItem(session.Source{Name: "a"}, extendPlan, nil)}
	if _, err := store.Add(t.Context(), id, 0, []session.New{item}, 0); err != nil {
		t.Fatal(err)
	}
	if items, _, err := store.Admit(t.Context(), id, session.StepUpload, 9); err != nil || len(items) != 0 {
		t.Errorf("admitted %d items, %v; want none", len(items), err)
	}
	if err := store.Begin(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	admitted(t, store, id, session.StepUpload, 1)
}

func TestPriority(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id := submitted(t, store, 1, extendPlan)
	for _, want := range []session.Priority{"", session.High, session.Low} {
		if want != "" {
			if err := store.SetPriority(t.Context(), id, want); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := store.Session(t.Context(), id); err != nil || got.Priority != want {
			t.Errorf("priority %q, %v; want %q", got.Priority, err, want)
		}
	}
	weights := map[session.Priority]int{"": 4, "low": 1, "normal": 4, "high": 16, "urgent": 0}
	for p, want := range weights {
		if got := p.Weight(); got != want {
			t.Errorf("weight of %q is %d, want %d", p, got, want)
		}
	}
}
