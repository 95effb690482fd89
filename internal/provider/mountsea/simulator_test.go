package mountsea_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
	"github.com/segue-audio/segue/internal/simulator"
)

// serving is a rig behind a server of its own.
type serving struct {
	*rig
	base   string
	client *http.Client
}

func serveRig(t *testing.T) *serving {
	t.Helper()
	return serveRigWith(t, 11, nil)
}

func serveRigWith(t *testing.T, seed int64, change func(*simulator.Options)) *serving {
	t.Helper()
	r := newRigWith(t, seed, change)
	server := httptest.NewServer(r.sim.Handler())
	tr := rest.Transport()
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
	})
	return &serving{r, server.URL, &http.Client{Transport: tr}}
}

// finish lets an operation end and tells how.
func (s *serving) finish(t *testing.T, d provider.Driver, id, step string) *provider.State {
	t.Helper()
	if err := s.sim.Settle(t.Context()); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	s.settle()
	state, err := d.Poll(t.Context(), &provider.Operation{ID: id, Step: step})
	if err != nil || !state.Done {
		t.Fatalf("Poll of %s %s = %+v, %v; want its end", step, id, state, err)
	}
	return state
}

// TestNothingThatAProviderFrownsAt lets the simulator judge requests that use
// every field.
func TestNothingThatAProviderFrownsAt(t *testing.T) {
	s := serveRig(t)
	d := s.open(t, s.base, key, s.client)
	session, err := opener(t, d).OpenSession(t.Context())
	if err != nil {
		t.Fatalf("OpenSession: %v", err)
	}
	half := 0.5
	for _, bound := range []string{session, ""} {
		r := s.upload("song")
		r.Session = bound
		accepted, err := d.Upload(t.Context(), r)
		if err != nil {
			t.Fatalf("Upload: %v", err)
		}
		clip := s.finish(t, d, accepted.OperationID, "upload").Clip
		for _, c := range []provider.Clip{*clip, {URL: s.upload("song").Audio.URL}} {
			accepted, err = d.Extend(t.Context(), &provider.Extend{Session: bound, Clip: c, Params: provider.Params{
				ContinueAt: 2, Prompt: "over the hill", Style: "indie pop", Title: "Home", NegativeTags: "metal",
				Instrumental: true, VocalGender: "f", StyleWeight: &half, AudioWeight: &half, WeirdnessConstraint: &half, PersonaID: "p-1",
			}})
			if err != nil {
				t.Fatalf("Extend of %+v: %v", c, err)
			}
			state := s.finish(t, d, accepted.OperationID, "extend")
			if len(state.Tracks) != 2 || state.Failure != nil {
				t.Errorf("Extend of %+v ended as %+v, want two tracks", c, state)
			}
			for _, track := range state.Tracks {
				if track.DurationSeconds <= 0 || track.Title != "Home" || track.ImageURL == "" {
					t.Errorf("track %+v, want a duration, its title and a cover", track)
				}
			}
		}
	}
	v := s.sim.Verdict()
	if v.Unauthenticated+v.WrongKey+v.WrongAccount+v.UnknownIDs+v.UnknownPaths+v.BadRequests+v.ExtraCharges != 0 {
		t.Errorf("the simulator's verdict: %+v, want no complaint", v)
	}
	if n := len(v.MissingFields) + len(v.UnknownFields) + len(v.IgnoredFields); n != 0 {
		t.Errorf("missing %v, unknown %v, ignored %v; want none", v.MissingFields, v.UnknownFields, v.IgnoredFields)
	}
	if v.Charges != 6 {
		t.Errorf("%d charges, want 6: two uploads and four continuations", v.Charges)
	}
}

// TestSimulatedFaults meets each fault of the simulator at a paid request.
func TestSimulatedFaults(t *testing.T) {
	cases := []struct {
		kind    simulator.Kind
		want    fields
		after   time.Duration
		charges int
	}{
		{simulator.DropBefore, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 0, 0},
		{simulator.DropAfter, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 0, 1},
		{simulator.ErrorAfter, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 0, 1},
		{simulator.PageAfter, fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}, 0, 1},
		{simulator.TruncateAfter, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}, 0, 1},
		{simulator.RateLimited, fields{"exhausted", fault.ChargeNone, fault.ScopeEndpoint}, 2 * time.Second, 0},
		{simulator.Maintenance, fields{"unavailable", fault.ChargeNone, fault.ScopeProvider}, 0, 0},
		{simulator.NoCredits, fields{"exhausted", fault.ChargeNone, fault.ScopeAccount}, 0, 0},
		{simulator.Denied, fields{"denied", fault.ChargeNone, fault.ScopeAccount}, 0, 0},
	}
	s := serveRig(t)
	d := s.open(t, s.base, key, s.client)
	for _, tc := range cases {
		if err := s.sim.Script(simulator.Next{Endpoint: "mountsea.upload", Kind: tc.kind, Count: 1}); err != nil {
			t.Fatalf("Script %s: %v", tc.kind, err)
		}
		before := len(s.sim.Charges())
		_, err := d.Upload(t.Context(), s.upload("song"))
		if diff := cmp.Diff(tc.want, of(err)); diff != "" || fault.RetryAfter(err) != tc.after {
			t.Errorf("%s: retry after %v, want %v (-want +got):\n%s", tc.kind, fault.RetryAfter(err), tc.after, diff)
		}
		if got := len(s.sim.Charges()) - before; got != tc.charges {
			t.Errorf("%s: %d charges, want %d", tc.kind, got, tc.charges)
		}
	}
}

// TestSimulatedRefusals are the provider's own, not scripted ones.
func TestSimulatedRefusals(t *testing.T) {
	s := serveRig(t)
	d := s.open(t, s.base, key, s.client)
	wrong := s.open(t, s.base, "wrong-key-0123456789", s.client)
	extend := func(d provider.Driver, c provider.Clip, p provider.Params) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := d.Extend(ctx, &provider.Extend{Clip: c, Params: p})
			return err
		}
	}
	cases := []struct {
		name string
		call func(context.Context) error
		want fields
	}{
		{"wrong key", extend(wrong, provider.Clip{ID: clipID}, provider.Params{ContinueAt: 2}), fields{"denied", fault.ChargeNone, fault.ScopeAccount}},
		{"unknown model", extend(d, provider.Clip{URL: s.upload("song").Audio.URL}, provider.Params{Model: "V5"}), fields{"invalid", fault.ChargeNone, fault.ScopeItem}},
		{"unknown session", func(ctx context.Context) error {
			r := s.upload("song")
			r.Session = sessionID
			_, err := d.Upload(ctx, r)
			return err
		}, fields{"not_found", fault.ChargeNone, fault.ScopeItem}},
		{"unknown operation", func(ctx context.Context) error {
			_, err := d.Poll(ctx, &provider.Operation{ID: taskID, Step: "upload"})
			return err
		}, fields{"not_found", fault.ChargeNone, fault.ScopeItem}},
	}
	for _, tc := range cases {
		if diff := cmp.Diff(tc.want, of(tc.call(t.Context()))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	if n := len(s.sim.Charges()); n != 0 {
		t.Errorf("refusals were charged %d times, want 0", n)
	}
}

func TestSimulatedFailure(t *testing.T) {
	s := serveRig(t)
	d := s.open(t, s.base, key, s.client)
	accepted, err := d.Upload(t.Context(), s.upload("gone"))
	if err != nil {
		t.Fatalf("Upload: %v", err)
	}
	got := s.finish(t, d, accepted.OperationID, "upload")
	if diff := cmp.Diff(fields{"not_found", fault.ChargeMade, fault.ScopeItem}, of(got.Failure)); diff != "" {
		t.Errorf("audio that is not there: %v (-want +got):\n%s", got.Failure, diff)
	}
}
