package kkiai_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// ticketOf is the answer to step 1 in the seed's shape.
const ticketOf = `{"upload_id":"5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841","upload_url":"HOST/s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ"}`

const finishPath = "POST /suno/uploads/audio/" + uploadID + "/upload-finish"

// accepted is how every upload ends.
var accepted = &provider.Accepted{
	OperationID: uploadID, Checkpoint: json.RawMessage(`{"upload":"5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841","done":"upload-finish"}`),
}

func TestUpload(t *testing.T) {
	s := serve(t, nil, map[string][]answer{
		"POST /suno/uploads/audio":                         {{200, ticketOf}},
		"PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ": {{200, ""}},
		finishPath: {{200, `{}`}},
	})
	r := uploadOf("sound")
	var saved []string
	r.Save = func(_ context.Context, checkpoint json.RawMessage) error {
		saved = append(saved, string(checkpoint))
		return nil
	}
	got, err := s.Upload(t.Context(), r)
	if diff := cmp.Diff(accepted, got); diff != "" || err != nil {
		t.Errorf("Upload: error %v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{`{"upload":"5d03b3ba-cd9e-42cf-ae5b-cf15b3b24841","done":"transfer"}`}, saved); diff != "" {
		t.Errorf("checkpoints (-want +got):\n%s", diff)
	}
	want := []asked{
		{"POST /suno/uploads/audio", "Bearer " + key, `{"extension":"mp3"}`},
		{"PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ", "", "sound"},
		{finishPath, "Bearer " + key, `{"upload_type":"file_upload","upload_filename":"song.mp3"}`},
	}
	if diff := cmp.Diff(want, s.got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestTickets has the shapes and spellings that the pages show.
func TestTickets(t *testing.T) {
	for _, ticket := range []string{
		`{"upload_id":"ID","upload_url":"HOST/s3/a"}`,
		`{"id":"ID","url":"HOST/s3/a","fields":null,"is_file_uploaded":false}`,
		`{"id":"ID","uploadUrl":"HOST/s3/a","fields":{}}`,
		`{"code":"success","message":"","data":{"upload_id":"ID","upload_url":"HOST/s3/a"}}`,
	} {
		s := serve(t, nil, map[string][]answer{
			"POST /suno/uploads/audio": {{200, strings.ReplaceAll(ticket, "ID", uploadID)}},
			"PUT /s3/a":                {{200, ""}},
			finishPath:                 {{200, `{}`}},
		})
		if got, err := s.Upload(t.Context(), uploadOf("sound")); cmp.Diff(accepted, got) != "" || err != nil {
			t.Errorf("ticket %s: %+v, %v", ticket, got, err)
		}
	}
	for _, ticket := range []string{
		`{}`, `[]`, ``, `<html>`, `{"id":"5d03b3ba"}`, `{"url":"HOST/s3/a"}`, `{"id":"","url":"HOST/s3/a"}`, `{"id":"x","url":""}`,
		`{"id":"x","url":"s3/a"}`, `{"id":"x","url":"ftp://s3.example/a"}`, `{"id":"x","url":"HOST/s3/a","fields":["key"]}`, `{"code":"success","data":"x"}`,
	} {
		s := serve(t, nil, map[string][]answer{"POST /suno/uploads/audio": {{200, ticket}}})
		got, err := s.Upload(t.Context(), uploadOf("sound"))
		if diff := cmp.Diff(fields{"malformed", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || got != nil {
			t.Errorf("ticket %s: %+v, %v (-want +got):\n%s", ticket, got, err, diff)
		}
	}
}

// TestTicketThatIsAForm sends what the relatives' ticket lists, word for word.
func TestTicketThatIsAForm(t *testing.T) {
	type part struct{ Name, File, Type, Body string }
	var got []part
	var auth string
	mux := http.NewServeMux()
	host := httptest.NewServer(mux)
	defer host.Close()
	mux.HandleFunc("POST /suno/uploads/audio", func(w http.ResponseWriter, _ *http.Request) {
		say(w, `{"id":"up-1","url":"%s/","fields":{"Content-Type":"audio/wav","key":"raw_uploads/up-1.wav","AWSAccessKeyId":"AKIA","policy":"e30=","signature":"s+/=="},"is_file_uploaded":false}`, host.URL)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		auth = r.Header.Get("Authorization")
		_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
		if err != nil || r.ContentLength <= 0 {
			t.Errorf("Content-Type: %v, length %d", err, r.ContentLength)
		}
		form := multipart.NewReader(r.Body, params["boundary"])
		for p, err := form.NextRawPart(); err == nil; p, err = form.NextRawPart() {
			body, _ := io.ReadAll(p)
			got = append(got, part{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(body)})
		}
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /suno/uploads/audio/up-1/upload-finish", func(w http.ResponseWriter, _ *http.Request) { say(w, `{}`) })
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	r := uploadOf("sound")
	r.Audio.Format, r.Audio.Name = "wav", "Tür \"2\".wav"
	if _, err := open(t, host.URL, &http.Client{Transport: tr}, nil).Upload(t.Context(), r); err != nil || auth != "" {
		t.Fatalf("Upload: %v, Authorization at the storage %q", err, auth)
	}
	want := []part{
		{"AWSAccessKeyId", "", "", "AKIA"},
		{"Content-Type", "", "", "audio/wav"},
		{"key", "", "", "raw_uploads/up-1.wav"},
		{"policy", "", "", "e30="},
		{"signature", "", "", "s+/=="},
		{"file", "Tür \"2\".wav", "audio/wav", "sound"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
}

// TestTypeOfAPut: a type that was not signed breaks a signature of the old kind,
// and one that was signed must be sent.
func TestTypeOfAPut(t *testing.T) {
	for query, want := range map[string]string{
		"X-Amz-SignedHeaders=content-type%3Bhost": "audio/mp4",
		"X-Amz-SignedHeaders=host":                "",
		"AWSAccessKeyId=AKIA&Signature=x":         "",
	} {
		got := "none was sent"
		host := httptest.NewServer(nil)
		host.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			switch {
			case r.Method == http.MethodPut:
				got = r.Header.Get("Content-Type")
			case strings.HasSuffix(r.URL.Path, "/audio"):
				say(w, `{"upload_id":"up-1","upload_url":"%s/a?%s"}`, host.URL, query)
			default:
				say(w, `{}`)
			}
		})
		tr := &http.Transport{}
		r := uploadOf("sound")
		r.Audio.Format = "m4a"
		if _, err := open(t, host.URL, &http.Client{Transport: tr}, nil).Upload(t.Context(), r); err != nil || got != want {
			t.Errorf("address with %s: type %q, error %v; want %q", query, got, err, want)
		}
		tr.CloseIdleConnections()
		host.Close()
	}
}

// TestExtension: what the audio is counts, not what its file is called.
func TestExtension(t *testing.T) {
	for want, a := range map[string]provider.Audio{
		`{"extension":"wav"}`:  {Name: "song.mp3", Format: "wav"},
		`{"extension":"flac"}`: {Name: "Song.FLAC"},
		`{"extension":"m4a"}`:  {Format: "m4a"},
	} {
		s := serve(t, nil, map[string][]answer{"POST /suno/uploads/audio": {{500, ""}}})
		_, err := s.Upload(t.Context(), &provider.Upload{Audio: a})
		if fault.CodeOf(err) != fault.Unavailable || s.got[0].Body != want {
			t.Errorf("%+v: %v, %v; want %s", a, s.got, err, want)
		}
	}
}

// TestStorageRefuses has S3's codes and statuses. What is about the ticket gets
// another one, once.
func TestStorageRefuses(t *testing.T) {
	xml := func(code string) string {
		return `<?xml version="1.0" encoding="UTF-8"?><Error><Code>` + code + `</Code><Message>dGlja2V0LXNpZ25hdHVyZQ</Message></Error>`
	}
	cases := []struct {
		answer answer
		code   fault.Code
		puts   int
		reason string
	}{
		{answer{403, xml("AccessDenied")}, "unavailable", 2, "a new ticket was refused too: storage: HTTP 403, code AccessDenied"},
		{answer{403, xml("SignatureDoesNotMatch")}, "unavailable", 2, "a new ticket was refused too: storage: HTTP 403, code SignatureDoesNotMatch"},
		{answer{403, xml("RequestTimeTooSkewed")}, "unavailable", 2, "a new ticket was refused too: storage: HTTP 403, code RequestTimeTooSkewed"},
		{answer{403, ""}, "unavailable", 2, "a new ticket was refused too: storage: HTTP 403"},
		{answer{400, xml("ExpiredToken")}, "unavailable", 2, "a new ticket was refused too: storage: HTTP 400, code ExpiredToken"},
		{answer{400, xml("InvalidToken")}, "unavailable", 2, "a new ticket was refused too: storage: HTTP 400, code InvalidToken"},
		{answer{400, xml("EntityTooLarge")}, "invalid", 1, "storage: HTTP 400, code EntityTooLarge"},
		{answer{400, xml("EntityTooSmall")}, "invalid", 1, "storage: HTTP 400, code EntityTooSmall"},
		{answer{413, ""}, "invalid", 1, "storage: HTTP 413"},
		{answer{400, xml("RequestTimeout")}, "timeout", 1, "storage: HTTP 400, code RequestTimeout"},
		{answer{400, xml("IncompleteBody")}, "unavailable", 1, "storage: HTTP 400, code IncompleteBody"},
		{answer{411, xml("MissingContentLength")}, "internal", 1, "storage: HTTP 411"},
		{answer{429, ""}, "unavailable", 1, "storage: HTTP 429"},
		{answer{400, xml("dGlja2V0")}, "invalid", 1, "storage: HTTP 400"},
		{answer{301, ""}, "malformed", 1, "storage: HTTP 301"},
		{answer{500, xml("InternalError")}, "unavailable", 1, "storage: HTTP 500"},
		{answer{503, xml("SlowDown")}, "unavailable", 1, "storage: HTTP 503"},
	}
	for _, tc := range cases {
		s := serve(t, nil, map[string][]answer{
			"POST /suno/uploads/audio":                         {{200, ticketOf}},
			"PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ": {tc.answer},
		})
		_, err := s.Upload(t.Context(), uploadOf("sound"))
		if diff := cmp.Diff(fields{tc.code, fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || fault.Reason(err) != tc.reason || len(s.got) != 2*tc.puts {
			t.Errorf("HTTP %d %s: %q after %d requests, want %q after %d (-want +got):\n%s",
				tc.answer.status, tc.answer.body, fault.Reason(err), len(s.got), tc.reason, 2*tc.puts, diff)
		}
	}
}

func TestTicketThatExpired(t *testing.T) {
	s := serve(t, nil, map[string][]answer{
		"POST /suno/uploads/audio": {{200, `{"upload_id":"old","upload_url":"HOST/s3/old"}`}, {200, `{"upload_id":"` + uploadID + `","upload_url":"HOST/s3/new"}`}},
		"PUT /s3/old":              {{403, ""}},
		"PUT /s3/new":              {{200, ""}},
		finishPath:                 {{200, `{}`}},
	})
	got, err := s.Upload(t.Context(), uploadOf("sound"))
	if diff := cmp.Diff(accepted, got); diff != "" || err != nil {
		t.Errorf("Upload: error %v (-want +got):\n%s", err, diff)
	}
	want := []string{"POST /suno/uploads/audio", "PUT /s3/old", "POST /suno/uploads/audio", "PUT /s3/new", finishPath}
	if diff := cmp.Diff(want, s.paths()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestResume: what another attempt left is gone on with only where that is known
// to be safe.
func TestResume(t *testing.T) {
	const (
		sent   = `{"upload":"earlier","done":"transfer"}`
		status = "GET /suno/uploads/audio/earlier"
	)
	again := []string{"POST /suno/uploads/audio", "PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ", finishPath}
	asksFirst := append([]string{status}, again...)
	cases := []struct {
		name, saved string
		status      answer
		want        []string
		id          string
		err         fields
	}{
		{"nothing", ``, answer{}, again, uploadID, fields{}},
		{"something else", `{"task":1}`, answer{}, again, uploadID, fields{}},
		{"no JSON", `?`, answer{}, again, uploadID, fields{}},
		{"reported", `{"upload":"earlier","done":"upload-finish"}`, answer{}, nil, "earlier", fields{}},
		{"sent, and processed", sent, answer{200, `{"id":"earlier","status":"complete"}`}, []string{status}, "earlier", fields{}},
		{"sent, and processed by the seed's word", sent, answer{200, `{"id":"earlier","status":"completed"}`}, []string{status}, "earlier", fields{}},
		{"sent, and past the first check", sent, answer{200, `{"data":{"status":"passed_audio_processing"}}`}, []string{status}, "earlier", fields{}},
		{"sent, and past the second check", sent, answer{200, `{"status":"passed_artist_moderation"}`}, []string{status}, "earlier", fields{}},
		{"sent, perhaps not reported", sent, answer{200, `{"id":"earlier","status":"processing"}`}, asksFirst, uploadID, fields{}},
		{"sent, and failed", sent, answer{200, `{"id":"earlier","status":"error"}`}, asksFirst, uploadID, fields{}},
		{"sent, in a word nobody knows", sent, answer{200, `{"id":"earlier","status":"created"}`}, asksFirst, uploadID, fields{}},
		{"sent, and forgotten", sent, answer{404, ``}, asksFirst, uploadID, fields{}},
		{"sent, and forgotten by the gateway", sent, answer{400, `{"code":"task_not_exist"}`}, asksFirst, uploadID, fields{}},
		{"sent, and answered with a page", sent, answer{200, `<html>`}, asksFirst, uploadID, fields{}},
		{"sent, while kkiai is down", sent, answer{503, ``}, []string{status}, "", fields{"unavailable", fault.ChargeNone, fault.ScopeItem}},
		{"sent, with a key that is refused", sent, answer{401, ``}, []string{status}, "", fields{"denied", fault.ChargeNone, fault.ScopeAccount}},
	}
	for _, tc := range cases {
		s := serve(t, nil, map[string][]answer{
			"POST /suno/uploads/audio":                         {{200, ticketOf}},
			"PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ": {{200, ""}},
			finishPath: {{200, `{}`}},
			status:     {tc.status},
		})
		r := uploadOf("sound")
		r.Checkpoint = json.RawMessage(tc.saved)
		got, err := s.Upload(t.Context(), r)
		if diff := cmp.Diff(tc.err, of(err)); diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tc.name, err, diff)
		}
		if got == nil && tc.id != "" || got != nil && got.OperationID != tc.id {
			t.Errorf("%s: %+v, want operation %q", tc.name, got, tc.id)
		}
		if diff := cmp.Diff(tc.want, s.paths()); diff != "" {
			t.Errorf("%s: requests (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestCheckpointThatCannotBeSaved stops before the report, which might not bear
// being sent twice.
func TestCheckpointThatCannotBeSaved(t *testing.T) {
	lost := fault.New(fault.Conflict, "session.Save", errors.New("somebody else has the item"))
	for _, tc := range []struct {
		cause error
		want  fields
	}{
		{lost, fields{"conflict", fault.ChargeUnknown, fault.ScopeItem}},
		{io.ErrClosedPipe, fields{"internal", fault.ChargeNone, fault.ScopeItem}},
	} {
		s := serve(t, nil, map[string][]answer{
			"POST /suno/uploads/audio":                         {{200, ticketOf}},
			"PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ": {{200, ""}},
		})
		r := uploadOf("sound")
		r.Save = func(context.Context, json.RawMessage) error { return tc.cause }
		got, err := s.Upload(t.Context(), r)
		if diff := cmp.Diff(tc.want, of(err)); diff != "" || got != nil || !errors.Is(err, tc.cause) || len(s.got) != 2 {
			t.Errorf("Save says %v: %+v, %v after %d requests (-want +got):\n%s", tc.cause, got, err, len(s.got), diff)
		}
	}
}

func TestReportAnswers(t *testing.T) {
	for _, body := range []string{``, `<html>`, `[]`, `null`, `"ok"`} {
		s := serve(t, nil, map[string][]answer{
			"POST /suno/uploads/audio":                         {{200, ticketOf}},
			"PUT /s3/a?X-Amz-Signature=dGlja2V0LXNpZ25hdHVyZQ": {{200, ""}},
			finishPath: {{200, body}},
		})
		got, err := s.Upload(t.Context(), uploadOf("sound"))
		if diff := cmp.Diff(fields{"malformed", fault.ChargeNone, fault.ScopeItem}, of(err)); diff != "" || got != nil {
			t.Errorf("upload-finish answers %q: %+v, %v (-want +got):\n%s", body, got, err, diff)
		}
	}
}
