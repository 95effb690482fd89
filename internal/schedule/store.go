package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Change is what Sync did about one schedule.
type Change struct {
	Name string
	Kind Kind
	// Finding is what a person should know about it; empty when nothing.
	Finding string
}

// Kind says what was done.
type Kind string

// The kinds.
const (
	Added   Kind = "added"
	Changed Kind = "changed"
	Removed Kind = "removed"
)

// Sync makes the schedules that follow the configuration what entries say: it adds,
// changes and removes, and answers what it did, by name. Those made by command stay,
// except where the configuration has one of the same name: that one wins, and the
// change says so.
//
// A schedule that is new fires from now on. One whose times change, or that is no
// longer paused, keeps the firings that came before, and fires by its new times from
// now on. Every scheduler calls it when it starts; two with different configurations
// undo each other's.
func (s *Store) Sync(ctx context.Context, entries []Entry) ([]Change, error) {
	const op = "schedule.Sync"
	named := make(map[string]bool, len(entries))
	var findings []error
	for n := range entries {
		e := &entries[n]
		if named[e.Name] {
			findings = append(findings, fmt.Errorf("schedule %s is there twice", e.Name))
		}
		if err := e.Check(); err != nil {
			findings = append(findings, fmt.Errorf("schedule %s: %s", e.Name, fault.Reason(err)))
		}
		named[e.Name] = true
	}
	if err := errors.Join(findings...); err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	gone, err := s.gone(ctx, op, named)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, e := range entries {
		e.Origin = FromConfig
		change, err := s.adopt(ctx, op, e)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change...)
	}
	changes = append(changes, gone...)
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	return changes, nil
}

// gone removes the schedules that the configuration no longer has.
func (s *Store) gone(ctx context.Context, op string, named map[string]bool) ([]Change, error) {
	names, err := s.names(ctx, op)
	if err != nil {
		return nil, err
	}
	var changes []Change
	for _, name := range names {
		if named[name] {
			continue
		}
		removed := false
		err := s.update(ctx, op, name, func(st *state) (bool, error) {
			if removed = st.exists() && st.entry.Origin == FromConfig; removed {
				st.remove()
			}
			return false, nil
		})
		if err != nil {
			return nil, err
		}
		if removed {
			changes = append(changes, Change{Name: name, Kind: Removed})
		}
	}
	return changes, nil
}

// adopt makes a schedule what an entry says. It answers nothing when it is already.
func (s *Store) adopt(ctx context.Context, op string, e Entry) ([]Change, error) {
	var change []Change
	err := s.update(ctx, op, e.Name, func(st *state) (again bool, err error) {
		switch {
		case !st.exists():
			change = []Change{{Name: e.Name, Kind: Added}}
		case same(&e, &st.entry):
			return false, nil
		case st.entry.Origin == FromCommand && e.Origin == FromConfig:
			change = []Change{{
				Name: e.Name, Kind: Changed,
				Finding: "the schedule of this name that was made by command has given way to the configuration's",
			}}
		default:
			change = []Change{{Name: e.Name, Kind: Changed}}
		}
		return st.follow(e)
	})
	return change, err
}

// follow makes the schedule follow an entry from now on. What came before, came by
// the rules of before.
func (s *state) follow(e Entry) (again bool, err error) {
	isNew := !s.exists()
	shifts := e.Cron != s.entry.Cron || e.Timezone != s.entry.Timezone || e.Paused != s.entry.Paused
	if !isNew && shifts {
		// A calendar that cannot be read any more has nothing left to settle.
		if more, err := s.expand(); more && err == nil {
			return true, nil
		}
	}
	if isNew || shifts {
		s.skipAhead()
	}
	if isNew {
		s.removed, s.paused, s.isBack = time.Time{}, time.Time{}, true
	}
	s.entry, s.changed = e, true
	s.version++
	return false, nil
}

// skipAhead makes what comes by the calendar begin now. It never goes back: what the
// clock of another Redis has not reached yet has been written down.
func (s *state) skipAhead() {
	if s.now.After(s.cursor) {
		s.cursor = s.now.Truncate(time.Second)
	}
	s.changed = true
}

func (s *state) remove() {
	s.drop()
	s.removed, s.changed = s.now, true
}

// Put makes a schedule by command, or changes one that was made so. It is a conflict
// with one that follows the configuration.
func (s *Store) Put(ctx context.Context, e Entry) error {
	const op = "schedule.Put"
	if err := e.Check(); err != nil {
		return err
	}
	e.Origin = FromCommand
	return s.update(ctx, op, e.Name, func(st *state) (bool, error) {
		if err := byCommand(op, st); err != nil {
			return false, err
		}
		if st.exists() && same(&e, &st.entry) {
			return false, nil
		}
		return st.follow(e)
	})
}

// Remove ends a schedule that was made by command. What of it has started goes on;
// its history is kept for 90 days, and what it has seen until Forget. It is a
// conflict with one that follows the configuration.
func (s *Store) Remove(ctx context.Context, name string) error {
	const op = "schedule.Remove"
	return s.change(ctx, op, name, func(st *state) (bool, error) {
		if err := byCommand(op, st); err != nil {
			return false, err
		}
		st.remove()
		return false, nil
	})
}

// byCommand refuses to change by command what follows the configuration.
func byCommand(op string, st *state) error {
	if !st.exists() || st.entry.Origin == FromCommand {
		return nil
	}
	return fault.New(fault.Conflict, op, fmt.Errorf("schedule %s follows the configuration: change it there", st.name))
}

// change is update for a schedule that must be there.
func (s *Store) change(ctx context.Context, op, name string, change func(*state) (again bool, err error)) error {
	return s.update(ctx, op, name, func(st *state) (bool, error) {
		if !st.exists() {
			return false, fault.New(fault.NotFound, op, fmt.Errorf("there is no schedule %q", name))
		}
		return change(st)
	})
}

// names gives every schedule that the index knows, removed ones too.
func (s *Store) names(ctx context.Context, op string) ([]string, error) {
	names, err := s.rdb.ZRange(ctx, keyIndex, 0, -1).Result()
	slices.Sort(names)
	return names, down(op, err)
}

// Status is how a schedule stands.
type Status struct {
	Entry Entry
	// Version counts the entry's changes, from 1.
	Version int64
	// Now is the moment, by Redis's clock.
	Now time.Time
	// Paused says that nothing starts by the calendar, and PausedAt since when a person
	// wants it so: zero when the configuration alone does.
	Paused   bool
	PausedAt time.Time
	// Next is the next firing of the calendar, whether paused or not; zero when there
	// is none.
	Next Upcoming
	// Open are the firings that are not over, oldest first.
	Open []Firing
}

// List gives every schedule, by name.
func (s *Store) List(ctx context.Context) ([]Status, error) {
	const op = "schedule.List"
	names, err := s.names(ctx, op)
	if err != nil {
		return nil, err
	}
	list := make([]Status, 0, len(names))
	for _, name := range names {
		st, err := s.read(ctx, op, name)
		if err != nil {
			return nil, err
		}
		if st.exists() {
			list = append(list, st.status())
		}
	}
	return list, nil
}

// Unattended says for how long no scheduler has looked at a schedule that was to be
// looked at: every one is, once a minute at least. It is 0 when none is late. The clock
// is Redis's.
func (s *Store) Unattended(ctx context.Context) (time.Duration, error) {
	const op = "schedule.Unattended"
	first, err := s.rdb.ZRangeWithScores(ctx, keyIndex, 0, 0).Result()
	if err != nil || len(first) == 0 {
		return 0, down(op, err)
	}
	now, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return 0, down(op, err)
	}
	return max(now.Sub(time.UnixMilli(int64(first[0].Score))), 0), nil
}

// Get gives one schedule. It is not_found when there is none, or none any more.
func (s *Store) Get(ctx context.Context, name string) (Status, error) {
	st, err := s.existing(ctx, "schedule.Get", name)
	if err != nil {
		return Status{}, err
	}
	return st.status(), nil
}

func (s *state) status() Status {
	status := Status{
		Entry: s.entry, Version: s.version, Now: s.now,
		Paused: s.isPaused(), PausedAt: s.paused, Open: s.open,
	}
	// What came already and was not written down yet is as good as written down.
	if upcoming, err := Preview(s.entry, s.now, 1); err == nil && len(upcoming) == 1 {
		status.Next = upcoming[0]
	}
	return status
}
