package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/enqueuetest"
)

// open gives a shop, and the recorder that it submits to.
func open(t *testing.T) (http.Handler, *enqueuetest.Recorder) {
	t.Helper()
	recorder := enqueuetest.New(t)
	return newShop(recorder, "kie", slog.New(slog.DiscardHandler)), recorder
}

// ask sends a request and reads the answer into body, unless that is nil.
func ask(t *testing.T, h http.Handler, method, path, text string, body any) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(text)))
	if body != nil {
		if err := json.Unmarshal(w.Body.Bytes(), body); err != nil {
			t.Fatalf("%s %s answered %q: %v", method, path, w.Body, err)
		}
	}
	return w.Result()
}

const order1234 = `{"number":"1234","songs":["https://example.com/a.mp3","https://example.com/b.mp3"],"style":"folk"}`

func TestOrderBecomesASession(t *testing.T) {
	h, recorder := open(t)
	var placed struct{ Session string }
	if got := ask(t, h, "POST", "/orders", order1234, &placed); got.StatusCode != http.StatusAccepted || got.Header.Get("Location") != "/orders/"+placed.Session {
		t.Errorf("POST /orders = %d, Location %q; want 202 and where session %s is", got.StatusCode, got.Header.Get("Location"), placed.Session)
	}
	session := recorder.OfKey("order-1234")
	if session.ID != placed.Session || session.Provider != "kie" || !session.Sealed || len(session.Items) != 2 {
		t.Errorf("session %+v; want %s at kie, sealed, with 2 items", session, placed.Session)
	}
	if session.Extend == nil || session.Extend.ContinueAt != -5 || session.Extend.Style != "folk" {
		t.Errorf("extend %+v; want from 5 s before the end, in folk style", session.Extend)
	}
}

func TestOrderingTwiceIsOneSession(t *testing.T) {
	h, recorder := open(t)
	var first, second struct{ Session string }
	ask(t, h, "POST", "/orders", order1234, &first)
	ask(t, h, "POST", "/orders", order1234, &second)
	if all := recorder.Sessions(); len(all) != 1 || first != second {
		t.Errorf("%d sessions, %v and %v; want one", len(all), first, second)
	}
	other := strings.Replace(order1234, "folk", "jazz", 1)
	if got := ask(t, h, "POST", "/orders", other, nil); got.StatusCode != http.StatusConflict {
		t.Errorf("another order under the same number = %d; want 409", got.StatusCode)
	}
}

func TestReceiptSaysWhatBecameOfTheSongs(t *testing.T) {
	h, recorder := open(t)
	var placed struct{ Session string }
	ask(t, h, "POST", "/orders", order1234, &placed)
	recorder.Fail(placed.Session, 1, enqueue.ItemError{Code: "rejected", Reason: "it matches a protected recording"})
	recorder.Finish(placed.Session, enqueuetest.Result{Tracks: []enqueue.Track{{AudioID: "x"}, {AudioID: "y"}}})
	var got receipt
	ask(t, h, "GET", "/orders/"+placed.Session, "", &got)
	want := receipt{
		Session: placed.Session, Status: "partial", AudioIDs: []string{"x", "y"},
		Problems: []string{"https://example.com/b.mp3: it matches a protected recording"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("receipt %+v; want %+v", got, want)
	}
}

func TestCanceledOrder(t *testing.T) {
	h, _ := open(t)
	var placed struct{ Session string }
	ask(t, h, "POST", "/orders", order1234, &placed)
	var canceled struct{ Canceled int }
	if got := ask(t, h, "DELETE", "/orders/"+placed.Session, "", &canceled); got.StatusCode != http.StatusOK || canceled.Canceled != 2 {
		t.Errorf("DELETE = %d, %d canceled; want 200 and 2", got.StatusCode, canceled.Canceled)
	}
	if got := ask(t, h, "POST", "/orders", order1234, nil); got.StatusCode != http.StatusGone {
		t.Errorf("ordering again what was canceled = %d; want 410", got.StatusCode)
	}
}

func TestRefusals(t *testing.T) {
	h, recorder := open(t)
	tests := []struct {
		name, method, path, body string
		want                     int
	}{
		{"no JSON", "POST", "/orders", "hello", http.StatusBadRequest},
		{"no number", "POST", "/orders", `{"songs":["a.mp3"]}`, http.StatusUnprocessableEntity},
		{"no songs", "POST", "/orders", `{"number":"1"}`, http.StatusUnprocessableEntity},
		{"a file of the workers", "POST", "/orders", `{"number":"1","songs":["/etc/passwd"]}`, http.StatusUnprocessableEntity},
		{"a song from nowhere", "POST", "/orders", `{"number":"1","songs":["https:///a.mp3"]}`, http.StatusUnprocessableEntity},
		{"too long", "POST", "/orders", `{"number":"` + strings.Repeat("1", maxBody) + `"}`, http.StatusBadRequest},
		{"no such order", "GET", "/orders/ses_1", "", http.StatusNotFound},
		{"no such order to cancel", "DELETE", "/orders/ses_1", "", http.StatusNotFound},
	}
	for _, test := range tests {
		if got := ask(t, h, test.method, test.path, test.body, nil).StatusCode; got != test.want {
			t.Errorf("%s: %s %s = %d; want %d", test.name, test.method, test.path, got, test.want)
		}
	}
	if all := recorder.Sessions(); len(all) != 0 {
		t.Errorf("%d sessions after refusals alone; want none", len(all))
	}
}

func TestRedisThatIsAway(t *testing.T) {
	h, recorder := open(t)
	recorder.Disconnect()
	if got := ask(t, h, "POST", "/orders", order1234, nil); got.StatusCode != http.StatusServiceUnavailable || got.Header.Get("Retry-After") != "5" {
		t.Errorf("POST without Redis = %d, Retry-After %q; want 503 and 5", got.StatusCode, got.Header.Get("Retry-After"))
	}
	recorder.Reconnect()
	if got := ask(t, h, "POST", "/orders", order1234, nil); got.StatusCode != http.StatusAccepted {
		t.Errorf("the same order a moment later = %d; want 202", got.StatusCode)
	}
}

func TestServeUntilTheContextEnds(t *testing.T) {
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, h) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+"/orders/ses_1", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusNotFound {
		t.Errorf("GET = %d, %v; want 404", response.StatusCode, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("serve = %v; want nil", err)
	}
}

func TestRunNeedsARedis(t *testing.T) {
	if err := run(t.Context(), []string{"-redis", "http://127.0.0.1"}); !errors.Is(err, enqueue.ErrInvalid) {
		t.Errorf("run with an address of no Redis = %v; want ErrInvalid", err)
	}
}
