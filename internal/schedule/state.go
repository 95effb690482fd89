package schedule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// state is one schedule as of one moment, and what a caller changes of it. Nothing
// is changed in Redis before it is committed, and then all of it or nothing.
type state struct {
	name string
	now  time.Time
	// epoch is what the schedule's was when it was read; 0 means that there was none.
	epoch int64

	entry   Entry
	version int64
	// cursor: every firing of the calendar until then is written down.
	cursor  time.Time
	horizon int64
	// paused is since when a person has paused it, removed since when it is no more.
	paused, removed time.Time

	// open are the firings that were not over, and those touched since, by time.
	open []Firing
	// touched are the names of those that changed.
	touched map[string]bool
	// changed says that fields of the schedule did, isBack that it is there again.
	changed, isBack bool
}

// exists says that there is such a schedule, and that it was not removed.
func (s *state) exists() bool { return s.version > 0 && s.removed.IsZero() }

// isPaused says that nothing starts by the calendar.
func (s *state) isPaused() bool { return s.entry.Paused || !s.paused.IsZero() }

// find gives an open firing, or one that was touched; nil when there is none.
func (s *state) find(fire string) *Firing {
	for n := range s.open {
		if s.open[n].Fire == fire {
			return &s.open[n]
		}
	}
	return nil
}

// put adds a firing, or changes the one of its name.
func (s *state) put(f Firing) {
	s.touched[f.Fire] = true
	if found := s.find(f.Fire); found != nil {
		*found = f
		return
	}
	s.open = append(s.open, f)
	slices.SortStableFunc(s.open, func(a, b Firing) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Fire, b.Fire))
	})
}

// in gives those open firings that are in a state, by time.
func (s *state) in(state State) []Firing {
	var found []Firing
	for n := range s.open {
		if s.open[n].State == state && s.open[n].Open() {
			found = append(found, s.open[n])
		}
	}
	return found
}

// dirty says that there is something to commit.
func (s *state) dirty() bool { return s.changed || len(s.touched) > 0 }

// Store keeps schedules in Redis. It is safe for concurrent use, by any number of
// processes. Its errors are faults: invalid, not_found, conflict, canceled, and
// unavailable when Redis is.
type Store struct{ rdb redis.UniversalClient }

// NewStore returns a store over a client that it does not own.
func NewStore(rdb redis.UniversalClient) *Store { return &Store{rdb: rdb} }

// read gives a schedule as it is now. One that is not there is empty.
func (s *Store) read(ctx context.Context, op, name string) (*state, error) {
	if !nameForm.MatchString(name) {
		return nil, fault.New(fault.NotFound, op, fmt.Errorf("there is no schedule %q", name))
	}
	answer, err := readScript.Run(ctx, s.rdb, keysOf(name)).Slice()
	if err != nil {
		return nil, down(op, err)
	}
	st := &state{name: name, touched: make(map[string]bool)}
	if err := st.decode(answer); err != nil {
		return nil, fault.New(fault.Malformed, op, fmt.Errorf("schedule %s: %w", name, err))
	}
	return st, nil
}

// existing is read for what must be there.
func (s *Store) existing(ctx context.Context, op, name string) (*state, error) {
	st, err := s.read(ctx, op, name)
	if err != nil {
		return nil, err
	}
	if !st.exists() {
		return nil, fault.New(fault.NotFound, op, fmt.Errorf("there is no schedule %q", name))
	}
	return st, nil
}

func (s *state) decode(answer []any) error {
	if len(answer) != 3 {
		return fmt.Errorf("an answer of %d parts", len(answer))
	}
	now, err := strconv.ParseInt(text(answer[0]), 10, 64)
	if err != nil {
		return err
	}
	s.now = ofMillis(now)
	if err := s.decodeFields(texts(answer[1])); err != nil {
		return err
	}
	return s.decodeOpen(texts(answer[2]))
}

func (s *state) decodeFields(list []string) error {
	fields := make(map[string]string, len(list)/2)
	for n := 0; n+1 < len(list); n += 2 {
		fields[list[n]] = list[n+1]
	}
	var errs []error
	number := func(field string) int64 {
		if fields[field] == "" {
			return 0
		}
		n, err := strconv.ParseInt(fields[field], 10, 64)
		errs = append(errs, err)
		return n
	}
	s.epoch, s.version, s.horizon = number("epoch"), number("version"), number("horizon")
	s.paused, s.removed = ofMillis(number("paused")), ofMillis(number("removed"))
	s.cursor = time.Unix(number("cursor"), 0).UTC()
	if fields["entry"] != "" {
		errs = append(errs, json.Unmarshal([]byte(fields["entry"]), &s.entry))
	}
	return errors.Join(errs...)
}

func (s *state) decodeOpen(list []string) error {
	for n := 0; n+2 < len(list); n += 3 {
		f, err := decode(s.name, list[n], list[n+1])
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(list[n+2]), &f.Entry); err != nil {
			return fmt.Errorf("entry of %s: %w", f.ID(), err)
		}
		s.put(f)
	}
	clear(s.touched)
	return nil
}

// down classifies what Redis, or the way to it, said.
func down(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Canceled, op, err)
	}
	return fault.New(fault.Unavailable, op, err)
}

// text reads one value of an answer.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

func texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	read := make([]string, len(list))
	for n := range list {
		read[n] = text(list[n])
	}
	return read
}
