package simulator_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// plainSeed and oddSeed are seeds whose forms of answers TestKkiaiTask shows.
const (
	plainSeed = 7
	oddSeed   = 10
)

func TestKkiaiTaskStages(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Seed = plainSeed })
	task := r.submit(r.uploadedClip(wav(30, "song")), nil)
	var got []string
	for range 102 {
		data := r.fetchTask(task)
		line := textAt(data, "status")
		if clip := textAt(data, "data", 0, "status"); clip != "" {
			line += " " + clip
		}
		if !slices.Contains(got, line) {
			got = append(got, line)
		}
		r.clock.advance(time.Second)
	}
	want := []string{"NOT_START", "SUBMITTED", "QUEUED", "IN_PROGRESS", "IN_PROGRESS streaming", "SUCCESS complete"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status words (-want +got):\n%s", diff)
	}
}

// TestKkiaiTask compares whole answers, at first and at the end.
func TestKkiaiTask(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Seed = plainSeed })
	task := r.submit(r.uploadedClip(wav(30, "song")), map[string]any{"notify_hook": "http://127.0.0.1:1/hook"})
	got := r.object(r.do(http.MethodGet, kkiaiFetches+task, "key", nil))
	want := map[string]any{"code": "success", "message": "", "data": map[string]any{
		"task_id": task, "notify_hook": "http://127.0.0.1:1/hook", "action": "MUSIC", "status": "NOT_START", "fail_reason": "",
		"submit_time": 1772366410.0, "start_time": 0.0, "finish_time": 0.0, "progress": "0%", "data": []any{},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	r.clock.advance(100 * time.Second)
	data := r.fetchTask(task)
	clips := listAt(data, "data")
	data["data"] = len(clips)
	want = map[string]any{
		"task_id": task, "notify_hook": "http://127.0.0.1:1/hook", "action": "MUSIC", "status": "SUCCESS", "fail_reason": "",
		"submit_time": 1772366410.0, "start_time": 1772366435.0, "finish_time": 1772366510.0, "progress": "100%", "data": 2,
	}
	if diff := cmp.Diff(want, data); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
	clip, _ := clips[0].(map[string]any)
	id := textAt(clip, "id")
	details, _ := clip["metadata"].(map[string]any)
	length, _ := details["duration"].(float64)
	delete(details, "duration")
	if length < 1.8 || length > 3 {
		t.Errorf("duration %v, want 18 to 30 s at a tenth", length)
	}
	want = map[string]any{
		"id": id, "status": "complete", "title": "Song", "audio_url": r.api.URL + "/cdn/" + id + ".mp3", "video_url": "",
		"image_url": r.api.URL + "/cdn/image_" + id + ".jpeg", "image_large_url": r.api.URL + "/cdn/image_" + id + ".jpeg",
		"model_name": "chirp-v4", "major_model_version": "v4", "created_at": "2026-03-01T12:00:10.000Z",
		"metadata": map[string]any{"tags": "indie pop", "prompt": "[Verse]\nHello", "type": "gen", "error_type": nil, "error_message": nil},
	}
	if diff := cmp.Diff(want, clip); diff != "" {
		t.Errorf("clip (-want +got):\n%s", diff)
	}
}

// TestKkiaiOddForms is what other seeds make of the same questions.
func TestKkiaiOddForms(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Seed = oddSeed })
	task := r.submit(r.uploadedClip(wav(30, "song")), nil)
	if got := r.do(http.MethodGet, kkiaiFetches+task, "key", nil); string(got.body) != `{"code":"success","message":"","data":"`+task+`"}` {
		t.Errorf("at first: %s, want a bare id", got.body)
	}
	r.clock.advance(5 * time.Second)
	data := r.fetchTask(task)
	if data["submit_time"] != "1772366410" || data["finish_time"] != "0" || data["data"] != nil {
		t.Errorf("times %v and %v, data %v; want them as text, and null", data["submit_time"], data["finish_time"], data["data"])
	}
}

func TestKkiaiFailures(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.RefundFailures = true })
	r.script(
		simulator.Next{Endpoint: "kkiai.submit", Kind: simulator.OperationFailed, Count: 1},
		simulator.Next{Endpoint: "kkiai.submit", Kind: simulator.OperationTimeout, Count: 1},
	)
	clip := r.uploadedClip(wav(30, "song"))
	failed, late := r.submit(clip, nil), r.submit(clip, map[string]any{"continue_at": 11})
	r.clock.advance(99 * time.Second)
	if got := r.fetchTask(failed); got["status"] != "IN_PROGRESS" || len(listAt(got, "data")) != 0 {
		t.Errorf("before the end: %v with %v, want IN_PROGRESS without clips", got["status"], got["data"])
	}
	r.clock.advance(time.Second)
	for id, reason := range map[string]string{failed: "Upstream processing failed.", late: "Task timed out."} {
		if got := r.fetchTask(id); got["status"] != "FAILURE" || got["fail_reason"] != reason || got["finish_time"] == 0.0 {
			t.Errorf("got %v, want FAILURE because %q", got, reason)
		}
	}
	if v := r.sim.Verdict(); v.RefundedCredits != 20 || v.UnseenFailures != 0 {
		t.Errorf("%d credits given back, %d failures unseen; want 20 and 0", v.RefundedCredits, v.UnseenFailures)
	}
}

func TestKkiaiUnknownTask(t *testing.T) {
	r := kkiaiRig(t, nil)
	mountsea := r.session()
	for _, id := range []string{"x", mountsea} {
		got := r.do(http.MethodGet, kkiaiFetches+id, "key", nil)
		if got.status != 400 || string(got.body) != `{"code":"task_not_exist","data":null,"message":"task_not_exist"}` {
			t.Errorf("status %d, %s; want 400 task_not_exist", got.status, got.body)
		}
	}
}

func TestKkiaiBatch(t *testing.T) {
	r := kkiaiRig(t, nil)
	clip := r.uploadedClip(wav(30, "song"))
	first, second := r.submit(clip, nil), r.submit(clip, map[string]any{"continue_at": 11})
	r.clock.advance(100 * time.Second)
	out := r.object(r.do(http.MethodPost, strings.TrimSuffix(kkiaiFetches, "/"), "key",
		map[string]any{"ids": []string{second, "x", first}, "action": "MUSIC"}))
	var got []string
	for _, task := range listAt(out, "data") {
		got = append(got, textAt(task, "task_id")+" "+textAt(task, "status"))
	}
	if diff := cmp.Diff([]string{second + " SUCCESS", first + " SUCCESS"}, got); diff != "" || out["code"] != "success" {
		t.Errorf("tasks (-want +got), code %v:\n%s", out["code"], diff)
	}
	if v := r.sim.Verdict(); v.UnseenResults != 0 || v.UnknownIDs != 1 {
		t.Errorf("%d results unseen, %d unknown ids; want 0 and 1", v.UnseenResults, v.UnknownIDs)
	}
}
