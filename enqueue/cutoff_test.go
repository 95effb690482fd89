package enqueue_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// TestCutOffSubmissionStartsNothingAndIsCompletedByItsKey cuts a submission of
// three batches at each of its commands in turn, before it was sent and after it
// was executed.
func TestCutOffSubmissionStartsNothingAndIsCompletedByItsKey(t *testing.T) {
	_, rdb := redistest.Server(t)
	for _, c := range []struct{ deaf, open bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
		cuts := 0
		for ; cutAt(t, rdb, int64(cuts), c.deaf, c.open); cuts++ {
			if t.Failed() {
				return
			}
		}
		// Key, accounts, clock, indexes, session, three batches, seal; an open one begins
		// instead.
		if cuts != 9 {
			t.Errorf("the submission was cut off at %d commands (%+v), want 9", cuts, c)
		}
	}
}

// cutAt says whether cutting at the n-th command cut the submission off.
func cutAt(t *testing.T, rdb redis.UniversalClient, n int64, deaf, open bool) bool {
	t.Helper()
	if err := rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	order := enqueue.Session{Provider: "sim", Items: songs(1001), Key: "order-1", Open: open}
	if n == 0 { // the scripts are sent in full once; later submissions have one command per call
		submit(t, enqueue.NewFromRedis(rdb), enqueue.Session{Provider: "sim", Items: songs(1)})
		if err := rdb.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprintf("cut at %d, answer lost %v, open %v", n, deaf, open)
	cut, err := fused(t, rdb, n, deaf).Submit(t.Context(), order)
	if err == nil {
		return false
	}
	if !errors.Is(err, enqueue.ErrUnavailable) || !errors.Is(err, errCut) {
		t.Errorf("%s: Submit = %v; want ErrUnavailable", name, err)
	}
	if got := startable(t, rdb) + settling(t, rdb); got != 0 {
		t.Errorf("%s: %d tasks on the queues, want none", name, got)
	}
	answered(t, rdb, name, cut, deaf)
	again, err := enqueue.NewFromRedis(rdb).Submit(t.Context(), order)
	if err != nil || (cut != nil && cut.SessionID != again.SessionID) {
		t.Fatalf("%s: second Submit = %+v, %v; want the session of the first, %+v", name, again, err, cut)
	}
	whole := stored(t, rdb, again.SessionID)
	if !whole.Ready || whole.Sealed == open || whole.Total != 1001 || whole.Counts["upload.queued"] != 1001 {
		t.Errorf("%s: completed session %+v; want it ready, 1001 items queued, and sealed unless it is open", name, whole)
	}
	if got := startable(t, rdb); got != 1001 {
		t.Errorf("%s: %d items to begin with, want 1001", name, got)
	}
	return true
}

// answered holds what a cut-off submission said against what is there.
func answered(t *testing.T, rdb redis.UniversalClient, name string, cut *enqueue.Submitted, deaf bool) {
	t.Helper()
	if cut == nil {
		return
	}
	current := stored(t, rdb, cut.SessionID)
	fields, err := rdb.HGetAll(t.Context(), "segue:{"+cut.SessionID+"}:items").Result()
	if err != nil {
		t.Fatal(err)
	}
	for index, answer := range cut.Items {
		// With its answer lost, a batch may be in without our knowing. Never the other way round.
		_, there := fields[strconv.Itoa(index)]
		if answer.Err == nil && !there || answer.Err != nil && there && !deaf {
			t.Fatalf("%s: item %d was answered %v, and is there: %v", name, index, answer.Err, there)
		}
	}
	// Only a seal whose answer was lost makes a cut-off session ready.
	if current.Ready && (!deaf || len(fields) != 1001) {
		t.Errorf("%s: the session is ready with %d items, want it not to be", name, len(fields))
	}
}

func TestCutOffSessionIsNotTouched(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1)}) // loads the scripts
		before := startable(t, rdb)
		const commands = 6 // key, accounts, clock, indexes, session, one batch of three
		cut, err := fused(t, rdb, commands, false).Submit(t.Context(), enqueue.Session{Provider: "sim", Items: songs(1001), Key: "order-1"})
		if !errors.Is(err, enqueue.ErrUnavailable) {
			t.Fatalf("Submit = %v; want ErrUnavailable", err)
		}
		id := cut.SessionID
		if _, err := client.Add(t.Context(), id, enqueue.Item{Source: "late.mp3"}); !errors.Is(err, enqueue.ErrConflict) {
			t.Errorf("Add to a cut-off session = %v; want ErrConflict", err)
		}
		if err := client.Seal(t.Context(), id); !errors.Is(err, enqueue.ErrConflict) {
			t.Errorf("Seal of a cut-off session = %v; want ErrConflict", err)
		}
		status, err := client.Progress(t.Context(), id)
		if err != nil || status.Status != "open" || status.Over() {
			t.Errorf("Progress of a cut-off session = %+v, %v; want open", status, err)
		}
		if got := stored(t, rdb, id); got.Ready || got.Sealed || got.Total != 500 && got.Total != 1 {
			t.Errorf("cut-off session %+v; want neither ready nor sealed, one batch of items", got)
		}
		if got := startable(t, rdb) - before; got != 0 {
			t.Errorf("%d items to begin with, want none", got)
		}
		status, err = client.Cancel(t.Context(), id)
		if err != nil || status.Status != "canceled" {
			t.Errorf("Cancel of a cut-off session = %+v, %v; want canceled", status, err)
		}
	})
}

// TestFailedBatchEndsTheSubmission: a Redis that is away is not asked two hundred
// times more, and every item is answered all the same.
func TestFailedBatchEndsTheSubmission(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	submit(t, enqueue.NewFromRedis(rdb), enqueue.Session{Provider: "sim", Items: songs(1)})
	f := &fuse{}
	f.left.Store(4) // accounts, clock, indexes, session
	cut, err := enqueue.NewFromRedis(hooked(t, rdb, f)).Submit(t.Context(), enqueue.Session{Provider: "sim", Items: songs(20_000)})
	if !errors.Is(err, enqueue.ErrUnavailable) {
		t.Fatalf("Submit = %v; want ErrUnavailable", err)
	}
	if tried := -f.left.Load(); tried < 1 || tried > 4 {
		t.Errorf("%d batches were tried after the cut, want 1 to 4: one per writer", tried)
	}
	for index, answer := range cut.Items {
		if answer.Index != index || answer.ItemID == "" || !errors.Is(answer.Err, enqueue.ErrUnavailable) {
			t.Fatalf("answer %d = %+v; want ErrUnavailable for that item", index, answer)
		}
	}
}

// TestTasksThatMissTheQueueAreOwed: once it is sealed a submission has succeeded,
// and the sweep finds the items whose tasks never came.
func TestTasksThatMissTheQueueAreOwed(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	submit(t, enqueue.NewFromRedis(rdb), enqueue.Session{Provider: "sim", Items: songs(1)})
	before := startable(t, rdb)
	const sealed = 6 // accounts, clock, indexes, session, items, seal
	submitted, err := fused(t, rdb, sealed, false).Submit(t.Context(), enqueue.Session{Provider: "sim", Items: songs(3)})
	if err != nil {
		t.Fatalf("Submit = %v; want success: the items are in", err)
	}
	if got := startable(t, rdb) - before; got != 0 {
		t.Fatalf("%d items to begin with, want none for this test", got)
	}
	overdue, err := session.NewStore(rdb).Overdue(t.Context(), submitted.SessionID, 10)
	if err != nil || !overdue.Ready || overdue.Backlog[session.StepUpload] != 3 {
		t.Errorf("what a sweep sees: %+v, %v; want a ready session with 3 items that wait", overdue, err)
	}
}
