package independent

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// contract is what Prism serves.
const contract = "prism/openapi.yaml"

// cli is where `make deps` puts Prism.
const cli = "../../bin/.prism/node_modules/@stoplight/prism-cli/dist/index.js"

// extendPath is the contract's one operation.
const extendPath = "/api/v1/generate/upload-extend"

var listening = regexp.MustCompile(`listening on (http://127\.0\.0\.1:\d+)`)

// prism serves the contract and ends with the test. It is started on port 0 and
// says itself which one it was given.
func prism(t *testing.T) string {
	t.Helper()
	node := installed(t)
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, node, cli, "mock", "--errors", "--host", "127.0.0.1", "--port", "0", contract)
	cmd.WaitDelay = 10 * time.Second
	said, out := io.Pipe()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	address := make(chan string, 1)
	var listener sync.WaitGroup
	listener.Go(func() { address <- hear(said) })
	exited := make(chan error, 1)
	listener.Go(func() {
		exited <- cmd.Wait()
		_ = out.Close()
	})
	t.Cleanup(func() {
		cancel()
		var exit *exec.ExitError
		if err := <-exited; err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		listener.Wait()
	})
	select {
	case base := <-address:
		if !strings.HasPrefix(base, "http://") {
			t.Fatalf("Prism ended without listening:\n%s", base)
		}
		return base
	case <-time.After(time.Minute):
		t.Fatal("Prism did not listen within a minute")
		return ""
	}
}

// hear reads until Prism says where it listens and gives that, or all that it
// said instead. What comes later is read and dropped, so that Prism never waits.
func hear(said io.Reader) string {
	var before strings.Builder
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if found := listening.FindSubmatch(lines.Bytes()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return string(found[1])
		}
		before.WriteString(lines.Text() + "\n")
	}
	return before.String()
}

// installed gives the way to node. What is missing skips the test, except in CI,
// where it must be there.
func installed(t *testing.T) string {
	t.Helper()
	// Read here, so that a cached result is not that of another contract.
	if _, err := os.ReadFile(contract); err != nil {
		t.Fatal(err)
	}
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.FromSlash(cli))
	}
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("CI must have Prism: %v", err)
	}
	if err != nil {
		t.Skipf("Prism is not installed (make deps): %v", err)
	}
	return node
}

// witness stands between a driver and Prism, and keeps the last exchange.
type witness struct {
	url string

	mu            sync.Mutex
	asked, judged string
	requests      int
}

// watch starts a witness of what goes to base.
func watch(t *testing.T, base string) *witness {
	t.Helper()
	target, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	w := &witness{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = func(r *http.Response) error {
		answer, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(answer))
		w.mu.Lock()
		defer w.mu.Unlock()
		w.judged = r.Status + " " + string(answer)
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.asked, w.judged = r.Method+" "+r.URL.Path+" "+string(body), ""
		w.requests++
		w.mu.Unlock()
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// last is the request that was made last, and what Prism said to it.
func (w *witness) last() (asked, judged string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked, w.judged
}

func (w *witness) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests
}
