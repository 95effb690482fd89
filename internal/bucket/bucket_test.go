package bucket_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/fault"
)

// TestMain shortens the library's waits between attempts.
func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = time.Millisecond
	goleak.VerifyTestMain(m)
}

// noise is seeded bytes, so that one in the wrong place shows.
func noise(n int, seed byte) []byte {
	content := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(content) // it never fails
	return content
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// check looks at a fault's code and charge, and that it tells no secret.
func check(t *testing.T, what string, err error, want fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != want || fault.ChargeOf(err) != fault.ChargeNone {
		t.Errorf("%s: %v (%q, %s), want %q, not charged", what, err, fault.CodeOf(err), fault.ChargeOf(err), want)
	}
	for _, secret := range []string{buckettest.AccessKey, buckettest.SecretKey, "X-Amz", "Signature="} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error tells %q: %v", what, secret, err)
		}
	}
}

func put(t *testing.T, b *bucket.Bucket, name string, content []byte) bucket.Object {
	t.Helper()
	object, err := b.Put(t.Context(), name, bytes.NewReader(content), int64(len(content)), bucket.PutOptions{})
	if err != nil {
		t.Fatalf("Put %s: %v", name, err)
	}
	return object
}

func get(t *testing.T, b *bucket.Bucket, name string, p bucket.Part) ([]byte, bucket.Object) {
	t.Helper()
	body, object, err := b.Get(t.Context(), name, p)
	if err != nil {
		t.Fatalf("Get %s: %v", name, err)
	}
	content, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return content, object
}

// plain hides all that a reader can besides reading.
type plain struct{ io.Reader }

// TestPut: what was given is what is there, for sizes on both sides of every
// border, by each way in.
func TestPut(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	const part = 5 << 20
	ways := []struct {
		name string
		put  func(name string, content []byte) (bucket.Object, error)
	}{
		{"known", func(name string, content []byte) (bucket.Object, error) {
			return b.Put(t.Context(), name, plain{bytes.NewReader(content)}, int64(len(content)), bucket.PutOptions{ContentType: "audio/mpeg"})
		}},
		{"unknown", func(name string, content []byte) (bucket.Object, error) {
			return b.Put(t.Context(), name, plain{bytes.NewReader(content)}, -1, bucket.PutOptions{ContentType: "audio/mpeg"})
		}},
		{"digest", func(name string, content []byte) (bucket.Object, error) {
			return b.Put(t.Context(), name, bytes.NewReader(content), int64(len(content)), bucket.PutOptions{ContentType: "audio/mpeg", SHA256: digest(content)})
		}},
		{"digest, unknown", func(name string, content []byte) (bucket.Object, error) {
			return b.Put(t.Context(), name, plain{bytes.NewReader(content)}, -1, bucket.PutOptions{ContentType: "audio/mpeg", SHA256: digest(content)})
		}},
		{"middle of a file", func(name string, content []byte) (bucket.Object, error) {
			r := bytes.NewReader(append([]byte("before"), content...))
			if _, err := r.Seek(6, io.SeekStart); err != nil {
				return bucket.Object{}, err
			}
			return b.Put(t.Context(), name, r, int64(len(content)), bucket.PutOptions{ContentType: "audio/mpeg", SHA256: digest(content)})
		}},
	}
	sizes := []int{0, 1, part - 1, part, part + 1, 3*part + 17}
	for i, way := range ways {
		if i == 2 {
			sizes = []int{0, 1, 2*part + 17}
		}
		for _, size := range sizes {
			name := fmt.Sprintf("%s/%d ü&a=b?#%%.mp3", way.name, size)
			content := noise(size, byte(size))
			object, err := way.put(name, content)
			if err != nil {
				t.Errorf("Put %s: %v", name, err)
				continue
			}
			held, found := get(t, b, name, bucket.Part{})
			if !bytes.Equal(held, content) {
				t.Errorf("%s holds %d bytes, want the %d that were put", name, len(held), size)
			}
			want := bucket.Object{Name: name, Size: int64(size), ETag: object.ETag, Modified: found.Modified, ContentType: "audio/mpeg"}
			if strings.HasPrefix(way.name, "digest") || way.name == "middle of a file" {
				want.SHA256 = digest(content)
			}
			if found != want || object.Size != want.Size || object.ETag == "" {
				t.Errorf("Get of %s found %+v, Put said %+v; want %+v", name, found, object, want)
			}
			stat, err := b.Stat(t.Context(), name)
			if stat != want || err != nil {
				t.Errorf("Stat of %s: %+v, %v; want %+v", name, stat, err, want)
			}
		}
	}
}

// TestPutWhatIsNot: nothing appears of what is not what was announced.
func TestPutWhatIsNot(t *testing.T) {
	server := buckettest.Start(t)
	b := server.Bucket(t, "songs")
	short, long := noise(1000, 1), noise(11<<20, 2)
	broken := fault.New(fault.Unavailable, "test.Read", errors.New("the source went away"))
	cases := []struct {
		name   string
		reader io.Reader
		size   int64
		sha256 string
		want   fault.Code
		words  string
	}{
		{"short by one", plain{bytes.NewReader(short)}, 1001, "", "invalid", "fewer than the 1001 bytes came"},
		{"long by one", plain{bytes.NewReader(short)}, 999, "", "invalid", "more than the 999 bytes came"},
		{"short, in parts", plain{bytes.NewReader(long)}, 11<<20 + 1, "", "invalid", "fewer than the 11534337 bytes came"},
		{"long, in parts", plain{bytes.NewReader(long)}, 11<<20 - 1, "", "invalid", "more than the 11534335 bytes came"},
		{"short, streamed", bytes.NewReader(short), 1001, digest(short), "invalid", "fewer than the 1001 bytes came"},
		{"other bytes", plain{bytes.NewReader(short)}, 1000, digest(long), "invalid", "and " + digest(long) + " was announced"},
		{"other bytes, in parts", plain{bytes.NewReader(long)}, -1, digest(short), "invalid", "and " + digest(short) + " was announced"},
		{"other bytes, streamed", bytes.NewReader(short), 1000, digest(long), "unavailable", "XAmzContentSHA256Mismatch"},
		{"broken", plain{io.MultiReader(bytes.NewReader(short), iotest.ErrReader(broken))}, -1, "", "unavailable", "the source went away"},
		{"broken, in parts", plain{io.MultiReader(bytes.NewReader(long), iotest.ErrReader(broken))}, 12 << 20, "", "unavailable", "the source went away"},
		{"no digest", bytes.NewReader(short), 1000, "00ff", "invalid", "no object has"},
		{"no size", bytes.NewReader(short), -2, "", "invalid", "no object has"},
	}
	for _, c := range cases {
		_, err := b.Put(t.Context(), c.name, c.reader, c.size, bucket.PutOptions{SHA256: c.sha256})
		check(t, c.name, err, c.want)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want …%s…", c.name, err, c.words)
		}
		_, err = b.Stat(t.Context(), c.name)
		check(t, c.name+", afterwards", err, fault.NotFound)
	}
	if left := server.Uploads(t, "songs"); len(left) > 0 {
		t.Errorf("uploads that were not given up: %q", left)
	}
}

// TestPutIfAbsent: of many that try at once, by each way in, exactly one succeeds,
// and what it put is what is there.
func TestPutIfAbsent(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	for _, size := range []int{1000, 6 << 20} {
		name := fmt.Sprintf("one-%d.mp3", size)
		const rivals = 6
		var (
			done  sync.WaitGroup
			mu    sync.Mutex
			wins  []int
			start = make(chan struct{})
		)
		for i := range rivals {
			done.Go(func() {
				<-start
				_, err := b.Put(t.Context(), name, plain{bytes.NewReader(noise(size, byte(i)))}, int64(size), bucket.PutOptions{IfAbsent: true})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					wins = append(wins, i)
					return
				}
				check(t, name, err, fault.Conflict)
			})
		}
		close(start)
		done.Wait()
		if len(wins) != 1 {
			t.Fatalf("%s: %d succeeded, want one", name, len(wins))
		}
		if held, _ := get(t, b, name, bucket.Part{}); !bytes.Equal(held, noise(size, byte(wins[0]))) {
			t.Errorf("%s holds other bytes than the winner's", name)
		}
	}
}

func TestGetParts(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	content := noise(1000, 1)
	object := put(t, b, "a.mp3", content)
	for _, c := range []struct {
		part        bucket.Part
		first, last int
	}{
		{bucket.Part{}, 0, 1000},
		{bucket.Part{Offset: 1}, 1, 1000},
		{bucket.Part{Offset: 999}, 999, 1000},
		{bucket.Part{Length: 1}, 0, 1},
		{bucket.Part{Length: 1000}, 0, 1000},
		{bucket.Part{Length: 5000}, 0, 1000},
		{bucket.Part{Offset: 10, Length: 20}, 10, 30},
		{bucket.Part{Offset: 990, Length: 20, ETag: object.ETag}, 990, 1000},
	} {
		got, found := get(t, b, "a.mp3", c.part)
		if !bytes.Equal(got, content[c.first:c.last]) || found.Size != 1000 || found.ETag != object.ETag {
			t.Errorf("Get %+v: %d bytes of %+v, want those from %d to %d of 1000", c.part, len(got), found, c.first, c.last)
		}
	}
	for _, p := range []bucket.Part{{Offset: 1000}, {Offset: 5000, Length: 1}, {Offset: -1}, {Length: -1}} {
		_, _, err := b.Get(t.Context(), "a.mp3", p)
		check(t, fmt.Sprintf("Get %+v", p), err, fault.Invalid)
	}
	put(t, b, "a.mp3", noise(1000, 2))
	_, _, err := b.Get(t.Context(), "a.mp3", bucket.Part{Offset: 10, ETag: object.ETag})
	check(t, "Get of what changed", err, fault.Conflict)
	_, _, err = b.Get(t.Context(), "b.mp3", bucket.Part{})
	check(t, "Get of nothing", err, fault.NotFound)
}

func TestList(t *testing.T) {
	server := buckettest.Start(t)
	b := server.Bucket(t, "songs")
	var want []string
	for i := range 1100 { // two pages
		name := fmt.Sprintf("in/%04d ü&.mp3", i)
		path := filepath.Join(server.Root, "songs", filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
		want = append(want, name)
	}
	put(t, b, "in/folder/", nil)
	put(t, b, "inside.mp3", []byte("y"))
	put(t, b, "other.mp3", []byte("z"))
	var got []string
	for object, err := range b.List(t.Context(), "in/") {
		if err != nil || object.Size != 1 {
			t.Fatalf("List gave %+v, %v", object, err)
		}
		got = append(got, object.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, last := 0, error(nil)
	for _, err := range b.List(ctx, "in") {
		if seen++; seen == 5 {
			cancel()
		}
		last = err
	}
	check(t, "List that was canceled", last, fault.Canceled)
	for object, err := range b.List(t.Context(), "in/") {
		if object.Name != "in/0000 ü&.mp3" || err != nil {
			t.Errorf("List began with %+v, %v", object, err)
		}
		break
	}
	for object, err := range b.List(t.Context(), "nothing/") {
		t.Errorf("List of nothing gave %+v, %v", object, err)
	}
}

func TestRemove(t *testing.T) {
	b := buckettest.Start(t).Bucket(t, "songs")
	put(t, b, "a.mp3", []byte("x"))
	for range 2 {
		if err := b.Remove(t.Context(), "a.mp3"); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	_, err := b.Stat(t.Context(), "a.mp3")
	check(t, "Stat after Remove", err, fault.NotFound)
}

func TestPresign(t *testing.T) {
	server := buckettest.Start(t)
	b := server.Bucket(t, "songs")
	content := noise(1000, 1)
	put(t, b, "a b&?.mp3", content)
	address, err := b.Presign(t.Context(), "a b&?.mp3", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(got, content) {
		t.Errorf("the signed URL gave %d, %d bytes, %v", response.StatusCode, len(got), err)
	}
	http.DefaultClient.CloseIdleConnections()
	for _, ttl := range []time.Duration{0, -1, 8 * 24 * time.Hour} {
		_, err := b.Presign(t.Context(), "a", ttl)
		check(t, ttl.String(), err, fault.Invalid)
	}
	anonymous := server.Options()
	anonymous.AccessKey, anonymous.SecretKey = "", ""
	stranger, err := bucket.Open("songs", anonymous)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stranger.Presign(t.Context(), "a", time.Minute)
	check(t, "Presign without keys", err, fault.Invalid)
}
