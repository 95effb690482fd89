package kie_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
	"github.com/segue-audio/segue/internal/simulator"
)

// rehearsal is a rig behind a server of its own, and a driver for it.
type rehearsal struct {
	*rig
	driver provider.Driver
}

func rehearse(t *testing.T, name string, options map[string]string) *rehearsal {
	t.Helper()
	r := newRig(t, 11)
	server := httptest.NewServer(r.sim.Handler())
	tr := rest.Transport()
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
	})
	return &rehearsal{r, r.open(t, name, server.URL, &http.Client{Transport: tr}, options)}
}

// staged gives the clip of a new song.
func (r *rehearsal) staged(t *testing.T) provider.Clip {
	t.Helper()
	a, err := r.driver.Upload(t.Context(), r.upload())
	if err != nil {
		t.Fatalf("Upload: %v", err)
	}
	return *a.Clip
}

// finish lets the operation end and tells how.
func (r *rehearsal) finish(t *testing.T, a *provider.Accepted) *provider.State {
	t.Helper()
	for range 2 { // once for the audio to be there, once for the end to be told
		if err := r.sim.Settle(t.Context()); err != nil {
			t.Fatalf("Settle: %v", err)
		}
		r.settle()
	}
	state, err := r.driver.Poll(t.Context(), &provider.Operation{ID: a.OperationID, Step: "extend", Checkpoint: a.Checkpoint})
	if err != nil || !state.Done {
		t.Fatalf("Poll of %s = %+v, %v; want its end", a.OperationID, state, err)
	}
	return state
}

// TestNothingThatAProviderFrownsAt lets the simulator judge requests that use
// every field, by each way.
func TestNothingThatAProviderFrownsAt(t *testing.T) {
	half := 0.5
	params := map[string]provider.Params{
		"default": {ContinueAt: 2, Prompt: "calmer", NegativeTags: "metal", VocalGender: "f"},
		"custom": {
			Model: "V4", ContinueAt: 2.5, Prompt: "over the hill", Style: "indie pop", Title: "Home", NegativeTags: "metal", VocalGender: "m",
			StyleWeight: &half, AudioWeight: &half, WeirdnessConstraint: &half, PersonaID: "persona_123",
		},
		"instrumental": {ContinueAt: 1, Style: "indie pop", Title: "Home", Prompt: "dropped", VocalGender: "m", Instrumental: true},
	}
	for _, way := range []struct {
		provider string
		options  map[string]string
	}{
		{"kie", nil},
		{"kie", map[string]string{"route": "jobs", "stage": "stream"}},
		{"apikley", nil},
		{"sunoapi", nil},
		{"sunoapi", map[string]string{"stage": "stream"}},
	} {
		r := rehearse(t, way.provider, way.options)
		for name, p := range params {
			accepted, err := r.driver.Extend(t.Context(), &provider.Extend{Clip: r.staged(t), Params: p, CallbackURL: "https://hooks.example/t0k3n"})
			if err != nil {
				t.Fatalf("%s %v, %s: Extend: %v", way.provider, way.options, name, err)
			}
			state := r.finish(t, accepted)
			if len(state.Tracks) != 2 || state.Failure != nil {
				t.Errorf("%s %v, %s ended as %+v, want two tracks", way.provider, way.options, name, state)
			}
			for _, track := range state.Tracks {
				if track.DurationSeconds <= 0 || track.Title == "" || track.ImageURL == "" || track.Model == "" {
					t.Errorf("%s %v, %s: track %+v, want a duration, a title, a cover and a model", way.provider, way.options, name, track)
				}
			}
		}
		v := r.sim.Verdict()
		if v.Unauthenticated+v.WrongKey+v.UnknownIDs+v.UnknownPaths+v.BadRequests+v.BlockedAgents+v.OverwrittenFiles+v.ChunkedBodies+v.OverLimit+v.UnreachableAudio+v.ExtraCharges != 0 {
			t.Errorf("%s %v: the simulator's verdict: %+v, want no complaint", way.provider, way.options, v)
		}
		if n := len(v.MissingFields) + len(v.UnknownFields) + len(v.IgnoredFields); n != 0 {
			t.Errorf("%s %v: missing %v, unknown %v, ignored %v; want none", way.provider, way.options, v.MissingFields, v.UnknownFields, v.IgnoredFields)
		}
		if v.Charges != len(params) {
			t.Errorf("%s %v: %d charges, want %d", way.provider, way.options, v.Charges, len(params))
		}
	}
}

// TestSimulatedCallbacks reads what the simulator tells of good and bad ends, and
// of tasks that it forges.
func TestSimulatedCallbacks(t *testing.T) {
	cases := []struct {
		name, provider string
		kind           simulator.Kind // a fault of this many callbacks
		count          int
		want           []string
	}{
		{"all is well", "kie", "", 0, []string{"text", "first", "complete, done"}},
		{"twice", "kie", simulator.CallbackDoubled, 3, []string{"text", "text", "first", "first", "complete, done", "complete, done"}},
		{"forged", "kie", simulator.CallbackForged, 1, []string{"denied", "text", "first", "complete, done"}},
		{"a lie that is signed", "kie", simulator.CallbackReplayed, 1, []string{"complete, done", "complete, done", "first", "text"}},
		{"about a task that is not ours", "kie", simulator.CallbackStranger, 1, []string{"another task", "text", "first", "complete, done"}},
		{"sunoapi.org, unsigned as documented", "sunoapi", "", 0, []string{"text", "first", "complete, done"}},
		{"Apikley, unsigned as documented", "apikley", "", 0, []string{"text", "first", "complete, done"}},
	}
	for _, tc := range cases {
		r := rehearse(t, tc.provider, nil)
		if tc.kind != "" {
			if err := r.sim.Script(simulator.Next{Endpoint: tc.provider + ".callback", Kind: tc.kind, Count: tc.count}); err != nil {
				t.Fatalf("%s: Script: %v", tc.name, err)
			}
		}
		accepted, err := r.driver.Extend(t.Context(), &provider.Extend{
			Clip: r.staged(t), CallbackURL: "https://hooks.example/t0k3n", Params: provider.Params{ContinueAt: 2, Prompt: "calmer"},
		})
		if err != nil {
			t.Fatalf("%s: Extend: %v", tc.name, err)
		}
		r.finish(t, accepted)
		if err := r.sim.Settle(t.Context()); err != nil {
			t.Fatalf("%s: Settle: %v", tc.name, err)
		}
		got := r.readings(t, accepted.OperationID, tc.provider == "kie")
		want := slices.Clone(tc.want)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: callbacks, sorted (-want +got):\n%s", tc.name, diff)
		}
	}
}

// readings are the callbacks as the driver reads them, sorted: they may come in
// any order.
func (r *rehearsal) readings(t *testing.T, id string, signed bool) []string {
	t.Helper()
	reads, ok := r.driver.(provider.CallbackReader)
	if !ok {
		t.Fatal("the driver reads no callbacks, want a provider.CallbackReader")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, d := range r.heard {
		c, err := reads.ReadCallback(d.header, d.body, d.at)
		switch {
		case err != nil:
			list = append(list, string(fault.CodeOf(err)))
			continue
		case c.Signed != signed:
			t.Errorf("callback %+v, want signed: %v", c, signed)
		case c.OperationID != id:
			list = append(list, "another task")
			continue
		}
		word := c.Kind
		if c.Done {
			word += ", done"
		}
		list = append(list, word)
	}
	slices.Sort(list)
	return list
}

// TestSimulatedFaults meets each fault of the simulator at the paid request.
func TestSimulatedFaults(t *testing.T) {
	cases := []struct {
		kind    simulator.Kind
		want    fields
		charges int
	}{
		{simulator.DropBefore, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 0},
		{simulator.DropAfter, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 1},
		{simulator.ErrorAfter, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 1},
		{simulator.PageAfter, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 1},
		{simulator.TruncateAfter, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}, 1},
		{simulator.RateLimited, fields{"exhausted", fault.ChargeNone, fault.ScopeEndpoint}, 0},
		{simulator.Maintenance, fields{"unavailable", fault.ChargeNone, fault.ScopeProvider}, 0},
		{simulator.NoCredits, fields{"exhausted", fault.ChargeNone, fault.ScopeAccount}, 0},
		{simulator.Denied, fields{"denied", fault.ChargeNone, fault.ScopeAccount}, 0},
	}
	for name := range family {
		r := rehearse(t, name, nil)
		for _, tc := range cases {
			if err := r.sim.Script(simulator.Next{Endpoint: name + ".extend", Kind: tc.kind, Count: 1}); err != nil {
				t.Fatalf("%s: Script %s: %v", name, tc.kind, err)
			}
			clip, before := r.staged(t), len(r.sim.Charges())
			_, err := r.driver.Extend(t.Context(), &provider.Extend{Clip: clip, Params: provider.Params{ContinueAt: 2, Prompt: "calmer"}})
			if diff := cmp.Diff(tc.want, of(err)); diff != "" {
				t.Errorf("%s, %s: %v (-want +got):\n%s", name, tc.kind, err, diff)
			}
			if got := len(r.sim.Charges()) - before; got != tc.charges {
				t.Errorf("%s, %s: %d charges, want %d", name, tc.kind, got, tc.charges)
			}
		}
	}
}

// TestSimulatedEnds are the bad ones of tasks that were accepted.
func TestSimulatedEnds(t *testing.T) {
	cases := []struct {
		kind simulator.Kind
		want fields
	}{
		{simulator.OperationMatched, fields{"rejected", fault.ChargeMade, 0}},
		{simulator.OperationSensitive, fields{"rejected", fault.ChargeMade, 0}},
		{simulator.OperationRefunded, fields{"unavailable", fault.ChargeNone, 0}},
		{simulator.OperationTimeout, fields{"timeout", fault.ChargeMade, 0}},
	}
	for _, route := range []string{"legacy", "jobs"} {
		r := rehearse(t, "kie", map[string]string{"route": route})
		endpoint := map[string]string{"legacy": "kie.extend", "jobs": "kie.create"}[route]
		for _, tc := range cases {
			if err := r.sim.Script(simulator.Next{Endpoint: endpoint, Kind: tc.kind, Count: 1}); err != nil {
				t.Fatalf("%s: Script %s: %v", route, tc.kind, err)
			}
			accepted, err := r.driver.Extend(t.Context(), &provider.Extend{Clip: r.staged(t), Params: provider.Params{ContinueAt: 2, Prompt: "calmer"}})
			if err != nil {
				t.Fatalf("%s, %s: Extend: %v", route, tc.kind, err)
			}
			if state := r.finish(t, accepted); of(state.Failure) != tc.want {
				t.Errorf("%s, %s: %v (%+v), want %+v", route, tc.kind, state.Failure, of(state.Failure), tc.want)
			}
		}
	}
}

// TestSimulatedRefusals are the provider's own, not scripted ones.
func TestSimulatedRefusals(t *testing.T) {
	r := rehearse(t, "kie", nil)
	extend := func(c provider.Clip, p provider.Params) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := r.driver.Extend(ctx, &provider.Extend{Clip: c, Params: p})
			return err
		}
	}
	cases := []struct {
		name string
		call func(context.Context) error
		want fields
	}{
		{"no style", extend(r.staged(t), provider.Params{ContinueAt: 2, Title: "Home", Prompt: "over the hill"}), fields{"invalid", fault.ChargeNone, 0}},
		{"unknown model", extend(r.staged(t), provider.Params{ContinueAt: 2, Prompt: "calmer", Model: "V99"}), fields{"invalid", fault.ChargeNone, 0}},
		{"long title", extend(r.staged(t), provider.Params{ContinueAt: 2, Prompt: "a", Style: "b", Title: strings.Repeat("x", 101)}), fields{"invalid", fault.ChargeNone, 0}},
		{"unknown task", func(ctx context.Context) error {
			_, err := r.driver.Poll(ctx, &provider.Operation{ID: taskID, Step: "extend"})
			return err
		}, fields{"not_found", fault.ChargeNone, 0}},
	}
	for _, tc := range cases {
		if diff := cmp.Diff(tc.want, of(tc.call(t.Context()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	if n := len(r.sim.Charges()); n != 0 {
		t.Errorf("refusals were charged %d times, want 0", n)
	}
	credits, err := r.driver.Credits(t.Context())
	if credits != 10000 || err != nil {
		t.Errorf("Credits = %v, %v; want 10000", credits, err)
	}
}

// TestStagedFilesExpire: a clip is not ordered from once the host would have
// dropped it, by the time that the host itself named.
func TestStagedFilesExpire(t *testing.T) {
	r := rehearse(t, "kie", map[string]string{"stage": "stream"})
	clip := r.staged(t)
	if life := time.Until(clip.Expires); life < 23*time.Hour || life > 80*time.Hour {
		t.Errorf("the clip lives for %v, want a day or three", life)
	}
}
