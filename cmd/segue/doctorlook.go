package main

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/embedded"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
	"github.com/segue-audio/segue/internal/redisconn"
)

// examination is what one run of the doctor looks at.
type examination struct {
	*system
	// rebuild is the command that makes lost tasks again, where there is one.
	rebuild string
	// consulted are the providers that could be used from here.
	consulted []config.Provider
	stakes    doctor.Stakes
	// books say what accounts have spent; nil where Redis does not answer.
	books *ledger.Book
}

// examination prepares one. Nothing is connected yet: that may be what is wrong.
func (a *app) examination(cfg *config.Config, root *cobra.Command) *examination {
	log := slog.New(slog.DiscardHandler)
	redis.SetLogger(redisLog{log})
	e := &examination{system: &system{
		app: a, cfg: cfg, log: log, sims: map[string]surface{}, calls: &http.Client{Transport: rest.Transport()},
	}}
	e.accounts = account.NewPool(e.openAccount)
	for _, cmd := range root.Commands() {
		if cmd.Name() == "rebuild" {
			e.rebuild = cmd.CommandPath()
		}
	}
	e.stakes.Vouched = !cfg.Redis.RequireDurable
	for _, name := range cfg.ProviderNames() {
		p, err := cfg.Provider(name)
		if err != nil {
			continue // its own list names it
		}
		if _, configured := cfg.Providers[name]; configured || keyed(p) {
			e.consulted = append(e.consulted, p)
			e.stakes.Real = e.stakes.Real || distant(p)
		}
	}
	return e
}

// keyed says that a driver that nobody configured has its key all the same.
func keyed(p config.Provider) bool {
	usable, err := p.Usable()
	return err == nil && !usable[0].APIKey.IsZero()
}

// distant says that a provider is somebody else's, and takes real credits.
func distant(p config.Provider) bool { return p.Driver != simDriver && !onThisMachine(p.BaseURL) }

func (e *examination) examine(ctx context.Context) ([]doctor.Finding, error) {
	findings := e.configuration()
	state, err := e.state(ctx)
	if err != nil {
		return nil, errors.Join(err, e.close())
	}
	findings = append(findings, state...)
	findings = append(findings, doctor.Accounts(ctx, e.credentials(ctx))...)
	findings = append(findings, e.publicURL().Examine(ctx)...)
	findings = append(findings, e.examineDisk(ctx)...)
	if err := e.close(); err != nil {
		findings = append(findings, doctor.Finding{Check: "embedded.stop", Level: doctor.Warning, Text: sentence(err)})
	}
	return findings, ctx.Err()
}

// configuration repeats what loading it has found.
func (e *examination) configuration() []doctor.Finding {
	const name = "config"
	findings := make([]doctor.Finding, 0, 1+len(e.cfg.Warnings))
	for _, warning := range e.cfg.Warnings {
		findings = append(findings, doctor.Finding{Check: name, Level: doctor.Warning, Text: warning.Error(), Cure: "segue config print shows where each value comes from"})
	}
	if len(findings) == 0 {
		findings = append(findings, doctor.Finding{Check: name, Level: doctor.OK, Text: "read and in order: " + cmp.Or(e.cfg.File, "no file, defaults")})
	}
	return findings
}

// state looks at Redis and at what is in it.
func (e *examination) state(ctx context.Context) ([]doctor.Finding, error) {
	address := e.cfg.Redis.URL.String()
	var findings []doctor.Finding
	if ours := e.cfg.Redis.URL.IsZero(); ours {
		address = "the embedded redis"
		about := e.startEmbedded(ctx)
		findings = about.Examine()
		if e.redisURL == "" {
			return findings, nil // there is nothing to look into
		}
	} else {
		e.redisURL = e.cfg.Redis.URL.Reveal()
	}
	rdb, err := redisconn.Open(e.redisURL)
	if err != nil {
		return nil, err
	}
	e.closers = append(e.closers, rdb.Close)
	server := doctor.Redis{
		Client: rdb, Address: address, Stakes: e.stakes, Embedded: e.cfg.Redis.URL.IsZero(), WaitReplicas: e.cfg.Redis.WaitReplicas,
	}
	about := server.Examine(ctx)
	findings = append(findings, about...)
	if slices.ContainsFunc(about, func(f doctor.Finding) bool { return f.Code == fault.Unavailable }) {
		return findings, nil
	}
	e.books = ledger.New(rdb)
	work := doctor.Work{Client: rdb, Passing: e.cfg.Redis.URL.IsZero(), Rebuild: e.rebuild}
	findings = append(findings, work.Examine(ctx)...)
	return slices.Concat(findings, e.turns(ctx, rdb), e.deadlines(ctx, rdb), e.attended(ctx, rdb)), nil
}

// startEmbedded starts the embedded Redis where it has something to show, or goes
// to the one that another process runs. redisURL is where it is; empty when it is
// nowhere.
func (e *examination) startEmbedded(ctx context.Context) doctor.Embedded {
	dir := filepath.Join(e.cfg.StateDir, "redis")
	about := doctor.Embedded{Dir: dir, Stakes: e.stakes}
	about.Server, about.Introduced = installed(ctx)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		about.Fresh = true
		return about
	}
	server, err := embedded.Start(ctx, embedded.Options{Dir: e.cfg.StateDir, Command: "segue doctor", Log: e.log})
	switch fault.CodeOf(err) {
	case "":
		e.closers = append(e.closers, server.Close)
		e.redisURL = server.URL()
	case fault.Conflict:
		about.Busy = err
		if socket := filepath.Join(dir, "redis.sock"); answersAt(ctx, socket) {
			about.Seen = true
			e.redisURL = socketURL(socket)
		}
	default:
		about.Failed = err
	}
	return about
}

func socketURL(path string) string {
	return (&url.URL{Scheme: "unix", Path: path, RawQuery: "db=0"}).String()
}

// answersAt says whether a Redis answers on a socket. One whose path would be too
// long for a socket is elsewhere.
func answersAt(ctx context.Context, socket string) bool {
	rdb, err := redisconn.Open(socketURL(socket))
	if err != nil {
		return false
	}
	err = redisconn.Ping(ctx, rdb)
	return errors.Join(err, rdb.Close()) == nil
}

// installed finds the server that the embedded Redis would run, and what it says
// of itself.
func installed(ctx context.Context) (path, introduced string) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		said, err := exec.CommandContext(ctx, path, "--version").Output()
		if err != nil {
			return path, ""
		}
		return path, string(said)
	}
	return "", ""
}

// credentials are the accounts of all providers that could be used.
func (e *examination) credentials(ctx context.Context) []doctor.Account {
	var all []doctor.Account
	for _, p := range e.consulted {
		usable, err := p.Usable()
		alone := err != nil || len(usable) == 0
		names := make([]string, 0, len(p.Accounts))
		for name := range p.Accounts {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			all = append(all, e.credential(ctx, p, p.Accounts[name], alone))
		}
	}
	return all
}

func (e *examination) credential(ctx context.Context, p config.Provider, acc config.Account, alone bool) doctor.Account {
	about := doctor.Account{Provider: p.Name, Name: acc.Name, Missing: acc.Err(), Alone: alone, Budget: acc.Budget}
	if info, err := e.info(p); err == nil {
		about.Price = info.Prices.Upload + info.Prices.Extend
		if info.Prices.Assumed {
			about.Assumed = e.assumed(p, info)
		}
	}
	if e.books != nil {
		// What the books do not say is no finding of its own: Redis was looked at.
		if state, err := e.books.State(ctx, ledger.Account{Provider: p.Name, Name: acc.Name}); err == nil {
			about.Used, about.Parked = state.Spent+state.Reserved, max(0, state.DryUntil.Sub(state.Now))
		}
	}
	if !simulates(p) {
		about.Credits = func(ctx context.Context) (float64, error) {
			opened, err := e.accounts.Get(p.Name, acc.Name)
			if err != nil {
				return 0, err
			}
			return opened.Driver.Credits(ctx)
		}
	}
	return about
}

// assumed are the prices of a provider that nobody has set.
func (e *examination) assumed(p config.Provider, info provider.Info) []string {
	if !distant(p) {
		return nil // nobody's money
	}
	return unsetPrices(e.cfg, p, info)
}

// unsetPrices are the keys of a provider's prices that nobody has set.
func unsetPrices(cfg *config.Config, p config.Provider, info provider.Info) []string {
	set := map[string]bool{}
	for _, value := range cfg.Values() {
		set[value.Key] = !strings.HasPrefix(value.From, "default")
	}
	var keys []string
	for _, step := range []struct {
		name string
		paid bool
	}{{"upload", info.Uploads.Paid}, {"extend", true}} {
		if key := "providers." + p.Name + ".credits." + step.name; step.paid && !set[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// publicURL is what providers should reach.
func (e *examination) publicURL() doctor.PublicURL {
	about := doctor.PublicURL{
		URL: e.cfg.Server.PublicURL, Serving: !e.cfg.Redis.URL.IsZero(),
		HTTP: &http.Client{
			Transport:     rest.Transport(),
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, p := range e.consulted {
		if !distant(p) {
			continue
		}
		about.Remote = append(about.Remote, p.Name)
		if info, err := e.info(p); err == nil && info.Uploads.By == provider.ByURL && !isObject(e.cfg.Staging.URL) {
			about.Fetching = append(about.Fetching, p.Name)
		}
	}
	return about
}

// disk is where files are kept.
func (e *examination) disk() doctor.Disk {
	where := e.cfg.Archive.URL
	about := doctor.Disk{State: e.cfg.StateDir}
	dir, local := archiveDirectory(where)
	if about.Archive = dir; !local {
		about.Elsewhere = where
	}
	return about
}

// examineDisk also asks buckets whether results, and files for providers, can be
// stored in them.
func (e *examination) examineDisk(ctx context.Context) []doctor.Finding {
	about := e.disk()
	if about.Elsewhere != "" {
		about.Unusable = e.storable(ctx, about.Elsewhere)
		about.Tried = about.Unusable == nil
	}
	if isObject(e.cfg.Staging.URL) {
		about.Staging = e.cfg.Staging.URL
		about.Unstaged = e.storable(ctx, about.Staging)
	}
	return about.Examine()
}

// storable says why nothing can be stored in a bucket; nil when it can.
func (e *examination) storable(ctx context.Context, where string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	store, err := archive.Open(where, e.archiveOptions(e.calls))
	if err != nil {
		return err
	}
	return archive.Check(ctx, store)
}
