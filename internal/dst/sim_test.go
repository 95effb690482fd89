package dst

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/callback"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/timing"
)

// content is what every file of the simulation holds.
const content = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

// sim is one run of one seed.
type sim struct {
	seed uint64
	rng  *rand.Rand
	p    profile
	// events is how many decisions the scheduler makes before the faults stop.
	events int

	mini   *miniredis.Miniredis
	rdb    *redis.Client
	store  *session.Store
	queue  *queue.Queue
	ledger *ledger.Book
	turns  *account.Gate
	broker *broker

	published int // see publish

	vendor *vendor
	shelf  *shelf
	start  time.Time

	mu      sync.Mutex
	current *actor
	credit  int
	waiting []*parked
	ends    []*actor
	actors  []*actor
	born    int

	workers  []*proc
	front    *proc
	operator *proc
	named    int

	sessions  []string
	sources   map[string]item
	open      map[string]int // sessions that are not sealed, and how many items are to come
	decisions []decision
	settled   map[string]int
	births    map[birth][]session.Operation
	seenAs    map[item]string
	levelled  map[string]float64
	quiet     bool
	down      bool // Redis is away

	// Defects to be found.
	tamper                                        func(args []any)
	hidesBudget, sweepless, owesAlways, impatient bool

	trace      []entry
	hash       sum
	violations []string
	marks      map[string]int
}

// item is an item's place.
type item struct {
	session string
	index   int
}

// decision is an operator's: from then on a step may be paid for once more, or what
// was charged for a generation need not be looked for.
type decision struct {
	item
	step       session.StepName
	generation int
	at         int
	pays       bool
}

// role is what a process holds in memory.
type role struct {
	h        *handlers.Handlers
	mux      *asynq.ServeMux
	receiver *callback.Receiver
}

// options are for tests of the simulation itself.
type options struct {
	events   int // fewer than the profile says, when it is not negative
	sabotage func(s *sim)
	// uploads has every file uploaded, as it was when older seeds were kept.
	uploads bool
}

// result is what a run came to.
type result struct {
	seed       uint64
	hash       sum
	events     int
	trace      []entry
	violations []string
	marks      map[string]int
	charges    int
}

// run runs one seed from beginning to end.
func run(t *testing.T, m *machine, seed uint64, o options) *result {
	t.Helper()
	var r *result
	synctest.Test(t, func(*testing.T) {
		s := newSim(m, seed, o)
		s.chaos()
		s.calm()
		r = s.close()
	})
	return r
}

func newSim(m *machine, seed uint64, o options) *sim {
	m.mini.FlushAll()
	rng := rand.New(rand.NewPCG(seed, 0x5e90e))
	s := &sim{
		seed: seed, rng: rng, mini: m.mini, start: time.Now(), hash: sumStart,
		sources: map[string]item{}, open: map[string]int{}, settled: map[string]int{}, births: map[birth][]session.Operation{}, seenAs: map[item]string{}, levelled: map[string]float64{}, marks: map[string]int{},
	}
	s.p = draw(rng)
	s.p.clips = seed%3 == 0 && !o.uploads
	s.events = s.p.events
	if o.events >= 0 {
		s.events = min(s.events, o.events)
	}
	s.rdb = connect(m)
	s.rdb.AddHook(watch{s})
	s.store, s.queue, s.ledger = session.NewStore(s.rdb), queue.New(s.rdb), ledger.New(s.rdb)
	s.turns = account.NewGate(s.rdb)
	if err := s.turns.Announce(unwatched, []account.Known{{ID: account.ID{Provider: "vendor", Name: "main"}, Endpoint: account.KindExtend}}); err != nil {
		s.fail(err.Error())
	}
	s.broker = newBroker(s)
	s.vendor = &vendor{s: s, fence: true, operations: map[string]*operation{}}
	s.shelf = &shelf{s: s, files: map[string][]byte{}}
	for range s.p.workers {
		s.workers = append(s.workers, s.hire("worker", true))
	}
	s.front, s.operator = s.hire("front", true), s.hire("operator", false)
	if o.sabotage != nil {
		o.sabotage(s)
	}
	s.beat()
	for n := range s.p.sessions {
		s.submit(n)
	}
	s.settleDown()
	return s
}

// hire starts a process.
func (s *sim) hire(what string, mortal bool) *proc {
	s.named++
	p := &proc{name: fmt.Sprintf("%s-%d", what, s.named), mortal: mortal}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.role = s.equip(p)
	return p
}

// equip gives a process what it holds in memory: the real handlers.
func (s *sim) equip(p *proc) *role {
	pool := account.NewPool(func(name, acc string) (*account.Account, error) {
		return &account.Account{Provider: name, Name: acc, Info: s.vendor.info(), Driver: s.driver()}, nil
	})
	log := slog.New(journal{s})
	q := queue.New(s.rdb)
	h := &handlers.Handlers{
		Store: s.store, Queue: q, Accounts: pool, Ledger: ledger.New(s.rdb), Gate: account.NewGate(s.rdb), Timing: timing.NewBook(s.rdb),
		Probe: func(ctx context.Context, src session.Source) (session.Source, error) {
			s.gate(s.actorOf(ctx), atHook, "probe")
			src.Format, src.Duration, src.SHA256 = "mp3", 60, content
			return src, nil
		},
		Stage: func(_ context.Context, src session.Source) (string, error) {
			return "https://stage.test/" + src.Name, nil
		},
		Callback: func(name, token string) string { return callback.URL("http://segue.test", name, token) },
		Archive:  func(string) (archive.Archive, error) { return s.shelf, nil },
		Log:      log, Worker: p.name, GiveUp: 24 * time.Hour,
		Hook: func(place string) { s.gate(s.current, atHook, place) },
	}
	if s.p.clips {
		h.Clips = bulk.Clips{Index: bulk.NewIndex(s.rdb, 0)}
	}
	return &role{h: h, mux: h.Mux(), receiver: &callback.Receiver{Store: s.store, Queue: q, Accounts: pool, Adopt: h.Adopt, Log: log}}
}

// beat is the heartbeat of every worker that lives.
func (s *sim) beat() {
	if s.down {
		return
	}
	for _, p := range s.workers {
		if p.frozen {
			continue
		}
		if _, err := s.store.Beat(unwatched, p.name); err != nil {
			s.fail(err.Error())
		}
	}
}

// fail records a promise that was broken.
func (s *sim) fail(text string) {
	if len(s.violations) < 5 {
		s.violations = append(s.violations, text)
		s.remark("VIOLATION " + text)
	}
}

// mark counts what a run has come by, so that a simulation that has lost its
// teeth is noticed.
func (s *sim) mark(what string) { s.marks[what]++ }

// draw decides what befalls an actor. The caller holds the lock.
func (s *sim) draw(a *actor, k kind) verdict {
	v := verdict{roll: s.rng.Uint32()}
	if s.quiet {
		return v
	}
	switch {
	case a.proc.mortal && s.chance(s.p.dies):
		v.fate = dies
	case k != atRedis:
	case s.down:
		v.fate = cutBefore
	case s.chance(s.p.redisFails):
		v.fate = []fate{cutBefore, cutAfter, cutAfter, twice}[s.rng.IntN(4)]
	}
	return v
}

// chance is true so many times in ten thousand, and never in quiet.
func (s *sim) chance(of int) bool { return s.rng.IntN(10_000) < of && !s.quiet }

// odds is chance, of a roll that was thrown before.
func (s *sim) odds(roll uint32, of int) bool { return int(roll%1000)*10 < of && !s.quiet }

// working says whether an actor is at it, as far as others can see.
func (s *sim) working(a *actor) bool {
	return slices.Contains(s.actors, a) && !a.proc.dead && !a.proc.frozen
}

// driver is the provider, with lists or without.
func (s *sim) driver() provider.Driver {
	if s.p.books {
		return witness{s.vendor}
	}
	return s.vendor
}

// close ends every process and lets what still sleeps wake and see it.
func (s *sim) close() *result {
	marks := maps.Clone(s.marks)
	for _, p := range append(slices.Clone(s.workers), s.front, s.operator) {
		s.mu.Lock() // somebody may wake at this moment
		s.kill(p)
		s.mu.Unlock()
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	if err := s.rdb.Close(); err != nil {
		s.fail(err.Error())
	}
	charges := 0
	for _, r := range s.vendor.requests {
		if r.operation != "" {
			charges++
		}
	}
	return &result{
		seed: s.seed, hash: s.hash, events: s.events, trace: s.trace,
		violations: s.violations, marks: marks, charges: charges,
	}
}

// journal is a log that is read: how often a completion was settled is said
// nowhere else.
type journal struct{ s *sim }

func (j journal) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (j journal) WithAttrs([]slog.Attr) slog.Handler               { return j }
func (j journal) WithGroup(string) slog.Handler                    { return j }

func (j journal) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "session settled":
		about := ""
		r.Attrs(func(a slog.Attr) bool { about += a.Value.String() + " "; return true })
		j.s.mu.Lock()
		defer j.s.mu.Unlock()
		j.s.settled[about]++
		if j.s.owesAlways {
			j.s.settled[about]++
		}
	case "task replaced", "doubt settled by a callback", "doubt settled by evidence", "item held", "step taken from its worker",
		"accepted operation could not be recorded", "a callback names an operation that was not on record":
		j.s.mu.Lock()
		defer j.s.mu.Unlock()
		j.s.mark(r.Message)
	}
	return nil
}

func codeOf(err error) string { return string(fault.CodeOf(err)) }

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
