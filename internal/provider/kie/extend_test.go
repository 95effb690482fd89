package kie_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
)

const (
	legacyRoute = "POST /api/v1/generate/upload-extend"
	jobsRoute   = "POST /api/v1/jobs/createTask"
	accepted    = `{"code":200,"msg":"success","data":{"taskId":"5c79abcd1234567890abcdef1234be8e"}}`
	fileURL     = "https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1"
)

func TestExtendRequest(t *testing.T) {
	noisy, none, one := 0.57+0.000000001, 0.0, 1.0
	cases := []struct {
		name    string
		options map[string]string
		request provider.Extend
		route   string
		want    string
	}{
		{
			"default mode",
			nil,
			provider.Extend{Params: provider.Params{ContinueAt: 60, Prompt: "more relaxing notes"}},
			legacyRoute,
			`{"uploadUrl":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","defaultParamFlag":false,"instrumental":false,"continueAt":60,` +
				`"model":"V5","callBackUrl":"https://segue.invalid/no-callback","prompt":"more relaxing notes"}`,
		},
		{
			"default mode, instrumental",
			nil,
			provider.Extend{CallbackURL: "https://segue.example/callbacks/kie/t0k3n", Params: provider.Params{ContinueAt: 60, Prompt: "calmer", Instrumental: true, VocalGender: "f"}},
			legacyRoute,
			`{"uploadUrl":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","defaultParamFlag":false,"instrumental":true,"continueAt":60,` +
				`"model":"V5","callBackUrl":"https://segue.example/callbacks/kie/t0k3n","prompt":"calmer","vocalGender":"f"}`,
		},
		{
			"custom mode with everything",
			nil,
			provider.Extend{CallbackURL: "https://segue.example/c", Params: provider.Params{
				Model: "V4_5ALL", ContinueAt: 12.75, Prompt: "[Verse]\nover the hill", Style: "indie & pop", Title: "Home", NegativeTags: "metal", VocalGender: "m",
				StyleWeight: &noisy, WeirdnessConstraint: &none, AudioWeight: &one, PersonaID: "persona_123",
			}},
			legacyRoute,
			`{"uploadUrl":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","defaultParamFlag":true,"instrumental":false,"continueAt":12.75,` +
				`"model":"V4_5ALL","callBackUrl":"https://segue.example/c","prompt":"[Verse]\nover the hill","style":"indie & pop","title":"Home","negativeTags":"metal",` +
				`"vocalGender":"m","styleWeight":0.57,"weirdnessConstraint":0,"audioWeight":1,"personaId":"persona_123"}`,
		},
		{
			"custom mode, instrumental: no words and no voice",
			map[string]string{"callback_placeholder": "https://hooks.example/none"},
			provider.Extend{Params: provider.Params{ContinueAt: 5, Prompt: "calmer", Style: "pop", Title: "Home", VocalGender: "f", Instrumental: true}},
			legacyRoute,
			`{"uploadUrl":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","defaultParamFlag":true,"instrumental":true,"continueAt":5,` +
				`"model":"V5","callBackUrl":"https://hooks.example/none","style":"pop","title":"Home"}`,
		},
		{
			"jobs route, little said",
			map[string]string{"route": "jobs"},
			provider.Extend{Params: provider.Params{ContinueAt: 60, Prompt: "calmer", Model: "V6"}},
			jobsRoute,
			`{"model":"ai-music-api/upload-and-extend-audio","input":{"upload_url":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","model":"V6",` +
				`"instrumental":false,"continue_at":60,"prompt":"calmer"}}`,
		},
		{
			"jobs route with everything",
			map[string]string{"route": "jobs"},
			provider.Extend{CallbackURL: "https://segue.example/c", Params: provider.Params{
				ContinueAt: 12.75, Prompt: "over the hill", Style: "pop", Title: "Home", NegativeTags: "metal", VocalGender: "m",
				StyleWeight: &noisy, WeirdnessConstraint: &none, AudioWeight: &one, PersonaID: "persona_123",
			}},
			jobsRoute,
			`{"model":"ai-music-api/upload-and-extend-audio","callBackUrl":"https://segue.example/c","input":{` +
				`"upload_url":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","model":"V5","instrumental":false,"continue_at":12.75,"prompt":"over the hill",` +
				`"style":"pop","title":"Home","negative_tags":"metal","vocal_gender":"m","style_weight":0.57,"weirdness_constraint":0,"audio_weight":1,"persona_id":"persona_123"}}`,
		},
		{
			"jobs route, lyrics by their own name",
			map[string]string{"route": "jobs", "jobs_lyrics": "lyrics"},
			provider.Extend{Params: provider.Params{ContinueAt: 5, Prompt: "over the hill", Style: "pop", Title: "Home"}},
			jobsRoute,
			`{"model":"ai-music-api/upload-and-extend-audio","input":{"upload_url":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","model":"V5",` +
				`"instrumental":false,"continue_at":5,"lyrics":"over the hill","style":"pop","title":"Home"}}`,
		},
		{
			"jobs route, a prompt that is not lyrics",
			map[string]string{"route": "jobs", "jobs_lyrics": "lyrics"},
			provider.Extend{Params: provider.Params{ContinueAt: 5, Prompt: "calmer"}},
			jobsRoute,
			`{"model":"ai-music-api/upload-and-extend-audio","input":{"upload_url":"https://files.example/segue/a.mp3?sig=c2lnbmF0dXJl&x=1","model":"V5",` +
				`"instrumental":false,"continue_at":5,"prompt":"calmer"}}`,
		},
	}
	for _, tc := range cases {
		d, got := serve(t, kie.KIE, tc.options, map[string]answer{tc.route: {200, accepted}})
		tc.request.Clip = provider.Clip{URL: fileURL, Expires: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)}
		a, err := d.Extend(t.Context(), &tc.request)
		if err != nil || a.OperationID != taskID || a.Clip != nil {
			t.Errorf("%s: Extend = %+v, %v; want operation %s", tc.name, a, err, taskID)
		}
		if diff := cmp.Diff([]asked{{tc.route, "Bearer " + key, tc.want}}, *got); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestExtendAnswers(t *testing.T) {
	cases := []struct {
		body string
		want fields
	}{
		{`{"code":200,"msg":"success","data":{"task_id":"5c79abcd1234567890abcdef1234be8e"}}`, fields{}},
		{`{"code":"200","data":{"taskId":"5c79abcd1234567890abcdef1234be8e"}}`, fields{}},
		{`{"code":200,"msg":"success","data":{}}`, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}},
		{`{"code":200,"msg":"success","data":null}`, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}},
		{`{"code":200,"msg":"success","data":{"taskId":""}}`, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}},
		{`{"code":200,"msg":"success","data":[]}`, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}},
		{`{"code":299,"data":{"taskId":"5c79abcd1234567890abcdef1234be8e"}}`, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}},
		{`<html>`, fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}},
		{`{"code":402,"msg":"The current credits are insufficient. Please top up."}`, fields{"exhausted", fault.ChargeNone, fault.ScopeAccount}},
	}
	for _, tc := range cases {
		d, _ := serve(t, kie.KIE, nil, map[string]answer{legacyRoute: {200, tc.body}})
		a, err := d.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{URL: fileURL}})
		if diff := cmp.Diff(tc.want, of(err)); diff != "" || (err == nil) != (a != nil && a.OperationID == taskID) {
			t.Errorf("%s: %+v, %v (-want +got):\n%s", tc.body, a, err, diff)
		}
	}
}

func TestWhatCannotBeExtended(t *testing.T) {
	d, got := serve(t, kie.KIE, nil, nil)
	soon := time.Now().Add(time.Minute)
	cases := []struct {
		name string
		clip provider.Clip
		want fault.Code
	}{
		{"no clip", provider.Clip{}, fault.Invalid},
		{"an id alone", provider.Clip{ID: "c-1"}, fault.Invalid},
		{"a path", provider.Clip{URL: "/files/a.mp3"}, fault.Invalid},
		{"expired", provider.Clip{URL: fileURL, Expires: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, fault.NotFound},
		{"about to expire", provider.Clip{URL: fileURL, Expires: soon}, fault.NotFound},
	}
	for _, tc := range cases {
		_, err := d.Extend(t.Context(), &provider.Extend{Clip: tc.clip})
		if fault.CodeOf(err) != tc.want || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("%s: %v (%v), want %q, not charged", tc.name, err, fault.ChargeOf(err), tc.want)
		}
	}
	if len(*got) != 0 {
		t.Errorf("requests %v, want none", *got)
	}
}

// TestSubmitRefusals is the whole table, for both levels: the verdict in the body
// of a 200 and of the status's own, and the status of a page that is not the
// provider's.
func TestSubmitRefusals(t *testing.T) {
	var (
		invalid  = fields{"invalid", fault.ChargeNone, fault.ScopeItem}
		denied   = fields{"denied", fault.ChargeNone, fault.ScopeAccount}
		broke    = fields{"exhausted", fault.ChargeNone, fault.ScopeAccount}
		missing  = fields{"not_found", fault.ChargeNone, fault.ScopeItem}
		often    = fields{"exhausted", fault.ChargeNone, fault.ScopeEndpoint}
		closed   = fields{"unavailable", fault.ChargeNone, fault.ScopeProvider}
		firewall = fields{"unavailable", fault.ChargeNone, fault.ScopeEndpoint}
		refunded = fields{"unavailable", fault.ChargeNone, fault.ScopeItem}
		unsure   = fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}
		late     = fields{"timeout", fault.ChargeUnknown, fault.ScopeItem}
		conflict = fields{"conflict", fault.ChargeUnknown, fault.ScopeItem}
		matched  = fields{"rejected", fault.ChargeUnknown, fault.ScopeItem}
		unlisted = fields{"malformed", fault.ChargeUnknown, fault.ScopeItem}
	)
	cases := []struct {
		code          int
		kie, suno     fields // the verdict in the body
		page          fields // the status alone
		kieWait, wait time.Duration
	}{
		{400, invalid, invalid, invalid, 0, 0},
		{401, denied, denied, denied, 0, 0},
		{402, broke, broke, broke, 0, 0},
		{403, denied, denied, firewall, 0, 0},
		{404, missing, missing, missing, 0, 0},
		{405, invalid, often, invalid, 0, 10 * time.Second},
		{408, late, late, late, 0, 0},
		{409, conflict, conflict, conflict, 0, 0},
		{413, matched, invalid, invalid, 0, 0},
		{422, invalid, invalid, invalid, 0, 0},
		{429, often, broke, often, 10 * time.Second, 0},
		{430, unlisted, often, fields{"invalid", fault.ChargeUnknown, fault.ScopeItem}, 0, 10 * time.Second},
		{433, invalid, invalid, invalid, 0, 0},
		{451, missing, missing, missing, 0, 0},
		{455, closed, closed, closed, 0, 0},
		{500, unsure, unsure, unsure, 0, 0},
		{501, unsure, unsure, unsure, 0, 0},
		{502, unsure, unsure, unsure, 0, 0},
		{503, unsure, unsure, unsure, 0, 0},
		{504, unsure, unsure, unsure, 0, 0},
		{505, invalid, invalid, unsure, 0, 0},
		{524, unlisted, unlisted, unsure, 0, 0},
		{531, refunded, unlisted, unsure, 0, 0},
	}
	ask := func(e entry, a answer) error {
		d, _ := serve(t, e, nil, map[string]answer{legacyRoute: a})
		_, err := d.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{URL: fileURL}})
		return err
	}
	for _, tc := range cases {
		body := `{"code":` + strconv.Itoa(tc.code) + `,"msg":"no","data":null}`
		for name, want := range map[string]fields{"kie": tc.kie, "apikley": tc.kie, "sunoapi": tc.suno} {
			err := ask(family[name], answer{200, body})
			wait := tc.wait
			if name != "sunoapi" {
				wait = tc.kieWait
			}
			if diff := cmp.Diff(want, of(err)); diff != "" || fault.RetryAfter(err) != wait {
				t.Errorf("%s: code %d in the body of 200: retry after %v, want %v (-want +got):\n%s", name, tc.code, fault.RetryAfter(err), wait, diff)
			}
			page := ask(family[name], answer{tc.code, `error code: 1010`})
			pageWant := tc.page
			if tc.code == 430 && name == "sunoapi" {
				pageWant = often
			}
			if diff := cmp.Diff(pageWant, of(page)); diff != "" {
				t.Errorf("%s: HTTP %d without a word of the API (-want +got):\n%s", name, tc.code, diff)
			}
			if want == unlisted {
				continue // the status of the answer says more than the body then
			}
			if diff := cmp.Diff(want, of(ask(family[name], answer{tc.code, body}))); diff != "" {
				t.Errorf("%s: code %d in the body of HTTP %d (-want +got):\n%s", name, tc.code, tc.code, diff)
			}
		}
	}
}
