package account_test

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/account"
)

func (c *clock) join(kind, session string, weight int) account.Demand {
	c.t.Helper()
	demand, err := c.Join(c.t.Context(), main, kind, session, weight)
	if err != nil {
		c.t.Fatalf("Join(%s) = %v, want no error", session, err)
	}
	return demand
}

func (c *clock) pick(kind string, l account.Limits, p account.Picking) (account.Picked, bool) {
	c.t.Helper()
	picked, ok, err := c.Pick(c.t.Context(), main, kind, l, p)
	if err != nil {
		c.t.Fatalf("Pick(%s) = %v, want no error", kind, err)
	}
	return picked, ok
}

func (c *clock) giveBack(kind string, p account.Picked, served int, more bool) {
	c.t.Helper()
	if err := c.Return(c.t.Context(), main, kind, p.Session, p.Weight, served, more); err != nil {
		c.t.Fatalf("Return(%s) = %v, want no error", p.Session, err)
	}
}

// serve picks once, serves all that is allowed, and adds it up.
func (c *clock) serve(l account.Limits, p account.Picking, served, wanted map[string]int) (account.Picked, bool) {
	c.t.Helper()
	picked, ok := c.pick(account.KindExtend, l, p)
	if !ok {
		return picked, false
	}
	n := min(picked.Allowed, wanted[picked.Session]-served[picked.Session])
	served[picked.Session] += n
	c.giveBack(account.KindExtend, picked, n, served[picked.Session] < wanted[picked.Session])
	return picked, true
}

// A room of any size is shared as if its places had been given one by one: weights of
// 1, 4 and 16 get 1, 4 and 16 of 21, to within one item at every moment.
func TestWeights(t *testing.T) {
	weights := map[string]int{"ses_a": 1, "ses_b": 4, "ses_c": 16}
	endless := map[string]int{"ses_a": 1e9, "ses_b": 1e9, "ses_c": 1e9}
	for _, room := range []int{1, 2, 7, 20, 21, 100} {
		c := newClock(t)
		for session, weight := range weights {
			c.join(account.KindExtend, session, weight)
		}
		served, total := map[string]int{}, 0
		for total < 420 {
			// What is left of the room, as slots that are taken would leave it.
			for left := room; left > 0; {
				before := served["ses_a"] + served["ses_b"] + served["ses_c"]
				if _, ok := c.serve(account.Limits{}, account.Picking{Most: left}, served, endless); !ok {
					t.Fatal("nobody was picked")
				}
				left -= served["ses_a"] + served["ses_b"] + served["ses_c"] - before
			}
			total += room
			for session, weight := range weights {
				ideal := float64(total) * float64(weight) / 21
				if got := float64(served[session]); got < ideal-1.001 || got > ideal+1.001 {
					t.Fatalf("room %d: of %d items, %s of weight %d got %v, want %.2f within one", room, total, session, weight, got, ideal)
				}
			}
		}
	}
}

// A session of 3 that comes late is not behind one of 100,000.
func TestSmallSessionIsNotBehindALargeOne(t *testing.T) {
	c := newClock(t)
	limits := account.Limits{InFlight: 20}
	served, wanted := map[string]int{}, map[string]int{"ses_large": 100_000, "ses_small": 3}
	c.join(account.KindExtend, "ses_large", 1)
	for range 50 {
		c.serve(limits, account.Picking{Most: 20}, served, wanted)
	}
	if served["ses_large"] != 1000 {
		t.Fatalf("the large session got %d, want 1,000 while alone", served["ses_large"])
	}
	c.join(account.KindExtend, "ses_small", 1)
	for places := 6; places > 0; {
		before := served["ses_large"] + served["ses_small"]
		c.serve(limits, account.Picking{Most: places}, served, wanted)
		places -= served["ses_large"] + served["ses_small"] - before
	}
	if served["ses_small"] != 3 || served["ses_large"] != 1003 {
		t.Errorf("of 6 places the large session got %d and the small one %d, want 3 and 3", served["ses_large"]-1000, served["ses_small"])
	}
	if got := c.state(limits).Rings["extend"]; got != 1 {
		t.Errorf("%d sessions are in the ring, want the large one alone", got)
	}
}

// Who comes late has no arrears; who leaves and comes again at once keeps its debt.
func TestJoiningAndVirtualTime(t *testing.T) {
	c := newClock(t)
	endless := map[string]int{"ses_a": 1e9, "ses_b": 1e9}
	served := map[string]int{}
	c.join(account.KindExtend, "ses_a", 1)
	for range 100 {
		c.serve(account.Limits{}, account.Picking{Most: 10}, served, endless)
	}
	c.join(account.KindExtend, "ses_b", 1)
	for range 20 {
		c.serve(account.Limits{}, account.Picking{Most: 1}, served, endless)
	}
	if served["ses_a"] != 1010 || served["ses_b"] != 10 {
		t.Errorf("20 items after b joined: a %d, b %d, want 10 each", served["ses_a"]-1000, served["ses_b"])
	}
	picked, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{Most: 5})
	if picked.Session != "ses_a" {
		t.Fatalf("Pick() = %+v, want a", picked)
	}
	c.giveBack(account.KindExtend, picked, 5, false)
	c.join(account.KindExtend, "ses_a", 1)
	served = map[string]int{}
	for range 5 {
		c.serve(account.Limits{}, account.Picking{Most: 1}, served, endless)
	}
	if served["ses_b"] != 5 {
		t.Errorf("after a had 5 and came again, b got %d of the next 5, want all", served["ses_b"])
	}
}

// Who joins while all others are out begins where they are.
func TestJoiningWhileOthersAreOut(t *testing.T) {
	c := newClock(t)
	served, endless := map[string]int{}, map[string]int{"ses_a": 1e9, "ses_b": 1e9}
	c.join(account.KindExtend, "ses_a", 1)
	for range 10 {
		c.serve(account.Limits{}, account.Picking{Most: 10}, served, endless)
	}
	picked, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{Most: 1})
	c.join(account.KindExtend, "ses_b", 1)
	c.giveBack(account.KindExtend, picked, 1, true)
	served = map[string]int{"ses_a": 1}
	for range 9 {
		c.serve(account.Limits{}, account.Picking{Most: 1}, served, endless)
	}
	if served["ses_a"] != 5 || served["ses_b"] != 5 {
		t.Errorf("of ten items a got %d and b %d, want 5 each", served["ses_a"], served["ses_b"])
	}
}

func TestRing(t *testing.T) {
	onBoth(t, func(t *testing.T, g *account.Gate) {
		ctx := t.Context()
		join := func(session string, weight int) {
			t.Helper()
			for range 2 {
				if got, err := g.Join(ctx, main, "extend", session, weight); err != nil || got != (account.Demand{Waiting: true}) {
					t.Fatalf("Join(%s) = %+v, %v, want it to wait", session, got, err)
				}
			}
		}
		pick := func(want account.Picked) {
			t.Helper()
			got, ok, err := g.Pick(ctx, main, "extend", account.Limits{}, account.Picking{Most: 6})
			got.None.Away = min(got.None.Away, 1) // how long exactly is Redis's clock's business
			if err != nil || got != want || ok != (want.Session != "") {
				t.Fatalf("Pick() = %+v, %v, %v, want %+v", got, ok, err, want)
			}
		}
		giveBack := func(session string, weight, served int, more bool) {
			t.Helper()
			for range 2 {
				if err := g.Return(ctx, main, "extend", session, weight, served, more); err != nil {
					t.Fatal(err)
				}
			}
		}
		pick(account.Picked{Empty: true})
		join("ses_a", 1)
		join("ses_b", 1)
		join("ses_b", 2)
		pick(account.Picked{Session: "ses_b", Allowed: 4, Weight: 2})
		pick(account.Picked{Session: "ses_a", Allowed: 6, Weight: 1}) // nobody else is in the ring
		pick(account.Picked{None: account.None{Away: 1}})
		giveBack("ses_a", 1, 2, true)
		giveBack("ses_b", 2, 2, true)
		pick(account.Picked{Session: "ses_b", Allowed: 4, Weight: 2})
		join("ses_b", 2)
		giveBack("ses_b", 2, 4, false) // joined again meanwhile
		giveBack("ses_b", 2, 4, false) // twice in all, and once more
		pick(account.Picked{Session: "ses_a", Allowed: 2, Weight: 1})
		giveBack("ses_a", 1, 2, false)
		pick(account.Picked{Session: "ses_b", Allowed: 6, Weight: 2})
		for range 2 {
			if err := g.Park(ctx, main, "ses_b", time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		giveBack("ses_b", 2, 1, true) // it is parked: it does not come back
		pick(account.Picked{Empty: true})
		if got, err := g.Leave(ctx, main, "nobody"); err != nil || got != (account.Left{}) {
			t.Errorf("Leave() = %+v, %v, want nothing held and nobody waiting", got, err)
		}
	})
}

// Somebody who picked a session and died takes it out for a minute, not for ever.
func TestPickedSessionComesBack(t *testing.T) {
	c := newClock(t)
	c.join(account.KindExtend, "ses_a", 3)
	if picked, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{}); picked.Session != "ses_a" {
		t.Fatalf("Pick() = %+v, want a", picked)
	}
	c.pass(59 * time.Second)
	picked, ok := c.pick(account.KindExtend, account.Limits{}, account.Picking{})
	if ok || picked.Empty || picked.None.Again() != time.Second {
		t.Errorf("Pick() after 59 s = %+v, want nothing for another second", picked)
	}
	c.pass(time.Second)
	if picked, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{}); picked.Session != "ses_a" || picked.Weight != 3 {
		t.Errorf("Pick() after a minute = %+v, want a", picked)
	}
}

// A session that could use nothing of what it was given does not keep the others out.
func TestNothingServedLetsOthersGo(t *testing.T) {
	c := newClock(t)
	for _, session := range []string{"ses_a", "ses_b"} {
		c.join(account.KindExtend, session, 1)
	}
	for _, want := range []string{"ses_a", "ses_b", "ses_a", "ses_b"} {
		picked, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{Most: 1})
		if picked.Session != want {
			t.Fatalf("Pick() = %+v, want %s", picked, want)
		}
		c.giveBack(account.KindExtend, picked, 0, true)
	}
}

// What has ended leaves one number.
func TestNothingIsLeft(t *testing.T) {
	c := newClock(t)
	served, wanted := map[string]int{}, map[string]int{"ses_a": 1e9}
	c.join(account.KindExtend, "ses_a", 1)
	for _, session := range entries("ses_b", 40) {
		wanted[session] = 2
		c.join(account.KindExtend, session, 1)
		for served[session] < 2 {
			c.serve(account.Limits{}, account.Picking{Most: 1}, served, wanted)
		}
	}
	past, err := c.mini.ZMembers("segue:account:{kie/main}:past:extend")
	if err != nil || len(past) > 2 {
		t.Errorf("%d sessions that left long ago are remembered, %v, want the latest at most", len(past), err)
	}
	picked, _ := c.pick(account.KindExtend, account.Limits{}, account.Picking{})
	picked.Weight = 5 // it was raised meanwhile
	for _, more := range []bool{true, false} {
		c.giveBack(account.KindExtend, picked, 1, more)
		c.pick(account.KindExtend, account.Limits{}, account.Picking{})
		c.giveBack(account.KindExtend, picked, 1, more)
	}
	c.enter(tight, "a", "b")
	c.start(tight, "a")
	c.leave("a")
	c.leave("b")
	if left := c.leave("b"); left.Waiting {
		t.Errorf("Leave() = %+v, want nobody waiting", left)
	}
	c.mini.FastForward(time.Minute)
	same(t, "keys", c.mini.Keys(), []string{"segue:account:{kie/main}"})
	fields, err := c.mini.HKeys("segue:account:{kie/main}")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "fields", fields, []string{"sent:extend"})
}

func TestRoom(t *testing.T) {
	paid := account.Picking{Ahead: 10250 * time.Millisecond, Limited: true}
	free := account.Picking{}
	cases := []struct {
		name   string
		kind   string
		limits account.Limits
		p      account.Picking
		before func(c *clock)
		want   int
		none   account.None
	}{
		{"slots", "extend", account.Limits{InFlight: 5}, paid, func(c *clock) { c.enter(tight, "a", "b") }, 3, account.None{}},
		{"no slot", "extend", account.Limits{InFlight: 2}, paid, func(c *clock) { c.enter(tight, "a", "b") }, 0, account.None{Full: true}},
		{"turns now and next", "extend", tight, paid, nil, 4, account.None{}},
		{"turns now", "extend", tight, account.Picking{Ahead: 10249 * time.Millisecond, Limited: true}, nil, 2, account.None{}},
		{"most", "extend", tight, account.Picking{Ahead: far, Limited: true, Most: 3}, nil, 3, account.None{}},
		{"turns that went", "extend", tight, account.Picking{Ahead: 2 * time.Second, Limited: true}, func(c *clock) {
			c.enter(tight, "a", "b")
			c.start(tight, "a")
			c.pass(9 * time.Second)
			c.start(tight, "b")
			c.pass(time.Second)
		}, 1, account.None{}},
		{"no turn", "extend", tight, account.Picking{Limited: true}, func(c *clock) { c.enter(tight, "a", "b", "c") }, 0, account.None{Busy: 10250 * time.Millisecond}},
		{"closed", "extend", tight, paid, func(c *clock) { c.close(account.Pause{Why: "w", Code: "c"}) }, 0, account.None{Closed: &account.Closed{Until: 5 * time.Second, Why: "w", Code: "c"}}},
		{"reopening", "extend", tight, paid, func(c *clock) { c.close(account.Pause{}); c.pass(5 * time.Second) }, 1, account.None{}},
		{"canary is out", "extend", tight, paid, func(c *clock) { c.close(account.Pause{}); c.pass(5 * time.Second); c.enter(tight, "a") }, 0, account.None{Closed: &account.Closed{Canary: true}}},
		{"stock", "upload", tight, free, func(c *clock) {
			if _, err := c.Stocked(c.t.Context(), main, []string{"i"}, tight); err != nil {
				c.t.Fatal(err)
			}
		}, 2, account.None{}},
		{"no stock", "upload", account.Limits{Stock: 1}, free, func(c *clock) {
			if _, err := c.Stocked(c.t.Context(), main, []string{"i"}, tight); err != nil {
				c.t.Fatal(err)
			}
		}, 0, account.None{Stocked: true}},
		{"stock, slots and turns", "upload", account.Limits{Stock: 9, InFlight: 8, Rate: account.Rate{N: 7, Per: time.Minute}}, account.Picking{Limited: true}, nil, 7, account.None{}},
		{"no limit", "upload", account.Limits{}, account.Picking{Most: 1000, Limited: true}, nil, 1000, account.None{}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			c := newClock(t)
			if tc.before != nil {
				tc.before(c)
			}
			c.join(tc.kind, "ses_a", 1)
			picked, ok := c.pick(tc.kind, tc.limits, tc.p)
			if picked.Allowed != tc.want || ok != (tc.want > 0) {
				t.Errorf("Pick() = %+v, %v, want %d allowed", picked, ok, tc.want)
			}
			same(t, "why not", picked.None, tc.none)
		})
	}
}

// Sessions that wait are first; what has its slot keeps it.
func TestPolite(t *testing.T) {
	c := newClock(t)
	enter := func(entry string, want account.Entered) {
		t.Helper()
		got, err := c.Enter(t.Context(), main, "extend", tight, account.Request{Entries: []string{entry}, Ahead: far, Polite: true})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "polite Enter of "+entry, got, want)
	}
	in := account.Entered{Turns: []time.Duration{0}}
	enter("a", in)
	c.join(account.KindUpload, "ses_a", 1)
	enter("b", in)
	c.join(account.KindExtend, "ses_a", 1)
	enter("c", account.Entered{Waiting: true})
	enter("b", in)
}

func TestDemand(t *testing.T) {
	c := newClock(t)
	for want := int64(1); want <= 2; want++ {
		if got, err := c.Begin(t.Context(), main); got != want || err != nil {
			t.Errorf("Begin() = %d, %v, want %d", got, err, want)
		}
	}
	c.enter(tight, "a", "b")
	same(t, "Leave while nobody waits", c.leave("a"), account.Left{Held: true, Demand: account.Demand{Seq: 2}})
	same(t, "Join", c.join(account.KindUpload, "ses_a", 1), account.Demand{Waiting: true, Seq: 2})
	same(t, "Leave while somebody waits", c.leave("b"), account.Left{Held: true, Demand: account.Demand{Waiting: true, Seq: 2}})
}
