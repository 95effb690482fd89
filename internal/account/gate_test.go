package account_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redistest"
)

var (
	main = account.ID{Provider: "kie", Name: "main"}
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	// tight is a provider's rate as KIE states it, with few slots.
	tight = account.Limits{Rate: account.Rate{N: 2, Per: 10 * time.Second}, InFlight: 5, Stock: 3}
)

const far = time.Hour

// clock is a gate over an in-process Redis whose clock the test moves.
type clock struct {
	*account.Gate
	t    *testing.T
	mini *miniredis.Miniredis
	now  time.Time
}

func newClock(t *testing.T) *clock {
	t.Helper()
	rdb, mini := redistest.Mini(t)
	mini.SetTime(noon)
	return &clock{Gate: account.NewGate(rdb), t: t, mini: mini, now: noon}
}

func (c *clock) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.mini.SetTime(c.now)
}

func (c *clock) enter(l account.Limits, entries ...string) account.Entered {
	c.t.Helper()
	entered, err := c.Enter(c.t.Context(), main, "extend", l, account.Request{Entries: entries, Ahead: far})
	if err != nil {
		c.t.Fatalf("Enter(%v) = %v, want no error", entries, err)
	}
	return entered
}

func (c *clock) start(l account.Limits, entry string) account.Gone {
	c.t.Helper()
	gone, err := c.Go(c.t.Context(), main, "extend", l, entry)
	if err != nil {
		c.t.Fatalf("Go(%s) = %v, want no error", entry, err)
	}
	return gone
}

func (c *clock) leave(entry string) account.Left {
	c.t.Helper()
	left, err := c.Leave(c.t.Context(), main, entry)
	if err != nil {
		c.t.Fatalf("Leave(%s) = %v, want no error", entry, err)
	}
	return left
}

func (c *clock) close(p account.Pause) {
	c.t.Helper()
	if err := c.Close(c.t.Context(), main, "extend", p); err != nil {
		c.t.Fatalf("Close(%+v) = %v, want no error", p, err)
	}
}

func (c *clock) state(l account.Limits) account.State {
	c.t.Helper()
	state, err := c.State(c.t.Context(), main, l)
	if err != nil {
		c.t.Fatalf("State() = %v, want no error", err)
	}
	return state
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// entries names n paid requests of a session.
func entries(session string, n int) []string {
	list := make([]string, n)
	for k := range list {
		list[k] = fmt.Sprintf("%s.%d:extend:0", session, k)
	}
	return list
}

// onBoth runs a test against the in-process Redis and against a real one: the
// scripts must mean the same to both.
func onBoth(t *testing.T, test func(t *testing.T, g *account.Gate)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		rdb, _ := redistest.Mini(t)
		test(t, account.NewGate(rdb))
	})
	t.Run("redis-server", func(t *testing.T) {
		_, rdb := redistest.Server(t)
		test(t, account.NewGate(rdb))
	})
}

func TestTurns(t *testing.T) {
	c := newClock(t)
	all := entries("ses_a", 6)
	want := account.Entered{
		// Turns are at 0, 0, 10.25, 10.25 and 20.5 s, and one second before it they come.
		Turns: []time.Duration{0, 0, 9250 * time.Millisecond, 9250 * time.Millisecond, 19500 * time.Millisecond},
		Full:  true,
	}
	same(t, "Enter of six", c.enter(tight, all...), want)
	same(t, "Enter again", c.enter(tight, all...), want)
	for _, entry := range all[:2] {
		same(t, "Go of the first", c.start(tight, entry), account.Gone{})
	}
	same(t, "Go of the third, at once", c.start(tight, all[2]), account.Gone{Wait: 10250 * time.Millisecond})
	same(t, "Go of the sixth", c.start(tight, all[5]), account.Gone{Missing: true})
	c.pass(9250 * time.Millisecond)
	same(t, "Go of the third, when told to come", c.start(tight, all[2]), account.Gone{Wait: time.Second})
	c.pass(time.Second)
	same(t, "Go of the third, in its turn", c.start(tight, all[2]), account.Gone{})
	same(t, "Leave of the fifth", c.leave(all[4]), account.Left{Held: true})
	same(t, "Leave of the fifth again", c.leave(all[4]), account.Left{})
	same(t, "Enter of the sixth, in its place", c.enter(tight, all[5]), account.Entered{Turns: []time.Duration{9250 * time.Millisecond}})
	state := c.state(tight)
	same(t, "State", state, account.State{
		Now: state.Now, Slots: 5, Rings: map[string]int{},
		Endpoints: []account.EndpointState{{Name: "extend", Requests: 1, Planned: 2, Sent: 3}},
	})
}

func TestAhead(t *testing.T) {
	c := newClock(t)
	got, err := c.Enter(t.Context(), main, "extend", tight, account.Request{Entries: entries("ses_a", 3), Ahead: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "Enter of three, 5 s ahead", got, account.Entered{Turns: []time.Duration{0, 0}, Busy: 10250 * time.Millisecond})
}

func TestUnlimited(t *testing.T) {
	onBoth(t, func(t *testing.T, g *account.Gate) {
		all := entries("ses_a", 300)
		for range 2 {
			got, err := g.Enter(t.Context(), main, "extend", account.Limits{}, account.Request{Entries: all})
			if err != nil || len(got.Turns) != 300 || got.Turns[299] != 0 {
				t.Fatalf("Enter() of 300 = %d turns, %v, want 300 at once", len(got.Turns), err)
			}
		}
		for _, entry := range all[:3] {
			if got, err := g.Go(t.Context(), main, "extend", account.Limits{}, entry); err != nil || got != (account.Gone{}) {
				t.Errorf("Go() = %+v, %v, want it to go", got, err)
			}
		}
		if n, err := g.Stocked(t.Context(), main, all, account.Limits{}); n != 300 || err != nil {
			t.Errorf("Stocked() = %d, %v, want all 300", n, err)
		}
	})
}

// A turn that was given up leaves no trace, and who comes early moves up.
func TestGivenUpTurn(t *testing.T) {
	c := newClock(t)
	all := entries("ses_a", 5)
	c.enter(tight, all...)
	c.leave(all[0])
	c.leave(all[1])
	for _, entry := range all[2:4] {
		same(t, "Go of "+entry, c.start(tight, entry), account.Gone{})
	}
	same(t, "Go of the last", c.start(tight, all[4]), account.Gone{Wait: 10250 * time.Millisecond})
}

// Before its turn an entry leaves to those ahead what they need, but does not wait for
// one that is late for long, or for ever.
func TestPlaceInLine(t *testing.T) {
	c := newClock(t)
	all := entries("ses_a", 4)
	c.enter(tight, all...)
	same(t, "Go of the third, while two are ahead", c.start(tight, all[2]), account.Gone{Wait: 10250 * time.Millisecond})
	c.start(tight, all[0])
	c.pass(5001 * time.Millisecond)
	same(t, "Go of the third, when the second has not come for 5 s", c.start(tight, all[2]), account.Gone{})
	same(t, "Go of the second after that", c.start(tight, all[1]), account.Gone{Wait: 5249 * time.Millisecond})
	same(t, "Go of the fourth, behind it", c.start(tight, all[3]), account.Gone{Wait: 10250 * time.Millisecond})
	c.pass(5249 * time.Millisecond)
	same(t, "Go of the second, in its turn", c.start(tight, all[1]), account.Gone{})
}

// One who is ahead and late keeps nobody beyond its own turn.
func TestOwnTurnComes(t *testing.T) {
	c := newClock(t)
	c.enter(tight, "a", "b", "c") // b never comes
	c.pass(2 * time.Second)
	c.start(tight, "a")
	c.pass(time.Second)
	same(t, "Go of c, 3 s after noon", c.start(tight, "c"), account.Gone{Wait: 7250 * time.Millisecond})
	c.pass(7250 * time.Millisecond)
	same(t, "Go of c, in its turn", c.start(tight, "c"), account.Gone{})
}

// Turns that nobody came for are planned with no more.
func TestMissedTurns(t *testing.T) {
	c := newClock(t)
	c.enter(tight, "a", "b")
	c.pass(5001 * time.Millisecond)
	same(t, "Enter when two have not come for 5 s", c.enter(tight, "c"), account.Entered{Turns: []time.Duration{0}})
	c.join(account.KindExtend, "ses_a", 1)
	if picked, _ := c.pick(account.KindExtend, tight, account.Picking{Limited: true}); picked.Allowed != 1 {
		t.Errorf("Pick() = %+v, want the one turn that c left", picked)
	}
}

// Redis's clock has microseconds, a window has all of them.
func TestPartsOfMilliseconds(t *testing.T) {
	c := newClock(t)
	limits := account.Limits{Rate: account.Rate{N: 1, Per: 10 * time.Second}}
	c.enter(limits, "a", "b")
	c.pass(900 * time.Microsecond)
	c.start(limits, "a")
	c.pass(10250*time.Millisecond - 900*time.Microsecond)
	same(t, "Go 10.2491 s after the other", c.start(limits, "b"), account.Gone{Wait: time.Millisecond})
	c.pass(time.Millisecond)
	same(t, "Go 10.2501 s after the other", c.start(limits, "b"), account.Gone{})
}

// An entry has one turn, also when it goes elsewhere.
func TestAnotherEndpoint(t *testing.T) {
	c := newClock(t)
	c.enter(tight, "a")
	for _, want := range []account.Entered{{Turns: []time.Duration{0}}, {Turns: []time.Duration{0}}} {
		got, err := c.Enter(t.Context(), main, "upload", tight, account.Request{Entries: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "Enter elsewhere", got, want)
	}
	same(t, "Go where it was", c.start(tight, "a"), account.Gone{Missing: true})
	same(t, "Enter of two where it was", c.enter(tight, "b", "c"), account.Entered{Turns: []time.Duration{0, 0}})
	if got := c.state(tight).Slots; got != 3 {
		t.Errorf("%d slots are held, want 3", got)
	}
}

func TestInvalid(t *testing.T) {
	c := newClock(t)
	enter := func(id account.ID, endpoint string, l account.Limits, entry string) error {
		_, err := c.Enter(t.Context(), id, endpoint, l, account.Request{Entries: []string{entry}})
		return err
	}
	join := func(weight int) error { _, err := c.Join(t.Context(), main, "extend", "ses_a", weight); return err }
	for name, err := range map[string]error{
		"an account with a brace": enter(account.ID{Provider: "kie", Name: "ma}in"}, "extend", tight, "a"),
		"no account":              enter(account.ID{}, "extend", tight, "a"),
		"an endpoint with a bar":  enter(main, "ex|tend", tight, "a"),
		"an empty entry":          enter(main, "extend", tight, ""),
		"an entry with a bar":     enter(main, "extend", tight, "a|b"),
		"a rate in no time":       enter(main, "extend", account.Limits{Rate: account.Rate{N: 1}}, "a"),
		"fewer than no slots":     enter(main, "extend", account.Limits{InFlight: -1}, "a"),
		"no weight":               join(0),
		"too much weight":         join(1_000_001),
		"a code with a bar":       c.Close(t.Context(), main, "extend", account.Pause{Code: "a|b"}),
		"a pause of before":       c.Close(t.Context(), main, "extend", account.Pause{For: -1}),
		"nobody's registry entry": c.Announce(t.Context(), []account.Known{{Endpoint: "extend"}}),
	} {
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func TestUnavailable(t *testing.T) {
	mini := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: mini.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = rdb.Close() })
	mini.Close()
	g := account.NewGate(rdb)
	_, enter := g.Enter(t.Context(), main, "extend", tight, account.Request{Entries: []string{"a"}})
	_, leave := g.Leave(t.Context(), main, "a")
	_, begin := g.Begin(t.Context(), main)
	_, known := g.Known(t.Context(), "")
	for _, err := range []error{enter, leave, begin, known} {
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%v, want unavailable", err)
		}
	}
	var f *fault.Error
	if !errors.As(enter, &f) || f.Op != "account.Enter" {
		t.Errorf("%v, want one of account.Enter", enter)
	}
}
