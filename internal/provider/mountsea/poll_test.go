package mountsea_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// poll asks about the example task and takes the failure out of the state, so
// that the rest can be compared.
func poll(t *testing.T, step, body string) (*provider.State, error) {
	t.Helper()
	d, _ := serve(t, map[string]answer{"GET /api/suno/v2/status?taskId=" + taskID: {200, body}})
	return d.Poll(t.Context(), &provider.Operation{ID: taskID, Step: step})
}

const uploaded = `{
  "taskId": "833c3d28-7948-42b8-9d4c-4c145bddfbf5",
  "status": "success",
  "data": {
    "id": "e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c",
    "status": "complete",
    "audio_url": "https://cdn1.suno.ai/e9fe2c0e.mp3",
    "image_url": "https://cdn2.suno.ai/e9fe2c0e.jpeg",
    "has_vocal": true,
    "display_tags": "indie pop, electronic pop, male vocals"
  }
}`

const generated = `{"taskId":"833C3D28-7948-42B8-9D4C-4C145BDDFBF5","status":"success","createdAt":"2026-11-22T10:00:00Z","finishAt":"2026-11-22T10:01:10Z","data":[
  {"id":"4595e4da-af12-4c24-a013-9cfd11db7d50","audio_url":"https://cdn1.suno.ai/a.mp3","image_url":"https://cdn2.suno.ai/a.jpeg","title":"Home","metadata":{"tags":"indie pop","duration":71.36}},
  {"id":"17b6a3f2-0000-4000-8000-000000000002","audio_url":"https://cdn1.suno.ai/b.mp3","image_url":null,"title":7,"metadata":{"tags":["x"],"duration":"69.5"}}]}`

func TestPollResults(t *testing.T) {
	first := provider.Track{
		AudioID: "4595e4da-af12-4c24-a013-9cfd11db7d50", AudioURL: "https://cdn1.suno.ai/a.mp3", ImageURL: "https://cdn2.suno.ai/a.jpeg",
		Title: "Home", Tags: "indie pop", DurationSeconds: 71.36,
	}
	second := provider.Track{AudioID: "17b6a3f2-0000-4000-8000-000000000002", AudioURL: "https://cdn1.suno.ai/b.mp3", Title: "7", DurationSeconds: 69.5}
	cases := []struct {
		name, step, body string
		want             provider.State
	}{
		{"upload", "upload", uploaded, provider.State{
			Done: true, Word: "success", Clip: &provider.Clip{ID: "e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c", URL: "https://cdn1.suno.ai/e9fe2c0e.mp3"},
		}},
		{"upload, id only", "upload", `{"status":"success","data":{"id":"c-1"}}`, provider.State{Done: true, Word: "success", Clip: &provider.Clip{ID: "c-1"}}},
		{"extend", "extend", generated, provider.State{Done: true, Word: "success", Tracks: []provider.Track{first, second}}},
		{"queued", "extend", `{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","status":"queued","data":null}`, provider.State{Word: "queued"}},
		{"ready", "extend", `{"status":"ready"}`, provider.State{Word: "ready"}},
		{"running", "extend", `{"status":"running","data":{}}`, provider.State{Word: "running"}},
		{"awaiting", "extend", `{"status":"awaiting","data":[]}`, provider.State{Word: "awaiting"}},
		{
			"stream", "extend", `{"status":"stream","data":[{"id":"4595e4da-af12-4c24-a013-9cfd11db7d50","audio_url":"https://cdn1.suno.ai/a.mp3"},{"id":"later"}]}`,
			provider.State{Word: "stream", Tracks: []provider.Track{{AudioID: "4595e4da-af12-4c24-a013-9cfd11db7d50", AudioURL: "https://cdn1.suno.ai/a.mp3"}}},
		},
		{"an upload that runs", "upload", `{"status":"running","data":{"id":"c-1"}}`, provider.State{Word: "running"}},
	}
	for _, tc := range cases {
		got, err := poll(t, tc.step, tc.body)
		if diff := cmp.Diff(&tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
	}
}

func TestPollFailures(t *testing.T) {
	cases := []struct {
		body   string
		want   fields
		reason string
	}{
		{
			`{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","status":"failed","failCode":4001,"failReason":"Audio source not found."}`,
			fields{"not_found", fault.ChargeMade, fault.ScopeItem},
			"failed: failCode 4001: Audio source not found.",
		},
		{`{"status":"failed","failCode":"4001"}`, fields{"not_found", fault.ChargeMade, fault.ScopeItem}, "failed: failCode 4001"},
		{
			`{"status":"failed","failReason":"Uploaded audio matches existing work of art"}`,
			fields{"rejected", fault.ChargeMade, fault.ScopeItem},
			"failed: Uploaded audio matches existing work of art",
		},
		// Only the code decides: these words with another code are another thing.
		{
			`{"status":"failed","failCode":5000,"failReason":"Audio source not found."}`,
			fields{"rejected", fault.ChargeMade, fault.ScopeItem},
			"failed: failCode 5000: Audio source not found.",
		},
		{`{"status":"failed"}`, fields{"rejected", fault.ChargeMade, fault.ScopeItem}, "failed"},
		{`{"status":"timeout","data":[]}`, fields{"timeout", fault.ChargeMade, fault.ScopeItem}, "timeout"},
		{
			`{"status":"failed","failReason":"cannot fetch https://files.example/a.mp3?sig=Zm9v with ` + key + `"}`,
			fields{"rejected", fault.ChargeMade, fault.ScopeItem},
			"failed: cannot fetch … with …",
		},
	}
	for _, tc := range cases {
		for _, step := range []string{"upload", "extend"} {
			got, err := poll(t, step, tc.body)
			if err != nil || !got.Done || got.Clip != nil || got.Tracks != nil {
				t.Errorf("%s of %s: %+v, %v; want done without results", step, tc.body, got, err)
				continue
			}
			if diff := cmp.Diff(tc.want, of(got.Failure)); diff != "" || fault.Reason(got.Failure) != tc.reason {
				t.Errorf("%s of %s: reason %q, want %q (-want +got):\n%s", step, tc.body, fault.Reason(got.Failure), tc.reason, diff)
			}
		}
	}
}

func TestPollMalformed(t *testing.T) {
	cases := []struct{ name, step, body string }{
		{"no status", "upload", `{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","data":{"id":"c-1"}}`},
		{"unknown status", "upload", `{"status":"complete","data":{"id":"c-1"}}`},
		{"status of another product", "extend", `{"status":"succeeded","data":[{"id":"a","audio_url":"https://x.example/a.mp3"}]}`},
		{"upper case", "extend", `{"status":"SUCCESS","data":[{"id":"a","audio_url":"https://x.example/a.mp3"}]}`},
		{"upload without data", "upload", `{"status":"success"}`},
		{"upload without id", "upload", `{"status":"success","data":{"audio_url":"https://x.example/a.mp3"}}`},
		{"upload answered as a session", "upload", `{"status":"success","data":{"audioIds":["e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"]}}`},
		{"upload answered as a list", "upload", `{"status":"success","data":[{"id":"a"}]}`},
		{"extend without data", "extend", `{"status":"success"}`},
		{"extend with no clips", "extend", `{"status":"success","data":[]}`},
		{"extend with null", "extend", `{"status":"success","data":null}`},
		{"extend answered as an object", "extend", `{"status":"success","data":{"id":"a","audio_url":"https://x.example/a.mp3"}}`},
		{"a clip without address", "extend", `{"status":"success","data":[{"id":"a","audio_url":"https://x.example/a.mp3"},{"id":"b"}]}`},
		{"a clip without id", "extend", `{"status":"success","data":[{"audio_url":"https://x.example/a.mp3"}]}`},
		{"another task", "upload", strings.Replace(uploaded, "833c3d28", "00000000", 1)},
		{"status of another type", "upload", `{"status":{"x":1}}`},
	}
	for _, tc := range cases {
		got, err := poll(t, tc.step, tc.body)
		if diff := cmp.Diff(fields{"malformed", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || got != nil {
			t.Errorf("%s: %+v, %v (-want +got):\n%s", tc.name, got, err, diff)
		}
		var f *fault.Error
		if errors.As(err, &f) && f.Op != "mountsea.Poll" {
			t.Errorf("%s: op %q, want mountsea.Poll", tc.name, f.Op)
		}
	}
}
