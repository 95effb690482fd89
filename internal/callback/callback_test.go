package callback_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/callback"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// caller is a provider whose callbacks are {"op","kind"}, signed by a header.
type caller struct{ provider.Driver }

func (caller) ReadCallback(header http.Header, body []byte, _ time.Time) (*provider.Callback, error) {
	if header.Get("X-Signature") != "good" {
		return nil, fault.New(fault.Denied, "caller.ReadCallback", errors.New("the signature is wrong"))
	}
	var said struct{ Op, Kind string }
	if err := json.Unmarshal(body, &said); err != nil || said.Op == "" {
		return nil, fault.New(fault.Malformed, "caller.ReadCallback", errors.New("not a callback"))
	}
	return &provider.Callback{OperationID: said.Op, Kind: said.Kind, Done: said.Kind == "complete" || said.Kind == "error", Signed: true}, nil
}

type rig struct {
	t       *testing.T
	rdb     redis.UniversalClient
	store   *session.Store
	queue   *queue.Queue
	handler http.Handler
	adopted []string
	id      string
	token   string
}

// newRig has one item whose upload waits for operation op-1, with its poll asleep.
func newRig(t *testing.T) *rig {
	t.Helper()
	rdb, _ := redistest.Mini(t)
	r := &rig{t: t, rdb: rdb, store: session.NewStore(rdb), queue: queue.New(rdb), token: "TOKENTOKENTOKEN"}
	pool := account.NewPool(func(name, acc string) (*account.Account, error) {
		return &account.Account{Provider: name, Name: acc, Driver: caller{}}, nil
	})
	r.handler = &callback.Receiver{
		Store: r.store, Queue: r.queue, Accounts: pool, Log: slog.New(slog.DiscardHandler),
		Adopt: func(_ context.Context, report *session.Report, it *session.Item) error {
			r.adopted = append(r.adopted, report.Operation+" for "+it.Label())
			return nil
		},
	}
	var err error
	if r.id, err = session.NewID(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.store.Create(t.Context(), session.Spec{ID: r.id, Provider: "vendor", Account: "main"}, true); err != nil {
		t.Fatal(err)
	}
	item := session.New{Item: session.NewItem(session.Source{Name: "a.mp3"}, session.PlanFor(false), nil)}
	if _, err := r.store.Add(t.Context(), r.id, -1, []session.New{item}, time.Minute); err != nil {
		t.Fatal(err)
	}
	r.update(func(it *session.Item) error { return it.Take(session.Claim{Token: "t", Worker: "w"}, true) })
	if err := r.store.Expect(t.Context(), r.token, r.item().Ref()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) update(change func(*session.Item) error) {
	r.t.Helper()
	_, _, err := r.store.Update(r.t.Context(), r.id, 0, time.Minute, func(w *session.Work) error { return change(&w.Item) })
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) item() *session.Item {
	r.t.Helper()
	work, err := r.store.Load(r.t.Context(), r.id, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return &work.Item
}

// wait puts the item to waiting for op-1, with its poll an hour away.
func (r *rig) wait() {
	r.t.Helper()
	r.update(func(it *session.Item) error {
		return it.Accept("t", &provider.Accepted{OperationID: "op-1"}, time.UnixMilli(0))
	})
	task, _, err := session.Next(r.item())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.queue.Put(r.t.Context(), task, time.Hour); err != nil {
		r.t.Fatal(err)
	}
}

// pending is how many polls are about to run.
func (r *rig) pending() int64 {
	r.t.Helper()
	n, err := r.rdb.LLen(r.t.Context(), "asynq:{poll}:pending").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) deliver(path, signature, body string) int {
	r.t.Helper()
	req := httptest.NewRequestWithContext(r.t.Context(), http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("X-Signature", signature)
	answer := httptest.NewRecorder()
	r.handler.ServeHTTP(answer, req)
	return answer.Code
}

func TestDeliveryWakesThePoll(t *testing.T) {
	r := newRig(t)
	r.wait()
	path := "/callbacks/vendor/" + r.token
	for _, c := range []struct {
		body    string
		pending int64
	}{
		{`{"op":"op-1","kind":"text"}`, 0},
		{`{"op":"op-1","kind":"first"}`, 0},
		{`{"op":"op-1","kind":"complete"}`, 1},
		{`{"op":"op-1","kind":"complete"}`, 1}, // twice
		{`{"op":"op-1","kind":"text"}`, 1},     // late
	} {
		if got := r.deliver(path, "good", c.body); got != http.StatusOK {
			t.Errorf("%s: status %d, want 200", c.body, got)
		}
		if got := r.pending(); got != c.pending {
			t.Errorf("after %s %d polls are about to run, want %d", c.body, got, c.pending)
		}
	}
	report, err := r.store.Reported(t.Context(), r.id, 0)
	if err != nil || report == nil || report.Kind != "complete" || !report.Done {
		t.Errorf("the inbox keeps %+v, %v; want the completion", report, err)
	}
	if got := r.item().Label(); got != "upload.waiting" {
		t.Errorf("a delivery moved the item to %s: it is a hint only", got)
	}
}

func TestEarlyDeliveryIsKept(t *testing.T) {
	r := newRig(t)
	if got := r.deliver("/callbacks/vendor/"+r.token, "good", `{"op":"op-1","kind":"complete"}`); got != http.StatusOK {
		t.Errorf("before the submit's own answer: status %d, want 200", got)
	}
	if got := r.item().Label(); got != "upload.sending" {
		t.Errorf("item at %s, want upload.sending still", got)
	}
	if report, err := r.store.Reported(t.Context(), r.id, 0); err != nil || !report.About(r.item()) || report.Operation != "op-1" {
		t.Errorf("the inbox keeps %+v, %v; want op-1 about the item", report, err)
	}
}

func TestDeliverySettlesADoubt(t *testing.T) {
	r := newRig(t)
	r.update(func(it *session.Item) error {
		return it.Doubt("t", session.Failure{Code: fault.Timeout}, time.UnixMilli(0))
	})
	if got := r.deliver("/callbacks/vendor/"+r.token, "good", `{"op":"op-7","kind":"text"}`); got != http.StatusOK {
		t.Errorf("status %d, want 200", got)
	}
	if len(r.adopted) != 1 || r.adopted[0] != "op-7 for upload.reconciling" {
		t.Errorf("adopted %v, want op-7", r.adopted)
	}
}

func TestDeliveryAboutAnEarlierGenerationIsNotLost(t *testing.T) {
	r := newRig(t)
	r.update(func(it *session.Item) error {
		return it.Doubt("t", session.Failure{Code: fault.Timeout}, time.UnixMilli(0))
	})
	r.update(func(it *session.Item) error { return it.Resubmit(time.UnixMilli(0)) })
	if got := r.deliver("/callbacks/vendor/"+r.token, "good", `{"op":"op-1","kind":"complete"}`); got != http.StatusOK {
		t.Errorf("status %d, want 200", got)
	}
	if len(r.adopted) != 1 || r.adopted[0] != "op-1 for upload.queued" || r.pending() != 0 {
		t.Errorf("adopted %v, %d polls; want op-1 handed over to be put on record, and no poll", r.adopted, r.pending())
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.wait()
	const body = `{"op":"op-1","kind":"complete"}`
	cases := []struct {
		name, path, signature, body string
		want                        int
	}{
		{"forged", "/callbacks/vendor/" + r.token, "bad", body, http.StatusUnauthorized},
		{"unknown token", "/callbacks/vendor/NOBODY", "good", body, http.StatusNotFound},
		{"no token", "/callbacks/vendor/", "good", body, http.StatusNotFound},
		{"another provider's", "/callbacks/other/" + r.token, "good", body, http.StatusNotFound},
		{"no callback", "/callbacks/vendor/" + r.token, "good", `{"hello":1}`, http.StatusBadRequest},
		{"too large", "/callbacks/vendor/" + r.token, "good", strings.Repeat("x", 2<<20), http.StatusRequestEntityTooLarge},
	}
	for _, c := range cases {
		if got := r.deliver(c.path, c.signature, c.body); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
	if r.pending() != 0 {
		t.Errorf("%d polls were woken by refused deliveries, want none", r.pending())
	}
	if report, err := r.store.Reported(t.Context(), r.id, 0); err != nil || report != nil {
		t.Errorf("the inbox keeps %+v, %v; want nothing", report, err)
	}
}

// TestRedisHoldsNoToken: whoever reads Redis cannot call back.
func TestRedisHoldsNoToken(t *testing.T) {
	r := newRig(t)
	for _, key := range r.rdb.Keys(t.Context(), "*").Val() {
		if strings.Contains(key, r.token) || strings.Contains(r.rdb.Dump(t.Context(), key).Val(), r.token) {
			t.Errorf("key %q holds the token", key)
		}
	}
}
