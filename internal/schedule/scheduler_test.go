package schedule_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/schedule"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestOneFiring(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:59:30Z")
	nightly := entry("nightly", "0 * * * *")
	nightly.Extend = []byte(`{"model": "V5"}`)
	w.sync(nightly)
	w.tick("2026-11-22T09:59:59Z")
	w.wantTasks()
	w.tick("2026-11-22T10:00:00Z")
	w.look()
	w.wantTasks("nightly@1795341600")

	got := w.known["nightly@1795341600"]
	want := schedule.Firing{
		Schedule: "nightly", Fire: "1795341600", Cause: schedule.ByCalendar, State: schedule.Started,
		At: w.now.UTC(), Start: w.now.UTC(), Decided: w.now.UTC(), Version: 1, Entry: nightly,
	}
	want.Entry.Origin, want.Entry.Extend = schedule.FromConfig, []byte(`{"model":"V5"}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the firing as it was enqueued (-want +got):\n%s", diff)
	}

	w.submit("nightly", "1795341600", "ses_a")
	w.tick("2026-11-22T10:30:00Z")
	open, err := w.Firing(t.Context(), "nightly", "1795341600")
	w.ok(err)
	if !open.Open() || open.Session != "ses_a" || !open.Enqueued.Equal(moment(t, "2026-11-22T10:00:00Z")) {
		t.Errorf("while its session runs the firing is %+v, want it open, enqueued at 10:00 as ses_a", open)
	}
	delete(w.running, "ses_a")
	w.tick("2026-11-22T10:31:00Z")
	over, err := w.Firing(t.Context(), "nightly", "1795341600")
	w.ok(err)
	if over.Open() || over.State != schedule.Started || !over.Ended.Equal(w.now) || over.Entry.Name != "" {
		t.Errorf("after its session the firing is %+v, want it ended at 10:31 and without its entry", over)
	}
}

func TestOverlap(t *testing.T) {
	cases := []struct {
		overlap schedule.Overlap
		want    []string
		tasks   int
		reason  string // of the firing of 10:30
	}{
		{"", []string{"10:00 started", "10:15 skipped", "10:30 skipped", "10:45 skipped"}, 1, "x@1795341600 still ran (ses_a)"},
		{schedule.Skip, []string{"10:00 started", "10:15 skipped", "10:30 skipped", "10:45 skipped"}, 1, "x@1795341600 still ran (ses_a)"},
		{schedule.Queue, []string{"10:00 started", "10:15 queued", "10:30 skipped", "10:45 skipped"}, 1, "folded into x@1795342500"},
		{schedule.Allow, []string{"10:00 started", "10:15 started", "10:30 started", "10:45 started"}, 4, ""},
	}
	for _, c := range cases {
		t.Run(string(c.overlap), func(t *testing.T) {
			w := newWorld(t, "2026-11-22T09:50:00Z")
			w.sync(entry("x", "*/15 * * * *", overlap(c.overlap)))
			w.tick("2026-11-22T10:00:00Z")
			w.submit("x", fire(t, "2026-11-22T10:00:00Z"), "ses_a")
			for _, at := range []string{"2026-11-22T10:15:00Z", "2026-11-22T10:30:00Z", "2026-11-22T10:45:00Z"} {
				w.tick(at)
			}
			w.wantStates("x", c.want...)
			if len(w.tasks) != c.tasks {
				t.Errorf("tasks %q, want %d", w.tasks, c.tasks)
			}
			w.wantReason("x", fire(t, "2026-11-22T10:30:00Z"), c.reason)
		})
	}
}

func TestQueuedFiringStartsWhenNothingRuns(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Queue)))
	w.tick("2026-11-22T10:00:00Z")
	w.submit("x", "1795341600", "ses_a")
	w.tick("2026-11-22T10:15:00Z")
	w.tick("2026-11-22T10:20:00Z")
	w.wantTasks("x@1795341600")
	delete(w.running, "ses_a")
	w.tick("2026-11-22T10:20:05Z")
	w.wantTasks("x@1795341600", "x@1795342500")
	w.tick("2026-11-22T10:30:00Z") // waits for the one that waited
	w.wantStates("x", "10:00 started", "10:15 started", "10:30 queued")
}

// A firing runs from its decision on, also while its task makes a session of it.
func TestFiringRunsBeforeItsSession(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *"))
	w.tick("2026-11-22T10:00:00Z")
	w.tick("2026-11-22T10:15:00Z")
	w.wantStates("x", "10:00 started", "10:15 skipped")
	w.ok(w.Idle(t.Context(), "x", "1795341600", "no file is new"))
	w.tick("2026-11-22T10:30:00Z")
	w.ok(w.Fail(t.Context(), "x", "1795343400", "the source cannot be read"))
	w.tick("2026-11-22T10:45:00Z")
	w.wantStates("x", "10:00 started", "10:15 skipped", "10:30 failed", "10:45 started")
}

func TestMissedFirings(t *testing.T) {
	cases := []struct {
		name    string
		overlap schedule.Overlap
		catchUp time.Duration
		back    string
		want    []string
	}{
		{"a short absence is none", schedule.Skip, 0, "10:00:59", []string{"10:00 started"}},
		{"a minute is", schedule.Skip, 0, "10:01:01", []string{"10:00 missed"}},
		{"nothing is caught up", schedule.Allow, 0, "11:10:00", []string{"10:00 missed", "10:15 missed", "10:30 missed", "10:45 missed", "11:00 missed"}},
		{"the one that is on time starts", schedule.Allow, 0, "11:00:01", []string{"10:00 missed", "10:15 missed", "10:30 missed", "10:45 missed", "11:00 started"}},
		{"within the window each starts", schedule.Allow, 40 * time.Minute, "11:10:00", []string{"10:00 missed", "10:15 missed", "10:30 started", "10:45 started", "11:00 started"}},
		{"with skip the latest does", schedule.Skip, 40 * time.Minute, "11:10:00", []string{"10:00 missed", "10:15 missed", "10:30 missed", "10:45 missed", "11:00 started"}},
		{"with queue one waits for the other", schedule.Queue, 40 * time.Minute, "11:10:00", []string{"10:00 missed", "10:15 missed", "10:30 started", "10:45 queued", "11:00 skipped"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, "2026-11-22T09:50:00Z")
			w.sync(entry("x", "*/15 * * * *", overlap(c.overlap), catchUp(c.catchUp)))
			w.tick("2026-11-22T" + c.back + "Z")
			w.look()
			w.wantStates("x", c.want...)
			started := 0
			for _, state := range c.want {
				if strings.HasSuffix(state, "started") {
					started++
				}
			}
			if len(w.tasks) != started {
				t.Errorf("tasks %q, want %d", w.tasks, started)
			}
		})
	}
}

func TestReasonsOfMissedFirings(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *", catchUp(30*time.Minute)))
	w.tick("2026-11-22T10:35:00Z")
	w.wantReason("x", fire(t, "2026-11-22T10:00:00Z"), "35m0s late, and at most 30m0s is caught up")
	w.wantReason("x", fire(t, "2026-11-22T10:15:00Z"), "a later one is due as well")
}

// Arrears of more than one write's worth end in the same policy as few do.
func TestLongAbsence(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sync(entry("skips", "@every 1m", catchUp(30*time.Hour)), entry("allows", "@every 1m", overlap(schedule.Allow), catchUp(3*time.Minute)))
		w.rewind("skips", 40*time.Hour)
		w.rewind("allows", 40*time.Hour)
		for range 3 {
			w.look()
		}
		for name, most := range map[string]int{"skips": 1, "allows": 4} {
			history, err := w.History(t.Context(), name, 5000, "")
			w.ok(err)
			count := map[schedule.State]int{}
			for _, f := range history {
				count[f.State]++
			}
			// A real clock may pass a minute meanwhile.
			if started := count[schedule.Started]; len(history) != 1000 || started < most-1 || started > most || count[schedule.Missed] != 1000-started {
				t.Errorf("%s: history of %d: %v, want 1000, all missed but the last %d", name, len(history), count, most)
			}
			if history[0].State != schedule.Started {
				t.Errorf("%s: the latest is %s, want started", name, history[0].State)
			}
		}
	})
}

func TestJitterPutsTheStartOff(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *", func(e *schedule.Entry) { e.Jitter = 30 * time.Minute }))
	upcoming, err := schedule.Preview(entry("x", "0 * * * *", func(e *schedule.Entry) { e.Jitter = 30 * time.Minute }), w.now, 1)
	w.ok(err)
	start := upcoming[0].Start
	if put := start.Sub(upcoming[0].At); put < time.Minute {
		t.Fatalf("the firing is put off by %v; choose a name with more", put)
	}
	w.tick("2026-11-22T10:00:00Z")
	w.wantStates("x", "10:00 due")
	w.tick(start.Add(-time.Millisecond).Format(time.RFC3339Nano))
	w.wantTasks()
	w.tick(start.Format(time.RFC3339Nano))
	w.wantTasks("x@1795341600")
	w.wantStates("x", "10:00 started")
}

// A scheduler dies after it has decided and before it has enqueued.
func TestAnotherSchedulerEnqueues(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *"))
	w.at("2026-11-22T10:00:00Z")
	w.broken = errDown
	if err := w.role.Tick(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Tick() = %v, want what the queue answered", err)
	}
	w.wantStates("x", "10:00 started")
	w.broken = nil
	w.role = w.scheduler(w.rdb)
	w.tick("2026-11-22T10:00:01Z")
	w.wantTasks("x@1795341600")
	calls := w.calls
	w.tick("2026-11-22T10:00:10Z")
	if w.calls != calls {
		t.Errorf("an enqueued firing was enqueued again at once")
	}
}

func TestFiringThatNobodyHearsOfIsEnqueuedAgain(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "@daily"))
	_, err := w.RunNow(t.Context(), "x", "k")
	w.ok(err)
	w.look()
	for _, c := range []struct {
		at    string
		calls int
	}{{"2026-11-22T10:04:50Z", 1}, {"2026-11-22T10:05:00Z", 2}, {"2026-11-22T10:19:00Z", 2}, {"2026-11-22T10:20:01Z", 3}} {
		w.tick(c.at)
		if w.calls != c.calls {
			t.Errorf("at %s enqueued %d times, want %d", c.at, w.calls, c.calls)
		}
	}
	f, err := w.RunNow(t.Context(), "x", "k")
	w.ok(err)
	w.submit("x", f.Fire, "ses_a")
	w.tick("2026-11-22T12:00:00Z")
	if w.calls != 3 || len(w.tasks) != 1 {
		t.Errorf("enqueued %d times as %q, want 3 times as one task", w.calls, w.tasks)
	}
}

func TestFiringThatCannotBeEnqueued(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *"))
	w.broken = fault.New(fault.Invalid, "test", errors.New("the payload is too large"))
	w.tick("2026-11-22T10:00:00Z")
	w.wantStates("x", "10:00 failed")
	w.wantReason("x", "1795341600", "the payload is too large")
	w.broken = nil
	w.tick("2026-11-22T11:00:00Z")
	w.wantTasks("x@1795345200")
}

func TestScheduleThatFailsKeepsNoOther(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("a", "0 * * * *"), entry("b", "0 * * * *"), entry("c", "0 * * * *"))
	w.tick("2026-11-22T10:00:00Z")
	w.submit("b", "1795341600", "ses_b")
	w.role.Active = func(context.Context, string) (bool, error) { return false, errDown }
	w.at("2026-11-22T11:00:00Z")
	if err := w.role.Tick(t.Context()); !errors.Is(err, errDown) {
		t.Errorf("Tick() = %v, want what asking for the session answered", err)
	}
	w.wantStates("b", "10:00 started")
	w.wantStates("c", "10:00 started", "11:00 skipped")
	w.role.Active = w.active
	delete(w.running, "ses_b")
	w.tick("2026-11-22T11:00:01Z")
	w.wantStates("b", "10:00 started", "11:00 started")
}

// A Redis that another one has replaced may have another clock.
func TestClockThatGoesBack(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Allow)))
	w.tick("2026-11-22T10:15:00Z")
	w.at("2026-11-22T09:55:00Z")
	w.ok(w.Pause(t.Context(), "x"))
	w.ok(w.Resume(t.Context(), "x"))
	w.sync(entry("x", "*/5 * * * *", overlap(schedule.Allow)))
	w.sync()
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Allow)))
	for _, at := range []string{"2026-11-22T10:00:00Z", "2026-11-22T10:15:00Z", "2026-11-22T10:30:00Z"} {
		w.tick(at)
	}
	w.wantTasks("x@1795342500", "x@1795343400")
}

func TestTroubleIsLoggedOnce(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	lines := make(chan string)
	w.role.Log = slog.New(slog.NewTextHandler(lineWriter(lines), nil))
	w.role.Every = time.Millisecond
	w.clock.SetError("LOADING Redis is loading the dataset in memory")
	ended := make(chan error)
	go func() { ended <- w.role.Run(ctx) }()
	if line := <-lines; !strings.Contains(line, "not looked at") || !strings.Contains(line, "code=unavailable") {
		t.Errorf("the first line is %q, want that schedules are not looked at", line)
	}
	w.clock.SetError("")
	if line := <-lines; !strings.Contains(line, "looked at again") {
		t.Errorf("the second line is %q, want that schedules are looked at again", line)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

// lineWriter gives what is written to whoever reads the channel.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

func TestRunEndsWithItsContext(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *"))
	w.at("2026-11-22T10:00:00Z")
	ctx, cancel := context.WithCancel(t.Context())
	enqueued := make(chan schedule.Firing, 1)
	w.role.Enqueue = func(_ context.Context, f schedule.Firing) error {
		enqueued <- f
		return nil
	}
	ended := make(chan error)
	go func() { ended <- w.role.Run(ctx) }()
	if f := <-enqueued; f.ID() != "x@1795341600" {
		t.Errorf("Run enqueued %s, want x@1795341600", f.ID())
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run() = %v, want nil once its context ended", err)
	}
}

func TestWhatIsLogged(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	var log strings.Builder
	w.role.Log = slog.New(slog.NewTextHandler(&log, nil))
	w.sync(entry("x", "*/15 * * * *"))
	w.tick("2026-11-22T10:10:00Z")
	w.tick("2026-11-22T10:15:00Z")
	w.look()
	w.tick("2026-11-22T10:30:00Z")
	for _, want := range []string{"fire=1795341600", "state=missed", "fire=1795342500", "state=started", "fire=1795343400", "state=skipped"} {
		if got := strings.Count(log.String(), want); got != 1 {
			t.Errorf("the log has %q %d times, want once:\n%s", want, got, log.String())
		}
	}
}

func TestLimits(t *testing.T) {
	budget, daily := 600.0, 1000.0
	f := schedule.Firing{
		Schedule: "nightly", Fire: "1795341600",
		// The next day in Berlin.
		At:    moment(t, "2026-11-22T23:30:00Z"),
		Entry: schedule.Entry{Name: "nightly", Timezone: "Europe/Berlin", Budget: &budget, DailyBudget: &daily},
	}
	want := []ledger.Limit{
		{Scope: "schedule", Key: "nightly", Credits: math.Inf(1)},
		{Scope: "schedule", Key: "nightly/2026-11-23", Credits: 1000},
		{Scope: "session", Credits: 600},
	}
	if diff := cmp.Diff(want, f.Limits()); diff != "" {
		t.Errorf("Limits() (-want +got):\n%s", diff)
	}
	f.Entry.Budget, f.Entry.DailyBudget = nil, nil
	want = []ledger.Limit{
		{Scope: "schedule", Key: "nightly", Credits: math.Inf(1)},
		{Scope: "schedule", Key: "nightly/2026-11-23", Credits: math.Inf(1)},
	}
	if diff := cmp.Diff(want, f.Limits()); diff != "" {
		t.Errorf("Limits() without budgets (-want +got):\n%s", diff)
	}
}

// Somebody writes between a firing's decision and the note that it was enqueued.
func TestNoteBesideAnotherWrite(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *"))
	w.role.Enqueue = func(ctx context.Context, _ schedule.Firing) error { return w.Pause(ctx, "x") }
	w.tick("2026-11-22T10:00:00Z")
	f, err := w.Firing(t.Context(), "x", "1795341600")
	w.ok(err)
	status, err := w.Get(t.Context(), "x")
	w.ok(err)
	if !f.Enqueued.Equal(w.now) || !status.Paused {
		t.Errorf("the firing was enqueued at %v, paused is %t; want 10:00 and true", f.Enqueued, status.Paused)
	}
}

// What a scheduler decided from what it read before somebody else wrote must not count.
func TestStaleDecision(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sync(entry("x", "@every 1m", overlap(schedule.Allow)))
		f, err := w.RunNow(t.Context(), "x", "")
		w.ok(err)
		w.submit("x", f.Fire, "ses_a")
		w.rewind("x", time.Minute)
		// Between reading and deciding, a person pauses the schedule.
		w.role.Active = func(ctx context.Context, _ string) (bool, error) { return false, w.Pause(ctx, "x") }
		w.look()
		w.wantTasks()
		w.look()
		w.wantTasks()
		history, err := w.History(t.Context(), "x", 10, "")
		w.ok(err)
		for _, one := range history {
			if one.Fire != f.Fire && one.State != schedule.Paused {
				t.Errorf("firing %s is %s, want paused", one.ID(), one.State)
			}
		}
		if len(history) < 2 {
			t.Errorf("history of %d firings, want the one by hand and one of the calendar", len(history))
		}
	})
}
