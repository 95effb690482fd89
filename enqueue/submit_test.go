package enqueue_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

func TestSubmitWritesTheSessionAndStartsItsItems(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		submitted := submit(t, client, enqueue.Session{
			Provider: "mountsea", Name: "evening",
			Items: []enqueue.Item{
				{Source: "https://example.com/a.mp3"},
				{Source: "/songs/b.wav", Name: "b"},
				{Source: "/songs/c.wav", UploadOnly: true},
			},
			Extend: &enqueue.Extend{Model: "chirp-v50", ContinueAt: 60},
		})
		id := submitted.SessionID
		want := &enqueue.Submitted{SessionID: id, Items: []enqueue.Answer{{ItemID: id + ".0"}, {ItemID: id + ".1", Index: 1}, {ItemID: id + ".2", Index: 2}}}
		if diff := cmp.Diff(want, submitted); diff != "" || !session.ValidID(id) {
			t.Errorf("Submit, id %q (-want +got):\n%s", id, diff)
		}
		status, err := client.Status(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if status.Status != "running" || status.Account != "main" || status.Counts != (enqueue.Counts{Total: 3, Waiting: 3}) {
			t.Errorf("Status = %+v; want running at account main, 3 of 3 waiting", status)
		}
		if got := status.Items[1]; got.Source != "b" || got.Status != "queued" || got.Step != "upload" {
			t.Errorf("item 1 = %+v; want b queued at upload", got)
		}
		if got := startable(t, rdb); got != 3 {
			t.Errorf("%d items to begin with, want 3", got)
		}
		for index, want := range []int{3, 3, 1} {
			work, err := session.NewStore(rdb).Load(t.Context(), id, index)
			if err != nil || len(work.Item.Plan) != want {
				t.Errorf("plan of item %d: %v, %v; want %d steps", index, work.Item.Plan, err, want)
			}
		}
	})
}

func TestSessionOfNoItemsSucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		id := submit(t, client, enqueue.Session{Provider: "sim"}).SessionID
		status, err := client.Wait(t.Context(), id)
		if err != nil || status.Status != "succeeded" || !status.Over() {
			t.Errorf("Wait = %+v, %v; want succeeded", status, err)
		}
		if got := settling(t, rdb); got != 1 {
			t.Errorf("%d tasks that settle it, want 1", got)
		}
	})
}

func TestKeyIsOneSession(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		client := enqueue.NewFromRedis(rdb)
		order := enqueue.Session{Provider: "sim", Items: songs(2), Key: "order-1"}
		first := submit(t, client, order)
		again := submit(t, client, order)
		if again.SessionID != first.SessionID || first.Existed || !again.Existed {
			t.Errorf("ids %s and %s, existed %v and %v; want one id, false and true", first.SessionID, again.SessionID, first.Existed, again.Existed)
		}
		for n, answer := range again.Items {
			if !answer.Existed || answer.Err != nil {
				t.Errorf("second answer for item %d = %+v; want existed", n, answer)
			}
		}
		if got := startable(t, rdb); got != 2 {
			t.Errorf("%d items to begin with, want 2", got)
		}
		other := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(2), Key: "order-2"})
		if other.SessionID == first.SessionID {
			t.Errorf("keys order-1 and order-2 both stand for %s", other.SessionID)
		}
	})
}

func TestSubmittingWhatIsOverStartsNothing(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	order := enqueue.Session{Provider: "sim", Items: songs(2), Key: "order-1"}
	id := submit(t, client, order).SessionID
	worker := workertest.New(t, rdb)
	worker.Upload(id, 0, "a", 1)
	worker.Upload(id, 1, "b", 1)
	if again := submit(t, client, order); again.SessionID != id || !again.Existed {
		t.Errorf("Submit of what is over = %+v; want session %s", again, id)
	}
	if got := startable(t, rdb); got != 0 {
		t.Errorf("%d items to begin with after it, want none", got)
	}
}

func TestSubmittingWhatWasCanceled(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	order := enqueue.Session{Provider: "sim", Items: songs(2), Key: "order-1"}
	id := submit(t, client, order).SessionID
	if _, err := client.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	submitted, err := client.Submit(t.Context(), order)
	if !errors.Is(err, enqueue.ErrCanceled) || submitted.SessionID != id {
		t.Errorf("Submit after Cancel = %+v, %v; want %s and ErrCanceled", submitted, err, id)
	}
	if submitted.Items[1].Err == nil {
		t.Error("the answer for an item of a canceled session has no error")
	}
}

func TestThousandSubmissionsOfOneKey(t *testing.T) {
	_, rdb := redistest.Server(t)
	client := enqueue.NewFromRedis(rdb)
	order := enqueue.Session{Provider: "sim", Items: songs(3), Key: "order-1"}
	var created atomic.Int32
	var ids sync.Map
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			submitted, err := client.Submit(t.Context(), order)
			if err != nil {
				t.Error(err)
				return
			}
			ids.Store(submitted.SessionID, true)
			if !submitted.Existed {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	var different int
	ids.Range(func(_, _ any) bool { different++; return true })
	if different != 1 || created.Load() != 1 {
		t.Errorf("%d different ids, %d created; want one of each", different, created.Load())
	}
	recent, err := session.NewStore(rdb).Recent(t.Context(), 10)
	if err != nil || len(recent) != 1 {
		t.Fatalf("sessions %v, %v; want one", recent, err)
	}
	if got := stored(t, rdb, recent[0]); got.Total != 3 || got.Counts["upload.queued"] != 3 {
		t.Errorf("session %+v; want 3 items, each counted once", got)
	}
	if got := startable(t, rdb); got != 3 {
		t.Errorf("%d items to begin with, want 3", got)
	}
}

func TestInvalidSubmissionsListEveryFinding(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	silent := hooked(t, rdb, &ear{func(name string) { t.Errorf("%s was sent for an invalid request", name) }})
	client := enqueue.NewFromRedis(silent)
	nan, two := math.NaN(), 2.0
	_, err := client.Submit(t.Context(), enqueue.Session{
		OnUnknown: "panic",
		Extend:    &enqueue.Extend{ContinueAt: 0, StyleWeight: &two},
		Items: []enqueue.Item{
			{Source: "a.mp3", Key: "k"},
			{},
			{Source: "ftp://example.com/c.mp3"},
			{Source: "https:///d.mp3", Key: "k"},
			{Source: "e.mp3", Extend: &enqueue.Extend{ContinueAt: math.Inf(1), AudioWeight: &nan}},
			{Source: "f.mp3"},
		},
	})
	want := []string{
		"no provider is named",
		`on-unknown is "panic"; it is hold or resubmit`,
		"the session: continue-at is 0; it is a number of seconds from the beginning, or negative from the end",
		"the session: style-weight is 2; it is 0 to 1",
		"item 1: no source",
		`item 2: source has scheme "ftp"; it is a path, http, https or s3`,
		"item 3: source is a malformed URL",
		"item 3 has the key of item 0",
		"item 4: continue-at is no number",
		"item 4: audio-weight is NaN; it is 0 to 1",
	}
	var invalid *enqueue.InvalidError
	if !errors.As(err, &invalid) || !errors.Is(err, enqueue.ErrInvalid) {
		t.Fatalf("Submit = %v; want an InvalidError", err)
	}
	if diff := cmp.Diff(want, invalid.Findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if got := err.Error(); got != strings.Join(want, "; ") {
		t.Errorf("the error says %q; want every finding", got)
	}
	_, err = client.Add(t.Context(), "ses_0197", enqueue.Item{}, enqueue.Item{Source: "x://y"})
	if !errors.As(err, &invalid) || len(invalid.Findings) != 2 {
		t.Errorf("Add of two bad items = %v; want two findings", err)
	}
}

func TestCanceledContextIsNotACanceledSession(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.Submit(ctx, enqueue.Session{Provider: "sim", Items: songs(1)})
	if !errors.Is(err, context.Canceled) || errors.Is(err, enqueue.ErrCanceled) {
		t.Errorf("Submit with a canceled context = %v; want context.Canceled and not ErrCanceled", err)
	}
}

func TestLargeSubmissionKeepsInputOrder(t *testing.T) {
	_, rdb := redistest.Server(t)
	client := enqueue.NewFromRedis(rdb)
	const n = 2600 // five full batches of 500 and a rest
	submitted := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(n)})
	status, err := client.Status(t.Context(), submitted.SessionID)
	if err != nil || len(status.Items) != n {
		t.Fatalf("Status: %d items, %v; want %d", len(status.Items), err, n)
	}
	for i := range n {
		if want := fmt.Sprintf("https://example.com/%d.mp3", i); status.Items[i].Source != want || submitted.Items[i].ItemID != status.Items[i].ItemID {
			t.Fatalf("item %d is %s with id %s, answered as %s; want %s", i, status.Items[i].Source, status.Items[i].ItemID, submitted.Items[i].ItemID, want)
		}
	}
	if got := startable(t, rdb); got != n {
		t.Errorf("%d items to begin with, want %d", got, n)
	}
}
