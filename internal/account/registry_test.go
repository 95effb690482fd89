package account_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
)

func at(provider, name string) account.ID { return account.ID{Provider: provider, Name: name} }

func (c *clock) announce(list ...account.Known) {
	c.t.Helper()
	if err := c.Announce(c.t.Context(), list); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clock) drain(id account.ID, on bool) {
	c.t.Helper()
	if err := c.Drain(c.t.Context(), id, on); err != nil {
		c.t.Fatal(err)
	}
}

func TestRegistry(t *testing.T) {
	c := newClock(t)
	budget := 12.5
	full := account.Known{
		ID:       main,
		Limits:   account.Limits{Rate: account.Rate{N: 20, Per: 10 * time.Second}, InFlight: 100, Stock: 40},
		Budget:   &budget,
		Endpoint: "extend",
	}
	second, other := account.Known{ID: at("kie", "second"), Endpoint: "extend"}, account.Known{ID: at("sim", "main"), Endpoint: "generate"}
	known := func(provider string, want ...account.Known) {
		t.Helper()
		got, err := c.Known(t.Context(), provider)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(0)); diff != "" {
			t.Errorf("Known(%q) (-want +got):\n%s", provider, diff)
		}
	}
	known("")
	c.announce(second, full, other)
	c.announce(full)
	for _, k := range []*account.Known{&full, &second, &other} {
		k.Seen = noon
	}
	known("", full, second, other)
	known("kie", full, second)
	c.drain(main, true)
	c.drain(main, true)
	full.Draining = true
	known("kie", full, second)
	if !c.state(tight).Draining {
		t.Error("State().Draining = false, want true")
	}
	c.pass(30 * time.Minute)
	full.Budget, full.Limits = nil, account.Limits{}
	c.announce(account.Known{ID: main, Endpoint: "extend"})
	c.pass(31 * time.Minute)
	full.Seen = noon.Add(30 * time.Minute)
	known("", full)
	c.drain(main, false)
	full.Draining = false
	known("", full)
	c.close(account.Pause{For: time.Hour})
	for range 2 {
		if err := c.Forget(t.Context(), main); err != nil {
			t.Fatal(err)
		}
	}
	known("")
	if pauses, err := c.Pauses(t.Context(), main); len(pauses) != 0 || err != nil {
		t.Errorf("Pauses() after Forget = %+v, %v, want none", pauses, err)
	}
}

// Every step makes the account that was chosen before a worse choice.
func TestChoose(t *testing.T) {
	c := newClock(t)
	ctx := t.Context()
	limits := account.Limits{InFlight: 1}
	var all []account.Known
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		all = append(all, account.Known{ID: at("kie", name), Limits: limits, Endpoint: "extend"})
	}
	c.announce(append(all, account.Known{ID: at("sim", "main"), Endpoint: "extend"})...)
	poor := map[string]bool{"d": true}
	credits := func(id account.ID) (bool, error) { return !poor[id.Name], nil }
	chosen := func(step string, want ...string) {
		t.Helper()
		got := map[string]bool{}
		for range 15 * len(want) {
			id, err := c.Choose(ctx, "kie", credits)
			if err != nil || id.Provider != "kie" {
				t.Fatalf("%s: Choose() = %v, %v, want one of %v", step, id, err, want)
			}
			got[id.Name] = true
		}
		wanted := map[string]bool{}
		for _, name := range want {
			wanted[name] = true
		}
		same(t, step+": chosen of 15 times each", got, wanted)
	}
	use := func(name string) {
		t.Helper()
		if _, err := c.Enter(ctx, at("kie", name), "extend", limits, account.Request{Entries: []string{"x"}}); err != nil {
			t.Fatal(err)
		}
	}
	shut := func(name string, d time.Duration) {
		t.Helper()
		if err := c.Close(ctx, at("kie", name), "extend", account.Pause{For: d}); err != nil {
			t.Fatal(err)
		}
	}
	c.drain(at("kie", "f"), true)
	chosen("all that have credits", "a", "b", "c", "e")
	use("a")
	chosen("a is full", "b", "c", "e")
	shut("b", time.Minute)
	shut("c", time.Minute)
	chosen("b and c are closed", "e")
	use("e")
	chosen("no slot is free", "a", "e")
	shut("a", time.Minute)
	shut("e", time.Minute)
	chosen("all are closed", "a", "b", "c", "e")
	c.pass(time.Minute)
	chosen("all may be tested, a and e are full", "b", "c")
	use("b")
	chosen("b is being tested", "c")
	poor = map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true}
	chosen("nobody has credits, c may be tested", "c", "d")
	c.deny(account.Denial{ID: at("kie", "c"), For: time.Minute})
	c.deny(account.Denial{ID: at("kie", "d"), For: time.Hour, Key: true})
	chosen("nobody has credits, the keys of c and d are refused", "a", "e")
	poor = map[string]bool{}
	chosen("all have credits, the keys of c and d are refused", "a", "e")
	for _, name := range []string{"a", "b", "e"} {
		c.drain(at("kie", name), true)
	}
	chosen("nobody else is left", "c", "d")
	c.pass(time.Minute)
	chosen("c may be tried again", "c")
	c.drain(at("kie", "c"), true)
	c.drain(at("kie", "d"), true)
	if id, err := c.Choose(ctx, "kie", credits); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("Choose() while all drain = %v, %v, want not_found", id, err)
	}
	if id, err := c.Choose(ctx, "sim", nil); err != nil || id != at("sim", "main") {
		t.Errorf("Choose(sim) = %v, %v, want its only one", id, err)
	}
	broken := errors.New("no ledger")
	if _, err := c.Choose(ctx, "sim", func(account.ID) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("Choose() = %v, want the error of credits", err)
	}
}

func (c *clock) deny(d account.Denial) {
	c.t.Helper()
	if err := c.Deny(c.t.Context(), d); err != nil {
		c.t.Fatal(err)
	}
}

// TestDenials: a refused key stays known as one, whatever is said of requests
// meanwhile, until it is accepted or its time is over.
func TestDenials(t *testing.T) {
	c := newClock(t)
	ctx, second := t.Context(), at("kie", "second")
	denied := func(when string, want ...account.Denial) {
		t.Helper()
		got, err := c.Denied(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(got)+len(want) > 0 {
			same(t, "Denied() "+when, got, want)
		}
	}
	denied("before anything")
	c.deny(account.Denial{ID: second, For: time.Minute, Why: "401|no"})
	c.deny(account.Denial{ID: main, For: time.Minute, Key: true, Why: "401"})
	c.deny(account.Denial{ID: main, For: time.Hour, Why: "403"})
	denied("of two", account.Denial{ID: main, For: time.Hour, Key: true, Why: "403"}, account.Denial{ID: second, For: time.Minute, Why: "401|no"})
	c.announce(account.Known{ID: main, Endpoint: "extend"}, account.Known{ID: second, Endpoint: "extend"})
	known := func(want ...bool) {
		t.Helper()
		list, err := c.Known(ctx, "")
		if err != nil || len(list) != 2 || list[0].Denied != want[0] || list[1].Denied != want[1] {
			t.Errorf("Known() = %+v, %v, want denied: %v", list, err, want)
		}
	}
	known(true, true)
	c.pass(time.Minute)
	denied("after the time of one", account.Denial{ID: main, For: 59 * time.Minute, Key: true, Why: "403"})
	known(true, false)
	for _, want := range []bool{true, false} {
		if was, err := c.Allow(ctx, main); was != want || err != nil {
			t.Errorf("Allow() = %v, %v, want %v", was, err, want)
		}
	}
	denied("after it was accepted")
	known(false, false)
	c.deny(account.Denial{ID: main, For: time.Minute, Why: "403"})
	denied("of a request alone", account.Denial{ID: main, For: time.Minute, Why: "403"})
	if err := c.Forget(ctx, main); err != nil {
		t.Fatal(err)
	}
	denied("after Forget")
	if err := c.Deny(ctx, account.Denial{ID: at("k/ie", "main")}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Deny() of no account = %v, want invalid", err)
	}
	if _, err := c.Allow(ctx, account.ID{}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Allow() of no account = %v, want invalid", err)
	}
}
