package mountsea_test

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
	"github.com/segue-audio/segue/internal/provider/mountsea"
	"github.com/segue-audio/segue/internal/provider/rest"
)

const key = "ms-4f3e2d1c0b9a8877"

// The ids of MountSea's own examples.
const (
	sessionID = "f259907e-32dd-468d-95f9-e3c0baf4f01c"
	taskID    = "833c3d28-7948-42b8-9d4c-4c145bddfbf5"
	clipID    = "e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"
)

// answer is what a route says.
type answer struct {
	status int
	body   string
}

// asked is a request as it arrived.
type asked struct {
	Route, Auth, Key, Body string
}

// serve answers by route and keeps what was asked. A route that is not listed
// fails the test.
func serve(t *testing.T, routes map[string]answer) (provider.Driver, *[]asked) {
	t.Helper()
	got := &[]asked{}
	d := serveAt(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the request: %v", err)
		}
		route := r.Method + " " + r.URL.RequestURI()
		*got = append(*got, asked{route, r.Header.Get("Authorization"), r.Header.Get("X-API-Key"), string(body)})
		a, ok := routes[route]
		if !ok {
			t.Errorf("unexpected request %s", route)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	})
	return d, got
}

// serveAt opens a driver whose hosts are at /api and /dk of the handler's.
func serveAt(t *testing.T, handler http.HandlerFunc) provider.Driver {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	tr := rest.Transport()
	t.Cleanup(tr.CloseIdleConnections)
	d, err := mountsea.Open(provider.Config{
		BaseURL: server.URL + "/api", CreditsURL: server.URL + "/dk", APIKey: key, HTTP: &http.Client{Transport: tr},
	})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return d
}

func opener(t *testing.T, d provider.Driver) provider.SessionOpener {
	t.Helper()
	o, ok := d.(provider.SessionOpener)
	if !ok {
		t.Fatal("the driver opens no sessions, want a provider.SessionOpener")
	}
	return o
}

func TestSessionFlow(t *testing.T) {
	d, got := serve(t, map[string]answer{
		"POST /api/suno/v2/audio/upload/session":      {200, `{"sessionId":"f259907e-32dd-468d-95f9-e3c0baf4f01c"}`},
		"POST /api/suno/v2/audio/upload/session/item": {201, `{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5"}`},
		"POST /api/suno/v2/upload":                    {200, `{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5"}`},
		"GET /dk/api-user/credits":                    {200, `{"credits":10000}`},
	})
	session, err := opener(t, d).OpenSession(t.Context())
	if err != nil || session != sessionID {
		t.Fatalf("OpenSession = %q, %v; want %q", session, err, sessionID)
	}
	audio := provider.Audio{URL: "https://example.com/audio.mp3"}
	for _, bound := range []string{sessionID, ""} {
		accepted, err := d.Upload(t.Context(), &provider.Upload{Session: bound, Audio: audio})
		if diff := cmp.Diff(&provider.Accepted{OperationID: taskID}, accepted); diff != "" || err != nil {
			t.Errorf("Upload in session %q: error %v (-want +got):\n%s", bound, err, diff)
		}
	}
	if credits, err := d.Credits(t.Context()); credits != 10000 || err != nil {
		t.Errorf("Credits = %v, %v; want 10000", credits, err)
	}
	want := []asked{
		{"POST /api/suno/v2/audio/upload/session", "Bearer " + key, "", ""},
		{
			"POST /api/suno/v2/audio/upload/session/item", "Bearer " + key, "",
			`{"sessionId":"f259907e-32dd-468d-95f9-e3c0baf4f01c","audioUrl":"https://example.com/audio.mp3"}`,
		},
		{"POST /api/suno/v2/upload", "Bearer " + key, "", `{"audioUrl":"https://example.com/audio.mp3"}`},
		{"GET /dk/api-user/credits", "", key, ""},
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestExtendRequest(t *testing.T) {
	half, none := 0.5, 0.0
	cases := []struct {
		name    string
		request provider.Extend
		want    string
	}{
		{
			"a clip, little said",
			provider.Extend{Clip: provider.Clip{ID: clipID, URL: "https://cdn1.suno.ai/x.mp3"}, Session: sessionID},
			`{"task":"extend","model":"chirp-v50","clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c"}`,
		},
		{
			"a URL",
			provider.Extend{
				Clip:   provider.Clip{URL: "https://example.com/a.mp3"},
				Params: provider.Params{Model: "chirp-45+", ContinueAt: 10.5},
			},
			`{"task":"upload_extend","model":"chirp-45+","audio_url":"https://example.com/a.mp3","continue_at":10.5}`,
		},
		{
			"everything",
			provider.Extend{Clip: provider.Clip{ID: clipID}, Params: provider.Params{
				Model: "chirp-custom:2f1c", ContinueAt: 60, Instrumental: true, Prompt: "over the hill", Style: "indie pop", Title: "Home",
				NegativeTags: "metal", VocalGender: "f", StyleWeight: &half, AudioWeight: &none, WeirdnessConstraint: nil, PersonaID: "p-1",
			}},
			`{"task":"extend","model":"chirp-custom:2f1c","clip_id":"e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c","continue_at":60,` +
				`"prompt":"over the hill","tags":"indie pop","title":"Home","negative_tags":"metal","make_instrumental":true,"vocal_gender":"f",` +
				`"controls":{"style_weight":0.5,"audio_weight":0},"persona":{"persona_id":"p-1"}}`,
		},
	}
	for _, tc := range cases {
		d, got := serve(t, map[string]answer{"POST /api/suno/v2/generate": {201, `{"taskId":"833c3d28-7948-42b8-9d4c-4c145bddfbf5"}`}})
		accepted, err := d.Extend(t.Context(), &tc.request)
		if diff := cmp.Diff(&provider.Accepted{OperationID: taskID}, accepted); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", tc.name, err, diff)
		}
		if len(*got) != 1 || (*got)[0].Body != tc.want {
			t.Errorf("%s: sent %v\nwant once %s", tc.name, *got, tc.want)
		}
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	d, got := serve(t, nil)
	_, upload := d.Upload(t.Context(), &provider.Upload{Session: sessionID})
	_, extend := d.Extend(t.Context(), &provider.Extend{})
	_, noID := d.Poll(t.Context(), &provider.Operation{Step: "upload"})
	_, noStep := d.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "fetch"})
	for name, err := range map[string]error{"upload without URL": upload, "extend without clip": extend, "poll without id": noID, "poll of a step without operations": noStep} {
		if fault.CodeOf(err) != fault.Invalid || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("%s: %v (%v), want invalid, not charged", name, err, fault.ChargeOf(err))
		}
	}
	if len(*got) != 0 {
		t.Errorf("requests %v, want none", *got)
	}
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

func TestRefusals(t *testing.T) {
	cases := []struct {
		code string
		want fields
	}{
		{"400", fields{"invalid", fault.ChargeNone, fault.ScopeItem}},
		{"401", fields{"denied", fault.ChargeNone, fault.ScopeAccount}},
		{"402", fields{"exhausted", fault.ChargeNone, fault.ScopeAccount}},
		{"403", fields{"denied", fault.ChargeNone, fault.ScopeAccount}},
		{"404", fields{"not_found", fault.ChargeNone, fault.ScopeItem}},
		{"405", fields{"invalid", fault.ChargeNone, fault.ScopeItem}},
		{"413", fields{"invalid", fault.ChargeNone, fault.ScopeItem}},
		{"415", fields{"invalid", fault.ChargeNone, fault.ScopeItem}},
		{"422", fields{"invalid", fault.ChargeNone, fault.ScopeItem}},
		{"429", fields{"exhausted", fault.ChargeNone, fault.ScopeEndpoint}},
		{"455", fields{"unavailable", fault.ChargeNone, fault.ScopeProvider}},
		{"408", fields{"timeout", fault.ChargeUnknown, fault.ScopeItem}},
		{"409", fields{"conflict", fault.ChargeUnknown, fault.ScopeItem}},
		{"500", fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}},
		{"501", fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}},
		{"502", fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}},
		{"503", fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}},
		{"504", fields{"unavailable", fault.ChargeUnknown, fault.ScopeItem}},
	}
	for _, tc := range cases {
		free := tc.want
		free.Charge = fault.ChargeNone
		status, err := strconv.Atoi(tc.code)
		if err != nil {
			t.Fatalf("code %q: %v", tc.code, err)
		}
		for level, a := range map[string]answer{
			"HTTP status":            {status, `<html>no</html>`},
			"body code":              {200, `{"code":` + tc.code + `,"msg":"no"}`},
			"statusCode in the body": {status, `{"statusCode":` + tc.code + `,"message":["no"],"error":"no"}`},
		} {
			d, _ := serve(t, map[string]answer{
				"POST /api/suno/v2/generate":                  a,
				"POST /api/suno/v2/upload":                    a,
				"POST /api/suno/v2/audio/upload/session":      a,
				"GET /api/suno/v2/status?taskId=" + taskID:    a,
				"GET /dk/api-user/credits":                    a,
				"POST /api/suno/v2/audio/upload/session/item": a,
			})
			_, upload := d.Upload(t.Context(), &provider.Upload{Audio: provider.Audio{URL: "https://example.com/a.mp3"}})
			_, extend := d.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{ID: clipID}})
			_, poll := d.Poll(t.Context(), &provider.Operation{ID: taskID, Step: "extend"})
			_, open := opener(t, d).OpenSession(t.Context())
			_, credits := d.Credits(t.Context())
			want := map[string]fields{"Upload": tc.want, "Extend": tc.want, "Poll": free, "OpenSession": free, "Credits": free}
			got := map[string]fields{"Upload": of(upload), "Extend": of(extend), "Poll": of(poll), "OpenSession": of(open), "Credits": of(credits)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %s (-want +got):\n%s", tc.code, level, diff)
			}
		}
	}
}

func TestAnswersThatLackWhatMustBeThere(t *testing.T) {
	for _, body := range []string{`{}`, `{"taskId":""}`, `{"taskId":null}`, `{"taskId":["x"]}`, `[]`, ``, `<html>`, `{"data":{"taskId":"x"}}`, `{"credits":"many"}`, `{"sessionId":{}}`} {
		d, _ := serve(t, map[string]answer{
			"POST /api/suno/v2/generate":             {201, body},
			"POST /api/suno/v2/upload":               {201, body},
			"POST /api/suno/v2/audio/upload/session": {200, body},
			"GET /dk/api-user/credits":               {200, body},
		})
		_, upload := d.Upload(t.Context(), &provider.Upload{Audio: provider.Audio{URL: "https://example.com/a.mp3"}})
		_, extend := d.Extend(t.Context(), &provider.Extend{Clip: provider.Clip{ID: clipID}})
		_, open := opener(t, d).OpenSession(t.Context())
		_, credits := d.Credits(t.Context())
		want := []fields{{"malformed", fault.ChargeUnknown, 0}, {"malformed", fault.ChargeUnknown, 0}, {"malformed", fault.ChargeNone, 0}, {"malformed", fault.ChargeNone, 0}}
		if diff := cmp.Diff(want, []fields{of(upload), of(extend), of(open), of(credits)}); diff != "" {
			t.Errorf("answer %q to upload, extend, open, credits (-want +got):\n%s", body, diff)
		}
	}
}

func TestInfo(t *testing.T) {
	info := mountsea.Info()
	if info.Name != "mountsea" || info.BaseURL != "https://api.mountsea.ai" || info.Uploads.By != provider.ByURL || !info.Uploads.Paid || !info.Uploads.Clips {
		t.Errorf("Info() = %+v", info)
	}
	if info.Poll != (provider.Polling{Min: 2 * time.Second, Max: 30 * time.Second}) {
		t.Errorf("polling %+v, want 2s to 30s", info.Poll)
	}
	known := map[string]bool{
		"": true, "chirp-v35": true, "chirp-v40": true, "chirp-v45": true, "chirp-45+": true, "chirp-v45-lite": true, "chirp-v50": true, "chirp-v55": true,
		"chirp-custom:0b5c7d9e-0000-4000-8000-000000000000": true,
		"chirp-custom:": false, "chirp-custom:*": false, "chirp-v45+": false, "V5": false,
	}
	for name, want := range known {
		if m, got := info.Model(name); got != want || want && name != "" && m.Name != name {
			t.Errorf("Model(%q) = %q, %v; want %v", name, m.Name, got, want)
		}
	}
	if m, _ := info.Model(""); m.Name != "chirp-v50" {
		t.Errorf("default model %q, want chirp-v50", m.Name)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := provider.Config{APIKey: key, HTTP: &http.Client{}}
	cases := map[string]func(*provider.Config){
		"no key":       func(c *provider.Config) { c.APIKey = "" },
		"base URL":     func(c *provider.Config) { c.BaseURL = "api.mountsea.ai" },
		"credits URL":  func(c *provider.Config) { c.CreditsURL = "://dk" },
		"no client":    func(c *provider.Config) { c.HTTP = nil },
		"key and \\n":  func(c *provider.Config) { c.APIKey = key + "\n" },
		"key in query": func(c *provider.Config) { c.BaseURL = "https://api.mountsea.ai/?key=" + key },
	}
	for name, breakIt := range cases {
		c := good
		breakIt(&c)
		_, err := mountsea.Open(c)
		if fault.CodeOf(err) != fault.Invalid || strings.Contains(err.Error(), key) {
			t.Errorf("%s: Open = %v, want invalid without the key", name, err)
		}
	}
	if _, err := mountsea.Open(good); err != nil {
		t.Errorf("Open with the documented hosts: %v", err)
	}
}
