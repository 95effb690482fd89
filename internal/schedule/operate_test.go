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

func TestPauseAndResume(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	ctx := t.Context()
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Allow), catchUp(6*time.Hour)))
	w.tick("2026-11-22T10:00:00Z")
	w.at("2026-11-22T10:10:00Z")
	w.ok(w.Pause(ctx, "x"))
	w.ok(w.Pause(ctx, "x"))
	w.tick("2026-11-22T10:15:00Z")
	got, err := w.Get(ctx, "x")
	w.ok(err)
	if !got.Paused || !got.PausedAt.Equal(moment(t, "2026-11-22T10:10:00Z")) {
		t.Errorf("Get() = %+v, want it paused since 10:10", got)
	}
	w.at("2026-11-22T10:50:00Z") // nobody has looked at 10:30 and 10:45
	w.ok(w.Resume(ctx, "x"))
	w.ok(w.Resume(ctx, "x"))
	w.look()
	w.tick("2026-11-22T11:00:00Z")
	w.wantStates("x", "10:00 started", "10:15 paused", "10:30 paused", "10:45 paused", "11:00 started")
	w.wantReason("x", fire(t, "2026-11-22T10:30:00Z"), "paused at 2026-11-22T10:10:00Z")
	w.wantTasks("x@1795341600", "x@1795345200")
	wantCode(t, "Pause() of nothing", w.Pause(ctx, "y"), fault.NotFound)
	wantCode(t, "Resume() of nothing", w.Resume(ctx, "y"), fault.NotFound)
}

func TestPauseKeepsWhatWaits(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Queue)))
	w.tick("2026-11-22T10:00:00Z")
	w.tick("2026-11-22T10:15:00Z")
	w.ok(w.Pause(t.Context(), "x"))
	w.ok(w.Idle(t.Context(), "x", "1795341600", ""))
	w.tick("2026-11-22T10:20:00Z")
	w.wantStates("x", "10:00 started", "10:15 queued")
	w.ok(w.Resume(t.Context(), "x"))
	w.look()
	w.wantStates("x", "10:00 started", "10:15 started")
}

func TestPausedByConfiguration(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	paused := entry("x", "*/15 * * * *", overlap(schedule.Allow), catchUp(6*time.Hour))
	paused.Paused = true
	w.sync(paused)
	w.tick("2026-11-22T10:00:00Z")
	wantCode(t, "Resume()", w.Resume(t.Context(), "x"), fault.Conflict)
	w.at("2026-11-22T10:20:00Z") // nobody has looked at 10:15
	w.sync(entry("x", "*/15 * * * *", overlap(schedule.Allow), catchUp(6*time.Hour)))
	w.look()
	w.tick("2026-11-22T10:30:00Z")
	w.wantStates("x", "10:00 paused", "10:15 paused", "10:30 started")
	w.wantReason("x", fire(t, "2026-11-22T10:15:00Z"), "the configuration has paused")
}

func TestRunNow(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.sync(entry("x", "@yearly"), entry("y", "@yearly"))
		w.ok(w.Pause(ctx, "x"))
		first, err := w.RunNow(ctx, "x", "release 7")
		w.ok(err)
		again, err := w.RunNow(ctx, "x", "release 7")
		w.ok(err)
		other, err := w.RunNow(ctx, "x", "release 8")
		w.ok(err)
		elsewhere, err := w.RunNow(ctx, "y", "release 7")
		w.ok(err)
		fresh, err := w.RunNow(ctx, "x", "")
		w.ok(err)
		fresher, err := w.RunNow(ctx, "x", "")
		w.ok(err)
		if first.Fire != again.Fire || !strings.HasPrefix(first.Fire, "manual-") || first.Cause != schedule.ByHand {
			t.Errorf("the same key gave %s and %s (%s), want one firing by hand", first.Fire, again.Fire, first.Cause)
		}
		names := map[string]bool{first.Fire: true, other.Fire: true, elsewhere.Fire: true, fresh.Fire: true, fresher.Fire: true}
		if len(names) != 5 {
			t.Errorf("%d firings of 5 keys", len(names))
		}
		w.look()
		w.look()
		if len(w.tasks) != 5 || w.calls != 5 {
			t.Errorf("%d calls put %q on the queue, want 5 firings once", w.calls, w.tasks)
		}
		w.ok(w.Idle(ctx, "x", first.Fire, "nothing new"))
		again, err = w.RunNow(ctx, "x", "release 7")
		w.ok(err)
		if again.Ended.IsZero() || again.Reason != "nothing new" {
			t.Errorf("the key of a firing that is over gave %+v, want that firing", again)
		}
		_, err = w.RunNow(ctx, "z", "")
		wantCode(t, "RunNow() of nothing", err, fault.NotFound)
	})
}

func TestReports(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.sync(entry("x", "@yearly"))
		run := func() string {
			f, err := w.RunNow(ctx, "x", "")
			w.ok(err)
			return f.Fire
		}
		submitted, idle, failed := run(), run(), run()
		w.running["ses_a"] = true
		for range 2 { // a report whose answer was lost is repeated
			w.ok(w.Submitted(ctx, "x", submitted, "ses_a", "1 file left out"))
			w.ok(w.Idle(ctx, "x", idle, "no file is new"))
			w.ok(w.Fail(ctx, "x", failed, "no such directory"))
		}
		conflicts := func() {
			t.Helper()
			wantCode(t, "Submitted() as another session", w.Submitted(ctx, "x", submitted, "ses_b", ""), fault.Conflict)
			wantCode(t, "Idle() of what is submitted", w.Idle(ctx, "x", submitted, ""), fault.Conflict)
			wantCode(t, "Fail() of what is submitted", w.Fail(ctx, "x", submitted, ""), fault.Conflict)
			wantCode(t, "Submitted() of what failed", w.Submitted(ctx, "x", failed, "ses_a", ""), fault.Conflict)
			wantCode(t, "Fail() of what was idle", w.Fail(ctx, "x", idle, "no file is new"), fault.Conflict)
		}
		conflicts()
		f, err := w.Firing(ctx, "x", submitted)
		w.ok(err)
		if f.Session != "ses_a" || f.Reason != "1 file left out" {
			t.Errorf("the firing is %s with %q, want ses_a and what was said first", f.Session, f.Reason)
		}
		delete(w.running, "ses_a")
		w.look()
		w.ok(w.Submitted(ctx, "x", submitted, "ses_a", ""))
		conflicts()
		wantCode(t, "Submitted() of nothing", w.Submitted(ctx, "x", "1795341600", "ses_a", ""), fault.NotFound)
		wantCode(t, "Fail() of nothing", w.Fail(ctx, "x", "1795341600", ""), fault.NotFound)
		wantCode(t, "Submitted() without a session", w.Submitted(ctx, "x", failed, "", ""), fault.Invalid)
	})
}

func TestBackfill(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	ctx := t.Context()
	w.sync(entry("x", "*/15 * * * *"))
	w.tick("2026-11-22T10:00:00Z") // started
	w.tick("2026-11-22T10:15:00Z") // skipped
	w.tick("2026-11-22T10:50:00Z") // 10:30 and 10:45 missed
	w.ok(w.Idle(ctx, "x", "1795341600", ""))
	w.ok(w.Pause(ctx, "x"))
	w.tick("2026-11-22T11:00:00Z") // paused
	w.ok(w.Resume(ctx, "x"))
	w.wantStates("x", "10:00 started", "10:15 skipped", "10:30 missed", "10:45 missed", "11:00 paused")

	var got []string
	for range 2 {
		filled, err := w.Backfill(ctx, "x", moment(t, "2026-11-22T09:30:00Z"), moment(t, "2026-11-22T11:00:00Z"))
		w.ok(err)
		for _, f := range filled {
			got = append(got, fmt.Sprintf("%s %s %s", f.At.Format("15:04"), f.State, f.Cause))
		}
	}
	want := []string{
		"09:30 queued backfill", "09:45 queued backfill", "10:15 queued backfill", "10:30 queued backfill",
		"10:45 queued backfill", "11:00 queued backfill",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Backfill() twice (-want +got):\n%s", diff)
	}
	for n, at := range []string{"09:30", "09:45", "10:15", "10:30", "10:45", "11:00"} {
		w.tick(fmt.Sprintf("2026-11-22T11:01:%02dZ", 5*n))
		f := fire(t, "2026-11-22T"+at+":00Z")
		if last := w.tasks[len(w.tasks)-1]; last != "x@"+f || len(w.tasks) != n+2 {
			t.Errorf("after %d: tasks %q, want one at a time, x@%s now", n, w.tasks, f)
		}
		w.ok(w.Idle(ctx, "x", f, ""))
	}
}

// A firing that is due and not decided yet needs no backfill.
func TestBackfillLeavesTheCalendarItsOwn(t *testing.T) {
	w := newWorld(t, "2026-11-22T09:50:00Z")
	w.sync(entry("x", "*/15 * * * *"))
	w.at("2026-11-22T10:00:00Z")
	filled, err := w.Backfill(t.Context(), "x", w.now, w.now)
	if err != nil || len(filled) != 0 {
		t.Errorf("Backfill() of a firing that is about to come = %v, %v, want none", filled, err)
	}
	w.look()
	w.wantTasks("x@1795341600")
}

func TestBackfillThatMayOverlap(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.sync(entry("x", "@every 1m", overlap(schedule.Allow)))
		status, err := w.Get(t.Context(), "x")
		w.ok(err)
		to := status.Now.Add(-time.Hour).Truncate(time.Minute)
		filled, err := w.Backfill(t.Context(), "x", to.Add(-4*time.Minute), to)
		w.ok(err)
		w.look()
		if len(filled) != 5 || len(w.tasks) != 5 {
			t.Errorf("Backfill() of five minutes = %d firings, %d tasks, want 5 and 5", len(filled), len(w.tasks))
		}
	})
}

func TestBackfillRefuses(t *testing.T) {
	w := newWorld(t, "2026-11-22T10:00:00Z")
	w.sync(entry("x", "* * * * *"))
	cases := []struct{ name, from, to, want string }{
		{"the future", "2026-11-22T09:00:00Z", "2026-11-22T10:00:01Z", "future"},
		{"the distant past", "2026-08-01T00:00:00Z", "2026-08-01T01:00:00Z", "90 days"},
		{"too much", "2026-11-20T10:00:00Z", "2026-11-22T10:00:00Z", "more than 1000"},
	}
	for _, c := range cases {
		_, err := w.Backfill(t.Context(), "x", moment(t, c.from), moment(t, c.to))
		if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Backfill() = %v, want invalid: %s", c.name, err, c.want)
		}
	}
	_, err := w.Backfill(t.Context(), "y", w.now, w.now)
	wantCode(t, "Backfill() of nothing", err, fault.NotFound)
}

// What history has forgotten may have started.
func TestBackfillBehindHistory(t *testing.T) {
	w := newWorld(t, "2026-11-20T00:00:30Z")
	w.sync(entry("x", "* * * * *"))
	w.tick("2026-11-21T00:00:30Z")
	w.tick("2026-11-21T00:01:30Z")
	_, err := w.Backfill(t.Context(), "x", moment(t, "2026-11-20T01:00:00Z"), moment(t, "2026-11-20T02:00:00Z"))
	if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "begin after 2026-11-20T07:21:00Z") {
		t.Errorf("Backfill() = %v, want invalid: begin after 07:21", err)
	}
	filled, err := w.Backfill(t.Context(), "x", moment(t, "2026-11-20T07:21:01Z"), moment(t, "2026-11-20T07:25:00Z"))
	if err != nil || len(filled) != 4 {
		t.Errorf("Backfill() = %d firings, %v, want 4", len(filled), err)
	}
}

func TestHistory(t *testing.T) {
	w := newWorld(t, "2026-11-20T00:00:30Z")
	ctx := t.Context()
	w.sync(entry("x", "* * * * *"))
	w.tick("2026-11-20T00:01:00Z") // runs through it all
	w.tick("2026-11-21T00:00:30Z")
	w.look()
	var all []string
	before := ""
	for pages := 0; ; pages++ {
		page, err := w.History(ctx, "x", 300, before)
		w.ok(err)
		if len(page) == 0 {
			if pages != 4 {
				t.Errorf("history has %d pages of 300, want 4", pages)
			}
			break
		}
		for _, f := range page {
			all = append(all, f.Fire)
		}
		before = page[len(page)-1].Fire
	}
	distinct := make(map[string]bool)
	for _, f := range all {
		distinct[f] = true
	}
	// The one that runs is kept beside the latest thousand.
	if len(all) != 1001 || len(distinct) != 1001 || all[0] != fire(t, "2026-11-21T00:00:00Z") || all[1000] != fire(t, "2026-11-20T00:01:00Z") {
		t.Errorf("history has %d firings, %d distinct, from %s to %s; want 1001 from 00:00 back to the one that runs",
			len(all), len(distinct), all[0], all[len(all)-1])
	}
	none, err := w.History(ctx, "x", 300, "1")
	if err != nil || len(none) != 0 {
		t.Errorf("History() after what was forgotten = %d firings, %v, want none", len(none), err)
	}
}

func TestHistoryForgetsWhatIsOld(t *testing.T) {
	w := newWorld(t, "2026-01-01T00:00:30Z")
	w.sync(entry("x", "@daily"))
	for day := range 120 {
		at := moment(t, "2026-01-02T00:00:00Z").AddDate(0, 0, day)
		w.tick(at.Format(time.RFC3339))
		w.ok(w.Idle(t.Context(), "x", fmt.Sprint(at.Unix()), ""))
	}
	history, err := w.History(t.Context(), "x", 1000, "")
	w.ok(err)
	if len(history) != 91 {
		t.Errorf("after 120 days history has %d firings, want those of 90 days, both ends included", len(history))
	}
	w = newWorld(t, "2016-01-01T00:00:30Z")
	w.sync(entry("x", "@monthly"))
	for month := range 36 {
		at := moment(t, "2016-02-01T00:00:00Z").AddDate(0, month, 0)
		w.tick(at.Format(time.RFC3339))
		w.ok(w.Idle(t.Context(), "x", fmt.Sprint(at.Unix()), ""))
	}
	history, err = w.History(t.Context(), "x", 1000, "")
	w.ok(err)
	if len(history) != 10 {
		t.Errorf("of a monthly schedule history has %d firings, want the latest 10", len(history))
	}
}
