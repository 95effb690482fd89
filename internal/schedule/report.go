package schedule

import (
	"context"
	"fmt"

	"github.com/segue-audio/segue/internal/fault"
)

// What the task of a firing reports, once: it has become a session, it found nothing
// to do, or it failed for good. Until then the firing counts as running, and its task
// is enqueued again every 15 minutes in case it was lost. Reporting the same again
// changes nothing; reporting another thing is a conflict.

// Submitted says that a firing has become a session, and what it found that is worth
// knowing, which may be nothing. It is over when the session is. What it carries must be
// marked before: see Store.Mark.
func (s *Store) Submitted(ctx context.Context, name, fire, session, found string) error {
	const op = "schedule.Submitted"
	if session == "" {
		return fault.New(fault.Invalid, op, fmt.Errorf("%s@%s: no session", name, fire))
	}
	return s.report(ctx, op, name, fire, func(f *Firing) { f.Session, f.Reason = session, found })
}

// Idle says that a firing found nothing to do: no file is new. It is over.
func (s *Store) Idle(ctx context.Context, name, fire, reason string) error {
	return s.reportEnd(ctx, "schedule.Idle", name, fire, Started, reason)
}

// Fail says that a firing cannot become a session, and why. It is over; what it was
// about to carry is fresh for others.
func (s *Store) Fail(ctx context.Context, name, fire, reason string) error {
	return s.reportEnd(ctx, "schedule.Fail", name, fire, Failed, reason)
}

func (s *Store) reportEnd(ctx context.Context, op, name, fire string, end State, reason string) error {
	return s.update(ctx, op, name, func(st *state) (bool, error) {
		f := st.find(fire)
		if f == nil {
			return false, s.reported(ctx, op, name, fire, func(f *Firing) bool {
				return f.State == end && f.Session == "" && f.Reason == reason
			})
		}
		if f.State != Started || f.Session != "" {
			return false, otherwise(op, f)
		}
		over := *f
		over.State, over.Reason, over.Ended = end, reason, st.now
		st.put(over)
		return false, nil
	})
}

func (s *Store) report(ctx context.Context, op, name, fire string, note func(*Firing)) error {
	return s.update(ctx, op, name, func(st *state) (bool, error) {
		f := st.find(fire)
		var noted Firing
		if f != nil {
			noted = *f
		}
		note(&noted)
		switch {
		case f == nil:
			return false, s.reported(ctx, op, name, fire, func(f *Firing) bool { return f.Session == noted.Session })
		case f.State == Started && f.Session == noted.Session:
			return false, nil
		case f.State != Started || f.Session != "":
			return false, otherwise(op, f)
		}
		st.put(noted)
		return false, nil
	})
}

// reported is for a firing that is over: nil when this was reported of it.
func (s *Store) reported(ctx context.Context, op, name, fire string, same func(*Firing) bool) error {
	known, err := s.history(ctx, op, name, []string{fire})
	switch {
	case err != nil:
		return err
	case len(known) == 0:
		return unknown(op, name, fire)
	case !same(&known[0]):
		return otherwise(op, &known[0])
	}
	return nil
}

func otherwise(op string, f *Firing) error {
	is := string(f.State)
	if f.Session != "" {
		is += " as " + f.Session
	}
	return fault.New(fault.Conflict, op, fmt.Errorf("firing %s is %s", f.ID(), is))
}
