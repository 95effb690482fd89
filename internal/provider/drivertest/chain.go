package drivertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// result is all that a happy chain ended with.
type result struct {
	clip     provider.Clip
	upload   *provider.Operation // nil when the upload ended at once
	uploaded *provider.State
	extend   *provider.Operation
	extended *provider.State
}

// upload runs the upload step to its end.
func (h *Harness) upload(ctx context.Context, r *provider.Upload) (*result, error) {
	accepted, err := h.Driver.Upload(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	out := &result{}
	switch {
	case accepted.Clip != nil:
		out.clip = *accepted.Clip
		return out, nil
	case accepted.OperationID == "":
		return nil, errors.New("upload: accepted without a clip and without an operation")
	}
	out.upload = &provider.Operation{ID: accepted.OperationID, Step: "upload", Session: r.Session, Checkpoint: accepted.Checkpoint}
	out.uploaded, err = h.await(ctx, out.upload)
	if err != nil {
		return out, fmt.Errorf("poll of the upload: %w", err)
	}
	if out.uploaded.Clip != nil {
		out.clip = *out.uploaded.Clip
	}
	return out, nil
}

// chain runs both steps to their end.
func (h *Harness) chain(ctx context.Context, r *provider.Upload) (*result, error) {
	out, err := h.upload(ctx, r)
	if err != nil {
		return out, err
	}
	if out.uploaded != nil && out.uploaded.Failure != nil {
		return out, fmt.Errorf("the upload failed: %w", out.uploaded.Failure)
	}
	accepted, err := h.Driver.Extend(ctx, &provider.Extend{Session: r.Session, Clip: out.clip, Params: h.Params})
	if err != nil {
		return out, fmt.Errorf("extend: %w", err)
	}
	if accepted.OperationID == "" {
		return out, errors.New("extend: accepted without an operation")
	}
	out.extend = &provider.Operation{ID: accepted.OperationID, Step: "extend", Session: r.Session, Checkpoint: accepted.Checkpoint}
	out.extended, err = h.await(ctx, out.extend)
	if err != nil {
		return out, fmt.Errorf("poll of the extend: %w", err)
	}
	return out, nil
}

// await polls until the operation ends.
func (h *Harness) await(ctx context.Context, op *provider.Operation) (*provider.State, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		state, err := h.Driver.Poll(ctx, op)
		if err != nil {
			return nil, err
		}
		if state.Done {
			return state, nil
		}
		if state.Clip != nil || state.Failure != nil {
			return nil, fmt.Errorf("a running operation has a clip or a failure: %+v", state)
		}
		if h.Settle != nil {
			h.Settle()
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// ready runs one happy chain, on which other checks build.
func ready(tb testing.TB, h *Harness) *result {
	tb.Helper()
	out, err := h.chain(tb.Context(), h.Upload())
	if err != nil {
		tb.Fatalf("a chain without trouble: %v", err)
	}
	if out.extended.Failure != nil || len(out.extended.Tracks) == 0 {
		tb.Fatalf("a chain without trouble ends with %+v, want tracks", out.extended)
	}
	return out
}

func checkInfo(tb testing.TB, open Open) {
	tb.Helper()
	h, _ := start(tb, open)
	i := h.Info
	if i.Name == "" || len(i.Models) == 0 {
		tb.Errorf("name %q with %d models, want a name and a model", i.Name, len(i.Models))
	}
	if i.Poll.Min <= 0 || i.Poll.Max < i.Poll.Min {
		tb.Errorf("polling from %v to %v, want a range above 0", i.Poll.Min, i.Poll.Max)
	}
	for _, m := range i.Models {
		if _, ok := i.Model(m.Name); !ok && m.Name[len(m.Name)-1] != '*' {
			tb.Errorf("model %q is listed and not found", m.Name)
		}
	}
	checkEvidence(tb, h)
	if found := i.CheckParams(h.Params, 0); len(found) > 0 {
		tb.Errorf("the harness's own params are refused: %v", found)
	}
}

func checkChain(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	before := h.Charges()
	out, err := h.chain(tb.Context(), h.Upload())
	if err != nil {
		tb.Fatalf("a chain without trouble: %v", err)
	}
	want := 1
	if h.Info.Uploads.Paid {
		want = 2
	}
	if got := h.Charges() - before; got != want {
		tb.Errorf("the chain was billed %d times, want %d", got, want)
	}
	if out.uploaded != nil && (out.uploaded.Failure != nil || out.uploaded.Word == "" || out.uploaded.Clip == nil) {
		tb.Errorf("the upload ended as %+v, want a clip and the provider's word", out.uploaded)
	}
	if h.Info.Uploads.Clips && out.clip.ID == "" {
		tb.Errorf("clip %+v, want an id, since Info says that uploads end with clips", out.clip)
	}
	checkTracks(tb, out.extended)
	if n := w.counts(); n.trips != n.arrived {
		tb.Errorf("%d requests through the client that it was given, %d arrived", n.trips, n.arrived)
	}
}

func checkTracks(tb testing.TB, s *provider.State) {
	tb.Helper()
	if s.Failure != nil || s.Word == "" || len(s.Tracks) == 0 {
		tb.Errorf("the extend ended as %+v, want tracks and the provider's word", s)
	}
	seen := map[string]bool{}
	for _, track := range s.Tracks {
		if track.AudioID == "" || track.AudioURL == "" || seen[track.AudioID] {
			tb.Errorf("track %+v, want an id of its own and an address", track)
		}
		seen[track.AudioID] = true
	}
}

func checkFailedOperation(tb testing.TB, open Open) {
	tb.Helper()
	h, _ := start(tb, open)
	if h.Broken == nil {
		return
	}
	out, err := h.upload(tb.Context(), h.Broken())
	if err != nil || out.uploaded == nil {
		tb.Fatalf("an upload that fails: state %+v, error %v; want an operation that ends", out, err)
	}
	if out.uploaded.Clip != nil || out.uploaded.Failure == nil {
		tb.Fatalf("an upload that fails ended as %+v, want a failure and no clip", out.uploaded)
	}
	f := asFault(tb, "the failure", out.uploaded.Failure)
	if f == nil {
		return
	}
	switch f.Code {
	case fault.Rejected, fault.Invalid, fault.NotFound, fault.Timeout, fault.Unavailable:
	default:
		tb.Errorf("the failure's code is %q, want one that provider.State names", f.Code)
	}
	for _, leak := range h.leaks(f) {
		tb.Errorf("the failure tells %s", leak)
	}
}

func checkSession(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	opener, ok := h.Driver.(provider.SessionOpener)
	if !ok {
		return
	}
	before := h.Charges()
	first, err1 := opener.OpenSession(tb.Context())
	second, err2 := opener.OpenSession(tb.Context())
	if err := errors.Join(err1, err2); err != nil || first == "" || first == second {
		tb.Fatalf("sessions %q and %q, %v; want two", first, second, err)
	}
	if got := h.Charges() - before; got != 0 {
		tb.Errorf("opening two sessions was billed %d times, want 0", got)
	}
	r := h.Upload()
	r.Session = first
	if out, err := h.chain(tb.Context(), r); err != nil || out.extended.Failure != nil {
		tb.Errorf("a chain inside a session: %v; want tracks", err)
	}
	sweep(tb, h, w, []call{{"OpenSession", func(ctx context.Context) error {
		session, err := opener.OpenSession(ctx)
		if err != nil && session != "" {
			tb.Errorf("OpenSession = %q with the error %v, want no session", session, err)
		}
		return err
	}}}, func(o outcome) {
		o.checkCode(tb)
		o.checkSecrets(tb, h)
	})
}

func checkConcurrentUse(tb testing.TB, open Open) {
	tb.Helper()
	const chains = 8
	h, _ := start(tb, open)
	before := h.Charges()
	results, errs := make([]*result, chains), make([]error, chains)
	var wg sync.WaitGroup
	for n := range chains {
		wg.Go(func() { results[n], errs[n] = h.chain(tb.Context(), h.Upload()) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		tb.Fatalf("%d chains at once: %v", chains, err)
	}
	seen := map[string]bool{}
	for _, r := range results {
		for _, track := range r.extended.Tracks {
			if seen[track.AudioID] {
				tb.Errorf("track %q is the result of two chains", track.AudioID)
			}
			seen[track.AudioID] = true
		}
	}
	perChain := 1
	if h.Info.Uploads.Paid {
		perChain = 2
	}
	if got := h.Charges() - before; got != chains*perChain {
		tb.Errorf("%d chains at once were billed %d times, want %d", chains, got, chains*perChain)
	}
}

// same compares what two answers say of one operation.
func same(a, b *provider.State) bool {
	return a.Done == b.Done && a.Word == b.Word && (a.Failure == nil) == (b.Failure == nil) &&
		slices.Equal(a.Tracks, b.Tracks) && reflect.DeepEqual(a.Clip, b.Clip)
}

func checkPollRepeats(tb testing.TB, open Open) {
	tb.Helper()
	h, _ := start(tb, open)
	out := ready(tb, h)
	before := h.Charges()
	for n := range 3 {
		again, err := h.Driver.Poll(tb.Context(), out.extend)
		if err != nil || !same(again, out.extended) {
			tb.Errorf("question %d about the same operation: %+v, %v; want %+v", n+2, again, err, out.extended)
		}
	}
	if got := h.Charges() - before; got != 0 {
		tb.Errorf("asking 3 times was billed %d times, want 0", got)
	}
}
