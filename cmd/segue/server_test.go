package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/segue-audio/segue/internal/config"
)

func TestIsLoopback(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:8080": true, "127.8.9.1:0": true, "[::1]:8080": true, "localhost:80": true, "LOCALHOST:80": true,
		":8080": false, "0.0.0.0:8080": false, "[::]:8080": false, "192.168.1.7:80": false, "127.0.0.1": false,
		"localhost.example.com:80": false, "127.0.0.1.example.com:80": false, "": false,
	} {
		if got := isLoopback(address); got != want {
			t.Errorf("isLoopback(%q) = %v, want %v", address, got, want)
		}
	}
}

func TestOnThisMachine(t *testing.T) {
	for base, want := range map[string]bool{
		"http://127.0.0.1:4100/mountsea": true, "http://127.0.0.1": true, "http://[::1]/mountsea": true, "http://localhost/x": true,
		"https://api.mountsea.ai": false, "http://127.0.0.1.example.com/": false, "http://127.0.0.1@example.com/": false,
		"127.0.0.1:80": false, "": false,
	} {
		if got := onThisMachine(base); got != want {
			t.Errorf("onThisMachine(%q) = %v, want %v", base, got, want)
		}
	}
}

// guard is a guarded page of a server at an address.
func guard(address string, tokens map[string]config.Token) http.Handler {
	s := &system{cfg: &config.Config{Server: config.Server{Addr: address, Tokens: tokens}}}
	return s.guarded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
}

func TestGuarded(t *testing.T) {
	tokens := map[string]config.Token{
		"ops":    {Token: config.NewSecret("ops-token"), Scopes: []string{"read", "operate"}},
		"ci":     {Token: config.NewSecret("ci-token"), Scopes: []string{"submit", "read"}},
		"absent": {Scopes: []string{"operate"}},
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	basic := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	const outside, loopback = "0.0.0.0:8080", "127.0.0.1:8080"
	for name, test := range map[string]struct {
		address, host string
		with          func(*http.Request)
		want          int
	}{
		"outside, the right token":             {outside, "segue.example.com", bearer("ops-token"), http.StatusTeapot},
		"outside, as a password":               {outside, "segue.example.com", basic("anybody", "ops-token"), http.StatusTeapot},
		"outside, no token":                    {outside, "segue.example.com", nil, http.StatusUnauthorized},
		"outside, no token, asked as loopback": {outside, "127.0.0.1:8080", nil, http.StatusUnauthorized},
		"outside, a wrong token":               {outside, "segue.example.com", bearer("ops-tokem"), http.StatusUnauthorized},
		"outside, a token of another scope":    {outside, "segue.example.com", bearer("ci-token"), http.StatusUnauthorized},
		"outside, an empty token":              {outside, "segue.example.com", bearer(""), http.StatusUnauthorized},
		"outside, an empty password":           {outside, "segue.example.com", basic("x", ""), http.StatusUnauthorized},
		"outside, the token as a user":         {outside, "segue.example.com", basic("ops-token", ""), http.StatusUnauthorized},
		"loopback":                             {loopback, "127.0.0.1:8080", nil, http.StatusTeapot},
		"loopback, by name":                    {loopback, "localhost:8080", nil, http.StatusTeapot},
		"loopback, IPv6":                       {loopback, "[::1]:8080", nil, http.StatusTeapot},
		"loopback behind a name of the web":    {loopback, "evil.example.com:8080", nil, http.StatusUnauthorized},
		"loopback behind a proxy":              {loopback, "127.0.0.1:8080", header("X-Forwarded-For", "203.0.113.9"), http.StatusUnauthorized},
		"loopback behind a proxy, RFC 7239":    {loopback, "127.0.0.1:8080", header("Forwarded", "for=203.0.113.9"), http.StatusUnauthorized},
		"a proxy, and the right token":         {loopback, "segue.example.com", bearer("ops-token"), http.StatusTeapot},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/queues/", nil)
			r.Host = test.host
			if test.with != nil {
				test.with(r)
			}
			w := httptest.NewRecorder()
			guard(test.address, tokens).ServeHTTP(w, r)
			if w.Code != test.want {
				t.Errorf("GET /queues/ = %d, want %d", w.Code, test.want)
			}
			if asks := w.Header().Get("WWW-Authenticate") != ""; asks != (test.want == http.StatusUnauthorized) {
				t.Errorf("asks a browser for a password: %v, with status %d", asks, w.Code)
			}
		})
	}
}

func TestListenTakesTheSamePortAgain(t *testing.T) {
	remember := filepath.Join(t.TempDir(), "state", "files.addr")
	first, err := listen(t.Context(), "", remember)
	if err != nil {
		t.Fatal(err)
	}
	address := first.Addr().String()
	// While it is taken, another process gets another port.
	other, err := listen(t.Context(), "", remember)
	if err != nil {
		t.Fatal(err)
	}
	if other.Addr().String() == address {
		t.Errorf("two listeners have the address %s", address)
	}
	if err := os.WriteFile(remember, []byte(address), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := listen(t.Context(), "", remember)
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Addr().String(); got != address {
		t.Errorf("listens on %s, want %s as before", got, address)
	}
	for _, l := range []interface{ Close() error }{other, again} {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := listen(t.Context(), "256.0.0.1:http", ""); exitCode(err) != exitOther {
		t.Errorf("listening on no address: exit code %d, want %d", exitCode(err), exitOther)
	}
}
