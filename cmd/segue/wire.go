package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/bandwidth"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/callback"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/embedded"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/staging"
	"github.com/segue-audio/segue/internal/timing"
)

// simDriver is the built-in simulated provider.
const simDriver = "sim"

// system is the parts of Segue, put together over one Redis.
type system struct {
	app *app
	// cfg is the configuration that the process was built upon; see config.
	cfg      *config.Config
	readings readings
	log      *slog.Logger
	rdb      redis.UniversalClient
	redisURL string
	embedded *embedded.Redis // nil when the Redis is somebody else's
	store    *session.Store
	queue    *queue.Queue
	ledger   *ledger.Book
	gate     *account.Gate
	client   *enqueue.Client
	index    *bulk.Index // of what was paid for
	accounts *account.Pool
	outside  *http.Client // for URLs that come from outside
	calls    *http.Client // for provider APIs
	// upload and fetch limit what this process moves of files, and nothing else.
	upload, fetch *bandwidth.Limiter

	mu       sync.Mutex
	archives map[string]archive.Archive
	// allow are private hosts that results may come from although nobody
	// configured them: our own simulator's.
	allow []string
	// sims stand in for providers: our own simulator.
	sims map[string]surface
	// reach is what providers can reach of Segue; empty when they cannot.
	reach   string
	closers []func() error
}

// open connects to Redis, or starts the embedded one, and puts the parts
// together. Whoever opens a system closes it.
func (a *app) open(ctx context.Context, cfg *config.Config, log *slog.Logger, command string) (*system, error) {
	s := &system{
		app: a, cfg: cfg, log: log,
		archives: map[string]archive.Archive{}, sims: map[string]surface{}, reach: cfg.Server.PublicURL,
		calls:  &http.Client{Transport: rest.Transport()},
		upload: bandwidth.New(int64(cfg.Worker.Bandwidth.Upload)), fetch: bandwidth.New(int64(cfg.Worker.Bandwidth.Fetch)),
	}
	redis.SetLogger(redisLog{log})
	if err := s.connect(ctx, command); err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.store = session.NewStore(s.rdb)
	s.queue = queue.New(s.rdb)
	s.ledger = ledger.New(s.rdb)
	s.gate = account.NewGate(s.rdb)
	s.client = enqueue.NewFromRedis(s.rdb)
	s.index = bulk.NewIndex(s.rdb, 0)
	s.accounts = account.NewPool(s.openAccount)
	if s.embedded != nil {
		// Whoever used this Redis before is gone: the lock says so.
		if err := s.store.ForgetWorkers(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *system) connect(ctx context.Context, command string) error {
	url := s.cfg.Redis.URL.Reveal()
	if url == "" {
		server, err := embedded.Start(ctx, embedded.Options{
			Dir: s.cfg.StateDir, Command: command, Log: s.log,
		})
		if err != nil {
			return err
		}
		s.embedded = server
		s.closers = append(s.closers, server.Close)
		url = server.URL()
		if !server.Durable() {
			fmt.Fprintln(s.app.stderr, "note: no redis-server is installed; a stand-in in this process keeps the queue and may forget its last second when it is killed. "+
				"Install redis-server before you spend real credits.")
		}
	}
	rdb, err := redisconn.Open(url)
	if err != nil {
		return err
	}
	s.rdb, s.redisURL = rdb, url
	s.closers = append(s.closers, rdb.Close)
	if err := redisconn.Ping(ctx, rdb); err != nil {
		return hinted(err, "start it, or put redis.url right (segue config print shows where it comes from), then the same command")
	}
	return nil
}

// lifetime is a context that also ends when the embedded Redis dies under us:
// nothing can be recorded any more, so nothing more may be sent.
func (s *system) lifetime(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.embedded == nil {
		return context.WithCancel(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.embedded.Done():
			cancel(hinted(s.embedded.Err(), "the same command again, when there is room on the disk"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// close closes what was opened, the last first.
func (s *system) close() error {
	var all []error
	for _, closer := range slices.Backward(s.closers) {
		all = append(all, closer())
	}
	s.closers = nil
	return errors.Join(all...)
}

// openAccount makes the account that a session is bound to. One that nobody has heard
// of may have been configured just now.
func (s *system) openAccount(providerName, accountName string) (*account.Account, error) {
	opened, err := s.openConfigured(providerName, accountName)
	if !unheardOf(err) || !s.reread(context.Background(), false) {
		return opened, err
	}
	go s.accounts.Reset() // the pool waits for this function
	return s.openConfigured(providerName, accountName)
}

func (s *system) openConfigured(providerName, accountName string) (*account.Account, error) {
	p, err := s.config().Provider(providerName)
	if err != nil {
		return nil, err
	}
	acc, err := p.Account(accountName)
	if err != nil {
		return nil, err
	}
	sim, simulated := s.sims[p.Name]
	if err := acc.Err(); err != nil && !simulated {
		return nil, err
	}
	info, err := s.info(p)
	if err != nil {
		return nil, err
	}
	driver, err := s.app.providers.Open(p.Driver, provider.Config{
		BaseURL: cmp.Or(sim.base, p.BaseURL), StagingURL: cmp.Or(sim.stagingFor(p.Driver), p.StagingURL),
		CreditsURL: cmp.Or(sim.credits, p.CreditsURL),
		APIKey:     cmp.Or(acc.APIKey.Reveal(), p.Name), WebhookKey: acc.WebhookKey.Reveal(),
		HTTP: s.calls, ReplayWindow: p.ReplayWindow, Options: optionsOf(p),
	})
	if err != nil {
		return nil, err
	}
	return &account.Account{
		Provider: p.Name, Name: acc.Name, Info: info, Driver: driver, Budget: acc.Budget, DailyBudget: acc.DailyBudget,
	}, nil
}

// optionsOf reads name=value; the configuration was checked to have the sign.
func optionsOf(p config.Provider) map[string]string {
	options := make(map[string]string, len(p.Options))
	for _, option := range p.Options {
		name, value, _ := strings.Cut(option, "=")
		options[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return options
}

// info is what is known of a provider, with the configuration's overrides.
func (s *system) info(p config.Provider) (provider.Info, error) { return s.app.info(p) }

func (a *app) info(p config.Provider) (provider.Info, error) {
	info, err := a.providers.Info(p.Driver)
	if err != nil {
		return info, err
	}
	info.Name = p.Name
	info.Prices.Upload, info.Prices.Extend = p.Credits.Upload, p.Credits.Extend
	info.Limits = provider.Limits{Submit: provider.Rate(p.Limits.Submit), InFlight: p.Limits.InFlight}
	info.Evidence = evidenceOf(info.Evidence, p.Evidence)
	info.Poll = provider.Polling{Min: max(p.Poll.Min, spacing(p.Limits.PollPerOperation)), Max: p.Poll.Max, Deadline: p.Poll.Deadline}
	if limit, ok := optionsOf(p)["max_upload"]; ok {
		// The driver holds to it too; here it joins the one report on all files.
		longest, err := time.ParseDuration(limit)
		if err != nil {
			return info, fault.Uncharged(fault.Invalid, "segue.info", fmt.Errorf("providers.%s.options: max_upload is %q; write a duration such as 2m", p.Name, limit))
		}
		info.Uploads.MaxDuration = longest
	}
	models := append([]provider.Model(nil), info.Models...)
	for name, override := range p.Models {
		models = overrideModel(models, name, override)
	}
	info.Models = models
	return info, nil
}

// evidenceOf is how evidence is looked for, where the configuration knows better
// than the driver. It cannot make a record that tells nothing into one that does.
func evidenceOf(known provider.Evidence, configured config.Evidence) provider.Evidence {
	known.Horizon = cmp.Or(configured.Horizon, known.Horizon)
	if known.Books > 0 {
		known.Books = cmp.Or(configured.Lag, known.Books)
	}
	if known.Balance > 0 {
		known.Balance = cmp.Or(configured.Lag, known.Balance)
	}
	return known
}

// spacing is the shortest wait that a rate allows: KIE's ceiling of three questions
// a second is not passed, whatever poll.min says.
func spacing(r config.Rate) time.Duration {
	if r.N < 1 {
		return 0
	}
	return r.Per / time.Duration(r.N)
}

// overrideModel changes a model of the table, or adds one.
func overrideModel(models []provider.Model, name string, o config.Model) []provider.Model {
	at := slices.IndexFunc(models, func(m provider.Model) bool { return m.Name == name })
	if at < 0 {
		at, models = len(models), append(models, provider.Model{Name: name})
	}
	m := &models[at]
	m.MaxPrompt = cmp.Or(o.MaxPrompt, m.MaxPrompt)
	m.MaxStyle = cmp.Or(o.MaxStyle, m.MaxStyle)
	m.MaxTitle = cmp.Or(o.MaxTitle, m.MaxTitle)
	m.MaxUpload = cmp.Or(o.MaxUpload, m.MaxUpload)
	return models
}

// egressClient is made when it is first needed, when all allowed hosts are known.
func (s *system) egressClient() (*http.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outside != nil {
		return s.outside, nil
	}
	client, err := egress.Client(slices.Concat(s.config().Security.AllowPrivateHosts, s.allow))
	s.outside = client
	return client, err
}

// archiveAt opens an archive once; the empty URL is the configured one.
func (s *system) archiveAt(url string) (archive.Archive, error) {
	url = cmp.Or(url, s.config().Archive.URL)
	client, err := s.egressClient()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if opened, ok := s.archives[url]; ok {
		return opened, nil
	}
	opened, err := archive.Open(url, s.archiveOptions(s.fetch.Client(client)))
	if err == nil {
		s.archives[url] = opened
	}
	return opened, err
}

func probeKept(ctx context.Context, path string) (archive.Probed, error) {
	info, err := audio.ProbeFile(ctx, path)
	if err != nil {
		return archive.Probed{}, err
	}
	return archive.Probed{
		Format: string(info.Format), Duration: info.Duration, Size: info.Size, SHA256: info.SHA256, Problem: info.Problem,
	}, nil
}

// workerName is this process's name in claims and heartbeats.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:6])
}

// atPlace is called at the named places of every handler. Only tests set it: they
// end the process there.
var atPlace func(place string)

// handlers puts together what a worker executes. stage may be nil.
func (s *system) handlers(stage *staging.Staging) *handlers.Handlers {
	h := &handlers.Handlers{
		Store: s.store, Queue: s.queue, Accounts: s.accounts, Ledger: s.ledger, Gate: s.gate, Timing: timing.NewBook(s.rdb), Announced: s.announced,
		Probe: s.probeSource, Open: s.openSource, Bulk: s.bulk, Sign: s.signObject, Remember: s.remember, Clips: bulk.Clips{Index: s.index}, Archive: s.archiveAt, Keeping: s.keeping,
		Retention: retention.NewBook(s.rdb),
		Log:       s.log, Worker: workerName(), GiveUp: s.cfg.Worker.GiveUp, Hook: atPlace,
	}
	if s.reach != "" {
		h.Callback = func(name, token string) string { return callback.URL(s.reach, name, token) }
	}
	switch {
	case s.stagesInBucket():
		h.Stage = s.stageInBucket
	case stage != nil:
		h.Stage = func(ctx context.Context, src session.Source) (string, error) { return stageSource(ctx, stage, src) }
	}
	return h
}

// openSource streams a source's bytes, at most as fast as uploads may go. A local file that was changed after it was
// submitted is not what was submitted.
func (s *system) openSource(ctx context.Context, src session.Source) (io.ReadCloser, error) {
	if src.Path != "" {
		if _, err := submittedFile(src); err != nil {
			return nil, err
		}
		file, err := os.Open(src.Path)
		if err != nil {
			return nil, fault.Uncharged(fault.Invalid, "segue.open", fmt.Errorf("%s cannot be read by this worker: %w", src.Name, bare(err)))
		}
		return s.upload.Reader(ctx, file), nil
	}
	if isObject(src.URL) {
		body, err := s.openObject(ctx, src)
		if err != nil {
			return nil, err
		}
		return s.upload.Reader(ctx, body), nil
	}
	body, err := s.openAddress(ctx, src)
	if err != nil {
		return nil, err
	}
	return s.upload.Reader(ctx, body), nil
}

// submittedFile looks at a local source and insists that it is what was
// submitted.
func submittedFile(src session.Source) (os.FileInfo, error) {
	info, err := os.Stat(src.Path)
	if err != nil {
		return nil, fault.Uncharged(fault.Invalid, "segue.open", fmt.Errorf("%s cannot be read by this worker: %w", src.Name, bare(err)))
	}
	if info.Size() != src.Size || (src.ModTime != 0 && info.ModTime().UnixNano() != src.ModTime) {
		return nil, fault.Uncharged(fault.Invalid, "segue.open", fmt.Errorf("%s was changed after it was submitted", src.Name))
	}
	return info, nil
}

// stageSource gives a local file a URL.
func stageSource(ctx context.Context, stage *staging.Staging, src session.Source) (string, error) {
	info, err := submittedFile(src)
	if err != nil {
		return "", err
	}
	return stage.URL(ctx, staging.File{
		Path: src.Path, Size: info.Size(), ModTime: info.ModTime(), Name: filepath.Base(src.Path), SHA256: src.SHA256,
	})
}

// bare is a file error without its path, which the sentence names already.
func bare(err error) error {
	if pathErr, ok := errors.AsType[*os.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// work runs a worker until ctx ends.
func (s *system) work(ctx context.Context, stage *staging.Staging) error {
	c := s.cfg.Worker.Concurrency
	concurrency := handlers.Concurrency{Upload: c.Upload, Fetch: c.Fetch, Calls: c.Calls}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	s.watchReplicas(watching)
	return s.handlers(stage).Work(ctx, s.rdb, concurrency, s.cfg.Worker.Drain)
}

// durable refuses to spend real credits while Redis would forget that they were
// spent. accepted is its user's word that the risk is known.
func (s *system) durable(ctx context.Context, p config.Provider, accepted bool) error {
	_, ours := s.sims[p.Name]
	simulated := ours || p.Driver == simDriver || onThisMachine(p.BaseURL)
	switch {
	case accepted || simulated || !s.cfg.Redis.RequireDurable:
		return nil
	case s.embedded == nil:
		return s.remembers(ctx)
	case s.embedded.Durable():
		return nil
	}
	return &failure{
		exitOther, errors.New("no redis-server is installed, and the stand-in forgets up to a second of what was paid for when it is killed"),
		"install redis-server, or set redis.url, or accept the risk with --accept-volatile",
	}
}

// remembers asks a Redis that is not ours how it keeps its data.
func (s *system) remembers(ctx context.Context) error {
	why, forgets := doctor.Forgets(ctx, s.rdb)
	if !forgets {
		return nil
	}
	code := exitOther
	if why.Code == fault.Unavailable {
		code = exitUnreachable
	}
	return &failure{code, errors.New(why.Text), why.Cure}
}

// watchReplicas makes every intent to pay wait for a replica, where there is one or
// where the configuration says so. Once seen, a replica is demanded for as long as
// this process lives: one that is cut off may be about to take over.
func (s *system) watchReplicas(ctx context.Context) {
	const every = 30 * time.Second
	if s.cfg.Redis.WaitReplicas >= 0 {
		s.store.Replicate(s.cfg.Redis.WaitReplicas)
		return
	}
	look := func() bool {
		n, err := redisconn.Replicas(ctx, s.rdb)
		if err != nil || n == 0 {
			return false
		}
		s.store.Replicate(1)
		s.log.InfoContext(ctx, "intents to pay wait for a replica", slog.Int("replicas", n))
		return true
	}
	if look() {
		return
	}
	go func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if look() {
					return
				}
			}
		}
	}()
}

// redisLog sends go-redis's log to ours.
type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, fmt.Sprintf(format, args...), slog.String("from", "go-redis"))
}

// servedElsewhere says that others work on the queues.
func (s *system) servedElsewhere() bool {
	served, err := s.queue.Served()
	return err == nil && served && s.embedded == nil
}

// preflight asks for the account's balance: it is free, and shows a wrong key
// before anything is sent. A provider that is down is not an obstacle: items wait.
func (s *system) preflight(ctx context.Context, providerName, accountName string) (credits float64, known bool, err error) {
	acc, err := s.accounts.Get(providerName, accountName)
	if fault.CodeOf(err) == fault.Invalid && s.servedElsewhere() {
		return 0, false, nil // workers announced an account that is none of ours
	}
	if err != nil {
		return 0, false, hinted(err, "segue config print shows where each key comes from")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	credits, err = acc.Driver.Credits(ctx)
	switch fault.CodeOf(err) {
	case "":
		return credits, true, nil
	case fault.Denied:
		return 0, false, hinted(fault.Uncharged(fault.Denied, "segue.preflight",
			fmt.Errorf("provider %s does not accept the key of account %s", providerName, accountName)),
			"set the right key (segue config print shows where it comes from), then the same command again")
	case fault.Canceled:
		return 0, false, err
	case fault.Invalid, fault.NotFound, fault.Rejected, fault.Conflict, fault.Exhausted, fault.Unavailable, fault.Timeout, fault.Malformed, fault.Pending, fault.Internal:
	}
	fmt.Fprintf(s.app.stderr, "note: the balance of %s/%s is not known: %s\n", providerName, accountName, sentence(err))
	return 0, false, nil
}
