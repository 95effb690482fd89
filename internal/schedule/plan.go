package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/segue-audio/segue/internal/fault"
)

// Plan is the calendar of one entry: a strictly increasing series of whole seconds,
// which depends on nothing but the entry, so that every replica knows the same one.
//
// A cron entry names wall-clock times of its zone, and each of them fires once:
//
//   - one that a change of the clocks skips fires at the first moment that exists
//     after it (02:30 in Berlin on the last Sunday of March: 03:00 summer time).
//     Several that become the same moment are one firing;
//   - one that the clocks go through twice fires the first time alone. So an entry of
//     every 15 minutes rests for the hour that is repeated; what must go by elapsed
//     time is written as @every.
//
// @every counts from the beginning of 1970 in UTC, whatever the zone and whenever
// the schedule was made: @every 6h fires at 00:00, 06:00, 12:00 and 18:00 UTC.
type Plan struct {
	zone *time.Location
	// every is the period of @every; zero when spec says when.
	every time.Duration
	// spec is only ever asked about UTC, where every wall-clock time exists once.
	spec cron.Schedule
}

// NewPlan reads when an entry fires. Its errors are invalid: a cron entry or a zone
// that cannot be read, one that never comes (30 February).
func NewPlan(e *Entry) (*Plan, error) {
	const op = "schedule.NewPlan"
	zone, err := zoneOf(e.Timezone)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	if reason := unreadable(e.Cron); reason != "" {
		return nil, fault.New(fault.Invalid, op, errors.New(reason))
	}
	spec, err := cron.ParseStandard(e.Cron)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, fmt.Errorf("cron %q: %w", e.Cron, err))
	}
	p := &Plan{zone: zone, spec: spec}
	switch s := spec.(type) {
	case cron.ConstantDelaySchedule:
		p.every = s.Delay
	case *cron.SpecSchedule:
		s.Location = time.UTC
	}
	if p.Next(time.Unix(0, 0)).IsZero() {
		return nil, fault.New(fault.Invalid, op, fmt.Errorf("cron %q names a day that never comes", e.Cron))
	}
	return p, nil
}

func zoneOf(name string) (*time.Location, error) {
	// Local would be another zone on every machine.
	if name == "Local" {
		return nil, errors.New("timezone Local is no zone: write a name such as Europe/Berlin")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("timezone %q is not known: write UTC or a name such as Europe/Berlin", name)
	}
	return zone, nil
}

// unreadable says what is wrong with an entry that the parser would take.
func unreadable(entry string) string {
	every, isEvery := strings.CutPrefix(entry, "@every ")
	period, err := time.ParseDuration(every)
	switch {
	case entry == "":
		return "cron is missing: five fields, such as 0 2 * * * for 02:00 every day"
	case strings.Contains(entry, "TZ="):
		return "cron: the time zone goes into timezone"
	case isEvery && err == nil && (period < time.Second || period%time.Second != 0):
		return fmt.Sprintf("cron %q: a period of whole seconds", entry)
	}
	return ""
}

// Next is the first firing after a moment, in the zone of the entry. It is zero when
// there is none within five years.
func (p *Plan) Next(after time.Time) time.Time {
	if p.every > 0 {
		period := int64(p.every / time.Second)
		return time.Unix((floorDiv(after.Unix(), period)+1)*period, 0).In(p.zone)
	}
	// A wall-clock time not later than the one that clocks show at that moment has
	// come before it, since the moment of a wall-clock time never falls as it rises.
	wall := p.spec.Next(wallOf(after.In(p.zone)))
	for !wall.IsZero() {
		if moment := momentOf(wall, p.zone); moment.After(after) {
			return moment
		}
		// The clocks went back: this one has fired the first time around.
		wall = p.spec.Next(wall)
	}
	return time.Time{}
}

func floorDiv(a, b int64) int64 {
	if a < 0 && a%b != 0 {
		return a/b - 1
	}
	return a / b
}

// wallOf is what clocks show at t, as a time in UTC.
func wallOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// momentOf is when clocks of the zone first show a wall-clock time, or the first
// moment after they have skipped it.
func momentOf(wall time.Time, zone *time.Location) time.Time {
	// No zone is a day away from UTC: then clocks surely show less.
	at := wall.Add(-24 * time.Hour).In(zone)
	for {
		begin, end := at.ZoneBounds()
		_, offset := at.Zone()
		moment := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		switch {
		case !end.IsZero() && !moment.Before(end):
			at = end
		case moment.Before(begin):
			return begin
		default:
			return moment
		}
	}
}

// Upcoming is a firing to come.
type Upcoming struct {
	// At is the time that the entry names, Start when it starts: At and its jitter.
	At, Start time.Time
}

// Preview gives the n firings after a moment, in the zone of the entry. There are
// fewer when there are no more within five years. Its errors are invalid.
func Preview(e Entry, from time.Time, n int) ([]Upcoming, error) {
	plan, err := NewPlan(&e)
	if err != nil {
		return nil, err
	}
	upcoming := make([]Upcoming, 0, max(n, 0))
	for range n {
		next := plan.Next(from)
		if next.IsZero() {
			break
		}
		upcoming = append(upcoming, Upcoming{At: next, Start: plan.start(&e, next)})
		from = next
	}
	return upcoming, nil
}

// Next is the first firing of an entry after a moment: see Plan.Next.
func Next(e Entry, after time.Time) (time.Time, error) {
	plan, err := NewPlan(&e)
	if err != nil {
		return time.Time{}, err
	}
	return plan.Next(after), nil
}
