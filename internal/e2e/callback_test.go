//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// TestCallbackToNextStep has KIE call back about more than a hundred operations,
// when nobody would ask for half a minute: each is seen through because its callback
// woke the poll, with one question or two. The test logs how long it took from the
// callback's arrival to the question, and to the first request of the next step.
func TestCallbackToNextStep(t *testing.T) {
	const accounts, each = 6, 18
	var w *watched
	s := installed(t, program(t), setup{
		poll: "30s", accounts: accounts, simulator: []string{"--extend-time", "6s", "--track-scale", "0.0001"},
		behind: func(p *provider) *provider { w = watch(t, p.URL); return w.before(p) },
	})
	worker := s.start("worker", "worker", "--server-public-url", w.server.URL)
	worker.Says(worker.Stderr, `worker started`)
	w.serve(s.url)
	var ids []string
	for n := range accounts {
		songs := make([]song, each)
		folder := t.TempDir()
		for i := range songs {
			songs[i] = proctest.Write(t, folder, fmt.Sprintf("%03d.wav", i), proctest.Tone(n*each+i, 2.5))
		}
		ids = append(ids, s.submitTo("kie", append([]string{"--account", fmt.Sprintf("account%d", n)}, wishes...), songs))
	}
	var operations int
	for _, id := range ids {
		st, code := s.watch(id)
		if code != 0 || st.Counts.Succeeded != each {
			t.Errorf("exit code %d, counts %+v; want 0 and %d succeeded", code, st.Counts, each)
		}
		operations += st.Counts.Succeeded
	}
	judged(t, s.provider.Verdict(), accounts*each)
	if polls := s.provider.State().Requests["kie.record"]; polls > uint64(2*operations) {
		t.Errorf("%d questions about %d operations, want at most two each", polls, operations)
	}
	asked, fetched := w.lags()
	if len(asked) != accounts*each || len(fetched) != accounts*each {
		t.Fatalf("%d operations were asked about and %d fetched after their callback, want %d", len(asked), len(fetched), accounts*each)
	}
	t.Logf("from the callback to the question: p50 %s, p99 %s, most %s", part(asked, 50), part(asked, 99), part(asked, 100))
	t.Logf("from the callback to the download: p50 %s, p99 %s, most %s", part(fetched, 50), part(fetched, 99), part(fetched, 100))
}

func part(sorted []time.Duration, percent int) time.Duration {
	return sorted[max(len(sorted)*percent/100, 1)-1].Round(100 * time.Microsecond)
}

// watched stands between Segue and the provider in both directions, and notes when
// what came by.
type watched struct {
	server *httptest.Server
	site   *httputil.ReverseProxy // Segue's; nil until serve

	mu sync.Mutex
	// done is when the final callback about an operation arrived, asked and fetched
	// when the first request after it did.
	done, asked, fetched map[string]time.Time
	// operation is whose track a file is.
	operation map[string]string
}

func watch(t testing.TB, provider string) *watched {
	w := &watched{done: map[string]time.Time{}, asked: map[string]time.Time{}, fetched: map[string]time.Time{}, operation: map[string]string{}}
	upstream := toward(t, provider)
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/callbacks/"):
			w.called(t, r)
			w.behind().ServeHTTP(rw, r)
		case strings.HasPrefix(r.URL.Path, "/staged/"):
			w.behind().ServeHTTP(rw, r)
		default:
			w.requested(r)
			upstream.ServeHTTP(rw, r)
		}
	}))
	t.Cleanup(w.server.Close)
	return w
}

// toward passes requests on as they are, their Host too: result URLs are to lead
// through here.
func toward(t testing.TB, address string) *httputil.ReverseProxy {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
}

// before is the provider as Segue and the test reach it through w.
func (w *watched) before(p *provider) *provider {
	through := *p
	through.URL, through.Host = w.server.URL, strings.TrimPrefix(w.server.URL, "http://")
	return &through
}

// serve names Segue's own server.
func (w *watched) serve(address string) {
	target, err := url.Parse(address)
	if err != nil {
		panic(err) // it was printed by the server
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.site = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
}

func (w *watched) behind() http.Handler {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.site
}

// called notes the end of an operation, and what its tracks are.
func (w *watched) called(t testing.TB, r *http.Request) {
	now := time.Now()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Errorf("callback: %v", err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var news struct {
		Data struct {
			Kind string `json:"callbackType"`
			ID   string `json:"task_id"`
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &news); err != nil {
		t.Errorf("callback: %v", err)
	}
	if news.Data.Kind != "complete" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done[news.Data.ID] = now
	for _, c := range news.Data.Data {
		w.operation["/cdn/"+c.ID+".mp3"] = news.Data.ID
	}
}

// requested notes the first question and the first download after a callback.
func (w *watched) requested(r *http.Request) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	first, operation := w.fetched, w.operation[r.URL.Path]
	if strings.HasSuffix(r.URL.Path, "/record-info") {
		first, operation = w.asked, r.URL.Query().Get("taskId")
	}
	if _, called := w.done[operation]; called && first[operation].IsZero() {
		first[operation] = now
	}
}

// lags are the times from callbacks to what followed, in order of length.
func (w *watched) lags() (asked, fetched []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	since := func(first map[string]time.Time) []time.Duration {
		var all []time.Duration
		for operation, at := range first {
			all = append(all, at.Sub(w.done[operation]))
		}
		slices.Sort(all)
		return all
	}
	return since(w.asked), since(w.fetched)
}
