package kkiai_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
	"github.com/segue-audio/segue/internal/simulator"
)

// rig is a simulator whose clock is moved by hand.
type rig struct {
	sim     *simulator.Simulator
	minutes atomic.Int64
	songs   atomic.Int64
}

func newRig(tb testing.TB, choice simulator.Kkiai) *rig {
	tb.Helper()
	r := &rig{}
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	sim, err := simulator.New(simulator.Options{
		Seed: 1, Kkiai: choice, Now: func() time.Time { return began.Add(time.Duration(r.minutes.Load()) * time.Minute) },
	})
	if err != nil {
		tb.Fatalf("simulator.New: %v", err)
	}
	r.sim = sim
	tb.Cleanup(func() {
		if err := sim.Close(); err != nil {
			tb.Errorf("simulator.Close: %v", err)
		}
	})
	return r
}

// settle lets every operation end.
func (r *rig) settle() { r.minutes.Add(5) }

// song is four seconds of sound that nobody uploaded before.
func (r *rig) song() string {
	const samples = 4 * 8000
	var song bytes.Buffer
	song.WriteString("RIFF")
	_ = binary.Write(&song, binary.LittleEndian, uint32(36+samples))
	song.WriteString("WAVEfmt ")
	_ = binary.Write(&song, binary.LittleEndian, []uint16{16, 0, 1, 1, 8000, 0, 8000, 0, 1, 8})
	song.WriteString("data")
	_ = binary.Write(&song, binary.LittleEndian, uint32(samples))
	sound := bytes.Repeat([]byte{128, 160, 180, 160, 128, 96, 76, 96}, samples/8)
	copy(sound, strconv.FormatInt(r.songs.Add(1), 10))
	song.Write(sound)
	return song.String()
}

// serving is a driver in front of a simulator, and what called back.
type serving struct {
	*rig
	provider.Driver
	hook  string
	heard chan []byte
}

func serveRig(t *testing.T, choice simulator.Kkiai) *serving {
	t.Helper()
	s := &serving{rig: newRig(t, choice), heard: make(chan []byte, 16)}
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading a callback: %v", err)
		}
		s.heard <- body
	}))
	server := httptest.NewServer(s.sim.Handler())
	tr := rest.Transport()
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
		hook.Close()
	})
	s.hook = hook.URL + "/callbacks/kkiai/token"
	s.Driver = open(t, server.URL+"/kkiai", &http.Client{Transport: tr}, nil)
	return s
}

// finish lets an operation end and tells how.
func (s *serving) finish(t *testing.T, id, step string) *provider.State {
	t.Helper()
	if err := s.sim.Settle(t.Context()); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	s.settle()
	state, err := s.Poll(t.Context(), &provider.Operation{ID: id, Step: step})
	if err != nil || !state.Done {
		t.Fatalf("Poll of %s %s = %+v, %v; want its end", step, id, state, err)
	}
	return state
}

// clip uploads a song.
func (s *serving) clip(t *testing.T) provider.Clip {
	t.Helper()
	accepted, err := s.Upload(t.Context(), uploadOf(s.song()))
	if err != nil {
		t.Fatalf("Upload: %v", err)
	}
	state := s.finish(t, accepted.OperationID, "upload")
	if state.Clip == nil {
		t.Fatalf("the upload ended as %+v, want a clip", state)
	}
	return *state.Clip
}

// TestNothingThatAProviderFrownsAt lets the simulator judge requests that use
// every field, where no step may be repeated.
func TestNothingThatAProviderFrownsAt(t *testing.T) {
	for _, ticket := range []string{"put", "post"} {
		s := serveRig(t, simulator.Kkiai{Ticket: ticket, Repeat: "refused", Mistakes: "early", Position: "fraction"})
		accepted, err := s.Extend(t.Context(), &provider.Extend{Clip: s.clip(t), CallbackURL: s.hook, Params: provider.Params{
			ContinueAt: 2.5, Prompt: "over the hill", Style: "indie pop", Title: "Home", NegativeTags: "metal",
			Instrumental: true, VocalGender: "f", PersonaID: "p-1",
		}})
		if err != nil {
			t.Fatalf("%s: Extend: %v", ticket, err)
		}
		state := s.finish(t, accepted.OperationID, "extend")
		if len(state.Tracks) != 2 || state.Failure != nil {
			t.Errorf("%s: ended as %+v, want two tracks", ticket, state)
		}
		for _, track := range state.Tracks {
			if track.DurationSeconds <= 0 || track.Title != "Home" || track.ImageURL == "" || track.Model == "" {
				t.Errorf("%s: track %+v, want a duration, its title, a cover and a model", ticket, track)
			}
		}
		v := s.sim.Verdict()
		if v.Charges != 1 || v.ExtraCharges != 0 || v.Unauthenticated+v.WrongKey+v.WrongAccount+v.UnknownIDs+v.UnknownPaths+v.BadRequests != 0 {
			t.Errorf("%s: the simulator's verdict: %+v, want one charge and no complaint", ticket, v)
		}
		if v.LeakedKeys+v.ChunkedBodies+v.ForgedTickets+v.ExpiredTickets+v.StepsOutOfOrder+v.RepeatedSteps != 0 {
			t.Errorf("%s: the simulator's verdict: %+v, want all steps in order, once", ticket, v)
		}
		if n := len(v.MissingFields) + len(v.UnknownFields) + len(v.IgnoredFields); n != 0 {
			t.Errorf("%s: missing %v, unknown %v, ignored %v; want none", ticket, v.MissingFields, v.UnknownFields, v.IgnoredFields)
		}
	}
}

func TestSimulatedCallback(t *testing.T) {
	s := serveRig(t, simulator.Kkiai{})
	reader, ok := s.Driver.(provider.CallbackReader)
	if !ok {
		t.Fatal("the driver reads no callbacks, want a provider.CallbackReader")
	}
	accepted, err := s.Extend(t.Context(), &provider.Extend{
		Clip: s.clip(t), CallbackURL: s.hook, Params: provider.Params{ContinueAt: 2, Prompt: "over the hill", Title: "Home"},
	})
	if err != nil {
		t.Fatalf("Extend: %v", err)
	}
	s.finish(t, accepted.OperationID, "extend")
	if err := s.sim.Settle(t.Context()); err != nil {
		t.Fatalf("Settle: %v", err)
	}
	for {
		select {
		case body := <-s.heard:
			got, err := reader.ReadCallback(http.Header{}, body, time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
			if err != nil || got.OperationID != accepted.OperationID || got.Kind == "" || got.Signed {
				t.Fatalf("ReadCallback(%s) = %+v, %v; want one about %s", body, got, err, accepted.OperationID)
			}
			if got.Done {
				return
			}
		default:
			t.Fatal("no callback said that the task had ended")
		}
	}
}

// TestSimulatedFaults meets the simulator's faults at the paid request and at the
// storage.
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
		{simulator.NoCredits, fields{"exhausted", fault.ChargeNone, fault.ScopeAccount}, 0, 0},
		{simulator.Denied, fields{"denied", fault.ChargeNone, fault.ScopeAccount}, 0, 0},
	}
	s := serveRig(t, simulator.Kkiai{})
	clip := s.clip(t)
	for _, tc := range cases {
		s.script(t, "kkiai.submit", tc.kind, 1)
		before := len(s.sim.Charges())
		_, err := s.Extend(t.Context(), &provider.Extend{Clip: clip, Params: provider.Params{ContinueAt: 2, Prompt: "over the hill", Title: "Home"}})
		if diff := cmp.Diff(tc.want, of(err)); diff != "" || fault.RetryAfter(err) != tc.after {
			t.Errorf("%s: %v, retry after %v, want %v (-want +got):\n%s", tc.kind, err, fault.RetryAfter(err), tc.after, diff)
		}
		if got := len(s.sim.Charges()) - before; got != tc.charges {
			t.Errorf("%s: %d charges, want %d", tc.kind, got, tc.charges)
		}
	}
}

func (s *serving) script(t *testing.T, endpoint string, kind simulator.Kind, count int) {
	t.Helper()
	if err := s.sim.Script(simulator.Next{Endpoint: endpoint, Kind: kind, Count: count}); err != nil {
		t.Fatalf("Script %s: %v", kind, err)
	}
}

func TestSimulatedStorageFaults(t *testing.T) {
	for _, ticket := range []string{"put", "post"} {
		s := serveRig(t, simulator.Kkiai{Ticket: ticket})
		s.script(t, "s3", simulator.TicketExpired, 1)
		if clip := s.clip(t); clip.ID == "" {
			t.Errorf("%s: a ticket that expired: no clip, want another ticket to do", ticket)
		}
		for _, tc := range []struct {
			kind  simulator.Kind
			count int
		}{{simulator.TransferCut, 1}, {simulator.TicketExpired, 2}} {
			s.script(t, "s3", tc.kind, tc.count)
			_, err := s.Upload(t.Context(), uploadOf(s.song()))
			if diff := cmp.Diff(fields{"unavailable", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" {
				t.Errorf("%s, %s %d times: %v (-want +got):\n%s", ticket, tc.kind, tc.count, err, diff)
			}
		}
	}
}
