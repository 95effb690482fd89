package schedule_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/schedule"
)

// seeds is how many interleavings of each drill are tried.
var seeds = flag.Uint64("schedule.seeds", 1, "how many orders in which schedulers are killed to try")

var errKilled = errors.New("this scheduler was killed")

// fate is what happens to a scheduler at one of its steps: a command to Redis, or a
// task put on the queue.
type fate int

const (
	goOn fate = iota
	killBefore
	// killAfter lets the step take effect, and nobody hears of it.
	killAfter
)

// replica is a scheduler whose every step waits for the test to let it go on, so that
// one seed is one interleaving.
type replica struct {
	role  *schedule.Scheduler
	tick  func(context.Context) error
	asks  chan struct{} // it is before a step
	fates chan fate
	over  chan error // its tick has ended
	dead  bool
}

func newReplica(t *testing.T, w *world) *replica {
	t.Helper()
	r := &replica{asks: make(chan struct{}), fates: make(chan fate), over: make(chan error)}
	rdb, err := redisconn.Open("redis://" + w.clock.Addr())
	w.ok(err)
	t.Cleanup(func() { w.ok(rdb.Close()) })
	// What a connection says when it is made is no step.
	w.ok(rdb.Ping(t.Context()).Err())
	rdb.AddHook(r)
	r.tick = func(ctx context.Context) error { return r.role.Tick(ctx) }
	r.role = &schedule.Scheduler{
		Store: schedule.NewStore(rdb), Active: w.active, Log: slog.New(slog.DiscardHandler),
		Enqueue: func(ctx context.Context, f schedule.Firing) error {
			return r.step(func() error { return w.enqueue(ctx, f) })
		},
	}
	return r
}

func (r *replica) step(act func() error) error {
	if r.dead {
		return errKilled
	}
	r.asks <- struct{}{}
	is := <-r.fates
	if r.dead = is != goOn; is == killBefore {
		return errKilled
	}
	err := act()
	if r.dead {
		return errKilled
	}
	return err
}

func (r *replica) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *replica) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := r.step(func() error { return next(ctx, cmd) })
		if r.dead {
			cmd.SetErr(errKilled)
		}
		return err
	}
}

func (r *replica) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds) }
}

// await waits until the replica is before a step, or through: then it answers false.
func (r *replica) await(t *testing.T) bool {
	t.Helper()
	select {
	case <-r.asks:
		return true
	case err := <-r.over:
		if err != nil && !r.dead {
			t.Fatalf("%v, of a role that was not killed", err)
		}
		return false
	}
}

// drill is a world in which three schedulers look at once and two of them are killed,
// while a handler reports.
type drill struct {
	*world
	rng      *rand.Rand
	replicas []*replica
	rules    []*rules
	kills    int
	// handled is how many tasks have been given to a handler, events what it and its
	// sessions do later.
	handled int
	events  []event
	// reports are what the handler has to say now.
	reports []schedule.Firing
}

type event struct {
	at   time.Time
	what func()
}

// round lets each scheduler look once, one step at a time in an order that the seed
// decides. The first two may die at any step, and are started again for the next round.
func (d *drill) round() {
	d.t.Helper()
	var before []*replica
	for _, r := range d.replicas {
		r.dead = false
		go func() { r.over <- r.tick(context.Background()) }()
		if r.await(d.t) {
			before = append(before, r)
		}
	}
	for len(before) > 0 {
		n := d.rng.IntN(len(before))
		r, is := before[n], goOn
		if n := slices.Index(d.replicas, r); n < 2 && d.rng.IntN(12) == 0 {
			is = []fate{killBefore, killAfter}[d.rng.IntN(2)]
			d.kills++
		}
		r.fates <- is
		if !r.await(d.t) {
			before = slices.Delete(before, n, n+1)
		}
	}
}

// look brings everything up to a moment.
func (d *drill) look(now time.Time) {
	d.t.Helper()
	d.now = now
	d.clock.SetTime(now)
	for len(d.events) > 0 && !d.events[0].at.After(now) {
		next := d.events[0]
		d.events = d.events[1:]
		next.what()
	}
	for _, r := range d.rules {
		r.look(now)
	}
	for {
		d.round()
		due, err := d.rdb.ZCount(d.t.Context(), "segue:{schedules}", "-inf", strconv.FormatInt(now.UnixMilli(), 10)).Result()
		d.ok(err)
		if due == 0 {
			break
		}
	}
	d.handle()
}

// handle does what the tasks on the queue lead to: a report soon, a session for a while.
func (d *drill) handle() {
	for ; d.handled < len(d.tasks); d.handled++ {
		f := d.known[d.tasks[d.handled]]
		session := fmt.Sprintf("ses_%d", d.handled)
		of := d.rules[slices.IndexFunc(d.rules, func(r *rules) bool { return r.entry.Name == f.Schedule })]
		d.later(d.now.Add(time.Duration(d.rng.IntN(90))*time.Second), func() {
			d.running[session], f.Session = true, session
			d.reports = append(d.reports, f)
			// Later than the look at which it is reported.
			d.later(d.now.Add(time.Duration(1+d.rng.IntN(30*60))*time.Second), func() {
				delete(d.running, session)
				of.ended[f.Fire] = true
			})
		})
	}
}

// report is the handler's part of a round: it speaks while schedulers look.
func (d *drill) report(ctx context.Context) error {
	for ; len(d.reports) > 0; d.reports = d.reports[1:] {
		f := d.reports[0]
		if err := d.replicas[3].role.Store.Submitted(ctx, f.Schedule, f.Fire, f.Session, ""); err != nil {
			return err
		}
	}
	return nil
}

func (d *drill) later(at time.Time, what func()) {
	d.events = append(d.events, event{at, what})
	slices.SortStableFunc(d.events, func(a, b event) int { return a.at.Compare(b.at) })
}

// rules are what must become of the firings of one schedule: the policies once more,
// for one observer who never dies.
type rules struct {
	entry    schedule.Entry
	calendar []time.Time // firings that have not come
	states   map[string]schedule.State
	queued   string
	started  []string
	ended    map[string]bool
}

func (r *rules) busy() bool {
	return slices.ContainsFunc(r.started, func(fire string) bool { return !r.ended[fire] })
}

func (r *rules) start(fire string) {
	r.states[fire] = schedule.Started
	r.started = append(r.started, fire)
}

func (r *rules) look(now time.Time) {
	if r.queued != "" && !r.busy() {
		r.start(r.queued)
		r.queued = ""
	}
	for len(r.calendar) > 0 && !r.calendar[0].After(now) {
		at, fire := r.calendar[0], strconv.FormatInt(r.calendar[0].Unix(), 10)
		r.calendar = r.calendar[1:]
		followed := len(r.calendar) > 0 && !r.calendar[0].After(now)
		switch {
		case now.Sub(at) > max(time.Minute, r.entry.CatchUp), r.entry.Overlap == schedule.Skip && followed:
			r.states[fire] = schedule.Missed
		case r.entry.Overlap == schedule.Allow || !r.busy():
			r.start(fire)
		case r.entry.Overlap == schedule.Queue && r.queued == "":
			r.states[fire], r.queued = schedule.Queued, fire
		default:
			r.states[fire] = schedule.Skipped
		}
	}
}

func newDrill(t *testing.T, start time.Time, seed uint64) *drill {
	t.Helper()
	d := &drill{world: newWorld(t, start.Format(time.RFC3339)), rng: rand.New(rand.NewPCG(seed, 6))}
	for range 4 {
		d.replicas = append(d.replicas, newReplica(t, d.world))
	}
	d.replicas[3].tick = d.report
	every := func(minutes ...int) func(int, int) bool {
		return func(_, minute int) bool { return slices.Contains(minutes, minute) }
	}
	end := start.Add(drillFor)
	add := func(cron, zone string, o schedule.Overlap, catch time.Duration, matches func(hour, minute int) bool) {
		e := entry(fmt.Sprintf("%s-%d", o, len(d.rules)), cron, overlap(o), catchUp(catch))
		e.Timezone = zone
		place, err := time.LoadLocation(zone)
		d.ok(err)
		d.rules = append(d.rules, &rules{
			entry: e, calendar: calendar(start, end, place, matches),
			states: make(map[string]schedule.State), ended: make(map[string]bool),
		})
	}
	add("@every 15m", "Europe/Berlin", schedule.Allow, 0, every(0, 15, 30, 45))
	// In UTC nothing is skipped or repeated, and neither is what goes by elapsed time.
	d.rules[0].calendar = calendar(start, end, time.UTC, every(0, 15, 30, 45))
	add("*/15 * * * *", "Europe/Berlin", schedule.Skip, time.Hour, every(0, 15, 30, 45))
	add("0,30 * * * *", "Australia/Lord_Howe", schedule.Queue, 90*time.Minute, every(0, 30))
	add("0 * * * *", "America/New_York", schedule.Skip, 0, every(0))
	add("30 2 * * *", "Europe/Berlin", schedule.Allow, 6*time.Hour, func(hour, minute int) bool { return hour == 2 && minute == 30 })
	entries := make([]schedule.Entry, 0, len(d.rules))
	for _, r := range d.rules {
		entries = append(entries, r.entry)
	}
	d.sync(entries...)
	return d
}

const drillFor = 4 * 24 * time.Hour

// judge compares what became of every firing with the rules, and the queue with both.
func (d *drill) judge() {
	d.t.Helper()
	var started []string
	total := 0
	for _, r := range d.rules {
		history, err := d.History(d.t.Context(), r.entry.Name, 1000, "")
		d.ok(err)
		got := make(map[string]schedule.State, len(history))
		for _, f := range history {
			got[f.Fire] = f.State
		}
		if diff := cmp.Diff(r.states, got); diff != "" {
			d.t.Errorf("%s: what became of its firings (-want +got):\n%s", r.entry.Name, diff)
		}
		for _, fire := range r.started {
			started = append(started, r.entry.Name+"@"+fire)
		}
		total += len(history)
	}
	slices.Sort(started)
	tasks := slices.Sorted(slices.Values(d.tasks))
	if diff := cmp.Diff(started, tasks); diff != "" {
		d.t.Errorf("tasks on the queue, each once (-want +got):\n%s", diff)
	}
	missed := 0
	for _, state := range d.rules[0].states {
		if state == schedule.Missed {
			missed++
		}
	}
	if total < 1000 || missed != 8 || d.kills < 300 {
		d.t.Errorf("%d firings, %d quarters of an hour missed, %d kills; want 1,000, the 8 of the outage, and 300 at least", total, missed, d.kills)
	}
	d.t.Logf("%d firings, %d started, %d kills, %d calls of the queue", total, len(started), d.kills, d.calls)
}

// Three schedulers, two of them killed at random, a thousand firings of virtual time
// across a change of the clocks and an outage of two hours: each due firing once, and
// what was missed by policy.
func TestEachDueFiringOnce(t *testing.T) {
	drills := []struct{ name, start, outage string }{
		{"clocks go forward", "2026-03-27T00:00:20Z", "2026-03-30T20:20:00Z"},
		{"clocks go back during the outage", "2026-10-22T00:00:20Z", "2026-10-25T00:20:00Z"},
		{"clocks go forward during the outage", "2026-03-27T00:00:20Z", "2026-03-29T00:20:00Z"},
	}
	for seed := range *seeds {
		c := drills[seed%uint64(len(drills))]
		t.Run(fmt.Sprintf("%s, seed %d", c.name, seed), func(t *testing.T) {
			d := newDrill(t, moment(t, c.start), seed)
			outage := moment(t, c.outage)
			for quarter := d.now.Truncate(15 * time.Minute); quarter.Before(moment(t, c.start).Add(drillFor)); quarter = quarter.Add(15 * time.Minute) {
				// Within what counts as on time, and now and then once later.
				for _, later := range []int{20 + d.rng.IntN(35), 60 + d.rng.IntN(800)}[:1+d.rng.IntN(5)/4] {
					now := quarter.Add(time.Duration(later) * time.Second)
					if now.Before(outage) || now.After(outage.Add(2*time.Hour)) {
						d.look(now)
					}
				}
			}
			d.judge()
		})
	}
}
