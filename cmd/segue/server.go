package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/hibiken/asynqmon"

	"github.com/segue-audio/segue/internal/callback"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/simulator"
	"github.com/segue-audio/segue/internal/staging"
)

// listen listens on an address. Without a configured one it takes the port that
// it had the last time, which URLs that a provider holds still name, or any.
func listen(ctx context.Context, address, remember string) (net.Listener, error) {
	var lc net.ListenConfig
	if address != "" {
		l, err := lc.Listen(ctx, "tcp", address)
		if err != nil {
			return nil, hinted(fault.New(fault.Internal, "segue.listen", err), "another address with --server-addr")
		}
		return l, nil
	}
	if before, err := os.ReadFile(remember); err == nil {
		if l, err := lc.Listen(ctx, "tcp", string(before)); err == nil {
			return l, nil
		}
	}
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	// Where Redis is somebody else's, nothing has made the state directory yet.
	err = os.MkdirAll(filepath.Dir(remember), 0o700)
	if err == nil {
		err = os.WriteFile(remember, []byte(l.Addr().String()), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// serving is a running HTTP server.
type serving struct {
	url    string
	server *http.Server
}

// serveOn serves until closed.
func (s *system) serveOn(l net.Listener, handler http.Handler) *serving {
	served := &serving{"http://" + l.Addr().String(), &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}}
	go func() {
		if err := served.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("http server stopped", slog.String("cause", err.Error()))
		}
	}()
	s.closers = append(s.closers, served.close)
	return served
}

// close lets running requests finish for a moment.
func (s *serving) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		return s.server.Close()
	}
	return nil
}

// site is everything that segue serve answers.
func (s *system) site(stage *staging.Staging) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/queues/", http.StatusFound) })
	mux.Handle("/queues/", s.guarded(s.queuesPage()))
	if stage != nil {
		mux.Handle(staging.Prefix, s.upload.Handler(stage))
	}
	mux.Handle(callback.Prefix, s.receiver())
	// Pages of other origins must not pause a queue through somebody's browser.
	return http.NewCrossOriginProtection().Handler(mux)
}

// receiver takes providers' callbacks.
func (s *system) receiver() http.Handler {
	return &callback.Receiver{
		Store: s.store, Queue: s.queue, Accounts: s.accounts, Log: s.log,
		Adopt: s.handlers(nil).Adopt,
	}
}

// ready says whether this process can do its work: Redis answers.
func (s *system) ready(w http.ResponseWriter, r *http.Request) {
	if err := redisconn.Ping(r.Context(), s.rdb); err != nil {
		http.Error(w, "redis does not answer", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// queuesPage is asynqmon.
func (s *system) queuesPage() http.Handler {
	monitor := asynqmon.New(asynqmon.Options{RootPath: "/queues", RedisConnOpt: sharedRedis{s}})
	s.closers = append(s.closers, monitor.Close)
	// Its page asks for fonts on the web; nothing of ours is fetched from outside.
	const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		monitor.ServeHTTP(w, r)
	})
}

// sharedRedis hands our connection to asynqmon.
type sharedRedis struct{ s *system }

// MakeRedisClient is asynq's way of asking for a connection; asynqmon closes it.
func (r sharedRedis) MakeRedisClient() any {
	rdb, err := redisconn.Open(r.s.redisURL)
	if err != nil {
		return nil // the same URL was opened before
	}
	return rdb
}

var _ asynq.RedisConnOpt = sharedRedis{}

// guarded asks for a token what may come from outside. A browser sends it as the
// password of any user.
func (s *system) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !(isLoopback(s.cfg.Server.Addr) && askedHere(r)) && !s.admits(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="segue", charset="UTF-8"`)
			http.Error(w, "a token with the scope operate is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// askedHere says that a request to a loopback address was meant for one. A proxy
// in front of it brings requests from anywhere, and so does a page whose name was
// made to point at this machine: the name that was asked for tells.
func askedHere(r *http.Request) bool {
	for _, forwarded := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(forwarded) != "" {
			return false
		}
	}
	return isLoopbackHost((&url.URL{Host: r.Host}).Hostname())
}

// admits says whether a request carries a token with the scope operate.
func (s *system) admits(r *http.Request) bool {
	given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, password, ok := r.BasicAuth(); ok {
		given = password
	}
	sum := sha256.Sum256([]byte(given))
	admitted := false
	for _, token := range s.config().Server.Tokens {
		want := sha256.Sum256([]byte(token.Token.Reveal()))
		same := subtle.ConstantTimeCompare(sum[:], want[:]) == 1
		admitted = admitted || (same && !token.Token.IsZero() && token.Err() == nil && slices.Contains(token.Scopes, "operate"))
	}
	return admitted
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || (err == nil && ip.IsLoopback())
}

// stage makes the staging that workers and servers share. Without a public URL
// there is none, unless a provider on this very machine is all there is to reach:
// then this process serves local files itself.
func (s *system) stage(ctx context.Context, p config.Provider) (*staging.Staging, error) {
	lifetime := s.cfg.Staging.Lifetime
	if s.cfg.Server.PublicURL != "" {
		return staging.New(s.rdb, s.cfg.Server.PublicURL, lifetime, s.log)
	}
	base := p.BaseURL
	if replaced := s.sims[p.Name].base; replaced != "" {
		base = replaced
	}
	if !onThisMachine(base) {
		return nil, nil //nolint:nilnil // no staging is a state of its own, said above
	}
	l, err := listen(ctx, "", filepath.Join(s.cfg.StateDir, "files.addr"))
	if err != nil {
		return nil, err
	}
	stage, err := staging.New(s.rdb, "http://"+l.Addr().String(), lifetime, s.log)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.Handle(staging.Prefix, s.upload.Handler(stage))
	mux.Handle(callback.Prefix, s.receiver())
	s.reach = s.serveOn(l, mux).url
	return stage, nil
}

func onThisMachine(baseURL string) bool {
	u, err := url.Parse(baseURL)
	return err == nil && isLoopbackHost(u.Hostname())
}

// surface is where a simulator answers in place of a provider's hosts.
type surface struct{ base, staging, credits string }

// surfaceOf is a simulator's stand-in for the hosts of a driver.
func surfaceOf(driver, host string) surface {
	if driver == simDriver {
		driver = "mountsea"
	}
	return surface{base: host + "/" + driver, staging: host + "/" + driver + "-staging", credits: host + "/" + driver + "-credits"}
}

// stagingFor is the stand-in for a driver's staging host; most have none.
func (s surface) stagingFor(driver string) string {
	if driver == "kie" || driver == "sunoapi" {
		return s.staging
	}
	return ""
}

// simulates says that a provider is the built-in one, which this process runs itself.
func simulates(p config.Provider) bool { return p.Driver == simDriver && p.BaseURL == "" }

// simulate runs the built-in provider in this process. It remembers its
// operations in the state directory, so that a session that was interrupted finds
// them again.
func (s *system) simulate(ctx context.Context, p config.Provider) error {
	var o simulator.Options
	dir := filepath.Join(s.cfg.StateDir, "sim")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	o.Journal, o.Credits = filepath.Join(dir, "journal.jsonl"), simCredits
	sim, err := simulator.New(o)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, sim.Close)
	l, err := listen(ctx, "", filepath.Join(dir, "addr"))
	if err != nil {
		return err
	}
	served := s.serveOn(l, sim.Handler())
	s.sims[p.Name] = surfaceOf(p.Driver, served.url)
	s.allow = append(s.allow, l.Addr().String())
	return nil
}
