package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/simulator"
)

// signer stands before the simulator and signs the URLs of results, as the providers do.
// The signatures that were given out before a result was first asked for have expired by
// then; those given out afterwards are good, unless all are to have expired.
type signer struct {
	next http.Handler

	mu sync.Mutex
	// given counts signatures, and asked holds the last one of before a result was first
	// asked for.
	given int
	asked map[string]int
	// renewed are results that were had with a signature of afterwards.
	renewed map[string]bool
	never   bool
}

var resultPaths = regexp.MustCompile(`/cdn/([0-9a-f-]+)\.mp3`)

func (s *signer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if match := resultPaths.FindStringSubmatch(r.URL.Path); match != nil {
		if !s.good(match[1], r.URL.Query().Get("Signature")) {
			http.Error(w, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>", http.StatusForbidden)
			return
		}
		s.next.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	s.next.ServeHTTP(answer, r)
	s.mu.Lock()
	s.given++
	signed := resultPaths.ReplaceAll(answer.Body.Bytes(), fmt.Appendf(nil, "/cdn/$1.mp3?Signature=%d", s.given))
	s.mu.Unlock()
	for name, values := range answer.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(signed) // a client that is gone will ask again
}

func (s *signer) good(id, signature string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := strconv.Atoi(signature)
	before, known := s.asked[id]
	if !known {
		s.asked[id] = s.given
		return false
	}
	if err != nil || number <= before || s.never {
		return false
	}
	s.renewed[id] = true
	return true
}

// expiring is a crashRig whose provider signs what it gives.
func newExpiring(t *testing.T) (*crashRig, *signer) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not installed, and without it nothing is paid for")
	}
	sim, err := simulator.New(simulator.Options{
		Seed: 1, TrackScale: 0.05, PollAdvice: time.Millisecond,
		UploadTime: simulator.Timing{Mean: 10 * time.Millisecond}, ExtendTime: simulator.Timing{Mean: 10 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{next: sim.Handler(), asked: map[string]int{}, renewed: map[string]bool{}}
	mux := http.NewServeMux()
	mux.Handle("/", s)
	mux.HandleFunc("/web/tape.mp3", func(w http.ResponseWriter, req *http.Request) {
		http.ServeContent(w, req, "tape.mp3", time.Time{}, bytes.NewReader(samples.Files()[0].Data))
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }() // ends with the test
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), sim.Close()); err != nil {
			t.Error(err)
		}
	})
	r := &crashRig{t: t, dir: t.TempDir(), sim: sim, args: []string{fmt.Sprintf("http://%s/web/tape.mp3", l.Addr())}}
	if err := place(filepath.Join(r.dir, "segue.yaml"), fmt.Appendf(nil, expiringYAML, l.Addr())); err != nil {
		t.Fatal(err)
	}
	return r, s
}

const expiringYAML = `
providers:
  mountsea:
    base_url: http://%[1]s/mountsea
    credits_url: http://%[1]s/mountsea-credits
    poll: {min: 100ms, max: 300ms}
    accounts: {main: {api_key_env: STUDIO_KEY}}
  kie:
    base_url: http://%[1]s/kie
    staging_url: http://%[1]s/kie-staging
    poll: {min: 400ms, max: 500ms}
    accounts: {main: {api_key_env: STUDIO_KEY}}
  apikley:
    base_url: http://%[1]s/apikley
    poll: {min: 400ms, max: 500ms}
    accounts: {main: {api_key_env: STUDIO_KEY}}
  kkiai:
    base_url: http://%[1]s/kkiai
    poll: {min: 100ms, max: 300ms}
    accounts: {main: {api_key_env: STUDIO_KEY}}
security: {allow_private_hosts: ["%[1]s"]}
`

// TestExpiredURLsAreAskedForAnew: a result whose address has expired by the time it is
// fetched is archived all the same, and paid for once, at every provider.
func TestExpiredURLsAreAskedForAnew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"mountsea", "kie", "apikley", "kkiai"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, s := newExpiring(t)
			stdout, code := r.segue(nil, "run", r.args[0], "--provider", name, "--extend", "--continue-at", "2",
				"--title", "Home", "--style", "folk", "--prompt", "over the hills", "--out", "kept", "--json")
			if code != 0 || strings.Count(stdout, `"file": "/`) != 2 {
				t.Fatalf("exit code %d, want 0 and two archived files:\n%s", code, stdout)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.asked) != 2 || len(s.renewed) != 2 {
				t.Errorf("%d results asked for, %d with a new address; want 2 and 2", len(s.asked), len(s.renewed))
			}
			if v := r.sim.Verdict(); v.ExtraCharges != 0 {
				t.Errorf("%d things were paid twice, want none", v.ExtraCharges)
			}
		})
	}
}

// TestAddressesThatStayExpired: what cannot be had now is not given up, and one is told
// what was paid, until when the provider keeps it, and what to do.
func TestAddressesThatStayExpired(t *testing.T) {
	t.Parallel()
	r, s := newExpiring(t)
	s.mu.Lock()
	s.never = true
	s.mu.Unlock()
	stdout, code := r.segue(nil, "run", r.args[0], "--provider", "kkiai", "--extend", "--continue-at", "2",
		"--title", "Home", "--instrumental", "--out", "kept", "--timeout", "5s")
	if code != exitTimeout {
		t.Fatalf("exit code %d, want %d:\n%s", code, exitTimeout, stdout)
	}
	listed, _ := r.segue(nil, "sessions")
	id := sessionIDs.FindString(listed)
	stdout, code = r.segue(nil, "results", id, "--out", "copies", "--json")
	said := r.lastWords()
	if code == 0 || strings.Contains(stdout, `"how"`) {
		t.Errorf("exit code 0, or something was written, although nothing can be had:\n%s", stdout)
	}
	for _, want := range []string{"answered 403", "10 credits were paid for it", "kkiai keeps it until ", "the same command again until then"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not said:\n%s", want, said)
		}
	}
	if strings.Contains(said, "Signature") || strings.Contains(said, "/cdn/") {
		t.Errorf("an address is said:\n%s", said)
	}
	s.mu.Lock()
	s.never = false
	s.mu.Unlock()
	if stdout, code = r.segue(nil, "results", id, "--out", "copies", "--json"); code != 0 || strings.Count(stdout, `"how": "downloaded"`) != 2 {
		t.Errorf("exit code %d, want 0 and two downloads:\n%s", code, stdout)
	}
}

// lastWords is what the last command said on stderr.
func (r *crashRig) lastWords() string {
	r.t.Helper()
	logs, err := filepath.Glob(filepath.Join(r.dir, "stderr*"))
	if err != nil || len(logs) == 0 {
		r.t.Fatalf("no command said anything (%v)", err)
	}
	slices.SortFunc(logs, func(a, b string) int { return modified(r.t, a).Compare(modified(r.t, b)) })
	text, err := os.ReadFile(logs[len(logs)-1])
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

func modified(t *testing.T, name string) time.Time {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime()
}
