package kkiai_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kkiai"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const (
	uploadID = "5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841"
	clipID   = "e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"
	taskID   = "833c3d28-7948-42b8-9d4c-4c145bddfbf5"
)

// answer is what a route says.
type answer struct {
	status int
	body   string
}

// asked is a request as it arrived.
type asked struct {
	Route, Auth, Body string
}

// server answers by route: each answer of a route once, the last one from then
// on. HOST in an answer is its own address. A route that is not listed fails the
// test.
type server struct {
	provider.Driver
	routes map[string][]answer
	got    []asked
}

func serve(t *testing.T, options map[string]string, routes map[string][]answer) *server {
	t.Helper()
	s := &server{routes: routes}
	host := httptest.NewServer(nil)
	host.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		if r.ContentLength < 0 {
			t.Errorf("%s came in chunks", r.URL.Path)
		}
		route := r.Method + " " + r.URL.RequestURI()
		s.got = append(s.got, asked{route, r.Header.Get("Authorization"), string(body)})
		left := s.routes[route]
		if len(left) == 0 {
			t.Errorf("unexpected request %s", route)
			return
		}
		if len(left) > 1 {
			s.routes[route] = left[1:]
		}
		w.WriteHeader(left[0].status)
		_, _ = io.WriteString(w, strings.ReplaceAll(left[0].body, "HOST", host.URL))
	})
	t.Cleanup(host.Close)
	tr := rest.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	s.Driver = open(t, host.URL, &http.Client{Transport: tr}, options)
	return s
}

func (s *server) paths() []string {
	var paths []string
	for _, a := range s.got {
		paths = append(paths, a.Route)
	}
	return paths
}

// fields is what a handler acts on.
type fields struct {
	Code   fault.Code
	Charge fault.Charge
	Scope  fault.Scope
}

func of(err error) fields {
	var f *fault.Error
	if !errors.As(err, &f) {
		return fields{}
	}
	return fields{f.Code, f.Charge, f.Scope}
}

func TestExtendRequest(t *testing.T) {
	clip := provider.Clip{ID: clipID}
	cases := []struct {
		name    string
		options map[string]string
		request provider.Extend
		want    string
	}{
		{
			"kkiai's own example", nil,
			provider.Extend{Clip: clip, Params: provider.Params{ContinueAt: 10, Prompt: "lyrics", Title: "title"}},
			`{"task":"upload_extend","mv":"chirp-v4","continue_clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","continue_at":10,` +
				`"prompt":"lyrics","title":"title","tags":"","negative_tags":""}`,
		},
		{
			"everything",
			map[string]string{"task_id": "origin-1", "continue_at": "float"},
			provider.Extend{Clip: clip, CallbackURL: "https://segue.example/callbacks/kkiai/t?x=1&y=2", Params: provider.Params{
				Model: "chirp-v5", ContinueAt: 60.25, Prompt: "over the <hill>", Style: "indie pop", Title: "Home",
				NegativeTags: "metal", VocalGender: "f", PersonaID: "p-1",
			}},
			`{"task":"upload_extend","mv":"chirp-v5","continue_clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","continue_at":60.25,` +
				`"prompt":"over the <hill>","title":"Home","tags":"indie pop","negative_tags":"metal","vocal_gender":"f","persona_id":"p-1",` +
				`"task_id":"origin-1","notify_hook":"https://segue.example/callbacks/kkiai/t?x=1&y=2"}`,
		},
		{
			"whole seconds, instrumental", nil,
			provider.Extend{Clip: clip, Params: provider.Params{ContinueAt: 60.99, Title: "Home", Instrumental: true}},
			`{"task":"upload_extend","mv":"chirp-v4","continue_clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","continue_at":60,` +
				`"prompt":"","title":"Home","tags":"","negative_tags":"","make_instrumental":true}`,
		},
		{
			"less than a whole second, from its own clip",
			map[string]string{"continue_at": "integer", "task_id": "clip"},
			provider.Extend{Clip: clip, Params: provider.Params{ContinueAt: 0.4, Prompt: "la", Title: "Home"}},
			`{"task":"upload_extend","mv":"chirp-v4","continue_clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","continue_at":1,` +
				`"prompt":"la","title":"Home","tags":"","negative_tags":"","task_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"}`,
		},
	}
	for _, tc := range cases {
		s := serve(t, tc.options, map[string][]answer{"POST /suno/submit/music": {{200, `{"code":"success","data":"833c3d28-7948-42b8-9d4c-4c145bddfbf5","message":""}`}}})
		accepted, err := s.Extend(t.Context(), &tc.request)
		if diff := cmp.Diff(&provider.Accepted{OperationID: taskID}, accepted); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
		if diff := cmp.Diff([]asked{{"POST /suno/submit/music", "Bearer " + key, tc.want}}, s.got); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestExtendAnswers: whatever names the task is taken, since it was paid for.
func TestExtendAnswers(t *testing.T) {
	for body, want := range map[string]string{
		`{"code":"success","data":"t-1","message":""}`: "t-1",
		`{"data":"t-1"}`:                                "t-1",
		`{"code":200,"data":{"task_id":"t-1"}}`:         "t-1",
		`{"code":"success","data":{"taskId":"t-1"}}`:    "t-1",
		`{"code":"success","data":1234567890123456789}`: "1234567890123456789",
	} {
		s := serve(t, nil, map[string][]answer{"POST /suno/submit/music": {{200, body}}})
		accepted, err := s.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{ID: clipID}})
		if err != nil || accepted.OperationID != want {
			t.Errorf("answer %s: %+v, %v; want %q", body, accepted, err, want)
		}
	}
	for _, body := range []string{`{}`, `[]`, ``, `<html>`, `"t-1"`, `{"code":"success","data":null}`, `{"code":"success","data":""}`, `{"code":"success","data":{}}`, `{"code":"success","data":["t-1"]}`} {
		s := serve(t, nil, map[string][]answer{"POST /suno/submit/music": {{200, body}}})
		accepted, err := s.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{ID: clipID}})
		if diff := cmp.Diff(fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}, of(err)); diff != "" || accepted != nil {
			t.Errorf("answer %s: %+v, %v (-want +got):\n%s", body, accepted, err, diff)
		}
	}
}

// TestRefusals has every documented code, as HTTP status and in the body, for the
// paid request and for the free ones.
func TestRefusals(t *testing.T) {
	none, unknown := fault.ChargeNone, fault.ChargeUnknown
	cases := []struct {
		status int
		code   string // in the body; empty answers with a page
		want   fields
	}{
		{400, "", fields{"invalid", none, fault.ScopeItem}},
		{401, "", fields{"denied", none, fault.ScopeAccount}},
		{402, "", fields{"exhausted", none, fault.ScopeAccount}},
		{403, "", fields{"denied", none, fault.ScopeAccount}},
		{404, "", fields{"not_found", none, fault.ScopeItem}},
		{405, "", fields{"invalid", none, fault.ScopeItem}},
		{408, "", fields{"timeout", unknown, fault.ScopeItem}},
		{409, "", fields{"conflict", unknown, fault.ScopeItem}},
		{413, "", fields{"invalid", none, fault.ScopeItem}},
		{422, "", fields{"invalid", none, fault.ScopeItem}},
		{429, "", fields{"exhausted", none, fault.ScopeEndpoint}},
		{455, "", fields{"unavailable", none, fault.ScopeProvider}},
		{500, "", fields{"unavailable", unknown, fault.ScopeItem}},
		{502, "", fields{"unavailable", unknown, fault.ScopeItem}},
		{503, "", fields{"unavailable", unknown, fault.ScopeItem}},
		{504, "", fields{"unavailable", unknown, fault.ScopeItem}},
		{400, "invalid_request", fields{"invalid", none, fault.ScopeItem}},
		{400, "task_not_exist", fields{"not_found", none, fault.ScopeItem}},
		{400, "task_channel_disable", fields{"unavailable", none, fault.ScopeItem}},
		{400, "model_price_error", fields{"invalid", none, fault.ScopeItem}},
		{403, "quota_not_enough", fields{"exhausted", none, fault.ScopeAccount}},
		{403, "insufficient_user_quota", fields{"exhausted", none, fault.ScopeAccount}},
		{403, "pre_consume_token_quota_failed", fields{"exhausted", none, fault.ScopeAccount}},
		{500, "do_request_failed", fields{"unavailable", unknown, fault.ScopeItem}},
		{500, "read_response_body_failed", fields{"unavailable", unknown, fault.ScopeItem}},
		{500, "unmarshal_response_body_failed", fields{"unavailable", unknown, fault.ScopeItem}},
		{500, "get_task_failed", fields{"unavailable", unknown, fault.ScopeItem}},
		// The status of the service behind the gateway says more than the code.
		{400, "fail_to_fetch_task", fields{"invalid", none, fault.ScopeItem}},
		{429, "fail_to_fetch_task", fields{"exhausted", none, fault.ScopeEndpoint}},
		{500, "fail_to_fetch_task", fields{"unavailable", unknown, fault.ScopeItem}},
		// In the body of a 200 only the code is left.
		{200, "invalid_request", fields{"invalid", none, fault.ScopeItem}},
		{200, "quota_not_enough", fields{"exhausted", none, fault.ScopeAccount}},
		{200, "401", fields{"denied", none, fault.ScopeAccount}},
		{200, "402", fields{"exhausted", none, fault.ScopeAccount}},
		{200, "429", fields{"exhausted", none, fault.ScopeEndpoint}},
		{200, "455", fields{"unavailable", none, fault.ScopeProvider}},
		{200, "500", fields{"unavailable", unknown, fault.ScopeItem}},
		{200, "fail_to_fetch_task", fields{"malformed", unknown, fault.ScopeItem}},
		{200, "something_new", fields{"malformed", unknown, fault.ScopeItem}},
	}
	for _, tc := range cases {
		a := answer{tc.status, `{"code":"` + tc.code + `","message":"no","data":null}`}
		if tc.code == "" {
			a.body = "<html>no</html>"
		}
		s := serve(t, nil, map[string][]answer{
			"POST /suno/submit/music":  {a},
			"POST /suno/uploads/audio": {a, {200, `{"upload_id":"` + uploadID + `","upload_url":"HOST/s3/a"}`}},
			"PUT /s3/a":                {{200, ""}},
			"POST /suno/uploads/audio/" + uploadID + "/upload-finish": {a},
			"GET /suno/uploads/audio/" + uploadID:                     {a},
			"GET /suno/fetch/" + taskID:                               {a, {200, `{"code":"success","data":"` + taskID + `"}`}},
			"POST /suno/fetch":                                        {a},
		})
		_, extend := s.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{ID: clipID}})
		_, authorize := s.Upload(t.Context(), uploadOf("sound"))
		_, finish := s.Upload(t.Context(), uploadOf("sound"))
		_, status := s.Poll(t.Context(), &provider.Operation{ID: uploadID, Step: "upload"})
		_, single := s.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "extend"})
		_, batch := s.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "extend"})
		free := tc.want
		free.Charge = none
		want := map[string]fields{"submit": tc.want, "authorize": free, "finish": free, "status": free, "fetch": free, "batch": free}
		got := map[string]fields{"submit": of(extend), "authorize": of(authorize), "finish": of(finish), "status": of(status), "fetch": of(single), "batch": of(batch)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("HTTP %d with code %q (-want +got):\n%s", tc.status, tc.code, diff)
		}
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	s := serve(t, nil, nil)
	_, extend := s.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{URL: "https://example.com/a.mp3"}})
	_, noID := s.Poll(t.Context(), &provider.Operation{Step: "upload"})
	_, noStep := s.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "fetch"})
	for name, err := range map[string]error{"extend without clip": extend, "poll without id": noID, "poll of a step without operations": noStep} {
		if diff := cmp.Diff(fields{"invalid", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
	credits, err := s.Credits(t.Context())
	if diff := cmp.Diff(fields{"not_found", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || credits != 0 {
		t.Errorf("Credits = %v, %v (-want +got):\n%s", credits, err, diff)
	}
	if len(s.got) != 0 {
		t.Errorf("requests %v, want none", s.got)
	}
}

func TestInfo(t *testing.T) {
	info := kkiai.Info()
	if info.Name != "kkiai" || info.BaseURL != "https://www.kkiai.com" || !info.Callbacks {
		t.Errorf("Info() = %+v", info)
	}
	if u := info.Uploads; u.By != provider.ByBytes || u.Paid || !u.Clips || u.MaxBytes != 524288000 {
		t.Errorf("uploads %+v, want by bytes, free, with clips, to 524288000 bytes", u)
	}
	if info.Poll != (provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second}) || info.Prices != (provider.Prices{Extend: 10, Assumed: true}) {
		t.Errorf("polling %+v, prices %+v", info.Poll, info.Prices)
	}
	for name, want := range map[string]bool{"": true, "chirp-v4": true, "chirp-v5": true, "chirp-auk": true, "chirp-v3-5-upload": true, "chirp-v45": false, "V5": false} {
		if _, got := info.Model(name); got != want {
			t.Errorf("Model(%q): %v, want %v", name, got, want)
		}
	}
	if m, _ := info.Model(""); m.Name != "chirp-v4" {
		t.Errorf("default model %q, want chirp-v4", m.Name)
	}
}

func TestRules(t *testing.T) {
	half := 0.5
	cases := []struct {
		params provider.Params
		want   []string
	}{
		{provider.Params{ContinueAt: 1, Title: "Home", Prompt: "la"}, nil},
		{provider.Params{ContinueAt: 1, Title: "Home", Instrumental: true}, nil},
		{provider.Params{ContinueAt: 1, Prompt: "la"}, []string{"kkiai needs a title"}},
		{provider.Params{ContinueAt: 1, Instrumental: true, AudioWeight: &half}, []string{"kkiai needs a title", "kkiai takes no weights (style-weight, weirdness-constraint, audio-weight)"}},
		{provider.Params{ContinueAt: 1, Title: "Home"}, []string{"kkiai needs a prompt, the lyrics, unless the music is to be instrumental"}},
	}
	for _, tc := range cases {
		if diff := cmp.Diff(tc.want, kkiai.Info().CheckParams(tc.params, 0)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tc.params, diff)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	good := provider.Config{APIKey: key, HTTP: &http.Client{}}
	cases := map[string]func(*provider.Config){
		"no key":               func(c *provider.Config) { c.APIKey = "" },
		"base URL":             func(c *provider.Config) { c.BaseURL = "www.kkiai.com" },
		"no client":            func(c *provider.Config) { c.HTTP = nil },
		"a webhook key":        func(c *provider.Config) { c.WebhookKey = "whk-0123456789" },
		"unknown option":       func(c *provider.Config) { c.Options = map[string]string{"route": "jobs"} },
		"unknown value":        func(c *provider.Config) { c.Options = map[string]string{"continue_at": "int"} },
		"unknown refund value": func(c *provider.Config) { c.Options = map[string]string{"refunds": "true"} },
	}
	for name, breakIt := range cases {
		c := good
		breakIt(&c)
		_, err := kkiai.Open(c)
		if diff := cmp.Diff(fields{"invalid", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || strings.Contains(err.Error(), key) {
			t.Errorf("%s: Open = %v, want invalid without the key (-want +got):\n%s", name, err, diff)
		}
	}
	good.Options = map[string]string{"continue_at": "integer", "refunds": "no", "task_id": strconv.Itoa(7)}
	if _, err := kkiai.Open(good); err != nil {
		t.Errorf("Open with the documented host and options: %v", err)
	}
}

func TestReadCallback(t *testing.T) {
	d := open(t, "http://127.0.0.1:1", &http.Client{}, nil)
	reader, ok := d.(provider.CallbackReader)
	if !ok {
		t.Fatal("the driver reads no callbacks, want a provider.CallbackReader")
	}
	cases := map[string]*provider.Callback{
		`{"task_id":"t-1","notify_hook":"https://x.example","action":"MUSIC","status":"SUCCESS","fail_reason":"","progress":"100%","data":[{"id":"a"}]}`: {OperationID: "t-1", Kind: "SUCCESS", Done: true},
		`{"code":"success","message":"","data":{"task_id":"t-1","status":"FAILURE","fail_reason":"no","data":[]}}`:                                       {OperationID: "t-1", Kind: "FAILURE", Done: true},
		`{"code":"success","data":{"taskId":"t-1","status":"IN_PROGRESS","data":null}}`:                                                                  {OperationID: "t-1", Kind: "IN_PROGRESS"},
		`{"task_id":"t-1"}`: {OperationID: "t-1"},
		`{"task_id":"t-1","status":"see https://x.example/?sig=1"}`: {OperationID: "t-1", Kind: "see …"},
		`{"code":"success","data":"t-1"}`:                           nil,
		`{"status":"SUCCESS"}`:                                      nil,
		`{"task_id":"","status":"SUCCESS"}`:                         nil,
		`[{"task_id":"t-1"}]`:                                       nil,
		`task_id=t-1`:                                               nil,
		``:                                                          nil,
		`{"code":"success","data":{"data":[{"id":"a"}],"status":"QUEUED"`: nil,
	}
	for body, want := range cases {
		got, err := reader.ReadCallback(http.Header{}, []byte(body), time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
		if diff := cmp.Diff(want, got); diff != "" || (err == nil) != (want != nil) {
			t.Errorf("%s: error %v (-want +got):\n%s", body, err, diff)
		}
		if want == nil && of(err) != (fields{"malformed", fault.ChargeNone, fault.ScopeItem}) {
			t.Errorf("%s: %v, want malformed, not charged", body, err)
		}
	}
}
