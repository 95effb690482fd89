package account_test

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/account"
)

func TestCanary(t *testing.T) {
	c := newClock(t)
	all := entries("ses_a", 4)
	limits := account.Limits{InFlight: 10}
	c.enter(limits, all[:2]...)
	c.close(account.Pause{Why: "HTTP 429", Code: "exhausted"})
	closed := &account.Closed{Until: 5 * time.Second, Why: "HTTP 429", Code: "exhausted"}
	same(t, "Enter while closed", c.enter(limits, all[2]), account.Entered{Closed: closed})
	same(t, "Go while closed", c.start(limits, all[0]), account.Gone{Closed: closed})
	same(t, "Go again", c.start(limits, all[0]), account.Gone{Missing: true})
	c.pass(5 * time.Second)
	tested := &account.Closed{Why: "HTTP 429", Code: "exhausted", Canary: true}
	same(t, "Enter after it", c.enter(limits, all[2], all[3]), account.Entered{Turns: []time.Duration{0}, Closed: tested})
	same(t, "Enter again", c.enter(limits, all[2], all[3]), account.Entered{Turns: []time.Duration{0}, Closed: tested})
	same(t, "Go of another", c.start(limits, all[1]), account.Gone{Closed: tested})
	for range 2 {
		same(t, "Go of the canary", c.start(limits, all[2]), account.Gone{Canary: true})
	}
	if got := c.state(limits); got.Slots != 1 {
		t.Errorf("%d slots are held, want that of the canary", got.Slots)
	}
	for _, want := range []bool{true, false} {
		if was, err := c.Reopen(t.Context(), main, "extend"); was != want || err != nil {
			t.Errorf("Reopen() = %v, %v, want %v", was, err, want)
		}
	}
	same(t, "Enter when open", c.enter(limits, all...), account.Entered{Turns: make([]time.Duration, 4)})
}

// Whatever ends the canary, the next one to come tests the reopening.
func TestCanaryEnds(t *testing.T) {
	limits := account.Limits{InFlight: 10}
	for name, end := range map[string]func(c *clock){
		"it left":         func(c *clock) { c.leave("a") },
		"its lease ended": func(c *clock) { c.pass(time.Minute) },
		"closed again":    func(c *clock) { c.close(account.Pause{}); c.pass(7 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock(t)
			c.close(account.Pause{})
			c.pass(5 * time.Second)
			c.enter(limits, "a")
			if got := c.enter(limits, "b"); got.Closed == nil {
				t.Fatalf("Enter beside the canary = %+v, want closed", got)
			}
			end(c)
			same(t, "Enter after its end", c.enter(limits, "b"), account.Entered{Turns: []time.Duration{0}})
			same(t, "Go of the next canary", c.start(limits, "b"), account.Gone{Canary: true})
			if got := c.start(limits, "a"); got.Closed == nil && !got.Missing {
				t.Errorf("Go of the first canary = %+v, want it out", got)
			}
		})
	}
}

// What is at the provider keeps its slot: it is no less there because of a pause.
func TestPauseKeepsWhatHasGone(t *testing.T) {
	for name, ask := range map[string]func(c *clock, l account.Limits, entry string){
		"Enter": func(c *clock, l account.Limits, entry string) { c.enter(l, entry) },
		"Go":    func(c *clock, l account.Limits, entry string) { c.start(l, entry) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock(t)
			limits := account.Limits{InFlight: 2}
			c.enter(limits, "a", "b")
			c.start(limits, "a")
			c.enter(limits, "a")
			c.close(account.Pause{For: time.Hour})
			ask(c, limits, "a")
			ask(c, limits, "b")
			same(t, "Leave of what had gone", c.leave("a"), account.Left{Held: true})
			same(t, "Leave of what had not", c.leave("b"), account.Left{})
		})
	}
}

// The turns of before a pause are nobody's after it.
func TestPauseGivesTurnsUp(t *testing.T) {
	c := newClock(t)
	c.enter(tight, "a", "b", "c")
	c.close(account.Pause{For: 4 * time.Second})
	c.pass(4 * time.Second)
	same(t, "Enter of the canary", c.enter(tight, "d"), account.Entered{Turns: []time.Duration{0}})
	if _, err := c.Reopen(t.Context(), main, "extend"); err != nil {
		t.Fatal(err)
	}
	same(t, "Go of one that heard of nothing", c.start(tight, "c"), account.Gone{})
	same(t, "Go of the canary", c.start(tight, "d"), account.Gone{})
	same(t, "Go of another", c.start(tight, "a"), account.Gone{Wait: 10250 * time.Millisecond})
}

func TestPauseGrows(t *testing.T) {
	c := newClock(t)
	closedFor := func(want time.Duration) {
		t.Helper()
		pauses, err := c.Pauses(t.Context(), main)
		if err != nil || len(pauses) != 1 || pauses[0].Until != want || pauses[0].Since.UnixMilli() != noon.UnixMilli() {
			t.Fatalf("Pauses() = %+v, %v, want one of %v, since noon", pauses, err, want)
		}
	}
	for _, want := range []time.Duration{5 * time.Second, 7 * time.Second, 10 * time.Second, 10 * time.Second} {
		// The others that were on their way are refused too.
		for range 3 {
			c.close(account.Pause{Code: "exhausted"})
		}
		closedFor(want)
		c.pass(want)
	}
	c.close(account.Pause{For: time.Minute, Code: "credits"})
	c.close(account.Pause{For: 30 * time.Second, Code: "exhausted"})
	closedFor(time.Minute)
	for _, step := range []struct {
		code string
		want bool
	}{{"exhausted", false}, {"credits", true}, {"credits", true}} {
		if got, err := c.Expire(t.Context(), main, "extend", step.code); got != step.want || err != nil {
			t.Errorf("Expire(%s) = %v, %v, want %v", step.code, got, err, step.want)
		}
	}
	closedFor(0)
	if _, err := c.Reopen(t.Context(), main, "extend"); err != nil {
		t.Fatal(err)
	}
	if pauses, err := c.Pauses(t.Context(), main); len(pauses) != 0 || err != nil {
		t.Errorf("Pauses() after Reopen = %+v, %v, want none", pauses, err)
	}
	noon := c.now
	c.close(account.Pause{})
	if pauses, err := c.Pauses(t.Context(), main); err != nil || pauses[0].Until != 5*time.Second || !pauses[0].Since.Equal(noon) {
		t.Errorf("Pauses() after a success = %+v, %v, want 5 s again, since now", pauses, err)
	}
}

// An entry that is about to be sent tests a reopening in place of one that was chosen and
// has not come; one that has gone is waited for.
func TestWhoIsAtTheDoorTests(t *testing.T) {
	c := newClock(t)
	limits := account.Limits{InFlight: 1} // the room of the chosen one is there for it
	door := func(entry string) account.Entered {
		t.Helper()
		got, err := c.Enter(t.Context(), main, "extend", limits, account.Request{Entries: []string{entry}, Ahead: time.Minute, Door: true})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	c.close(account.Pause{})
	if got := door("a"); got.Closed == nil || got.Closed.Until == 0 {
		t.Fatalf("Enter at the door while it is closed = %+v, want closed", got)
	}
	c.pass(5 * time.Second)
	c.enter(limits, "chosen")
	same(t, "Enter at the door", door("a"), account.Entered{Turns: []time.Duration{0}})
	same(t, "Go of the chosen one", c.start(limits, "chosen"), account.Gone{Missing: true})
	same(t, "Go", c.start(limits, "a"), account.Gone{Canary: true})
	if got := door("chosen"); got.Closed == nil || !got.Closed.Canary {
		t.Errorf("Enter at the door while one that has gone tests = %+v, want closed", got)
	}
}
