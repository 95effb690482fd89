package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/callback"
)

// strict follows no redirects, as PublicURL demands.
func strict(base *http.Client) *http.Client {
	return &http.Client{
		Transport:     base.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// at resolves every name to some addresses.
func at(addresses ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) ([]netip.Addr, error) {
		var all []netip.Addr
		for _, a := range addresses {
			all = append(all, netip.MustParseAddr(a))
		}
		return all, nil
	}
}

// segueServes answers as segue serve does.
func segueServes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(callback.Prefix, &callback.Receiver{})
	return mux
}

func status(code int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, code) })
}

func TestPublicURL(t *testing.T) {
	public := at("203.0.113.7")
	for name, c := range map[string]struct {
		handler http.Handler
		plain   bool // http, not https
		lookup  func(context.Context, string) ([]netip.Addr, error)
		local   bool // no provider elsewhere
		want    []expected
	}{
		"leads to segue serve": {handler: segueServes(), lookup: public},
		"plain http":           {handler: segueServes(), lookup: public, plain: true, want: []expected{{Warning, checkPublic, "is http: files, callbacks", "https://"}}},
		"this machine":         {handler: segueServes(), lookup: at("127.0.0.1"), want: []expected{{Error, checkPublic, "leads to this very machine: kie, mountsea cannot reach it", "tunnel"}}},
		"this machine, v6":     {handler: segueServes(), lookup: at("::1"), want: []expected{{Error, checkPublic, "leads to this very machine", "tunnel"}}},
		"this machine, and the provider is here too": {handler: segueServes(), lookup: at("127.0.0.1"), plain: true, local: true},
		"private":              {handler: segueServes(), lookup: at("10.1.2.3", "fd00::1"), want: []expected{{Warning, checkPublic, "private network", "tunnel"}}},
		"private and not":      {handler: segueServes(), lookup: at("10.1.2.3", "203.0.113.7")},
		"unknown name":         {handler: segueServes(), lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("NXDOMAIN") }, want: []expected{{Error, checkPublic, "is not known here", "DNS"}}},
		"somebody else":        {handler: status(200, "welcome"), lookup: public, want: []expected{{Error, checkPublic, "somebody else than segue serve answers at", "/callbacks/ and /staged/"}}},
		"a proxy without path": {handler: status(404, "not found"), lookup: public, want: []expected{{Error, checkPublic, "(404)", "let the proxy lead /callbacks/"}}},
		"another's 405":        {handler: status(405, "no"), lookup: public, want: []expected{{Error, checkPublic, "(405)", "proxy"}}},
		"redirect":             {handler: http.RedirectHandler("https://other.example/secret", http.StatusMovedPermanently), lookup: public, want: []expected{{Error, checkPublic, "a redirect (301 to https://other.example)", "the address that it redirects to"}}},
		"nobody behind":        {handler: status(502, "bad gateway"), lookup: public, want: []expected{{Error, checkPublic, "a proxy answers at", "segue serve"}}},
		"cut off":              {handler: http.HandlerFunc(cutOff), lookup: public, want: []expected{{Error, checkPublic, "does not answer", "segue serve"}}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(c.handler)
			if server.Start(); !c.plain {
				server.Close()
				server = httptest.NewTLSServer(c.handler)
			}
			defer server.Close()
			p := PublicURL{URL: server.URL, Remote: []string{"kie", "mountsea"}, Serving: true, HTTP: strict(server.Client()), Lookup: c.lookup}
			if c.local {
				p.Remote = nil
			}
			holds(t, p.Examine(t.Context()), c.want...)
		})
	}
}

// cutOff promises more than it sends.
func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, "begun")
	panic(http.ErrAbortHandler)
}

func TestPublicURLBelowAPath(t *testing.T) {
	server := httptest.NewTLSServer(http.StripPrefix("/segue", segueServes()))
	defer server.Close()
	p := PublicURL{URL: server.URL + "/segue/", HTTP: strict(server.Client())}
	findings := p.Examine(t.Context())
	holds(t, findings)
	healthy(t, findings, checkPublic)
}

func TestPublicURLWhereNobodyListens(t *testing.T) {
	server := httptest.NewServer(segueServes())
	address := server.URL
	server.Close()
	p := PublicURL{URL: address, HTTP: strict(&http.Client{Transport: &http.Transport{}}), Serving: true}
	holds(t, p.Examine(t.Context()), expected{Error, checkPublic, "does not answer: connect: connection refused", "start segue serve"})
	// On an embedded Redis nobody is expected to serve between two commands.
	p.Serving = false
	holds(t, p.Examine(t.Context()), expected{Note, checkPublic, "connection refused", "segue up"})
}

func TestPublicURLWithABadCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(segueServes())
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	p := PublicURL{URL: server.URL, HTTP: strict(&http.Client{Transport: &http.Transport{}}), Serving: true}
	holds(t, p.Examine(t.Context()), expected{Error, checkPublic, "the certificate of " + strings.TrimPrefix(server.URL, "https://") + " is not valid", "renew"})
}

func TestPublicURLThatIsNotSet(t *testing.T) {
	holds(t, PublicURL{}.Examine(t.Context()), expected{Note, checkPublic, "polling alone", ""})
	holds(t, PublicURL{Remote: []string{"kie", "mountsea"}, Fetching: []string{"mountsea"}}.Examine(t.Context()),
		expected{Warning, checkPublic, "mountsea cannot be given local files", "server.public_url"})
	holds(t, PublicURL{URL: "nonsense"}.Examine(t.Context()), expected{Error, checkPublic, "is no address", "https://"})
}

// Who resolves names is the system, where nothing else is said.
func TestPublicURLIsLookedUp(t *testing.T) {
	server := httptest.NewTLSServer(segueServes())
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := PublicURL{URL: server.URL, Remote: []string{"kie"}, HTTP: strict(server.Client())}
	if u.Hostname() != "127.0.0.1" {
		t.Skip("the test server is elsewhere")
	}
	holds(t, p.Examine(t.Context()), expected{Error, checkPublic, "this very machine", "tunnel"})
}
