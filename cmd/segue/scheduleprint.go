package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/segue-audio/segue/internal/schedule"
)

// entryView is what a schedule asks for, as JSON shows it.
type entryView struct {
	Cron        string          `json:"cron"`
	Timezone    string          `json:"timezone"`
	Source      string          `json:"source"`
	Provider    string          `json:"provider"`
	Account     string          `json:"account,omitempty"`
	Extend      json.RawMessage `json:"extend,omitempty"`
	Overlap     string          `json:"overlap"`
	CatchUp     string          `json:"catchUp"`
	Jitter      string          `json:"jitter"`
	Budget      *float64        `json:"budget"`
	DailyBudget *float64        `json:"dailyBudget"`
	Priority    string          `json:"priority"`
	OnUnknown   string          `json:"onUnknown"`
	AllFiles    bool            `json:"allFiles"`
	Again       bool            `json:"again"`
	// Archive is empty where the workers' own is meant.
	Archive string `json:"archive"`
	// Origin is config or command.
	Origin string `json:"origin"`
}

// scheduleView is a schedule as JSON shows it.
type scheduleView struct {
	Name string `json:"name"`
	entryView
	// Version counts its changes; 0 means that no scheduler has read it yet.
	Version  int64      `json:"version"`
	Paused   bool       `json:"paused"`
	PausedAt *time.Time `json:"pausedAt"`
	// Next is the next firing of the calendar, paused or not.
	Next *upcomingView `json:"next"`
	Last *firingView   `json:"last,omitempty"`
	// Open are the firings that are not over, and what was spent, of one schedule alone.
	Open       []firingView `json:"open,omitempty"`
	Spent      *float64     `json:"spent,omitempty"`
	SpentToday *float64     `json:"spentToday,omitempty"`

	entry schedule.Entry
}

// upcomingView is a firing to come.
type upcomingView struct {
	At    time.Time `json:"at"`
	Start time.Time `json:"start"`
}

// firingView is a firing as JSON shows it.
type firingView struct {
	ID       string `json:"id"`
	Schedule string `json:"schedule"`
	Fire     string `json:"fire"`
	Cause    string `json:"cause"`
	State    string `json:"state"`
	// Outcome is the state in one word more: starting, running, done or nothing to do,
	// of what was started.
	Outcome string     `json:"outcome"`
	Reason  string     `json:"reason,omitempty"`
	At      time.Time  `json:"at"`
	Start   time.Time  `json:"start"`
	Ended   *time.Time `json:"ended"`
	Session string     `json:"sessionId,omitempty"`
}

func entryViewOf(e *schedule.Entry) entryView {
	return entryView{
		Cron: e.Cron, Timezone: cmp.Or(e.Timezone, "UTC"), Source: withoutQuery(e.Source), Provider: e.Provider, Account: e.Account, Extend: e.Extend,
		Overlap: string(cmp.Or(e.Overlap, schedule.Skip)), CatchUp: e.CatchUp.String(), Jitter: e.Jitter.String(),
		Budget: e.Budget, DailyBudget: e.DailyBudget, Priority: cmp.Or(e.Priority, "normal"), OnUnknown: cmp.Or(e.OnUnknown, "hold"),
		AllFiles: e.AllFiles, Again: e.Again, Archive: e.Archive, Origin: string(e.Origin),
	}
}

// withoutQuery is a source as people may see it: the query of a URL may be a signature.
func withoutQuery(from string) string {
	if !strings.Contains(from, "://") {
		return from
	}
	from, _, _ = strings.Cut(from, "?")
	return from
}

func viewOf(s *schedule.Status) scheduleView {
	v := scheduleView{
		Name: s.Entry.Name, entryView: entryViewOf(&s.Entry), Version: s.Version, Paused: s.Paused, entry: s.Entry,
	}
	if !s.PausedAt.IsZero() {
		v.PausedAt = &s.PausedAt
	}
	if !s.Next.At.IsZero() {
		v.Next = &upcomingView{At: s.Next.At, Start: s.Next.Start}
	}
	return v
}

func firingViewOf(f *schedule.Firing) firingView {
	v := firingView{
		ID: f.ID(), Schedule: f.Schedule, Fire: f.Fire, Cause: string(f.Cause), State: string(f.State), Outcome: becameOf(f),
		Reason: f.Reason, At: f.At, Start: f.Start, Session: f.Session,
	}
	if !f.Ended.IsZero() {
		v.Ended = &f.Ended
	}
	return v
}

func firingViews(firings []schedule.Firing) []firingView {
	views := make([]firingView, 0, len(firings))
	for n := range firings {
		views = append(views, firingViewOf(&firings[n]))
	}
	return views
}

// becameOf is a firing's state, and what became of one that was started.
func becameOf(f *schedule.Firing) string {
	switch {
	case f.State != schedule.Started:
		return string(f.State)
	case f.Session == "" && f.Open():
		return "starting"
	case f.Session == "":
		return "nothing to do"
	case f.Open():
		return "running"
	}
	return "done"
}

// zoned is a time in a schedule's zone.
func zoned(t time.Time, zone *time.Location) string {
	return t.In(zone).Format("Mon 2006-01-02 15:04:05 MST")
}

// firesNext says in a few words whether a schedule fires, and when next.
func firesNext(s *schedule.Status) string {
	next := "no firing within five years"
	if !s.Next.At.IsZero() {
		next = "next firing " + zoned(s.Next.At, zoneOf(&s.Entry))
	}
	if s.Paused {
		return "paused; otherwise " + next
	}
	return next
}

func (a *app) printSchedules(views []scheduleView) {
	if len(views) == 0 {
		fmt.Fprintln(a.stdout, "there are no schedules: write some into the configuration, or segue schedule add")
		return
	}
	t := a.table("schedule", "when", "next", "last", "source", "from")
	for _, v := range views {
		next, last := "-", "-"
		zone := zoneOf(&v.entry)
		if v.Next != nil {
			next = zoned(v.Next.At, zone)
		}
		if v.Last != nil {
			last = v.Last.Outcome + " " + zoned(v.Last.At, zone)
		}
		switch {
		case v.Version == 0:
			next = "not read by a scheduler yet"
		case v.Paused:
			next = "paused"
		}
		t.AppendRow(table.Row{v.Name, v.Cron + " " + v.Timezone, next, last, short(v.Source, 40), v.Origin})
	}
	t.Render()
}

func (a *app) printSchedule(v scheduleView) {
	zone := zoneOf(&v.entry)
	line := func(what, text string) { fmt.Fprintf(a.stdout, "%-13s %s\n", what, text) }
	line("schedule", fmt.Sprintf("%s (%s, version %d)", v.Name, v.Origin, v.Version))
	line("when", v.Cron+" "+v.Timezone)
	next := "none within five years"
	if v.Next != nil {
		next = zoned(v.Next.At, zone)
		if !v.Next.Start.Equal(v.Next.At) {
			next += ", put off to " + v.Next.Start.In(zone).Format(time.TimeOnly)
		}
	}
	if v.Paused {
		since := "by the configuration"
		if v.PausedAt != nil {
			since = "since " + zoned(*v.PausedAt, zone)
		}
		next = "paused " + since + "; otherwise " + next
	}
	line("next", next)
	files := "what is new"
	switch {
	case v.AllFiles:
		files = "all files"
	case v.Again:
		files = "what is new here, also if paid for before"
	}
	line("source", v.Source+" ("+files+")")
	line("for", strings.TrimSuffix(v.Provider+"/"+v.Account, "/")+", "+v.Priority+" priority")
	extend := "no: only uploaded"
	if len(v.Extend) > 0 {
		extend = string(v.Extend)
	}
	line("extend", extend)
	line("archive", cmp.Or(v.Archive, "the workers' own"))
	line("policy", fmt.Sprintf("overlap %s, catch-up %s, jitter %s, on unknown %s", v.Overlap, v.CatchUp, v.Jitter, v.OnUnknown))
	line("budget", fmt.Sprintf("%s a firing, %s a day", orDash(v.Budget), orDash(v.DailyBudget)))
	if v.Spent != nil && v.SpentToday != nil {
		line("spent", fmt.Sprintf("%s credits, %s of them today", number(*v.Spent), number(*v.SpentToday)))
	}
	for _, f := range v.Open {
		line(f.Outcome, strings.TrimSpace(zoned(f.At, zone)+" "+f.Session+" "+f.Reason))
	}
}

func (a *app) printUpcoming(upcoming []schedule.Upcoming) {
	if len(upcoming) == 0 {
		fmt.Fprintln(a.stdout, "no firing within five years")
		return
	}
	t := a.table("firing", "starts")
	for _, u := range upcoming {
		t.AppendRow(table.Row{zoned(u.At, u.At.Location()), u.Start.In(u.At.Location()).Format("15:04:05")})
	}
	t.Render()
}

func (a *app) printFirings(firings []schedule.Firing, zone *time.Location) {
	t := a.table("firing", "by", "outcome", "session", "")
	for n := range firings {
		f := &firings[n]
		t.AppendRow(table.Row{zoned(f.At, zone), string(f.Cause), becameOf(f), cmp.Or(f.Session, "-"), f.Reason})
	}
	t.Render()
}
