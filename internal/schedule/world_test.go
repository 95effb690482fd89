package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/schedule"
)

// world is a Redis whose clock the test moves, a scheduler over it, and what stands
// for the queue and the sessions.
type world struct {
	*schedule.Store
	t     *testing.T
	rdb   redis.UniversalClient
	clock *miniredis.Miniredis
	now   time.Time
	role  *schedule.Scheduler

	mu sync.Mutex
	// tasks are the firings on the queue, in order, each once; broken is what its next
	// calls answer instead.
	tasks  []string
	known  map[string]schedule.Firing
	calls  int
	broken error
	// running are the sessions that are not over.
	running map[string]bool
}

func newWorld(t *testing.T, start string) *world {
	t.Helper()
	rdb, clock := redistest.Mini(t)
	w := worldOver(t, rdb)
	w.clock = clock
	w.at(start)
	return w
}

func worldOver(t *testing.T, rdb redis.UniversalClient) *world {
	t.Helper()
	w := &world{
		Store: schedule.NewStore(rdb), t: t, rdb: rdb,
		known: make(map[string]schedule.Firing), running: make(map[string]bool),
	}
	w.role = w.scheduler(rdb)
	return w
}

func (w *world) scheduler(rdb redis.UniversalClient) *schedule.Scheduler {
	return &schedule.Scheduler{
		Store: schedule.NewStore(rdb), Enqueue: w.enqueue, Active: w.active, Log: slog.New(slog.DiscardHandler),
	}
}

func (w *world) enqueue(_ context.Context, f schedule.Firing) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if w.broken != nil {
		return w.broken
	}
	if _, there := w.known[f.ID()]; !there {
		w.tasks = append(w.tasks, f.ID())
		w.known[f.ID()] = f
	}
	return nil
}

func (w *world) active(_ context.Context, session string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.running[session], nil
}

// at moves the clock.
func (w *world) at(text string) {
	w.t.Helper()
	w.now = moment(w.t, text)
	w.clock.SetTime(w.now)
}

// tick moves the clock and lets a scheduler look.
func (w *world) tick(text string) {
	w.t.Helper()
	w.at(text)
	w.look()
}

func (w *world) look() {
	w.t.Helper()
	if err := w.role.Tick(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sync(entries ...schedule.Entry) []schedule.Change {
	w.t.Helper()
	changes, err := w.Sync(w.t.Context(), entries)
	if err != nil {
		w.t.Fatal(err)
	}
	return changes
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// submit does what a firing's task does.
func (w *world) submit(name, fire, session string) {
	w.t.Helper()
	w.running[session] = true
	w.ok(w.Submitted(w.t.Context(), name, fire, session, ""))
}

// states reads the history of a schedule, oldest decided first, as "hh:mm state" with
// the parts of the reason that say something of their own.
func (w *world) states(name string) []string {
	w.t.Helper()
	history, err := w.History(w.t.Context(), name, 10_000, "")
	w.ok(err)
	states := make([]string, 0, len(history))
	for _, f := range slices.Backward(history) {
		states = append(states, f.At.Format("15:04 ")+string(f.State))
	}
	return states
}

func (w *world) wantStates(name string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.states(name)); diff != "" {
		w.t.Errorf("firings of %s (-want +got):\n%s", name, diff)
	}
}

func (w *world) wantTasks(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.tasks); diff != "" {
		w.t.Errorf("tasks on the queue (-want +got):\n%s", diff)
	}
}

func (w *world) wantReason(name, fire, want string) {
	w.t.Helper()
	f, err := w.Firing(w.t.Context(), name, fire)
	w.ok(err)
	if !strings.Contains(f.Reason, want) {
		w.t.Errorf("firing %s: reason %q, want it to say %q", f.ID(), f.Reason, want)
	}
}

// fire names the firing of a moment.
func fire(t *testing.T, text string) string {
	t.Helper()
	return fmt.Sprint(moment(t, text).Unix())
}

func entry(name, cron string, change ...func(*schedule.Entry)) schedule.Entry {
	e := schedule.Entry{Name: name, Cron: cron, Source: "/inbox/**/*.mp3", Provider: "kie"}
	for _, one := range change {
		one(&e)
	}
	return e
}

func overlap(o schedule.Overlap) func(*schedule.Entry) {
	return func(e *schedule.Entry) { e.Overlap = o }
}

func catchUp(d time.Duration) func(*schedule.Entry) {
	return func(e *schedule.Entry) { e.CatchUp = d }
}

// onBoth runs a test against the in-process Redis and against a real one: the
// scripts must mean the same to both.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		rdb, _ := redistest.Mini(t)
		test(t, worldOver(t, rdb))
	})
	t.Run("redis-server", func(t *testing.T) {
		_, rdb := redistest.Server(t)
		test(t, worldOver(t, rdb))
	})
}

// rewind makes a schedule believe that nobody has looked at it for a while: a real
// Redis has no clock to move.
func (w *world) rewind(name string, by time.Duration) {
	w.t.Helper()
	ctx, key := w.t.Context(), "segue:{schedules}:"+name
	cursor, err := w.rdb.HGet(ctx, key, "cursor").Int64()
	w.ok(err)
	w.ok(w.rdb.HSet(ctx, key, "cursor", cursor-int64(by/time.Second)).Err())
	w.ok(w.rdb.ZAdd(ctx, "segue:{schedules}", redis.Z{Score: 0, Member: name}).Err())
}

func wantCode(t *testing.T, what string, err error, want fault.Code) {
	t.Helper()
	if got := fault.CodeOf(err); got != want {
		t.Errorf("%s = %v, want %s", what, err, want)
	}
}

var errDown = errors.New("the queue is down")
