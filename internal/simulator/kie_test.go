package simulator_test

import (
	"bytes"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/simulator"
)

// TestKIEFamilyFromSubmitToDownload walks the documented way at each of the
// three.
func TestKIEFamilyFromSubmitToDownload(t *testing.T) {
	for _, provider := range []string{"kie", "apikley", "sunoapi"} {
		t.Run(provider, func(t *testing.T) {
			r := newRig(t, nil)
			got := r.object(r.extend(provider, nil))
			task := textAt(got, "data", "taskId")
			if diff := cmp.Diff(map[string]any{"code": 200.0, "msg": "success", "data": map[string]any{"taskId": task}}, got); diff != "" || task == "" {
				t.Fatalf("answer to the submission (-want +got):\n%s", diff)
			}
			r.settle(0)
			var stages []string
			for range 11 {
				stages = append(stages, textAt(r.record(provider, task), "status"))
				r.clock.advance(10 * time.Second)
			}
			want := []string{
				"PENDING", "PENDING", "PENDING", "TEXT_SUCCESS", "TEXT_SUCCESS", "TEXT_SUCCESS", "TEXT_SUCCESS",
				"FIRST_SUCCESS", "FIRST_SUCCESS", "FIRST_SUCCESS", "SUCCESS",
			}
			if diff := cmp.Diff(want, stages); diff != "" {
				t.Errorf("statuses every tenth of the time (-want +got):\n%s", diff)
			}
			tracks := listAt(r.response(r.record(provider, task)), "sunoData")
			if len(tracks) != 2 {
				t.Fatalf("%d tracks, want 2", len(tracks))
			}
			for i, track := range tracks {
				file := r.fetch(textAt(track, "audioUrl"))
				info, err := audio.Probe(bytes.NewReader(file.body))
				if err != nil {
					t.Fatalf("track %d: %v", i, err)
				}
				if declared := at(track, "duration"); declared != float64(info.Duration.Milliseconds())/1000 {
					t.Errorf("track %d declares %v seconds and has %v", i, declared, info.Duration)
				}
			}
			charges := r.sim.Charges()
			if len(charges) != 1 || charges[0].Credits != 12 || charges[0].OperationID != task || charges[0].Endpoint != provider+".extend" || charges[0].AudioSHA256 == "" {
				t.Errorf("charges %+v, want one of 12 credits for %s with the audio's hash", charges, task)
			}
			balance := "/" + provider + "/api/v1/chat/credit"
			if provider == "sunoapi" {
				balance = "/sunoapi/api/v1/generate/credit"
			}
			if got := r.do(http.MethodGet, balance, "key", nil); string(got.body) != `{"code":200,"msg":"success","data":9988}` {
				t.Errorf("balance: %s, want 9988", got.body)
			}
			r.pass(time.Hour) // the callbacks fail, for nobody is there
			v := r.sim.Verdict()
			if !v.Clean || v.UnseenResults != 0 || v.UnfetchedTracks != 0 {
				t.Errorf("verdict %+v, want clean", v)
			}
		})
	}
}

func TestKIERecordShape(t *testing.T) {
	r := newRig(t, nil)
	task := r.extended("kie", nil)
	r.settle(100 * time.Second)
	record := r.record("kie", task)
	if record["taskId"] != task || record["errorCode"] != nil || record["errorMessage"] != nil || record["parentMusicId"] != "" {
		t.Errorf("record %v, want the task without error", record)
	}
	if param := textAt(record, "param"); !strings.Contains(param, `"continueAt":20`) || !strings.Contains(param, `"title":"Iron Man"`) {
		t.Errorf("param %q, want the request as JSON in a string", param)
	}
	track := at(r.response(record), "sunoData", 0)
	for _, field := range []string{"id", "audioUrl", "streamAudioUrl", "imageUrl", "sourceAudioUrl", "modelName", "title", "tags", "prompt", "createTime"} {
		if textAt(track, field) == "" {
			t.Errorf("track %v lacks %s", track, field)
		}
	}
	if got := at(r.response(record), "taskId"); got != task {
		t.Errorf("response is of task %v, want %s", got, task)
	}
}

// TestKIEVariesWhatIsNotDocumented looks for both sides of each open question
// among some seeds.
func TestKIEVariesWhatIsNotDocumented(t *testing.T) {
	seen := map[string]bool{}
	for seed := range int64(24) {
		r := newRig(t, bySeed(seed+1))
		task := r.extended("kie", nil)
		r.settle(40 * time.Second)
		early := r.record("kie", task)
		switch {
		case early["response"] == nil:
			seen["nothing at the text"] = true
		case textAt(r.response(early), "sunoData", 0, "audioUrl") == "" && textAt(r.response(early), "sunoData", 0, "streamAudioUrl") != "":
			seen["a stream at the text"] = true
		default:
			t.Errorf("seed %d: response %v at the text", seed+1, early["response"])
		}
		r.settle(60 * time.Second)
		late := r.record("kie", task)
		if _, is := late["response"].(string); is {
			seen["response in a string"] = true
		} else {
			seen["response as object"] = true
		}
		seen["type "+textAt(late, "type")+" "+textAt(late, "operationType")] = true
		track := at(r.response(late), "sunoData", 0)
		seen["created "+textAt(track, "createTime")] = true
		if textAt(track, "sourceAudioUrl") == textAt(track, "audioUrl") {
			seen["source is the result"] = true
		} else if textAt(track, "sourceAudioUrl") == r.source("/wav/30/a") {
			seen["source is the upload"] = true
		}
		refused := r.do(http.MethodGet, "/kie/api/v1/generate/record-info?taskId=none", "key", nil)
		seen["refused with HTTP "+http.StatusText(refused.status)] = true
	}
	want := map[string]bool{
		"nothing at the text": true, "a stream at the text": true, "response in a string": true, "response as object": true,
		"type upload_extend ": true, "type GENERATE upload_extend": true,
		"created 2026-03-01 12:00:00": true, "created 2026-03-01 20:00:00": true,
		"source is the result": true, "source is the upload": true,
		"refused with HTTP OK": true, "refused with HTTP Not Found": true, "refused with HTTP Unprocessable Entity": true,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("variants (-want +got):\n%s", diff)
	}
}

func TestKIEFirstTrackBeforeTheEnd(t *testing.T) {
	r := newRig(t, nil)
	task := r.extended("kie", nil)
	r.settle(70 * time.Second)
	tracks := listAt(r.response(r.record("kie", task)), "sunoData")
	first, second := textAt(tracks, 0, "audioUrl"), textAt(tracks, 1, "audioUrl")
	if first == "" || second != "" || at(tracks, 0, "duration") == nil || at(tracks, 1, "duration") != nil {
		t.Fatalf("tracks %v, want the first one alone to be whole", tracks)
	}
	whole := r.fetch(first)
	if whole.status != 200 || whole.header.Get("ETag") == "" {
		t.Errorf("the first track: status %d, ETag %q; want 200 and one", whole.status, whole.header.Get("ETag"))
	}
	live := r.fetch(textAt(tracks, 1, "streamAudioUrl"))
	if live.status != 200 || live.header.Get("ETag") != "" || len(live.body) == 0 {
		t.Errorf("the second one's stream: status %d, %d bytes; want 200 and something", live.status, len(live.body))
	}
	if v := r.sim.Verdict(); v.EarlyDownloads != 0 {
		t.Errorf("%d early downloads, want 0", v.EarlyDownloads)
	}
	if got := r.fetch(textAt(tracks, 1, "streamAudioUrl") + ".mp3"); got.header.Get("ETag") != "" {
		t.Error("the second track is whole before the end")
	}
	if v := r.sim.Verdict(); v.EarlyDownloads != 1 {
		t.Errorf("%d early downloads, want 1", v.EarlyDownloads)
	}
}

func TestKIEFailures(t *testing.T) {
	for _, c := range []struct {
		provider string
		kind     simulator.Kind
		status   string
		code     float64
		balance  float64
	}{
		{"kie", simulator.OperationRefunded, "GENERATE_AUDIO_FAILED", 531, 10000},
		{"kie", simulator.OperationMatched, "CREATE_TASK_FAILED", 413, 9988},
		{"kie", simulator.OperationSensitive, "SENSITIVE_WORD_ERROR", 400, 9988},
		{"kie", simulator.OperationTimeout, "GENERATE_AUDIO_FAILED", 408, 9988},
		{"sunoapi", simulator.OperationRefunded, "GENERATE_AUDIO_FAILED", 531, 10000},
	} {
		t.Run(c.provider+" "+string(c.kind), func(t *testing.T) {
			r := newRig(t, nil)
			r.script(simulator.Next{Endpoint: c.provider + ".extend", Kind: c.kind, Count: 1})
			task := r.extended(c.provider, nil)
			r.settle(100 * time.Second)
			got := r.record(c.provider, task)
			if got["status"] != c.status || got["errorCode"] != c.code || textAt(got, "errorMessage") == "" || got["response"] != nil {
				t.Errorf("record %v, want %s with %v, a message and no response", got, c.status, c.code)
			}
			if got := r.balance("key"); got != c.balance {
				t.Errorf("balance %v, want %v", got, c.balance)
			}
			if refunded := r.sim.Charges()[0].Refunded; refunded != (c.balance == 10000) {
				t.Errorf("the charge is refunded: %t, want %t", refunded, c.balance == 10000)
			}
		})
	}
}

func TestKIEFailedInBothWays(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.Faults = simulator.Faults{simulator.OperationFailed: 1} })
	seen := map[[2]any]int{}
	for range 12 {
		task := r.extended("kie", nil)
		r.settle(100 * time.Second)
		record := r.record("kie", task)
		seen[[2]any{record["status"], record["errorCode"]}]++
	}
	create, generate := seen[[2]any{"CREATE_TASK_FAILED", 500.0}], seen[[2]any{"GENERATE_AUDIO_FAILED", 501.0}]
	if create == 0 || generate == 0 || create+generate != 12 {
		t.Errorf("failures %v, want some of each kind and no other", seen)
	}
}

func TestKIEUnusableAudio(t *testing.T) {
	for _, c := range []struct {
		name, provider, path string
		change               map[string]any
		status               string
		code                 float64
	}{
		{"missing", "kie", "/missing.mp3", nil, "CREATE_TASK_FAILED", 501},
		{"missing, with a code for it", "sunoapi", "/missing.mp3", nil, "CREATE_TASK_FAILED", 451},
		{"a web page", "kie", "/text", nil, "CREATE_TASK_FAILED", 501},
		{"a web page, with a code for it", "sunoapi", "/text", nil, "CREATE_TASK_FAILED", 400},
		{"position at the end", "kie", "/wav/20/a", nil, "GENERATE_AUDIO_FAILED", 501},
		{"too long for the model", "kie", "/wav/61/a", map[string]any{"model": "V4_5ALL"}, "CREATE_TASK_FAILED", 501},
		{"just long enough for the model", "kie", "/wav/60/a", map[string]any{"model": "V4_5ALL"}, "SUCCESS", 0},
		{"longer, for another model", "kie", "/wav/61/a", nil, "SUCCESS", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(o *simulator.Options) { o.KIE.Unreachable = "late" })
			change := map[string]any{"uploadUrl": r.source(c.path)}
			maps.Copy(change, c.change)
			task := r.extended(c.provider, change)
			r.settle(100 * time.Second)
			got := r.record(c.provider, task)
			code, _ := got["errorCode"].(float64)
			if got["status"] != c.status || code != c.code {
				t.Errorf("%v with %v, want %s with %v", got["status"], got["errorCode"], c.status, c.code)
			}
		})
	}
}

func TestKIELooksAtTheAudioFirst(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Unreachable, o.KIE.Errors = "early", "body" })
	missing := map[string]any{"uploadUrl": r.source("/missing.mp3")}
	for _, provider := range []string{"kie", "apikley"} {
		if got := r.object(r.extend(provider, missing)); got["code"] != 451.0 {
			t.Errorf("%s: %v, want code 451", provider, got)
		}
	}
	if got := len(r.sim.Charges()); got != 0 {
		t.Errorf("%d charges, want none", got)
	}
	// sunoapi.org has no such answer: there the task fails.
	r.extended("sunoapi", missing)
	if v := r.sim.Verdict(); v.UnreachableAudio != 2 {
		t.Errorf("%d unreachable, want 2", v.UnreachableAudio)
	}
}

func TestKIEResultsGoAway(t *testing.T) {
	r := newRig(t, nil)
	task := r.extended("kie", nil)
	r.script(simulator.Next{Endpoint: "kie.extend", Kind: simulator.ResultsVanish, Count: 1})
	vanishing := r.extended("kie", map[string]any{"title": "gone"})
	r.settle(100 * time.Second)
	file := textAt(r.response(r.record("kie", task)), "sunoData", 0, "audioUrl")
	gone := r.record("kie", vanishing)
	if got := r.fetch(textAt(r.response(gone), "sunoData", 0, "audioUrl")); got.status != 404 || gone["status"] != "SUCCESS" {
		t.Errorf("vanished: status %v, file %d; want SUCCESS and 404", gone["status"], got.status)
	}
	r.clock.advance(14*24*time.Hour - time.Second)
	if got := r.fetch(file); got.status != 200 {
		t.Errorf("after 13 days: %d, want 200", got.status)
	}
	r.clock.advance(time.Second)
	if got := r.fetch(file); got.status != 404 || r.sim.Verdict().ExpiredResults != 1 {
		t.Errorf("after 14 days: %d, %d expired; want 404 and 1", got.status, r.sim.Verdict().ExpiredResults)
	}
}

func TestKIEDoublesAreSeenThroughOtherAddresses(t *testing.T) {
	r := newRig(t, nil)
	r.extended("kie", map[string]any{"uploadUrl": r.source("/wav/30/a?1"), "callBackUrl": "http://127.0.0.1:1/1"})
	r.extended("kie", map[string]any{"uploadUrl": r.source("/wav/30/a?2"), "callBackUrl": "http://127.0.0.1:1/2"})
	r.extended("kie", map[string]any{"uploadUrl": r.source("/wav/30/b")})
	r.settle(0)
	if v := r.sim.Verdict(); v.ExtraCharges != 1 {
		t.Errorf("%d extra charges, want 1", v.ExtraCharges)
	}
}

func TestKIEKeepsToItself(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.KIE.Errors = "body" })
	task := r.extended("kie", nil)
	for name, path := range map[string]string{
		"another provider": "/apikley/api/v1/generate/record-info?taskId=" + task,
		"another route":    "/kie/api/v1/jobs/recordInfo?taskId=" + task,
		"an unknown task":  "/kie/api/v1/generate/record-info?taskId=none",
	} {
		if got := r.object(r.do(http.MethodGet, path, "key", nil)); got["code"] != 404.0 && got["code"] != 422.0 {
			t.Errorf("%s: %v, want code 404 or 422", name, got)
		}
	}
	if got := r.object(r.do(http.MethodGet, "/kie/api/v1/generate/record-info?taskId="+task, "other", nil)); got["code"] == 200.0 {
		t.Errorf("another account: %v, want a refusal", got)
	}
	if got := r.do(http.MethodGet, statusPath+task, "key", nil); got.status != 404 {
		t.Errorf("at MountSea: status %d, want 404", got.status)
	}
	if got := r.object(r.do(http.MethodGet, "/kie/api/v1/generate/extend", "key", nil)); got["code"] != 404.0 {
		t.Errorf("an unknown path: %v, want code 404", got)
	}
	if v := r.sim.Verdict(); v.WrongAccount != 1 || v.UnknownIDs != 1 || v.UnknownPaths != 1 {
		t.Errorf("%d of another account, %d unknown ids, %d unknown paths; want 1 each", v.WrongAccount, v.UnknownIDs, v.UnknownPaths)
	}
}
