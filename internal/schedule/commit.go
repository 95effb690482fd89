package schedule

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// commit writes what was changed if nobody has written since, and says when the
// schedule should be looked at next. False means that somebody has.
func (s *Store) commit(ctx context.Context, op string, st *state, look time.Time) (bool, error) {
	args, err := st.args(look)
	if err != nil {
		return false, fault.New(fault.Internal, op, err)
	}
	done, err := commitScript.Run(ctx, s.rdb, keysOf(st.name), args...).Int()
	return done == 1, down(op, err)
}

func (s *state) args(look time.Time) ([]any, error) {
	fields, err := s.fields()
	if err != nil {
		return nil, err
	}
	args := make([]any, 0, 9+len(fields)+4*len(s.touched))
	args = append(args, s.name, s.epoch, optional(look), kept, keptAlways,
		s.now.Add(-keptFor).UnixMilli(), keptFor.Milliseconds(), flag(s.isBack), len(fields)/2)
	args = append(args, fields...)
	for n := range s.open {
		f := &s.open[n]
		if !s.touched[f.Fire] {
			continue
		}
		record, err := encode(f)
		if err != nil {
			return nil, err
		}
		args = append(args, f.Fire, toMillis(f.Decided), record)
		if !f.Open() {
			args = append(args, "")
			continue
		}
		entry, err := json.Marshal(&f.Entry)
		if err != nil {
			return nil, err
		}
		args = append(args, entry)
	}
	return args, nil
}

// committed makes what was committed the state that the next change begins from.
func (s *state) committed() {
	s.epoch++
	s.changed, s.isBack = false, false
	clear(s.touched)
}

// fields are the schedule's own, when they changed.
func (s *state) fields() ([]any, error) {
	if !s.changed {
		return nil, nil
	}
	entry, err := json.Marshal(&s.entry)
	return []any{
		"entry", entry, "version", s.version, "cursor", s.cursor.Unix(),
		"paused", optional(s.paused), "removed", optional(s.removed),
	}, err
}

func flag(is bool) string {
	if is {
		return "1"
	}
	return ""
}

// optional writes a time that may be none.
func optional(t time.Time) any {
	if t.IsZero() {
		return ""
	}
	return t.UnixMilli()
}

// attempts is how often a write is tried again because somebody else wrote: each
// time somebody got on.
const attempts = 200

// update changes a schedule: change is given it as it is, and asked again when
// somebody else wrote meanwhile, or when it says that it is not done yet.
func (s *Store) update(ctx context.Context, op, name string, change func(*state) (again bool, err error)) error {
	for conflicts := 0; conflicts < attempts; {
		st, err := s.read(ctx, op, name)
		if err != nil {
			return err
		}
		again, err := change(st)
		if err != nil {
			return err
		}
		if !st.dirty() {
			return nil
		}
		done, err := s.commit(ctx, op, st, st.look(0))
		if err != nil {
			return err
		}
		switch {
		case !done:
			conflicts++
		case !again:
			return nil
		}
	}
	return fault.New(fault.Conflict, op, fmt.Errorf("schedule %s is being changed by others all the time", name))
}
