//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// apiKey is any key: the simulated provider knows them all.
const apiKey = "e2e-key"

// The endpoints that cost credits, by the step that calls them.
var paidEndpoints = map[string]string{"upload": "mountsea.item", "extend": "mountsea.generate"}

// provider is a simulated provider in a process of its own, and its books.
type provider struct {
	t    testing.TB
	proc *process
	url  string
	host string
}

// startProvider starts a faultless provider whose operations take a second at most,
// unless the arguments say otherwise.
func startProvider(t testing.TB, binary string, args ...string) *provider {
	t.Helper()
	dir := t.TempDir()
	p := start(t, launch{
		name: "sim", binary: binary, dir: dir, env: environment(dir),
		args: append([]string{"sim", "--addr", "127.0.0.1:0", "--seed", strconv.FormatInt(*seed, 10), "--faultless", "--track-scale", "0.05"}, args...),
	})
	said := p.says(p.stdout, `(?m)^url (http://(\S+))\nseed (\d+)$`)
	t.Logf("simulator seed %s", said[3])
	return &provider{t: t, proc: p, url: said[1], host: said[2]}
}

// direct lets Segue speak to the provider itself.
func direct(p *provider) string { return p.url }

// slowly lets Segue speak to the provider through a proxy that holds the answer to
// each paid request: by then it is charged, and Segue does not know it. Whatever
// ends a worker ends it with such answers on their way.
func slowly(p *provider) string {
	target, err := url.Parse(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.Method != http.MethodPost {
				return nil
			}
			select {
			case <-time.After(700 * time.Millisecond):
			case <-r.Request.Context().Done():
			}
			return nil
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug), // that a client is gone is what the tests do
	})
	p.t.Cleanup(proxy.Close)
	return proxy.URL
}

var httpClient = &http.Client{Timeout: 30 * time.Second}

// ask makes a request and gives the body of a good answer.
func (p *provider) ask(method, path string, body any) []byte {
	p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("X-API-Key", apiKey)
	resp, err := httpClient.Do(req)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		p.t.Fatalf("%s %s: %s, %v: %.300s", method, path, resp.Status, err, answer)
	}
	return answer
}

func (p *provider) read(path string, into any) {
	p.t.Helper()
	if err := json.Unmarshal(p.ask(http.MethodGet, path, nil), into); err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
}

// faults sets what goes wrong from here on, and nothing else.
func (p *provider) faults(f simulator.Faults) {
	p.t.Helper()
	p.ask(http.MethodPost, "/_sim/faults", map[string]any{"probabilities": f})
}

// credit gives the account of apiKey a balance.
func (p *provider) credit(credits int64) {
	p.t.Helper()
	p.ask(http.MethodGet, "/mountsea-credits/api-user/credits", nil) // the account exists once its key was used
	name := p.state().Accounts[0].Name
	p.ask(http.MethodPost, "/_sim/credits", map[string]any{"account": name, "credits": credits})
}

func (p *provider) charges() []simulator.Charge {
	p.t.Helper()
	var charges []simulator.Charge
	p.read("/_sim/charges", &charges)
	return charges
}

func (p *provider) verdict() simulator.Verdict {
	p.t.Helper()
	var v simulator.Verdict
	p.read("/_sim/verdict", &v)
	return v
}

func (p *provider) state() simulator.Report {
	p.t.Helper()
	var r simulator.Report
	p.read("/_sim/state", &r)
	return r
}

// awaitCharges waits until at least a number of requests was charged.
func (p *provider) awaitCharges(n int) {
	p.t.Helper()
	eventually(p.t, 2*time.Minute, fmt.Sprintf("%d charges", n), func() bool { return len(p.charges()) >= n })
}

// settled waits until the provider knows the contents of all audio it was given.
func (p *provider) settled() {
	p.t.Helper()
	eventually(p.t, time.Minute, "the provider has downloaded every source", func() bool { return p.state().Downloads == 0 })
}

// clips asks, as any customer can, what came of an operation: the id of the clip
// of an upload, the ids of the tracks of a generation.
func (p *provider) clips(operation string) []string {
	p.t.Helper()
	var answer struct {
		Status string          `json:"status"`
		Data   json.RawMessage `json:"data"`
	}
	p.read("/mountsea/suno/v2/status?taskId="+operation, &answer)
	if answer.Status != "success" {
		p.t.Fatalf("operation %s: status %q, want success", operation, answer.Status)
	}
	type clip struct {
		ID string `json:"id"`
	}
	var clips []clip
	if !strings.HasPrefix(string(answer.Data), "[") {
		answer.Data = append(append([]byte("["), answer.Data...), ']')
	}
	if err := json.Unmarshal(answer.Data, &clips); err != nil || len(clips) == 0 {
		p.t.Fatalf("operation %s: data %s (%v), want clips", operation, answer.Data, err)
	}
	ids := make([]string, len(clips))
	for n, c := range clips {
		ids[n] = c.ID
	}
	return ids
}

// track is the file that the provider serves for a track.
func (p *provider) track(id string) []byte {
	p.t.Helper()
	return p.ask(http.MethodGet, "/cdn/"+id+".mp3", nil)
}

// job is what a charge is for: the contents of a file, at an endpoint.
type job struct{ sha256, endpoint string }

// book is the charge log by job. It is complete only once the provider settled.
func (p *provider) book() map[job][]simulator.Charge {
	p.t.Helper()
	p.settled()
	book := map[job][]simulator.Charge{}
	for _, c := range p.charges() {
		key := job{c.AudioSHA256, c.Endpoint}
		book[key] = append(book[key], c)
	}
	return book
}
