// Package retention knows until when providers keep what nobody has archived yet, so
// that what is deleted first is fetched first, and somebody hears of it in time.
//
// What it keeps in Redis is a hint: the items are the truth. An item that is missing
// here is fetched in its turn, and one that should not be here any more is found out
// when it is looked at.
package retention

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// The keys. Each is used alone, so that they may lie on any node of a cluster.
//
//	segue:unarchived:<provider>  zset  item id → when the provider deletes its results, ms
//	segue:fetchable:<provider>   zset  the same, of those that a worker may fetch now
//	segue:alarmed:<session>      string  the highest level that was reported of it
func keyUnarchived(provider string) string { return "segue:unarchived:" + provider }
func keyFetchable(provider string) string  { return "segue:fetchable:" + provider }
func keyAlarmed(id string) string          { return "segue:alarmed:" + id }

// Levels are the percents of a provider's retention after which somebody should hear
// that results are not archived.
func Levels() []int { return []int{50, 80, 95} }

// Level is the highest of the levels that has passed by now; 0 is none.
func Level(deadline, now time.Time, kept time.Duration) int {
	reached := 0
	for _, level := range Levels() {
		if !now.Before(passedAt(deadline, kept, level)) {
			reached = level
		}
	}
	return reached
}

// passedAt is when so many percents of the retention have passed.
func passedAt(deadline time.Time, kept time.Duration, percent int) time.Time {
	return deadline.Add(-kept * time.Duration(100-percent) / 100)
}

// Deadline is when the provider deletes an item's results that keeps them so long. It
// counts from when the last extend was accepted, which is a little too early: when it
// ended is not known where nobody looked for days. Zero means that it deletes nothing.
func Deadline(it *session.Item, kept time.Duration) time.Time {
	if kept <= 0 {
		return time.Time{}
	}
	from := it.Since
	for _, op := range it.Operations {
		if op.Step == session.StepExtend && op.At > 0 {
			from = op.At
		}
	}
	if from == 0 {
		return time.Time{}
	}
	return time.UnixMilli(from).Add(kept)
}

// Awaits says that an item's results are with its provider, and nowhere else yet.
func Awaits(it *session.Item) bool { return it.Step == session.StepFetch && !it.State.Ended() }

// Book keeps the deadlines in Redis. It is safe for concurrent use.
type Book struct{ rdb redis.UniversalClient }

// NewBook returns a Book over a client that it does not own.
func NewBook(rdb redis.UniversalClient) *Book { return &Book{rdb: rdb} }

// Waiting is an item whose results are not archived yet.
type Waiting struct {
	Provider, Item string
	Deadline       time.Time
}

// Expect notes an item that any worker may fetch from now on.
func (b *Book) Expect(ctx context.Context, w Waiting) error {
	member := redis.Z{Score: float64(w.Deadline.UnixMilli()), Member: w.Item}
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, keyUnarchived(w.Provider), member)
		p.ZAdd(ctx, keyFetchable(w.Provider), member)
		return nil
	})
	return down("retention.Expect", err)
}

// First gives the item of each provider that is deleted first, of those that may be
// fetched now. Providers without any are left out.
func (b *Book) First(ctx context.Context, providers []string) ([]Waiting, error) {
	const op = "retention.First"
	if len(providers) == 0 {
		return nil, nil
	}
	found := make([]*redis.ZSliceCmd, len(providers))
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, provider := range providers {
			found[n] = p.ZRangeWithScores(ctx, keyFetchable(provider), 0, 0)
		}
		return nil
	})
	if err != nil {
		return nil, down(op, err)
	}
	first := make([]Waiting, 0, len(providers))
	for n, provider := range providers {
		for _, z := range found[n].Val() {
			first = append(first, waiting(provider, z))
		}
	}
	return first, nil
}

func waiting(provider string, z redis.Z) Waiting {
	item, _ := z.Member.(string)
	return Waiting{Provider: provider, Item: item, Deadline: time.UnixMilli(int64(z.Score))}
}

// Take takes an item for one worker to fetch. It answers false when another did.
func (b *Book) Take(ctx context.Context, provider, item string) (bool, error) {
	n, err := b.rdb.ZRem(ctx, keyFetchable(provider), item).Result()
	return n == 1, down("retention.Take", err)
}

// Done forgets an item: its results are archived, or nobody waits for them any more.
func (b *Book) Done(ctx context.Context, provider, item string) error {
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRem(ctx, keyUnarchived(provider), item)
		p.ZRem(ctx, keyFetchable(provider), item)
		return nil
	})
	return down("retention.Done", err)
}

// Late counts a provider's items that have passed each of the Levels, in their order.
func (b *Book) Late(ctx context.Context, provider string, kept time.Duration, now time.Time) ([]int, error) {
	levels := Levels()
	counted := make([]*redis.IntCmd, len(levels))
	_, err := b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, level := range levels {
			counted[n] = p.ZCount(ctx, keyUnarchived(provider), "-inf", before(now, kept, level))
		}
		return nil
	})
	if err != nil {
		return nil, down("retention.Late", err)
	}
	late := make([]int, len(levels))
	for n := range counted {
		late[n] = int(counted[n].Val())
	}
	return late, nil
}

// before is the latest deadline of what has passed a level by now.
func before(now time.Time, kept time.Duration, level int) string {
	return strconv.FormatInt(now.Add(kept*time.Duration(100-level)/100).UnixMilli(), 10)
}

// pageSize is how many items one round trip reads, and maxLate how many are read at
// most: those that are deleted first.
const (
	pageSize = 1000
	maxLate  = 20_000
)

// EachLate calls fn for a provider's items that have passed the first level, those that
// are deleted first before the others, and for no more than 20,000.
func (b *Book) EachLate(ctx context.Context, provider string, kept time.Duration, now time.Time, fn func(Waiting)) error {
	for from := int64(0); from < maxLate; from += pageSize {
		page, err := b.rdb.ZRangeByScoreWithScores(ctx, keyUnarchived(provider), &redis.ZRangeBy{
			Min: "-inf", Max: before(now, kept, Levels()[0]), Offset: from, Count: pageSize,
		}).Result()
		if err != nil {
			return down("retention.EachLate", err)
		}
		for _, z := range page {
			fn(waiting(provider, z))
		}
		if len(page) < pageSize {
			return nil
		}
	}
	return nil
}

// Alarm answers once per session and level that it is to be reported. It is remembered
// for as long as the provider keeps results.
func (b *Book) Alarm(ctx context.Context, id string, level int, kept time.Duration) (first bool, err error) {
	const op = "retention.Alarm"
	known, err := b.rdb.Get(ctx, keyAlarmed(id)).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, down(op, err)
	}
	if known >= level {
		return false, nil
	}
	old, err := b.rdb.SetArgs(ctx, keyAlarmed(id), level, redis.SetArgs{TTL: kept, Get: true}).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, down(op, err)
	}
	return old != strconv.Itoa(level), nil // of two at once, one sees what the other wrote
}

func down(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.CodeOf(err), op, err)
	}
	return fault.New(fault.Unavailable, op, err)
}
