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
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c.drain(at("kie", name), true)
	}
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
