package doctor

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// How often clock and latency are measured; the median counts, so that one slow
// answer is no finding.
const (
	clockRounds = 5
	pingRounds  = 20
)

// What is too much.
const (
	skewTolerable = 2 * time.Second
	skewHarmful   = 30 * time.Second
	latencyLong   = 5 * time.Millisecond
)

// examineClock compares the two clocks, and measures the way between them.
func examineClock(ctx context.Context, rdb redis.Cmdable, now func() time.Time, c *chart) {
	offsets := make([]time.Duration, 0, clockRounds)
	for range clockRounds {
		before := now()
		theirs, err := rdb.Time(ctx).Result()
		if err != nil {
			c.unknown("redis.clock", "its clock", err)
			return
		}
		ours := before.Add(now().Sub(before) / 2)
		offsets = append(offsets, ours.Sub(theirs))
	}
	judgeSkew(median(offsets), c)
	trips := make([]time.Duration, 0, pingRounds)
	for range pingRounds {
		before := now()
		if err := rdb.Ping(ctx).Err(); err != nil {
			c.unknown("redis.latency", "the way to it", err)
			return
		}
		trips = append(trips, now().Sub(before))
	}
	judgeLatency(median(trips), c)
}

// judgeSkew judges by how much this machine's clock is ahead of Redis's. Segue's
// own state goes by Redis's clock, but asynq schedules by its worker's.
func judgeSkew(ahead time.Duration, c *chart) {
	const cure = "let both machines keep time (timedatectl set-ntp true, or chrony)"
	word, off := "ahead of", ahead
	if ahead < 0 {
		word, off = "behind", -ahead
	}
	switch rounded := off.Round(100 * time.Millisecond); {
	case off > skewHarmful:
		c.add(Error, "redis.clock", cure, "this machine's clock is %s %s that of redis: its tasks come too late or too early by as much, and leases of running ones end early", rounded, word)
	case off > skewTolerable:
		c.add(Warning, "redis.clock", cure, "this machine's clock is %s %s that of redis: tasks that wait come late or early by as much", rounded, word)
	default:
		c.ok("redis.clock", "this machine's clock and that of redis agree within %s", skewTolerable)
	}
}

func judgeLatency(trip time.Duration, c *chart) {
	if trip > latencyLong {
		c.add(Warning, "redis.latency", "bring workers and redis closer together, or see what keeps it busy (redis-cli SLOWLOG GET)",
			"a round trip takes %s (median of %d): every step needs several, so workers will be slow", trip.Round(10*time.Microsecond), pingRounds)
		return
	}
	c.ok("redis.latency", "a round trip takes %s (median of %d)", trip.Round(10*time.Microsecond), pingRounds)
}
