package drivertest

import (
	"context"
	"slices"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// outcome is one call that met one trouble.
type outcome struct {
	call    string
	trouble trouble
	err     error
	submits int // requests other than GET that arrived
	billed  int
}

func (o outcome) name() string { return o.call + ", " + o.trouble.name }

// sweep lets every call meet every trouble, each on a connection that was in use
// before: kept connections are where requests get sent twice.
func sweep(tb testing.TB, h *Harness, w *Wire, calls []call, judge func(outcome)) {
	tb.Helper()
	for _, c := range calls {
		for _, tr := range troubles(h) {
			if err := h.connect(tb.Context()); err != nil {
				tb.Fatalf("asking before %s, %s: %v", c.name, tr.name, err)
			}
			charges, before := h.Charges(), w.counts()
			o := outcome{call: c.name, trouble: tr}
			w.during(tr, func() { o.err = c.make(tb.Context()) })
			o.billed, o.submits = h.Charges()-charges, w.counts().submits-before.submits
			judge(o)
		}
	}
}

// connect leaves a connection that was in use, by a question that is free: for the
// balance or, where there is none, about an operation that nobody started.
func (h *Harness) connect(ctx context.Context) error {
	if !h.NoBalance {
		_, err := h.Driver.Credits(ctx)
		return err
	}
	_, err := h.Driver.Poll(ctx, &provider.Operation{ID: unknownID, Step: "extend"})
	if fault.CodeOf(err) == fault.NotFound {
		return nil
	}
	return err
}

// sweepPaid does so with the calls that are billed.
func sweepPaid(tb testing.TB, open Open, judge func(*Harness, outcome)) {
	tb.Helper()
	h, w := start(tb, open)
	clip := ready(tb, h).clip
	sweep(tb, h, w, paid(h, clip), func(o outcome) { judge(h, o) })
}

func checkSentOnce(tb testing.TB, open Open) {
	tb.Helper()
	sweepPaid(tb, open, func(_ *Harness, o outcome) {
		want := 1
		if o.trouble.refused {
			want = 0
		}
		if o.submits != want {
			tb.Errorf("%s: %d requests arrived, want %d", o.name(), o.submits, want)
		}
		if o.billed > 1 {
			tb.Errorf("%s: billed %d times", o.name(), o.billed)
		}
	})
}

func checkCharge(tb testing.TB, open Open) {
	tb.Helper()
	sweepPaid(tb, open, func(_ *Harness, o outcome) {
		f := asFault(tb, o.name(), o.err)
		if f == nil {
			return
		}
		if f.Charge == fault.ChargeNone && o.billed > 0 {
			tb.Errorf("%s: said to be not charged, and billed %d times: %v", o.name(), o.billed, f)
		}
		if f.Charge != o.trouble.charge {
			tb.Errorf("%s: charge %q, want %q: %v", o.name(), f.Charge, o.trouble.charge, f)
		}
	})
}

func checkSubmitCodes(tb testing.TB, open Open) {
	tb.Helper()
	sweepPaid(tb, open, func(_ *Harness, o outcome) { o.checkCode(tb) })
}

// checkCode holds the error to what the trouble means for those who react to it.
func (o outcome) checkCode(tb testing.TB) {
	tb.Helper()
	f := asFault(tb, o.name(), o.err)
	if f == nil {
		return
	}
	if !slices.Contains(o.trouble.codes, f.Code) {
		tb.Errorf("%s: code %q, want one of %q: %v", o.name(), f.Code, o.trouble.codes, f)
	}
	if o.trouble.charge != fault.ChargeNone || o.trouble.refused {
		return
	}
	if f.Scope != o.trouble.scope || f.RetryAfter != o.trouble.after {
		tb.Errorf("%s: scope %d, retry after %v; want %d, %v", o.name(), f.Scope, f.RetryAfter, o.trouble.scope, o.trouble.after)
	}
}

func checkSubmitContext(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	calls := paid(h, ready(tb, h).clip)
	for _, c := range calls {
		checkContext(tb, w, c, fault.ChargeUnknown)
	}
	// The last, since the beginning of a request that stayed may still arrive later,
	// and would be counted to another call.
	for _, c := range calls {
		checkFrozen(tb, h, c)
	}
}

// checkFrozen makes a call whose deadline has passed without anybody noticing, as
// in a process that was stopped and goes on. No request may leave whole then.
func checkFrozen(tb testing.TB, h *Harness, c call) {
	tb.Helper()
	if err := h.connect(tb.Context()); err != nil {
		tb.Fatalf("asking before %s, frozen: %v", c.name, err)
	}
	before := h.Charges()
	f := asFault(tb, c.name+", frozen", c.make(frozen{tb.Context()}))
	if f != nil && (f.Code != fault.Timeout || f.Charge != fault.ChargeNone) {
		tb.Errorf("%s, frozen until after its deadline: %q, %q; want timeout, not charged", c.name, f.Code, f.Charge)
	}
	if got := h.Charges() - before; got != 0 {
		tb.Errorf("%s, frozen until after its deadline: billed %d times, want 0", c.name, got)
	}
}

// checkContext ends a call's context before it begins, and while the provider is
// silent, by cancellation and by deadline. charge is what the latter must say.
func checkContext(tb testing.TB, w *Wire, c call, charge fault.Charge) {
	tb.Helper()
	canceled, cancel := context.WithCancel(tb.Context())
	cancel()
	late := newExpiring(tb.Context())
	late.expire()
	for _, before := range []struct {
		name string
		ctx  context.Context
		code fault.Code
	}{{"canceled before", canceled, fault.Canceled}, {"too late before", late, fault.Timeout}} {
		sent := w.counts().arrived
		f := asFault(tb, c.name+", "+before.name, c.make(before.ctx))
		if f != nil && (f.Code != before.code || f.Charge != fault.ChargeNone) {
			tb.Errorf("%s, %s: %q, %q; want %q, not charged", c.name, before.name, f.Code, f.Charge, before.code)
		}
		if got := w.counts().arrived - sent; got != 0 {
			tb.Errorf("%s, %s: %d requests arrived, want 0", c.name, before.name, got)
		}
	}
	running, cancelRunning := context.WithCancel(tb.Context())
	defer cancelRunning()
	expiring := newExpiring(tb.Context())
	_ = checkStalled(tb, w, c, running, cancelRunning, fault.Canceled, charge) &&
		checkStalled(tb, w, c, expiring, expiring.expire, fault.Timeout, charge)
}

// checkStalled ends the context once the request has arrived at a provider that
// does not answer. It reports whether the call came back.
func checkStalled(tb testing.TB, w *Wire, c call, ctx context.Context, end func(), code fault.Code, charge fault.Charge) bool { //nolint:revive // the context is the subject here, not the caller's own
	tb.Helper()
	begun := make(chan struct{})
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-w.stalled:
			end()
			close(begun)
		case <-gone:
		}
	}()
	var (
		err  error
		back bool
	)
	w.during(trouble{answer: stall}, func() { err, back = watched(tb, w, c, ctx, begun) })
	if !back {
		return false
	}
	f := asFault(tb, c.name+", stalled", err)
	if f != nil && (f.Code != code || f.Charge != charge) {
		tb.Errorf("%s, ended while the provider was silent: %q, %q; want %q, %q", c.name, f.Code, f.Charge, code, charge)
	}
	return true
}
