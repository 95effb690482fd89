package egress_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// serve starts a server on a loopback port and gives its host:port.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

func client(t *testing.T, allow ...string) *http.Client {
	t.Helper()
	c, err := egress.Client(allow)
	if err != nil {
		t.Fatalf("Client(%q): %v", allow, err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// get returns the body, or the failure as Fault classifies it.
func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("request for %s: %v", url, err)
	}
	response, err := c.Do(r)
	if err != nil {
		return "", egress.Fault("test.Get", r.URL.Host, err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatalf("body of %s: %v", url, err)
	}
	return string(body), nil
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestPrivateAddressesAreRefused(t *testing.T) {
	host := serve(t, hello)
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	c := client(t)
	for _, target := range []string{
		host, "localhost:" + port, "[::1]:" + port, "[::ffff:127.0.0.1]:" + port, "0.0.0.0:" + port, "[::]:" + port,
		"10.0.0.1", "172.16.0.1:8080", "192.168.1.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]",
	} {
		_, err := get(t, c, "http://"+target+"/latest/meta-data?signature=s3cret")
		if got := fault.CodeOf(err); got != fault.Invalid {
			t.Errorf("%s: %v, want invalid", target, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the signature: %v", target, err)
		}
	}
}

func TestAllowedHosts(t *testing.T) {
	host := serve(t, hello)
	_, port, err := net.SplitHostPort(host)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		allow, target string
		want          bool
	}{
		{"127.0.0.1", host, true},
		{"127.0.0.1:" + port, host, true},
		{"127.0.0.0/8", host, true},
		{"127.0.0.9/8", host, true},
		{" 127.0.0.1 ", host, true},
		{"127.0.0.1", "localhost:" + port, true},
		{"127.0.0.1", "[::ffff:127.0.0.1]:" + port, true},
		{"127.0.0.1:" + port, "localhost:" + port, true},
		{"localhost", "localhost:" + port, true},
		{"LocalHost", "localhost:" + port, true},
		{"localhost.:" + port, "LOCALHOST:" + port, true},
		{"localhost:" + port, "localhost:" + port, true},
		{"localhost:1", "localhost:" + port, false},
		{"localhost", host, false},
		{"127.0.0.1:1", host, false},
		{"127.0.0.2", host, false},
		{"::1", host, false},
		{"10.0.0.0/8", host, false},
	}
	for _, c := range cases {
		body, err := get(t, client(t, c.allow), "http://"+c.target+"/")
		if c.want && (err != nil || body != "hello") {
			t.Errorf("allow %q, get %s: %q, %v; want hello", c.allow, c.target, body, err)
		}
		if !c.want && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("allow %q, get %s: %q, %v; want invalid", c.allow, c.target, body, err)
		}
	}
}

func TestRedirectsAreCheckedAgain(t *testing.T) {
	inside := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the private server was reached") })
	outside := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+inside+"/admin", http.StatusFound)
	})
	_, err := get(t, client(t, outside), "http://"+outside+"/song.mp3?sig=s3cret")
	if fault.CodeOf(err) != fault.Invalid || strings.Contains(fmt.Sprint(err), "s3cret") {
		t.Errorf("redirect to %s: %v, want invalid without the query", inside, err)
	}
}

func TestRedirectsTellNoReferer(t *testing.T) {
	var referers []string
	second := serve(t, func(w http.ResponseWriter, r *http.Request) {
		referers = append(referers, r.Referer())
		hello(w, r)
	})
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+second+"/", http.StatusTemporaryRedirect)
	})
	body, err := get(t, client(t, "127.0.0.1"), "http://"+first+"/a.mp3?sig=s3cret")
	if err != nil || body != "hello" {
		t.Fatalf("get: %q, %v; want hello", body, err)
	}
	if len(referers) != 1 || referers[0] != "" {
		t.Errorf("referers %q, want one empty one", referers)
	}
}

func TestEndlessRedirects(t *testing.T) {
	requests := 0
	host := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "/again?token=s3cret", http.StatusFound)
	})
	_, err := get(t, client(t, host), "http://"+host+"/")
	if fault.CodeOf(err) != fault.Malformed || strings.Contains(fmt.Sprint(err), "s3cret") {
		t.Errorf("endless redirects: %v, want malformed without the query", err)
	}
	if requests != 10 {
		t.Errorf("%d requests, want 10", requests)
	}
}

func TestProxyOfTheEnvironmentIsIgnored(t *testing.T) {
	host := serve(t, hello)
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("http_proxy", "http://127.0.0.1:1")
	transport, ok := client(t, host).Transport.(*http.Transport)
	if !ok || transport.Proxy != nil {
		t.Errorf("transport %T has a proxy, want none", transport)
	}
}

func TestBadEntriesAreReportedTogether(t *testing.T) {
	_, err := egress.Client([]string{"ok.example", "10.0.0.0/99", "http://minio:9000", "", "a b", "minio:http", "minio:0", "fe80::1%eth0", "user@host"})
	if fault.CodeOf(err) != fault.Invalid {
		t.Fatalf("Client: %v, want invalid", err)
	}
	for _, want := range []string{`"10.0.0.0/99"`, `"http://minio:9000"`, `""`, `"a b"`, `"minio:http"`, `"minio:0"`, `"fe80::1%eth0"`, `"user@host"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not mention %s", err, want)
		}
	}
	if strings.Contains(err.Error(), "ok.example") {
		t.Errorf("%v complains of ok.example", err)
	}
}

func TestFault(t *testing.T) {
	secret := errors.New(`malformed HTTP response "token=s3cret"`)
	cases := []struct {
		name string
		err  error
		code fault.Code
		text string
	}{
		{"canceled", fmt.Errorf("get: %w", context.Canceled), "canceled", "a.B: canceled: cdn: context canceled"},
		{"deadline", context.DeadlineExceeded, "timeout", "a.B: timeout: cdn: no answer in time: context deadline exceeded"},
		{"unknown", secret, "unavailable", "a.B: unavailable: cdn: the exchange failed"},
		{"cut", fmt.Errorf("read s3cret: %w", io.ErrUnexpectedEOF), "unavailable", "a.B: unavailable: cdn: the connection was cut"},
		{"reset", &net.OpError{Op: "read", Err: errors.New("s3cret")}, "unavailable", "a.B: unavailable: cdn: the connection was cut"},
		{"dial", &net.OpError{Op: "dial", Err: errors.New("s3cret")}, "unavailable", "a.B: unavailable: cdn: it cannot be reached"},
		{"lookup", &net.DNSError{Err: "s3cret", IsNotFound: true}, "unavailable", "a.B: unavailable: cdn: no such host"},
		{"resolver down", &net.DNSError{Err: "s3cret"}, "unavailable", "a.B: unavailable: cdn: its name cannot be looked up"},
		{"slow resolver", &net.DNSError{Err: "s3cret", IsTimeout: true}, "timeout", "a.B: timeout: cdn: no answer in time: context deadline exceeded"},
	}
	for _, c := range cases {
		got := egress.Fault("a.B", "cdn", c.err)
		if got.Code != c.code || got.Error() != c.text || got.Charge != fault.ChargeNone {
			t.Errorf("%s: %q (%s), want %q (not charged)", c.name, got.Error(), got.Charge, c.text)
		}
	}
}

func TestClosedPortIsUnavailable(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = get(t, client(t, host), "http://"+host+"/?sig=s3cret")
	if fault.CodeOf(err) != fault.Unavailable || strings.Contains(fmt.Sprint(err), "s3cret") {
		t.Errorf("closed port: %v, want unavailable without the query", err)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(hello))
	t.Cleanup(server.Close)
	_, err := get(t, client(t, "127.0.0.1"), server.URL)
	if got, want := fault.Reason(err), strings.TrimPrefix(server.URL, "https://")+": its certificate cannot be verified"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}

func TestRetryAfter(t *testing.T) {
	cases := []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{"-7", "", 0},
		{"soon", "", 0},
		{"99999999999999999", "", time.Hour},
		{"Sun, 22 Nov 2026 10:00:30 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", 30 * time.Second},
		{"Sun, 22 Nov 2026 10:00:00 GMT", "Sun, 22 Nov 2026 10:00:30 GMT", 0},
		{"Sun, 22 Nov 2026 23:00:00 GMT", "Sun, 22 Nov 2026 10:00:00 GMT", time.Hour},
	}
	for _, c := range cases {
		header := http.Header{"Retry-After": {c.value}, "Date": {c.date}}
		if got := egress.RetryAfter(header); got != c.want {
			t.Errorf("Retry-After %q at %q: %v, want %v", c.value, c.date, got, c.want)
		}
	}
}
