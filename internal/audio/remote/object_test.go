package remote_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/fault"
)

// put stores an object.
func put(t *testing.T, b *bucket.Bucket, name string, data []byte) {
	t.Helper()
	if _, err := b.Put(t.Context(), name, bytes.NewReader(data), int64(len(data)), bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// counting counts what is read through a store, and calls before ahead of each Get.
type counting struct {
	remote.Store
	before func(get int)
	gets   int
	bytes  int64
}

func (c *counting) Get(ctx context.Context, name string, p bucket.Part) (io.ReadCloser, bucket.Object, error) {
	c.gets++
	if c.before != nil {
		c.before(c.gets)
	}
	body, object, err := c.Store.Get(ctx, name, p)
	if err != nil {
		return nil, object, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.TeeReader(body, tally{&c.bytes}), body}, object, nil
}

type tally struct{ n *int64 }

func (t tally) Write(p []byte) (int, error) { *t.n += int64(len(p)); return len(p), nil }

func TestProbeObject(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	for _, sample := range samples.Files() {
		put(t, b, "album/"+sample.Name, sample.Data)
		for _, whole := range []bool{true, false} {
			info, object, err := remote.ProbeObject(t.Context(), b, remote.Object{Name: "album/" + sample.Name, Whole: whole})
			if err != nil {
				t.Errorf("%s, whole %t: %v", sample.Name, whole, err)
				continue
			}
			if off := (info.Duration - lengths[sample.Name]).Abs(); off > 100e6 || info.Size != int64(len(sample.Data)) {
				t.Errorf("%s, whole %t: %v and %d bytes, want %v and %d", sample.Name, whole, info.Duration, info.Size, lengths[sample.Name], len(sample.Data))
			}
			if object.ETag == "" || (info.SHA256 != "") != whole {
				t.Errorf("%s, whole %t: ETag %q, SHA-256 %q; want an ETag, and a digest of the whole alone", sample.Name, whole, object.ETag, info.SHA256)
			}
		}
	}
}

// An hour of audio is known by its first and its last block.
func TestProbeObjectReadsRanges(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	song := wav(3600)
	put(t, b, "hour.wav", song)
	store := &counting{Store: b}
	info, _, err := remote.ProbeObject(t.Context(), store, remote.Object{Name: "hour.wav"})
	if err != nil || info.Duration.Seconds() != 3600 {
		t.Fatalf("ProbeObject = %v, %v; want 3600 s", info, err)
	}
	if store.bytes > 512<<10 || store.gets > 2 {
		t.Errorf("%d bytes in %d requests of %d bytes, want at most two blocks of 256 KB", store.bytes, store.gets, len(song))
	}
}

func TestProbeObjectNoticesChanges(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	// MP3 that goes on behind its own end is walked: that takes many blocks.
	long := bytes.Repeat(samples.Files()[0].Data, 20)
	put(t, b, "song.mp3", long)
	listed, err := b.Stat(t.Context(), "song.mp3")
	if err != nil {
		t.Fatal(err)
	}
	store := &counting{Store: b, before: func(get int) {
		if get == 2 {
			put(t, b, "song.mp3", append([]byte("ID3"), long...))
		}
	}}
	_, _, err = remote.ProbeObject(t.Context(), store, remote.Object{Name: "song.mp3", ETag: listed.ETag})
	if fault.CodeOf(err) != fault.Conflict || fault.Reason(err) != "the object changed while it was read" {
		t.Errorf("changed while it is read: %v (%d requests), want a conflict that says so", err, store.gets)
	}
	for _, whole := range []bool{true, false} {
		_, _, err = remote.ProbeObject(t.Context(), b, remote.Object{Name: "song.mp3", ETag: listed.ETag, Whole: whole})
		if fault.CodeOf(err) != fault.Conflict || fault.Reason(err) != "the object changed since it was listed" {
			t.Errorf("changed since it was listed, whole %t: %v, want a conflict that says so", whole, err)
		}
	}
}

func TestProbeObjectThatIsNone(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	put(t, b, "empty.mp3", nil)
	put(t, b, "text.mp3", []byte("these are words"))
	for name, want := range map[string]string{
		"empty.mp3": "invalid: the file is empty",
		"text.mp3":  "invalid: this is not audio (it looks like text)",
		"gone.mp3":  "not_found: s3://songs/gone.mp3: there is no such object",
	} {
		_, _, err := remote.ProbeObject(t.Context(), b, remote.Object{Name: name})
		if got := string(fault.CodeOf(err)) + ": " + fault.Reason(err); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
