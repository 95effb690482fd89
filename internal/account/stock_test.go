package account_test

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
)

func TestStock(t *testing.T) {
	c := newClock(t)
	stocked := func(want int, items ...string) {
		t.Helper()
		if got, err := c.Stocked(t.Context(), main, items, tight); got != want || err != nil {
			t.Errorf("Stocked(%v) = %d, %v, want %d", items, got, err, want)
		}
	}
	stocked(2, "ses_a.0", "ses_a.1")
	stocked(3, "ses_a.0", "ses_a.1", "ses_a.2", "ses_a.3", "ses_a.1")
	stocked(0, "ses_a.3")
	for _, want := range []bool{true, false} {
		if got, err := c.Unstock(t.Context(), main, "ses_a.0"); got.Held != want || err != nil {
			t.Errorf("Unstock() = %+v, %v, want held: %v", got, err, want)
		}
	}
	stocked(1, "ses_a.3")
	if got := c.state(tight); got.Stock != 3 {
		t.Errorf("State().Stock = %d, want 3", got.Stock)
	}
}

func TestLeases(t *testing.T) {
	c := newClock(t)
	stale := func(limit int, want ...account.Lease) {
		t.Helper()
		got, err := c.Stale(t.Context(), main, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got)+len(want) > 0 {
			same(t, "Stale", got, want)
		}
	}
	c.enter(tight, "a", "b", "c") // c comes at 9.25 s, for its turn at 10.25 s
	if _, err := c.Stocked(t.Context(), main, []string{"i", "k"}, tight); err != nil {
		t.Fatal(err)
	}
	c.pass(59999 * time.Millisecond)
	stale(9)
	c.pass(time.Millisecond)
	stale(3, account.Lease{Entry: "a"}, account.Lease{Entry: "b"}, account.Lease{Entry: "i", Stock: true})
	stale(9, account.Lease{Entry: "k", Stock: true})
	stale(9)
	if err := c.Renew(t.Context(), main, account.Lease{Entry: "a"}, account.Lease{Entry: "i", Stock: true}, account.Lease{Entry: "never"}); err != nil {
		t.Fatal(err)
	}
	c.pass(10250 * time.Millisecond)
	stale(9, account.Lease{Entry: "c"})
	c.pass(20 * time.Second)
	stale(9, account.Lease{Entry: "b"}, account.Lease{Entry: "k", Stock: true})
	c.pass(30 * time.Second)
	if got := c.state(tight); got.Slots != 3 || got.Stock != 2 {
		t.Errorf("State() = %+v, want 3 slots and 2 places: a lease that ends frees nothing by itself", got)
	}
}

// Whoever is told to wait is not overdue before it was to come.
func TestLeaseOutlastsTheWait(t *testing.T) {
	c := newClock(t)
	c.enter(tight, "a", "b", "c")
	c.pass(50 * time.Second)
	for _, entry := range []string{"a", "b"} {
		c.start(tight, entry)
		c.leave(entry)
	}
	same(t, "Go of c after them", c.start(tight, "c"), account.Gone{Wait: 10250 * time.Millisecond})
	c.pass(70249 * time.Millisecond)
	if got, err := c.Stale(t.Context(), main, 9); len(got) != 0 || err != nil {
		t.Errorf("Stale() a minute after its turn but 1 ms = %+v, %v, want nothing", got, err)
	}
	c.pass(time.Millisecond)
	if got, err := c.Stale(t.Context(), main, 9); len(got) != 1 || err != nil {
		t.Errorf("Stale() a minute after its turn = %+v, %v, want it", got, err)
	}
}

// TestParkedSession: a session that cannot pay has no place in any ring and none in the
// stock, whatever is said of it before its time; then it takes part again, and whoever
// picks it is told.
func TestParkedSession(t *testing.T) {
	c := newClock(t)
	ctx := t.Context()
	stocked := func(items ...string) {
		t.Helper()
		if got, err := c.Stocked(ctx, main, items, tight); got != len(items) || err != nil {
			t.Fatalf("Stocked(%v) = %d, %v, want all", items, got, err)
		}
	}
	picked := func(when string, want account.Picked) {
		t.Helper()
		got, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{Most: 5})
		same(t, "Pick() "+when, got, want)
		if got.Session != "" {
			if err := c.Return(ctx, main, account.KindExtend, got.Session, got.Weight, 0, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	park := func() {
		t.Helper()
		if err := c.Park(ctx, main, "ses_a", 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	stocked("ses_a.0", "ses_a.11", "ses_ab.0")
	c.join(account.KindUpload, "ses_a", 1)
	c.join(account.KindExtend, "ses_a", 1)
	park()
	if got := c.state(tight); got.Stock != 1 || got.Parked != 1 || len(got.Rings) != 0 || got.Waiting {
		t.Errorf("State() = %+v, want one place, of ses_ab, one session parked and none that waits", got)
	}
	c.pass(9999 * time.Millisecond)
	c.join(account.KindExtend, "ses_a", 1)
	picked("while it is parked", account.Picked{Empty: true})
	c.pass(time.Millisecond)
	c.join(account.KindExtend, "ses_a", 1)
	picked("after its time", account.Picked{Session: "ses_a", Allowed: 5, Weight: 1, Parked: true})
	park()
	c.pass(10 * time.Second)
	if err := c.Unpark(ctx, main, "ses_a"); err != nil {
		t.Fatal(err)
	}
	c.join(account.KindExtend, "ses_a", 1)
	picked("when it can pay", account.Picked{Session: "ses_a", Allowed: 5, Weight: 1})
	if got := c.state(tight); got.Parked != 0 {
		t.Errorf("State() = %+v, want nobody parked", got)
	}
	park()
	c.pass(10*time.Second + time.Hour)
	if err := c.Park(ctx, main, "ses_b", time.Second); err != nil {
		t.Fatal(err)
	}
	c.join(account.KindExtend, "ses_a", 1)
	picked("when nobody has asked for an hour", account.Picked{Session: "ses_a", Allowed: 5, Weight: 1})
	for name, err := range map[string]error{
		"Park": c.Park(ctx, main, "no session", time.Second), "Unpark": c.Unpark(ctx, main, ""),
	} {
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s of a name that is none = %v, want invalid", name, err)
		}
	}
}
