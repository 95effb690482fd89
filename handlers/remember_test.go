package handlers_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// TestWhatSucceededIsRemembered: before the session is settled, every item that has
// succeeded, and no other.
func TestWhatSucceededIsRemembered(t *testing.T) {
	r := newRig(t)
	told := map[string][]string{}
	r.h.Remember = func(_ context.Context, s *session.Session, items []*session.Item) error {
		if s.Settled != 0 {
			t.Errorf("told after the session was settled")
		}
		for _, it := range items {
			told[it.ID()] = it.AudioIDs()
		}
		return nil
	}
	r.vendor.submits = []func(func()) error{refuse(fault.Rejected)}
	id := r.submit(3, session.Spec{})
	if current := r.carryOn(id); current.Status() != session.StatusPartial {
		t.Fatalf("status %s, want partial", current.Status())
	}
	want := map[string][]string{id + ".1": {"op-3-a", "op-3-b"}, id + ".2": {"op-4-a", "op-4-b"}}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("remembered (-want +got):\n%s", diff)
	}
}

// TestWhatCannotBeRememberedIsToldAgain: Redis may be away for a moment, and nothing
// would be known of what was paid for.
func TestWhatCannotBeRememberedIsToldAgain(t *testing.T) {
	for name, c := range map[string]struct {
		code  fault.Code
		calls int
	}{
		"for a moment": {fault.Unavailable, 3},
		"for ever":     {fault.Invalid, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			calls := 0
			r.h.Remember = func(context.Context, *session.Session, []*session.Item) error {
				if calls++; calls < 3 {
					return fault.Uncharged(c.code, "test", errors.New("no"))
				}
				return nil
			}
			current := r.carryOn(r.submit(1, session.Spec{}))
			if current.Settled != 1 || calls != c.calls {
				t.Errorf("settled %d times, told %d times; want once, %d times", current.Settled, calls, c.calls)
			}
		})
	}
}
