package kie_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
)

func TestInfo(t *testing.T) {
	cases := []struct {
		name, host string
		by         provider.By
		models     string
		prices     provider.Prices
		poll       provider.Polling
	}{
		{
			"kie", "https://api.kie.ai", provider.ByBytes, "V5, V4_5PLUS, V4_5, V4_5ALL, V4, V5_5, V6, V6_MINI, V6_WILD",
			provider.Prices{Extend: 12},
			provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second},
		},
		{
			"apikley", "https://api.apikley.ru", provider.ByURL, "V5, V4_5PLUS, V4_5, V4_5ALL, V4",
			provider.Prices{Extend: 12, Assumed: true},
			provider.Polling{Min: 5 * time.Second, Max: 30 * time.Second},
		},
		{
			"sunoapi", "https://api.sunoapi.org", provider.ByBytes, "V5, V4_5PLUS, V4_5, V4_5ALL, V4, V5_5",
			provider.Prices{Extend: 12},
			provider.Polling{Min: 5 * time.Second, Max: 30 * time.Second},
		},
	}
	for _, tc := range cases {
		i := info(family[tc.name])
		if i.Name != tc.name || i.BaseURL != tc.host || i.ModelNames() != tc.models || i.Prices != tc.prices || i.Poll != tc.poll {
			t.Errorf("%s: %+v, want %+v", tc.name, i, tc)
		}
		want := provider.Uploads{
			By: tc.by, Formats: []string{"mp3", "m4a", "wav", "flac", "ogg", "aac"}, MaxDuration: 8 * time.Minute,
		}
		if diff := cmp.Diff(want, i.Uploads); diff != "" {
			t.Errorf("%s: uploads (-want +got):\n%s", tc.name, diff)
		}
		if !i.Callbacks || i.Retention != 14*24*time.Hour {
			t.Errorf("%s: callbacks %v, retention %v; want true, 14 days", tc.name, i.Callbacks, i.Retention)
		}
	}
}

// TestLimits are the contract's, in characters, at the border and one beyond.
func TestLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ß", n) }
	cases := []struct {
		model                string
		prompt, style, title int
		upload               time.Duration
	}{
		{"", 5000, 1000, 100, 0},
		{"V5", 5000, 1000, 100, 0},
		{"V4_5PLUS", 5000, 1000, 100, 0},
		{"V4_5", 5000, 1000, 100, 0},
		{"V4_5ALL", 5000, 1000, 80, time.Minute},
		{"V4", 3000, 200, 80, 0},
	}
	for name, e := range family {
		for _, tc := range cases {
			fits := provider.Params{Model: tc.model, ContinueAt: 10, Prompt: long(tc.prompt), Style: long(tc.style), Title: long(tc.title)}
			if found := info(e).CheckParams(fits, tc.upload); len(found) != 0 {
				t.Errorf("%s, model %q: %q, want no finding", name, tc.model, found)
			}
			over := provider.Params{Model: tc.model, ContinueAt: 10, Prompt: long(tc.prompt + 1), Style: long(tc.style + 1), Title: long(tc.title + 1)}
			if found := info(e).CheckParams(over, 0); len(found) != 3 {
				t.Errorf("%s, model %q: %q, want a finding for prompt, style and title", name, tc.model, found)
			}
			if found := info(e).CheckParams(fits, 61*time.Second); tc.upload > 0 && len(found) != 1 {
				t.Errorf("%s, model %q with 61 s: %q, want one finding", name, tc.model, found)
			}
		}
	}
}

// TestRules is the table of required fields by what the parameters imply.
func TestRules(t *testing.T) {
	const (
		prompt = "prompt is missing: it says how the music goes on, unless style and title are given"
		lyrics = "prompt is missing: with a style and a title of its own, the continuation needs the lyrics, or must be instrumental"
		style  = "style is missing: with a title or a persona, the continuation needs a style of its own"
		title  = "title is missing: with a style or a persona, the continuation needs a title of its own"
	)
	cases := []struct {
		name   string
		params provider.Params
		want   []string
	}{
		{"default", provider.Params{Prompt: "calmer"}, nil},
		{"default, instrumental", provider.Params{Prompt: "calmer", Instrumental: true}, nil},
		{"default, nothing", provider.Params{}, []string{prompt}},
		{"default, instrumental, nothing", provider.Params{Instrumental: true}, []string{prompt}},
		{"default, negative tags do not make it custom", provider.Params{NegativeTags: "metal", VocalGender: "m"}, []string{prompt}},
		{"custom", provider.Params{Prompt: "over the hill", Style: "pop", Title: "Home"}, nil},
		{"custom, instrumental", provider.Params{Style: "pop", Title: "Home", Instrumental: true}, nil},
		{"custom, instrumental with a prompt", provider.Params{Style: "pop", Title: "Home", Prompt: "calmer", Instrumental: true}, nil},
		{"custom, no lyrics", provider.Params{Style: "pop", Title: "Home"}, []string{lyrics}},
		{"custom, no title", provider.Params{Prompt: "over the hill", Style: "pop"}, []string{title}},
		{"custom, no style", provider.Params{Prompt: "over the hill", Title: "Home"}, []string{style}},
		{"persona alone", provider.Params{PersonaID: "p-1"}, []string{style, title, lyrics}},
		{"persona alone, instrumental", provider.Params{PersonaID: "p-1", Instrumental: true}, []string{style, title}},
	}
	for name, e := range family {
		for _, tc := range cases {
			tc.params.ContinueAt = 10
			if diff := cmp.Diff(tc.want, info(e).CheckParams(tc.params, 0)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", name, tc.name, diff)
			}
		}
	}
}

func TestCredits(t *testing.T) {
	cases := []struct {
		provider, path, body string
		want                 float64
		code                 fault.Code
	}{
		{"kie", "/api/v1/chat/credit", `{"code":200,"msg":"success","data":100}`, 100, ""},
		{"apikley", "/api/v1/chat/credit", `{"code":200,"msg":"success","data":99.5}`, 99.5, ""},
		{"sunoapi", "/api/v1/generate/credit", `{"code":200,"msg":"success","data":0}`, 0, ""},
		{"kie", "/api/v1/chat/credit", `{"code":200,"msg":"success","data":null}`, 0, fault.Malformed},
		{"kie", "/api/v1/chat/credit", `{"code":200,"msg":"success"}`, 0, fault.Malformed},
		{"kie", "/api/v1/chat/credit", `{"code":200,"data":"many"}`, 0, fault.Malformed},
		{"kie", "/api/v1/chat/credit", `{"code":401,"msg":"You do not have access permissions"}`, 0, fault.Denied},
		{"sunoapi", "/api/v1/generate/credit", `{"code":455,"msg":"maintenance"}`, 0, fault.Unavailable},
	}
	for _, tc := range cases {
		d, got := serve(t, family[tc.provider], nil, map[string]answer{"GET " + tc.path: {200, tc.body}})
		credits, err := d.Credits(t.Context())
		if credits != tc.want || fault.CodeOf(err) != tc.code || fault.ChargeOf(err) == fault.ChargeMade {
			t.Errorf("%s: Credits of %s = %v, %v; want %v, %q", tc.provider, tc.body, credits, err, tc.want, tc.code)
		}
		if diff := cmp.Diff([]asked{{"GET " + tc.path, "Bearer " + key, ""}}, *got); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.provider, diff)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	cases := []struct {
		name string
		edit func(*provider.Config)
		want string
	}{
		{"no key", func(c *provider.Config) { c.APIKey = "" }, "there is no API key"},
		{"key and line break", func(c *provider.Config) { c.APIKey = key + "\n" }, "the API key has a space"},
		{"base URL", func(c *provider.Config) { c.BaseURL = "api.kie.ai" }, "the base URL must begin with"},
		{"staging URL", func(c *provider.Config) { c.StagingURL = "://files" }, "the base URL is not a URL"},
		{"credits URL", func(c *provider.Config) { c.CreditsURL = "ftp://x" }, "the base URL must begin with"},
		{"no client", func(c *provider.Config) { c.HTTP = nil }, "no HTTP client"},
		{"an unknown option", func(c *provider.Config) { c.Options = map[string]string{"rout": "jobs"} }, `there is no option "rout" (there are callback_placeholder, jobs_lyrics, max_upload, route, stage, user_agent)`},
		{"all options wrong", func(c *provider.Config) {
			c.Options = map[string]string{
				"route": "new", "stage": "base64", "max_upload": "120", "jobs_lyrics": "words", "callback_placeholder": "http://x.example/", "user_agent": "a\nb",
			}
		}, "option callback_placeholder: it must be an https URL\n" +
			"option jobs_lyrics: \"words\" is not one of prompt, lyrics\n" +
			"option max_upload: \"120\" is not a duration above 0, such as 2m\n" +
			"option route: \"new\" is not one of legacy, jobs\n" +
			"option stage: \"base64\" is not one of url, stream\n" +
			"option user_agent: it must be printable ASCII"},
		{"a limit of nothing", func(c *provider.Config) { c.Options = map[string]string{"max_upload": "-1s"} }, "is not a duration above 0"},
	}
	_, opener := kie.KIE()
	for _, tc := range cases {
		c := provider.Config{APIKey: key, HTTP: &http.Client{}}
		tc.edit(&c)
		_, err := opener(c)
		if got := of(err); got != (fields{"invalid", fault.ChargeNone, fault.ScopeItem}) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), key) {
			t.Errorf("%s: Open = %v (%+v), want invalid with %q and without the key", tc.name, err, got, tc.want)
		}
	}
	for name, e := range family {
		_, opener := e()
		if _, err := opener(provider.Config{APIKey: key, HTTP: &http.Client{}}); err != nil {
			t.Errorf("%s: Open with the documented hosts: %v", name, err)
		}
	}
}

// TestOptionsByDialect: what a provider does not have, it has no option for.
func TestOptionsByDialect(t *testing.T) {
	cases := []struct{ name, value, allowed string }{
		{"route", "jobs", "kie"},
		{"jobs_lyrics", "lyrics", "kie"},
		{"stage", "stream", "kie sunoapi"},
		{"max_upload", "2m", "kie apikley sunoapi"},
		{"callback_placeholder", "https://hooks.example/none", "kie apikley sunoapi"},
		{"user_agent", "Mozilla/5.0", "kie apikley sunoapi"},
	}
	for _, tc := range cases {
		for name, e := range family {
			_, opener := e()
			_, err := opener(provider.Config{APIKey: key, HTTP: &http.Client{}, Options: map[string]string{tc.name: tc.value}})
			if allowed := strings.Contains(tc.allowed, name); (err == nil) != allowed {
				t.Errorf("%s with option %s: %v, want allowed: %v", name, tc.name, err, allowed)
			}
		}
	}
	_, opener := kie.Apikley()
	_, err := opener(provider.Config{APIKey: key, HTTP: &http.Client{}, StagingURL: "https://files.example"})
	if fault.CodeOf(err) != fault.Invalid {
		t.Errorf("apikley with a staging URL: %v, want invalid", err)
	}
}
