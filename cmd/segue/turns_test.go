package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// crowded is a system over a Redis whose clock a test sets, with one account of KIE's
// limits, and a session of two songs that waits.
type crowded struct {
	*system
	mini *miniredis.Miniredis
	now  time.Time
	id   account.ID
	ses  *session.Session
}

func newCrowded(t *testing.T) *crowded {
	t.Helper()
	rdb, mini := redistest.Mini(t)
	a := &app{providers: all.Providers()}
	cfg, err := config.Load(config.Options{
		Home: t.TempDir(), Drivers: a.drivers(), Environ: []string{
			"SEGUE_REDIS_URL=redis://127.0.0.1:6379/0", "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY=k",
			"SEGUE_PROVIDERS_KIE_LIMITS_IN_FLIGHT=2", "SEGUE_PROVIDERS_KIE_LIMITS_SUBMIT=20/10s",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := &crowded{
		system: &system{
			app: a, cfg: cfg, log: slog.New(slog.DiscardHandler), rdb: rdb,
			store: session.NewStore(rdb), ledger: ledger.New(rdb), gate: account.NewGate(rdb),
		},
		mini: mini, now: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), id: account.ID{Provider: "kie", Name: "main"},
	}
	mini.SetTime(c.now)
	c.ses = c.submitted(t)
	return c
}

// submitted writes a session of two songs, of which nothing is on the queue.
func (c *crowded) submitted(t *testing.T) *session.Session {
	t.Helper()
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	items := make([]session.New, 2)
	for n := range items {
		items[n].Item = session.NewItem(session.Source{Name: "a.mp3", URL: "https://example.com/a.mp3"}, session.PlanFor(true), nil)
	}
	_, _, err = c.store.Create(t.Context(), session.Spec{ID: id, Provider: "kie", Account: "main"}, true)
	if err == nil {
		_, err = c.store.Add(t.Context(), id, 0, items, time.Minute)
	}
	if err == nil {
		_, err = c.store.Seal(t.Context(), id)
	}
	if err != nil {
		t.Fatal(err)
	}
	current, err := c.store.Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return current
}

// after moves the clock.
func (c *crowded) after(d time.Duration) { c.mini.SetTime(c.now.Add(d)) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a session waits for is said with its reason, from the least to the most unusual.
func TestWhatASessionWaitsFor(t *testing.T) {
	c := newCrowded(t)
	limits := account.Limits{Rate: account.Rate{N: 20, Per: 10 * time.Second}, InFlight: 2}
	check := func(reason string, until time.Time, parts ...string) {
		t.Helper()
		found, err := c.turnsOf(t.Context(), c.ses)
		must(t, err)
		if len(found.waits) != 1 || found.waits[0].Reason != reason || found.waits[0].Items != 2 {
			t.Fatalf("it waits for %+v, want %q of 2 items", found.waits, reason)
		}
		wait := found.waits[0]
		if wait.Until == nil != until.IsZero() || (wait.Until != nil && !wait.Until.Equal(until)) {
			t.Errorf("%s until %v, want %v", reason, wait.Until, until)
		}
		for _, part := range parts {
			if !strings.Contains(wait.Text, part) {
				t.Errorf("%q says nothing of %q", wait.Text, part)
			}
		}
	}
	check("turn", time.Time{}, "2 files wait for their turn at upload")

	_, err := c.gate.Enter(t.Context(), c.id, "extend", limits, account.Request{Entries: []string{"ses_x.0:extend:0", "ses_x.1:extend:0"}})
	must(t, err)
	check("full", time.Time{}, "account kie/main is full, 2 of 2 operations run")

	must(t, c.gate.Close(t.Context(), c.id, "upload", account.Pause{For: time.Minute, Why: "HTTP 455", Code: "unavailable"}))
	c.after(10 * time.Second)
	check("paused", c.now.Add(time.Minute), "account kie/main, upload is paused until ", "HTTP 455")
	c.after(2 * time.Minute)
	check("paused", time.Time{}, "waits for one request to show that it is over: HTTP 455")

	must(t, c.gate.Close(t.Context(), c.id, "upload", account.Pause{For: time.Hour, Why: "no credits: 402", Code: handlers.DryPause}))
	check("credits", time.Time{}, "account kie/main has none left")

	_, err = c.store.Cancel(t.Context(), c.ses.ID)
	must(t, err)
	c.ses, err = c.store.Session(t.Context(), c.ses.ID)
	must(t, err)
	if found, err := c.turnsOf(t.Context(), c.ses); err != nil || len(found.waits) != 0 {
		t.Errorf("a canceled session waits for %+v, %v; want nothing", found.waits, err)
	}
}

// The view of an account holds what its gate says, in its own limits.
func TestLimitsOfAnAccount(t *testing.T) {
	c := newCrowded(t)
	limits := c.limitsFor(c.id, nil)
	entries := []string{"ses_x.0:extend:0", "ses_x.1:extend:0"}
	entered, err := c.gate.Enter(t.Context(), c.id, "extend", limits, account.Request{Entries: entries})
	must(t, err)
	if len(entered.Turns) != 2 {
		t.Fatalf("%d entered, want 2", len(entered.Turns))
	}
	for _, entry := range entries {
		_, err := c.gate.Go(t.Context(), c.id, "extend", limits, entry)
		must(t, err)
	}
	_, err = c.gate.Join(t.Context(), c.id, "upload", c.ses.ID, 4)
	must(t, err)
	must(t, c.gate.Drain(t.Context(), c.id, true))
	must(t, c.gate.Announce(t.Context(), c.announced()))
	known, err := c.gate.Known(t.Context(), "kie")
	must(t, err)
	got, err := c.limits(t.Context(), c.id, known)
	must(t, err)
	if !got.Draining || got.Slots != (slotsView{2, 2}) || got.WaitingSessions != 1 || got.rate(session.StepUpload) != "-" ||
		got.rate(session.StepExtend) != "2 of 20 in 10s" || got.AnnouncedAt == nil || !got.AnnouncedAt.Equal(c.now) || got.remark() != "draining, full" {
		t.Errorf("limits are %+v (%s at extend, remark %q); want 2 of 2 slots, 2 of 20 in 10s, one session waiting, draining", got, got.rate(session.StepExtend), got.remark())
	}
}

// finds says that there is such a finding, or that there is none when text is empty.
func (c *crowded) finds(t *testing.T, check, text string) {
	t.Helper()
	e := &examination{system: c.system}
	findings := e.turns(context.WithoutCancel(t.Context()), c.rdb)
	n := slices.IndexFunc(findings, func(f doctor.Finding) bool { return f.Check == check && f.Level == doctor.Warning })
	switch {
	case n < 0 && text != "":
		t.Errorf("no %s among %+v, want %q", check, findings, text)
	case n >= 0 && (text == "" || !strings.Contains(findings[n].Text, text) || findings[n].Cure == ""):
		t.Errorf("found %+v, want %q", findings[n], text)
	}
}

// The doctor names what has been paused for long, and sessions whose account no worker
// has.
func TestDoctorLooksAtTurns(t *testing.T) {
	c := newCrowded(t)
	beat := func() {
		t.Helper()
		_, err := c.store.Beat(t.Context(), "one")
		must(t, err)
	}
	beat()
	must(t, c.gate.Announce(t.Context(), c.announced()))
	must(t, c.gate.Close(t.Context(), c.id, "extend", account.Pause{For: time.Hour, Why: "HTTP 455", Code: "unavailable"}))
	c.finds(t, "accounts.paused", "")
	c.finds(t, "accounts.workers", "")

	c.after(9 * time.Minute)
	c.finds(t, "accounts.paused", "")
	c.finds(t, "accounts.workers", "") // no worker lives: that is said elsewhere
	beat()
	c.finds(t, "accounts.workers", "1 session of kie/main is open, and no worker has had that account for 9m0s: "+c.ses.ID)

	c.after(11 * time.Minute)
	c.finds(t, "accounts.paused", "kie/main takes no extend for 11m0s now: HTTP 455")
	c.after(2 * time.Hour)
	beat()
	c.finds(t, "accounts.workers", "for over an hour")
	must(t, c.gate.Announce(t.Context(), c.announced()))
	c.finds(t, "accounts.workers", "")
}
