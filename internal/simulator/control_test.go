package simulator_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

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
