package rest

import (
	"context"
	"time"
)

// clock tells the time twice: with the steady clock's reading, which nobody sets
// but which stands still while the machine is suspended, and by the wall clock
// alone, which goes on then but can be set.
type clock func() (steady, wall time.Time)

func readClocks() (steady, wall time.Time) {
	now := time.Now()
	return now, now.Round(0)
}

// fence keeps a request from leaving after its context's deadline. The context
// alone does not: its end is an event that some goroutine has to see, and in a
// process that was frozen and goes on (SIGSTOP, a paused container, a closed lid),
// the one that writes the request may run first. By then whoever waited for the
// outcome has concluded that there is none, and may have sent another.
//
// What is not covered are the microseconds between the look at the clocks and
// the system call that hands the bytes to the network.
type fence struct {
	deadline time.Time
	now      clock
}

// newFence fences what is sent under ctx; without a deadline it lets everything
// pass.
func newFence(ctx context.Context, now clock) *fence {
	deadline, ends := ctx.Deadline()
	if !ends {
		return nil
	}
	return &fence{deadline, now}
}

// over says that the deadline has passed, by either clock. A wall clock that was
// set forward refuses a request that was in time, which costs nothing: it is sent
// later.
func (f *fence) over() bool {
	if f == nil {
		return false
	}
	steady, wall := f.now()
	return !steady.Before(f.deadline) || !wall.Before(f.deadline.Round(0))
}
