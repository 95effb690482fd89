package certify

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// behind starts a provider and a gateway in front of it.
func behind(t *testing.T, o Options, answer http.HandlerFunc) *Gateway {
	t.Helper()
	provider := httptest.NewServer(answer)
	t.Cleanup(provider.Close)
	v, err := vendorNamed("kie")
	if err != nil {
		t.Fatal(err)
	}
	g, err := openGateway(t.Context(), v, provider.URL, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

const paidPath = "/kie/api/v1/generate/upload-extend"

func request(ctx context.Context, t *testing.T, method, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestGatewayPassesOn(t *testing.T) {
	g := behind(t, Options{Evidence: EvidenceAll}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.URL.RequestURI()+" "+string(body))
		w.WriteHeader(http.StatusTeapot)
	})
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, paidPath},
		{http.MethodGet, "/kie/api/v1/generate/record-info?taskId=7"},
		{http.MethodGet, "/kie/api/v1/chat/credit"},
	} {
		resp, err := http.DefaultClient.Do(request(t.Context(), t, c.method, g.URL(3)+c.path))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := c.method + " " + c.path + " {}"; resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Seen") != want {
			t.Errorf("%s %s: status %d, the provider saw %q; want 418 and %q", c.method, c.path, resp.StatusCode, resp.Header.Get("X-Seen"), want)
		}
	}
}

// TestGatewayWithoutEvidence closes what would reveal a charge, and nothing else.
func TestGatewayWithoutEvidence(t *testing.T) {
	g := behind(t, Options{Evidence: EvidenceNone}, func(http.ResponseWriter, *http.Request) {})
	for path, want := range map[string]int{"/kie/api/v1/chat/credit": 503, "/kie/api/v1/generate/record-info?taskId=7": 200, paidPath: 200} {
		resp, err := http.DefaultClient.Do(request(t.Context(), t, http.MethodPost, g.URL(1)+path))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
		}
	}
}

// TestGatewayCountsPerWorker holds the count of paid requests on their way to the
// worker that sent them, and to paid requests.
func TestGatewayCountsPerWorker(t *testing.T) {
	arrived, answer := make(chan struct{}, 3), make(chan struct{})
	g := behind(t, Options{Evidence: EvidenceAll}, func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	})
	ended := make(chan error, 3)
	for _, url := range []string{g.URL(1) + paidPath, g.URL(1) + paidPath, g.URL(2) + "/kie/api/v1/generate/record-info"} {
		req := request(t.Context(), t, http.MethodPost, url)
		go func() {
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				err = resp.Body.Close()
			}
			ended <- err
		}()
	}
	for range 3 {
		<-arrived
	}
	if one, two := g.paidBy(1), g.paidBy(2); one != 2 || two != 0 || g.quiet() {
		t.Errorf("paid requests on their way: %d of worker 1, %d of worker 2, quiet %t; want 2, 0, false", one, two, g.quiet())
	}
	close(answer)
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// TestGatewayOutlivesTheDead: when its sender is gone, about half of the requests that
// had not arrived do all the same, and each of those that had does.
func TestGatewayOutlivesTheDead(t *testing.T) {
	var charged atomic.Int64
	const requests = 40
	g := behind(t, Options{Evidence: EvidenceAll, Latency: 200 * time.Millisecond, Seed: 1}, func(http.ResponseWriter, *http.Request) { charged.Add(1) })
	ctx, die := context.WithCancel(t.Context())
	ended := make(chan error, requests)
	for range requests {
		req := request(ctx, t, http.MethodPost, g.URL(1)+paidPath)
		go func() {
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				err = resp.Body.Close()
			}
			ended <- err
		}()
	}
	eventually(t, "all requests are on their way", func() bool { return g.paidBy(1) == requests })
	die()
	for range requests {
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	eventually(t, "no request is on its way", g.quiet)
	if got := charged.Load(); got == 0 || got == requests {
		t.Errorf("%d of %d requests of a dead sender arrived; want some and not all", got, requests)
	}
}

// eventually waits until a condition holds that only asking can tell.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for deadline := time.After(20 * time.Second); !ok(); {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// TestGatewayKeepsCutsCut: an answer that was cut behind the gateway is cut before it.
func TestGatewayKeepsCutsCut(t *testing.T) {
	g := behind(t, Options{Evidence: EvidenceAll}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("half"))
		panic(http.ErrAbortHandler)
	})
	resp, err := http.DefaultClient.Do(request(t.Context(), t, http.MethodPost, g.URL(1)+paidPath))
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a cut answer arrived whole")
	}
}
