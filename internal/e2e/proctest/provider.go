//go:build unix

package proctest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// APIKey is any key: the simulated provider knows them all.
const APIKey = "e2e-key"

// Provider is a simulated provider in a process of its own, and its books. Its
// methods fail the test when the provider does not answer.
type Provider struct {
	// Process is the one that serves it, at URL; Host is that URL's host and port.
	Process *Process
	URL     string
	Host    string

	t testing.TB
}

// StartProvider starts segue sim: faultless, with operations that take a second at
// most, unless the arguments say otherwise. A seed of 0 is a new one, which is logged.
func StartProvider(t testing.TB, binary string, seed int64, args ...string) *Provider {
	t.Helper()
	dir := t.TempDir()
	p := Start(t, Launch{
		Name: "sim", Binary: binary, Dir: dir, Env: Environment(dir),
		Args: append([]string{"sim", "--addr", "127.0.0.1:0", "--seed", strconv.FormatInt(seed, 10), "--faultless", "--track-scale", "0.05"}, args...),
	})
	said := p.Says(p.Stdout, `(?m)^url (http://(\S+))\nseed (\d+)$`)
	t.Logf("simulator seed %s", said[3])
	return &Provider{t: t, Process: p, URL: said[1], Host: said[2]}
}

var httpClient = &http.Client{Timeout: 30 * time.Second}

// Ask makes a request and gives the body of a good answer.
func (p *Provider) Ask(method, path string, body any) []byte {
	p.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		p.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.URL+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+APIKey)
	req.Header.Set("X-API-Key", APIKey)
	req.Header.Set("Content-Type", "application/json")
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

// Read decodes the answer to a GET.
func (p *Provider) Read(path string, into any) {
	p.t.Helper()
	if err := json.Unmarshal(p.Ask(http.MethodGet, path, nil), into); err != nil {
		p.t.Fatalf("GET %s: %v", path, err)
	}
}

// Faults sets what goes wrong from here on, and nothing else.
func (p *Provider) Faults(f simulator.Faults) {
	p.t.Helper()
	p.Ask(http.MethodPost, "/_sim/faults", map[string]any{"probabilities": f})
}

// Credit gives the account of APIKey a balance.
func (p *Provider) Credit(credits int64) {
	p.t.Helper()
	p.Ask(http.MethodGet, "/mountsea-credits/api-user/credits", nil) // the account exists once its key was used
	name := p.State().Accounts[0].Name
	p.Ask(http.MethodPost, "/_sim/credits", map[string]any{"account": name, "credits": credits})
}

// Charges is the charge log.
func (p *Provider) Charges() []simulator.Charge {
	p.t.Helper()
	var charges []simulator.Charge
	p.Read("/_sim/charges", &charges)
	return charges
}

// Verdict is what the provider says of its customer.
func (p *Provider) Verdict() simulator.Verdict {
	p.t.Helper()
	var v simulator.Verdict
	p.Read("/_sim/verdict", &v)
	return v
}

// State is what the provider counts.
func (p *Provider) State() simulator.Report {
	p.t.Helper()
	var r simulator.Report
	p.Read("/_sim/state", &r)
	return r
}

// AwaitCharges waits until at least a number of requests was charged.
func (p *Provider) AwaitCharges(n int) {
	p.t.Helper()
	Eventually(p.t, 2*time.Minute, fmt.Sprintf("%d charges", n), func() bool { return len(p.Charges()) >= n })
}

// Settled waits until the provider knows the contents of all audio it was given.
func (p *Provider) Settled() {
	p.t.Helper()
	Eventually(p.t, time.Minute, "the provider has downloaded every source", func() bool { return p.State().Downloads == 0 })
}

// Clips asks, as any customer can, what came of an operation: the id of the clip
// of an upload, the ids of the tracks of a generation.
func (p *Provider) Clips(operation string) []string {
	p.t.Helper()
	var answer struct {
		Status string          `json:"status"`
		Data   json.RawMessage `json:"data"`
	}
	p.Read("/mountsea/suno/v2/status?taskId="+operation, &answer)
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

// Track is the file that the provider serves for a track.
func (p *Provider) Track(id string) []byte {
	p.t.Helper()
	return p.Ask(http.MethodGet, "/cdn/"+id+".mp3", nil)
}

// Job is what a charge is for: the contents of a file, at an endpoint.
type Job struct{ SHA256, Endpoint string }

// Book is the charge log by Job. It is complete only once the provider settled.
func (p *Provider) Book() map[Job][]simulator.Charge {
	p.t.Helper()
	p.Settled()
	book := map[Job][]simulator.Charge{}
	for _, c := range p.Charges() {
		key := Job{c.AudioSHA256, c.Endpoint}
		book[key] = append(book[key], c)
	}
	return book
}
