package simulator_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestKkiaiSubmitRefusals(t *testing.T) {
	r := kkiaiRig(t, nil)
	clip := r.uploadedClip(wav(30, "song"))
	for name, changes := range map[string]map[string]any{
		"no prompt":          {"prompt": nil},
		"empty prompt":       {"prompt": ""},
		"no mv":              {"mv": nil},
		"no title":           {"title": nil},
		"no clip":            {"continue_clip_id": nil},
		"no position":        {"continue_at": nil},
		"no task":            {"task": nil},
		"position as text":   {"continue_at": "10"},
		"part of a second":   {"continue_at": 10.5},
		"unknown task":       {"task": "cover"},
		"unknown clip":       {"continue_clip_id": "x"},
		"unknown model":      {"mv": "V5"},
		"other kind of task": {"task": "extend"},
		"beyond the end":     {"continue_at": 30},
		"before the start":   {"continue_at": -1},
	} {
		got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, changes))
		out := r.object(got)
		if got.status != 400 || out["code"] != "invalid_request" || out["data"] != nil || textAt(out, "message") == "" {
			t.Errorf("%s: status %d, %v; want 400 invalid_request with a message and no data", name, got.status, out)
		}
	}
	v := r.sim.Verdict()
	want := map[string]int{
		"kkiai.submit prompt": 2, "kkiai.submit mv": 1, "kkiai.submit title": 1, "kkiai.submit continue_clip_id": 1,
		"kkiai.submit continue_at": 1, "kkiai.submit task": 1,
	}
	if diff := cmp.Diff(want, v.MissingFields); diff != "" {
		t.Errorf("missing fields (-want +got):\n%s", diff)
	}
	if v.Charges != 0 || v.BadRequests != 15 {
		t.Errorf("%d charges, %d bad requests; want 0 and 15", v.Charges, v.BadRequests)
	}
}

// TestKkiaiLateMistakes: what "early" refuses is charged here, and fails.
func TestKkiaiLateMistakes(t *testing.T) {
	for reason, changes := range map[string]map[string]any{
		"clip not found":                            {"continue_clip_id": "x"},
		"model not found":                           {"mv": "V5"},
		"Inconsistent task and generation params":   {"task": "extend"},
		"continue_at is beyond the end of the clip": {"continue_at": 30},
	} {
		t.Run(reason, func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Mistakes = "late" })
			task := r.submit(r.uploadedClip(wav(30, "song")), changes)
			r.clock.advance(100 * time.Second)
			got := r.fetchTask(task)
			if got["status"] != "FAILURE" || got["fail_reason"] != reason || len(r.sim.Charges()) != 1 {
				t.Errorf("status %v, reason %v, %d charges; want FAILURE, %q, 1", got["status"], got["fail_reason"], len(r.sim.Charges()), reason)
			}
		})
	}
}

func TestKkiaiSubmitAccepts(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Position = "fraction" })
	clip := r.uploadedClip(wav(30, "song"))
	for name, changes := range map[string]map[string]any{
		"all that is optional": {"task_id": "", "generation_type": "TEXT", "vocal_gender": "f", "persona_id": "p", "artist_clip_id": "a"},
		"an instrumental":      {"make_instrumental": true, "prompt": ""},
		"from the start":       {"continue_at": 0},
		"part of a second":     {"continue_at": 29.9},
		"newest model":         {"mv": "chirp-hawk"},
	} {
		if got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, changes)); got.status != 200 {
			t.Errorf("%s: status %d, %s; want 200", name, got.status, got.body)
		}
	}
	r.submit(clip, map[string]any{"cover_clip_id": "x", "style_weight": 0.5})
	v := r.sim.Verdict()
	if diff := cmp.Diff(map[string]int{"kkiai.submit cover_clip_id": 1}, v.IgnoredFields); diff != "" {
		t.Errorf("ignored fields (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"kkiai.submit style_weight": 1}, v.UnknownFields); diff != "" {
		t.Errorf("unknown fields (-want +got):\n%s", diff)
	}
}

func TestKkiaiContinuesWhatItGenerated(t *testing.T) {
	r := kkiaiRig(t, nil)
	first := r.submit(r.uploadedClip(wav(30, "song")), nil)
	r.clock.advance(100 * time.Second)
	track := textAt(r.fetchTask(first), "data", 0, "id")
	if got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(track, map[string]any{"continue_at": 0})); got.status != 400 {
		t.Errorf("upload_extend of a generated clip: status %d, want 400", got.status)
	}
	second := r.submit(track, map[string]any{"task": "extend", "continue_at": 0})
	r.clock.advance(100 * time.Second)
	if got := r.fetchTask(second)["status"]; got != "SUCCESS" {
		t.Errorf("extension of a generated clip is %v, want SUCCESS", got)
	}
}

// TestKkiaiTaskID holds the rule of new-api, which no uploaded clip can obey to
// the letter.
func TestKkiaiTaskID(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.TaskID = true })
	id := r.report(wav(30, "song"))
	r.settle(10 * time.Second)
	clip := textAt(r.object(r.initialize(id)), "clip_id")
	for name, c := range map[string]struct {
		task any
		want string
	}{
		"none": {nil, `{"code":"invalid_request","data":null,"message":"task id is empty"}`},
		"new":  {"x", `{"code":"task_not_exist","data":null,"message":"task_origin_not_exist"}`},
	} {
		got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, map[string]any{"task_id": c.task}))
		if got.status != 400 || string(got.body) != c.want {
			t.Errorf("%s: status %d, %s; want 400 %s", name, got.status, got.body, c.want)
		}
	}
	first := r.submit(clip, map[string]any{"task_id": id})
	r.submit(clip, map[string]any{"task_id": clip})
	r.submit(clip, map[string]any{"task_id": first})
}

func TestKkiaiDoubles(t *testing.T) {
	r := kkiaiRig(t, nil)
	song := wav(30, "song")
	r.submit(r.uploadedClip(song), map[string]any{"notify_hook": r.source("/hook/1")})
	r.submit(r.uploadedClip(song), map[string]any{"continue_at": 11})
	r.submit(r.uploadedClip(wav(30, "other")), nil)
	if v := r.sim.Verdict(); v.ExtraCharges != 0 {
		t.Errorf("%d extra charges for three jobs, want none: %v", v.ExtraCharges, v.Doubles)
	}
	r.submit(r.uploadedClip(song), map[string]any{"notify_hook": r.source("/hook/2")})
	if v := r.sim.Verdict(); v.ExtraCharges != 1 || len(v.Doubles) != 1 || !cmp.Equal(v.Doubles[0].Charges, []int{1, 4}) {
		t.Errorf("%d extra charges, %v; want the first job paid again by charge 4", v.ExtraCharges, v.Doubles)
	}
	r.clock.advance(100 * time.Second)
}

// TestKkiaiTracksAreTwoJobs: both tracks of a result may be continued alike.
func TestKkiaiTracksAreTwoJobs(t *testing.T) {
	r := kkiaiRig(t, nil)
	task := r.submit(r.uploadedClip(wav(30, "song")), nil)
	r.clock.advance(100 * time.Second)
	for _, track := range listAt(r.fetchTask(task), "data") {
		r.submit(textAt(track, "id"), map[string]any{"task": "extend", "continue_at": 0})
	}
	if v := r.sim.Verdict(); v.ExtraCharges != 0 {
		t.Errorf("%d extra charges, want none: %v", v.ExtraCharges, v.Doubles)
	}
}

func TestKkiaiSubmitFaults(t *testing.T) {
	for kind, want := range map[simulator.Kind]struct {
		status, charged int // status 0 is a broken connection
	}{
		simulator.DropBefore: {0, 0}, simulator.DropAfter: {0, 1}, simulator.ErrorAfter: {500, 1}, simulator.PageAfter: {502, 1},
		simulator.TruncateAfter: {200, 1}, simulator.Delay: {200, 1}, simulator.RateLimited: {429, 0}, simulator.Maintenance: {455, 0},
		simulator.NoCredits: {402, 0}, simulator.Denied: {401, 0},
	} {
		t.Run(string(kind), func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Seed = quotaIs402 })
			clip := r.uploadedClip(wav(30, "song"))
			r.script(simulator.Next{Endpoint: "kkiai.submit", Kind: kind, Count: 1})
			got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(clip, nil))
			if got.status != want.status || len(r.sim.Charges()) != want.charged {
				t.Errorf("status %d (%v), %d charges; want %d and %d", got.status, got.err, len(r.sim.Charges()), want.status, want.charged)
			}
		})
	}
}

// quotaIs402 is a seed for which a lack of credits is HTTP 402; see
// TestKkiaiChoicesVaryBySeed for the other half.
const quotaIs402 = 7

func TestKkiaiOutOfCredits(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) {
		o.Seed = quotaIs402
		o.Keys = map[string]simulator.Account{"key": {Credits: 9}}
	})
	got := r.do(http.MethodPost, kkiaiSubmits, "key", continuation(r.uploadedClip(wav(30, "song")), nil))
	if got.status != 402 || code(got) != "insufficient_user_quota" || len(r.sim.Charges()) != 0 {
		t.Errorf("status %d, code %q, %d charges; want 402, insufficient_user_quota, 0", got.status, code(got), len(r.sim.Charges()))
	}
}

func TestKkiaiFreeStepsCanBeLost(t *testing.T) {
	for _, c := range []struct {
		endpoint string
		step     func(r *rig, id string) reply
	}{
		{"kkiai.finish", (*rig).finishUpload},
		{"kkiai.initialize", (*rig).initialize},
	} {
		t.Run(c.endpoint, func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Repeat = "refused" })
			var id string
			if c.endpoint == "kkiai.initialize" {
				id = r.report(wav(30, "song"))
				r.settle(10 * time.Second)
			} else {
				k := r.authorize("wav")
				r.transfer(k, wav(30, "song"))
				id = k.id
			}
			r.script(simulator.Next{Endpoint: c.endpoint, Kind: simulator.DropAfter, Count: 1})
			if got := c.step(r, id); got.err == nil {
				t.Errorf("status %d, want a broken connection", got.status)
			}
			if got := c.step(r, id); got.status != 400 {
				t.Errorf("again: status %d, want 400: it was done", got.status)
			}
		})
	}
}
