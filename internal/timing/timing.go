// Package timing decides when to ask about an operation: seldom while it cannot
// be done yet, often around the time that such operations are.
//
// What is known of a provider is at first only its documented advice. As
// operations end, the [Book] remembers how long they took, and [Curve] places the
// questions by that.
package timing

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Curve is how long operations of one kind took, sorted, the shortest first.
type Curve []time.Duration

// Bounds is a provider's polling advice: the shortest and the longest wait.
type Bounds struct{ Min, Max time.Duration }

const (
	// enough is how many operations must have ended before their times count.
	enough = 8
	// remembered is how many are kept of each kind.
	remembered = 64
)

// The number of questions in the first and in the second half of the time in
// which operations end. An early question is asked of almost every operation, a
// late one only of those that are late, so the late ones stand closer: for times
// spread evenly over a minute this notices half of all ends within 2 s, with 7
// questions on average, where even spacing takes 8.
const (
	earlyShare = 8
	lateShare  = 18
)

// Pause is the wait before the next question about an operation of the given age.
// Without enough knowledge it is a fifth of the age, within the bounds: an end is
// then noticed at most a fifth of its time late.
func (c Curve) Pause(age time.Duration, b Bounds) time.Duration {
	if len(c) < enough {
		return clamp(age/5, b)
	}
	first, middle, last := c.at(5), c.at(50), c.at(95)
	// Times so alike that they have no spread still leave some doubt.
	spread := max(last-first, first/20)
	early, late := max(spread/earlyShare, b.Min), max(spread/lateShare, b.Min)
	switch {
	case age < first:
		// The first question is asked of every operation, so it comes when a few
		// can be expected to be done.
		return max(first+early/2-age, b.Min)
	case age < middle:
		return early
	case age < last+spread/2:
		return late
	}
	// Later than nearly all before it: something is odd, and it may take long.
	return clamp((age-last)/2, Bounds{late, max(b.Max, late)})
}

// ended estimates when an operation ended that was noticed at the given age:
// half way between the question before and the one that noticed it. Were the
// noticing itself remembered, what is learned would creep upwards.
func (c Curve) ended(noticed time.Duration, b Bounds) time.Duration {
	before := time.Duration(0)
	for age := time.Duration(0); age < noticed && b.Min > 0; {
		before = age
		age += c.Pause(age, b)
	}
	gap := noticed - before
	if len(c) >= enough {
		gap = min(gap, max((c.at(95)-c.at(5))/earlyShare, b.Min))
	}
	return noticed - gap/2
}

// at is a quantile in percent.
func (c Curve) at(percent int) time.Duration { return c[(len(c)-1)*percent/100] }

func clamp(d time.Duration, b Bounds) time.Duration { return min(max(d, b.Min), b.Max) }

// Book remembers in Redis how long operations took, for all workers. It is safe
// for concurrent use. What it cannot read or write is only a worse guess, so its
// methods return no errors.
type Book struct {
	rdb redis.UniversalClient
	now func() time.Time

	mu     sync.Mutex
	curves map[string]cached
}

type cached struct {
	curve Curve
	until time.Time
}

// freshFor is how long a curve is used before it is read again.
const freshFor = 10 * time.Second

// NewBook returns a book over a client that it does not own.
func NewBook(rdb redis.UniversalClient) *Book {
	return &Book{rdb: rdb, now: time.Now, curves: map[string]cached{}}
}

// Kind names operations that take alike: of one provider, step and model.
func Kind(provider, step, model string) string { return provider + "|" + step + "|" + model }

func key(kind string) string { return "segue:timing:" + kind }

// Observe records an operation that was noticed to have ended at the given age.
func (b *Book) Observe(ctx context.Context, kind string, noticed time.Duration, bounds Bounds) {
	took := b.curve(ctx, kind).ended(noticed, bounds)
	_, _ = b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.LPush(ctx, key(kind), took.Milliseconds())
		p.LTrim(ctx, key(kind), 0, remembered-1)
		return nil
	})
}

// Pause is Curve.Pause with what the book knows of the kind.
func (b *Book) Pause(ctx context.Context, kind string, age time.Duration, bounds Bounds) time.Duration {
	return b.curve(ctx, kind).Pause(age, bounds)
}

// Typical is how long half of the operations of a kind take at most; ok is false while
// too few have ended to tell.
func (b *Book) Typical(ctx context.Context, kind string) (took time.Duration, ok bool) {
	c := b.curve(ctx, kind)
	if len(c) < enough {
		return 0, false
	}
	return c.at(50), true
}

func (b *Book) curve(ctx context.Context, kind string) Curve {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.curves[kind]
	if b.now().Before(known.until) {
		return known.curve
	}
	if read, err := b.read(ctx, kind); err == nil {
		known.curve = read
	}
	known.until = b.now().Add(freshFor)
	b.curves[kind] = known
	return known.curve
}

func (b *Book) read(ctx context.Context, kind string) (Curve, error) {
	stored, err := b.rdb.LRange(ctx, key(kind), 0, remembered-1).Result()
	if err != nil {
		return nil, err
	}
	curve := make(Curve, 0, len(stored))
	for _, text := range stored {
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 0 {
			curve = append(curve, time.Duration(ms)*time.Millisecond)
		}
	}
	slices.Sort(curve)
	return curve, nil
}
