package simulator_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

const (
	createPath = "/kie/api/v1/jobs/createTask"
	jobPath    = "/kie/api/v1/jobs/recordInfo?taskId="
)

func (r *rig) job(id string) map[string]any {
	r.t.Helper()
	got := r.object(r.do(http.MethodGet, jobPath+id, "key", nil))
	data, is := got["data"].(map[string]any)
	if got["code"] != 200.0 || !is {
		r.t.Fatalf("recordInfo answers %v, want code 200 and data", got)
	}
	return data
}

// unified is a body for createTask.
func (r *rig) unified(change map[string]any) map[string]any {
	input := map[string]any{"upload_url": r.source("/wav/30/a"), "model": "V6", "instrumental": false, "continue_at": 20.5, "prompt": "words", "style": "Jazz", "title": "T"}
	maps.Copy(input, change)
	return map[string]any{"model": "ai-music-api/upload-and-extend-audio", "input": input}
}

func TestUnifiedRoute(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	body := r.unified(map[string]any{"lyrics": "words", "prompt": nil})
	body["callBackUrl"] = v.URL
	task := textAt(r.object(r.do(http.MethodPost, createPath, "key", body)), "data", "taskId")
	r.settle(0)
	var states []string
	for range 3 {
		states = append(states, textAt(r.job(task), "state"))
		r.clock.advance(50 * time.Second)
	}
	if diff := cmp.Diff([]string{"queuing", "generating", "success"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	done := r.job(task)
	var result map[string]any
	if err := json.Unmarshal([]byte(textAt(done, "resultJson")), &result); err != nil {
		t.Fatalf("resultJson %v: %v", done["resultJson"], err)
	}
	if len(listAt(result, "data")) != 2 || textAt(result, "data", 0, "prompt") != "words" || textAt(result, "data", 0, "model_name") != "chirp-hawk" {
		t.Errorf("result %v, want two tracks of what was wished for", result)
	}
	if got := r.fetch(textAt(result, "data", 1, "audio_url")); got.status != 200 {
		t.Errorf("audio: status %d, want 200", got.status)
	}
	if done["failCode"] != nil || done["costTime"] != 100000.0 || done["createTime"] != 1772366400000.0 || done["completeTime"] != 1772366500000.0 || done["creditsConsumed"] != 12.0 {
		t.Errorf("job %v, want 100 s from 1772366400000 ms on, 12 credits, no failure", done)
	}
	r.pass(0)
	all := v.heard()
	if len(all) != 1 || textAt(all[0].body, "data", "taskId") != task || textAt(all[0].body, "data", "resultJson") != done["resultJson"] {
		t.Errorf("heard %v, want one callback with what recordInfo says", all)
	}
	if c := r.sim.Charges()[0]; c.Endpoint != "kie.create" || c.Credits != 12 {
		t.Errorf("charge %+v, want 12 credits for kie.create", c)
	}
}

func TestUnifiedFailure(t *testing.T) {
	r, v := newRig(t, nil), newReceiver(t)
	r.script(
		simulator.Next{Endpoint: "kie.create", Kind: simulator.OperationMatched, Count: 1},
		simulator.Next{Endpoint: "kie.callback", Kind: simulator.CallbackReplayed, Count: 1},
	)
	body := r.unified(nil)
	body["callBackUrl"] = v.URL
	task := textAt(r.object(r.do(http.MethodPost, createPath, "key", body)), "data", "taskId")
	r.pass(100 * time.Second)
	job := r.job(task)
	if job["state"] != "fail" || job["failCode"] != "413" || job["failMsg"] != "Uploaded audio matches existing work of art." || job["resultJson"] != "" {
		t.Errorf("job %v, want fail with 413", job)
	}
	var codes []any
	for _, h := range v.heard() {
		codes = append(codes, at(h.body, "data", "failCode"))
	}
	if diff := cmp.Diff([]any{"501", "413"}, codes); diff != "" {
		t.Errorf("codes in callbacks, the lie first (-want +got):\n%s", diff)
	}
}

func TestUnifiedRefusals(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "status" })
	for name, body := range map[string]any{
		"no model":       map[string]any{"input": map[string]any{}},
		"another model":  map[string]any{"model": "suno", "input": map[string]any{}},
		"no input":       map[string]any{"model": "ai-music-api/upload-and-extend-audio"},
		"no audio":       r.unified(map[string]any{"upload_url": nil}),
		"no position":    r.unified(map[string]any{"continue_at": nil}),
		"position":       r.unified(map[string]any{"continue_at": 0}),
		"voice":          r.unified(map[string]any{"vocal_gender": "x"}),
		"model of songs": r.unified(map[string]any{"model": "V9"}),
		"callback":       map[string]any{"model": "ai-music-api/upload-and-extend-audio", "callBackUrl": "x", "input": r.unified(nil)["input"]},
	} {
		if got := r.do(http.MethodPost, createPath, "key", body); got.status != 422 {
			t.Errorf("%s: status %d, body %s; want 422", name, got.status, got.body)
		}
	}
	if got := len(r.sim.Charges()); got != 0 {
		t.Errorf("%d charges, want none", got)
	}
	r.do(http.MethodPost, createPath, "key", r.unified(map[string]any{"uploadUrl": "x"}))
	v := r.sim.Verdict()
	if diff := cmp.Diff([]string{"kie.create input.uploadUrl"}, slices.Collect(maps.Keys(v.UnknownFields))); diff != "" {
		t.Errorf("unknown fields (-want +got):\n%s", diff)
	}
	if len(r.sim.Charges()) != 1 {
		t.Errorf("%d charges, want 1: a callBackUrl may be left out here", len(r.sim.Charges()))
	}
}

func TestUnifiedPollCeilingIsPerAccount(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "body" })
	codes := map[any]int{}
	for i := range 3 {
		task := textAt(r.object(r.do(http.MethodPost, createPath, "key", r.unified(map[string]any{"title": string(rune('a' + i))}))), "data", "taskId")
		for range 4 {
			codes[r.object(r.do(http.MethodGet, jobPath+task, "key", nil))["code"]]++
		}
	}
	if diff := cmp.Diff(map[any]int{200.0: 10, 429.0: 2}, codes); diff != "" {
		t.Errorf("codes of twelve questions within a second (-want +got):\n%s", diff)
	}
}
