package simulator_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestSubmitFaults scripts each fault at the paid endpoint and looks at what a
// client gets to see and what it costs.
func TestSubmitFaults(t *testing.T) {
	cases := []struct {
		kind    simulator.Kind
		status  int // 0 is a broken connection
		charged int
		content string
	}{
		{simulator.DropBefore, 0, 0, ""},
		{simulator.DropAfter, 0, 1, ""},
		{simulator.ErrorAfter, 500, 1, "application/json; charset=utf-8"},
		{simulator.PageAfter, 502, 1, "text/html; charset=utf-8"},
		{simulator.TruncateAfter, 201, 1, "application/json; charset=utf-8"},
		{simulator.Delay, 201, 1, "application/json; charset=utf-8"},
		{simulator.RateLimited, 429, 0, "application/json; charset=utf-8"},
		{simulator.Maintenance, 455, 0, "application/json; charset=utf-8"},
		{simulator.NoCredits, 402, 0, "application/json; charset=utf-8"},
		{simulator.Denied, 401, 0, "application/json; charset=utf-8"},
		{simulator.OperationFailed, 201, 1, "application/json; charset=utf-8"},
		{simulator.OperationTimeout, 201, 1, "application/json; charset=utf-8"},
	}
	r := newRig(t, nil)
	for _, c := range cases {
		t.Run(string(c.kind), func(t *testing.T) {
			if err := r.sim.Reset(); err != nil {
				t.Fatal(err)
			}
			session := r.session()
			r.script(simulator.Next{Endpoint: "mountsea.item", Kind: c.kind, Count: 1})
			send := func() reply {
				return r.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": r.source("/wav/1/a")})
			}
			got := send()
			if got.status != c.status || got.header.Get("Content-Type") != c.content {
				t.Errorf("status %d as %q (%v), want %d as %q", got.status, got.header.Get("Content-Type"), got.err, c.status, c.content)
			}
			if (got.err != nil) != (c.status == 0) {
				t.Errorf("connection error %v, want one only for a drop", got.err)
			}
			if got := r.sim.Charges(); len(got) != c.charged {
				t.Errorf("%d charges, want %d", len(got), c.charged)
			}
			if got := r.balance("key"); got != float64(10000-2*c.charged) {
				t.Errorf("balance %v, want 10000 less 2 a charge", got)
			}
			if again := send(); again.status != 201 || len(r.sim.Charges()) != c.charged+1 {
				t.Errorf("the request after the fault: status %d, %d charges; want 201 and one more", again.status, len(r.sim.Charges()))
			}
		})
	}
}

func TestRateLimitSaysHowLong(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.RetryAfter = 7 * time.Second })
	r.script(simulator.Next{Endpoint: "mountsea.session", Kind: simulator.RateLimited, Count: 1})
	if got := r.do(http.MethodPost, sessionPath, "key", nil); got.header.Get("Retry-After") != "7" {
		t.Errorf("Retry-After is %q, want 7", got.header.Get("Retry-After"))
	}
}

func TestTruncatedAnswerIsNotJSON(t *testing.T) {
	r := newRig(t, nil)
	r.script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.TruncateAfter, Count: 1})
	got := r.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": r.source("/wav/1/a")})
	if got.err != nil || json.Valid(got.body) || len(got.body) == 0 {
		t.Errorf("body %q (%v), want a readable part of some JSON", got.body, got.err)
	}
	if c := r.sim.Charges()[0]; c.Fault != simulator.TruncateAfter {
		t.Errorf("the charge names fault %q, want truncate_after", c.Fault)
	}
}

func TestOperationFaults(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	r.script(
		simulator.Next{Endpoint: "mountsea.item", Kind: simulator.OperationFailed, Count: 1},
		simulator.Next{Endpoint: "mountsea.item", Kind: simulator.OperationTimeout, Count: 1},
	)
	failed, late := r.item(session, r.source("/wav/1/a")), r.item(session, r.source("/wav/1/b"))
	r.settle(10 * time.Second)
	if got := r.status(failed); got["status"] != "failed" || got["failCode"] != 5001.0 || got["failReason"] != "Upstream processing failed." {
		t.Errorf("got %v, want failed with 5001", got)
	}
	if got := r.status(late)["status"]; got != "timeout" {
		t.Errorf("got %v, want timeout", got)
	}
	if ids := listAt(r.status(session), "data", "audioIds"); len(ids) != 0 {
		t.Errorf("the session lists %v, want none of the lost items", ids)
	}
}

func TestStatusError(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	r.script(simulator.Next{Endpoint: "mountsea.status", Kind: simulator.StatusError, Count: 2})
	want := []int{500, 500, 200}
	for i, code := range want {
		if got := r.do(http.MethodGet, statusPath+session, "key", nil); got.status != code {
			t.Errorf("status request %d: %d, want %d", i+1, got.status, code)
		}
	}
}

func TestProbabilitiesKeepToTheirEndpoints(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Faults = simulator.Faults{simulator.StatusError: 1, simulator.NoCredits: 1, simulator.CDNPage: 1}
	})
	session := r.do(http.MethodPost, sessionPath, "key", nil)
	if session.status/100 != 2 {
		t.Errorf("session: status %d, want 2xx: none of these faults concerns it", session.status)
	}
	if got := r.do(http.MethodGet, statusPath+textAt(r.object(session), "sessionId"), "key", nil); got.status != 500 {
		t.Errorf("status request: %d, want 500", got.status)
	}
	if got := r.balance("key"); got != 10000 {
		t.Errorf("balance %v, want 10000", got)
	}
	state := r.object(r.do(http.MethodGet, "/_sim/state", "", nil))
	if diff := cmp.Diff(map[string]any{"status_error": 1.0}, state["fired"]); diff != "" {
		t.Errorf("faults that struck (-want +got):\n%s", diff)
	}
}

func TestDelayEndsWithTheClient(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.FaultDelay = time.Hour })
	r.script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.Delay, Count: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	got := r.doContext(ctx, http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": "http://x/a"})
	if !errors.Is(got.err, context.DeadlineExceeded) || len(r.sim.Charges()) != 0 {
		t.Errorf("error %v, %d charges; want the client's deadline and none", got.err, len(r.sim.Charges()))
	}
}

func TestCloseReleasesDelayedRequests(t *testing.T) {
	sim, err := simulator.New(simulator.Options{FaultDelay: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := sim.Script(simulator.Next{Endpoint: "mountsea.session", Kind: simulator.Delay, Count: 1}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	done := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+sessionPath, http.NoBody)
		if err == nil {
			var res *http.Response
			if res, err = http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}
		done <- err
	}()
	if err := sim.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the delayed request was answered, want a closed connection")
	}
	server.Close()
}

func TestScriptRunsInOrderAndOnlyAtItsEndpoint(t *testing.T) {
	r := newRig(t, nil)
	r.script(
		simulator.Next{Endpoint: "mountsea.session", Kind: simulator.Maintenance, Count: 2},
		simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.Denied, Count: 1},
		simulator.Next{Endpoint: "mountsea.session", Kind: simulator.RateLimited, Count: 1},
	)
	var got []int
	for range 4 {
		got = append(got, r.do(http.MethodPost, sessionPath, "key", nil).status)
	}
	got[3] = got[3] / 100 * 100 // 200 or 201, by seed
	if diff := cmp.Diff([]int{455, 455, 429, 200}, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if got := r.do(http.MethodPost, uploadPath, "key", map[string]any{"audioUrl": "http://x/a"}); got.status != 401 {
		t.Errorf("upload: status %d, want 401", got.status)
	}
}
