package session_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// stored lists the sessions that a rebuild finds.
func stored(t *testing.T, store *session.Store) []string {
	t.Helper()
	var ids []string
	err := store.Stored(t.Context(), func(id string) error {
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

func TestStoredFindsWhatNoIndexKnows(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		want := []string{submitted(t, store, 1, extendPlan), submitted(t, store, 2, extendPlan)}
		slices.Sort(want)
		// What only looks like a session, and enough of it for several steps of the scan.
		pipe := rdb.Pipeline()
		pipe.Set(t.Context(), "segue:{ses_nonsense}", "x", 0)
		for n := range 3000 {
			pipe.Set(t.Context(), fmt.Sprint("asynq:{extend}:t:", n), "x", 0)
		}
		pipe.Del(t.Context(), "segue:sessions", "segue:open")
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, stored(t, store)); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		stop := errors.New("enough")
		if err := store.Stored(t.Context(), func(string) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("Stored with a function that fails = %v, want its error", err)
		}
	})
}

func TestRelist(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		uploadOnly := []session.StepName{session.StepUpload}
		running, over := submitted(t, store, 2, uploadOnly), submitted(t, store, 1, uploadOnly)
		unsettled := submitted(t, store, 1, uploadOnly)
		succeed(t, store, unsettled, 0, "b")
		if _, err := store.Settle(t.Context(), over, succeed(t, store, over, 0, "a")); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Del(t.Context(), "segue:sessions", "segue:open").Err(); err != nil {
			t.Fatal(err)
		}
		relist := func(id string) [2]bool {
			current, err := store.Session(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			listed, opened, err := store.Relist(t.Context(), &current.Spec)
			if err != nil {
				t.Fatal(err)
			}
			return [2]bool{listed, opened}
		}
		for _, tt := range []struct {
			id   string
			want [2]bool
		}{
			{running, [2]bool{true, true}},
			{running, [2]bool{false, false}}, // doing it again changes nothing
			{unsettled, [2]bool{true, true}}, // its settling is owed
			{over, [2]bool{true, false}},
		} {
			if got := relist(tt.id); got != tt.want {
				t.Errorf("Relist put %s on lists %v, want %v", tt.id, got, tt.want)
			}
		}
		open, err := store.Open(t.Context())
		want := []string{running, unsettled}
		slices.Sort(want)
		slices.Sort(open)
		if diff := cmp.Diff(want, open); diff != "" || err != nil {
			t.Errorf("open sessions, %v (-want +got):\n%s", err, diff)
		}
		if owed, err := store.Owed(t.Context(), unsettled); err != nil || !slices.Equal(owed, []int{1}) {
			t.Errorf("Owed = %v, %v; want completion 1", owed, err)
		}
	})
}

// redue restores due entries and gives the indexes that were read, and how many
// entries were missing.
func redue(t *testing.T, store *session.Store, id string) (read []int, missing int) {
	t.Helper()
	err := store.Redue(t.Context(), id, time.Minute, func(items []*session.Item, gone int) error {
		for _, it := range items {
			read = append(read, it.Index)
		}
		missing += gone
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return read, missing
}

func TestRedueRestoresOnlyWhatMovesByItself(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		store := session.NewStore(rdb)
		id := submitted(t, store, 6, []session.StepName{session.StepUpload})
		admitted(t, store, id, session.StepUpload, 5)
		succeed(t, store, id, 0, "a")
		held(t, store, id, 1)
		due := "segue:{" + id + "}:due"
		// One entry was not lost, and stays as it was.
		if err := rdb.ZRem(t.Context(), due, "2", "4").Err(); err != nil {
			t.Fatal(err)
		}
		before := rdb.ZScore(t.Context(), due, "3").Val()
		read, missing := redue(t, store, id)
		if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(read, want) || missing != 2 {
			t.Errorf("Redue read %v and restored %d entries, want %v and 2", read, missing, want)
		}
		if got := rdb.ZRange(t.Context(), "segue:{"+id+"}:backlog:upload", 0, -1).Val(); !sameMembers(got, "2", "4", "5") {
			t.Errorf("backlog %v, want what lost its entry, 2 and 4, and what waited, 5", got)
		}
		if got := rdb.ZRange(t.Context(), due, 0, -1).Val(); !sameMembers(got, "3") || before != rdb.ZScore(t.Context(), due, "3").Val() {
			t.Errorf("due entries %v, want that of item 3 as it was", got)
		}
		if _, missing := redue(t, store, id); missing != 0 {
			t.Errorf("the second time %d entries were missing, want 0", missing)
		}
		stop := errors.New("enough")
		err := store.Redue(t.Context(), id, time.Minute, func([]*session.Item, int) error { return stop })
		if !errors.Is(err, stop) {
			t.Errorf("Redue with a function that fails = %v, want its error", err)
		}
	})
}

func sameMembers(got []string, want ...string) bool {
	slices.Sort(got)
	return slices.Equal(got, want)
}

// held takes an item to where only a person decides.
func held(t *testing.T, store *session.Store, id string, index int) {
	t.Helper()
	_, _, err := store.Update(t.Context(), id, index, time.Minute, func(w *session.Work) error {
		return errors.Join(
			w.Item.Take(session.Claim{Token: "t", Worker: "w", Credits: 2}, true),
			w.Item.Doubt("t", session.Failure{Reason: "no answer"}, w.Now),
			w.Item.Hold(session.Failure{Reason: "no evidence"}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A session larger than one batch is read whole, a batch at a time.
func TestRedueReadsInBatches(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	store := session.NewStore(rdb)
	id := submitted(t, store, 1201, extendPlan)
	if err := rdb.Del(t.Context(), "segue:{"+id+"}:backlog:upload").Err(); err != nil {
		t.Fatal(err)
	}
	var sizes []int
	err := store.Redue(t.Context(), id, time.Minute, func(items []*session.Item, missing int) error {
		sizes = append(sizes, len(items), missing)
		return nil
	})
	if diff := cmp.Diff([]int{500, 500, 500, 500, 201, 201}, sizes); diff != "" || err != nil {
		t.Errorf("batches and missing entries, %v (-want +got):\n%s", err, diff)
	}
}
