package drivertest

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
)

// Wire lies between a driver and a fake: it counts what passes, and makes the
// suite's trouble.
type Wire struct {
	tb        testing.TB
	fake      http.Handler
	base      string
	transport *http.Transport // leads to the fake
	closed    *http.Transport // leads nowhere: every connection is refused

	mu       sync.Mutex
	trouble  *trouble
	spared   int           // requests that still pass before there is trouble
	submits  int           // requests that arrived and were neither GET nor HEAD
	trips    int           // requests that passed through Client
	arrived  int           // requests that arrived
	read     int           // bytes of answers that the driver read
	stalled  chan struct{} // gets a value when a request arrives to be stalled
	released chan struct{} // closed to let stalled requests go
}

func newWire(tb testing.TB) *Wire {
	tb.Helper()
	refuse := func(_ context.Context, network, _ string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return &Wire{
		tb: tb, stalled: make(chan struct{}, 64), released: make(chan struct{}),
		transport: &http.Transport{MaxIdleConnsPerHost: 64},
		closed:    &http.Transport{DialContext: refuse},
	}
}

// Serve puts the fake behind the wire and returns its base URL. A provider with
// several hosts is served under several paths of the one.
func (w *Wire) Serve(fake http.Handler) string {
	w.tb.Helper()
	if w.fake != nil {
		w.tb.Fatal("drivertest: Wire.Serve was called twice")
	}
	w.fake = fake
	server := httptest.NewServer(http.HandlerFunc(w.serve))
	w.base = server.URL
	w.tb.Cleanup(func() {
		w.release()
		w.transport.CloseIdleConnections()
		server.Close()
	})
	return server.URL
}

// Client returns the client that the driver must send with.
func (w *Wire) Client() *http.Client { return &http.Client{Transport: trips{w}} }

func (w *Wire) serve(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	w.arrived++
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.submits++
	}
	tr := w.trouble
	if r.Header.Get(sparedHeader) != "" {
		tr = nil
		r.Header.Del(sparedHeader)
	}
	w.mu.Unlock()
	if tr == nil || tr.answer == nil {
		w.fake.ServeHTTP(rw, r)
		return
	}
	tr.answer(w, rw, r)
}

// sparedHeader marks a request that passes although there is trouble.
const sparedHeader = "X-Drivertest-Spared"

// during runs one call of the driver while there is trouble.
func (w *Wire) during(tr trouble, call func()) { w.after(0, tr, call) }

// after runs one call of the driver whose first requests pass, and whose others
// meet trouble.
func (w *Wire) after(spared int, tr trouble, call func()) {
	w.set(&tr, spared)
	defer w.set(nil, 0)
	call()
}

func (w *Wire) set(tr *trouble, spared int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trouble, w.spared = tr, spared
}

// counts is what has passed.
type counts struct{ submits, arrived, trips, read int }

func (w *Wire) counts() counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return counts{w.submits, w.arrived, w.trips, w.read}
}

// release lets stalled requests go; it may be called twice.
func (w *Wire) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-w.released:
	default:
		close(w.released)
	}
}

// trips is the client's side of a wire.
type trips struct{ w *Wire }

func (s trips) RoundTrip(r *http.Request) (*http.Response, error) {
	s.w.mu.Lock()
	s.w.trips++
	transport := s.w.transport
	switch {
	case s.w.trouble == nil:
	case s.w.spared > 0:
		s.w.spared--
		r = r.Clone(r.Context())
		r.Header.Set(sparedHeader, "1")
	case s.w.trouble.refused:
		transport = s.w.closed
	}
	s.w.mu.Unlock()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &meter{ReadCloser: resp.Body, w: s.w}
	return resp, nil
}

// meter counts what a driver reads.
type meter struct {
	io.ReadCloser
	w *Wire
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.w.mu.Lock()
	m.w.read += n
	m.w.mu.Unlock()
	return n, err
}
