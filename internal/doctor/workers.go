package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// workers are those whose heartbeat is on record.
type workers struct {
	alive []string
	dead  []deadWorker
}

type deadWorker struct {
	name string
	ago  time.Duration
}

// readWorkers reads the heartbeats. Unlike session.Store it forgets none: the
// doctor writes nothing.
func readWorkers(ctx context.Context, rdb redis.UniversalClient) (*workers, error) {
	const op = "doctor.readWorkers"
	now, err := rdb.Time(ctx).Result()
	if err != nil {
		return nil, fault.New(fault.Unavailable, op, err)
	}
	beats, err := rdb.ZRangeWithScores(ctx, "segue:workers", 0, -1).Result()
	if err != nil {
		return nil, fault.New(fault.Unavailable, op, err)
	}
	var w workers
	for _, beat := range beats {
		ago := now.Sub(time.UnixMilli(int64(beat.Score)))
		name := fmt.Sprint(beat.Member)
		if ago <= session.DeadAfter {
			w.alive = append(w.alive, name)
		} else {
			w.dead = append(w.dead, deadWorker{name, ago})
		}
	}
	return &w, nil
}

// report judges them. owed is how many items wait for a worker.
func (w *workers) report(owed int, passing bool, c *chart) {
	switch alive := len(w.alive); {
	case alive > 0:
		c.ok("workers.alive", "%s at work (%s)", count(alive, "worker"), some(w.alive))
	case owed > 0 && passing:
		c.add(Note, "workers.alive", "segue up, or the command again that submitted them", "%s on their way, and nobody works", count(owed, "item"))
	case owed > 0:
		c.add(Error, "workers.alive", "segue worker", "%s on their way, and no worker is alive", count(owed, "item"))
	default:
		c.ok("workers.alive", "no worker runs, and nothing waits for one")
	}
	if len(w.dead) == 0 {
		return
	}
	// The one that died last says most about what is going on.
	slices.SortStableFunc(w.dead, func(a, b deadWorker) int { return int(a.ago - b.ago) })
	var names []string
	for _, d := range w.dead[:min(len(w.dead), named)] {
		names = append(names, d.name+", "+d.ago.Round(time.Second).String()+" ago")
	}
	c.add(Note, "workers.dead", "see why it ended without a word (its log, the system's out-of-memory log)",
		"%s died within the last hour: %s; the others take over what it had", count(len(w.dead), "worker"), strings.Join(names, "; "))
}
