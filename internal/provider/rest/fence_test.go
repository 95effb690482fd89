package rest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// asleep is a clock that has been as far as the test says beyond the real time.
type asleep struct{ steady, wall atomic.Int64 }

func (a *asleep) now() (steady, wall time.Time) {
	now := time.Now()
	return now.Add(time.Duration(a.steady.Load())), now.Round(0).Add(time.Duration(a.wall.Load()))
}

func (a *asleep) sleep(steady, wall time.Duration) {
	a.steady.Store(int64(steady))
	a.wall.Store(int64(wall))
}

func fenced(t *testing.T, base string, tr http.RoundTripper, c *asleep) *Client {
	t.Helper()
	client, err := New(Options{Op: "test.Open", Base: base, Auth: Bearer("sk-9f8e7d6c5b4a3928"), HTTP: &http.Client{Transport: tr}})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	client.now = c.now
	return client
}

// sleeper falls asleep when the transport has taken the request on, and before it
// has asked for its body.
type sleeper struct {
	next http.RoundTripper
	fall func()
}

func (s sleeper) RoundTrip(r *http.Request) (*http.Response, error) {
	s.fall()
	return s.next.RoundTrip(r)
}

const song = `{"prompt":"over the hill"}`

// TestLateRequestStays freezes a request between its building and its writing, on
// connections that are new and that were used before.
func TestLateRequestStays(t *testing.T) {
	var whole, begun atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		switch {
		case r.Method == http.MethodGet:
		case err == nil:
			whole.Add(1)
		case len(body) > 0:
			begun.Add(1)
		}
		_, _ = io.WriteString(w, `{"id":"op-1"}`)
	})
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	second := httptest.NewUnstartedServer(handler)
	second.EnableHTTP2 = true
	second.StartTLS()
	t.Cleanup(second.Close)
	transports := map[string]http.RoundTripper{plain.URL: plain.Client().Transport, second.URL: second.Client().Transport}

	cases := []struct {
		name         string
		steady, wall time.Duration
		late         bool
	}{
		{"in time", 0, 0, false},
		{"stopped by a signal", time.Hour, time.Hour, true},
		{"suspended: the steady clock stood still", 0, time.Hour, true},
		{"the wall clock was set back meanwhile", time.Hour, -time.Hour, true},
		{"a second before the deadline", 98 * time.Second, 98 * time.Second, false},
		{"at the deadline", 100 * time.Second, 100 * time.Second, true},
	}
	for base, tr := range transports {
		for _, tc := range cases {
			for _, used := range []bool{false, true} {
				var c asleep
				ctx, stop := context.WithTimeout(t.Context(), 100*time.Second)
				client := fenced(t, base, sleeper{tr, func() { c.sleep(tc.steady, tc.wall) }}, &c)
				if used {
					if err := client.JSON(ctx, "test.Get", http.MethodGet, "op", nil, nil); err != nil {
						t.Fatalf("the exchange before: %v", err)
					}
				}
				c.sleep(0, 0)
				before := whole.Load()
				err := client.JSON(ctx, "test.Buy", http.MethodPost, "op", map[string]string{"prompt": "over the hill"}, nil)
				stop()
				if tc.late && (fault.CodeOf(err) != fault.Timeout || fault.ChargeOf(err) != fault.ChargeNone) || !tc.late && err != nil {
					t.Errorf("%s: %v, charge %q; want late %t, not charged", tc.name, err, fault.ChargeOf(err), tc.late)
				}
				if got := whole.Load() - before; (got == 0) != tc.late {
					t.Errorf("%s: %d whole requests arrived, late %t", tc.name, got, tc.late)
				}
			}
		}
	}
	if begun.Load() != 0 {
		t.Errorf("of %d late requests a part arrived, want none", begun.Load())
	}
}

func TestNoDeadlineNoFence(t *testing.T) {
	var c asleep
	c.sleep(1000*time.Hour, 1000*time.Hour)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	if err := fenced(t, server.URL, server.Client().Transport, &c).JSON(t.Context(), "test.Buy", http.MethodPost, "op", song, nil); err != nil {
		t.Errorf("without a deadline: %v, want no error", err)
	}
}

// TestClientTimeoutIsFenced: the client's own timeout is a deadline, too.
func TestClientTimeoutIsFenced(t *testing.T) {
	var c asleep
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	client := fenced(t, server.URL, sleeper{server.Client().Transport, func() { c.sleep(time.Hour, time.Hour) }}, &c)
	client.timeout = time.Minute
	err := client.JSON(t.Context(), "test.Buy", http.MethodPost, "op", song, nil)
	if fault.CodeOf(err) != fault.Timeout || fault.ChargeOf(err) != fault.ChargeNone {
		t.Errorf("an hour after a timeout of a minute: %v, charge %q; want timeout, not charged", err, fault.ChargeOf(err))
	}
}

// TestLateInTheMiddle freezes a request that takes several writes when a part of its
// body has left. It must not be completed; that nothing was billed is not claimed.
func TestLateInTheMiddle(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			got <- err
			return
		}
		defer func() { _ = conn.Close() }()
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			_, err = io.Copy(io.Discard, req.Body)
		}
		got <- err
	}()
	t.Cleanup(func() { _ = l.Close() })
	var c asleep
	tr := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return freezing{conn, &c, &atomic.Int32{}}, err
	}}
	t.Cleanup(tr.CloseIdleConnections)
	ctx, stop := context.WithTimeout(t.Context(), 100*time.Second)
	defer stop()
	err = fenced(t, "http://"+l.Addr().String(), tr, &c).JSON(ctx, "test.Buy", http.MethodPost, "op", strings.Repeat("la ", 100_000), nil)
	if fault.CodeOf(err) != fault.Timeout || fault.ChargeOf(err) != fault.ChargeUnknown {
		t.Errorf("late in the middle: %v, charge %q; want timeout, unknown", err, fault.ChargeOf(err))
	}
	if err := <-got; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the server read the request with %v, want it to break off", err)
	}
}

// freezing falls asleep after the second write of a connection: the first has the
// header alone.
type freezing struct {
	net.Conn
	c      *asleep
	writes *atomic.Int32
}

func (f freezing) Write(p []byte) (int, error) {
	if f.writes.Add(1) == 2 {
		defer f.c.sleep(time.Hour, time.Hour)
	}
	return f.Conn.Write(p)
}

// TestFenceIsLookedAtToTheEnd holds the body itself to it, read by read.
func TestFenceIsLookedAtToTheEnd(t *testing.T) {
	var c asleep
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	one := make([]byte, 1)
	body := newOnceBody([]byte("abc"), newFence(ctx, c.now))
	if n, err := body.Read(one); n != 1 || err != nil {
		t.Fatalf("in time: %d bytes, %v; want 1", n, err)
	}
	c.sleep(time.Hour, time.Hour)
	if n, err := body.Read(one); n != 0 || !errors.Is(err, errLate) || !body.stopped() || body.withheld() {
		t.Errorf("late: %d bytes, %v, stopped %t, withheld %t; want none, stopped and not withheld", n, err, body.stopped(), body.withheld())
	}
	c.sleep(0, 0)
	if n, err := body.Read(one); n != 0 || !errors.Is(err, errLate) {
		t.Errorf("after it was late once: %d bytes, %v; want none", n, err)
	}
	whole := newOnceBody([]byte("a"), newFence(ctx, c.now))
	_, _ = whole.Read(one)
	c.sleep(time.Hour, time.Hour)
	if n, err := whole.Read(one); n != 0 || !errors.Is(err, io.EOF) || whole.stopped() {
		t.Errorf("the end of a body that left in time: %d bytes, %v; want io.EOF", n, err)
	}
}
