package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

func TestCodeOf(t *testing.T) {
	cases := []struct {
		name string
		err  error
		want fault.Code
	}{
		{"nil", nil, ""},
		{"plain", errors.New("boom"), "internal"},
		{"fault", fault.New(fault.Rejected, "kie.Poll", nil), "rejected"},
		{"wrapped fault", fmt.Errorf("item 3: %w", fault.New(fault.Denied, "kie.Poll", nil)), "denied"},
		{"canceled context", fmt.Errorf("read: %w", context.Canceled), "canceled"},
		{"deadline", context.DeadlineExceeded, "timeout"},
		{"the outermost code wins", fault.New(fault.Unavailable, "a.B", fault.New(fault.Invalid, "c.D", nil)), "unavailable"},
	}
	for _, c := range cases {
		if got := fault.CodeOf(c.err); got != c.want {
			t.Errorf("%s: CodeOf(%v) = %q, want %q", c.name, c.err, got, c.want)
		}
	}
}

func TestChargeIsUnknownUnlessStated(t *testing.T) {
	if got := fault.ChargeOf(errors.New("connection reset")); got != fault.ChargeUnknown {
		t.Errorf("ChargeOf(plain error) = %v, want unknown", got)
	}
	if got := fault.ChargeOf(fault.New(fault.Timeout, "x.Y", nil)); got != fault.ChargeUnknown {
		t.Errorf("ChargeOf(New) = %v, want unknown", got)
	}
	if got := fault.ChargeOf(fmt.Errorf("w: %w", fault.Uncharged(fault.Exhausted, "x.Y", nil))); got != fault.ChargeNone {
		t.Errorf("ChargeOf(Uncharged) = %v, want not charged", got)
	}
}

func TestErrorText(t *testing.T) {
	err := &fault.Error{Code: fault.Exhausted, Op: "kie.Extend", RetryAfter: 10 * time.Second, Err: errors.New("code 429")}
	if got, want := err.Error(), "kie.Extend: exhausted: code 429"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := fault.Reason(fmt.Errorf("w: %w", err)), "code 429"; got != want {
		t.Errorf("Reason() = %q, want %q", got, want)
	}
	if got := fault.RetryAfter(err); got != 10*time.Second {
		t.Errorf("RetryAfter() = %v, want 10s", got)
	}
}

func TestCodesAreDistinct(t *testing.T) {
	seen := map[fault.Code]bool{}
	for _, c := range fault.Codes() {
		if seen[c] {
			t.Errorf("code %q is listed twice", c)
		}
		seen[c] = true
	}
	if len(seen) != 12 {
		t.Errorf("%d codes, want the 12 of the design", len(seen))
	}
}
