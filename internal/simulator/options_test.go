package simulator_test

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/simulator"
)

func TestBadKnobsAreErrors(t *testing.T) {
	r := newRig(t, nil)
	if err := r.sim.SetFaults(simulator.Faults{simulator.Delay: 1}); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]simulator.Faults{
		"unknown kind": {"explode": 0.1}, "above one": {simulator.Delay: 1.01}, "below zero": {simulator.Delay: -0.1},
		"not a number": {simulator.Delay: math.NaN()},
	} {
		if err := r.sim.SetFaults(f); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
	for name, n := range map[string]simulator.Next{
		"unknown endpoint": {Endpoint: "mountsea.items", Kind: simulator.Delay, Count: 1},
		"unknown kind":     {Endpoint: "mountsea.item", Kind: "explode", Count: 1},
		"no count":         {Endpoint: "mountsea.item", Kind: simulator.Delay},
		"wrong place":      {Endpoint: "mountsea.status", Kind: simulator.DropAfter, Count: 1},
		"wrong place, cdn": {Endpoint: "cdn", Kind: simulator.Delay, Count: 1},
	} {
		good := simulator.Next{Endpoint: "mountsea.item", Kind: simulator.Denied, Count: 1}
		if err := r.sim.Script(good, n); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
	if got := r.do(http.MethodPost, itemPath, "key", map[string]any{}); got.status != 400 {
		t.Errorf("status %d, want 400: a refused script leaves nothing behind", got.status)
	}
}

func TestBadOptionsAreErrors(t *testing.T) {
	cases := map[string]simulator.Options{
		"fault":           {Faults: simulator.Faults{"explode": 1}},
		"price":           {Prices: map[string]int64{"mountsea.status": 1}},
		"negative price":  {Prices: map[string]int64{"mountsea.item": -1}},
		"jitter":          {UploadTime: simulator.Timing{Mean: time.Second, Jitter: 2 * time.Second}},
		"negative mean":   {ExtendTime: simulator.Timing{Mean: -time.Second}},
		"scale":           {TrackScale: -1},
		"accounts":        {UpstreamAccounts: -1},
		"fetchers":        {Fetchers: -1},
		"retry after":     {RetryAfter: time.Millisecond},
		"delay":           {FaultDelay: -1},
		"books":           {BooksDelay: -1},
		"public URL":      {PublicURL: "example.com"},
		"empty key":       {Keys: map[string]simulator.Account{"": {}}},
		"negative credit": {Keys: map[string]simulator.Account{"a": {Credits: -1}}},
		"disagreement":    {Keys: map[string]simulator.Account{"a": {Name: "x", Credits: 1}, "b": {Name: "x", Credits: 2}}},
	}
	for name, o := range cases {
		sim, err := simulator.New(o)
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
		if sim != nil {
			_ = sim.Close()
		}
	}
}

func TestMildIsValidAndKindsAreNamed(t *testing.T) {
	sim, err := simulator.New(simulator.Options{Faults: simulator.Mild()})
	if err != nil {
		t.Fatalf("New with Mild: %v", err)
	}
	if err := sim.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if sim.Seed() == 0 {
		t.Error("the chosen seed is 0, want one to print")
	}
	want := []simulator.Kind{
		"books_error", "books_lag", "bot_check", "callback_doubled", "callback_early", "callback_forged", "callback_lost", "callback_reordered", "callback_replayed", "callback_stranger",
		"cdn_cut", "cdn_missing", "cdn_page", "cdn_slow", "delay", "denied", "drop_after", "drop_before", "error_after", "maintenance",
		"no_credits", "operation_failed", "operation_matched", "operation_refunded", "operation_sensitive", "operation_timeout",
		"page_after", "rate_limited", "results_vanish", "status_error", "ticket_expired", "transfer_cut", "truncate_after",
	}
	if diff := cmp.Diff(want, simulator.Kinds()); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}
