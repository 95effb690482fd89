package s3

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/all"
)

// ticket is one answer of kkiai to "where shall the audio go".
type ticket struct {
	ID     string            `json:"upload_id"`
	URL    string            `json:"upload_url"`
	Fields map[string]string `json:"fields,omitempty"`
}

// desk is as much of kkiai as hands out tickets, each once and in order, and takes
// the report that an upload is complete.
type desk struct {
	mu       sync.Mutex
	tickets  []ticket
	reported []string
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var answer any = struct{}{}
	switch {
	case r.URL.Path != "/suno/uploads/audio":
		d.reported = append(d.reported, r.URL.Path)
	case len(d.tickets) == 0:
		http.Error(w, "no more tickets", http.StatusTeapot)
		return
	default:
		answer, d.tickets = d.tickets[0], d.tickets[1:]
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// upload lets the driver of kkiai carry audio with these tickets.
func (s *store) upload(t *testing.T, audio []byte, tickets ...ticket) (reported []string, left int, err error) {
	t.Helper()
	d := &desk{tickets: tickets}
	server := httptest.NewServer(d)
	defer server.Close()
	driver, err := all.Providers().Open("kkiai", provider.Config{
		BaseURL: server.URL, APIKey: "kk-4f3e2d1c0b9a8877", HTTP: &http.Client{Transport: s.transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = driver.Upload(t.Context(), &provider.Upload{
		Audio: provider.Audio{
			Name: "über \"song\".mp3", Format: "mp3", Size: int64(len(audio)),
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(audio)), nil },
		},
		Save: func(context.Context, json.RawMessage) error { return nil },
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reported, len(d.tickets), err
}

// put signs an address for PUT; with a type, that is signed too.
func put(t *testing.T, c *minio.Client, key, mediaType string) ticket {
	t.Helper()
	header := http.Header{}
	if mediaType != "" {
		header.Set("Content-Type", mediaType)
	}
	address, err := c.PresignHeader(t.Context(), http.MethodPut, bucket, key, time.Hour, nil, header)
	if err != nil {
		t.Fatal(err)
	}
	return ticket{ID: "up-1", URL: address.String()}
}

// terms are what a form's policy allows.
type terms struct {
	expires   time.Time
	mediaType string
	min, max  int64
}

// lenient allows what the tests send.
func lenient() terms {
	return terms{expires: time.Now().Add(time.Hour), mediaType: "audio/mpeg", min: 1, max: 64 << 20}
}

// post signs a form: version 4 of the signature, over the policy.
func post(t *testing.T, c *minio.Client, key string, allowed terms) ticket {
	t.Helper()
	policy := minio.NewPostPolicy()
	for _, err := range []error{
		policy.SetBucket(bucket), policy.SetKey(key), policy.SetExpires(allowed.expires),
		policy.SetContentType(allowed.mediaType), policy.SetContentLengthRange(allowed.min, allowed.max),
		policy.SetSuccessStatusAction("201"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	address, fields, err := c.PresignedPostPolicy(t.Context(), policy)
	if err != nil {
		t.Fatal(err)
	}
	return ticket{ID: "up-1", URL: address.String(), Fields: fields}
}

// audio is bytes that no two places share, so that none can be lost or moved.
func audio(size int) []byte {
	b := make([]byte, size)
	state := uint32(2463534242)
	for i := range b {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		b[i] = byte(state)
	}
	return b
}

// TestTransfer: what was sent is what the store holds, byte by byte, by every
// kind of ticket and for sizes on both sides of the driver's buffers and of where
// it asks before it sends.
func TestTransfer(t *testing.T) {
	s := gateway(t)
	kinds := []struct {
		name, mediaType string
		sign            func(key string) ticket
	}{
		{"put", "", func(key string) ticket { return put(t, s.signer, key, "") }},
		{"put-with-type", "audio/mpeg", func(key string) ticket { return put(t, s.signer, key, "audio/mpeg") }},
		{"post", "audio/mpeg", func(key string) ticket { return post(t, s.signer, key, lenient()) }},
	}
	for _, kind := range kinds {
		for name, size := range map[string]int{"1": 1, "64 KiB": 64 << 10, "1 MiB": 1 << 20, "ünd 9 MiB+1": 9<<20 + 1} {
			key := kind.name + "/" + name + "&a=b.mp3"
			sent := audio(size)
			reported, _, err := s.upload(t, sent, kind.sign(key))
			if err != nil || strings.Join(reported, " ") != "/suno/uploads/audio/up-1/upload-finish" {
				t.Errorf("%s: Upload: %v, reported %v", key, err, reported)
				continue
			}
			held, mediaType := s.read(t, key)
			if !bytes.Equal(sent, held) {
				t.Errorf("%s: the store holds %d bytes, want the %d that were sent", key, len(held), size)
			}
			if kind.mediaType != "" && mediaType != kind.mediaType {
				t.Errorf("%s: the store holds a %q, want %q", key, mediaType, kind.mediaType)
			}
		}
	}
}

func (s *store) read(t *testing.T, key string) (held []byte, mediaType string) {
	t.Helper()
	object, err := s.signer.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := object.Close(); err != nil {
			t.Error(err)
		}
	}()
	if held, err = io.ReadAll(object); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	about, err := object.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return held, about.ContentType
}

// TestRefusals: what the store says of a bad ticket is understood. A ticket that
// is at fault is replaced once; audio that is at fault is not sent again.
func TestRefusals(t *testing.T) {
	s := gateway(t)
	stranger := s.client(t, "bm90LXRoZS1zZWNyZXQtYXQtYWxs")
	expired, narrow, wide := lenient(), lenient(), lenient()
	expired.expires = time.Now().Add(-time.Hour)
	narrow.max = 999
	wide.min = 1001
	sent := audio(1000)
	cases := []struct {
		name    string
		tickets []ticket
		want    fault.Code
		reason  string
		left    int
	}{
		{"PUT, wrongly signed, then well", []ticket{put(t, stranger, "a", ""), put(t, s.signer, "a", "")}, "", "", 0},
		{"POST, wrongly signed, then well", []ticket{post(t, stranger, "b", lenient()), post(t, s.signer, "b", lenient())}, "", "", 0},
		{"POST, expired, then not", []ticket{post(t, s.signer, "c", expired), post(t, s.signer, "c", lenient())}, "", "", 0},
		{
			"PUT, wrongly signed twice",
			[]ticket{put(t, stranger, "d", ""), put(t, stranger, "d", ""), put(t, s.signer, "d", "")},
			fault.Unavailable, "a new ticket was refused too: storage: HTTP 403, code SignatureDoesNotMatch", 1,
		},
		{
			"POST, expired twice",
			[]ticket{post(t, s.signer, "e", expired), post(t, s.signer, "e", expired), post(t, s.signer, "e", lenient())},
			fault.Unavailable, "a new ticket was refused too: storage: HTTP 403, code AccessDenied", 1,
		},
		{
			"POST, too large",
			[]ticket{post(t, s.signer, "f", narrow), post(t, s.signer, "f", lenient())},
			fault.Invalid, "storage: HTTP 400, code EntityTooLarge", 1,
		},
		{
			"POST, too small",
			[]ticket{post(t, s.signer, "g", wide), post(t, s.signer, "g", lenient())},
			fault.Invalid, "storage: HTTP 400, code EntityTooSmall", 1,
		},
	}
	for _, tc := range cases {
		reported, left, err := s.upload(t, sent, tc.tickets...)
		if fault.CodeOf(err) != tc.want || tc.reason != "" && fault.Reason(err) != tc.reason || left != tc.left {
			t.Errorf("%s: %v (%q), %d tickets left; want %q %q, %d left", tc.name, err, fault.CodeOf(err), left, tc.want, tc.reason, tc.left)
		}
		if err != nil && (fault.ChargeOf(err) != fault.ChargeNone || len(reported) != 0 || strings.Contains(err.Error(), "X-Amz")) {
			t.Errorf("%s: %v, charged %v, reported %v; want nothing charged, reported, or told of the ticket", tc.name, err, fault.ChargeOf(err), reported)
		}
	}
}
