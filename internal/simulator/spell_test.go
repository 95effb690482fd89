package simulator_test

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// TestSpellOfMaintenance has every submission answered with 455 from one moment to
// another, and nothing else.
func TestSpellOfMaintenance(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.KIE.Errors, o.Faults = "status", simulator.Faults{simulator.NoCredits: 1}
	})
	if err := r.sim.Cast(simulator.Spell{
		Endpoint: "kie.extend", Kind: simulator.Maintenance, In: simulator.Span(time.Minute), For: simulator.Span(10 * time.Minute),
		RetryAfter: simulator.Span(30 * time.Second),
	}); err != nil {
		t.Fatal(err)
	}
	type seen struct {
		Status int
		Wait   string
	}
	var got []seen
	ask := func(pass time.Duration) {
		r.clock.advance(pass)
		answer := r.extend("kie", nil)
		got = append(got, seen{answer.status, answer.header.Get("Retry-After")})
	}
	ask(time.Minute - 1)
	ask(1)
	ask(10*time.Minute - 1)
	ask(1)
	if diff := cmp.Diff([]seen{{402, ""}, {455, "30"}, {455, "30"}, {402, ""}}, got); diff != "" {
		t.Errorf("before, at the first moment, at the last, after (-want +got):\n%s", diff)
	}
	if got := r.do(http.MethodGet, "/_sim/faults", "", nil); string(got.body) != `{"probabilities":{"no_credits":1},"next":[]}` {
		t.Errorf("faults in force: %s, want no spell any more", got.body)
	}
	fired := at(r.object(r.do(http.MethodGet, "/_sim/state", "", nil)), "fired", "maintenance")
	if fired != 2.0 {
		t.Errorf("maintenance struck %v times, want 2", fired)
	}
}

func TestSpellOfOneAccount(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.KIE.Errors = "status"
		o.Keys = map[string]simulator.Account{"a": {Name: "one", Credits: 100}, "b": {Name: "two", Credits: 100}}
	})
	ask := func(key string) int {
		return r.do(http.MethodPost, "/kie/api/v1/generate/upload-extend", key, r.wish(nil)).status
	}
	if err := r.sim.Cast(simulator.Spell{Endpoint: "kie.extend", Kind: simulator.Maintenance, For: simulator.Span(time.Hour), Account: "two"}); err != nil {
		t.Fatal(err)
	}
	r.script(simulator.Next{Endpoint: "kie.extend", Kind: simulator.Denied, Count: 1, Account: "one"})
	if diff := cmp.Diff([]int{455, 401, 200, 455}, []int{ask("b"), ask("a"), ask("a"), ask("b")}); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// TestRetryAfterOnDemand asks for a time of the script's own, where the answer has
// a status that a client heeds.
func TestRetryAfterOnDemand(t *testing.T) {
	for form, want := range map[string]string{"status": "41", "body": ""} {
		r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = form })
		for _, kind := range []simulator.Kind{simulator.RateLimited, simulator.Maintenance} {
			r.script(simulator.Next{Endpoint: "kie.extend", Kind: kind, Count: 1, RetryAfter: simulator.Span(41 * time.Second)})
			if got := r.extend("kie", nil); got.header.Get("Retry-After") != want {
				t.Errorf("%s in the %s: Retry-After %q, want %q", kind, form, got.header.Get("Retry-After"), want)
			}
		}
	}
}

func TestControlSpells(t *testing.T) {
	r := newRig(t, nil)
	post := func(body any) reply { return r.do(http.MethodPost, "/_sim/faults", "", body) }
	spell := func(change map[string]any) map[string]any {
		all := map[string]any{"endpoint": "kie.extend", "kind": "maintenance", "in": "5s", "for": "1m0s", "retryAfter": "2s"}
		maps.Copy(all, change)
		return map[string]any{"spells": []any{all}}
	}
	good := post(spell(nil))
	if want := `{"probabilities":{},"next":[],"spells":[{"endpoint":"kie.extend","kind":"maintenance","in":"5s","for":"1m0s","retryAfter":"2s"}]}`; good.status != 200 || string(good.body) != want {
		t.Errorf("status %d, body %s; want %s", good.status, good.body, want)
	}
	for name, body := range map[string]any{
		"no time":         spell(map[string]any{"for": "0s"}),
		"in the past":     spell(map[string]any{"in": "-1s"}),
		"unknown kind":    spell(map[string]any{"kind": "explode"}),
		"wrong place":     spell(map[string]any{"endpoint": "kie.record", "kind": "no_credits"}),
		"half a second":   spell(map[string]any{"retryAfter": "500ms"}),
		"no such header":  spell(map[string]any{"kind": "denied"}),
		"unknown field":   spell(map[string]any{"until": "never"}),
		"bad beside good": map[string]any{"probabilities": map[string]any{"delay": 1}, "spells": []any{map[string]any{"endpoint": "x"}}},
	} {
		if got := post(body); got.status != 400 || len(textAt(r.object(got), "error")) < 10 {
			t.Errorf("%s: status %d, body %s; want 400 and a reason", name, got.status, got.body)
		}
	}
	r.clock.advance(15 * time.Second)
	left := r.do(http.MethodGet, "/_sim/faults", "", nil)
	if want := `{"probabilities":{},"next":[],"spells":[{"endpoint":"kie.extend","kind":"maintenance","for":"50s","retryAfter":"2s"}]}`; string(left.body) != want {
		t.Errorf("after 15s: %s, want what is left: %s", left.body, want)
	}
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	if got := r.do(http.MethodGet, "/_sim/faults", "", nil); string(got.body) != `{"probabilities":{},"next":[]}` {
		t.Errorf("after a reset: %s, want no spells", got.body)
	}
}
