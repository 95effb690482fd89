package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/session"
)

// limitsView is how an account stands with its limits, as segue accounts --json and
// segue status --json print it.
type limitsView struct {
	// Draining says that it takes no new sessions.
	Draining bool `json:"draining"`
	// AnnouncedAt is when a worker or a producer last said that it has the account; nil
	// when none did within the last hour.
	AnnouncedAt *time.Time `json:"announcedAt"`
	Slots       slotsView  `json:"slots"`
	// Stock is how many files are uploaded, or being uploaded, ahead of their extend.
	Stock     int            `json:"stock"`
	Endpoints []endpointView `json:"endpoints"`
	Pauses    []pauseView    `json:"pauses"`
	// WaitingSessions is how many sessions wait for their turn.
	WaitingSessions int `json:"waitingSessions"`
}

// slotsView is how many operations run; Limit 0 is no limit.
type slotsView struct {
	Used  int `json:"used"`
	Limit int `json:"limit"`
}

// endpointView is one endpoint's rate.
type endpointView struct {
	Name string `json:"name"`
	// Requests is how many went in the last WindowSeconds, of Limit; both are 0 where
	// there is no limit.
	Requests      int     `json:"requests"`
	Limit         int     `json:"limit"`
	WindowSeconds float64 `json:"windowSeconds"`
	// Planned is how many have been given their turn and have not gone.
	Planned int   `json:"planned"`
	Sent    int64 `json:"sent"`
}

// pauseView is an endpoint that takes no requests.
type pauseView struct {
	Endpoint string `json:"endpoint"`
	// Until is when it is tried again; nil while one request shows whether it is over.
	Until  *time.Time `json:"until"`
	Since  time.Time  `json:"since"`
	Reason string     `json:"reason"`
	Code   string     `json:"code"`
}

// limitsFor are an account's limits: those of the configuration, or, where that does not
// know it, of the workers.
func (s *system) limitsFor(id account.ID, known []account.Known) account.Limits {
	if p, err := s.config().Provider(id.Provider); err == nil {
		if acc, err := p.Account(id.Name); err == nil {
			return s.known(p, acc).Limits
		}
	}
	if n := slices.IndexFunc(known, func(k account.Known) bool { return k.ID == id }); n >= 0 {
		return known[n].Limits
	}
	return account.Limits{}
}

// limits reads how an account stands.
func (s *system) limits(ctx context.Context, id account.ID, known []account.Known) (limitsView, error) {
	limits := s.limitsFor(id, known)
	state, err := s.gate.State(ctx, id, limits)
	if err != nil {
		return limitsView{}, err
	}
	v := limitsView{
		Draining: state.Draining, Slots: slotsView{state.Slots, limits.InFlight}, Stock: state.Stock,
		Endpoints: make([]endpointView, 0, len(state.Endpoints)), Pauses: []pauseView{},
	}
	for _, e := range state.Endpoints {
		v.Endpoints = append(v.Endpoints, endpointView{
			Name: e.Name, Requests: e.Requests, Limit: limits.Rate.N, WindowSeconds: limits.Rate.Per.Seconds(),
			Planned: e.Planned, Sent: e.Sent,
		})
		if e.Pause != nil {
			v.Pauses = append(v.Pauses, pauseOf(state.Now, e.Pause))
		}
	}
	for _, sessions := range state.Rings {
		v.WaitingSessions += sessions
	}
	if n := slices.IndexFunc(known, func(k account.Known) bool { return k.ID == id }); n >= 0 {
		at := known[n].Seen.UTC()
		v.AnnouncedAt = &at
	}
	return v, nil
}

func pauseOf(now time.Time, p *account.PauseState) pauseView {
	v := pauseView{Endpoint: p.Endpoint, Since: p.Since.UTC(), Reason: p.Why, Code: p.Code}
	if p.Until > 0 {
		until := now.Add(p.Until).UTC().Truncate(time.Second)
		v.Until = &until
	}
	return v
}

// String says until when, why and since when, without the account.
func (p *pauseView) String() string {
	since := ", since " + clock(p.Since)
	if p.Until == nil {
		return fmt.Sprintf("%s is paused%s, and waits for one request to show that it is over: %s", p.Endpoint, since, p.Reason)
	}
	return fmt.Sprintf("%s is paused until %s%s: %s", p.Endpoint, clock(*p.Until), since, p.Reason)
}

// clock is a time of today as people here read it, or a moment of another day.
func clock(t time.Time) string {
	local, now := t.Local(), time.Now()
	if local.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return local.Format(time.TimeOnly)
	}
	return moment(t)
}

// of is how much of a limit is used: "3 of 100", or "3" where there is none.
func of(used, limit int) string {
	if limit == 0 {
		return fmt.Sprint(used)
	}
	return fmt.Sprintf("%d of %d", used, limit)
}

// String is "14 of 20 in 10s".
func (e *endpointView) String() string {
	if e.Limit == 0 {
		return fmt.Sprintf("%d in all", e.Sent)
	}
	return fmt.Sprintf("%s in %s", of(e.Requests, e.Limit), time.Duration(e.WindowSeconds*float64(time.Second)))
}

// rate is an endpoint's rate, "-" for one that was never used.
func (v *limitsView) rate(step session.StepName) string {
	for n := range v.Endpoints {
		if v.Endpoints[n].Name == string(step) {
			return v.Endpoints[n].String()
		}
	}
	return "-"
}

// remark says what keeps an account from taking more.
func (v *limitsView) remark() string {
	var all []string
	if v.Draining {
		all = append(all, "draining")
	}
	if len(v.Pauses) > 0 {
		all = append(all, "paused")
	}
	if v.Slots.Limit > 0 && v.Slots.Used >= v.Slots.Limit {
		all = append(all, "full")
	}
	return strings.Join(all, ", ")
}

// printLimits shows what accounts may do at once, and which are paused.
func (a *app) printLimits(views []accountView) {
	fmt.Fprintln(a.stdout)
	t := a.table("account", "running", "stock", "upload", "extend", "sessions", "waiting", "")
	for n := range views {
		v := &views[n]
		t.AppendRow(table.Row{
			v.Provider + "/" + v.Account, of(v.Slots.Used, v.Slots.Limit), v.Stock, v.rate(session.StepUpload), v.rate(session.StepExtend),
			v.OpenSessions, v.WaitingSessions, v.limitsView.remark(),
		})
	}
	t.Render()
	for n := range views {
		for p := range views[n].Pauses {
			fmt.Fprintf(a.stdout, "%s/%s: %s\n", views[n].Provider, views[n].Account, views[n].Pauses[p].String())
		}
	}
}
