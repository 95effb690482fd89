package enqueue_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// varied has a session with an item of every kind.
func varied(t *testing.T, client *enqueue.Client, worker *workertest.Worker) string {
	t.Helper()
	items := songs(6)
	items[0].Known = enqueue.Audio{SHA256: "ab", Duration: 1500}
	id := submit(t, client, enqueue.Session{Provider: "kie", Account: "second", Name: "evening", Items: items, Extend: &enqueue.Extend{ContinueAt: 60}}).SessionID
	worker.Upload(id, 0, "clip", 1)
	worker.Extend(id, 0, "extend", 12,
		session.Track{Track: provider.Track{AudioID: "x", AudioURL: "https://example.com/x", DurationSeconds: 198.4, Title: "X"}, File: "x.mp3"},
		session.Track{Track: provider.Track{AudioID: "y"}})
	worker.Fail(id, 1, "rejected", "copyright", "not charged")
	worker.Hold(id, 2, "no answer")
	worker.Begin(id, 3, "operation", 0)
	worker.Upload(id, 4, "clip4", 0)
	return id
}

func TestStatusIsWhatUsersSee(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	worker := workertest.New(t, rdb)
	id := varied(t, client, worker)
	status, err := client.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if status.Counts != (enqueue.Counts{Total: 6, Succeeded: 1, Failed: 1, Held: 1, Waiting: 3}) || status.CreditsSpent != 13 {
		t.Errorf("counts %+v, credits %v; want 1 of each and 3 waiting, 13", status.Counts, status.CreditsSpent)
	}
	if diff := cmp.Diff([]string{"x", "y"}, status.AudioIDs); diff != "" {
		t.Errorf("audioIds (-want +got):\n%s", diff)
	}
	if got := status.Items[1].Error; got == nil || *got != (enqueue.ItemError{Code: "rejected", Step: "upload", Reason: "copyright", Charge: "not charged"}) {
		t.Errorf("error of item 1 = %+v", got)
	}
	view, err := worker.Store.View(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text(t, view), text(t, status)); diff != "" {
		t.Errorf("Status is not the session's view (-view +status):\n%s", diff)
	}
}

func TestProgressIsStatusWithoutItems(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	id := varied(t, client, workertest.New(t, rdb))
	progress, err := client.Progress(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want, err := client.Status(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want.Items, want.AudioIDs, want.CreditsSpent = []enqueue.ItemStatus{}, []string{}, 0
	if diff := cmp.Diff(text(t, want), text(t, progress)); diff != "" {
		t.Errorf("Progress (-want +got):\n%s", diff)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	body, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
