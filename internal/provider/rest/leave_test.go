package rest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// TestLeaveIsAskedForOnceAndBelieved: a request asks when it is about to be written,
// and one that is refused never arrives, cost nothing, and fails with the reason.
func TestLeaveIsAskedForOnceAndBelieved(t *testing.T) {
	var arrived atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What does not reach its Content-Length is no request.
		if _, err := io.ReadAll(r.Body); err == nil {
			arrived.Add(1)
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(server.Close)
	client, err := New(Options{Op: "test", Base: server.URL, Auth: Bearer("k-0123456789abcdef"), HTTP: &http.Client{Transport: Transport()}})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	send := func(answer error) error {
		ctx := provider.BeforeLeaving(t.Context(), func(context.Context) error {
			asked++
			return answer
		})
		return client.JSON(ctx, "test", http.MethodPost, "/x", map[string]string{"a": "b"}, nil)
	}
	if err := send(nil); err != nil || asked != 1 || arrived.Load() != 1 {
		t.Errorf("allowed: %v, asked %d times, %d arrived; want one of each", err, asked, arrived.Load())
	}
	not := fault.Uncharged(fault.Exhausted, "test", errors.New("its turn has passed"))
	err = send(not)
	if !errors.Is(err, not) || fault.ChargeOf(err) != fault.ChargeNone || asked != 2 || arrived.Load() != 1 {
		t.Errorf("refused: %v, asked %d times, %d arrived; want the reason, not charged, and nothing sent", err, asked, arrived.Load())
	}
}
