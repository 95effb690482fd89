package simulator_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestKIERefusedBodies(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "status" })
	long := func(n int) string { return strings.Repeat("ä", n) }
	cases := []struct {
		name, provider string
		change         map[string]any
		want           int
	}{
		{"no audio", "apikley", map[string]any{"uploadUrl": nil}, 422},
		{"no flag", "apikley", map[string]any{"defaultParamFlag": nil}, 422},
		{"no callback", "apikley", map[string]any{"callBackUrl": nil}, 422},
		{"no model", "apikley", map[string]any{"model": nil}, 422},
		{"no instrumental", "apikley", map[string]any{"instrumental": nil}, 422},
		{"no position", "apikley", map[string]any{"continueAt": nil}, 422},
		{"no instrumental at sunoapi", "sunoapi", map[string]any{"instrumental": nil}, 200},
		{"no position at sunoapi", "sunoapi", map[string]any{"continueAt": nil}, 200},
		{"custom without style", "apikley", map[string]any{"style": nil}, 422},
		{"custom without title", "apikley", map[string]any{"title": nil}, 422},
		{"custom without lyrics", "apikley", map[string]any{"prompt": nil}, 422},
		{"custom instrumental without lyrics", "apikley", map[string]any{"prompt": nil, "instrumental": true}, 200},
		{"default without style and title", "kie", map[string]any{"defaultParamFlag": false, "style": nil, "title": nil}, 200},
		{"default without prompt", "kie", map[string]any{"defaultParamFlag": false, "prompt": nil}, 200},
		{"unknown model", "apikley", map[string]any{"model": "V9"}, 422},
		{"a later model", "apikley", map[string]any{"model": "V5_5"}, 422},
		{"a later model at kie", "kie", map[string]any{"model": "V5_5"}, 200},
		{"position zero", "kie", map[string]any{"continueAt": 0}, 422},
		{"position below zero", "kie", map[string]any{"continueAt": -1}, 422},
		{"position as text", "kie", map[string]any{"continueAt": "20"}, 422},
		{"flag as text", "kie", map[string]any{"defaultParamFlag": "true"}, 422},
		{"audio is no address", "kie", map[string]any{"uploadUrl": "a.mp3"}, 422},
		{"callback is no address", "kie", map[string]any{"callBackUrl": "playground"}, 422},
		{"voice", "kie", map[string]any{"vocalGender": "x"}, 422},
		{"weight above one", "kie", map[string]any{"styleWeight": 1.01}, 422},
		{"weight too exact", "kie", map[string]any{"audioWeight": 0.655}, 422},
		{"weights", "kie", map[string]any{"styleWeight": 0.29, "weirdnessConstraint": 0, "audioWeight": 1, "vocalGender": "f"}, 200},
		{"V4: style of 200", "apikley", map[string]any{"model": "V4", "style": long(200), "title": long(80), "prompt": long(3000)}, 200},
		{"V4: style of 201", "apikley", map[string]any{"model": "V4", "style": long(201)}, 422},
		{"V4: title of 81", "apikley", map[string]any{"model": "V4", "title": long(81)}, 422},
		{"V4: prompt of 3001", "apikley", map[string]any{"model": "V4", "prompt": long(3001)}, 422},
		{"V4_5ALL: title of 81", "apikley", map[string]any{"model": "V4_5ALL", "title": long(81)}, 422},
		{"V5: the most", "apikley", map[string]any{"style": long(1000), "title": long(100), "prompt": long(5000)}, 200},
		{"V5: title of 101", "apikley", map[string]any{"title": long(101)}, 422},
		{"V5: style of 1001", "apikley", map[string]any{"style": long(1001)}, 422},
		{"V5: prompt of 5001", "apikley", map[string]any{"prompt": long(5001)}, 422},
		{"prompt of 5001 at sunoapi", "sunoapi", map[string]any{"prompt": long(5001)}, 413},
		{"no model at sunoapi", "sunoapi", map[string]any{"model": nil}, 400},
	}
	accepted := 0
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := r.extend(c.provider, c.change)
			if got.status != c.want || at(r.object(got), "code") != float64(c.want) {
				t.Errorf("status %d, body %s; want %d in both", got.status, got.body, c.want)
			}
		})
		if c.want == 200 {
			accepted++
		}
	}
	if got := len(r.sim.Charges()); got != accepted {
		t.Errorf("%d charges, want %d: refusals are free", got, accepted)
	}
	missing := r.sim.Verdict().MissingFields
	if missing["apikley.extend callBackUrl"] != 1 || missing["apikley.extend prompt"] != 1 || missing["sunoapi.extend model"] != 1 {
		t.Errorf("missing fields %v, want those of the cases", missing)
	}
}

// TestPromptInDefaultMode holds both readings of Apikley's page.
func TestPromptInDefaultMode(t *testing.T) {
	codes := map[any]bool{}
	for seed := range int64(12) {
		r := newRig(t, bySeed(seed+1))
		codes[r.object(r.extend("apikley", map[string]any{"defaultParamFlag": false, "prompt": nil}))["code"]] = true
	}
	if diff := cmp.Diff(map[any]bool{200.0: true, 422.0: true}, codes); diff != "" {
		t.Errorf("codes by seed (-want +got):\n%s", diff)
	}
}

// TestKIEGatewayRefusals has the same reasons in two dialects and two forms.
func TestKIEGatewayRefusals(t *testing.T) {
	for _, c := range []struct {
		provider string
		kind     simulator.Kind
		code     []float64
		msg      string
	}{
		{"kie", simulator.Denied, []float64{401}, "You do not have access permissions"},
		{"kie", simulator.NoCredits, []float64{402}, "Insufficient Credits"},
		{"kie", simulator.RateLimited, []float64{429}, "Rate Limited"},
		{"kie", simulator.Maintenance, []float64{455}, "System is currently undergoing maintenance"},
		{"sunoapi", simulator.Denied, []float64{401}, "Unauthorized access"},
		{"sunoapi", simulator.NoCredits, []float64{429}, "The current credits are insufficient. Please top up."},
		{"sunoapi", simulator.RateLimited, []float64{430, 405}, ""},
		{"sunoapi", simulator.Maintenance, []float64{455}, "System maintenance"},
	} {
		for _, form := range []string{"body", "status"} {
			t.Run(c.provider+" "+string(c.kind)+" "+form, func(t *testing.T) {
				r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = form })
				r.script(simulator.Next{Endpoint: c.provider + ".extend", Kind: c.kind, Count: 1})
				got := r.extend(c.provider, nil)
				code, _ := r.object(got)["code"].(float64)
				if code != c.code[0] && code != c.code[len(c.code)-1] {
					t.Errorf("code %v, want one of %v", code, c.code)
				}
				if msg := textAt(r.object(got), "msg"); c.msg != "" && msg != c.msg {
					t.Errorf("msg %q, want %q", msg, c.msg)
				}
				want := 200
				if form == "status" {
					want = int(code)
				}
				if got.status != want || len(r.sim.Charges()) != 0 {
					t.Errorf("status %d, %d charges; want %d and none", got.status, len(r.sim.Charges()), want)
				}
				if wait := got.header.Get("Retry-After"); (wait != "") != (form == "status" && c.kind == simulator.RateLimited) {
					t.Errorf("Retry-After %q, want one for a limit under its own status alone", wait)
				}
			})
		}
	}
}

func TestKIEWrongKeyAndEmptyAccount(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.Credits, o.KIE.Errors = 11, "body" })
	if got := r.object(r.do(http.MethodGet, "/kie/api/v1/chat/credit", "wrong", nil)); got["code"] != 401.0 {
		t.Errorf("wrong key: %v, want code 401", got)
	}
	if got := r.object(r.extend("kie", nil)); got["code"] != 402.0 {
		t.Errorf("11 credits for 12: %v, want code 402", got)
	}
	if got := r.object(r.extend("sunoapi", nil)); got["code"] != 429.0 {
		t.Errorf("11 credits for 12 at sunoapi: %v, want code 429", got)
	}
	if v := r.sim.Verdict(); v.NoCredits != 2 || v.WrongKey != 1 || v.Charges != 0 {
		t.Errorf("%d without credits, %d wrong keys, %d charges; want 2, 1, 0", v.NoCredits, v.WrongKey, v.Charges)
	}
}

// TestKIERateIsAnExactWindow sends bursts on both sides of a border that a
// fixed window, or a bucket, would let through.
func TestKIERateIsAnExactWindow(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "body" })
	burst := func(n int) (accepted int) {
		for range n {
			if got := r.object(r.extend("kie", nil)); got["code"] == 200.0 {
				accepted++
			} else if got["code"] != 429.0 {
				t.Fatalf("%v, want 200 or 429", got)
			}
		}
		return accepted
	}
	for _, step := range []struct {
		pass time.Duration
		sent int
		want int
	}{
		{0, 5, 5},
		{9 * time.Second, 16, 15},
		{time.Second - time.Millisecond, 1, 0},
		{time.Millisecond, 6, 5},
		{9 * time.Second, 30, 15},
	} {
		r.clock.advance(step.pass)
		if got := burst(step.sent); got != step.want {
			t.Errorf("after another %v: %d of %d accepted, want %d", step.pass, got, step.sent, step.want)
		}
	}
	if got := r.object(r.do(http.MethodPost, "/kie/api/v1/generate/upload-extend", "other", r.wish(nil)))["code"]; got != 200.0 {
		t.Errorf("another account: code %v, want 200", got)
	}
	if got := r.object(r.extend("apikley", nil))["code"]; got != 200.0 {
		t.Errorf("another provider: code %v, want 200", got)
	}
	if v := r.sim.Verdict(); v.Charges != 42 || v.OverLimit != 18 || v.Clean {
		t.Errorf("%d charges, %d over the limit, clean %t; want 42, 18, false", v.Charges, v.OverLimit, v.Clean)
	}
}

// TestKIERunsAHundredAtOnce fills the account from many sides.
func TestKIERunsAHundredAtOnce(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Requests, o.KIE.Errors, o.NoFetch = -1, "body", true })
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[any]int{}
	for side := range 8 {
		wg.Go(func() {
			for n := range 15 {
				got := r.object(r.extend("kie", map[string]any{"title": strconv.Itoa(side) + "/" + strconv.Itoa(n)}))
				mu.Lock()
				codes[got["code"]]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if diff := cmp.Diff(map[any]int{200.0: 100, 429.0: 20}, codes); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	r.settle(100 * time.Second)
	if got := r.object(r.extend("kie", nil))["code"]; got != 200.0 {
		t.Errorf("code %v after all have ended, want 200", got)
	}
}

func TestKIEPollCeiling(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "body" })
	task, other := r.extended("kie", nil), r.extended("kie", map[string]any{"title": "other"})
	poll := func(id string) any {
		return r.object(r.do(http.MethodGet, "/kie/api/v1/generate/record-info?taskId="+id, "key", nil))["code"]
	}
	var got []any
	for range 4 {
		got = append(got, poll(task))
	}
	got = append(got, poll(other))
	r.clock.advance(time.Second)
	got = append(got, poll(task))
	if diff := cmp.Diff([]any{200.0, 200.0, 200.0, 429.0, 200.0, 200.0}, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if v := r.sim.Verdict(); v.OverLimit != 1 {
		t.Errorf("%d over the limit, want 1", v.OverLimit)
	}
}

func TestKIEUnknownAndUselessFields(t *testing.T) {
	r := newRig(t, nil)
	r.extended("kie", map[string]any{"instrumental": true, "audioId": "x"})
	v := r.sim.Verdict()
	if diff := cmp.Diff(map[string]int{"kie.extend audioId": 1}, v.UnknownFields); diff != "" {
		t.Errorf("unknown fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"kie.extend prompt": 1}, v.IgnoredFields); diff != "" {
		t.Errorf("ignored fields (-want +got):\n%s", diff)
	}
}

func TestKIELostAnswers(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "body" })
	r.script(simulator.Next{Endpoint: "kie.extend", Kind: simulator.ErrorAfter, Count: 1})
	got := r.extend("kie", nil)
	body := r.object(got)
	// HTTP 200 and code 500 without a task: billed all the same.
	if got.status != 200 || body["code"] != 500.0 || body["data"] != nil || len(r.sim.Charges()) != 1 {
		t.Errorf("status %d, %v, %d charges; want 200, code 500 and one", got.status, body, len(r.sim.Charges()))
	}
	if c := r.sim.Charges()[0]; c.Fault != simulator.ErrorAfter {
		t.Errorf("the charge names fault %q, want error_after", c.Fault)
	}
}

func TestBadKIEOptionsAreErrors(t *testing.T) {
	for name, o := range map[string]simulator.Options{
		"errors":      {KIE: simulator.KIE{Errors: "both"}},
		"unreachable": {KIE: simulator.KIE{Unreachable: "never"}},
		"per":         {KIE: simulator.KIE{Per: -1}},
		"life":        {KIE: simulator.KIE{StagingLife: -1}},
		"timeout":     {Callbacks: simulator.CallbackOptions{Timeout: -1}},
		"couriers":    {Callbacks: simulator.CallbackOptions{Couriers: -1}},
		"retries":     {Callbacks: simulator.CallbackOptions{Retries: []time.Duration{-1}}},
		"webhook key": {Keys: map[string]simulator.Account{"a": {Name: "x"}, "b": {Name: "x", WebhookKey: "k"}}},
	} {
		sim, err := simulator.New(o)
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = sim.Close()
		}
	}
}
