package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/timing"
	"github.com/segue-audio/segue/tasks"
)

// vendor is a provider in memory. It bills on acceptance and keeps a log of what
// it billed, which Segue does not control.
type vendor struct {
	mu      sync.Mutex
	billed  atomic.Int64
	charges []string // "upload a.mp3", "extend clip-1"
	opened  int
	polls   int
	urls    []string // where uploads were to be fetched
	// answers are given, in order, instead of success: for paid requests and polls.
	submits []func(bill func()) error
	states  []func() (*provider.State, error)
}

func (v *vendor) OpenSession(context.Context) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.opened++
	return fmt.Sprint("remote-", v.opened), nil
}

// submit takes the scripted answer, or accepts and bills.
func (v *vendor) submit(what string) (*provider.Accepted, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	bill := func() {
		v.charges = append(v.charges, what)
		v.billed.Add(1)
	}
	if len(v.submits) > 0 {
		answer := v.submits[0]
		v.submits = v.submits[1:]
		if err := answer(bill); err != nil {
			return nil, err
		}
		return &provider.Accepted{OperationID: fmt.Sprint("op-", len(v.charges))}, nil
	}
	bill()
	return &provider.Accepted{OperationID: fmt.Sprint("op-", len(v.charges))}, nil
}

func (v *vendor) Upload(_ context.Context, r *provider.Upload) (*provider.Accepted, error) {
	v.urls = append(v.urls, r.Audio.URL)
	return v.submit("upload " + r.Audio.Name + " in " + r.Session)
}

func (v *vendor) Extend(_ context.Context, r *provider.Extend) (*provider.Accepted, error) {
	return v.submit(fmt.Sprintf("extend %s at %g", r.Clip.ID, r.Params.ContinueAt))
}

func (v *vendor) Poll(_ context.Context, op *provider.Operation) (*provider.State, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.polls++
	if len(v.states) > 0 {
		answer := v.states[0]
		v.states = v.states[1:]
		return answer()
	}
	if op.Step == "upload" {
		return &provider.State{Done: true, Clip: &provider.Clip{ID: "clip-" + op.ID}}, nil
	}
	return &provider.State{Done: true, Tracks: []provider.Track{
		{AudioID: op.ID + "-a", AudioURL: "https://cdn.test/" + op.ID + "-a"},
		{AudioID: op.ID + "-b", AudioURL: "https://cdn.test/" + op.ID + "-b"},
	}}, nil
}

// Credits is 100, less two for everything that was billed. It may be asked for while
// a request is being answered.
func (v *vendor) Credits(context.Context) (float64, error) {
	return 100 - 2*float64(v.billed.Load()), nil
}

// shelf is an archive in memory.
type shelf struct {
	mu    sync.Mutex
	kept  map[string]string // name → URL
	files map[string]string
	fails []error
}

func (s *shelf) Keep(_ context.Context, w archive.Want) (*archive.Kept, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fails) > 0 {
		err := s.fails[0]
		s.fails = s.fails[1:]
		if err != nil {
			return nil, err
		}
	}
	s.kept[w.Name] = w.URL
	return &archive.Kept{File: "/archive/" + w.Name + ".mp3", Size: 1, SHA256: "00", Format: "mp3", Duration: 3}, nil
}

func (s *shelf) Put(_ context.Context, name string, r io.Reader) error {
	body, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[name] = string(body)
	return err
}

// rig is a Segue over an in-process Redis whose clock the test moves, with a
// scripted provider. Tasks are delivered by the test, so that it may deliver them
// twice, late, or to a worker that dies.
type rig struct {
	t      *testing.T
	clock  time.Time
	mini   *miniredis.Miniredis
	store  *session.Store
	ledger *ledger.Book
	gate   *account.Gate
	vendor *vendor
	shelf  *shelf
	info   provider.Info
	rdb    redis.UniversalClient
	driver provider.Driver // vendor, or something around it
	budget *float64        // the account's
	h      *handlers.Handlers
	make   func() *handlers.Handlers
	born   int
}

func newRig(t *testing.T) *rig {
	t.Helper()
	rdb, mini := redistest.Mini(t)
	r := &rig{
		t: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), mini: mini,
		store: session.NewStore(rdb), vendor: &vendor{},
		shelf: &shelf{kept: map[string]string{}, files: map[string]string{}},
		info: provider.Info{
			Name: "vendor", Uploads: provider.Uploads{Paid: true, Clips: true, Formats: []string{"mp3"}},
			Models: []provider.Model{{Name: "m1"}}, Prices: provider.Prices{Upload: 2, Extend: 10},
			Poll:      provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second, Deadline: time.Hour},
			Retention: 14 * 24 * time.Hour,
		},
	}
	mini.SetTime(r.clock)
	r.driver, r.rdb = r.vendor, rdb
	r.ledger, r.gate = ledger.New(rdb), account.NewGate(rdb)
	r.make = func() *handlers.Handlers {
		pool := account.NewPool(func(name, acc string) (*account.Account, error) {
			return &account.Account{Provider: name, Name: acc, Info: r.info, Driver: r.driver, Budget: r.budget}, nil
		})
		return r.handlers(queue.New(rdb), pool, timing.NewBook(rdb))
	}
	r.restart()
	return r
}

func (r *rig) handlers(q *queue.Queue, pool *account.Pool, book *timing.Book) *handlers.Handlers {
	return &handlers.Handlers{
		Store: r.store, Queue: q, Accounts: pool, Ledger: r.ledger, Gate: r.gate, Timing: book, GiveUp: 24 * time.Hour,
		Log:     slog.New(slog.DiscardHandler),
		Archive: func(string) (archive.Archive, error) { return r.shelf, nil },
		Stage:   func(_ context.Context, s session.Source) (string, error) { return "https://stage.test/" + s.Name, nil },
		Probe: func(_ context.Context, s session.Source) (session.Source, error) {
			s.Format, s.Duration, s.SHA256 = "mp3", 60, "ff"
			return s, nil
		},
	}
}

// restart is a new process: it has a new name, and its predecessor beats no more.
func (r *rig) restart() {
	r.born++
	r.h = r.make()
	r.h.Worker = fmt.Sprint("worker-", r.born)
	r.beat()
}

func (r *rig) beat() {
	r.t.Helper()
	if _, err := r.store.Beat(r.t.Context(), r.h.Worker); err != nil {
		r.t.Fatal(err)
	}
}

// pass moves Redis's clock; the living worker goes on beating.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	r.clock = r.clock.Add(d)
	r.mini.SetTime(r.clock)
	r.beat()
}

// submit writes a session of n items that are extended.
func (r *rig) submit(n int, spec session.Spec) string {
	r.t.Helper()
	id, err := session.NewID()
	if err != nil {
		r.t.Fatal(err)
	}
	spec.ID, spec.Provider, spec.Account = id, "vendor", "main"
	spec.Params = &provider.Params{Model: "m1", ContinueAt: -5}
	if _, _, err := r.store.Create(r.t.Context(), spec, false); err != nil {
		r.t.Fatal(err)
	}
	items := make([]session.New, n)
	for i := range items {
		name := string(rune('a'+i)) + ".mp3"
		items[i].Item = session.NewItem(session.Source{Name: name, Path: "/in/" + name}, session.PlanFor(true), nil)
	}
	if _, err := r.store.Add(r.t.Context(), id, 0, items, time.Minute); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.store.Seal(r.t.Context(), id); err != nil {
		r.t.Fatal(err)
	}
	return id
}

func (r *rig) item(id string, index int) *session.Item {
	r.t.Helper()
	work, err := r.store.Load(r.t.Context(), id, index)
	if err != nil {
		r.t.Fatal(err)
	}
	return &work.Item
}

// errCrash is what a worker that died leaves.
var errCrash = errors.New("the process died")

// deliver executes a task as asynq would, and survives the worker's death.
func (r *rig) deliver(task tasks.Task) (err error) {
	r.t.Helper()
	defer func() {
		if p := recover(); p != nil {
			if p != errCrash { //nolint:errorlint // a panic's value, compared by identity
				panic(p)
			}
			err = errCrash
		}
	}()
	ctx := r.t.Context()
	switch task.Type {
	case "audio:upload":
		p, err := tasks.AudioUpload.Decode(task.Payload)
		return errors.Join(err, r.h.Upload(ctx, p))
	case "audio:extend":
		p, err := tasks.AudioExtend.Decode(task.Payload)
		return errors.Join(err, r.h.Extend(ctx, p))
	case "audio:poll":
		p, err := tasks.AudioPoll.Decode(task.Payload)
		return errors.Join(err, r.h.Poll(ctx, p))
	case "audio:reconcile":
		p, err := tasks.AudioReconcile.Decode(task.Payload)
		return errors.Join(err, r.h.Reconcile(ctx, p))
	case "audio:fetch":
		p, err := tasks.AudioFetch.Decode(task.Payload)
		return errors.Join(err, r.h.Fetch(ctx, p))
	case "session:admit":
		p, err := tasks.SessionAdmit.Decode(task.Payload)
		return errors.Join(err, r.h.Admit(ctx, p))
	case "session:settle":
		p, err := tasks.SessionSettle.Decode(task.Payload)
		return errors.Join(err, r.h.Settle(ctx, p))
	}
	r.t.Fatalf("no handler executes %s", task.Type)
	return nil
}

// next is the task that an item's state asks for.
func (r *rig) next(id string, index int) (tasks.Task, bool) {
	r.t.Helper()
	task, ok, err := session.Next(r.item(id, index))
	if err != nil {
		r.t.Fatal(err)
	}
	return task, ok
}

// admit lets in what waits.
func (r *rig) admit() {
	r.t.Helper()
	if err := r.h.Admit(r.t.Context(), tasks.Admit{V: 1, Provider: "vendor", Account: "main", Seq: 1}); err != nil {
		r.t.Fatalf("admit: %v", err)
	}
}

func (r *rig) sweep() {
	r.t.Helper()
	if err := r.h.Sweep(r.t.Context(), tasks.Sweep{V: 1, Slot: 1}); err != nil {
		r.t.Fatalf("sweep: %v", err)
	}
}

// carryOn delivers whatever the state asks for, moving the clock, until the
// session is settled or only a person can go on.
func (r *rig) carryOn(id string) *session.Session {
	r.t.Helper()
	for range 200 {
		current, err := r.store.Session(r.t.Context(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		settled := current.Completions > 0 && current.Completions == current.Settled
		if settled || current.Status() == session.StatusHeld {
			return current
		}
		for index := range current.Total {
			if task, ok := r.next(id, index); ok {
				_ = r.deliver(task) // its outcome is in the state
			}
		}
		if current.Completions > current.Settled {
			task, err := session.SettleTask(id, current.Completions, 0)
			if err != nil {
				r.t.Fatal(err)
			}
			_ = r.deliver(task)
		}
		r.pass(3 * time.Second)
		r.sweep()
	}
	r.t.Fatalf("the session does not end: %+v", r.item(id, 0))
	return nil
}

func (r *rig) wantCharges(want ...string) {
	r.t.Helper()
	if !slices.Equal(r.vendor.charges, want) {
		r.t.Errorf("charges:\n  %s\nwant:\n  %s", strings.Join(r.vendor.charges, "\n  "), strings.Join(want, "\n  "))
	}
}

// The answers of a provider that does not simply accept.
func refuse(code fault.Code) func(func()) error {
	return func(func()) error { return fault.Uncharged(code, "vendor.Submit", errors.New("refused")) }
}

func billAndLose(bill func()) error {
	bill()
	return fault.New(fault.Timeout, "vendor.Submit", errors.New("no answer"))
}

func loseUnbilled(func()) error {
	return fault.New(fault.Timeout, "vendor.Submit", errors.New("no answer"))
}
