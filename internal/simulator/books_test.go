package simulator_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/simulator"
)

func TestChargeLog(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Keys = map[string]simulator.Account{"key": {Name: "main", Credits: 100}}
	})
	session := r.session()
	task := r.item(session, r.source("/wav/1/a"))
	r.settle(0)
	charges := r.sim.Charges()
	if len(charges) != 1 {
		t.Fatalf("%d charges, want 1", len(charges))
	}
	got := charges[0]
	if got.UpstreamAccount < 500001 || got.UpstreamAccount > 500005 || len(got.ParamsHash) != 16 {
		t.Errorf("upstream account %d, parameter hash %q; want 500001 to 500005 and 16 digits", got.UpstreamAccount, got.ParamsHash)
	}
	got.UpstreamAccount, got.ParamsHash = 0, ""
	want := simulator.Charge{
		Seq: 1, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Provider: "mountsea", Account: "main", Endpoint: "mountsea.item",
		OperationID: task, SessionID: session, Credits: 2, Before: 100, After: 98, AudioURL: r.source("/wav/1/a"),
		AudioSHA256: "55715ed37612232d21901a7ecd05c4a38f8c39ed215b58c6918b9556898ff28a",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("charge (-want +got):\n%s", diff)
	}
	var wire []map[string]any
	if err := json.Unmarshal(r.do(http.MethodGet, "/_sim/charges", "", nil).body, &wire); err != nil || len(wire) != 1 {
		t.Fatalf("charges over HTTP: %v, %d of them; want 1", err, len(wire))
	}
	for _, field := range []string{"seq", "time", "provider", "account", "endpoint", "operationId", "sessionId", "credits", "audioSha256", "audioUrl", "paramsHash", "refunded"} {
		if _, has := wire[0][field]; !has {
			t.Errorf("the charge has no field %s: %v", field, wire[0])
		}
	}
	if got := r.do(http.MethodGet, "/_sim/charges?after=1", "", nil); string(got.body) != "[]" {
		t.Errorf("charges after the last one: %s, want []", got.body)
	}
}

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

func TestRestartFromJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	asked, release := make(chan struct{}, 2), make(chan struct{})
	slow := http.NewServeMux()
	slow.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
			_, _ = w.Write(wav(4, "slow"))
		case <-r.Context().Done():
		}
	})
	sources := newServer(t, slow)

	before := newRig(t, func(o *simulator.Options) { o.Journal = path; o.Seed = 11 })
	session := before.session()
	done := before.item(session, before.source("/wav/2/a"))
	before.settle(10 * time.Second)
	clip := textAt(before.status(done), "data", "id")
	created := before.generate(map[string]any{"task": "extend", "model": "chirp-v50", "clip_id": clip})
	before.script(simulator.Next{Endpoint: "mountsea.item", Kind: simulator.DropAfter, Count: 1})
	before.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": before.source("/wav/2/lost")})
	before.settle(0)
	under := before.item(session, sources.URL)
	<-asked
	wantCharges, wantBalance := before.sim.Charges(), before.balance("key")
	if err := before.sim.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if got := before.do(http.MethodPost, sessionPath, "key", nil); got.status != 500 {
		t.Errorf("a session on a closed simulator: status %d, want 500", got.status)
	}

	after := newRig(t, func(o *simulator.Options) { o.Journal = path })
	after.clock.advance(10 * time.Second)
	if diff := cmp.Diff(wantCharges, after.sim.Charges()); diff != "" {
		t.Errorf("charges after the restart (-before +after):\n%s", diff)
	}
	if got := after.balance("key"); got != wantBalance {
		t.Errorf("balance %v after the restart, want %v", got, wantBalance)
	}
	close(release)
	after.settle(100 * time.Second)
	for _, id := range []string{done, under, created} {
		if got := after.status(id)["status"]; got != "success" {
			t.Errorf("task %s is %v after the restart, want success", id, got)
		}
	}
	ids := listAt(after.status(session), "data", "audioIds")
	if len(ids) != 3 || ids[0] != clip {
		t.Errorf("session lists %v, want three clips, %s first", ids, clip)
	}
	if v := after.sim.Verdict(); v.Charges != 4 || v.AnswersLost != 1 || v.UnseenResults != 0 || v.UnfetchedTracks != 2 {
		t.Errorf("%d charges, %d answers lost, %d unseen, %d unfetched; want 4, 1, 0, 2", v.Charges, v.AnswersLost, v.UnseenResults, v.UnfetchedTracks)
	}
	if fresh := after.session(); fresh == session {
		t.Error("the restarted simulator gave the same session id again")
	}
}

// TestRefundAfterRestart restarts in the moment between a failure and its refund.
func TestRefundAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	first := newRig(t, func(o *simulator.Options) { o.Journal = path })
	failed := first.must(uploadPath, map[string]any{"audioUrl": first.source("/missing")}, "taskId")
	first.settle(10 * time.Second)
	first.status(failed)
	if err := first.sim.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and once is enough
		again := newRig(t, func(o *simulator.Options) { o.Journal, o.RefundFailures = path, true })
		again.clock.advance(10 * time.Second)
		if got := again.balance("key"); got != 10000 || !again.sim.Charges()[0].Refunded {
			t.Errorf("balance %v, refunded %t; want 10000 and true", got, again.sim.Charges()[0].Refunded)
		}
		if err := again.sim.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalWithATornEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	first := newRig(t, func(o *simulator.Options) { o.Journal = path })
	session := first.session()
	if err := first.sim.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, `{"time":"2026-03-01T12:00:00Z","account":{"name":"`+strings.Repeat("x", 5000)...), 0o600); err != nil {
		t.Fatal(err)
	}
	second := newRig(t, func(o *simulator.Options) { o.Journal = path })
	if got := second.status(session)["status"]; got != "success" {
		t.Errorf("session is %v after a torn write, want success", got)
	}
	added := second.session()
	if err := second.sim.Close(); err != nil {
		t.Fatal(err)
	}
	third := newRig(t, func(o *simulator.Options) { o.Journal = path })
	if got := third.status(added)["status"]; got != "success" {
		t.Errorf("session made after the torn write is %v, want success", got)
	}
}

func TestForeignJournalIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"text":              "hello\n",
		"another object":    `{"time":"2026-03-01T12:00:00Z","price":3}` + "\n",
		"unknown operation": `{"time":"2026-03-01T12:00:00Z","seen":"x"}` + "\n",
		"unknown account":   `{"time":"2026-03-01T12:00:00Z","operation":{"id":"x","account":"a","tracks":1},"charge":{}}` + "\n",
		"unknown session":   `{"time":"2026-03-01T12:00:00Z","listed":{"session":"x","count":1}}` + "\n",
	} {
		path := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := simulator.New(simulator.Options{Journal: path}); fault.CodeOf(err) != fault.Malformed {
			t.Errorf("%s: error %v, want malformed", name, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != text {
			t.Errorf("%s: the file was changed to %q (%v)", name, kept, err)
		}
	}
	if _, err := simulator.New(simulator.Options{Journal: t.TempDir()}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("a folder as journal: error %v, want invalid", err)
	}
}

func TestControlFaults(t *testing.T) {
	r := newRig(t, nil)
	post := func(body any) reply { return r.do(http.MethodPost, "/_sim/faults", "", body) }
	good := post(map[string]any{
		"probabilities": map[string]any{"delay": 0.5},
		"next":          []any{map[string]any{"endpoint": "mountsea.session", "kind": "maintenance", "count": 1}},
	})
	if good.status != 200 || string(good.body) != `{"probabilities":{"delay":0.5},"next":[{"endpoint":"mountsea.session","kind":"maintenance","count":1}]}` {
		t.Errorf("status %d, body %s; want the settings back", good.status, good.body)
	}
	for name, body := range map[string]any{
		"unknown kind":        map[string]any{"probabilities": map[string]any{"explode": 1}},
		"misspelt field":      map[string]any{"probability": map[string]any{"delay": 1}},
		"nothing":             map[string]any{},
		"one good, one bad":   map[string]any{"probabilities": map[string]any{"delay": 0}, "next": []any{map[string]any{"endpoint": "x", "kind": "delay", "count": 1}}},
		"probability as text": map[string]any{"probabilities": map[string]any{"delay": "often"}},
	} {
		if got := post(body); got.status != 400 || len(textAt(r.object(got), "error")) < 10 {
			t.Errorf("%s: status %d, body %s; want 400 and a reason", name, got.status, got.body)
		}
	}
	if got := r.do(http.MethodGet, "/_sim/faults", "", nil); !bytes.Equal(got.body, good.body) {
		t.Errorf("faults after refused changes: %s, want %s", got.body, good.body)
	}
	if got := r.do(http.MethodPost, sessionPath, "key", nil); got.status != 455 {
		t.Errorf("scripted session: status %d, want 455", got.status)
	}
}

func TestControlCreditsAndState(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Keys = map[string]simulator.Account{"key": {Name: "main", Credits: 5}, "key2": {Name: "main", Credits: 5}, "x": {Name: "aux", Credits: 1}}
	})
	post := func(body any) reply { return r.do(http.MethodPost, "/_sim/credits", "", body) }
	if got := post(map[string]any{"account": "main", "add": 3}); string(got.body) != `{"name":"main","credits":8}` {
		t.Errorf("adding 3 to 5: %s, want 8", got.body)
	}
	if got := r.balance("key2"); got != 8 {
		t.Errorf("the account's other key has %v, want 8", got)
	}
	for name, c := range map[string]struct {
		body any
		want int
	}{
		"unknown account": {map[string]any{"account": "nobody", "credits": 3}, 404},
		"both":            {map[string]any{"account": "main", "credits": 3, "add": 1}, 400},
		"neither":         {map[string]any{"account": "main"}, 400},
		"below zero":      {map[string]any{"account": "main", "add": -9}, 400},
	} {
		if got := post(c.body); got.status != c.want {
			t.Errorf("%s: status %d, want %d", name, got.status, c.want)
		}
	}
	session := r.session()
	r.item(session, r.source("/wav/1/a"))
	r.settle(10 * time.Second)
	state := r.object(r.do(http.MethodGet, "/_sim/state", "", nil))
	wantAccounts := []any{map[string]any{"name": "aux", "credits": 1.0}, map[string]any{"name": "main", "credits": 6.0}}
	if diff := cmp.Diff(wantAccounts, state["accounts"]); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	if state["seed"] != 7.0 || state["sessions"] != 1.0 || cmp.Diff(map[string]any{"success": 1.0}, state["operations"]) != "" {
		t.Errorf("seed %v, sessions %v, operations %v; want 7, 1 and one success", state["seed"], state["sessions"], state["operations"])
	}
	if strings.Contains(string(r.do(http.MethodGet, "/_sim/state", "", nil).body), "key2") {
		t.Error("the state shows an API key")
	}
}

func TestReset(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	r := newRig(t, func(o *simulator.Options) { o.Journal = path })
	old := r.session()
	r.item(old, r.source("/wav/1/a"))
	r.script(simulator.Next{Endpoint: "mountsea.item", Kind: simulator.Denied, Count: 1})
	if got := r.do(http.MethodPost, "/_sim/reset", "", nil); got.status != 200 {
		t.Fatalf("reset: status %d, %s", got.status, got.body)
	}
	if got := r.do(http.MethodGet, statusPath+old, "key", nil); got.status != 404 || len(r.sim.Charges()) != 0 || r.balance("key") != 10000 {
		t.Errorf("old session %d, %d charges, balance %v; want 404, none, 10000", got.status, len(r.sim.Charges()), r.balance("key"))
	}
	fresh := r.session()
	if fresh == old {
		t.Error("an id from before the reset was given out again")
	}
	r.item(fresh, r.source("/wav/1/a"))
	r.settle(0)
	if err := r.sim.Close(); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, func(o *simulator.Options) { o.Journal = path })
	if got := len(again.sim.Charges()); got != 1 {
		t.Errorf("%d charges in the journal after a reset and one item, want 1", got)
	}
}

// TestResetDuringADownload checks that the download's result is nobody's, also
// in the journal.
func TestResetDuringADownload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	asked, release := make(chan struct{}), make(chan struct{})
	slow := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		_, _ = w.Write(wav(1, "slow"))
	}))
	r := newRig(t, func(o *simulator.Options) { o.Journal = path })
	r.must(uploadPath, map[string]any{"audioUrl": slow.URL}, "taskId")
	<-asked
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	close(release)
	r.settle(0)
	session := r.session()
	if err := r.sim.Close(); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, func(o *simulator.Options) { o.Journal = path })
	if got := again.status(session)["status"]; got != "success" {
		t.Errorf("session after a restart: %v, want success", got)
	}
}

// TestManyClientsAtOnce checks the books after concurrent traffic with faults.
func TestManyClientsAtOnce(t *testing.T) {
	const clients, each = 16, 25
	r := newRig(t, func(o *simulator.Options) {
		o.Faults = simulator.Faults{simulator.DropAfter: 0.1, simulator.DropBefore: 0.1, simulator.RateLimited: 0.1, simulator.StatusError: 0.1}
		o.UploadTime = simulator.Timing{Mean: 1}
		o.NoFetch = true
	})
	r.client.Transport = &http.Transport{MaxIdleConnsPerHost: clients}
	session := r.session()
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			for i := range each {
				address := "http://source/" + string(rune('a'+n)) + "/" + string(rune('a'+i))
				r.do(http.MethodPost, itemPath, "key", map[string]any{"sessionId": session, "audioUrl": address})
				r.do(http.MethodGet, statusPath+session, "key", nil)
				r.sim.Verdict()
			}
		})
	}
	wg.Wait()
	if err := r.sim.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	r.settle(time.Second)
	charges := r.sim.Charges()
	ids := listAt(r.status(session), "data", "audioIds")
	distinct := map[any]bool{}
	for _, id := range ids {
		distinct[id] = true
	}
	if len(charges) == 0 || len(charges) == clients*each || len(ids) != len(charges) || len(distinct) != len(ids) {
		t.Errorf("%d charges, %d audioIds (%d distinct) for %d requests with faults; want as many ids as charges", len(charges), len(ids), len(distinct), clients*each)
	}
	for i, c := range charges {
		if c.Seq != i+1 || c.After != 10000-2*int64(i+1) {
			t.Fatalf("charge %d has seq %d and balance %d, want %d and %d", i, c.Seq, c.After, i+1, 10000-2*(i+1))
		}
	}
	if v := r.sim.Verdict(); v.ExtraCharges != 0 || v.UnseenResults != 0 || v.AnswersLost == 0 {
		t.Errorf("%d extra, %d unseen, %d answers lost; want 0, 0 and some", v.ExtraCharges, v.UnseenResults, v.AnswersLost)
	}
}
