package schedule

import (
	"fmt"
	"time"
)

// chunk is how many firings of the calendar one write takes in: a schedule that
// nobody looked at for weeks is caught up with in several.
const chunk = 100

// expand writes down every firing of the calendar that has come since the cursor:
// as due, or as paused. It answers whether there are more than one write takes.
func (s *state) expand() (more bool, err error) {
	if !s.exists() {
		return false, nil
	}
	plan, err := NewPlan(&s.entry)
	if err != nil {
		return false, err
	}
	// What history would forget at once need not be written down.
	if oldest := s.now.Add(-keptFor); s.cursor.Before(oldest) {
		s.cursor, s.changed = oldest.Truncate(time.Second), true
	}
	for n := 0; ; n++ {
		at := plan.Next(s.cursor)
		switch {
		case at.IsZero() || at.After(s.now):
			return false, nil
		case n == chunk:
			return true, nil
		}
		s.come(plan, at)
	}
}

// come writes down one firing of the calendar.
func (s *state) come(plan *Plan, at time.Time) {
	s.cursor, s.changed = at.UTC(), true
	f := Firing{
		Schedule: s.name, Fire: fireAt(at), Cause: ByCalendar, State: Due,
		At: at.UTC(), Start: plan.start(&s.entry, at).UTC(), Decided: s.now,
		Version: s.version, Entry: s.entry,
	}
	if s.isPaused() {
		f.State, f.Reason = Paused, s.pausedBy()
	}
	s.put(f)
}

func (s *state) pausedBy() string {
	if s.paused.IsZero() {
		return "the configuration has paused the schedule"
	}
	return "the schedule was paused at " + stamp(s.paused)
}

// decide says of every firing whose start has come what becomes of it. Sessions that
// are over must have been ended before. More says that later firings have come, and
// are not written down yet.
func (s *state) decide(more bool) {
	s.promote()
	var ready []Firing
	for _, f := range s.in(Due) {
		if !f.Start.After(s.now) {
			ready = append(ready, f)
		}
	}
	for n, f := range ready {
		f.Decided = s.now
		late, last := s.now.Sub(f.Start), n == len(ready)-1 && !more
		switch {
		case s.isPaused():
			f.State, f.Reason = Paused, s.pausedBy()
		case late > f.Entry.tolerance():
			f.State, f.Reason = Missed, fmt.Sprintf("nobody ran when it was due; %s late, and at most %s is caught up",
				late.Round(time.Second), f.Entry.tolerance())
		case f.Entry.overlap() == Skip && !last:
			f.State, f.Reason = Missed, "nobody ran when it was due, and a later one is due as well"
		default:
			s.meet(&f)
		}
		s.put(f)
	}
}

// promote lets the firing that has waited longest start once nothing runs.
func (s *state) promote() {
	waiting := s.in(Queued)
	if len(waiting) == 0 || s.isPaused() || len(s.in(Started)) > 0 {
		return
	}
	waiting[0].State, waiting[0].Reason = Started, ""
	s.put(waiting[0])
}

// meet applies the overlap policy.
func (s *state) meet(f *Firing) {
	f.State = Started
	running := s.in(Started)
	if len(running) == 0 || f.Entry.overlap() == Allow {
		return
	}
	f.State, f.Reason = Skipped, running[0].ID()+" still ran"
	if running[0].Session != "" {
		f.Reason += " (" + running[0].Session + ")"
	}
	if f.Entry.overlap() != Queue {
		return
	}
	for _, waiting := range s.in(Queued) {
		if waiting.Cause == ByCalendar {
			f.Reason = "folded into " + waiting.ID() + ", which waited already"
			return
		}
	}
	f.State, f.Reason = Queued, "waits for "+running[0].ID()
}

// drop leaves out what has not started: the schedule is no more.
func (s *state) drop() {
	for _, f := range append(s.in(Due), s.in(Queued)...) {
		f.State, f.Reason, f.Decided = Skipped, "the schedule was removed", s.now
		s.put(f)
	}
}

const (
	// lookAgain is when a decided firing that nobody enqueued is enqueued by somebody
	// else, and lookRunning how often a running session is asked after.
	lookAgain   = time.Second
	lookRunning = 5 * time.Second
	// lookAtMost bounds what a stale look could cost.
	lookAtMost = time.Minute
	// unheard is when a firing that was enqueued, and of which nothing was heard, is
	// enqueued again: its task may be lost. While the task is there that does nothing.
	unheard = 15 * time.Minute
)

// look is when a scheduler should look again; zero when the schedule was removed and
// nothing of it is open. Whoever enqueues what is to be enqueued itself says how long
// the others leave that to it.
func (s *state) look(sending time.Duration) time.Time {
	look := s.now.Add(lookAtMost)
	sooner := func(t time.Time) {
		if t.Before(look) {
			look = t
		}
	}
	open, running := false, len(s.in(Started)) > 0
	for n := range s.open {
		f := &s.open[n]
		switch {
		case !f.Open():
			continue
		case f.State == Due:
			sooner(f.Start)
		case f.State == Started && f.Enqueued.IsZero():
			sooner(s.now.Add(sending))
		case f.State == Queued && !running && !s.isPaused():
			sooner(s.now)
		default:
			sooner(s.now.Add(lookRunning))
		}
		open = true
	}
	if !s.exists() && !open {
		return time.Time{}
	}
	if plan, err := NewPlan(&s.entry); err == nil && s.exists() {
		if next := plan.Next(s.cursor); !next.IsZero() {
			sooner(next)
		}
	}
	return look
}

// unsent are the started firings that are to be enqueued: nobody noted that it did,
// or nothing was heard of them for long.
func (s *state) unsent() []Firing {
	var unsent []Firing
	for _, f := range s.in(Started) {
		if f.Session == "" && s.now.Sub(f.Enqueued) >= unheard {
			unsent = append(unsent, f)
		}
	}
	return unsent
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
