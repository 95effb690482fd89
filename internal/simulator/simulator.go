// Package simulator is a set of fake music providers behind one HTTP handler,
// faulty on demand, that keep a charge log and judge their client.
//
// It is written from the providers' documents alone and shares nothing with the
// drivers that speak to them: a shared misreading would pass every test. Where
// the documents are silent, it does something plausible that depends on the
// seed, so that a client which assumes too much fails for some seeds; each such
// choice is written down where it is made.
//
// Paths, for a simulator served at http://HOST:
//
//	/mountsea/...          MountSea's API: base URL http://HOST/mountsea
//	/mountsea-credits/...  its credits host: http://HOST/mountsea-credits
//	/kie/...               KIE's API: base URL http://HOST/kie
//	/kie-staging/...       its staging host, and the files on it
//	/apikley/...           Apikley's API: base URL http://HOST/apikley
//	/sunoapi/...           sunoapi.org's API, its staging host at /sunoapi-staging/
//	/kkiai/...             kkiai's API: base URL http://HOST/kkiai
//	/s3/...                the storage that kkiai's uploads go through
//	/cdn/...               result files of every provider
//	/_sim/...              control: charges, submissions, verdict, traffic, state, faults, limits, credits, reset
//
// The control API has no authentication: serve a simulator where only tests and
// demonstrations reach it.
package simulator

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Simulator is a set of fake providers. Its methods may be called concurrently.
type Simulator struct {
	opts    Options
	dice    dice
	mux     *http.ServeMux
	classes map[string]class // of every endpoint, by name
	fetch   *fetcher
	files   depot
	courier *courier
	// announcers are the providers that call back, by name.
	announcers map[string]*announcer
	webhooks   map[string]string // keys of accounts, by name
	closing    context.Context
	cancel     context.CancelFunc

	// mu guards everything below. Critical sections take microseconds: no
	// encoding of answers and no network happens inside, only the journal's
	// one write.
	mu       sync.Mutex
	state    *state
	journal  journal
	names    map[string]string // account names by API key
	faults   Faults
	script   []Next
	spells   []spell
	limits   map[string]Limit // by provider
	traffic  traffic
	requests map[string]uint64 // by endpoint
	fired    map[Kind]int
	conduct  Conduct
	started  time.Time
	epoch    string // makes ids differ from those of other runs
	resets   int
}

// New starts a simulator: with a journal, where the last one stopped. Options
// that make no sense are reported together as fault.Invalid, a journal that is
// not one as fault.Malformed. Close it.
func New(o Options) (*Simulator, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fault.New(fault.Invalid, "simulator.New", err)
	}
	if o.Seed == 0 {
		o.Seed = randomSeed()
	}
	s := &Simulator{opts: o, dice: dice(o.Seed), mux: http.NewServeMux(), classes: map[string]class{}, webhooks: map[string]string{}, announcers: map[string]*announcer{}}
	for key, a := range o.Keys {
		s.webhooks[a.nameFor(key)] = a.WebhookKey
	}
	s.opts.Kkiai = o.Kkiai.settled(s.dice)
	s.closing, s.cancel = context.WithCancel(context.Background())
	s.fetch = newFetcher(s)
	s.courier = newCourier(s)
	s.files.dir = o.Files
	s.clear()
	s.route()
	if err := s.open(); err != nil {
		s.cancel()
		return nil, err
	}
	s.fetch.start(o.Fetchers)
	s.courier.start(o.Callbacks.Couriers)
	return s, nil
}

// clear sets everything to what it is before the first request.
func (s *Simulator) clear() {
	s.state = newState()
	s.names = map[string]string{}
	s.faults = maps.Clone(s.opts.Faults)
	s.script, s.spells = nil, nil
	s.limits = s.opts.limits()
	s.traffic = newTraffic(keptSubmissions)
	s.requests = map[string]uint64{}
	s.fired = map[Kind]int{}
	s.conduct = newConduct()
	s.started = s.now()
	s.epoch = strconv.FormatInt(s.started.UnixNano(), 36) + "/" + strconv.Itoa(s.resets)
}

// open replays the journal, adds the accounts it does not know, and takes up
// what was under way: downloads, and refunds that a kill came between.
func (s *Simulator) open() error {
	if s.opts.Journal != "" {
		j, err := openJournal(s.opts.Journal, s.state)
		if err != nil {
			return err
		}
		s.journal = j
	}
	if err := s.addAccounts(); err != nil {
		return errors.Join(fault.New(fault.Internal, "simulator.New", err), s.journal.close())
	}
	for _, c := range s.state.charges {
		switch o := s.state.operations[c.OperationID]; {
		case o.source == sourceWaiting:
			s.fetch.add(download{state: s.state, operation: o})
		case o.ended && o.Fate != succeeds:
			s.refund(o, s.now())
		}
		s.announce(s.state.operations[c.OperationID])
	}
	for _, u := range s.state.uploads {
		if u.finish != nil && u.found == nil {
			s.fetch.add(download{state: s.state, upload: u})
		}
	}
	return nil
}

func (s *Simulator) addAccounts() error {
	for key, a := range s.opts.Keys {
		if _, err := s.account(key, a); err != nil {
			return err
		}
	}
	return nil
}

// Handler serves every provider, the result files and the control API.
func (s *Simulator) Handler() http.Handler { return s.mux }

// Seed gives the seed in use, also when Options left it to chance: print it.
func (s *Simulator) Seed() int64 { return s.opts.Seed }

// Settle waits until no audio is being downloaded or waiting to be, and no
// callback is due or under way. It returns the context's error when that ends
// first. Operations may still be running: their ends are a matter of the clock.
func (s *Simulator) Settle(ctx context.Context) error {
	if err := s.fetch.settle(ctx); err != nil {
		return err
	}
	return s.courier.settle(ctx)
}

// Close stops the downloads and the callbacks, closes their idle connections and the journal, and
// removes temporary files. Requests that are still being served are released
// from any delay; with a journal, later ones that would change anything are
// refused. Calling it again is harmless.
func (s *Simulator) Close() error {
	s.cancel()
	s.fetch.wait()
	s.courier.stop()
	s.opts.HTTP.CloseIdleConnections()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.journal.close(), s.files.close())
}

// now gives the time without a monotonic reading, so that a restarted
// simulator compares times exactly as this one does.
func (s *Simulator) now() time.Time { return s.opts.Now().UTC().Round(0) }

// record writes an event down, then applies it. What is due before it happens
// before it, refunds included. The caller holds s.mu.
func (s *Simulator) record(e *event) error {
	s.advance(e.Time)
	if err := s.journal.append(e); err != nil {
		s.opts.Log.Error("simulator journal", slog.Any("error", err))
		return err
	}
	return s.state.apply(e)
}

// note records what may be lost without harm to the books. The caller holds
// s.mu; record has logged any error.
func (s *Simulator) note(e *event) { _ = s.record(e) }

// advance ends what is due, and gives credits back where that is the policy.
// The caller holds s.mu.
func (s *Simulator) advance(now time.Time) {
	for _, o := range s.state.advance(now) {
		s.refund(o, now)
	}
	s.courier.notice(now)
}

func (s *Simulator) refund(o *operation, now time.Time) {
	if (s.opts.RefundFailures || o.FailCode == codeRefunded) && !s.state.charges[o.charge].Refunded {
		s.note(&event{Time: now, Refund: o.ID})
	}
}

// newID draws the id of something that is about to be recorded. The caller
// holds s.mu.
func (s *Simulator) newID(what string) string {
	return s.dice.id(what+"/"+s.epoch, s.state.made)
}

func randomSeed() int64 {
	var raw [8]byte
	_, _ = crand.Read(raw[:]) // documented never to fail
	// Small enough to type, and never zero, which means "choose one".
	return int64(binary.BigEndian.Uint64(raw[:])%999_999_999) + 1
}
