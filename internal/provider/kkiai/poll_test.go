package kkiai_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

const (
	statusPath     = "GET /suno/uploads/audio/" + uploadID
	initializePath = "POST /suno/uploads/audio/" + uploadID + "/initialize-clip"
	fetchPath      = "GET /suno/fetch/" + taskID
)

var (
	theUpload = &provider.Operation{ID: uploadID, Step: "upload"}
	theTask   = &provider.Operation{ID: taskID, Step: "extend"}
)

func TestPollUpload(t *testing.T) {
	clip := &provider.Clip{ID: clipID}
	good := answer{200, `{"clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"}`}
	cases := []struct {
		name, status string
		initialize   answer
		want         provider.State
	}{
		{"processing", `{"id":"5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841","status":"processing","error_message":null,"s3_id":null,"title":"","image_url":null}`, answer{}, provider.State{Word: "processing"}},
		{"past the first check", `{"status":"passed_audio_processing"}`, answer{}, provider.State{Word: "passed_audio_processing"}},
		{"past the second check", `{"code":"success","data":{"status":"passed_artist_moderation"}}`, answer{}, provider.State{Word: "passed_artist_moderation"}},
		{"complete", `{"id":"5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841","status":"complete","error_message":null,"s3_id":"m_1"}`, good, provider.State{Done: true, Word: "complete", Clip: clip}},
		{"completed", `{"status":"completed"}`, good, provider.State{Done: true, Word: "completed", Clip: clip}},
		{"in an envelope", `{"data":{"status":"complete"}}`, answer{200, `{"code":"success","data":{"clipId":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"}}`}, provider.State{Done: true, Word: "complete", Clip: clip}},
		{"not yet", `{"status":"complete"}`, answer{400, `{"detail":"Upload is still processing"}`}, provider.State{Word: "complete, but initialize-clip answers 400"}},
		{"not yet, by the gateway", `{"status":"complete"}`, answer{400, `{"code":"invalid_request","message":"not processed","data":null}`}, provider.State{Word: "complete, but initialize-clip answers 400"}},
		{"not yet, or taken for a robot", `{"status":"complete"}`, answer{400, ``}, provider.State{Word: "complete, but initialize-clip answers 400"}},
	}
	for _, tc := range cases {
		s := serve(t, nil, map[string][]answer{statusPath: {{200, tc.status}}, initializePath: {tc.initialize}})
		got, err := s.Poll(t.Context(), theUpload)
		if diff := cmp.Diff(&tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
		want := []asked{{statusPath, "Bearer " + key, ""}}
		if tc.initialize.status != 0 {
			want = append(want, asked{initializePath, "Bearer " + key, `{}`})
		}
		if diff := cmp.Diff(want, s.got); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestPollUploadFailure(t *testing.T) {
	for body, reason := range map[string]string{
		`{"status":"error","error_message":"Uploaded audio matches existing work of art"}`:                   "error: Uploaded audio matches existing work of art",
		`{"status":"error","error_message":null}`:                                                            "error: no reason given",
		`{"status":"error","error_message":"cannot read https://s3.example/a?sig=Zm9v with ` + key + ` ok"}`: "error: cannot read … with … ok",
		`{"data":{"status":"error","error_message":{"x":1}}}`:                                                "error: no reason given",
	} {
		s := serve(t, nil, map[string][]answer{statusPath: {{200, body}}})
		got, err := s.Poll(t.Context(), theUpload)
		if err != nil || !got.Done || got.Clip != nil || got.Word != "error" {
			t.Errorf("%s: %+v, %v; want done without a clip", body, got, err)
			continue
		}
		if diff := cmp.Diff(fields{"rejected", fault.ChargeNone, fault.ScopeItem}, of(got.Failure)); diff != "" || fault.Reason(got.Failure) != reason {
			t.Errorf("%s: reason %q, want %q (-want +got):\n%s", body, fault.Reason(got.Failure), reason, diff)
		}
	}
}

// TestInitializeClipRefuses: only 400 is not yet.
func TestInitializeClipRefuses(t *testing.T) {
	none := fault.ChargeNone
	cases := []struct {
		answer answer
		want   fields
	}{
		{answer{401, ``}, fields{"denied", none, fault.ScopeAccount}},
		{answer{402, ``}, fields{"exhausted", none, fault.ScopeAccount}},
		{answer{403, ``}, fields{"denied", none, fault.ScopeAccount}},
		{answer{404, ``}, fields{"not_found", none, fault.ScopeItem}},
		{answer{409, ``}, fields{"conflict", none, fault.ScopeItem}},
		{answer{422, ``}, fields{"invalid", none, fault.ScopeItem}},
		{answer{429, ``}, fields{"exhausted", none, fault.ScopeEndpoint}},
		{answer{500, ``}, fields{"unavailable", none, fault.ScopeItem}},
		{answer{400, `{"code":"task_not_exist"}`}, fields{"not_found", none, fault.ScopeItem}},
		{answer{200, `{}`}, fields{"malformed", none, fault.ScopeItem}},
		{answer{200, `{"clip_id":""}`}, fields{"malformed", none, fault.ScopeItem}},
		{answer{200, `{"id":"5d03b3ba"}`}, fields{"malformed", none, fault.ScopeItem}},
		{answer{200, `<html>`}, fields{"malformed", none, fault.ScopeItem}},
	}
	for _, tc := range cases {
		s := serve(t, nil, map[string][]answer{statusPath: {{200, `{"status":"complete"}`}}, initializePath: {tc.answer}})
		got, err := s.Poll(t.Context(), theUpload)
		if diff := cmp.Diff(tc.want, of(err)); diff != "" || got != nil {
			t.Errorf("initialize-clip answers %d %s: %+v, %v (-want +got):\n%s", tc.answer.status, tc.answer.body, got, err, diff)
		}
	}
}

// fetched wraps a task as the fetch page's relatives do.
func fetched(task string) string { return `{"code":"success","message":"","data":` + task + `}` }

const finishedTask = `{"task_id":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","notify_hook":"","action":"MUSIC","status":"SUCCESS","fail_reason":"","submit_time":1763805600,"start_time":1763805601,"finish_time":1763805660,"progress":"100%","data":[
  {"id":"4595e4da-af12-4c24-a013-9cfd11db7d50","status":"complete","title":"Home","audio_url":"https://cdn1.suno.ai/a.mp3","video_url":"","image_url":"https://cdn2.suno.ai/a.jpeg","model_name":"chirp-v4","metadata":{"tags":"indie pop","duration":71.36,"error_message":null}},
  {"clip_id":"17b6a3f2-0000-4000-8000-000000000002","state":"succeeded","title":7,"audio_url":"https://cdn1.suno.ai/b.mp3","image_large_url":"https://cdn2.suno.ai/b.jpeg","duration":"69.5","metadata":"?"}]}`

var (
	first = provider.Track{
		AudioID: "4595e4da-af12-4c24-a013-9cfd11db7d50", AudioURL: "https://cdn1.suno.ai/a.mp3", ImageURL: "https://cdn2.suno.ai/a.jpeg",
		Title: "Home", Tags: "indie pop", Model: "chirp-v4", DurationSeconds: 71.36,
	}
	second = provider.Track{
		AudioID: "17b6a3f2-0000-4000-8000-000000000002", AudioURL: "https://cdn1.suno.ai/b.mp3", ImageURL: "https://cdn2.suno.ai/b.jpeg",
		Title: "7", DurationSeconds: 69.5,
	}
)

func TestPollTask(t *testing.T) {
	cases := []struct {
		name, task string
		want       provider.State
	}{
		{"not started", `{"task_id":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","status":"NOT_START","data":null}`, provider.State{Word: "NOT_START"}},
		{"submitted", `{"status":"SUBMITTED","data":[]}`, provider.State{Word: "SUBMITTED"}},
		{"queued", `{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","status":"QUEUED"}`, provider.State{Word: "QUEUED"}},
		{"not known to the gateway", `{"status":"UNKNOWN","data":{}}`, provider.State{Word: "UNKNOWN"}},
		{
			"in progress, the first clip streaming", `{"status":"IN_PROGRESS","data":[{"id":"a","status":"streaming","audio_url":"https://x.example/a"},{"id":"b","status":"queued","audio_url":""}]}`,
			provider.State{Word: "IN_PROGRESS", Tracks: []provider.Track{{AudioID: "a", AudioURL: "https://x.example/a"}}},
		},
		{"success", finishedTask, provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{first, second}}},
		{
			"success with one bad clip", `{"status":"SUCCESS","data":[{"id":"a","status":"error"},{"id":"b","status":"complete","audio_url":"https://x.example/b"}]}`,
			provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{{AudioID: "b", AudioURL: "https://x.example/b"}}},
		},
	}
	for _, tc := range cases {
		s := serve(t, nil, map[string][]answer{fetchPath: {{200, fetched(tc.task)}}})
		got, err := s.Poll(t.Context(), theTask)
		if diff := cmp.Diff(&tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
		if diff := cmp.Diff([]asked{{fetchPath, "Bearer " + key, ""}}, s.got); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestPollTaskShownAsItsID: kkiai's own page has the bare id; then the list is
// asked.
func TestPollTaskShownAsItsID(t *testing.T) {
	const other = `{"task_id":"other","status":"SUCCESS","data":[{"id":"x","audio_url":"https://x.example/x"}]}`
	cases := []struct {
		name, list string
		want       *provider.State
	}{
		{"in the list", `{"code":"success","data":[` + other + `,` + finishedTask + `]}`, &provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{first, second}}},
		{"running", `{"data":[{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","status":"IN_PROGRESS"}]}`, &provider.State{Word: "IN_PROGRESS"}},
		{"not in the list yet", `{"code":"success","data":[` + other + `]}`, &provider.State{Word: "SUBMITTED"}},
		{"no list", `{"code":"success","data":null}`, &provider.State{Word: "SUBMITTED"}},
		{"not a list", `{"code":"success","data":{"task_id":"x"}}`, nil},
	}
	for _, tc := range cases {
		s := serve(t, nil, map[string][]answer{fetchPath: {{200, fetched(`"` + taskID + `"`)}}, "POST /suno/fetch": {{200, tc.list}}})
		got, err := s.Poll(t.Context(), theTask)
		if diff := cmp.Diff(tc.want, got); diff != "" || (err == nil) != (tc.want != nil) {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
		want := asked{"POST /suno/fetch", "Bearer " + key, `{"ids":["833c3d28-7948-42b8-9d4c-4c145bddfbf5"],"action":"MUSIC"}`}
		if len(s.got) != 2 || s.got[1] != want {
			t.Errorf("%s: requests %v, want the list asked with %v", tc.name, s.got, want)
		}
	}
}

func TestPollTaskFailures(t *testing.T) {
	cases := []struct {
		task, reason string
	}{
		{`{"status":"FAILURE","fail_reason":"Uploaded audio matches existing work of art","data":[]}`, "failed: Uploaded audio matches existing work of art"},
		{`{"status":"FAILURE","failReason":"lyrics refused"}`, "failed: lyrics refused"},
		{`{"status":"FAILURE","fail_reason":"","data":[{"id":"a","status":"error","metadata":{"error_message":"moderation_failure"}}]}`, "failed: moderation_failure"},
		{`{"status":"FAILURE","data":null}`, "failed: no reason given"},
		{`{"status":"FAILURE","fail_reason":"POST https://x.example/?k=1 with ` + key + ` said no"}`, "failed: POST … with … said no"},
		{`{"status":"SUCCESS","data":[{"id":"a","status":"error","metadata":{"error_message":"bad audio"}},{"id":"b","status":"error"}]}`, "failed: bad audio"},
	}
	for option, charge := range map[string]fault.Charge{"no": fault.ChargeMade, "yes": fault.ChargeNone} {
		for _, tc := range cases {
			s := serve(t, map[string]string{"refunds": option}, map[string][]answer{fetchPath: {{200, fetched(tc.task)}}})
			got, err := s.Poll(t.Context(), theTask)
			if err != nil || !got.Done || got.Tracks != nil {
				t.Errorf("%s: %+v, %v; want done without tracks", tc.task, got, err)
				continue
			}
			if diff := cmp.Diff(fields{"rejected", charge, fault.ScopeItem}, of(got.Failure)); diff != "" || fault.Reason(got.Failure) != tc.reason {
				t.Errorf("%s with refunds %s: reason %q, want %q (-want +got):\n%s", tc.task, option, fault.Reason(got.Failure), tc.reason, diff)
			}
		}
	}
}

func TestPollMalformed(t *testing.T) {
	uploads := []string{
		`{}`, `{"status":""}`, `{"status":"COMPLETE"}`, `{"status":"success"}`, `{"status":{"x":1}}`, `{"id":"5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841"}`, `[]`,
		`{"id":"00000000-cd9e-42cf-ae5b-cf15b3b24841","status":"complete"}`, `{"data":{"id":"00000000","status":"complete"}}`,
	}
	for _, body := range uploads {
		s := serve(t, nil, map[string][]answer{statusPath: {{200, body}}})
		got, err := s.Poll(t.Context(), theUpload)
		if diff := cmp.Diff(fields{"malformed", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || got != nil {
			t.Errorf("upload, %s: %+v, %v (-want +got):\n%s", body, got, err, diff)
		}
	}
	tasks := map[string]string{
		"no data":                     `{"code":"success","message":""}`,
		"null":                        fetched(`null`),
		"a list":                      fetched(`[` + finishedTask + `]`),
		"another task's bare id":      fetched(`"other"`),
		"another task":                fetched(strings.Replace(finishedTask, "833c3d28", "00000000", 1)),
		"no status":                   fetched(`{"task_id":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","data":[{"id":"a","audio_url":"https://x.example/a"}]}`),
		"lower case, as others do":    fetched(strings.Replace(finishedTask, `"SUCCESS"`, `"success"`, 1)),
		"another gateway's word":      fetched(strings.Replace(finishedTask, `"SUCCESS"`, `"complete"`, 1)),
		"success without clips":       fetched(`{"status":"SUCCESS","data":[]}`),
		"success with null":           fetched(`{"status":"SUCCESS","data":null}`),
		"success with an object":      fetched(`{"status":"SUCCESS","data":{"id":"a","audio_url":"https://x.example/a"}}`),
		"success with half a clip":    fetched(`{"status":"SUCCESS","data":[{"id":"a","audio_url":"https://x.example/a"},{"id":"b"}]}`),
		"success with a nameless one": fetched(`{"status":"SUCCESS","data":[{"audio_url":"https://x.example/a"}]}`),
	}
	for name, body := range tasks {
		s := serve(t, nil, map[string][]answer{fetchPath: {{200, body}}})
		got, err := s.Poll(t.Context(), theTask)
		if diff := cmp.Diff(fields{"malformed", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || got != nil {
			t.Errorf("task, %s: %+v, %v (-want +got):\n%s", name, got, err, diff)
		}
	}
}
