package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Pause keeps the calendar from starting anything until Resume. Firings whose time
// comes meanwhile are written down as paused; what has started goes on, and what was
// queued waits. Pausing what is paused changes nothing.
func (s *Store) Pause(ctx context.Context, name string) error {
	return s.change(ctx, "schedule.Pause", name, func(st *state) (bool, error) {
		if st.paused.IsZero() {
			st.paused, st.changed = st.now, true
		}
		return false, nil
	})
}

// Resume lets the calendar start firings again, from now on: those whose time came
// while it was paused stay paused, and Backfill can start them. Resuming what is not
// paused changes nothing; it is a conflict when the configuration is what pauses it.
func (s *Store) Resume(ctx context.Context, name string) error {
	const op = "schedule.Resume"
	return s.change(ctx, op, name, func(st *state) (again bool, err error) {
		switch {
		case st.entry.Paused:
			return false, fault.New(fault.Conflict, op, fmt.Errorf("schedule %s is paused by its entry: change paused there", name))
		case st.paused.IsZero():
			return false, nil
		}
		if more, err := st.expand(); err != nil || more {
			return more, err
		}
		st.skipAhead()
		st.paused = time.Time{}
		return false, nil
	})
}

// RunNow starts a firing beside the calendar, whatever runs and also while the
// schedule is paused. The same key gives the same firing for as long as the history
// knows it; without a key each call is another. A scheduler enqueues it.
func (s *Store) RunNow(ctx context.Context, name, key string) (Firing, error) {
	const op = "schedule.RunNow"
	fire, err := fireByHand(name, key)
	if err != nil {
		return Firing{}, err
	}
	var f Firing
	err = s.change(ctx, op, name, func(st *state) (bool, error) {
		known, err := s.history(ctx, op, name, []string{fire})
		if err != nil {
			return false, err
		}
		if len(known) == 1 {
			f = known[0]
			return false, nil
		}
		f = Firing{
			Schedule: name, Fire: fire, Cause: ByHand, State: Started,
			At: st.now, Start: st.now, Decided: st.now, Version: st.version, Entry: st.entry,
		}
		st.put(f)
		return false, nil
	})
	return f, err
}

// mostBackfill is how many firings one Backfill may look at.
const mostBackfill = 1000

// Backfill starts the firings of the calendar in a window, from and to included,
// that never started: whether they were skipped, missed, paused, or came before the
// schedule was made. They start one after the other unless the overlap policy is
// Allow. It answers those it started, oldest first; calling it again starts none
// twice.
//
// It is invalid when the window reaches into the future or behind what the history
// surely knows, and when it holds more than 1,000 firings.
func (s *Store) Backfill(ctx context.Context, name string, from, to time.Time) ([]Firing, error) {
	const op = "schedule.Backfill"
	var filled []Firing
	err := s.change(ctx, op, name, func(st *state) (bool, error) {
		window, err := st.window(from, to)
		if err != nil {
			return false, fault.New(fault.Invalid, op, err)
		}
		known, err := s.known(ctx, op, name, window)
		if err != nil {
			return false, err
		}
		filled, err = st.backfill(window, known)
		if err != nil {
			return false, fault.New(fault.Invalid, op, err)
		}
		return false, nil
	})
	if err != nil {
		return nil, err
	}
	return filled, nil
}

// window lists the firings of the calendar from a moment to another.
func (s *state) window(from, to time.Time) ([]time.Time, error) {
	switch {
	case to.After(s.now):
		return nil, errors.New("the window reaches into the future")
	case from.Before(s.now.Add(-keptFor)):
		return nil, fmt.Errorf("the window begins more than %d days ago; history reaches no further", keptFor/(24*time.Hour))
	}
	plan, err := NewPlan(&s.entry)
	if err != nil {
		return nil, err
	}
	var window []time.Time
	for at := plan.Next(from.Add(-time.Nanosecond)); !at.IsZero() && !at.After(to); at = plan.Next(at) {
		if len(window) == mostBackfill {
			return nil, fmt.Errorf("the window holds more than %d firings", mostBackfill)
		}
		window = append(window, at.UTC())
	}
	return window, nil
}

// known reads what the history has of a window.
func (s *Store) known(ctx context.Context, op, name string, window []time.Time) (map[string]Firing, error) {
	fires := make([]string, 0, len(window))
	for _, at := range window {
		fires = append(fires, fireAt(at))
	}
	list, err := s.history(ctx, op, name, fires)
	if err != nil {
		return nil, err
	}
	known := make(map[string]Firing, len(list))
	for _, f := range list {
		known[f.Fire] = f
	}
	return known, nil
}

func (s *state) backfill(window []time.Time, known map[string]Firing) ([]Firing, error) {
	var filled []Firing
	for _, at := range window {
		f, isKnown := known[fireAt(at)]
		switch {
		case !isKnown && at.Unix() <= s.horizon:
			return nil, fmt.Errorf("history no longer knows whether the firing of %s started; begin after %s",
				stamp(at), stamp(time.Unix(s.horizon, 0)))
		case !isKnown && at.After(s.cursor):
			// It is about to come by itself.
			continue
		case isKnown && f.State != Skipped && f.State != Missed && f.State != Paused:
			continue
		}
		f = Firing{
			Schedule: s.name, Fire: fireAt(at), Cause: ByBackfill, State: Queued, Reason: "waits for its turn",
			At: at, Start: at, Decided: s.now, Version: s.version, Entry: s.entry,
		}
		if s.entry.overlap() == Allow {
			f.State, f.Reason = Started, ""
		}
		s.put(f)
		filled = append(filled, f)
	}
	return filled, nil
}
