//go:build unix

package chaos_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is a connection that can be made bad: whoever dials its address reaches what
// is behind it.
type wire struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// lay makes a wire to an address.
func lay(t testing.TB, name, upstream string) *wire {
	t.Helper()
	hub := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{t, toxiproxy.NewProxy(hub, name, "127.0.0.1:0", upstream)}
	if err := w.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.proxy.Stop)
	return w
}

// address is what to dial; it stays the same.
func (w *wire) address() string { return w.proxy.Listen }

// The directions of a wire, as who dials sees them.
const (
	towards = "upstream"
	back    = "downstream"
)

// toxic is one way to be bad.
type toxic struct {
	Type, Stream string
	Attributes   map[string]int
}

// slow delays what comes through by about so many milliseconds.
func slow(stream string, ms int) toxic {
	return toxic{"latency", stream, map[string]int{"latency": ms, "jitter": ms / 2}}
}

// frozen lets nothing through, and does not say so.
func frozen(stream string) toxic { return toxic{"timeout", stream, map[string]int{"timeout": 0}} }

// cut lets a number of bytes through and then ends the connection.
func cut(stream string, bytes int) toxic {
	return toxic{"limit_data", stream, map[string]int{"bytes": bytes}}
}

// reset passes requests on, and answers each with a reset.
func reset() toxic { return toxic{"reset_peer", back, map[string]int{"timeout": 0}} }

// name tells a toxic from the others of a wire.
func (x toxic) name() string { return x.Type + "_" + x.Stream + "_" + fmt.Sprint(x.Attributes) }

// spoil makes the wire bad in one more way, until unspoil or mend.
func (w *wire) spoil(with toxic) {
	w.t.Helper()
	text, err := json.Marshal(map[string]any{"name": with.name(), "type": with.Type, "stream": with.Stream, "attributes": with.Attributes})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(string(text))); err != nil {
		w.t.Fatalf("toxic %s: %v", text, err)
	}
}

// unspoil takes one way away. What was frozen on the wire is lost.
func (w *wire) unspoil(with toxic) {
	w.t.Helper()
	if err := w.proxy.Toxics.RemoveToxic(context.Background(), with.name()); err != nil {
		w.t.Fatalf("toxic %s: %v", with.name(), err)
	}
}

// mend makes the wire good again.
func (w *wire) mend() { w.proxy.Toxics.ResetToxics(context.Background()) }

// lead leads the wire to another address. Connections that there are end.
func (w *wire) lead(upstream string) {
	w.t.Helper()
	to := &toxiproxy.Proxy{Listen: w.proxy.Listen, Upstream: upstream, Enabled: true}
	if err := w.proxy.Update(to); err != nil {
		w.t.Fatalf("lead to %s: %v", upstream, err)
	}
}

// gate stands before segue serve. Shut, it keeps callbacks out and lets providers
// fetch files all the same.
type gate struct {
	server *httptest.Server
	shut   atomic.Bool
	site   atomic.Pointer[httputil.ReverseProxy]
}

func newGate(t testing.TB) *gate {
	t.Helper()
	g := &gate{}
	g.server = httptest.NewServer(g)
	t.Cleanup(g.server.Close)
	return g
}

// open names the server behind the gate.
func (g *gate) open(t testing.TB, address string) {
	t.Helper()
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	g.site.Store(&httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	})
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	site := g.site.Load()
	if site == nil || (g.shut.Load() && strings.HasPrefix(r.URL.Path, "/callbacks/")) {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	site.ServeHTTP(w, r)
}
