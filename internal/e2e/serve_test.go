//go:build unix

package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// answer is what segue serve said.
type answer struct {
	code   int
	header http.Header
	body   string
}

// request asks segue serve something, following no redirect.
func (s *system) request(method, path string, header map[string]string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// paused are the queues that asynqmon shows, and whether each is paused.
func (s *system) paused() map[string]bool {
	s.t.Helper()
	a := s.request(http.MethodGet, "/queues/api/queues", nil)
	var list struct {
		Queues []struct {
			Queue  string `json:"queue"`
			Paused bool   `json:"paused"`
		} `json:"queues"`
	}
	if err := json.Unmarshal([]byte(a.body), &list); a.code != http.StatusOK || err != nil {
		s.t.Fatalf("GET /queues/api/queues: %d, %v: %.300s", a.code, err, a.body)
	}
	paused := map[string]bool{}
	for _, q := range list.Queues {
		paused[q.Queue] = q.Paused
	}
	return paused
}

// TestServe shows what an operator sees of a running system, and what a page of
// somebody else cannot do to it.
func TestServe(t *testing.T) {
	t.Parallel()
	s := onRedis(t, direct)
	s.worker("worker")
	songs := tones(t, t.TempDir(), 1)
	st, code := s.watch(s.submit(songs))
	if code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	fulfilled(t, s.provider, songs, st)

	page := s.request(http.MethodGet, "/queues/", nil)
	if kind := page.header.Get("Content-Type"); page.code != http.StatusOK || !strings.HasPrefix(kind, "text/html") || !strings.Contains(page.body, "<title>Asynq - Monitoring</title>") {
		t.Errorf("GET /queues/: %d, %s, %.200s; want asynqmon's page", page.code, kind, page.body)
	}
	if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'self'") {
		t.Errorf("the policy of /queues/ is %q; want one that fetches nothing from outside", policy)
	}
	if home := s.request(http.MethodGet, "/", nil); home.code != http.StatusFound || home.header.Get("Location") != "/queues/" {
		t.Errorf("GET /: %d to %q; want a redirect to /queues/", home.code, home.header.Get("Location"))
	}
	want := map[string]bool{"control": false, "extend": false, "fetch": false, "poll": false, "upload": false}
	if diff := cmp.Diff(want, s.paused()); diff != "" {
		t.Errorf("queues, and whether they are paused (-want +got):\n%s", diff)
	}
	s.strangers(want)
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := s.request(http.MethodGet, path, nil); a.code != http.StatusOK {
			t.Errorf("GET %s: %d, want 200", path, a.code)
		}
	}
}

// strangers sends what a browser sends for a page of another origin.
func (s *system) strangers(want map[string]bool) {
	s.t.Helper()
	const pause = "/queues/api/queues/extend:pause"
	for _, header := range []map[string]string{
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
	} {
		if a := s.request(http.MethodPost, pause, header); a.code != http.StatusForbidden {
			s.t.Errorf("POST %s with %v: %d, want 403", pause, header, a.code)
		}
		if diff := cmp.Diff(want, s.paused()); diff != "" {
			s.t.Errorf("queues after a request with %v (-want +got):\n%s", header, diff)
		}
	}
	// The page's own requests work: what was refused was refused for its origin.
	own := map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": s.url}
	if a := s.request(http.MethodPost, pause, own); a.code != http.StatusNoContent || !s.paused()["extend"] {
		s.t.Errorf("POST %s by its own page: %d, want 204 and a paused queue", pause, a.code)
	}
}

// TestServeWithoutRedis takes Redis away from a running server.
func TestServeWithoutRedis(t *testing.T) {
	t.Parallel()
	s := onRedis(t, direct)
	if a := s.request(http.MethodGet, "/readyz", nil); a.code != http.StatusOK {
		t.Errorf("GET /readyz: %d, want 200", a.code)
	}
	_ = s.rdb.ShutdownNoSave(t.Context()).Err() // the connection ends with the server
	proctest.Eventually(t, 20*time.Second, "GET /readyz is 503", func() bool {
		return s.request(http.MethodGet, "/readyz", nil).code == http.StatusServiceUnavailable
	})
	if a := s.request(http.MethodGet, "/healthz", nil); a.code != http.StatusOK {
		t.Errorf("GET /healthz: %d, want 200: the process itself is well", a.code)
	}
}

// TestServeOutside starts a server that others could reach, with nobody named who
// may.
func TestServeOutside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, role := range []string{"serve", "up"} {
		p := proctest.Start(t, launch{Name: "segue " + role, Binary: program(t), Dir: dir, Env: proctest.Environment(dir), Args: []string{role, "--server-addr", "0.0.0.0:0", "--redis-url", "redis://127.0.0.1:1"}})
		code := p.Wait(time.Minute)
		said := p.Stderr.String()
		if code != 2 || !strings.Contains(said, "server.tokens") || !slices.ContainsFunc(strings.Split(said, "\n"), func(line string) bool { return strings.HasPrefix(line, "try:") }) {
			t.Errorf("segue %s: exit code %d, want 2, the setting, and what to try:\n%s", role, code, said)
		}
	}
}
