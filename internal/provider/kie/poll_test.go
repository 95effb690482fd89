package kie_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
)

const (
	recordInfo = "GET /api/v1/generate/record-info?taskId=" + taskID
	jobInfo    = "GET /api/v1/jobs/recordInfo?taskId=" + taskID
)

// poll asks about the example task.
func poll(t *testing.T, e entry, a answer) (*provider.State, error) {
	t.Helper()
	d, _ := serve(t, e, nil, map[string]answer{recordInfo: a})
	return d.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "extend"})
}

// record is record-info's answer with the members given.
func record(members string) answer {
	return answer{200, `{"code":200,"msg":"success","data":{"taskId":"` + taskID + `","parentMusicId":"","param":"{}",` + members + `}}`}
}

const (
	camel = `{"id":"e231","audioUrl":"https://cdn.example/1.mp3","sourceAudioUrl":"https://src.example/1.mp3","streamAudioUrl":"https://cdn.example/1",` +
		`"imageUrl":"https://cdn.example/1.jpeg","prompt":"[Verse]","modelName":"chirp-v5","title":"Home","tags":"indie, rock","createTime":"2025-01-01 00:00:00","duration":198.44}`
	snake = `{"id":"e232","audio_url":"https://cdn.example/2.mp3","image_url":"https://cdn.example/2.jpeg","model_name":"chirp-v5","title":7,"tags":["x"],` +
		`"createTime":"2025-01-01 00:00:00","duration":"190"}`
)

var (
	first = provider.Track{
		AudioID: "e231", AudioURL: "https://cdn.example/1.mp3", ImageURL: "https://cdn.example/1.jpeg",
		Title: "Home", Tags: "indie, rock", Model: "chirp-v5", DurationSeconds: 198.44,
	}
	second = provider.Track{
		AudioID: "e232", AudioURL: "https://cdn.example/2.mp3", ImageURL: "https://cdn.example/2.jpeg", Title: "7", Model: "chirp-v5", DurationSeconds: 190,
	}
)

// quoted is a JSON text inside a JSON string.
func quoted(t *testing.T, text string) string {
	t.Helper()
	out, err := json.Marshal(text)
	if err != nil {
		t.Fatalf("quoting: %v", err)
	}
	return string(out)
}

func TestPollResults(t *testing.T) {
	both := `{"taskId":"` + taskID + `","sunoData":[` + camel + `,` + snake + `]}`
	half := `{"sunoData":[` + camel + `,{"id":"e232","audioUrl":"","streamAudioUrl":"https://cdn.example/2"}]}`
	cases := []struct {
		name string
		said answer
		want provider.State
	}{
		{"pending", record(`"status":"PENDING","response":null,"errorCode":null`), provider.State{Word: "PENDING"}},
		{"pending, nothing else", answer{200, `{"code":200,"data":{"status":"PENDING"}}`}, provider.State{Word: "PENDING"}},
		{"text", record(`"status":"TEXT_SUCCESS","response":{"sunoData":[]}`), provider.State{Word: "TEXT_SUCCESS"}},
		{"first", record(`"status":"FIRST_SUCCESS","response":` + half), provider.State{Word: "FIRST_SUCCESS", Tracks: []provider.Track{first}}},
		{"generating, as sunoapi's quickstart", record(`"status":"GENERATING"`), provider.State{Word: "GENERATING"}},
		{"both spellings", record(`"status":"SUCCESS","response":` + both), provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{first, second}}},
		{
			"task_id in capitals",
			answer{200, `{"code":200,"data":{"task_id":"5C79ABCD1234567890ABCDEF1234BE8E","status":"SUCCESS","response":` + both + `}}`},
			provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{first, second}},
		},
		{"response as a string", record(`"status":"SUCCESS","response":` + quoted(t, both)), provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{first, second}}},
		{"response.data", record(`"status":"SUCCESS","response":{"data":[` + snake + `]}`), provider.State{Done: true, Word: "SUCCESS", Tracks: []provider.Track{second}}},
		{
			"undeliverable callback, all there", record(`"status":"CALLBACK_EXCEPTION","response":` + both),
			provider.State{Done: true, Word: "CALLBACK_EXCEPTION", Tracks: []provider.Track{first, second}},
		},
		{
			"undeliverable callback, one there", record(`"status":"CALLBACK_EXCEPTION","response":` + half),
			provider.State{Word: "CALLBACK_EXCEPTION", Tracks: []provider.Track{first}},
		},
		{"undeliverable callback, nothing there", record(`"status":"CALLBACK_EXCEPTION","response":null,"errorCode":null`), provider.State{Word: "CALLBACK_EXCEPTION"}},
		{"a code beside a record", answer{200, `{"code":408,"msg":"late","data":{"status":"FIRST_SUCCESS","response":null}}`}, provider.State{Word: "FIRST_SUCCESS"}},
	}
	for _, tc := range cases {
		for name, e := range family {
			got, err := poll(t, e, tc.said)
			if name == "sunoapi" && strings.HasPrefix(tc.name, "a code") {
				continue // 408 is no outcome there
			}
			if diff := cmp.Diff(&tc.want, got); diff != "" || err != nil {
				t.Errorf("%s, %s: error %v (-want +got):\n%s", name, tc.name, err, diff)
			}
		}
	}
}

// TestPollFailures: the codes decide, the words are for people.
func TestPollFailures(t *testing.T) {
	made, none := fault.ChargeMade, fault.ChargeNone
	cases := []struct {
		providers string
		said      answer
		want      fields
		reason    string
	}{
		{"kie apikley sunoapi", record(`"status":"CREATE_TASK_FAILED"`), fields{"unavailable", made, 0}, "CREATE_TASK_FAILED"},
		{"kie apikley sunoapi", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":0,"errorMessage":null`), fields{"unavailable", made, 0}, "GENERATE_AUDIO_FAILED"},
		{"sunoapi", record(`"status":"FAILED","errorMessage":"Can't fetch the uploaded audio."`), fields{"unavailable", made, 0}, "FAILED: Can't fetch the uploaded audio."},
		{"kie apikley sunoapi", record(`"status":"SENSITIVE_WORD_ERROR"`), fields{"rejected", made, 0}, "SENSITIVE_WORD_ERROR"},
		{
			"kie apikley", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":400,"errorMessage":"x"`),
			fields{"rejected", made, 0},
			"GENERATE_AUDIO_FAILED: code 400: the lyrics contain copyrighted material: x",
		},
		{
			"sunoapi", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":400`),
			fields{"rejected", made, 0},
			"GENERATE_AUDIO_FAILED: code 400: the parameters, the format or the content were refused",
		},
		{
			"kie apikley", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":"408"`),
			fields{"timeout", made, 0},
			"GENERATE_AUDIO_FAILED: code 408: nothing came of it in time",
		},
		{
			"kie apikley", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":413,"errorMessage":"Uploaded audio matches existing work of art."`),
			fields{"rejected", made, 0},
			"GENERATE_AUDIO_FAILED: code 413: the audio matches an existing work: Uploaded audio matches existing work of art.",
		},
		{
			"kie apikley sunoapi", record(`"status":"CREATE_TASK_FAILED","errorCode":451`),
			fields{"not_found", made, 0},
			"CREATE_TASK_FAILED: code 451: the provider could not fetch the audio",
		},
		{"kie apikley sunoapi", record(`"status":"CREATE_TASK_FAILED","errorCode":500`), fields{"unavailable", made, 0}, "CREATE_TASK_FAILED: code 500"},
		{"kie apikley", record(`"status":"CREATE_TASK_FAILED","errorCode":501`), fields{"unavailable", made, 0}, "CREATE_TASK_FAILED: code 501: the generation failed"},
		{
			"kie apikley", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":531`),
			fields{"unavailable", none, 0},
			"GENERATE_AUDIO_FAILED: code 531: the generation failed, and the credits were refunded",
		},
		// A code that only relatives have is not believed: nothing is refunded.
		{"sunoapi", record(`"status":"GENERATE_AUDIO_FAILED","errorCode":531`), fields{"unavailable", made, 0}, "GENERATE_AUDIO_FAILED: code 531"},
		{"kie", record(`"status":"SENSITIVE_WORD_ERROR","errorCode":500`), fields{"rejected", made, 0}, "SENSITIVE_WORD_ERROR: code 500"},
		{"kie", record(`"status":"CALLBACK_EXCEPTION","errorCode":413`), fields{"rejected", made, 0}, "CALLBACK_EXCEPTION: code 413: the audio matches an existing work"},
		// The verdict of the answer, with the record and without.
		{
			"kie",
			answer{200, `{"code":531,"msg":"sorry","data":{"status":"GENERATE_AUDIO_FAILED"}}`},
			fields{"unavailable", none, 0},
			"GENERATE_AUDIO_FAILED: code 531: the generation failed, and the credits were refunded: sorry",
		},
		{"kie", answer{200, `{"code":413,"msg":"no","data":null}`}, fields{"rejected", made, 0}, "code 413: the audio matches an existing work: no"},
		{"kie", answer{200, `{"code":501}`}, fields{"unavailable", made, 0}, "code 501: the generation failed"},
		{"kie", answer{200, `{"code":531,"data":{}}`}, fields{"unavailable", none, 0}, "code 531: the generation failed, and the credits were refunded"},
		{
			"kie", record(`"status":"GENERATE_AUDIO_FAILED","errorMessage":"cannot fetch https://files.example/a.mp3?sig=Zm9v with ` + key + `"`),
			fields{"unavailable", made, 0},
			"GENERATE_AUDIO_FAILED: cannot fetch … with …",
		},
	}
	for _, tc := range cases {
		for name, e := range family {
			if !strings.Contains(tc.providers, name) {
				continue
			}
			got, err := poll(t, e, tc.said)
			if err != nil || !got.Done || got.Word == "" || got.Clip != nil || got.Tracks != nil {
				t.Errorf("%s, %s: %+v, %v; want done with a word and without results", name, tc.said.body, got, err)
				continue
			}
			if diff := cmp.Diff(tc.want, of(got.Failure)); diff != "" || fault.Reason(got.Failure) != tc.reason {
				t.Errorf("%s, %s: reason %q, want %q (-want +got):\n%s", name, tc.said.body, fault.Reason(got.Failure), tc.reason, diff)
			}
		}
	}
}

// TestPollRefusals: a question is free, whatever the answer.
func TestPollRefusals(t *testing.T) {
	cases := []struct {
		code      int
		kie, suno fields // the verdict in the body
		page      fields // the status alone
	}{
		{400, fields{"invalid", 1, 0}, fields{"invalid", 1, 0}, fields{"invalid", 1, 0}},
		{401, fields{"denied", 1, fault.ScopeAccount}, fields{"denied", 1, fault.ScopeAccount}, fields{"denied", 1, fault.ScopeAccount}},
		{402, fields{"exhausted", 1, fault.ScopeAccount}, fields{"exhausted", 1, fault.ScopeAccount}, fields{"exhausted", 1, fault.ScopeAccount}},
		{403, fields{"denied", 1, fault.ScopeAccount}, fields{"denied", 1, fault.ScopeAccount}, fields{"unavailable", 1, fault.ScopeEndpoint}},
		{404, fields{"not_found", 1, 0}, fields{"not_found", 1, 0}, fields{"not_found", 1, 0}},
		{405, fields{"invalid", 1, 0}, fields{"exhausted", 1, fault.ScopeEndpoint}, fields{"invalid", 1, 0}},
		{408, fields{"timeout", 1, 0}, fields{"timeout", 1, 0}, fields{"timeout", 1, 0}},
		{422, fields{"not_found", 1, 0}, fields{"not_found", 1, 0}, fields{"invalid", 1, 0}},
		{429, fields{"exhausted", 1, fault.ScopeEndpoint}, fields{"exhausted", 1, fault.ScopeAccount}, fields{"exhausted", 1, fault.ScopeEndpoint}},
		{451, fields{"not_found", 1, 0}, fields{"not_found", 1, 0}, fields{"not_found", 1, 0}},
		{455, fields{"unavailable", 1, fault.ScopeProvider}, fields{"unavailable", 1, fault.ScopeProvider}, fields{"unavailable", 1, fault.ScopeProvider}},
		{500, fields{"unavailable", 1, 0}, fields{"unavailable", 1, 0}, fields{"unavailable", 1, 0}},
		{502, fields{"unavailable", 1, 0}, fields{"unavailable", 1, 0}, fields{"unavailable", 1, 0}},
		{505, fields{"invalid", 1, 0}, fields{"invalid", 1, 0}, fields{"unavailable", 1, 0}},
	}
	for _, tc := range cases {
		for name, want := range map[string]fields{"kie": tc.kie, "apikley": tc.kie, "sunoapi": tc.suno} {
			_, err := poll(t, family[name], answer{200, `{"code":` + strconv.Itoa(tc.code) + `,"msg":"no","data":null}`})
			if diff := cmp.Diff(want, of(err)); diff != "" {
				t.Errorf("%s: code %d in the body of 200 (-want +got):\n%s", name, tc.code, diff)
			}
			_, err = poll(t, family[name], answer{tc.code, `<html>`})
			if diff := cmp.Diff(tc.page, of(err)); diff != "" {
				t.Errorf("%s: HTTP %d without a word of the API (-want +got):\n%s", name, tc.code, diff)
			}
		}
	}
}

func TestPollMalformed(t *testing.T) {
	cases := []struct {
		name string
		said answer
	}{
		{"no data", answer{200, `{"code":200,"msg":"success"}`}},
		{"null", answer{200, `{"code":200,"msg":"success","data":null}`}},
		{"data of another type", answer{200, `{"code":200,"data":"gone"}`}},
		{"no status", record(`"response":{"sunoData":[` + camel + `]}`)},
		{"status of another type", record(`"status":{"x":1}`)},
		{"an unknown word", record(`"status":"DONE","response":{"sunoData":[` + camel + `]}`)},
		{"a word of another family", record(`"status":"completed"`)},
		{"no response", record(`"status":"SUCCESS","response":null`)},
		{"no tracks", record(`"status":"SUCCESS","response":{"sunoData":[]}`)},
		{"tracks of another type", record(`"status":"SUCCESS","response":{"sunoData":"none"}`)},
		{"a broken string", record(`"status":"SUCCESS","response":"{\"sunoData\":["`)},
		{"a track without address", record(`"status":"SUCCESS","response":{"sunoData":[` + camel + `,{"id":"e232"}]}`)},
		{"a track with its source alone", record(`"status":"SUCCESS","response":{"sunoData":[{"id":"e232","sourceAudioUrl":"https://src.example/1.mp3"}]}`)},
		{"a track without id", record(`"status":"SUCCESS","response":{"sunoData":[{"audioUrl":"https://cdn.example/1.mp3"}]}`)},
		{"another task", answer{200, strings.Replace(record(`"status":"SUCCESS","response":{"sunoData":[`+camel+`]}`).body, "5c79", "0000", 1)}},
		{"an unlisted code", answer{200, `{"code":599,"data":{"status":"SUCCESS","response":{"sunoData":[` + camel + `]}}}`}},
	}
	for _, tc := range cases {
		for name, e := range family {
			got, err := poll(t, e, tc.said)
			if diff := cmp.Diff(fields{"malformed", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || got != nil {
				t.Errorf("%s, %s: %+v, %v (-want +got):\n%s", name, tc.name, got, err, diff)
			}
			if want := name + ".Poll: "; err != nil && !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s, %s: %v, want it to begin with %q", name, tc.name, err, want)
			}
		}
	}
}

func TestPollOfTheJobsRoute(t *testing.T) {
	songs := `{"data":[` + snake + `]}`
	job := func(members string) string {
		return `{"code":200,"msg":"success","data":{"taskId":"` + taskID + `","model":"ai-music-api/upload-and-extend-audio",` + members + `,"costTime":65,"creditsConsumed":12}}`
	}
	running := []struct{ word, body string }{
		{"waiting", job(`"state":"waiting","resultJson":""`)},
		{"queuing", job(`"state":"queuing","resultJson":null`)},
		{"generating", job(`"state":"generating"`)},
	}
	ask := func(body string) (*provider.State, error) {
		d, _ := serve(t, kie.KIE, nil, map[string]answer{jobInfo: {200, body}})
		return d.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "extend", Checkpoint: []byte(`{"route":"jobs"}`)})
	}
	for _, tc := range running {
		got, err := ask(tc.body)
		if diff := cmp.Diff(&provider.State{Word: tc.word}, got); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.word, err, diff)
		}
	}
	for _, result := range []string{songs, quoted(t, songs)} {
		got, err := ask(job(`"state":"success","resultJson":` + result))
		if diff := cmp.Diff(&provider.State{Done: true, Word: "success", Tracks: []provider.Track{second}}, got); diff != "" || err != nil {
			t.Errorf("resultJson %s: error %v (-want +got):\n%s", result, err, diff)
		}
	}
	if _, err := ask(job(`"state":"success","resultJson":"{\"resultUrls\":[]}"`)); fault.CodeOf(err) != fault.Malformed {
		t.Errorf("success without songs: %v, want malformed", err)
	}
	got, err := ask(job(`"state":"fail","failCode":"400","failMsg":"upstream said no"`))
	if err != nil || !got.Done || of(got.Failure) != (fields{"rejected", fault.ChargeMade, 0}) {
		t.Errorf("failure: %+v, %v; want rejected, charged", got, err)
	}
}

// TestTheRouteIsRemembered: a task is asked about where it was ordered, also
// after the setting was changed; one that a person names, where the setting says.
func TestTheRouteIsRemembered(t *testing.T) {
	pending := answer{200, `{"code":200,"data":{"status":"PENDING","state":"waiting"}}`}
	for ordered, routes := range map[string][2]string{"legacy": {legacyRoute, recordInfo}, "jobs": {jobsRoute, jobInfo}} {
		d, _ := serve(t, kie.KIE, map[string]string{"route": ordered}, map[string]answer{routes[0]: {200, accepted}})
		a, err := d.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{URL: fileURL}})
		if err != nil {
			t.Fatalf("%s: Extend: %v", ordered, err)
		}
		for now, unsaid := range map[string]string{"legacy": recordInfo, "jobs": jobInfo} {
			d, got := serve(t, kie.KIE, map[string]string{"route": now}, map[string]answer{recordInfo: pending, jobInfo: pending})
			_, err1 := d.Poll(t.Context(), &provider.Operation{ID: a.OperationID, Step: "extend", Checkpoint: a.Checkpoint})
			_, err2 := d.Poll(t.Context(), &provider.Operation{ID: a.OperationID, Step: "extend"})
			if err1 != nil || err2 != nil || len(*got) != 2 || (*got)[0].Route != routes[1] || (*got)[1].Route != unsaid {
				t.Errorf("ordered by %s, asked by %s: %v, %v, %v; want %s and %s", ordered, now, *got, err1, err2, routes[1], unsaid)
			}
		}
	}
}

func TestWhatCannotBeAskedAbout(t *testing.T) {
	d, got := serve(t, kie.KIE, nil, nil)
	for _, o := range []provider.Operation{{Step: "extend"}, {ID: taskID}, {ID: taskID, Step: "upload"}} {
		if _, err := d.Poll(t.Context(), &o); of(err) != (fields{"invalid", fault.ChargeNone, fault.ScopeItem}) {
			t.Errorf("Poll of %+v: %v, want invalid, not charged", o, err)
		}
	}
	if len(*got) != 0 {
		t.Errorf("requests %v, want none", *got)
	}
}
