package enqueue_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

func TestAddGoesOnUntilSeal(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1), Extend: &enqueue.Extend{ContinueAt: 60}, Open: true}).SessionID
		first, err := client.Add(t.Context(), id, enqueue.Item{Source: "b.mp3", Key: "b"}, enqueue.Item{Source: "c.mp3"})
		if err != nil {
			t.Fatal(err)
		}
		again, err := client.Add(t.Context(), id, enqueue.Item{Source: "d.mp3"}, enqueue.Item{Source: "b.mp3", Key: "b"})
		if err != nil {
			t.Fatal(err)
		}
		want := [][]enqueue.Answer{
			{{ItemID: id + ".1", Index: 1}, {ItemID: id + ".2", Index: 2}},
			{{ItemID: id + ".3", Index: 3}, {ItemID: id + ".1", Index: 1, Existed: true}},
		}
		if diff := cmp.Diff(want, [][]enqueue.Answer{first, again}); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
		if got := startable(t, rdb); got != 4 {
			t.Errorf("%d items to begin with before Seal, want 4: work begins at once", got)
		}
		if got := stored(t, rdb, id); got.Sealed || got.Status() != session.StatusOpen {
			t.Errorf("session %+v; want open", got)
		}
		work, err := session.NewStore(rdb).Load(t.Context(), id, 3)
		if err != nil || len(work.Item.Plan) != 3 {
			t.Errorf("plan of an added item: %v, %v; want the 3 steps of its session", work, err)
		}
		for range 2 {
			if err := client.Seal(t.Context(), id); err != nil {
				t.Fatalf("Seal = %v", err)
			}
		}
		if _, err := client.Add(t.Context(), id, enqueue.Item{Source: "e.mp3"}); !errors.Is(err, enqueue.ErrConflict) {
			t.Errorf("Add after Seal = %v; want ErrConflict", err)
		}
		if got := stored(t, rdb, id); got.Total != 4 || got.Status() != session.StatusRunning {
			t.Errorf("sealed session %+v; want 4 items, running", got)
		}
	})
}

func TestRepeatedAddToASealedSession(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	id := submit(t, client, enqueue.Session{Provider: "sim", Items: []enqueue.Item{{Source: "a.mp3", Key: "a"}}}).SessionID
	answers, err := client.Add(t.Context(), id, enqueue.Item{Source: "a.mp3", Key: "a"})
	if diff := cmp.Diff([]enqueue.Answer{{ItemID: id + ".0", Existed: true}}, answers); diff != "" || err != nil {
		t.Errorf("Add of what is there: %v (-want +got):\n%s", err, diff)
	}
}

func TestAddToACanceledSession(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1), Open: true}).SessionID
	if _, err := client.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Add(t.Context(), id, enqueue.Item{Source: "b.mp3"}); !errors.Is(err, enqueue.ErrCanceled) {
		t.Errorf("Add after Cancel = %v; want ErrCanceled", err)
	}
	if got := stored(t, rdb, id).Total; got != 1 {
		t.Errorf("%d items, want 1", got)
	}
}

// TestManyAddersShareOneSession: every item has an index of its own, and one that
// several bring under the same key is there once.
func TestManyAddersShareOneSession(t *testing.T) {
	_, rdb := redistest.Server(t)
	client := enqueue.NewFromRedis(rdb)
	id := submit(t, client, enqueue.Session{Provider: "sim", Open: true}).SessionID
	const adders, each = 8, 700 // more than a batch
	var mu sync.Mutex
	taken := map[int]string{}
	var wg sync.WaitGroup
	for adder := range adders {
		wg.Go(func() {
			items := make([]enqueue.Item, each)
			for n := range items {
				items[n].Source = fmt.Sprintf("/%d/%d.mp3", adder, n)
			}
			items[0] = enqueue.Item{Source: "/shared.mp3", Key: "shared"}
			answers, err := client.Add(t.Context(), id, items...)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for n, answer := range answers {
				if other, again := taken[answer.Index]; again && other != items[n].Source {
					t.Errorf("index %d was given to %s and to %s", answer.Index, other, items[n].Source)
				}
				taken[answer.Index] = items[n].Source
			}
		})
	}
	wg.Wait()
	const want = adders*(each-1) + 1
	status, err := client.Status(t.Context(), id)
	if err != nil || len(status.Items) != want || len(taken) != want {
		t.Fatalf("%d items, %d indexes given, %v; want %d", len(status.Items), len(taken), err, want)
	}
	for index, item := range status.Items {
		if item.Source != taken[index] {
			t.Fatalf("item %d is %s, and was answered to be %s", index, item.Source, taken[index])
		}
	}
	if got := startable(t, rdb); got != want {
		t.Errorf("%d items to begin with, want %d", got, want)
	}
}

// TestAddWhoseAnswerWasLost: with keys it can be repeated, and what it brought is
// there once.
func TestAddWhoseAnswerWasLost(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1), Open: true}).SessionID
	item := enqueue.Item{Source: "b.mp3", Key: "b"}
	const asked = 1 // the session
	answers, err := fused(t, rdb, asked, true).Add(t.Context(), id, item)
	if !errors.Is(err, enqueue.ErrUnavailable) || len(answers) != 0 {
		t.Fatalf("Add = %+v, %v; want ErrUnavailable and no answer", answers, err)
	}
	answers, err = client.Add(t.Context(), id, item)
	if diff := cmp.Diff([]enqueue.Answer{{ItemID: id + ".1", Index: 1, Existed: true}}, answers); diff != "" || err != nil {
		t.Errorf("second Add: %v (-want +got):\n%s", err, diff)
	}
	if got := startable(t, rdb); got != 2 {
		t.Errorf("%d items to begin with, want 2: the second Add brings the task that the first did not", got)
	}
}

// TestCompletionWaitsForSeal: an open session whose items have all ended is not
// complete, and sealing it completes it once.
func TestCompletionWaitsForSeal(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1), Open: true}).SessionID
		workertest.New(t, rdb).Upload(id, 0, "clip", 0)
		if got := settling(t, rdb); got != 0 {
			t.Errorf("%d tasks that settle an open session, want none", got)
		}
		for range 2 {
			if err := client.Seal(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if got := stored(t, rdb, id); got.Completions != 1 || got.Status() != session.StatusSucceeded {
			t.Errorf("sealed session %+v; want one completion, succeeded", got)
		}
		if got := settling(t, rdb); got != 1 {
			t.Errorf("%d tasks that settle it, want 1", got)
		}
	})
}
