package simulator_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

const (
	pointsPath = "/mountsea-credits/api-user/points/search"
	usagePath  = "/mountsea-credits/api-user/usage/search"
)

// today is a search of a whole day around the rig's clock.
func today() map[string]any {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return map[string]any{"dateRange": map[string]any{"start": noon.Add(-12 * time.Hour).UnixMilli(), "end": noon.Add(12 * time.Hour).UnixMilli()}, "page": 1, "limit": 100}
}

// balances lists what the listed deductions left, newest first.
func (r *rig) balances(path string) []float64 {
	r.t.Helper()
	var left []float64
	for _, item := range listAt(r.object(r.do(http.MethodPost, path, "key", today())), "items") {
		entry, _ := item.(map[string]any)
		after, _ := entry["afterCredits"].(float64)
		left = append(left, after)
	}
	return left
}

// TestBooksLag hides one of three charges for its time, from the lists and not
// from the balance, and over a restart.
func TestBooksLag(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	options := func(o *simulator.Options) { o.Journal, o.BooksDelay = path, 10*time.Minute }
	before := newRig(t, options)
	before.script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.BooksLag, Count: 1})
	for range 3 {
		got := before.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": before.source("/wav/1/a")})
		if got.status != 201 {
			t.Fatalf("upload: status %d, want 201", got.status)
		}
		before.clock.advance(time.Second)
	}
	if got := before.balance("key"); got != 9994 {
		t.Errorf("balance %v, want 9994: it does not lag", got)
	}
	if diff := cmp.Diff([]float64{9994, 9996}, before.balances(pointsPath)); diff != "" {
		t.Errorf("at once (-want +got):\n%s", diff)
	}
	if got := len(listAt(before.object(before.do(http.MethodPost, usagePath, "key", today())), "items")); got != 2 {
		t.Errorf("%d entries of usage, want 2", got)
	}
	if err := before.sim.Close(); err != nil {
		t.Fatal(err)
	}

	after := newRig(t, options)
	after.clock.advance(10*time.Minute - time.Millisecond)
	if diff := cmp.Diff([]float64{9994, 9996}, after.balances(pointsPath)); diff != "" {
		t.Errorf("restarted, a moment before its time (-want +got):\n%s", diff)
	}
	after.clock.advance(time.Millisecond)
	got := after.object(after.do(http.MethodPost, pointsPath, "key", today()))
	if at(got, "meta", "totalItems") != 3.0 || at(got, "items", 2, "afterCredits") != 9998.0 || at(got, "items", 2, "createdAt") != "2026-03-01T12:00:00.000Z" {
		t.Errorf("at its time: %v, want the third entry with the time of its charge", got)
	}
}

func TestBooksError(t *testing.T) {
	r := newRig(t, nil)
	r.script(
		simulator.Next{Endpoint: "mountsea.points", Kind: simulator.BooksError, Count: 1},
		simulator.Next{Endpoint: "mountsea.usage", Kind: simulator.BooksError, Count: 1},
	)
	for _, path := range []string{pointsPath, usagePath} {
		for _, want := range []int{500, 200} {
			if got := r.do(http.MethodPost, path, "key", today()); got.status != want {
				t.Errorf("%s: status %d, want %d", path, got.status, want)
			}
		}
	}
	if got := r.balance("key"); got != 10000 {
		t.Errorf("balance %v, want 10000: it is no list", got)
	}
}

// TestListedPath: a client cannot know whether the lists name the service.
func TestListedPath(t *testing.T) {
	found := map[any]bool{}
	for seed := range int64(8) {
		r := newRig(t, func(o *simulator.Options) { o.Seed = seed + 1 })
		r.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": r.source("/wav/1/a")})
		for _, path := range []string{pointsPath, usagePath} {
			found[at(r.object(r.do(http.MethodPost, path, "key", today())), "items", 0, "apiPath")] = true
		}
	}
	if diff := cmp.Diff(map[any]bool{"/suno/v2/upload": true, "/v2/upload": true}, found); diff != "" {
		t.Errorf("paths in the lists of 8 seeds (-want +got):\n%s", diff)
	}
}

// TestRefundsAreNotListed: the list is of deductions.
func TestRefundsAreNotListed(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.RefundFailures = true })
	r.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": r.source("/gone")})
	r.settle(time.Minute)
	if got := r.balance("key"); got != 10000 {
		t.Fatalf("balance %v after a failure, want 10000", got)
	}
	if diff := cmp.Diff([]float64{9998}, r.balances(pointsPath)); diff != "" {
		t.Errorf("deductions after a refund (-want +got):\n%s", diff)
	}
}

// TestNoBalance takes every word about credits away, and nothing else.
func TestNoBalance(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.NoBalance = true })
	for _, path := range []string{creditsPath, "/mountsea-credits/api-user/services", "/kie/api/v1/chat/credit", "/apikley/api/v1/chat/credit", "/sunoapi/api/v1/generate/credit"} {
		got := r.do(http.MethodGet, path, "key", nil)
		if got.status != 404 && r.object(got)["code"] != 404.0 {
			t.Errorf("%s: status %d %s, want 404", path, got.status, got.body)
		}
	}
	for _, path := range []string{pointsPath, usagePath} {
		if got := r.do(http.MethodPost, path, "key", today()); got.status != 404 {
			t.Errorf("%s: status %d, want 404", path, got.status)
		}
	}
	r.item(r.session(), r.source("/wav/1/a"))
	if got := len(r.sim.Charges()); got != 1 {
		t.Errorf("%d charges, want 1: accounts are billed all the same", got)
	}
}
