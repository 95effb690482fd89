package simulator_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/simulator"
)

// TestKkiaiRestart stops a simulator with uploads at every step, and goes on.
func TestKkiaiRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	choice := func(o *simulator.Options) { o.Journal, o.Kkiai.Ticket = path, "put" }
	before := kkiaiRig(t, choice)
	authorized, stored := before.authorize("wav"), before.authorize("wav")
	before.transfer(stored, wav(30, "stored"))
	clip := before.uploadedClip(wav(30, "clip"))
	finished := before.report(wav(30, "finished"))
	task := before.submit(clip, nil)
	if err := before.sim.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}

	after := kkiaiRig(t, choice)
	after.clock.advance(30 * time.Second)
	moved := ticket{id: authorized.id, url: after.api.URL + authorized.url[len(before.api.URL):]}
	if got := after.transfer(moved, wav(30, "authorized")); got.status != 200 {
		t.Errorf("a ticket from before the restart: status %d, %s; want 200", got.status, got.body)
	}
	for _, id := range []string{authorized.id, stored.id} {
		if got := after.finishUpload(id); got.status != 200 {
			t.Errorf("upload-finish after the restart: status %d, %s; want 200", got.status, got.body)
		}
	}
	after.settle(10 * time.Second)
	for _, id := range []string{authorized.id, stored.id, finished} {
		if got := after.initialize(id); got.status != 200 {
			t.Errorf("initialize-clip after the restart: status %d, %s; want 200", got.status, got.body)
		}
	}
	after.submit(clip, map[string]any{"continue_at": 5})
	after.clock.advance(100 * time.Second)
	if got := after.fetchTask(task)["status"]; got != "SUCCESS" {
		t.Errorf("the task is %v after the restart, want SUCCESS", got)
	}
	if v := after.sim.Verdict(); v.Charges != 2 || v.ExtraCharges != 0 {
		t.Errorf("%d charges, %d extra; want 2 and 0", v.Charges, v.ExtraCharges)
	}
}

// TestKkiaiForeignSteps: a journal that this package did not write is refused.
func TestKkiaiForeignSteps(t *testing.T) {
	for name, text := range map[string]string{
		"unknown upload": `{"time":"2026-03-01T12:00:00Z","step":{"upload":"x","initialized":true}}` + "\n",
		"found before reported": `{"time":"2026-03-01T12:00:00Z","upload":{"id":"x","account":"a","upstream":1,"extension":"mp3","ticket":"put","created":"2026-03-01T12:00:00Z","expires":"2026-03-01T12:00:00Z"}}` + "\n" +
			`{"time":"2026-03-01T12:00:00Z","step":{"upload":"x","found":{"length":1}}}` + "\n",
	} {
		path := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := simulator.New(simulator.Options{Journal: path}); fault.CodeOf(err) != fault.Malformed {
			t.Errorf("%s: error %v, want malformed", name, err)
		}
	}
}

func TestKkiaiLosesFilesThatAreGone(t *testing.T) {
	dir := t.TempDir()
	r := kkiaiRig(t, func(o *simulator.Options) { o.Files = dir })
	k := r.authorize("wav")
	r.transfer(k, wav(5, "song"))
	kept, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("files %v (%v), want one", kept, err)
	}
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	r.finishUpload(k.id)
	r.settle(10 * time.Second)
	if got := r.uploadStatus(k.id); got["status"] != "error" || got["error_message"] != "Uploaded file not found" {
		t.Errorf("got %v, want an error about the file", got)
	}
}

func TestKkiaiReset(t *testing.T) {
	r := kkiaiRig(t, nil)
	id := r.report(wav(5, "song"))
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	if got := r.do(http.MethodGet, kkiaiUploads+"/"+id, "key", nil); got.status != 404 {
		t.Errorf("an upload from before the reset: status %d, want 404", got.status)
	}
	if got := r.object(r.do(http.MethodGet, "/_sim/state", "", nil))["uploads"]; got != 0.0 {
		t.Errorf("%v uploads after the reset, want 0", got)
	}
}

func TestBadKkiaiOptions(t *testing.T) {
	for name, k := range map[string]simulator.Kkiai{
		"ticket": {Ticket: "PUT"}, "done": {Done: "done"}, "repeat": {Repeat: "x"}, "mistakes": {Mistakes: "x"},
		"position": {Position: "x"}, "life": {TicketLife: -1},
	} {
		if _, err := simulator.New(simulator.Options{Kkiai: k}); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: error %v, want invalid", name, err)
		}
	}
}
