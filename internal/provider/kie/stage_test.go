package kie_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/kie"
)

const (
	streamRoute = "POST /files/api/file-stream-upload"
	fetchRoute  = "POST /files/api/file-url-upload"
	stored      = `{"success":true,"code":200,"msg":"ok","data":{"fileName":"a.mp3","filePath":"segue/a.mp3","downloadUrl":"https://tempfile.example/segue/a.mp3","fileSize":5,"mimeType":"audio/mpeg","uploadedAt":"2026-11-22T10:00:00Z"}}`
)

// bytesOf is audio that is only there as bytes.
func bytesOf(content string) provider.Audio {
	return provider.Audio{
		Name: "My Söng.mp3", Format: "mp3", Size: int64(len(content)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

// part is one part of a form as it arrived.
type part struct{ Name, FileName, Type, Content string }

// TestStreamUpload looks at the request itself: its length is announced and right,
// its file comes last and whole, and its name is never used twice.
func TestStreamUpload(t *testing.T) {
	var parts [][]part
	base, client := host(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(body)) || r.TransferEncoding != nil {
			t.Errorf("%d bytes of %d announced, encoding %v, %v; want all of them, not in chunks", len(body), r.ContentLength, r.TransferEncoding, err)
		}
		if got := r.Method + " " + r.URL.Path; got != streamRoute || r.Header.Get("Authorization") != "Bearer "+key {
			t.Errorf("%s with %q, want %s with the key", got, r.Header.Get("Authorization"), streamRoute)
		}
		if agent := r.UserAgent(); !strings.HasPrefix(agent, "Mozilla/5.0 ") {
			t.Errorf("User-Agent %q, want one that begins as a browser's", agent)
		}
		parts = append(parts, read(t, r.Header.Get("Content-Type"), body))
		_, _ = io.WriteString(w, stored)
	})
	d := open(t, kie.KIE, provider.Config{BaseURL: base, APIKey: key, HTTP: client}, base)
	for range 2 {
		a, err := d.Upload(t.Context(), &provider.Upload{Audio: bytesOf("sound")})
		if err != nil || a.OperationID != "" || a.Clip.URL != "https://tempfile.example/segue/a.mp3" || a.Clip.ID != "" {
			t.Fatalf("Upload = %+v, %v; want the clip's URL", a, err)
		}
	}
	name := regexp.MustCompile(`^segue-[a-z2-7]{26}\.mp3$`)
	if len(parts) != 2 || len(parts[0]) != 3 || !name.MatchString(parts[0][1].Content) || parts[0][1] == parts[1][1] {
		t.Fatalf("parts %+v, want two forms with three parts and names of their own", parts)
	}
	for _, form := range parts {
		unique := form[1].Content
		want := []part{
			{"uploadPath", "", "", "segue"},
			{"fileName", "", "", unique},
			{"file", unique, "audio/mpeg", "sound"},
		}
		if diff := cmp.Diff(want, form); diff != "" {
			t.Errorf("form (-want +got):\n%s", diff)
		}
	}
}

func read(t *testing.T, contentType string, body []byte) []part {
	t.Helper()
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("Content-Type %q: %v", contentType, err)
	}
	var list []part
	for form := multipart.NewReader(bytes.NewReader(body), params["boundary"]); ; {
		p, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatalf("part %d: %v", len(list)+1, err)
		}
		content, err := io.ReadAll(p)
		if err != nil {
			t.Fatalf("part %q: %v", p.FormName(), err)
		}
		list = append(list, part{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(content)})
	}
}

// zeros is a long source that is nowhere in memory.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	if z.left == 0 {
		return int(n), io.EOF
	}
	return int(n), nil
}

func (z *zeros) Close() error { return nil }

func TestUploadIsNotHeldInMemory(t *testing.T) {
	const size = 64 << 20
	var arrived int64
	base, client := host(t, func(w http.ResponseWriter, r *http.Request) {
		arrived, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, stored)
	})
	d := open(t, kie.KIE, provider.Config{BaseURL: base, APIKey: key, HTTP: client}, base)
	audio := provider.Audio{Format: "wav", Size: size, Open: func(context.Context) (io.ReadCloser, error) { return &zeros{size}, nil }}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := d.Upload(t.Context(), &provider.Upload{Audio: audio}); err != nil {
		t.Fatalf("Upload: %v", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 || arrived < size {
		t.Errorf("%d bytes arrived and %d were allocated on both sides, want all %d for less than 4 MiB", arrived, got, size)
	}
}

// TestHowAudioGetsThere: what is a URL is fetched by the file host, unless it is
// too large for that or the setting says otherwise.
func TestHowAudioGetsThere(t *testing.T) {
	const url = "https://bucket.example/a.flac?X-Amz-Signature=f00"
	fetched := regexp.MustCompile(`^\{"fileUrl":"https://bucket\.example/a\.flac\?X-Amz-Signature=f00","uploadPath":"segue","fileName":"segue-[a-z2-7]{26}\.flac"\}$`)
	cases := []struct {
		name    string
		options map[string]string
		url     string
		size    int64
		want    string
	}{
		{"a URL", nil, url, 100, fetchRoute},
		{"a URL of unknown size", nil, url, -1, fetchRoute},
		{"a URL of 100 MiB", nil, url, 100 << 20, fetchRoute},
		{"a URL of more", nil, url, 100<<20 + 1, streamRoute},
		{"a URL, by setting", map[string]string{"stage": "stream"}, url, 5, streamRoute},
		{"an address of our own", nil, "s3://bucket/a.flac", 5, streamRoute},
		{"no URL", nil, "", 5, streamRoute},
	}
	for _, tc := range cases {
		var route, body string
		base, client := host(t, func(w http.ResponseWriter, r *http.Request) {
			var begin strings.Builder
			_, err1 := io.CopyN(&begin, r.Body, 1000)
			_, err2 := io.Copy(io.Discard, r.Body)
			if err1 != nil && !errors.Is(err1, io.EOF) || err2 != nil {
				t.Errorf("%s: reading the request: %v, %v", tc.name, err1, err2)
			}
			route, body = r.Method+" "+r.URL.Path, begin.String()
			_, _ = io.WriteString(w, stored)
		})
		d := open(t, kie.SunoAPI, provider.Config{BaseURL: base, APIKey: key, HTTP: client, Options: tc.options}, base)
		audio := provider.Audio{URL: tc.url, Format: "flac", Size: tc.size}
		audio.Open = func(context.Context) (io.ReadCloser, error) { return &zeros{tc.size}, nil }
		a, err := d.Upload(t.Context(), &provider.Upload{Audio: audio})
		if err != nil || a.Clip == nil {
			t.Errorf("%s: Upload = %+v, %v; want a clip", tc.name, a, err)
			continue
		}
		if route != tc.want || tc.want == fetchRoute && !fetched.MatchString(body) {
			t.Errorf("%s: %s %s, want %s", tc.name, route, body, tc.want)
		}
	}
}

func TestStagedClip(t *testing.T) {
	day := 24 * time.Hour
	cases := []struct {
		name, data string
		url        string
		expires    time.Time // zero: a day from now
	}{
		{"downloadUrl", `{"downloadUrl":"https://f.example/a.mp3"}`, "https://f.example/a.mp3", time.Time{}},
		{"both", `{"fileUrl":"https://f.example/b.mp3","downloadUrl":"https://f.example/a.mp3"}`, "https://f.example/a.mp3", time.Time{}},
		{"fileUrl", `{"fileId":"x","fileUrl":"https://f.example/b.mp3","downloadUrl":""}`, "https://f.example/b.mp3", time.Time{}},
		{
			"an expiry", `{"downloadUrl":"https://f.example/a.mp3","expiresAt":"2999-01-02T05:04:05.678+02:00"}`, "https://f.example/a.mp3",
			time.Date(2999, 1, 2, 3, 4, 5, 678000000, time.UTC),
		},
		{"an expiry without a zone", `{"downloadUrl":"https://f.example/a.mp3","expiresAt":"2999-01-02 03:04:05"}`, "https://f.example/a.mp3", time.Time{}},
		{"an expiry that has passed", `{"downloadUrl":"https://f.example/a.mp3","expiresAt":"2001-01-02T03:04:05Z"}`, "https://f.example/a.mp3", time.Time{}},
		{"an expiry of another type", `{"downloadUrl":"https://f.example/a.mp3","expiresAt":{"x":1}}`, "https://f.example/a.mp3", time.Time{}},
		{"nothing", `{}`, "", time.Time{}},
		{"null", `null`, "", time.Time{}},
		{"a path", `{"downloadUrl":"/segue/a.mp3"}`, "", time.Time{}},
		{"another scheme", `{"downloadUrl":"file:///etc/passwd"}`, "", time.Time{}},
	}
	for _, tc := range cases {
		d, _ := serve(t, kie.KIE, nil, map[string]answer{streamRoute: {200, `{"success":true,"code":200,"data":` + tc.data + `}`}})
		from := time.Now()
		a, err := d.Upload(t.Context(), &provider.Upload{Audio: bytesOf("sound")})
		until := time.Now()
		switch {
		case tc.url == "":
			if got := of(err); got != (fields{"malformed", fault.ChargeNone, fault.ScopeItem}) || a != nil {
				t.Errorf("%s: %+v, %v; want malformed, not charged", tc.name, a, err)
			}
		case err != nil || a.Clip.URL != tc.url:
			t.Errorf("%s: %+v, %v; want %s", tc.name, a, err, tc.url)
		case !tc.expires.IsZero() && !a.Clip.Expires.Equal(tc.expires):
			t.Errorf("%s: expires %v, want %v", tc.name, a.Clip.Expires, tc.expires)
		case tc.expires.IsZero() && (a.Clip.Expires.Before(from.Add(day)) || a.Clip.Expires.After(until.Add(day))):
			t.Errorf("%s: expires %v, want a day from now", tc.name, a.Clip.Expires)
		}
	}
}

// TestStagingRefusals: none is ever charged, and the firewall is not the key.
func TestStagingRefusals(t *testing.T) {
	cases := []struct {
		status int
		body   string
		want   fields
		reason string
	}{
		{200, `{"success":false,"code":400,"msg":"bad file"}`, fields{"invalid", 1, fault.ScopeItem}, "HTTP 200, code 400: bad file"},
		{200, `{"success":false,"code":401,"msg":"no"}`, fields{"denied", 1, fault.ScopeAccount}, "HTTP 200, code 401"},
		{401, `{"code":401}`, fields{"denied", 1, fault.ScopeAccount}, "HTTP 401, code 401"},
		{405, `{"code":405}`, fields{"invalid", 1, fault.ScopeItem}, "HTTP 405, code 405"},
		{413, `<html>`, fields{"invalid", 1, fault.ScopeItem}, "HTTP 413"},
		{429, `<html>`, fields{"exhausted", 1, fault.ScopeEndpoint}, "HTTP 429"},
		{200, `{"success":false,"code":500}`, fields{"unavailable", 1, fault.ScopeItem}, "HTTP 200, code 500"},
		{500, ``, fields{"unavailable", 1, fault.ScopeItem}, "HTTP 500"},
		{502, `<html>`, fields{"unavailable", 1, fault.ScopeItem}, "HTTP 502"},
		{200, `<html>`, fields{"malformed", 1, fault.ScopeItem}, "HTTP 200 with 6 bytes of HTML or XML, not JSON"},
		{403, `{"code":403,"msg":"forbidden"}`, fields{"denied", 1, fault.ScopeAccount}, "HTTP 403, code 403"},
		{
			403, "error code: 1010",
			fields{"unavailable", 1, fault.ScopeEndpoint},
			"HTTP 403: the firewall in front of the provider refuses this client, not the key; see the option user_agent",
		},
	}
	for _, tc := range cases {
		for route, audio := range map[string]provider.Audio{
			streamRoute: bytesOf("sound"),
			fetchRoute:  {URL: "https://bucket.example/a.mp3?sig=c2lnbmF0dXJl", Size: 5},
		} {
			d, _ := serve(t, kie.KIE, nil, map[string]answer{route: {tc.status, tc.body}})
			_, err := d.Upload(t.Context(), &provider.Upload{Audio: audio})
			if diff := cmp.Diff(tc.want, of(err)); diff != "" || fault.Reason(err) != tc.reason {
				t.Errorf("%s: HTTP %d %q: reason %q, want %q (-want +got):\n%s", route, tc.status, tc.body, fault.Reason(err), tc.reason, diff)
			}
		}
	}
}

func TestUploadsThatCannotBeSent(t *testing.T) {
	broken := fault.Uncharged(fault.NotFound, "segue.open", errors.New("My Söng.mp3 is gone"))
	reader := func(content string, err error) func(context.Context) (io.ReadCloser, error) {
		return func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(content), failing{err})), nil
		}
	}
	cases := []struct {
		name  string
		audio provider.Audio
		code  fault.Code
	}{
		{"no bytes", provider.Audio{Size: 5}, fault.Invalid},
		{"unknown size", provider.Audio{Size: -1, Open: reader("sound", io.EOF)}, fault.Invalid},
		{"too short", provider.Audio{Size: 6, Open: reader("sound", io.EOF)}, fault.Invalid},
		{"too long", provider.Audio{Size: 4, Open: reader("sound", io.EOF)}, fault.Invalid},
		{"breaks off", provider.Audio{Size: 6, Open: reader("sound", errors.New("https://bucket.example/?sig=c2VjcmV0"))}, fault.Unavailable},
		{"breaks off for a reason", provider.Audio{Size: 6, Open: reader("sound", broken)}, fault.NotFound},
		{"cannot be opened", provider.Audio{Size: 6, Open: func(context.Context) (io.ReadCloser, error) { return nil, broken }}, fault.NotFound},
		{"longer than the setting", provider.Audio{Size: 5, Open: reader("sound", io.EOF), Duration: 121 * time.Second}, fault.Invalid},
	}
	base, client := host(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil && r.ContentLength >= 0 {
			t.Errorf("a request of %d bytes arrived whole, want none", r.ContentLength)
		}
		_, _ = io.WriteString(w, stored)
	})
	d := open(t, kie.KIE, provider.Config{BaseURL: base, APIKey: key, HTTP: client, Options: map[string]string{"max_upload": "2m"}}, base)
	for _, tc := range cases {
		a, err := d.Upload(t.Context(), &provider.Upload{Audio: tc.audio})
		if a != nil || fault.CodeOf(err) != tc.code || fault.ChargeOf(err) != fault.ChargeNone || strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: %+v, %v (%v); want %q, not charged, without the address", tc.name, a, err, fault.ChargeOf(err), tc.code)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestApikleyFetchesItself: there is no host for files, so nothing is sent.
func TestApikleyFetchesItself(t *testing.T) {
	d, got := serve(t, kie.Apikley, map[string]string{"max_upload": "2m"}, nil)
	a, err := d.Upload(t.Context(), &provider.Upload{Audio: provider.Audio{URL: "https://segue.example/files/a.mp3?sig=x", Duration: 2 * time.Minute}})
	if diff := cmp.Diff(&provider.Accepted{Clip: &provider.Clip{URL: "https://segue.example/files/a.mp3?sig=x"}}, a); diff != "" || err != nil {
		t.Errorf("Upload: %v (-want +got):\n%s", err, diff)
	}
	for name, audio := range map[string]provider.Audio{
		"no URL":      bytesOf("sound"),
		"a path":      {URL: "/srv/a.mp3"},
		"too long":    {URL: "https://segue.example/a.mp3", Duration: 121 * time.Second},
		"not for web": {URL: "s3://bucket/a.mp3"},
	} {
		if _, err := d.Upload(t.Context(), &provider.Upload{Audio: audio}); of(err) != (fields{"invalid", fault.ChargeNone, fault.ScopeItem}) {
			t.Errorf("%s: %v, want invalid, not charged", name, err)
		}
	}
	if len(*got) != 0 {
		t.Errorf("requests %v, want none", *got)
	}
}
