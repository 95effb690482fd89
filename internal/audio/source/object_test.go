package source_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/fault"
)

func TestObjects(t *testing.T) {
	server := buckettest.Start(t)
	songs := server.Bucket(t, "songs")
	for _, name := range []string{
		"inbox/10.mp3", "inbox/2.mp3", "inbox/b/1.WAV", "inbox/b/cover.jpg", "inbox/.hidden/a.mp3", "inbox/c.mp3.part", "inboxes/a.mp3",
		"out/a.mp3", "live [2024]/a.mp3", "what?/a b.mp3", "take.bin", "words/a.txt", "words/b.txt",
	} {
		if _, err := songs.Put(t.Context(), name, bytes.NewReader([]byte("x")), 1, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	open := func(name string) (source.Bucket, error) { return bucket.Open(name, server.Options()) }
	cases := []struct{ name, arg, want, finding string }{
		{"a prefix", "s3://songs/inbox", "inbox/10.mp3 inbox/2.mp3 inbox/b/1.WAV", ""},
		{"a prefix with a slash", "s3://songs/inbox/", "inbox/10.mp3 inbox/2.mp3 inbox/b/1.WAV", ""},
		{"a bucket", "S3://songs", "inbox/10.mp3 inbox/2.mp3 inbox/b/1.WAV inboxes/a.mp3 live [2024]/a.mp3 what?/a b.mp3", ""},
		{"an object", "s3://songs/inbox/2.mp3", "inbox/2.mp3", ""},
		{"an object of any extension", "s3://songs/take.bin", "take.bin", ""},
		{"an object that looks like a glob", "s3://songs/live [2024]/a.mp3", "live [2024]/a.mp3", ""},
		{"a question mark", "s3://songs/what?/a b.mp3", "what?/a b.mp3", ""},
		{"a glob", "s3://songs/inbox/*.mp3", "inbox/10.mp3 inbox/2.mp3", ""},
		{"a glob below", "s3://songs/**/*.{mp3,WAV}", "inbox/10.mp3 inbox/2.mp3 inbox/b/1.WAV inboxes/a.mp3 live [2024]/a.mp3 what?/a b.mp3", ""},
		{"a glob that names an extension", "s3://songs/words/*.txt", "words/a.txt words/b.txt", ""},
		{"a glob of everything", "s3://songs/inbox/**", "inbox/10.mp3 inbox/2.mp3 inbox/b/1.WAV", ""},
		{"what is never entered", "s3://songs/out/", "", "s3://songs/out/: there is nothing of that name in the bucket"},
		{"no audio", "s3://songs/words", "", "s3://songs/words: no audio here; 2 other objects were ignored"},
		{"nothing", "s3://songs/gone", "", "s3://songs/gone: there is nothing of that name in the bucket"},
		{"no bucket", "s3://nobody/a/", "", "s3://nobody/a/: there is no such bucket"},
		{"a broken glob", "s3://songs/inbox/[", "", `s3://songs/inbox/[: the pattern is broken: a [ or { is not closed, or a \ ends it`},
		{"no name", "s3://", "", "s3://: the S3 address names no bucket; write s3://bucket or s3://bucket/prefix"},
		{"keys", "s3://AKIA:s3cr3t@songs/inbox", "", "s3://***@songs/inbox: the S3 address contains a user name; keys are settings of their own"},
		{"a query", "s3://songs/inbox?secret_key=s3cr3t", "", "s3://songs/inbox?…: an s3:// source has no query; endpoint and keys are settings (s3)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inputs, findings := source.Expand(t.Context(), []string{c.arg}, source.Options{Bucket: open, Exclude: []string{"/somewhere", "s3://songs/out"}})
			got := ""
			for n, in := range inputs {
				if n > 0 {
					got += " "
				}
				got += in.URL[len("s3://songs/"):]
				if in.Source != in.URL || in.Path != "" || in.Origin != c.arg {
					t.Errorf("%+v: want the source to be the URL, and the origin %s", in, c.arg)
				}
			}
			if got != c.want {
				t.Errorf("objects %q, want %q", got, c.want)
			}
			finding := ""
			if len(findings) > 0 {
				finding = findings[0].Error()
			}
			if finding != c.finding || len(findings) > 1 {
				t.Errorf("findings %v, want %q", findings, c.finding)
			}
		})
	}
}

// listing is a bucket that breaks after so many objects.
type listing struct {
	objects []bucket.Object
	err     error
}

func (l listing) List(_ context.Context, _ string) iter.Seq2[bucket.Object, error] {
	return func(yield func(bucket.Object, error) bool) {
		for _, object := range l.objects {
			if !yield(object, nil) {
				return
			}
		}
		if l.err != nil {
			yield(bucket.Object{}, l.err)
		}
	}
}

func (l listing) Stat(context.Context, string) (bucket.Object, error) { return bucket.Object{}, l.err }

// A list that breaks is a finding: half of an album would pass for all of it.
func TestObjectsThatCannotBeListed(t *testing.T) {
	store := listing{
		objects: []bucket.Object{{Name: "a/1.mp3", ETag: "e1"}, {Name: "a/2.mp3", ETag: "e2"}},
		err:     fault.Uncharged(fault.Unavailable, "bucket.List", errors.New("s3://songs/a/: the store answered 503 SlowDown")),
	}
	opened := 0
	options := source.Options{Bucket: func(string) (source.Bucket, error) { opened++; return store, nil }}
	inputs, findings := source.Expand(t.Context(), []string{"s3://songs/a/", "s3://songs/b"}, options)
	want := []source.Input{
		{Source: "s3://songs/a/1.mp3", URL: "s3://songs/a/1.mp3", ETag: "e1", Origin: "s3://songs/a/"},
		{Source: "s3://songs/a/2.mp3", URL: "s3://songs/a/2.mp3", ETag: "e2", Origin: "s3://songs/a/"},
	}
	if diff := cmp.Diff(want, inputs); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	wantFindings := []source.Finding{
		{Origin: "s3://songs/a/", Source: "s3://songs/a/", Reason: "the store answered 503 SlowDown", Code: "unavailable"},
		{Origin: "s3://songs/b", Source: "s3://songs/b", Reason: "s3://songs/a/: the store answered 503 SlowDown", Code: "unavailable"},
	}
	if diff := cmp.Diff(wantFindings, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if opened != 1 {
		t.Errorf("the bucket was opened %d times, want once", opened)
	}
	_, findings = source.Expand(t.Context(), []string{"s3://songs/a/"}, source.Options{})
	if len(findings) != 1 || findings[0].Error() != "s3://songs/a/: s3:// sources need an object store in the configuration (s3)" {
		t.Errorf("without a store: %v, want one finding that says what is missing", findings)
	}
}

func TestInspectorProbesObjects(t *testing.T) {
	inputs := []source.Input{{Source: "s3://b/x", URL: "s3://b/x", ETag: "e"}, {Source: "https://h/x", URL: "https://h/x"}}
	inspector := source.Inspector{
		URL: probes(map[string]any{"https://h/x": source.Probed{Format: "ogg"}}),
		Object: func(_ context.Context, url, etag string) (source.Probed, error) {
			return source.Probed{Format: url, ETag: etag + "2"}, nil
		},
	}
	inspected, _, err := inspector.Inspect(t.Context(), inputs)
	if err != nil || inspected[0].Probed != (source.Probed{Format: "s3://b/x", ETag: "e2"}) || inspected[1].Probed.Format != "ogg" {
		t.Errorf("Inspect = %+v, %v; want the object's prober to be asked with its state", inspected, err)
	}
	inspector.Object = nil
	inspected, _, _ = inspector.Inspect(t.Context(), inputs)
	if !inspected[0].Valid || inspected[0].Probed.Size != -1 {
		t.Errorf("without a prober: %+v, want the object taken unseen", inspected[0])
	}
}

// A finding of the expansion is passed on in its place.
func TestInspectorKeepsTheOrder(t *testing.T) {
	slow := make(chan struct{})
	inspector := source.Inspector{Workers: 4, File: func(_ context.Context, path string) (source.Probed, error) {
		switch path {
		case "/1":
			<-slow // is done last
		case "/4":
			close(slow)
		}
		return source.Probed{SHA256: path}, nil
	}}
	inputs := func(yield func(source.Input, *source.Finding) bool) {
		for _, path := range []string{"/1", "/2", "", "/3", "/4"} {
			var finding *source.Finding
			if path == "" {
				finding = &source.Finding{Origin: "here", Reason: "something"}
			}
			if !yield(source.Input{Source: path, Path: path}, finding) {
				return
			}
		}
	}
	got := ""
	for in, finding := range inspector.All(t.Context(), inputs) {
		got += in.Source + " "
		if finding != nil {
			got += finding.Error() + " "
		}
	}
	if want := "/1 /2  here: something /3 /4 "; got != want {
		t.Errorf("order %q, want %q", got, want)
	}
	for _, finding := range inspector.All(t.Context(), func(yield func(source.Input, *source.Finding) bool) {
		for yield(source.Input{Source: "x", Path: "x"}, nil) {
			continue
		}
	}) {
		if finding == nil {
			break // ends what would never end
		}
	}
}
