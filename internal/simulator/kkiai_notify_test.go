package simulator_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// hook is a notify_hook that writes down what comes.
type hook struct {
	mu     sync.Mutex
	status int
	bodies []string
	header http.Header
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.bodies, h.header = append(h.bodies, string(body)), r.Header.Clone()
	}
	w.WriteHeader(h.status)
}

// came gives the status words of what came since the last time, with the number
// of clips, and forgets it.
func (h *hook) came(t *testing.T) []string {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	var words []string
	for _, body := range h.bodies {
		var told map[string]any
		if err := json.Unmarshal([]byte(body), &told); err != nil {
			t.Fatalf("callback %q: %v", body, err)
		}
		if inner, wrapped := told["data"].(map[string]any); wrapped {
			told = inner
		}
		word := textAt(told, "status")
		if n := len(listAt(told, "data")); n > 0 {
			word += fmt.Sprintf(" %d clips", n)
		}
		words = append(words, word)
	}
	h.bodies = nil
	return words
}

func hooked(t *testing.T, change func(*simulator.Options)) (*rig, *hook, string) {
	t.Helper()
	h := &hook{status: http.StatusOK}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return kkiaiRig(t, change), h, server.URL
}

func TestKkiaiNotifies(t *testing.T) {
	r, h, address := hooked(t, nil)
	task := r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": address})
	r.settle(70*time.Second - 1)
	r.settle(0)
	if got := h.came(t); len(got) != 0 {
		t.Errorf("%v came before anything streams, want nothing", got)
	}
	r.settle(1)
	r.settle(0)
	if diff := cmp.Diff([]string{"IN_PROGRESS 2 clips"}, h.came(t)); diff != "" {
		t.Errorf("when it streams (-want +got):\n%s", diff)
	}
	r.settle(30 * time.Second)
	r.settle(0)
	if diff := cmp.Diff([]string{"SUCCESS 2 clips"}, h.came(t)); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
	if got := h.header.Get("X-Webhook-Signature"); got != "" {
		t.Errorf("signature %q, want none: the documents know of none", got)
	}
	if v := r.sim.Verdict(); v.Callbacks != 2 || v.UnseenResults != 1 {
		t.Errorf("%d callbacks, %d results unseen; want 2, and 1: being told is not asking", v.Callbacks, v.UnseenResults)
	}
	r.fetchTask(task)
}

func TestKkiaiNotifiesOfFailure(t *testing.T) {
	r, h, address := hooked(t, nil)
	r.script(simulator.Next{Endpoint: "kkiai.submit", Kind: simulator.OperationFailed, Count: 1})
	r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": address})
	r.settle(100 * time.Second)
	r.settle(0)
	if diff := cmp.Diff([]string{"FAILURE"}, h.came(t)); diff != "" {
		t.Errorf("callbacks (-want +got):\n%s", diff)
	}
}

func TestKkiaiLies(t *testing.T) {
	for kind, want := range map[simulator.Kind][]string{
		simulator.CallbackLost:    nil,
		simulator.CallbackDoubled: {"IN_PROGRESS 2 clips", "IN_PROGRESS 2 clips"},
	} {
		r, h, address := hooked(t, nil)
		r.script(simulator.Next{Endpoint: "kkiai.callback", Kind: kind, Count: 1})
		r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": address})
		r.settle(70 * time.Second)
		r.settle(0)
		if diff := cmp.Diff(want, h.came(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
	told := map[string]bool{}
	for _, kind := range []simulator.Kind{simulator.CallbackForged, simulator.CallbackReplayed, simulator.CallbackStranger} {
		r, h, address := hooked(t, nil)
		r.script(simulator.Next{Endpoint: "kkiai.callback", Kind: kind, Count: 2})
		task := r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": address})
		r.settle(70 * time.Second)
		r.settle(30 * time.Second)
		r.settle(0)
		h.mu.Lock()
		strange := !strings.Contains(h.bodies[0], `"task_id":"`+task+`"`)
		h.mu.Unlock()
		if strange != (kind == simulator.CallbackStranger) {
			t.Errorf("%s speaks of another task: %t", kind, strange)
		}
		got := h.came(t)
		if len(got) != 4 || got[1] != "IN_PROGRESS 2 clips" || got[3] != "SUCCESS 2 clips" {
			t.Errorf("%s: %v, want a lie before each of the two", kind, got)
		}
		told[got[0]], told[got[2]] = true, true
	}
	if diff := cmp.Diff(map[string]bool{"FAILURE": true, "SUCCESS 2 clips": true}, told); diff != "" {
		t.Errorf("lies (-want +got):\n%s", diff)
	}
}

// TestKkiaiNotifyForms: the documents show no request, so the seed says whether
// the structure comes in the envelope of the answers.
func TestKkiaiNotifyForms(t *testing.T) {
	forms := map[string]bool{}
	for _, seed := range []int64{plainSeed, 8} {
		r, h, address := hooked(t, func(o *simulator.Options) { o.Seed = seed })
		r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": address})
		r.settle(70 * time.Second)
		r.settle(0)
		h.mu.Lock()
		form, _, _ := strings.Cut(h.bodies[0], ":")
		h.mu.Unlock()
		forms[form] = true
	}
	if diff := cmp.Diff(map[string]bool{`{"code"`: true, `{"task_id"`: true}, forms); diff != "" {
		t.Errorf("forms (-want +got):\n%s", diff)
	}
}

func TestKkiaiTriesAgain(t *testing.T) {
	r, h, address := hooked(t, nil)
	h.status = http.StatusServiceUnavailable
	r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": address})
	r.settle(70 * time.Second)
	r.settle(time.Minute)
	r.settle(0)
	if got := h.came(t); len(got) < 2 {
		t.Errorf("%v came, want another attempt", got)
	}
	if v := r.sim.Verdict(); v.RefusedCallbacks < 2 {
		t.Errorf("%d refused callbacks, want each attempt counted", v.RefusedCallbacks)
	}
}
