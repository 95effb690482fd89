package simulator_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
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
