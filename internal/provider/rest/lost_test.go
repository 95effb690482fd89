package rest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider/rest"
)

var (
	sent    = failure{Code: "unavailable"}
	notSent = failure{Code: "unavailable", Charge: fault.ChargeNone}
)

// tripper is a transport made of a function.
type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// listen serves every connection with the function and counts them.
func listen(t *testing.T, serve func(net.Conn)) (string, *atomic.Int32) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("Listen: %v", err)
	}
	connections := &atomic.Int32{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			serve(conn)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "http://" + l.Addr().String(), connections
}

func TestNotSentIsNotCharged(t *testing.T) {
	refused, _ := listen(t, func(net.Conn) {})
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = nil
	t.Cleanup(untrusted.Close)

	failing := func(err error) *http.Client {
		tr := transport(t)
		tr.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, err }
		return &http.Client{Transport: tr}
	}
	working := func() *http.Client { return &http.Client{Transport: transport(t)} }
	cases := []struct {
		name   string
		base   string
		client *http.Client
	}{
		{"connection refused", refused, failing(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})},
		{"name not found", "http://nowhere.invalid", failing(&net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true})},
		{"untrusted certificate", untrusted.URL, working()},
		{"http where https was meant", "https" + plain.URL[len("http"):], working()},
	}
	for _, tc := range cases {
		if diff := cmp.Diff(notSent, taken(t, buy(t.Context(), openAt(t, tc.base, tc.client)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestContextThatEndedBeforeSending(t *testing.T) {
	asked := false
	c := open(t, func(http.ResponseWriter, *http.Request) { asked = true })
	canceled, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("operator " + key))
	late, stop := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer stop()
	if diff := cmp.Diff(failure{Code: "canceled", Charge: fault.ChargeNone}, taken(t, buy(canceled, c))); diff != "" {
		t.Errorf("canceled (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(failure{Code: "timeout", Charge: fault.ChargeNone}, taken(t, buy(late, c))); diff != "" {
		t.Errorf("past deadline (-want +got):\n%s", diff)
	}
	if err := buy(canceled, c); err == nil || err.Error() != "test.Buy: canceled: context canceled" {
		t.Errorf("got %v, want the plain words of a cancellation", err)
	}
	if asked {
		t.Error("the request left although its context had ended")
	}
}

func TestContextThatEndsWhileWaiting(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	c := open(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-release
	})
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if diff := cmp.Diff(failure{Code: "canceled"}, taken(t, buy(ctx, c))); diff != "" {
		t.Errorf("canceled after sending (-want +got):\n%s", diff)
	}
}

func TestClientTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	c := openAt(t, server.URL, &http.Client{Transport: transport(t), Timeout: 20 * time.Millisecond})
	if got := taken(t, buy(t.Context(), c)).Code; got != "timeout" {
		t.Errorf("code %q, want timeout", got)
	}
}

// TestPaidRequestIsNeverReplayed holds net/http to it, too: its transport sends
// some requests again when a kept connection closes under them.
func TestPaidRequestIsNeverReplayed(t *testing.T) {
	var paid atomic.Int32
	base, connections := listen(t, func(conn net.Conn) {
		// One good answer keeps the connection; the next request is read whole, and
		// the connection closes without a word.
		in := bufio.NewReader(conn)
		for first := true; ; first = false {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, req.Body)
			if req.Method == http.MethodPost {
				paid.Add(1)
			}
			if !first {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"id\":\"op-1\"}")
		}
	})
	c := openAt(t, base, &http.Client{Transport: transport(t)})
	if err := c.JSON(t.Context(), "test.Get", http.MethodGet, "v1/op", nil, &receipt{}); err != nil {
		t.Fatalf("first exchange: %v", err)
	}
	if diff := cmp.Diff(sent, taken(t, buy(t.Context(), c))); diff != "" {
		t.Errorf("connection closed after the request was read (-want +got):\n%s", diff)
	}
	if paid.Load() != 1 || connections.Load() != 1 {
		t.Errorf("the provider read %d paid requests on %d connections, want 1 on 1", paid.Load(), connections.Load())
	}
}

// deadConn lets one exchange pass and then takes no byte.
type deadConn struct {
	net.Conn
	dead *atomic.Bool
}

func (c deadConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	}
	return c.Conn.Write(p)
}

func TestDeadConnectionIsNotCharged(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		_, _ = io.WriteString(w, `{"id":"op-1"}`)
	}))
	t.Cleanup(server.Close)
	var dead atomic.Bool
	tr := transport(t)
	tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return deadConn{conn, &dead}, err
	}
	c := openAt(t, server.URL, &http.Client{Transport: tr})
	if err := buy(t.Context(), c); err != nil {
		t.Fatalf("first exchange: %v", err)
	}
	dead.Store(true)
	if diff := cmp.Diff(notSent, taken(t, buy(t.Context(), c))); diff != "" {
		t.Errorf("write of zero bytes to a kept connection (-want +got):\n%s", diff)
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests arrived, want 1", requests.Load())
	}
}

func TestStreamResetIsUnknown(t *testing.T) {
	var requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		requests.Add(1)
		panic(http.ErrAbortHandler)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	client := server.Client()
	if diff := cmp.Diff(sent, taken(t, buy(t.Context(), openAt(t, server.URL, client)))); diff != "" {
		t.Errorf("stream reset (-want +got):\n%s", diff)
	}
	if requests.Load() != 1 {
		t.Errorf("%d requests arrived, want 1", requests.Load())
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		var requests atomic.Int32
		c := open(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			http.Redirect(w, r, "/elsewhere", status)
		})
		got := taken(t, buy(t.Context(), c))
		if diff := cmp.Diff(failure{Code: "malformed"}, got); diff != "" || requests.Load() != 1 {
			t.Errorf("HTTP %d: %d requests, want 1 (-want +got):\n%s", status, requests.Load(), diff)
		}
	}
}

func TestAnswerThatBreaksOff(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"id\":"
	base, _ := listen(t, func(conn net.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.Copy(io.Discard, req.Body)
		}
		_, _ = io.WriteString(conn, head)
	})
	c := openAt(t, base, &http.Client{Transport: transport(t)})
	if diff := cmp.Diff(failure{Code: "malformed"}, taken(t, buy(t.Context(), c))); diff != "" {
		t.Errorf("half an answer (-want +got):\n%s", diff)
	}
}

func TestEvidenceOfSending(t *testing.T) {
	var late *http.Request
	cases := []struct {
		name string
		trip tripper
		want failure
	}{
		{"never reads the body", func(r *http.Request) (*http.Response, error) {
			late = r
			return nil, errors.New("no route for https://files.example/?sig=Zm9vYmFy")
		}, notSent},
		{"reads one byte", func(r *http.Request) (*http.Response, error) {
			_, err := r.Body.Read(make([]byte, 1))
			return nil, errors.Join(errors.New("then fails"), err)
		}, sent},
		{"reads everything", func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			return nil, io.ErrUnexpectedEOF
		}, sent},
		{"wants the body again, as HTTP/1 does for zero bytes", func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			httptrace.ContextClientTrace(r.Context()).WroteHeaderField("Host", nil)
			_, err := r.GetBody()
			return nil, err
		}, notSent},
		{"wants the body again over HTTP/2", func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			httptrace.ContextClientTrace(r.Context()).WroteHeaderField(":method", nil)
			_, err := r.GetBody()
			return nil, err
		}, sent},
		{"wants the body again after an answer", func(r *http.Request) (*http.Response, error) {
			_, _ = io.Copy(io.Discard, r.Body)
			httptrace.ContextClientTrace(r.Context()).GotFirstResponseByte()
			_, err := r.GetBody()
			return nil, err
		}, sent},
	}
	for _, tc := range cases {
		err := buy(t.Context(), openAt(t, "http://provider.example", &http.Client{Transport: tc.trip}))
		if diff := cmp.Diff(tc.want, taken(t, err)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	// What was reported as not sent must stay unsent, however late the writer is.
	if n, err := late.Body.Read(make([]byte, 8)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("reading a withdrawn body: %d bytes, %v; want an error", n, err)
	}
}

func TestTransportSettings(t *testing.T) {
	tr := rest.Transport()
	if tr.Proxy != nil {
		t.Error("Transport has a proxy, want none: the environment is the program's to read")
	}
	if tr.IdleConnTimeout != 15*time.Second || tr.MaxIdleConnsPerHost != 64 {
		t.Errorf("idle connections: %v, %d per host; want 15s, 64", tr.IdleConnTimeout, tr.MaxIdleConnsPerHost)
	}
}
