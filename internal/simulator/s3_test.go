package simulator_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/simulator"
)

// put changes the URL of a presigned PUT.
func (k ticket) put(change func(u *url.URL, query url.Values)) ticket {
	u, err := url.Parse(k.url)
	if err != nil {
		panic(err)
	}
	query := u.Query()
	change(u, query)
	u.RawQuery = query.Encode()
	return ticket{id: k.id, url: u.String()}
}

func TestPresignedPutIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(u *url.URL, query url.Values)
		status int
		code   string
	}{
		"as it is":          {func(*url.URL, url.Values) {}, 200, ""},
		"no signature":      {func(_ *url.URL, q url.Values) { q.Del("X-Amz-Signature") }, 403, "AccessDenied"},
		"wrong signature":   {func(_ *url.URL, q url.Values) { q.Set("X-Amz-Signature", "00") }, 403, "SignatureDoesNotMatch"},
		"longer life":       {func(_ *url.URL, q url.Values) { q.Set("X-Amz-Expires", "86400") }, 403, "SignatureDoesNotMatch"},
		"another parameter": {func(_ *url.URL, q url.Values) { q.Set("x-id", "PutObject") }, 403, "SignatureDoesNotMatch"},
		"another key":       {func(u *url.URL, _ url.Values) { u.Path += "3" }, 403, "SignatureDoesNotMatch"},
		"another bucket":    {func(u *url.URL, _ url.Values) { u.Path = strings.Replace(u.Path, "suno", "own", 1) }, 404, "NoSuchBucket"},
	} {
		t.Run(name, func(t *testing.T) {
			r := kkiaiRig(t, nil)
			k := r.authorize("wav").put(c.change)
			got := r.transfer(k, wav(5, "song"))
			if got.status != c.status || code(got) != c.code {
				t.Errorf("status %d, code %q; want %d and %q", got.status, code(got), c.status, c.code)
			}
			if finished := r.finishUpload(k.id).status == 200; finished != (c.status == 200) {
				t.Errorf("upload-finish accepted: %t, want %t", finished, c.status == 200)
			}
		})
	}
}

func TestStorageErrorIsXML(t *testing.T) {
	r := kkiaiRig(t, nil)
	got := r.transfer(r.authorize("wav").put(func(_ *url.URL, q url.Values) { q.Del("X-Amz-Signature") }), nil)
	want := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		`<Error><Code>AccessDenied</Code><Message>Access Denied</Message><RequestId>4442587FB7D0A2F9</RequestId><HostId>simulator</HostId></Error>`
	if string(got.body) != want || got.header.Get("Content-Type") != "application/xml" {
		t.Errorf("got %q as %q, want %q as application/xml", got.body, got.header.Get("Content-Type"), want)
	}
}

func TestTicketsExpire(t *testing.T) {
	for _, kind := range []string{"put", "post"} {
		t.Run(kind, func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket, o.Kkiai.TicketLife = kind, time.Minute })
			k := r.authorize("wav")
			r.clock.advance(time.Minute)
			if got := r.transfer(k, wav(5, "song")); got.status/100 != 2 {
				t.Errorf("in the last moment: status %d, %s; want 2xx", got.status, got.body)
			}
			r.clock.advance(time.Second)
			if got := r.transfer(k, wav(5, "song")); got.status != 403 || code(got) != "AccessDenied" {
				t.Errorf("a second later: status %d, code %q; want 403 AccessDenied", got.status, code(got))
			}
			if v := r.sim.Verdict(); v.ExpiredTickets != 1 || v.ForgedTickets != 0 || !v.Clean {
				t.Errorf("%d expired, %d forged, clean %t; want 1, 0, true", v.ExpiredTickets, v.ForgedTickets, v.Clean)
			}
		})
	}
}

// TestFormIsChecked holds for both sets of names that tickets come in.
func TestFormIsChecked(t *testing.T) {
	cases := map[string]struct {
		change func(fields map[string]string)
		status int
		code   string
	}{
		"as it is":          {func(map[string]string) {}, 204, ""},
		"no key":            {func(f map[string]string) { delete(f, "key") }, 400, "InvalidArgument"},
		"no policy":         {func(f map[string]string) { delete(f, "policy") }, 400, "InvalidArgument"},
		"no content type":   {func(f map[string]string) { delete(f, "Content-Type") }, 403, "AccessDenied"},
		"another type":      {func(f map[string]string) { f["Content-Type"] = "audio/x-wav" }, 403, "AccessDenied"},
		"another key":       {func(f map[string]string) { f["key"] = "raw_uploads/mine.wav" }, 403, "AccessDenied"},
		"an invented field": {func(f map[string]string) { f["acl"] = "public-read" }, 403, "AccessDenied"},
		"own policy": {func(f map[string]string) {
			f["policy"] = base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2030-01-01T00:00:00Z","conditions":[]}`))
		}, 403, "SignatureDoesNotMatch"},
		"wrong signature": {func(f map[string]string) {
			for _, name := range []string{"signature", "x-amz-signature"} {
				if f[name] != "" {
					f[name] = "00"
				}
			}
		}, 403, "SignatureDoesNotMatch"},
		"too long": {func(f map[string]string) { f["comment"] = strings.Repeat("x", 21<<10) }, 400, "InvalidArgument"},
	}
	names := map[string]bool{}
	for seed := int64(1); seed <= 4; seed++ {
		r := kkiaiRig(t, func(o *simulator.Options) { o.Seed, o.Kkiai.Ticket = seed, "post" })
		for name, c := range cases {
			k := r.authorize("wav")
			for field := range k.fields {
				names[field] = true
			}
			c.change(k.fields)
			if got := r.transfer(k, wav(1, "song")); got.status != c.status || code(got) != c.code {
				t.Errorf("seed %d, %s: status %d, code %q; want %d and %q", seed, name, got.status, code(got), c.status, c.code)
			}
		}
		if v := r.sim.Verdict(); v.ForgedTickets != 6 || v.BadRequests != 3 || v.Clean {
			t.Errorf("seed %d: %d forged, %d bad, clean %t; want 6, 3, false", seed, v.ForgedTickets, v.BadRequests, v.Clean)
		}
	}
	want := map[string]bool{
		"Content-Type": true, "key": true, "policy": true, "AWSAccessKeyId": true, "signature": true,
		"x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-signature": true,
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("names over four seeds (-want +got):\n%s", diff)
	}
}

// TestFormIgnoresWhatFollowsTheFile: S3 reads the file and stops.
func TestFormIgnoresWhatFollowsTheFile(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket = "post" })
	k := r.authorize("wav")
	write := func(order ...string) *http.Request {
		var out bytes.Buffer
		w := multipart.NewWriter(&out)
		for _, name := range order {
			value := k.fields[name]
			if name == "file" {
				value = string(wav(1, "song"))
			}
			if err := w.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, k.url, &out)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", w.FormDataContentType())
		return req
	}
	var names []string
	for name := range k.fields {
		if name != "policy" {
			names = append(names, name)
		}
	}
	if got := r.send(write(append(names, "file", "policy")...)); got.status != 400 || code(got) != "InvalidArgument" {
		t.Errorf("the policy after the file: status %d, code %q; want 400 InvalidArgument", got.status, code(got))
	}
	if got := r.send(write(append(names, "policy")...)); got.status != 400 || code(got) != "InvalidArgument" {
		t.Errorf("no file: status %d, code %q; want 400 InvalidArgument", got.status, code(got))
	}
	if got := r.send(write(append(names, "policy", "file", "comment")...)); got.status != 204 {
		t.Errorf("a field after the file: status %d, want 204", got.status)
	}
}

func TestTransferNeedsALength(t *testing.T) {
	for _, kind := range []string{"put", "post"} {
		r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket = kind })
		req := r.authorize("wav").request(t, wav(1, "song"))
		req.ContentLength = -1
		if got := r.send(req); got.status != 411 || code(got) != "MissingContentLength" {
			t.Errorf("%s: status %d, code %q; want 411 MissingContentLength", kind, got.status, code(got))
		}
		if v := r.sim.Verdict(); v.ChunkedBodies != 1 || v.Clean {
			t.Errorf("%s: %d chunked bodies, clean %t; want 1 and false", kind, v.ChunkedBodies, v.Clean)
		}
	}
}

func TestStorageRefusesTheKeyOfTheAPI(t *testing.T) {
	for _, kind := range []string{"put", "post"} {
		r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket = kind })
		req := r.authorize("wav").request(t, wav(1, "song"))
		req.Header.Set("Authorization", "Bearer key")
		if got := r.send(req); got.status != 400 || code(got) != "InvalidArgument" || bytes.Contains(got.body, []byte("Bearer")) {
			t.Errorf("%s: status %d, %s; want 400 InvalidArgument without the key", kind, got.status, got.body)
		}
		if v := r.sim.Verdict(); v.LeakedKeys != 1 || v.Clean {
			t.Errorf("%s: %d leaked keys, clean %t; want 1 and false", kind, v.LeakedKeys, v.Clean)
		}
	}
}

func TestResultFilesNeedNoKey(t *testing.T) {
	r := newRig(t, nil)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.track(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	if got := r.send(req); got.status != 200 {
		t.Errorf("status %d, want 200: a CDN does not mind", got.status)
	}
	if v := r.sim.Verdict(); v.LeakedKeys != 1 || v.Clean {
		t.Errorf("%d leaked keys, clean %t; want 1 and false", v.LeakedKeys, v.Clean)
	}
}

func TestStorageIsWriteOnly(t *testing.T) {
	r := kkiaiRig(t, nil)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if got := r.do(method, "/s3/suno-uploads/raw_uploads/x.wav", "", nil); got.status != 403 || code(got) != "AccessDenied" {
			t.Errorf("%s: status %d, code %q; want 403 AccessDenied", method, got.status, code(got))
		}
	}
}

// TestTicketsFitOnlyTheirOwnWay sends a PUT's key by form and the other way.
func TestTicketsFitOnlyTheirOwnWay(t *testing.T) {
	r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket = "post" })
	k := r.authorize("wav")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, k.url+k.fields["key"]+"?X-Amz-Signature=00", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.send(req); got.status != 403 {
		t.Errorf("PUT with a form's key: status %d, want 403", got.status)
	}
	fields := maps.Clone(k.fields)
	fields["key"] = "raw_uploads/" + k.id
	if got := r.transfer(ticket{id: k.id, url: k.url, fields: fields}, nil); got.status != 403 {
		t.Errorf("form with a shortened key: status %d, want 403", got.status)
	}
}

// TestLargestFile calls the handler itself: a client would have to send it all.
func TestLargestFile(t *testing.T) {
	r := kkiaiRig(t, nil)
	req := r.authorize("wav").request(t, nil)
	req.ContentLength = 524_288_001
	w := httptest.NewRecorder()
	r.sim.Handler().ServeHTTP(w, req)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "EntityTooLarge") {
		t.Errorf("a byte too many: status %d, %s; want 400 EntityTooLarge", w.Code, w.Body)
	}
}

// TestTornTransfers stores nothing of a file that does not come whole.
func TestTornTransfers(t *testing.T) {
	for _, kind := range []string{"put", "post"} {
		t.Run(kind, func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket = kind })
			k := r.authorize("wav")
			req := k.request(t, wav(5, "song"))
			body, err := io.ReadAll(req.Body)
			if err != nil {
				t.Fatal(err)
			}
			torn := httpRequest(req, body[:len(body)-1000], int64(len(body)))
			if got := rawExchange(t, r.api.Listener.Addr().String(), torn); !strings.Contains(got, "IncompleteBody") {
				t.Errorf("the end is missing: answer %q, want IncompleteBody", got)
			}
			if got := r.finishUpload(k.id); got.status != 400 {
				t.Errorf("upload-finish after a torn transfer: status %d, want 400", got.status)
			}
			if got := r.transfer(k, wav(5, "song")); got.status/100 != 2 {
				t.Errorf("the same ticket again: status %d, want 2xx", got.status)
			}
		})
	}
}

func TestStorageFaults(t *testing.T) {
	for kind, want := range map[simulator.Kind]struct {
		status int // 0 is a broken connection
		stored bool
	}{
		simulator.DropBefore:    {0, false},
		simulator.DropAfter:     {0, true},
		simulator.ErrorAfter:    {500, true},
		simulator.Delay:         {204, true},
		simulator.TransferCut:   {0, false},
		simulator.TicketExpired: {403, false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			r := kkiaiRig(t, func(o *simulator.Options) { o.Kkiai.Ticket = "post" })
			k := r.authorize("wav")
			r.script(simulator.Next{Endpoint: "s3", Kind: kind, Count: 1})
			if got := r.transfer(k, wav(5, "song")); got.status != want.status || (got.err != nil) != (want.status == 0) {
				t.Errorf("status %d (%v), want %d", got.status, got.err, want.status)
			}
			if stored := r.finishUpload(k.id).status == 200; stored != want.stored {
				t.Errorf("stored %t, want %t", stored, want.stored)
			}
			if got := r.transfer(k, wav(5, "song")); got.status != 204 {
				t.Errorf("the transfer after the fault: status %d, want 204", got.status)
			}
			if got := r.object(r.do(http.MethodGet, "/_sim/state", "", nil)); at(got, "fired", string(kind)) != 1.0 {
				t.Errorf("faults that struck: %v, want one %s", got["fired"], kind)
			}
		})
	}
}

// TestTransfersTakeNoMemory sends 64 MB; a copy of it would show.
func TestTransfersTakeNoMemory(t *testing.T) {
	const size = 64 << 20
	r := kkiaiRig(t, nil)
	k := r.authorize("wav")
	req := k.request(t, nil)
	req.Body, req.ContentLength = io.NopCloser(io.LimitReader(zeros{}, size)), size
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if got := r.send(req); got.status != 200 {
		t.Fatalf("status %d (%v), want 200", got.status, got.err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("a transfer of 64 MB allocated %d bytes, want less than 8 MB", grown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestNoFilesAreLeft: what was examined, forgotten or closed is off the disk.
func TestNoFilesAreLeft(t *testing.T) {
	dir := t.TempDir()
	r := kkiaiRig(t, func(o *simulator.Options) { o.Files = dir })
	files := func() int {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	first, second := r.authorize("wav"), r.authorize("wav")
	r.transfer(first, wav(5, "a"))
	r.transfer(second, wav(5, "b"))
	if got := files(); got != 2 {
		t.Errorf("%d files after two transfers, want 2", got)
	}
	r.finishUpload(first.id)
	r.settle(0)
	if got := files(); got != 1 {
		t.Errorf("%d files after one was examined, want 1", got)
	}
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	if got := files(); got != 0 {
		t.Errorf("%d files after a reset, want 0", got)
	}
	if got := r.transfer(second, wav(5, "b")); got.status != 403 {
		t.Errorf("a ticket from before the reset: status %d, want 403", got.status)
	}
}
