package account_test

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/account"
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
