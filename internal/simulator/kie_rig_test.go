package simulator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

const browser = "Mozilla/5.0 (X11; Linux x86_64)"

// wish is a continuation that every member of KIE's family takes.
func (r *rig) wish(change map[string]any) map[string]any {
	body := map[string]any{
		"uploadUrl": r.source("/wav/30/a"), "defaultParamFlag": true, "instrumental": false, "prompt": "[Verse] Night city lights",
		"style": "Classical", "title": "Iron Man", "continueAt": 20, "model": "V5", "callBackUrl": "http://127.0.0.1:1/none",
	}
	for field, value := range change {
		if body[field] = value; value == nil {
			delete(body, field)
		}
	}
	return body
}

func (r *rig) extend(provider string, change map[string]any) reply {
	r.t.Helper()
	return r.do(http.MethodPost, "/"+provider+"/api/v1/generate/upload-extend", "key", r.wish(change))
}

// extended submits and gives the id of the task.
func (r *rig) extended(provider string, change map[string]any) string {
	r.t.Helper()
	got := r.extend(provider, change)
	id := textAt(r.object(got), "data", "taskId")
	if id == "" {
		r.t.Fatalf("extend at %s: status %d, body %s; want a taskId", provider, got.status, got.body)
	}
	return id
}

func (r *rig) record(provider, id string) map[string]any {
	r.t.Helper()
	got := r.object(r.do(http.MethodGet, "/"+provider+"/api/v1/generate/record-info?taskId="+id, "key", nil))
	data, is := got["data"].(map[string]any)
	if got["code"] != 200.0 || !is {
		r.t.Fatalf("record-info answers %v, want code 200 and data", got)
	}
	return data
}

// response gives what record-info holds under "response", which may be an object
// or one in a string.
func (r *rig) response(record map[string]any) map[string]any {
	r.t.Helper()
	if text, is := record["response"].(string); is {
		var inside map[string]any
		if err := json.Unmarshal([]byte(text), &inside); err != nil {
			r.t.Fatalf("response %q: %v", text, err)
		}
		return inside
	}
	inside, _ := record["response"].(map[string]any)
	return inside
}

// pass waits for downloads, lets time pass, and waits for the callbacks that
// this made due.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	r.settle(d)
	if err := r.sim.Settle(r.t.Context()); err != nil {
		r.t.Fatalf("Settle: %v", err)
	}
}

// heard is one request to a receiver.
type heard struct {
	header http.Header
	body   map[string]any
	raw    string
}

func (h heard) kind() string { return textAt(h.body, "data", "callbackType") }

// receiver is a client's server for callbacks. Settle says when all is heard.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	all    []heard
	answer int
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	v := &receiver{answer: http.StatusOK}
	v.Server = newServer(t, http.HandlerFunc(v.take))
	return v
}

func (v *receiver) take(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	h := heard{header: r.Header, raw: string(text)}
	if err != nil || r.Method != http.MethodPost || json.Unmarshal(text, &h.body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.all = append(v.all, h)
	w.WriteHeader(v.answer)
}

func (v *receiver) answers(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answer = status
}

// heard gives what came since the last time.
func (v *receiver) heard() []heard {
	v.mu.Lock()
	defer v.mu.Unlock()
	all := v.all
	v.all = nil
	return all
}

// kinds gives the words of what came.
func kinds(all []heard) []string {
	words := []string{}
	for _, h := range all {
		words = append(words, h.kind())
	}
	return words
}

func bySeed(seed int64) func(*simulator.Options) {
	return func(o *simulator.Options) { o.Seed = seed }
}
