// Package bandwidth holds what one process moves to a rate: the bodies of files, never
// the small requests beside them.
package bandwidth

import (
	"context"
	"sync"
	"time"
)

const (
	// ahead is how much, in time, may go at once after a rest.
	ahead = 250 * time.Millisecond
	// A chunk is what one read or write moves at most: a 64th of a second's worth, so
	// that many transfers take turns often enough for none of them to look stalled.
	chunksPerSecond      = 64
	smallest, largest    = 512, 256 << 10
	nanosecondsPerSecond = int64(time.Second)
)

// Limiter shares a rate among any number of transfers. In any stretch of time t no more
// than t + 1/4 s worth of bytes is let through, with one chunk more for each transfer.
// It holds no memory but its own, and is safe for concurrent use. The zero value, and
// nil, let everything through.
type Limiter struct {
	mu sync.Mutex
	// rate is in bytes a second; 0 is no limit.
	rate int64
	// paid is the time up to which the rate is used up.
	paid time.Time
}

// New returns a limiter of so many bytes a second; 0 is no limit.
func New(bytesPerSecond int64) *Limiter {
	l := &Limiter{}
	l.Set(bytesPerSecond)
	return l
}

// Set changes the rate, also for transfers that are under way.
func (l *Limiter) Set(bytesPerSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rate = max(0, bytesPerSecond)
}

// Rate is the rate in bytes a second; 0 is no limit.
func (l *Limiter) Rate() int64 {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate
}

// chunk is how many of n bytes may move at once; all of them without a limit.
func (l *Limiter) chunk(n int) int {
	rate := l.Rate()
	if rate == 0 {
		return n
	}
	return min(n, int(min(max(rate/chunksPerSecond, smallest), largest)))
}

// take waits until n more bytes may go. They count also when ctx ends first, which is
// its error.
func (l *Limiter) take(ctx context.Context, n int) error {
	wait := l.reserve(n)
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve counts n bytes and says how long until they may go.
func (l *Limiter) reserve(n int) time.Duration {
	if l == nil || n <= 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return 0
	}
	now := time.Now()
	if rested := now.Add(-ahead); l.paid.Before(rested) {
		l.paid = rested
	}
	// In two parts, which cannot overflow for any number of bytes.
	whole, rest := int64(n)/l.rate, int64(n)%l.rate
	l.paid = l.paid.Add(time.Duration(whole)*time.Second + time.Duration(rest*nanosecondsPerSecond/l.rate))
	return l.paid.Sub(now)
}
