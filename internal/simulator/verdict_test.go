package simulator_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestVerdictOnDoubles(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	r.item(session, r.source("/wav/1/a?signature=1"))
	r.settle(time.Second)
	if v := r.sim.Verdict(); v.ExtraCharges != 0 || v.Running != 1 {
		t.Fatalf("%d extra charges, %d running after one submission; want 0 and 1", v.ExtraCharges, v.Running)
	}
	// The same bytes under another address, and another song.
	r.item(session, r.source("/wav/1/a?signature=2"))
	r.item(session, r.source("/wav/1/b"))
	r.settle(10 * time.Second)
	v := r.sim.Verdict()
	if v.ExtraCharges != 1 || v.Clean || len(v.Doubles) != 1 {
		t.Fatalf("%d extra charges, clean %t, doubles %v; want 1, false and one group", v.ExtraCharges, v.Clean, v.Doubles)
	}
	if diff := cmp.Diff([]int{1, 2}, v.Doubles[0].Charges); diff != "" {
		t.Errorf("charges of the double (-want +got):\n%s", diff)
	}
}

func TestVerdictKnowsLegitimateResubmissions(t *testing.T) {
	r := newRig(t, nil)
	submit := func() string {
		return r.must(uploadPath, map[string]any{"audioUrl": r.source("/wav/1/a")}, "taskId")
	}
	r.script(simulator.Next{Endpoint: "mountsea.upload", Kind: simulator.OperationFailed, Count: 2})
	first := submit()
	r.settle(10 * time.Second)
	r.status(first)
	r.clock.advance(time.Second)
	submit() // known to have failed: allowed
	r.settle(10 * time.Second)
	submit() // failed, but nobody looked
	r.settle(10 * time.Second)
	if v := r.sim.Verdict(); v.Resubmissions != 1 || v.ExtraCharges != 1 || v.UnseenFailures != 1 || v.UnseenResults != 1 {
		t.Errorf("%d resubmissions, %d extra, %d unseen failures, %d unseen results; want 1 each",
			v.Resubmissions, v.ExtraCharges, v.UnseenFailures, v.UnseenResults)
	}
}

func TestVerdictOnDifferentJobs(t *testing.T) {
	r := newRig(t, nil)
	clip := r.clip(r.source("/wav/20/a"))
	for _, at := range []float64{5, 6} {
		r.generate(map[string]any{"task": "extend", "model": "chirp-v50", "clip_id": clip, "continue_at": at})
	}
	if got := r.do(http.MethodPost, generatePath, "other", map[string]any{"task": "create", "model": "chirp-v50", "tags": "x"}); got.status/100 != 2 {
		t.Fatalf("status %d, want 2xx", got.status)
	}
	r.generate(map[string]any{"task": "create", "model": "chirp-v50", "tags": "x"})
	if v := r.sim.Verdict(); v.ExtraCharges != 0 {
		t.Errorf("%d extra charges for other positions and other accounts, want 0: %v", v.ExtraCharges, v.Doubles)
	}
	r.generate(map[string]any{"clip_id": clip, "continue_at": 6.0, "model": "chirp-v50", "task": "extend"})
	if v := r.sim.Verdict(); v.ExtraCharges != 1 {
		t.Errorf("%d extra charges for a repeated extension, want 1", v.ExtraCharges)
	}
}

func TestVerdictOnLostResults(t *testing.T) {
	r := newRig(t, nil)
	session := r.session()
	item := r.item(session, r.source("/wav/9/a"))
	r.settle(10 * time.Second)
	if v := r.sim.Verdict(); v.UnseenResults != 1 || v.Clean {
		t.Errorf("%d unseen results, clean %t; want 1 and false", v.UnseenResults, v.Clean)
	}
	clip := textAt(r.status(session), "data", "audioIds", 0)
	if v := r.sim.Verdict(); v.UnseenResults != 0 || !v.Clean {
		t.Errorf("%d unseen results after the session listed it, clean %t; want 0 and true", v.UnseenResults, v.Clean)
	}
	r.status(item)
	r.clock.advance(3 * time.Second)
	r.status(item)
	if v := r.sim.Verdict(); v.PollsAfterEnd != 2 || v.FastPolls != 0 {
		t.Errorf("%d polls after the end, %d fast; want 2 and 0", v.PollsAfterEnd, v.FastPolls)
	}
	task := r.generate(map[string]any{"task": "extend", "model": "chirp-v50", "clip_id": clip})
	r.clock.advance(100 * time.Second)
	tracks := listAt(r.status(task), "data")
	r.clock.advance(time.Second)
	r.status(task)
	if v := r.sim.Verdict(); v.UnfetchedTracks != 2 || v.FastPolls != 1 || v.Clean {
		t.Errorf("%d tracks unfetched, %d fast polls, clean %t; want 2, 1 and false", v.UnfetchedTracks, v.FastPolls, v.Clean)
	}
	for _, track := range tracks {
		r.fetch(textAt(track, "audio_url"))
	}
	if v := r.sim.Verdict(); v.UnfetchedTracks != 0 || !v.Clean {
		t.Errorf("%d tracks unfetched after downloading, clean %t; want 0 and true", v.UnfetchedTracks, v.Clean)
	}
}

func TestDownloadsCountOnlyWhole(t *testing.T) {
	r := newRig(t, nil)
	file := r.track()
	ranged := func(value string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, file, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", value)
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, res)
		_ = res.Body.Close()
	}
	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNCut, Count: 1})
	r.fetch(file)
	r.do(http.MethodHead, strings.TrimPrefix(file, r.api.URL), "", nil)
	ranged("bytes=0-499")
	if v := r.sim.Verdict(); v.UnfetchedTracks != 2 {
		t.Errorf("%d tracks unfetched after a cut, a HEAD and a part; want 2", v.UnfetchedTracks)
	}
	ranged("bytes=500-")
	if v := r.sim.Verdict(); v.UnfetchedTracks != 1 {
		t.Errorf("%d tracks unfetched after the rest came; want 1, the other track", v.UnfetchedTracks)
	}
}

func TestUnknownAndIgnoredFields(t *testing.T) {
	r := newRig(t, nil)
	r.generate(map[string]any{"task": "create", "model": "chirp-v50", "clip_id": "x", "mv": "chirp-v4"})
	v := r.sim.Verdict()
	if diff := cmp.Diff(map[string]int{"mountsea.generate mv": 1}, v.UnknownFields); diff != "" {
		t.Errorf("unknown fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"mountsea.generate clip_id": 1}, v.IgnoredFields); diff != "" {
		t.Errorf("ignored fields (-want +got):\n%s", diff)
	}
}
