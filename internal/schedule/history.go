package schedule

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Firing gives one firing. It is not_found when there is none, or history has
// forgotten it. Its Entry is empty once it is over.
func (s *Store) Firing(ctx context.Context, name, fire string) (Firing, error) {
	const op = "schedule.Firing"
	st, err := s.read(ctx, op, name)
	if err != nil {
		return Firing{}, err
	}
	if f := st.find(fire); f != nil {
		return *f, nil
	}
	known, err := s.history(ctx, op, name, []string{fire})
	if err != nil {
		return Firing{}, err
	}
	if len(known) == 0 {
		return Firing{}, unknown(op, name, fire)
	}
	return known[0], nil
}

func unknown(op, name, fire string) error {
	return fault.New(fault.NotFound, op, fmt.Errorf("there is no firing %s@%s", name, fire))
}

// History gives the firings of a schedule, also of one that was removed, the latest
// decided first: at most limit, after the firing named before (empty for the
// latest). The last 1,000 are kept, for 90 days; the last 10 for as long as the
// schedule is there.
func (s *Store) History(ctx context.Context, name string, limit int, before string) ([]Firing, error) {
	const op = "schedule.History"
	if !nameForm.MatchString(name) {
		return nil, fault.New(fault.NotFound, op, fmt.Errorf("there is no schedule %q", name))
	}
	if limit <= 0 {
		return nil, nil
	}
	first := int64(0)
	if before != "" {
		rank, err := s.rdb.ZRevRank(ctx, keyOrder(name), before).Result()
		if errors.Is(err, redis.Nil) {
			// It was forgotten, and all that came before it with it.
			return nil, nil
		}
		if err != nil {
			return nil, down(op, err)
		}
		first = rank + 1
	}
	fires, err := s.rdb.ZRevRange(ctx, keyOrder(name), first, first+int64(limit)-1).Result()
	if err != nil {
		return nil, down(op, err)
	}
	return s.history(ctx, op, name, fires)
}

// history reads firings by name, in that order, without those that it does not know.
func (s *Store) history(ctx context.Context, op, name string, fires []string) ([]Firing, error) {
	if len(fires) == 0 {
		return nil, nil
	}
	records, err := s.rdb.HMGet(ctx, keyFirings(name), fires...).Result()
	if err != nil {
		return nil, down(op, err)
	}
	known := make([]Firing, 0, len(records))
	for n, fire := range fires {
		if n >= len(records) || records[n] == nil {
			continue
		}
		f, err := decode(name, fire, text(records[n]))
		if err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
		known = append(known, f)
	}
	return known, nil
}
