//go:build unix

package e2e_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"
	"time"
)

// direct lets Segue speak to the provider itself.
func direct(_ testing.TB, p *provider) string { return p.URL }

// slowly lets Segue speak to the provider through a proxy that holds the answer to
// each paid request: by then it is charged, and Segue does not know it. Whatever
// ends a worker ends it with such answers on their way.
func slowly(t testing.TB, p *provider) string {
	t.Helper()
	target, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
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
	t.Cleanup(proxy.Close)
	return proxy.URL
}
