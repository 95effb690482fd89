package drivertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// patience is how long a call may go on after its context has ended, and how
// long a chain may take. It is a watchdog: nothing waits for it that works.
var patience = 20 * time.Second

// call is one method of the driver with its arguments. Its error is all that a
// faulty wire leaves of it.
type call struct {
	name string
	make func(ctx context.Context) error
}

// paid lists the calls that are billed: a failure of theirs must say whether it
// was. clip is one that the fake knows.
func paid(h *Harness, clip provider.Clip) []call {
	extend := call{"Extend", func(ctx context.Context) error {
		accepted, err := h.Driver.Extend(ctx, &provider.Extend{Clip: clip, Params: h.Params})
		return wrongly(accepted, err)
	}}
	if h.Info.Uploads.Paid {
		return []call{uploadCall(h), extend}
	}
	return []call{extend}
}

func uploadCall(h *Harness) call {
	return call{"Upload", func(ctx context.Context) error {
		accepted, err := h.Driver.Upload(ctx, h.Upload())
		return wrongly(accepted, err)
	}}
}

// errBoth marks a driver that returned both a result and an error, or neither.
var errBoth = errors.New("want a result or an error, and not both")

func wrongly(accepted *provider.Accepted, err error) error {
	if (accepted == nil) == (err == nil) {
		return fmt.Errorf("%w: got %+v, and an error: %t", errBoth, accepted, err != nil)
	}
	return err
}

// watched makes the call and returns its error. A call that does not come back
// within patience, counted from when begun is closed, fails the test; the stalled
// request is then released so that nothing is left behind.
func watched(tb testing.TB, w *Wire, c call, ctx context.Context, begun <-chan struct{}) (error, bool) { //nolint:revive // the context is the subject here, not the caller's own
	tb.Helper()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = c.make(ctx)
	}()
	select {
	case <-done:
		return err, true
	case <-begun:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return err, true
	case <-timer.C:
	}
	tb.Errorf("%s: does not return after its context has ended", c.name)
	w.release()
	<-done
	return nil, false
}

// expiring is a context whose deadline passes when the test says so, and not by
// the clock.
type expiring struct {
	context.Context
	done chan struct{}
}

func newExpiring(parent context.Context) *expiring {
	return &expiring{parent, make(chan struct{})}
}

func (e *expiring) expire() { close(e.done) }

// Deadline implements context.Context.
func (e *expiring) Deadline() (time.Time, bool) { return time.Now().Add(time.Hour), true }

// Done implements context.Context.
func (e *expiring) Done() <-chan struct{} { return e.done }

// Err implements context.Context.
func (e *expiring) Err() error {
	select {
	case <-e.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// frozen is a context whose deadline has passed and whose timer has not run yet.
type frozen struct{ context.Context }

// Deadline implements context.Context.
func (frozen) Deadline() (time.Time, bool) { return time.Now().Add(-time.Minute), true }

// asFault gives the driver's error; everything but a *fault.Error fails the test.
func asFault(tb testing.TB, what string, err error) *fault.Error {
	tb.Helper()
	var f *fault.Error
	switch {
	case err == nil:
		tb.Errorf("%s: no error, want one", what)
	case !errors.As(err, &f):
		tb.Errorf("%s: got %T %v, want a *fault.Error", what, err, err)
	}
	return f
}
