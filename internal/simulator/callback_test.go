package simulator_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestCallbacksTellTheStagesInOrder(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	task := r.extended("kie", map[string]any{"callBackUrl": v.URL + "/hook?token=x"})
	for _, step := range []struct {
		pass time.Duration
		want []string
	}{
		{29 * time.Second, []string{}},
		{time.Second, []string{"text"}},
		{40 * time.Second, []string{"first"}},
		{30 * time.Second, []string{"complete"}},
		{time.Hour, []string{}},
	} {
		r.pass(step.pass)
		all := v.heard()
		if diff := cmp.Diff(step.want, kinds(all)); diff != "" {
			t.Fatalf("callbacks after another %v (-want +got):\n%s", step.pass, diff)
		}
		for _, h := range all {
			if textAt(h.body, "data", "task_id") != task || at(h.body, "code") != 200.0 || h.header.Get("Content-Type") != "application/json" {
				t.Errorf("callback %s as %s, want code 200 of task %s as JSON", h.raw, h.header.Get("Content-Type"), task)
			}
			tracks := map[string]int{"text": 0, "first": 1, "complete": 2}[h.kind()]
			if got := len(listAt(h.body, "data", "data")); got != tracks {
				t.Errorf("%s has %d tracks, want %d", h.kind(), got, tracks)
			}
		}
	}
	if s := r.sim.Verdict(); s.Callbacks != 3 || s.RefusedCallbacks+s.SlowCallbacks+s.UnreachedCallbacks != 0 {
		t.Errorf("%d callbacks, %d refused, %d slow, %d unreached; want 3 and none", s.Callbacks, s.RefusedCallbacks, s.SlowCallbacks, s.UnreachedCallbacks)
	}
}

// TestCallbackTrackHasTheDocumentedFields holds the spelling of the page on
// callbacks: snake_case, except for createTime.
func TestCallbackTrackHasTheDocumentedFields(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	task := r.extended("kie", map[string]any{"callBackUrl": v.URL})
	r.pass(100 * time.Second)
	all := v.heard()
	track, _ := at(all[len(all)-1].body, "data", "data", 0).(map[string]any)
	want := []string{
		"audio_url", "createTime", "duration", "id", "image_url", "model_name", "prompt", "source_audio_url", "source_image_url",
		"source_stream_audio_url", "stream_audio_url", "tags", "title",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(track))); diff != "" {
		t.Errorf("fields of a track (-want +got):\n%s", diff)
	}
	if track["title"] != "Iron Man" || track["tags"] != "Classical" || track["model_name"] != "chirp-crow" || track["prompt"] != "[Verse] Night city lights" {
		t.Errorf("track %v, want what was wished for", track)
	}
	// Polling and calling back name the same tracks.
	polled := r.response(r.record("kie", task))
	if at(polled, "sunoData", 0, "id") != track["id"] || at(polled, "sunoData", 0, "audioUrl") != track["audio_url"] {
		t.Errorf("record-info has track %v, the callback %v; want the same", at(polled, "sunoData", 0), track)
	}
	if got := r.fetch(textAt(track, "audio_url")); got.status != 200 || got.header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("audio_url: status %d as %s, want 200 as audio/mpeg", got.status, got.header.Get("Content-Type"))
	}
}

// signature is what KIE's page on verification says.
func signature(key, task, timestamp string) string {
	code := hmac.New(sha256.New, []byte(key))
	code.Write([]byte(task + "." + timestamp))
	return base64.StdEncoding.EncodeToString(code.Sum(nil))
}

func TestCallbackSignatures(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Keys = map[string]simulator.Account{"key": {Name: "main", Credits: 100, WebhookKey: "hush"}, "other": {Name: "aux", Credits: 100}}
	})
	v := newReceiver(t)
	task := r.extended("kie", map[string]any{"callBackUrl": v.URL})
	r.pass(100 * time.Second)
	for _, h := range v.heard() {
		timestamp := h.header.Get("X-Webhook-Timestamp")
		if got, want := h.header.Get("X-Webhook-Signature"), signature("hush", task, timestamp); got != want {
			t.Errorf("%s: signature %q at %q, want %q", h.kind(), got, timestamp, want)
		}
		// The clock stands at 12:01:40, when all three were due.
		if timestamp != "1772366500" {
			t.Errorf("%s: timestamp %q, want 1772366500", h.kind(), timestamp)
		}
	}
	r.extended("apikley", map[string]any{"callBackUrl": v.URL})
	if got := r.do(http.MethodPost, "/kie/api/v1/generate/upload-extend", "other", r.wish(map[string]any{"callBackUrl": v.URL})); got.status != 200 {
		t.Fatalf("status %d, want 200", got.status)
	}
	r.pass(100 * time.Second)
	all := v.heard()
	if len(all) != 6 {
		t.Fatalf("%d callbacks, want 6", len(all))
	}
	for _, h := range all {
		if h.header.Get("X-Webhook-Signature") != "" || h.header.Get("X-Webhook-Timestamp") != "" {
			t.Errorf("signed %v, want neither Apikley nor an account without a key to sign", h.header)
		}
	}
}

func TestCallbacksAreRetriedThreeTimes(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	v.answers(http.StatusServiceUnavailable)
	task := r.extended("kie", map[string]any{"callBackUrl": v.URL, "instrumental": true})
	r.pass(100 * time.Second)
	if diff := cmp.Diff([]string{"text", "first", "complete"}, kinds(v.heard())); diff != "" {
		t.Fatalf("first attempts (-want +got):\n%s", diff)
	}
	for _, step := range []struct {
		pass time.Duration
		want int
	}{
		{59 * time.Second, 0},
		{time.Second, 3},
		{5*time.Minute - time.Second, 0},
		{time.Second, 3},
	} {
		r.pass(step.pass)
		if got := len(v.heard()); got != step.want {
			t.Errorf("%d callbacks after another %v, want %d", got, step.pass, step.want)
		}
	}
	if got := r.record("kie", task)["status"]; got != "SUCCESS" {
		t.Errorf("status %v while there is hope, want SUCCESS", got)
	}
	r.pass(15 * time.Minute)
	if got := len(v.heard()); got != 3 {
		t.Errorf("%d callbacks at the last attempt, want 3", got)
	}
	r.pass(24 * time.Hour)
	if got := len(v.heard()); got != 0 {
		t.Errorf("%d callbacks after the last attempt, want none", got)
	}
	record := r.record("kie", task)
	if record["status"] != "CALLBACK_EXCEPTION" || len(listAt(r.response(record), "sunoData")) != 2 || record["errorCode"] != nil {
		t.Errorf("record %v, want CALLBACK_EXCEPTION with both tracks and no error", record)
	}
	if s := r.sim.Verdict(); s.Callbacks != 12 || s.RefusedCallbacks != 12 || s.AbandonedCallbacks != 3 {
		t.Errorf("%d callbacks, %d refused, %d abandoned; want 12, 12, 3", s.Callbacks, s.RefusedCallbacks, s.AbandonedCallbacks)
	}
}

func TestARetryThatSucceedsIsTheLast(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	v.answers(http.StatusInternalServerError)
	task := r.extended("kie", map[string]any{"callBackUrl": v.URL})
	r.pass(100 * time.Second)
	v.heard()
	v.answers(http.StatusOK)
	r.pass(time.Minute)
	r.pass(24 * time.Hour)
	if got := len(v.heard()); got != 3 {
		t.Errorf("%d callbacks, want each of the three once more", got)
	}
	if got := r.record("kie", task)["status"]; got != "SUCCESS" {
		t.Errorf("status %v, want SUCCESS", got)
	}
}

// TestOnlySomeSeedsTakeAny2xx holds the page's "HTTP 200" against receivers that
// answer 204.
func TestOnlySomeSeedsTakeAny2xx(t *testing.T) {
	refused := map[int]int{}
	for seed := range int64(12) {
		r, v := newRig(t, bySeed(seed+1)), newReceiver(t)
		v.answers(http.StatusNoContent)
		r.extended("kie", map[string]any{"callBackUrl": v.URL})
		r.pass(100 * time.Second)
		refused[r.sim.Verdict().RefusedCallbacks]++
	}
	if refused[0] == 0 || refused[3] == 0 || refused[0]+refused[3] != 12 {
		t.Errorf("refused counts %v, want some seeds with 0 and the others with 3", refused)
	}
}

func TestSlowAndUnreachableReceivers(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Callbacks = simulator.CallbackOptions{Timeout: 20 * time.Millisecond, Retries: []time.Duration{}}
	})
	slow := newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client left
		<-r.Context().Done()
	}))
	r.extended("kie", map[string]any{"callBackUrl": slow.URL})
	r.extended("kie", map[string]any{"callBackUrl": "http://127.0.0.1:1/", "title": "another"})
	r.pass(100 * time.Second)
	if s := r.sim.Verdict(); s.SlowCallbacks != 3 || s.UnreachedCallbacks != 3 || s.AbandonedCallbacks != 6 || s.RefusedCallbacks != 0 {
		t.Errorf("%d slow, %d unreached, %d abandoned, %d refused; want 3, 3, 6, 0", s.SlowCallbacks, s.UnreachedCallbacks, s.AbandonedCallbacks, s.RefusedCallbacks)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	moved := newServer(t, http.RedirectHandler(v.URL, http.StatusPermanentRedirect))
	r.extended("kie", map[string]any{"callBackUrl": moved.URL})
	r.pass(100 * time.Second)
	if got := len(v.heard()); got != 0 || r.sim.Verdict().RefusedCallbacks != 3 {
		t.Errorf("%d callbacks arrived at the new place, %d refused; want 0 and 3", got, r.sim.Verdict().RefusedCallbacks)
	}
}

func TestCallbackFaults(t *testing.T) {
	for name, c := range map[string]struct {
		script []simulator.Next
		want   []string
	}{
		"lost": {[]simulator.Next{{Endpoint: "kie.callback", Kind: simulator.CallbackLost, Count: 2}}, []string{"complete"}},
		"doubled": {
			[]simulator.Next{{Endpoint: "kie.callback", Kind: simulator.CallbackDoubled, Count: 2}},
			[]string{"text", "text", "first", "first", "complete"},
		},
		"reordered": {
			[]simulator.Next{{Endpoint: "kie.callback", Kind: simulator.CallbackReordered, Count: 1}},
			[]string{"first", "complete", "text"},
		},
		"early": {
			[]simulator.Next{{Endpoint: "kie.extend", Kind: simulator.CallbackEarly, Count: 1}},
			[]string{"text", "first", "complete"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, v := newRig(t, nil), newReceiver(t)
			r.script(c.script...)
			r.extended("kie", map[string]any{"callBackUrl": v.URL})
			r.pass(100 * time.Second)
			r.pass(time.Hour)
			if diff := cmp.Diff(c.want, kinds(v.heard())); diff != "" {
				t.Errorf("callbacks (-want +got):\n%s", diff)
			}
			state := r.object(r.do(http.MethodGet, "/_sim/state", "", nil))
			if got := at(state, "fired", string(c.script[0].Kind)); got != float64(c.script[0].Count) {
				t.Errorf("fired %v times, want %d", got, c.script[0].Count)
			}
		})
	}
}

// TestEarlyCallbackComesBeforeTheAnswer looks at what the client knows when the
// callback is there: nothing, not even that the request was accepted.
func TestEarlyCallbackComesBeforeTheAnswer(t *testing.T) {
	r := newRig(t, nil)
	var answered atomic.Bool
	var before atomic.Int32
	hook := newServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if !answered.Load() {
			before.Add(1)
		}
	}))
	r.script(simulator.Next{Endpoint: "kie.extend", Kind: simulator.CallbackEarly, Count: 1})
	r.extended("kie", map[string]any{"callBackUrl": hook.URL})
	answered.Store(true)
	if before.Load() != 1 {
		t.Errorf("%d callbacks before the answer, want 1", before.Load())
	}
}

// TestEarlyAndLost is the callback being the only evidence of a charge.
func TestEarlyAndLost(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.Faults = simulator.Faults{simulator.DropAfter: 1, simulator.CallbackEarly: 1}
	})
	v := newReceiver(t)
	if got := r.extend("kie", map[string]any{"callBackUrl": v.URL}); got.err == nil {
		t.Fatalf("status %d, want a broken connection", got.status)
	}
	all, charges := v.heard(), r.sim.Charges()
	if len(all) != 1 || len(charges) != 1 || textAt(all[0].body, "data", "task_id") != charges[0].OperationID {
		t.Errorf("heard %v, charges %v; want one callback that names the charged operation", all, charges)
	}
}

func TestForgedCallbacks(t *testing.T) {
	for kind, c := range map[simulator.Kind]struct{ genuine, known bool }{
		simulator.CallbackForged:   {genuine: false, known: true},
		simulator.CallbackReplayed: {genuine: true, known: true},
		simulator.CallbackStranger: {genuine: true, known: false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			lies := map[string]bool{}
			for seed := range int64(8) {
				r := newRig(t, func(o *simulator.Options) { o.Callbacks.WebhookKey, o.Seed = "hush", seed+1 })
				v := newReceiver(t)
				r.script(simulator.Next{Endpoint: "kie.callback", Kind: kind, Count: 1})
				task := r.extended("kie", map[string]any{"callBackUrl": v.URL})
				r.pass(30 * time.Second)
				all := v.heard()
				if len(all) != 2 || all[1].kind() != "text" || textAt(all[1].body, "data", "task_id") != task {
					t.Fatalf("heard %v, want a lie and then the truth", all)
				}
				lie := all[0]
				named := textAt(lie.body, "data", "task_id")
				if (named == task) != c.known {
					t.Errorf("the lie is about %s, the task is %s; want the same: %t", named, task, c.known)
				}
				valid := lie.header.Get("X-Webhook-Signature") == signature("hush", named, lie.header.Get("X-Webhook-Timestamp"))
				if valid != c.genuine {
					t.Errorf("a valid signature: %t, want %t", valid, c.genuine)
				}
				lies[lie.kind()] = true
				if file := textAt(lie.body, "data", "data", 0, "audio_url"); file != "" && r.fetch(file).status != 404 {
					t.Errorf("the lie's track %s exists, want 404", file)
				}
			}
			if diff := cmp.Diff(map[string]bool{"complete": true, "error": true}, lies); diff != "" {
				t.Errorf("kinds of lies (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailureCallbacks(t *testing.T) {
	for _, c := range []struct {
		provider string
		kind     simulator.Kind
		want     []string
		code     float64
	}{
		{"kie", simulator.OperationRefunded, []string{"text", "error"}, 531},
		{"kie", simulator.OperationMatched, []string{"error"}, 413},
		{"kie", simulator.OperationSensitive, []string{"error"}, 400},
		{"kie", simulator.OperationTimeout, []string{"text", "error"}, 408},
		// Apikley's page has no type for failures.
		{"apikley", simulator.OperationMatched, []string{"complete"}, 413},
		{"sunoapi", simulator.OperationSensitive, []string{"error"}, 400},
	} {
		t.Run(c.provider+" "+string(c.kind), func(t *testing.T) {
			r, v := newRig(t, nil), newReceiver(t)
			r.script(simulator.Next{Endpoint: c.provider + ".extend", Kind: c.kind, Count: 1})
			r.extended(c.provider, map[string]any{"callBackUrl": v.URL})
			r.pass(100 * time.Second)
			all := v.heard()
			if diff := cmp.Diff(c.want, kinds(all)); diff != "" {
				t.Fatalf("callbacks (-want +got):\n%s", diff)
			}
			last := all[len(all)-1].body
			if at(last, "code") != c.code || len(listAt(last, "data", "data")) != 0 {
				t.Errorf("%v, want code %v and no tracks", last, c.code)
			}
		})
	}
}

func TestCallbacksGoOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	journal := func(o *simulator.Options) { o.Journal = path }
	first, v := newRig(t, journal), newReceiver(t)
	first.extended("kie", map[string]any{"callBackUrl": v.URL})
	first.pass(70 * time.Second)
	if diff := cmp.Diff([]string{"text", "first"}, kinds(v.heard())); diff != "" {
		t.Fatalf("callbacks before the restart (-want +got):\n%s", diff)
	}
	if err := first.sim.Close(); err != nil {
		t.Fatal(err)
	}
	second := newRig(t, journal)
	second.pass(99 * time.Second)
	if got := v.heard(); len(got) != 0 {
		t.Errorf("heard %v before the end, want nothing twice", kinds(got))
	}
	second.pass(time.Second)
	if diff := cmp.Diff([]string{"complete"}, kinds(v.heard())); diff != "" {
		t.Errorf("callbacks after the restart (-want +got):\n%s", diff)
	}
}

func TestResetForgetsCallbacks(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	r.extended("kie", map[string]any{"callBackUrl": v.URL})
	r.settle(0)
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Hour)
	if got := v.heard(); len(got) != 0 {
		t.Errorf("heard %v after a reset, want nothing", kinds(got))
	}
}

// TestResetDuringACallback checks that what became of it is nobody's, also in
// the journal.
func TestResetDuringACallback(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sim.jsonl")
	journal := func(o *simulator.Options) { o.Journal = path }
	r := newRig(t, journal)
	asked, release := make(chan struct{}, 9), make(chan struct{})
	hook := newServer(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	r.extended("kie", map[string]any{"callBackUrl": hook.URL})
	r.settle(30 * time.Second)
	r.balance("key")
	<-asked
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	close(release)
	r.pass(time.Hour)
	if len(asked) != 0 {
		t.Errorf("%d more callbacks after a reset, want none", len(asked))
	}
	if err := r.sim.Close(); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, journal)
	if got := len(again.sim.Charges()); got != 0 {
		t.Errorf("%d charges after a restart, want 0", got)
	}
}

// TestCloseBreaksOffCallbacks closes while a receiver sits on a callback.
func TestCloseBreaksOffCallbacks(t *testing.T) {
	r := newRig(t, nil)
	asked := make(chan struct{}, 1)
	hook := newServer(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	r.extended("kie", map[string]any{"callBackUrl": hook.URL})
	r.settle(100 * time.Second)
	r.balance("key") // any request moves the couriers
	<-asked
	if err := r.sim.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := r.sim.Verdict().SlowCallbacks; got != 0 {
		t.Errorf("%d slow callbacks, want 0: the simulator hung up first", got)
	}
}

// TestWaitingCallbacksCostNoGoroutine lets thousands wait.
func TestWaitingCallbacksCostNoGoroutine(t *testing.T) {
	const operations = 500
	c := &clock{}
	sim, err := simulator.New(simulator.Options{
		Seed: 1, Now: c.now, NoFetch: true, ExtendTime: simulator.Timing{Mean: time.Hour}, KIE: simulator.KIE{Requests: -1, InFlight: -1},
		Keys: map[string]simulator.Account{"key": {Credits: 12 * operations}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	v := newReceiver(t)
	before := runtime.NumGoroutine()
	for i := range operations {
		body := `{"uploadUrl":"http://source/` + strconv.Itoa(i) + `","callBackUrl":"` + v.URL + `","defaultParamFlag":false,"instrumental":true,"prompt":"x","model":"V5","continueAt":5}`
		if w := direct(sim, http.MethodPost, "/kie/api/v1/generate/upload-extend", body); w.Code != 200 || !bytes.Contains(w.Body.Bytes(), []byte("taskId")) {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
	if err := sim.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := runtime.NumGoroutine(); now > before+20 {
		t.Errorf("%d goroutines with %d operations waiting, %d before; want as many", now, operations, before)
	}
	c.advance(time.Hour)
	if err := sim.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(v.heard()); got != 3*operations {
		t.Errorf("%d callbacks, want %d", got, 3*operations)
	}
}

// postbox is a receiver without a network.
type postbox struct{ times chan time.Time }

func (p postbox) RoundTrip(r *http.Request) (*http.Response, error) {
	p.times <- time.Now()
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// TestRequestsMoveTheCouriers has a clock that no alarm can follow: the next
// request shows that time has passed.
func TestRequestsMoveTheCouriers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box, c := postbox{make(chan time.Time, 9)}, &clock{}
		sim, err := simulator.New(simulator.Options{
			Seed: 5, NoFetch: true, Now: c.now, ExtendTime: simulator.Timing{Mean: 100 * time.Minute}, HTTP: &http.Client{Transport: box},
		})
		if err != nil {
			t.Fatal(err)
		}
		body := `{"uploadUrl":"http://source/a","callBackUrl":"http://hook/","defaultParamFlag":false,"instrumental":true,"prompt":"x","model":"V5","continueAt":5}`
		direct(sim, http.MethodPost, "/kie/api/v1/generate/upload-extend", body)
		for i, pass := range []time.Duration{30 * time.Minute, 40 * time.Minute, 30 * time.Minute} {
			synctest.Wait()
			c.advance(pass)
			direct(sim, http.MethodGet, "/kie/api/v1/chat/credit", "")
			synctest.Wait()
			if got := len(box.times); got != i+1 {
				t.Errorf("%d callbacks after %d steps, want as many", got, i+1)
			}
		}
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestCallbacksByTheMachinesClock has no request and no Settle to wake anybody.
func TestCallbacksByTheMachinesClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		box := postbox{make(chan time.Time, 9)}
		sim, err := simulator.New(simulator.Options{
			Seed: 5, NoFetch: true, ExtendTime: simulator.Timing{Mean: 100 * time.Minute}, HTTP: &http.Client{Transport: box},
		})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		body := `{"uploadUrl":"http://source/a","callBackUrl":"http://hook/","defaultParamFlag":false,"instrumental":true,"prompt":"x","model":"V5","continueAt":5}`
		if w := direct(sim, http.MethodPost, "/kie/api/v1/generate/upload-extend", body); w.Code != 200 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		for _, want := range []time.Duration{30 * time.Minute, 70 * time.Minute, 100 * time.Minute} {
			if got := (<-box.times).Sub(start); got != want {
				t.Errorf("callback after %v, want %v", got, want)
			}
		}
		if err := sim.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}
