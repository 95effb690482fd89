package enqueue_test

import (
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// TestCancelingManyIsOneWrite: after the first script that Cancel runs, all of
// 10,000 items count as canceled. Then they are ended, and one completion is owed.
func TestCancelingManyIsOneWrite(t *testing.T) {
	_, rdb := redistest.Server(t)
	client := enqueue.NewFromRedis(rdb)
	const n = 10_000
	id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(n)}).SessionID
	if _, err := client.Cancel(t.Context(), submit(t, client, enqueue.Session{Provider: "sim"}).SessionID); err != nil {
		t.Fatal(err) // loads the scripts: from here on one call is one command
	}
	before := settling(t, rdb)

	var once sync.Once
	var after *enqueue.Status
	listening := hooked(t, rdb, &ear{func(name string) {
		if name != "evalsha" {
			return
		}
		once.Do(func() {
			var err error
			if after, err = client.Progress(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}})
	status, err := enqueue.NewFromRedis(listening).Cancel(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	all := enqueue.Counts{Total: n, Canceled: n}
	if after == nil || after.Status != "canceled" || after.Counts != all {
		t.Errorf("after one write: %+v; want canceled, %+v", after, all)
	}
	if status.Status != "canceled" || status.Counts != all {
		t.Errorf("Cancel = %+v; want canceled, %+v", status, all)
	}
	if _, err := client.Cancel(t.Context(), id); err != nil {
		t.Errorf("second Cancel = %v", err)
	}
	current := stored(t, rdb, id)
	if current.Counts["canceled"] != n || len(current.Counts) != 1 || current.Completions != 1 || current.Settled != 0 {
		t.Errorf("session %+v; want %d items ended as canceled, one completion, not settled", current, n)
	}
	if owed, err := session.NewStore(rdb).Owes(t.Context(), id, 1); err != nil || !owed {
		t.Errorf("completion 1 is owed: %v, %v; want true", owed, err)
	}
	if got := settling(t, rdb) - before; got != 1 {
		t.Errorf("%d tasks that settle it, want 1", got)
	}
}

// TestCancelLetsGoOnWhatWasAccepted: what a provider works on is followed to its
// end, and the session completes with it.
func TestCancelLetsGoOnWhatWasAccepted(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		worker := workertest.New(t, rdb)
		id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(3)}).SessionID
		worker.Upload(id, 0, "first", 1)
		worker.Begin(id, 1, "operation", 1)
		status, err := client.Cancel(t.Context(), id)
		want := enqueue.Counts{Total: 3, Succeeded: 1, Canceled: 1, Waiting: 1}
		if err != nil || status.Status != "running" || status.Counts != want {
			t.Fatalf("Cancel = %+v, %v; want running, %+v", status, err, want)
		}
		if got := stored(t, rdb, id).Completions; got != 0 {
			t.Errorf("%d completions while one item is at the provider, want none", got)
		}
		worker.Arrive(id, 1, "operation", "second")
		status, err = client.Wait(t.Context(), id)
		want = enqueue.Counts{Total: 3, Succeeded: 2, Canceled: 1}
		if err != nil || status.Status != "partial" || status.Counts != want || len(status.AudioIDs) != 2 {
			t.Errorf("at the end: %+v, %v; want partial, %+v, 2 audioIds", status, err, want)
		}
		if got := stored(t, rdb, id).Completions; got != 1 {
			t.Errorf("%d completions, want 1", got)
		}
	})
}

// TestCancelIsFinishedByItsRepetition: cut off after its first write, the session
// is canceled all the same, and canceling again ends the items.
func TestCancelIsFinishedByItsRepetition(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(3)}).SessionID
	if _, err := client.Cancel(t.Context(), submit(t, client, enqueue.Session{Provider: "sim"}).SessionID); err != nil {
		t.Fatal(err) // loads the script
	}
	if _, err := fused(t, rdb, 1, false).Cancel(t.Context(), id); err == nil {
		t.Fatal("Cancel that was cut off after its first write succeeded")
	}
	status, err := client.Progress(t.Context(), id)
	if err != nil || status.Status != "canceled" {
		t.Errorf("after the first write: %+v, %v; want canceled", status, err)
	}
	if _, err := client.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, rdb, id); got.Counts["canceled"] != 3 || got.Completions != 1 {
		t.Errorf("session %+v; want 3 items canceled, one completion", got)
	}
}
