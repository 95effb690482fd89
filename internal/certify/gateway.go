package certify

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Gateway stands between the workers and the provider, as a network does. Worker n
// reaches the provider under [Gateway.URL](n).
//
// A paid request spends a random time on its way there and another on its way back.
// Once it is read, its worker's death does not call it back: half of the requests
// reach the provider all the same, as bytes that have left do, and the other half
// are dropped if they had not arrived, as a load balancer drops them. So a killed
// worker leaves behind both what was charged and what was not.
type Gateway struct {
	vendor  vendor
	target  *url.URL
	latency time.Duration
	seed    uint64
	closed  bool // evidence "none"
	client  *http.Client
	server  *http.Server
	base    string

	mu       sync.Mutex
	requests uint64
	paid     map[int]int
}

// openGateway listens on loopback until closed.
func openGateway(ctx context.Context, v vendor, target string, o *Options) (*Gateway, error) {
	to, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		vendor: v, target: to, latency: o.Latency, seed: o.Seed, closed: o.Evidence == EvidenceNone,
		client: &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		base: "http://" + l.Addr().String(), paid: map[int]int{},
	}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.server.Serve(l) }() // ends with close
	return g, nil
}

func (g *Gateway) close() error {
	err := g.server.Close()
	g.client.CloseIdleConnections()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// URL is where worker n reaches the provider's host; worker 0 is whoever is no
// worker.
func (g *Gateway) URL(n int) string { return g.base + "/w/" + strconv.Itoa(n) }

// paidBy is how many paid requests of worker n are on their way, or their answers.
func (g *Gateway) paidBy(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paid[n]
}

// quiet says that no paid request is on its way.
func (g *Gateway) quiet() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.paid {
		if n > 0 {
			return false
		}
	}
	return true
}

// ServeHTTP passes a request on. A connection that breaks behind the gateway breaks
// in front of it too: an answer that was cut stays cut.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	number, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/w/"), "/")
	worker, err := strconv.Atoi(number)
	if err != nil || !ok {
		http.NotFound(w, r)
		return
	}
	path := "/" + rest
	switch {
	case g.closed && slices.Contains(g.vendor.revealing, path):
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
	case r.Method == http.MethodPost && slices.Contains(g.vendor.costly, path):
		g.passPaid(w, r, worker, path)
	default:
		g.pass(r.Context(), w, r, path, r.Body)
	}
}

// passPaid reads the whole request first: what was not read has not left.
func (g *Gateway) passPaid(w http.ResponseWriter, r *http.Request, worker int, path string) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	there, back, sticky := g.enter(worker)
	defer g.leave(worker)
	here := r.Context()
	if !pause(here, there, sticky) {
		panic(http.ErrAbortHandler)
	}
	onItsWay := &slow{ResponseWriter: w, wait: func() { pause(here, back, true) }}
	g.pass(context.WithoutCancel(here), onItsWay, r, path, io.NopCloser(bytes.NewReader(body)))
}

// enter counts a paid request and draws its fate, from its number alone.
func (g *Gateway) enter(worker int) (there, back time.Duration, sticky bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests++
	g.paid[worker]++
	draw := rand.New(rand.NewPCG(g.seed, g.requests))
	return time.Duration(draw.Float64() * float64(g.latency)), time.Duration(draw.Float64() * float64(g.latency)), draw.IntN(2) == 0
}

func (g *Gateway) leave(worker int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paid[worker]--
}

// pause waits. Unless the request is sticky, it ends when the client is gone, and
// says so.
func pause(ctx context.Context, d time.Duration, sticky bool) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	gone := ctx.Done()
	if sticky {
		gone = nil
	}
	select {
	case <-timer.C:
		return true
	case <-gone:
		return false
	}
}

// slow delays the answer's way back.
type slow struct {
	http.ResponseWriter
	wait func()
}

// WriteHeader waits first.
func (s *slow) WriteHeader(status int) {
	s.wait()
	s.ResponseWriter.WriteHeader(status)
}

// hops are headers that end at each connection.
var hops = []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Te", "Trailer"}

// pass makes the request of the provider and copies its answer.
func (g *Gateway) pass(ctx context.Context, w http.ResponseWriter, r *http.Request, path string, body io.ReadCloser) {
	to := *g.target
	to.Path, to.RawQuery = path, r.URL.RawQuery
	out, err := http.NewRequestWithContext(ctx, r.Method, to.String(), body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header = r.Header.Clone()
	for _, name := range hops {
		out.Header.Del(name)
	}
	out.ContentLength = r.ContentLength
	answer, err := g.client.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer answer.Body.Close()
	maps.Copy(w.Header(), answer.Header)
	for _, name := range hops {
		w.Header().Del(name)
	}
	w.WriteHeader(answer.StatusCode)
	if _, err := io.Copy(w, answer.Body); err != nil {
		panic(http.ErrAbortHandler)
	}
}
