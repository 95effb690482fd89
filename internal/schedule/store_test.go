package schedule_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

func TestCheck(t *testing.T) {
	negative := -1.0
	cases := []struct {
		name   string
		change func(*schedule.Entry)
		want   string
	}{
		{"name", func(e *schedule.Entry) { e.Name = "Nightly run" }, "name \"Nightly run\""},
		{"cron", func(e *schedule.Entry) { e.Cron = "hourly" }, "hourly"},
		{"source", func(e *schedule.Entry) { e.Source = "" }, "source is missing"},
		{"provider", func(e *schedule.Entry) { e.Provider = "" }, "provider is missing"},
		{"extend", func(e *schedule.Entry) { e.Extend = []byte("{") }, "extend is no JSON"},
		{"overlap", func(e *schedule.Entry) { e.Overlap = "wait" }, "overlap \"wait\""},
		{"catch-up", func(e *schedule.Entry) { e.CatchUp = -time.Second }, "not negative"},
		{"jitter", func(e *schedule.Entry) { e.Jitter = -time.Second }, "not negative"},
		{"budget", func(e *schedule.Entry) { e.DailyBudget = &negative }, "budget of -1"},
	}
	for _, c := range cases {
		e := entry("x", "@daily")
		if err := e.Check(); err != nil {
			t.Errorf("Check() of a sound entry = %v", err)
		}
		c.change(&e)
		if err := e.Check(); fault.CodeOf(err) != fault.Invalid || !strings.Contains(fault.Reason(err), c.want) {
			t.Errorf("%s: Check() = %v, want invalid: %s", c.name, err, c.want)
		}
	}
}

func TestSync(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.ok(w.Put(ctx, entry("mine", "@daily")))
		w.ok(w.Put(ctx, entry("both", "@daily")))
		check := func(got []schedule.Change, want ...schedule.Change) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Sync() (-want +got):\n%s", diff)
			}
		}
		check(
			w.sync(entry("nightly", "0 2 * * *"), entry("both", "@hourly"), entry("weekly", "@weekly")),
			schedule.Change{
				Name: "both", Kind: schedule.Changed,
				Finding: "the schedule of this name that was made by command has given way to the configuration's",
			},
			schedule.Change{Name: "nightly", Kind: schedule.Added},
			schedule.Change{Name: "weekly", Kind: schedule.Added},
		)
		check(w.sync(entry("nightly", "0 2 * * *"), entry("both", "@hourly"), entry("weekly", "@weekly")))
		check(
			w.sync(entry("nightly", "0 3 * * *"), entry("both", "@hourly")),
			schedule.Change{Name: "nightly", Kind: schedule.Changed},
			schedule.Change{Name: "weekly", Kind: schedule.Removed},
		)
		list, err := w.List(ctx)
		w.ok(err)
		var got []string
		for _, s := range list {
			got = append(got, fmt.Sprintf("%s %s %s v%d", s.Entry.Name, s.Entry.Cron, s.Entry.Origin, s.Version))
		}
		want := []string{"both @hourly config v2", "mine @daily command v1", "nightly 0 3 * * * config v2"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("List() (-want +got):\n%s", diff)
		}
		_, err = w.Get(ctx, "weekly")
		wantCode(t, "Get() of what was removed", err, fault.NotFound)
		wantCode(t, "Put() over the configuration's", w.Put(ctx, entry("nightly", "@daily")), fault.Conflict)
		wantCode(t, "Remove() of the configuration's", w.Remove(ctx, "nightly"), fault.Conflict)
		w.ok(w.Remove(ctx, "mine"))
		wantCode(t, "Remove() of what is gone", w.Remove(ctx, "mine"), fault.NotFound)
		w.ok(w.Put(ctx, entry("mine", "@daily")))

		_, err = w.Sync(ctx, []schedule.Entry{entry("bad", "@never"), entry("twice", "@daily"), entry("twice", "@daily")})
		if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "@never") || !strings.Contains(err.Error(), "twice is there twice") {
			t.Errorf("Sync() = %v, want invalid with both findings", err)
		}
	})
}

// A calendar that changes keeps what had come by the old one, and takes nothing over
// that the new one would have had before.
func TestChangeOfCalendar(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *", catchUp(2*time.Hour)))
	w.at("2026-11-22T10:40:00Z") // nobody has looked since
	changed := entry("x", "*/15 * * * *", catchUp(2*time.Hour))
	changed.Source = "/elsewhere"
	w.sync(changed)
	w.look()
	w.wantTasks("x@1795341600")
	if got := w.known["x@1795341600"]; got.Entry.Source != "/inbox/**/*.mp3" || got.Version != 1 {
		t.Errorf("the firing of before follows %q of version %d, want the source of before, version 1", got.Entry.Source, got.Version)
	}
	w.ok(w.Idle(t.Context(), "x", "1795341600", ""))
	w.tick("2026-11-22T10:45:00Z")
	w.wantStates("x", "10:00 started", "10:45 started")
	if got := w.known["x@1795344300"]; got.Entry.Source != "/elsewhere" || got.Version != 2 {
		t.Errorf("the firing of after follows %q of version %d, want /elsewhere, version 2", got.Entry.Source, got.Version)
	}
}

// What does not touch the calendar touches no firing.
func TestChangeOfTheRest(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "0 * * * *"))
	w.at("2026-11-22T10:00:30Z")
	w.sync(entry("x", "0 * * * *", overlap(schedule.Allow)))
	w.look()
	w.wantStates("x", "10:00 started")
}

func TestRemovedSchedule(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Queue)))
	w.tick("2026-11-22T10:00:00Z")
	w.submit("x", "1795341600", "ses_a")
	w.tick("2026-11-22T10:15:00Z")
	w.at("2026-11-22T10:20:00Z")
	w.sync()
	w.wantReason("x", "1795342500", "was removed")
	w.tick("2026-11-22T10:30:00Z")
	w.wantStates("x", "10:00 started", "10:15 skipped")
	delete(w.running, "ses_a")
	w.tick("2026-11-22T10:31:00Z")
	if w.clock.Exists("segue:{schedules}") {
		t.Error("a removed schedule of which nothing is open is still looked at")
	}
	w.wantStates("x", "10:00 started", "10:15 skipped")
	_, err := w.RunNow(t.Context(), "x", "")
	wantCode(t, "RunNow() of a removed schedule", err, fault.NotFound)

	// It comes back, with its history, and fires from then on.
	w.at("2026-11-22T11:10:00Z")
	w.sync(entry("x", "*/15 * * * *"))
	w.tick("2026-11-22T11:15:00Z")
	w.wantStates("x", "10:00 started", "10:15 skipped", "11:15 started")
	w.clock.FastForward(91 * 24 * time.Hour)
	w.wantStates("x", "10:00 started", "10:15 skipped", "11:15 started")
	w.sync()
	w.ok(w.Idle(t.Context(), "x", "1795346100", ""))
	w.look()
	w.clock.FastForward(91 * 24 * time.Hour)
	if keys := w.clock.Keys(); len(keys) != 0 {
		t.Errorf("91 days after its end a schedule has left %q", keys)
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t, "2026-10-24T23:50:00Z")
	e := entry("x", "30 2 * * *")
	e.Timezone = "Europe/Berlin"
	w.sync(e)
	_, err := w.RunNow(t.Context(), "x", "")
	w.ok(err)
	got, err := w.Get(t.Context(), "x")
	w.ok(err)
	if !got.Next.At.Equal(moment(t, "2026-10-25T00:30:00Z")) || !got.Now.Equal(w.now) || got.Paused || len(got.Open) != 1 {
		t.Errorf("Get() = %+v, want the next firing at 02:30 summer time and one open", got)
	}
	_, err = w.Get(t.Context(), "y")
	wantCode(t, "Get() of what is not there", err, fault.NotFound)
	_, err = w.Get(t.Context(), "no name")
	wantCode(t, "Get() of what cannot be", err, fault.NotFound)
}

func TestUnreachableRedis(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.clock.SetError("LOADING Redis is loading the dataset in memory")
	ctx := t.Context()
	_, err := w.Sync(ctx, []schedule.Entry{entry("x", "@daily")})
	wantCode(t, "Sync()", err, fault.Unavailable)
	_, err = w.List(ctx)
	wantCode(t, "List()", err, fault.Unavailable)
	_, err = w.History(ctx, "x", 5, "")
	wantCode(t, "History()", err, fault.Unavailable)
	_, err = w.Fresh(ctx, "x", "1795341600", []string{"a"})
	wantCode(t, "Fresh()", err, fault.Unavailable)
	wantCode(t, "Mark()", w.Mark(ctx, "x", "1795341600", []string{"a"}), fault.Unavailable)
	wantCode(t, "Pause()", w.Pause(ctx, "x"), fault.Unavailable)
	wantCode(t, "Tick()", w.role.Tick(ctx), fault.Unavailable)
}

func TestUnattended(t *testing.T) {
	w := newWorld(t, "2026-11-22T10:00:00Z")
	late := func(want time.Duration) {
		t.Helper()
		got, err := w.Unattended(t.Context())
		if err != nil || got != want {
			t.Errorf("Unattended() = %v, %v, want %v", got, err, want)
		}
	}
	late(0) // there is none
	w.sync(entry("x", "0 12 * * *"))
	w.look()
	late(0)
	w.at("2026-11-22T10:05:00Z")
	late(4 * time.Minute)
	w.look()
	late(0)
}
