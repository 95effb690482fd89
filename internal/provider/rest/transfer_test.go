package rest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// source is audio that counts how it is used.
type source struct {
	io.Reader
	read   atomic.Int64
	closed chan struct{}
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.read.Add(int64(n))
	return n, err
}

func (s *source) Close() error {
	close(s.closed)
	return nil
}

// contentOf is text said to be size bytes long.
func contentOf(text string, size int64) rest.Content {
	return rest.Content{Type: "audio/mpeg", Size: size, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

const signed = "?X-Amz-Signature=c2lnbmF0dXJl"

var storage = rest.Table{
	"AccessDenied": {Code: fault.Denied},
	"403":          {Code: fault.Denied},
	"411":          {Code: fault.Internal},
}

// put sends content to the handler as a storage service.
func put(t *testing.T, content rest.Content, handler http.HandlerFunc) error {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := openAt(t, server.URL, &http.Client{Transport: transport(t)})
	return c.Transfer(t.Context(), rest.Transfer{
		Op: "test.Put", Method: http.MethodPut, Address: server.URL + "/raw/a.mp3" + signed, Content: content, Table: storage,
	})
}

func TestTransfer(t *testing.T) {
	var got http.Request
	var body []byte
	err := put(t, contentOf("sound", 5), func(w http.ResponseWriter, r *http.Request) {
		got = *r
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	if err != nil || string(body) != "sound" || got.Method != http.MethodPut || got.URL.RequestURI() != "/raw/a.mp3?X-Amz-Signature=c2lnbmF0dXJl" {
		t.Errorf("error %v, %s %s with %q; want PUT of sound to the signed address", err, got.Method, got.URL, body)
	}
	if got.ContentLength != 5 || got.TransferEncoding != nil || got.Header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("length %d, encoding %v, type %q; want 5, none, audio/mpeg", got.ContentLength, got.TransferEncoding, got.Header.Get("Content-Type"))
	}
	for name, values := range got.Header {
		if strings.Contains(strings.Join(values, " "), key) {
			t.Errorf("the header %s carries the API key to the storage", name)
		}
	}
}

func TestTransferRefused(t *testing.T) {
	const denied = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Request has expired: c2lnbmF0dXJl</Message></Error>`
	cases := []struct {
		name   string
		status int
		body   string
		want   failure
		text   string
	}{
		{"a listed code", 400, denied, failure{"denied", fault.ChargeNone, 0, 0}, "test.Put: denied: storage: HTTP 400, code AccessDenied"},
		{"an unlisted code", 403, `<Error><Code>c2lnbmF0dXJl</Code></Error>`, failure{"denied", fault.ChargeNone, 0, 0}, "test.Put: denied: storage: HTTP 403"},
		{"a broken body", 403, `<Error><Code>Acc`, failure{"denied", fault.ChargeNone, 0, 0}, "test.Put: denied: storage: HTTP 403"},
		{"no length", 411, "", failure{"internal", fault.ChargeNone, 0, 0}, "test.Put: internal: storage: HTTP 411"},
		{"slow down", 503, "", failure{"unavailable", fault.ChargeNone, 0, 7 * time.Second}, "test.Put: unavailable: storage: HTTP 503"},
		{"elsewhere", 307, "", failure{"malformed", fault.ChargeNone, 0, 0}, "test.Put: malformed: storage: HTTP 307"},
		{"another 4xx", 418, "", failure{"invalid", fault.ChargeNone, 0, 0}, "test.Put: invalid: storage: HTTP 418"},
	}
	for _, tc := range cases {
		requests := 0
		err := put(t, contentOf("sound", 5), func(w http.ResponseWriter, r *http.Request) {
			requests++
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Location", "/elsewhere")
			if tc.status == http.StatusServiceUnavailable {
				w.Header().Set("Retry-After", "7")
			}
			w.WriteHeader(tc.status)
			_, _ = io.WriteString(w, tc.body)
		})
		if diff := cmp.Diff(tc.want, taken(t, err)); diff != "" || err.Error() != tc.text || requests != 1 {
			t.Errorf("%s: %q after %d requests, want %q after 1 (-want +got):\n%s", tc.name, err, requests, tc.text, diff)
		}
	}
}

func TestTransferAddress(t *testing.T) {
	c := openAt(t, "https://api.example", &http.Client{Transport: transport(t)})
	for _, address := range []string{"", "raw/a.mp3", "://x" + signed, "ftp://s3.example/a" + signed, "https:///a" + signed, "https://u:p@s3.example/a", "http://s3.example/a" + signed} {
		err := c.Transfer(t.Context(), rest.Transfer{Op: "test.Put", Method: http.MethodPut, Address: address, Content: contentOf("sound", 5)})
		if diff := cmp.Diff(failure{"malformed", fault.ChargeNone, 0, 0}, taken(t, err)); diff != "" || strings.Contains(err.Error(), "c2lnbm") || strings.Contains(err.Error(), "u:p") {
			t.Errorf("address %q: %v (-want +got):\n%s", address, err, diff)
		}
	}
}

// TestTransferOfWhatCannotBeRead: what the other side gets of it must not pass for
// the whole, and the error is about the audio.
func TestTransferOfWhatCannotBeRead(t *testing.T) {
	broken := errors.New("read /home/somebody/a.mp3: input/output error")
	cases := []struct {
		name    string
		content rest.Content
		want    failure
		text    string
	}{
		{"shorter than announced", contentOf("soun", 5), failure{"invalid", fault.ChargeNone, 0, 0}, "test.Put: invalid: the audio is not as long as it was said to be: it was changed"},
		{"longer than announced", contentOf("sounds", 5), failure{"invalid", fault.ChargeNone, 0, 0}, "test.Put: invalid: the audio is not as long as it was said to be: it was changed"},
		{"of unknown length", contentOf("sound", -1), failure{"invalid", fault.ChargeNone, 0, 0}, "test.Put: invalid: the size of the audio is not known"},
		{"breaks off", rest.Content{Size: 5, Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("sou"), failing{broken})), nil
		}}, failure{"unavailable", fault.ChargeNone, 0, 0}, "test.Put: unavailable: the audio cannot be read"},
		{"breaks off in words of ours", rest.Content{Size: 5, Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(failing{fault.New(fault.Timeout, "remote.Read", errors.New("the source went silent"))}), nil
		}}, failure{"timeout", fault.ChargeNone, 0, 0}, "remote.Read: timeout: the source went silent"},
		{"is gone", rest.Content{Size: 5, Open: func(context.Context) (io.ReadCloser, error) {
			return nil, fault.New(fault.NotFound, "segue.open", errors.New("a.mp3 is gone"))
		}}, failure{"not_found", fault.ChargeNone, 0, 0}, "segue.open: not_found: a.mp3 is gone"},
	}
	for _, tc := range cases {
		whole := make(chan bool, 1)
		err := put(t, tc.content, func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			whole <- err == nil
		})
		if diff := cmp.Diff(tc.want, taken(t, err)); diff != "" || err.Error() != tc.text {
			t.Errorf("%s: %q, want %q (-want +got):\n%s", tc.name, err, tc.text, diff)
		}
		select {
		case got := <-whole:
			if got {
				t.Errorf("%s: the storage got a body of the announced length", tc.name)
			}
		default:
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestRefusedBeforeItIsSent: a ticket that has expired costs no transfer.
func TestRefusedBeforeItIsSent(t *testing.T) {
	audio := &source{Reader: bytes.NewReader(make([]byte, 2<<20)), closed: make(chan struct{})}
	err := put(t, rest.Content{Size: 2 << 20, Open: func(context.Context) (io.ReadCloser, error) { return audio, nil }},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	<-audio.closed // by the transport, once and in its own time
	if fault.CodeOf(err) != fault.Denied || audio.read.Load() != 0 {
		t.Errorf("error %v, %d bytes read; want denied, 0", err, audio.read.Load())
	}
}

func TestForm(t *testing.T) {
	type part struct{ Name, File, Type, Body string }
	var got []part
	var length int64
	arrived := int64(0)
	content, err := rest.Form(
		[]rest.Field{{"key", "raw/ä\"b.mp3"}, {"Content-Type", "audio/mpeg"}, {"policy", strings.Repeat("p", 9000)}},
		rest.File{Field: "file", Name: "a \"b\"\r\n.mp3", Content: contentOf("sound", 5)},
	)
	if err != nil {
		t.Fatalf("Form: %v", err)
	}
	err = put(t, content, func(_ http.ResponseWriter, r *http.Request) {
		length = r.ContentLength
		counted := &source{Reader: r.Body}
		form := multipart.NewReader(counted, r.Header.Get("Content-Type")[len("multipart/form-data; boundary="):])
		for {
			p, err := form.NextRawPart()
			if err != nil {
				break
			}
			body, _ := io.ReadAll(p)
			got = append(got, part{p.FormName(), p.FileName(), p.Header.Get("Content-Type"), string(body)})
		}
		_, _ = io.Copy(io.Discard, counted)
		arrived = counted.read.Load()
	})
	want := []part{
		{"key", "", "", "raw/ä\"b.mp3"},
		{"Content-Type", "", "", "audio/mpeg"},
		{"policy", "", "", strings.Repeat("p", 9000)},
		{"file", "a \"b\"%0D%0A.mp3", "audio/mpeg", "sound"},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || length != arrived || length != content.Size {
		t.Errorf("error %v, length %d announced, %d arrived, %d computed (-want +got):\n%s", err, length, arrived, content.Size, diff)
	}
}

func TestStream(t *testing.T) {
	requests := 0
	c := open(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "sound" || r.ContentLength != 5 || r.Header.Get("Authorization") != "Bearer "+key || r.URL.Path != "/base/api/upload" {
			t.Errorf("%s of %d bytes with %q, %q, %v", r.URL.Path, r.ContentLength, r.Header.Get("Authorization"), body, err)
		}
		if requests++; requests > 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, `{"id":"f-`+strconv.Itoa(requests)+`"}`)
	})
	var out receipt
	if err := c.Stream(t.Context(), "test.Stage", http.MethodPost, "api/upload", contentOf("sound", 5), &out); err != nil || out.ID != "f-1" {
		t.Errorf("Stream = %+v, %v; want f-1", out, err)
	}
	err := c.Stream(t.Context(), "test.Stage", http.MethodPost, "api/upload", contentOf("sound", 5), &out)
	if diff := cmp.Diff(failure{"unavailable", fault.ChargeNone, 0, 0}, taken(t, err)); diff != "" {
		t.Errorf("a refused stream: %v (-want +got):\n%s", err, diff)
	}
}

func TestStreamObeysItsContext(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	c := open(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	for range 2 { // while the other side is silent, and then before it begins
		err := c.Stream(canceled, "test.Stage", http.MethodPost, "api/upload", contentOf("sound", 5), nil)
		if diff := cmp.Diff(failure{"canceled", fault.ChargeNone, 0, 0}, taken(t, err)); diff != "" {
			t.Errorf("a canceled stream: %v (-want +got):\n%s", err, diff)
		}
	}
}

// TestStreamingHoldsNothing: what is allocated for 64 MB is what is allocated for
// one, since nothing of it is kept.
func TestStreamingHoldsNothing(t *testing.T) {
	const size, most = 64 << 20, 4 << 20
	file := rest.Content{Size: size, Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(zeros{}, size)), nil
	}}
	content, err := rest.Form(nil, rest.File{Field: "file", Name: "a.wav", Content: file})
	if err != nil {
		t.Fatalf("Form: %v", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = put(t, content, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err != nil || got > most {
		t.Errorf("error %v, %d bytes allocated for %d; want at most %d", err, got, size, most)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestFree(t *testing.T) {
	paid := &fault.Error{Code: fault.Unavailable, Op: "test.Do", Scope: fault.ScopeProvider, RetryAfter: time.Second, Err: io.EOF}
	got := rest.Free(paid)
	if diff := cmp.Diff(failure{"unavailable", fault.ChargeNone, fault.ScopeProvider, time.Second}, taken(t, got)); diff != "" || !errors.Is(got, io.EOF) {
		t.Errorf("Free = %v (-want +got):\n%s", got, diff)
	}
	if paid.Charge != fault.ChargeUnknown {
		t.Errorf("Free changed its argument to %v", paid.Charge)
	}
	if rest.Free(nil) != nil || !errors.Is(rest.Free(io.EOF), io.EOF) {
		t.Error("Free changes what is no *fault.Error")
	}
}
