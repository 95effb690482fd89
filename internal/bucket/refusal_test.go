package bucket_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/fault"
)

// all calls everything that asks a server, and gives the errors by name.
func all(ctx context.Context, b *bucket.Bucket) map[string]error {
	content := bytes.Repeat([]byte("x"), 6<<20)
	errs := map[string]error{"Check": b.Check(ctx), "Remove": b.Remove(ctx, "a.mp3")}
	_, errs["Stat"] = b.Stat(ctx, "a.mp3")
	_, _, errs["Get"] = b.Get(ctx, "a.mp3", bucket.Part{})
	_, errs["Put"] = b.Put(ctx, "a.mp3", strings.NewReader("x"), 1, bucket.PutOptions{})
	_, errs["Put streamed"] = b.Put(ctx, "a.mp3", bytes.NewReader(content), 6<<20, bucket.PutOptions{SHA256: digest(content)})
	_, errs["Put in parts"] = b.Put(ctx, "a.mp3", plain{bytes.NewReader(content)}, -1, bucket.PutOptions{})
	for _, err := range b.List(ctx, "") {
		errs["List"] = err
	}
	return errs
}

func TestStrangers(t *testing.T) {
	server := buckettest.Start(t)
	server.Bucket(t, "songs")
	for _, c := range []struct {
		name   string
		change func(*bucket.Options)
	}{
		{"wrong secret", func(o *bucket.Options) { o.SecretKey = "bm90LXRoZS1zZWNyZXQ" }},
		{"unknown key, whatever it asks but a head", func(o *bucket.Options) { o.AccessKey = "stranger" }},
		{"no keys", func(o *bucket.Options) { o.AccessKey, o.SecretKey = "", "" }},
		{"wrong secret, region to be asked for", func(o *bucket.Options) { o.SecretKey, o.Region = "bm90LXRoZS1zZWNyZXQ", "" }},
	} {
		options := server.Options()
		c.change(&options)
		b, err := bucket.Open("songs", options)
		if err != nil {
			t.Fatal(err)
		}
		for call, err := range all(t.Context(), b) {
			if strings.HasSuffix(c.name, "but a head") && call == "Stat" {
				continue // this server answers 404 to a key that it does not know, and a head has no body to say why
			}
			check(t, c.name+": "+call, err, fault.Denied)
		}
	}
}

func TestNoBucket(t *testing.T) {
	b, err := bucket.Open("nowhere", buckettest.Start(t).Options())
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range all(t.Context(), b) {
		check(t, call, err, fault.NotFound)
		if call == "List" && !strings.Contains(err.Error(), "s3://nowhere/: there is no such bucket") {
			t.Errorf("%s: %v, want the bucket named", call, err)
		}
	}
}

func TestReadOnly(t *testing.T) {
	root := t.TempDir()
	put(t, buckettest.StartAt(t, root).Bucket(t, "songs"), "a.mp3", []byte("x"))
	b, err := bucket.Open("songs", buckettest.StartAt(t, root, "--readonly").Options())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]fault.Code{"Put": "denied", "Put streamed": "denied", "Put in parts": "denied", "Remove": "denied"}
	for call, err := range all(t.Context(), b) {
		if fault.CodeOf(err) != want[call] {
			t.Errorf("%s of what can only be read: %v, want %q", call, err, want[call])
		}
	}
}

// TestRegion: a server that may be asked tells its region itself.
func TestRegion(t *testing.T) {
	server := buckettest.Start(t)
	server.Bucket(t, "songs")
	options := server.Options()
	options.Region = ""
	b, err := bucket.Open("songs", options)
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, "a.mp3", []byte("x"))
	options.Region = "eu-central-1"
	if b, err = bucket.Open("songs", options); err != nil {
		t.Fatal(err)
	}
	_, err = b.Stat(t.Context(), "a.mp3")
	if code := fault.CodeOf(err); code != fault.Denied && code != fault.Invalid {
		t.Errorf("Stat in another region: %v, want denied or invalid", err)
	}
}

// answers is a bucket behind a server that always gives one answer, and the count
// of what it was asked.
func answers(t *testing.T, handler http.HandlerFunc) (*bucket.Bucket, *atomic.Int64) {
	t.Helper()
	asked := &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	b, err := bucket.Open("songs", bucket.Options{
		Endpoint: server.URL, Region: "r", AccessKey: buckettest.AccessKey, SecretKey: buckettest.SecretKey, HTTP: server.Client().Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b, asked
}

// TestAnswers: what a server says decides by code and status, and its words go
// nowhere.
func TestAnswers(t *testing.T) {
	cases := []struct {
		status int
		code   string
		want   fault.Code
		asked  int64
	}{
		{400, "ExpiredToken", "denied", 3},
		{400, "AuthorizationHeaderMalformed", "denied", 1},
		{400, "RequestTimeout", "unavailable", 3},
		{400, "BadDigest", "unavailable", 1},
		{400, "InvalidArgument", "invalid", 1},
		{401, "", "denied", 1},
		{403, "RequestTimeTooSkewed", "denied", 1},
		{403, "QuotaExceeded", "unavailable", 1},
		{404, "NoSuchBucket", "not_found", 1},
		{404, "NoSuchKey", "not_found", 1},
		{404, "NoSuchUpload", "unavailable", 1},
		{405, "MethodNotAllowed", "invalid", 1},
		{408, "", "unavailable", 3},
		{409, "ConditionalRequestConflict", "conflict", 1},
		{412, "PreconditionFailed", "conflict", 1},
		{429, "", "unavailable", 3},
		{301, "PermanentRedirect", "invalid", 1},
		{500, "InternalError", "unavailable", 3},
		{501, "NotImplemented", "invalid", 1},
		{503, "SlowDown", "unavailable", 3},
		{507, "", "unavailable", 1},
	}
	for _, c := range cases {
		b, asked := answers(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(c.status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>X-Amz-Signature of %s</Message></Error>", c.code, buckettest.AccessKey)
		})
		_, err := b.Put(t.Context(), "a.mp3", strings.NewReader("x"), 1, bucket.PutOptions{})
		check(t, fmt.Sprint(c.status, " ", c.code), err, c.want)
		if got := asked.Load(); got != c.asked {
			t.Errorf("%d %s: asked %d times, want %d", c.status, c.code, got, c.asked)
		}
	}
}

func TestNotS3(t *testing.T) {
	b, _ := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 08:00:00 GMT")
		_, _ = io.WriteString(w, "<!doctype html><title>X-Amz-Signature</title><p>Welcome")
	})
	var last error
	for _, err := range b.List(t.Context(), "") {
		last = err
	}
	check(t, "List", last, fault.Malformed)
	_, err := b.Put(t.Context(), "a.mp3", plain{bytes.NewReader(make([]byte, 6<<20))}, -1, bucket.PutOptions{})
	check(t, "Put in parts", err, fault.Malformed)
	_, _, err = b.Get(t.Context(), "a.mp3", bucket.Part{Offset: 5})
	check(t, "Get of a part", err, fault.Malformed)
}

// TestCutBody: a body that ends too early fails where it ends.
func TestCutBody(t *testing.T) {
	b, _ := answers(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 08:00:00 GMT")
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(make([]byte, 600))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	body, _, err := b.Get(t.Context(), "a.mp3", bucket.Part{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(body)
	check(t, "a body that was cut", err, fault.Unavailable)
	if err := body.Close(); err != nil {
		t.Error(err)
	}
}

func TestNobodyThere(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	b, err := bucket.Open("songs", bucket.Options{Endpoint: server.URL, Region: "r", AccessKey: buckettest.AccessKey, SecretKey: buckettest.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	for call, err := range all(t.Context(), b) {
		check(t, call, err, fault.Unavailable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for call, err := range all(ctx, b) {
		check(t, call+" after the end", err, fault.Canceled)
	}
}

func TestOpen(t *testing.T) {
	keys := func(o bucket.Options) bucket.Options {
		o.AccessKey, o.SecretKey = buckettest.AccessKey, buckettest.SecretKey
		return o
	}
	for _, endpoint := range []string{"", "https://minio.example", "http://minio.example:9000/", "minio.example", "minio.example:9000", "https://[::1]:9000"} {
		if _, err := bucket.Open("songs", keys(bucket.Options{Endpoint: endpoint})); err != nil {
			t.Errorf("Open at %q: %v", endpoint, err)
		}
	}
	for _, c := range []struct {
		name, words string
		options     bucket.Options
	}{
		{"songs", "not a URL", keys(bucket.Options{Endpoint: "ftp://minio.example"})},
		{"songs", "not a URL", keys(bucket.Options{Endpoint: "http://"})},
		{"songs", "a user name", keys(bucket.Options{Endpoint: "https://" + buckettest.AccessKey + ":" + buckettest.SecretKey + "@minio.example"})},
		{"songs", "a path", keys(bucket.Options{Endpoint: "https://minio.example/songs"})},
		{"songs", "a path", keys(bucket.Options{Endpoint: "https://minio.example?X-Amz-Signature=1"})},
		{"songs", "without an access key", bucket.Options{SecretKey: buckettest.SecretKey}},
		{"songs", "without a secret key", bucket.Options{AccessKey: buckettest.AccessKey}},
		{"songs", "without keys", bucket.Options{SessionToken: buckettest.SecretKey}},
		{"so ngs", "cannot be a bucket's name", bucket.Options{}},
		{"", "names no bucket", bucket.Options{}},
	} {
		_, err := bucket.Open(c.name, c.options)
		check(t, c.words, err, fault.Invalid)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("Open(%q, …): %v, want …%s…", c.name, err, c.words)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, bucket, key string }{
		{"s3://songs", "songs", ""},
		{"s3://songs/", "songs", ""},
		{"s3://songs/in/", "songs", "in/"},
		{"s3://songs/in/a b?#%41.mp3", "songs", "in/a b?#%41.mp3"},
		{"s3://my.Old_bucket//a", "my.Old_bucket", "/a"},
	} {
		got, err := bucket.Parse(c.text)
		if want := (bucket.Address{Bucket: c.bucket, Key: c.key}); got != want || err != nil {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", c.text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "songs/a", "S3:/songs", "https://songs/a", "s3://", "s3:///a", "s3://a", "s3://so ngs", "s3://-songs/a", "s3://songs-/", "s3://a..b/c",
		"s3://" + buckettest.AccessKey + ":" + buckettest.SecretKey + "@songs/a", "s3://songs/a\x00b", "s3://songs/\xff", "s3://songs/" + strings.Repeat("a", 1025),
	} {
		_, err := bucket.Parse(text)
		check(t, text, err, fault.Invalid)
	}
	if got := (bucket.Address{Bucket: "songs", Key: "in/a"}).String(); got != "s3://songs/in/a" {
		t.Errorf("String() = %q", got)
	}
}
