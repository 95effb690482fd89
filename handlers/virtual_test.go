package handlers_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/timing"
)

// backlogFlag is how many items wait in the tests of large backlogs.
var backlogFlag = flag.Int("limits.backlog", 240, "items that wait in the tests of large backlogs")

// backlog is how many items wait: fewer under the race detector.
func backlog() int {
	if underRace {
		return min(*backlogFlag, 80)
	}
	return *backlogFlag
}

// strict is a provider in memory that allows so much and no more, and keeps its own log.
type strict struct {
	limits provider.Limits
	takes  time.Duration // an operation

	mu       sync.Mutex
	closed   [2]time.Time // it answers 455 from, until
	accepted []time.Time
	ends     map[string]time.Time
	over     int         // answers of 429
	refused  []time.Time // answers of 455
	asked    []string    // by which clip, in order
	most     int         // in flight
}

func (s *strict) Upload(_ context.Context, r *provider.Upload) (*provider.Accepted, error) {
	return &provider.Accepted{Clip: &provider.Clip{URL: "https://staged.test/" + r.Audio.Name}}, nil
}

func (s *strict) Extend(_ context.Context, r *provider.Extend) (*provider.Accepted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if !now.Before(s.closed[0]) && now.Before(s.closed[1]) {
		s.refused = append(s.refused, now)
		return nil, &fault.Error{Code: fault.Unavailable, Scope: fault.ScopeProvider, Charge: fault.ChargeNone, Err: errors.New("455: maintenance")}
	}
	within, running := 0, 0
	for _, at := range s.accepted {
		if now.Sub(at) < s.limits.Submit.Per {
			within++
		}
	}
	for _, end := range s.ends {
		if now.Before(end) {
			running++
		}
	}
	if within >= s.limits.Submit.N || running >= s.limits.InFlight {
		s.over++
		return nil, &fault.Error{Code: fault.Exhausted, Scope: fault.ScopeEndpoint, Charge: fault.ChargeNone, Err: errors.New("429")}
	}
	s.most = max(s.most, running+1)
	s.accepted = append(s.accepted, now)
	s.asked = append(s.asked, r.Clip.URL)
	id := fmt.Sprint("op-", len(s.asked))
	s.ends[id] = now.Add(s.takes)
	return &provider.Accepted{OperationID: id}, nil
}

func (s *strict) Poll(_ context.Context, op *provider.Operation) (*provider.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.ends[op.ID]) {
		return &provider.State{Word: "running"}, nil
	}
	delete(s.ends, op.ID)
	return &provider.State{Done: true, Tracks: []provider.Track{{AudioID: op.ID + "-a", AudioURL: "https://cdn.test/" + op.ID}}}, nil
}

func (s *strict) Credits(context.Context) (float64, error) { return 1e6, nil }

// deliveries counts how often each task was executed, by what workers log of it.
type deliveries struct {
	slog.Handler
	mu    sync.Mutex
	tasks map[string]int
}

func (d *deliveries) Enabled(context.Context, slog.Level) bool { return true }

func (d *deliveries) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "task attempt" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "task_id" {
			d.mu.Lock()
			d.tasks[a.Value.String()]++
			d.mu.Unlock()
		}
		return true
	})
	return nil
}

// of gives the deliveries of a type's tasks by item.
func (d *deliveries) of(typeName string) map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	items := map[string]int{}
	for id, n := range d.tasks {
		if rest, ok := strings.CutPrefix(id, typeName+":"); ok {
			item, _, _ := strings.Cut(rest, ":")
			items[item] += n
		}
	}
	return items
}

// town is workers with asynq's own servers, in virtual time.
type town struct {
	t        *testing.T
	mini     *miniredis.Miniredis
	rdb      *redis.Client
	client   *enqueue.Client
	store    *session.Store
	vendor   *strict
	log      *deliveries
	commands atomic.Int64
	stop     func()
}

// counted counts commands, and scripts as one each.
type counted struct{ n *atomic.Int64 }

func (c counted) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c counted) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c counted) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// newTown starts workers. It is called within a bubble.
func newTown(t *testing.T, workers int, vendor *strict) *town {
	t.Helper()
	return newTownOf(t, workers, vendor, nil)
}

// newTownOf starts workers that are changed before, given what is known of the provider.
func newTownOf(t *testing.T, workers int, vendor *strict, change func(*handlers.Handlers, provider.Info)) *town {
	t.Helper()
	handlers.SlowServers(t)
	mini := miniredis.NewMiniRedis()
	rdb := redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) { return mini.Dial() },
		// Timers that close idle connections would end the bubble's quiet.
		ConnMaxIdleTime: -1, PoolSize: 200, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	w := &town{
		t: t, mini: mini, rdb: rdb, client: enqueue.NewFromRedis(rdb), store: session.NewStore(rdb), vendor: vendor,
		log: &deliveries{Handler: slog.DiscardHandler, tasks: map[string]int{}},
	}
	vendor.ends = map[string]time.Time{}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for n := range workers {
		own := redis.NewClient(rdb.Options())
		own.AddHook(counted{&w.commands})
		h, info := w.worker(own, n)
		if change != nil {
			change(h, info)
		}
		all.Go(func() {
			if err := h.Work(ctx, own, handlers.Concurrency{Upload: 4, Fetch: 4, Calls: 16}, time.Second); err != nil {
				t.Error(err)
			}
			_ = own.Close()
		})
	}
	all.Go(func() { // what expires does so by this clock
		for ctx.Err() == nil {
			time.Sleep(time.Second)
			mini.FastForward(time.Second)
		}
	})
	w.stop = func() {
		cancel()
		all.Wait()
		_ = rdb.Close()
		mini.Close()
	}
	return w
}

func (w *town) worker(rdb *redis.Client, n int) (*handlers.Handlers, provider.Info) {
	info := provider.Info{
		Name: "vendor", Uploads: provider.Uploads{Formats: []string{"mp3"}}, Limits: w.vendor.limits,
		Models: []provider.Model{{Name: "m1"}}, Poll: provider.Polling{Min: 5 * time.Second, Max: 30 * time.Second, Deadline: time.Hour},
	}
	pool := account.NewPool(func(name, acc string) (*account.Account, error) {
		return &account.Account{Provider: name, Name: acc, Info: info, Driver: w.vendor}, nil
	})
	shelf := &shelf{kept: map[string]string{}, files: map[string]string{}}
	return &handlers.Handlers{
		Store: session.NewStore(rdb), Queue: queue.New(rdb), Accounts: pool, Ledger: ledger.New(rdb), Gate: account.NewGate(rdb), Timing: timing.NewBook(rdb), Retention: retention.NewBook(rdb),
		GiveUp: 24 * time.Hour, Log: slog.New(w.log), Worker: fmt.Sprint("worker-", n),
		Archive: func(string) (archive.Archive, error) { return shelf, nil },
		Open: func(context.Context, session.Source) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("x")), nil
		},
		Stage: func(_ context.Context, s session.Source) (string, error) { return "https://stage.test/" + s.Name, nil },
		Probe: func(_ context.Context, s session.Source) (session.Source, error) {
			s.Format, s.Duration, s.SHA256 = "mp3", 60, "ff"
			return s, nil
		},
		Announced: func() []account.Known {
			return []account.Known{{ID: account.ID{Provider: "vendor", Name: "main"}, Endpoint: account.KindExtend}}
		},
	}, info
}

// submit submits a session of so many items and returns its id.
func (w *town) submit(name string, items int) string {
	w.t.Helper()
	s := enqueue.Session{Provider: "vendor", Extend: &enqueue.Extend{Model: "m1", ContinueAt: -5}}
	for n := range items {
		s.Items = append(s.Items, enqueue.Item{Source: fmt.Sprintf("/in/%s-%d.mp3", name, n)})
	}
	submitted, err := w.client.Submit(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	return submitted.SessionID
}

// wait waits until a session is over, and wants all of it to have succeeded.
func (w *town) wait(id string) time.Duration {
	w.t.Helper()
	start := time.Now()
	status, err := w.client.Wait(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if status.Status != "succeeded" {
		w.t.Errorf("session %s: %+v, want all succeeded", status.Status, status.Counts)
	}
	return time.Since(start)
}

// worst is the largest number of times within any span.
func worst(times []time.Time, span time.Duration) int {
	most := 0
	for n, first := range times {
		within := 0
		for _, at := range times[n:] {
			if at.Sub(first) < span {
				within++
			}
		}
		most = max(most, within)
	}
	return most
}

var twentyInTen = provider.Limits{Submit: provider.Rate{N: 20, Per: 10 * time.Second}, InFlight: 100}

// TestLimitsAreUsedAndNeverPassed: a backlog is worked off at the allowed rate, the
// provider never has to say 429, and nobody is woken in vain.
func TestLimitsAreUsedAndNeverPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vendor := &strict{limits: twentyInTen, takes: 20 * time.Second}
		w := newTown(t, 2, vendor)
		defer w.stop()
		id := w.submit("a", backlog())
		w.wait(id)
		if vendor.over != 0 {
			t.Errorf("%d answers of 429, want none", vendor.over)
		}
		if got := worst(vendor.accepted, 10*time.Second); got > 20 {
			t.Errorf("%d requests within 10 s, want at most 20", got)
		}
		if vendor.most > 100 {
			t.Errorf("%d operations in flight, want at most 100", vendor.most)
		}
		took := vendor.accepted[len(vendor.accepted)-1].Sub(vendor.accepted[0])
		allowed := time.Duration(backlog()-20) * 10 * time.Second / 20
		want := 0.95
		if backlog() < 200 {
			want = 0.9 // the last turn may be late by some seconds, whatever the number
		}
		if used := float64(allowed) / float64(took); used < want {
			t.Errorf("%.1f %% of the allowed rate was used (%s instead of %s), want 95", 100*used, took, allowed)
		}
		again := 0
		for _, n := range w.log.of("audio:extend") {
			again += n - 1
		}
		t.Logf("%d of %d items were woken more than once", again, backlog())
		if again > 2+backlog()/100 {
			t.Errorf("%d of %d items were woken more than once at their extend, want next to none", again, backlog())
		}
	})
}

// TestMaintenance: ten minutes of 455 cost no retry, one request at a time looks
// whether they are over, and then it goes on at the full rate.
func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		vendor := &strict{limits: twentyInTen, takes: 20 * time.Second, closed: [2]time.Time{start.Add(time.Minute), start.Add(11 * time.Minute)}}
		w := newTown(t, 2, vendor)
		defer w.stop()
		id := w.submit("a", min(300, 2*backlog()))
		w.wait(id)
		const first = 20 // what was on its way when it began, at most
		if n := len(vendor.refused); n < 20 || n > first+600/5 {
			t.Errorf("%d answers of 455 in ten minutes, want one test in 5 to 10 s", n)
		}
		for n := first; n < len(vendor.refused); n++ {
			if gap := vendor.refused[n].Sub(vendor.refused[n-1]); gap < 5*time.Second {
				t.Errorf("two tests within %s, want one at a time", gap)
			}
		}
		reopened, soon := vendor.closed[1], 0
		for _, at := range vendor.accepted {
			if !at.Before(reopened) && at.Sub(reopened) <= 15*time.Second {
				soon++
			}
		}
		if soon < 20 {
			t.Errorf("%d requests in the 15 s after it ended, want the full rate", soon)
		}
		retried := 0
		err := w.store.Each(t.Context(), id, 0, 0, func(it *session.Item) error {
			retried += it.Attempts
			return nil
		})
		if err != nil || retried != 0 {
			t.Errorf("%d attempts counted, %v; want none", retried, err)
		}
	})
}

// TestSmallSessionBesideALargeOne finishes within three times of what it takes alone.
func TestSmallSessionBesideALargeOne(t *testing.T) {
	measure := func(first int) (took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newTown(t, 2, &strict{limits: twentyInTen, takes: 30 * time.Second})
			defer w.stop()
			if first > 0 {
				w.submit("large", first)
				time.Sleep(2 * time.Minute)
			}
			took = w.wait(w.submit("small", 3))
		})
		return took
	}
	alone, beside := measure(0), measure(backlog())
	t.Logf("alone %s, beside %d items %s", alone, backlog(), beside)
	if beside > 3*alone {
		t.Errorf("3 items take %s behind %d, and %s alone; want at most three times that", beside, backlog(), alone)
	}
}

// TestCommandsPerItemDoNotGrow: what waits costs nothing.
func TestCommandsPerItemDoNotGrow(t *testing.T) {
	if underRace {
		t.Skip("it counts commands, which the race detector does not change: make test runs it without")
	}
	measure := func(items int) (perItem float64) {
		synctest.Test(t, func(t *testing.T) {
			w := newTown(t, 1, &strict{limits: twentyInTen, takes: 20 * time.Second})
			defer w.stop()
			id := w.submit("a", items)
			time.Sleep(time.Minute) // it is under way
			commands, began := w.commands.Load(), len(w.vendor.accepted)
			time.Sleep(2 * time.Minute)
			w.vendor.mu.Lock()
			worked := len(w.vendor.accepted) - began
			w.vendor.mu.Unlock()
			perItem = float64(w.commands.Load()-commands) / float64(worked)
			if _, err := w.client.Cancel(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		})
		return perItem
	}
	few, many := measure(400), measure(max(4000, backlog()))
	t.Logf("commands per item: %.1f with 400 waiting, %.1f with %d", few, many, max(4000, backlog()))
	if many > few*1.1 {
		t.Errorf("%.1f commands per item with many waiting, %.1f with few; want the same", many, few)
	}
}
