package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Scheduler is the role that decides about firings and enqueues them. Any number of
// them may run over one Redis, and each may die at any moment: what one has begun,
// the next look of any other finishes.
type Scheduler struct {
	Store *Store
	// Enqueue puts the task of a firing on its queue, under an id that Schedule and Fire
	// decide. It is called at least once for every firing that starts, so a task that is
	// there already is success. An error of code invalid fails the firing; after any
	// other it is called again.
	Enqueue func(ctx context.Context, f Firing) error
	// Active says whether a session that a firing became still runs. After an error
	// nothing is decided, and it is asked again.
	Active func(ctx context.Context, sessionID string) (bool, error)
	Log    *slog.Logger
	// Every is the time between two looks; a second when zero.
	Every time.Duration
}

// Run looks at what is due until the context ends. What fails is logged, and
// tried again with every look. It returns nil once the context has ended.
func (s *Scheduler) Run(ctx context.Context) error {
	every := s.Every
	if every <= 0 {
		every = time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last trouble
	for {
		if err := s.Tick(ctx); ctx.Err() == nil {
			last = s.complain(ctx, err, last)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// trouble is what was logged last of looks that fail.
type trouble struct {
	code fault.Code
	at   time.Time
}

// complain logs that looking fails, or does no more: when that changes, and once a
// minute. A Redis that is away for an hour is not 3,600 lines.
func (s *Scheduler) complain(ctx context.Context, err error, last trouble) trouble {
	now := trouble{fault.CodeOf(err), time.Now()}
	switch {
	case err == nil && last.code != "":
		s.Log.LogAttrs(ctx, slog.LevelInfo, "schedules looked at again")
	case now.code == last.code && (err == nil || now.at.Sub(last.at) < time.Minute):
		return last
	case err != nil:
		s.Log.LogAttrs(ctx, slog.LevelError, "schedules not looked at",
			slog.String("code", string(now.code)), slog.String("error", err.Error()))
	}
	return now
}

const (
	// atOnce is how many schedules one Tick looks at.
	atOnce = 1000
	// looksAtOnce bounds how long one schedule's arrears keep the others waiting.
	looksAtOnce = 20
)

// Tick looks once at every schedule whose time has come. A schedule that fails does
// not keep the others from being looked at; what failed is in the error.
func (s *Scheduler) Tick(ctx context.Context) error {
	names, err := dueScript.Run(ctx, s.Store.rdb, []string{keyIndex}, atOnce).StringSlice()
	if err != nil {
		return down("schedule.Tick", err)
	}
	var failed []error
	for _, name := range names {
		again := true
		for n := 0; n < looksAtOnce && again && err == nil; n++ {
			again, err = s.look(ctx, name)
		}
		if err != nil {
			failed = append(failed, err)
			err = nil
		}
	}
	return errors.Join(failed...)
}

// look brings one schedule up to now: decides, writes that down, and enqueues what
// starts. It answers whether there is more to do at once. When somebody else wrote
// meanwhile, it leaves the schedule to them or to the next look.
func (s *Scheduler) look(ctx context.Context, name string) (again bool, err error) {
	const op = "schedule.Tick"
	st, err := s.Store.read(ctx, op, name)
	if err != nil {
		return false, err
	}
	if err := s.end(ctx, st); err != nil {
		return false, err
	}
	more, err := st.expand()
	if err != nil {
		return false, err
	}
	st.decide(more)
	look := st.look(lookAgain)
	if more {
		look = st.now
	}
	done, err := s.Store.commit(ctx, op, st, look)
	if err != nil || !done {
		return false, err
	}
	s.tell(ctx, st)
	return more, s.send(ctx, st)
}

// end closes the firings whose sessions are over.
func (s *Scheduler) end(ctx context.Context, st *state) error {
	for _, f := range st.in(Started) {
		if f.Session == "" {
			continue
		}
		active, err := s.Active(ctx, f.Session)
		if err != nil {
			return fmt.Errorf("session %s of %s: %w", f.Session, f.ID(), err)
		}
		if !active {
			f.Ended = st.now
			st.put(f)
		}
	}
	return nil
}

// send enqueues what was decided to start, and writes down that it did.
func (s *Scheduler) send(ctx context.Context, st *state) error {
	unsent := st.unsent()
	if len(unsent) == 0 {
		return nil
	}
	var failed []error
	outcome := make(map[string]error, len(unsent))
	for _, f := range unsent {
		err := s.Enqueue(ctx, f)
		if err != nil && fault.CodeOf(err) != fault.Invalid {
			failed = append(failed, fmt.Errorf("enqueue %s: %w", f.ID(), err))
			continue
		}
		if outcome[f.Fire] = err; err != nil {
			s.Log.LogAttrs(ctx, slog.LevelError, "firing failed",
				slog.String("schedule", f.Schedule), slog.String("fire", f.Fire), slog.String("error", err.Error()))
		}
	}
	return errors.Join(append(failed, s.note(ctx, st, outcome))...)
}

// note writes down what came of enqueueing: at once if nobody wrote since st was
// committed, which is the rule.
func (s *Scheduler) note(ctx context.Context, st *state, outcome map[string]error) error {
	const op = "schedule.Tick"
	st.committed()
	st.sent(outcome)
	if !st.dirty() {
		return nil
	}
	if done, err := s.Store.commit(ctx, op, st, st.look(0)); done || err != nil {
		return err
	}
	return s.Store.update(ctx, op, st.name, func(st *state) (bool, error) {
		st.sent(outcome)
		return false, nil
	})
}

// sent notes what came of enqueueing. A firing that was heard of meanwhile needs no
// note.
func (s *state) sent(outcome map[string]error) {
	for _, f := range s.in(Started) {
		err, tried := outcome[f.Fire]
		if !tried || f.Session != "" {
			continue
		}
		f.Enqueued = s.now
		if err != nil {
			f.State, f.Reason, f.Ended = Failed, fault.Reason(err), s.now
		}
		s.put(f)
	}
}

// tell logs what was decided, once per firing: by whoever's write counted.
func (s *Scheduler) tell(ctx context.Context, st *state) {
	for n := range st.open {
		f := &st.open[n]
		if !st.touched[f.Fire] || f.State == Due || !f.Ended.IsZero() {
			continue
		}
		level := slog.LevelInfo
		if f.State == Missed {
			level = slog.LevelWarn
		}
		s.Log.LogAttrs(ctx, level, "firing decided",
			slog.String("schedule", f.Schedule), slog.String("fire", f.Fire), slog.Time("at", f.At),
			slog.String("state", string(f.State)), slog.String("reason", f.Reason))
	}
}
