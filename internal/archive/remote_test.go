package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/fault"
)

// vault is an archive in a bucket of a real server, and what is on the server's
// disk.
type vault struct {
	*bench
	objects string // the bucket's directory
	spool   string
}

// openVault opens an archive at s3://songs/kept, and makes the bucket when it is
// not there.
func openVault(t testing.TB, server *buckettest.Server, spool string, change ...func(*archive.Options)) *vault {
	t.Helper()
	if _, err := os.Stat(filepath.Join(server.Root, "songs")); errors.Is(err, fs.ErrNotExist) {
		server.Bucket(t, "songs")
	}
	withBucket := func(o *archive.Options) { o.S3, o.Spool = server.Options(), spool }
	b := open(t, "s3://songs/kept", append([]func(*archive.Options){withBucket}, change...)...)
	b.dir = spool // where a secret could have been left on this machine
	return &vault{bench: b, objects: filepath.Join(server.Root, "songs", "kept"), spool: spool}
}

// songs opens the bucket by itself.
func (v *vault) songs(t *testing.T, store *buckettest.Server) *bucket.Bucket {
	t.Helper()
	songs, err := bucket.Open("songs", store.Options())
	if err != nil {
		t.Fatal(err)
	}
	return songs
}

// check compares what Keep said and what is in the bucket with the content.
func (v *vault) check(t *testing.T, kept *archive.Kept, err error, file string, content []byte) {
	t.Helper()
	if err != nil {
		t.Fatalf("Keep: %v", err)
	}
	sum := sha256.Sum256(content)
	want := archive.Kept{
		File: "s3://songs/kept/" + file, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
		Format: "wav", Duration: float64(len(content)-44) / 8000,
	}
	if *kept != want {
		t.Errorf("Keep gave %+v, want %+v", *kept, want)
	}
	if got, err := os.ReadFile(filepath.Join(v.objects, filepath.FromSlash(file))); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the bucket holds %d bytes as %s, %v; want the %d that were served", len(got), file, err, len(content))
	}
}

// checkObjects compares the names in the bucket, without the archive's own, and
// makes sure that the spool is empty.
func (v *vault) checkObjects(t *testing.T, want ...string) {
	t.Helper()
	visible, _ := files(t, v.objects)
	if diff := cmp.Diff(want, visible); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if left := spooled(t, v.spool); len(left) > 0 {
		t.Errorf("the spool holds %q, want nothing", left)
	}
}

// spooled lists the files below a spool.
func spooled(t *testing.T, spool string) (left []string) {
	t.Helper()
	err := filepath.WalkDir(spool, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			left = append(left, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// checkNoSecrets looks for the signature and the keys on both sides.
func (v *vault) checkNoSecrets(t *testing.T, err error) {
	t.Helper()
	v.checkNoSecret(t, err)
	(&bench{dir: v.objects, log: v.log}).checkNoSecret(t, nil)
	told := fmt.Sprintf("%v %s", err, v.log)
	for _, key := range []string{buckettest.AccessKey, buckettest.SecretKey, "X-Amz-"} {
		if strings.Contains(told, key) {
			t.Errorf("an error or the log tells %q: %s", key, told)
		}
	}
}

func TestRemoteKeep(t *testing.T) {
	content := wav(3, 1)
	server := serve(t, whole(content, `"v1"`))
	store := buckettest.Start(t)
	for range 2 {
		v := openVault(t, store, t.TempDir())
		for range 2 {
			kept, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-1", Duration: 3})
			v.check(t, kept, err, name+".wav", content)
		}
		v.checkObjects(t, name+".wav")
		v.checkNoSecrets(t, nil)
	}
	if got := server.ranges(); len(got) != 1 {
		t.Errorf("%d requests, want one: another machine finds what is there", len(got))
	}
}

// The type and the digest are for whoever reads the bucket by other means.
func TestRemoteObject(t *testing.T) {
	content := wav(3, 1)
	store := buckettest.Start(t)
	v := openVault(t, store, t.TempDir())
	kept, err := v.Keep(t.Context(), archive.Want{URL: serve(t, whole(content, `"v1"`)).url(), Name: name})
	v.check(t, kept, err, name+".wav", content)
	object, err := v.songs(t, store).Stat(t.Context(), "kept/"+name+".wav")
	if err != nil || object.ContentType != "audio/wav" || object.SHA256 != kept.SHA256 {
		t.Errorf("Stat: %+v, %v; want audio/wav with the digest", object, err)
	}
}

func TestRemoteNeverOverwrites(t *testing.T) {
	first, second := wav(3, 1), wav(3, 2)
	server := serve(t, whole(first, `"v1"`), whole(second, `"v2"`))
	v := openVault(t, buckettest.Start(t), t.TempDir())
	if err := v.Put(t.Context(), name+".wav", strings.NewReader("notes")); err != nil {
		t.Fatal(err)
	}
	kept, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-1"})
	v.check(t, kept, err, name+" (2).wav", first)
	for range 2 {
		kept, err = v.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-2"})
		v.check(t, kept, err, name+" (3).wav", second)
	}
	kept, err = v.Keep(t.Context(), archive.Want{URL: serve(t, whole(first, `"v1"`)).url(), Name: name, Key: "audio-1"})
	v.check(t, kept, err, name+" (2).wav", first)
	v.checkObjects(t, name+" (2).wav", name+" (3).wav", name+".wav")
	if got, err := os.ReadFile(filepath.Join(v.objects, name+".wav")); string(got) != "notes" {
		t.Errorf("their file holds %q, %v; want notes", got, err)
	}
}

func TestRemoteTrackThatChanged(t *testing.T) {
	content := wav(3, 1)
	flipped := bytes.Clone(content)
	flipped[9000] ^= 1
	for _, c := range []struct {
		name   string
		damage func(path string) error
		want   string
	}{
		{"missing", nil, name + ".wav"},
		{"a bit flipped, behind the store's back", func(path string) error { return os.WriteFile(path, flipped, 0o600) }, name + " (2).wav"},
		{"shortened", func(path string) error { return os.Truncate(path, 9000) }, name + " (2).wav"},
	} {
		server := serve(t, whole(content, `"v1"`))
		store := buckettest.Start(t)
		v := openVault(t, store, t.TempDir())
		w := archive.Want{URL: server.url(), Name: name}
		kept, err := v.Keep(t.Context(), w)
		v.check(t, kept, err, name+".wav", content)
		if c.damage == nil {
			c.damage = func(string) error { return v.songs(t, store).Remove(t.Context(), "kept/"+name+".wav") }
		}
		if err := c.damage(filepath.Join(v.objects, name+".wav")); err != nil {
			t.Fatal(err)
		}
		kept, err = v.Keep(t.Context(), w)
		v.check(t, kept, err, c.want, content)
		if got := server.ranges(); len(got) != 2 {
			t.Errorf("%s: %d requests, want 2", c.name, len(got))
		}
	}
}

// A record is data that anybody with access to the bucket could have written.
func TestRemoteRecordsThatLie(t *testing.T) {
	content := wav(3, 1)
	store := buckettest.Start(t)
	v := openVault(t, store, t.TempDir())
	if err := v.Put(t.Context(), "secret.txt", strings.NewReader("notes")); err != nil {
		t.Fatal(err)
	}
	songs := v.songs(t, store)
	server := serve(t, whole(content, `"v1"`))
	for _, record := range []string{
		"", "no JSON", "{}", strings.Repeat("x", 100<<10),
		`{"track":"bfe775a75cc4cbda3bdef31a3d2d7c7e0ad58a3fecab070b06df68d7972e29a3","file":"../../secret","size":5}`,
		`{"track":"bfe775a75cc4cbda3bdef31a3d2d7c7e0ad58a3fecab070b06df68d7972e29a3","file":"","size":5}`,
	} {
		_, err := songs.Put(t.Context(), "kept/.segue/tracks/"+name+".json", strings.NewReader(record), int64(len(record)), bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		kept, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-1"})
		v.check(t, kept, err, name+".wav", content)
	}
	v.checkObjects(t, "secret.txt", name+".wav")
}

// What was downloaded is not downloaded again because the store is away, nor does
// it get lost.
func TestRemoteStoreThatIsAway(t *testing.T) {
	content := wav(3, 1)
	server := serve(t, whole(content, `"v1"`))
	store := buckettest.Start(t)
	spool := t.TempDir()
	away := openVault(t, store, spool, through(t, store, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, ".wav") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	}))
	w := archive.Want{URL: server.url(), Name: name, Key: "audio-1"}
	for range 2 {
		_, err := away.Keep(t.Context(), w)
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "503") {
			t.Errorf("Keep while the store is away: %v, want unavailable", err)
		}
		away.checkNoSecrets(t, err)
	}
	if left := spooled(t, spool); len(left) != 2 { // the bytes, and what they are
		t.Errorf("the spool holds %q, want the download", left)
	}
	v := openVault(t, store, spool)
	kept, err := v.Keep(t.Context(), w)
	v.check(t, kept, err, name+".wav", content)
	v.checkObjects(t, name+".wav")
	if got := server.ranges(); len(got) != 1 {
		t.Errorf("ranges %q, want one request", got)
	}
}

// through puts a proxy between the archive and the store, which answers itself
// when meddle says that it did.
func through(t *testing.T, store *buckettest.Server, meddle func(http.ResponseWriter, *http.Request) bool) func(*archive.Options) {
	t.Helper()
	target, err := url.Parse(store.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	proxy := &httputil.ReverseProxy{
		// The host is signed, so the store must see the one that was asked.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host
		},
		Transport: transport,
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !meddle(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { front.Close(); transport.CloseIdleConnections() })
	return func(o *archive.Options) { o.S3.Endpoint, o.S3.HTTP = front.URL, front.Client().Transport }
}

// The answer to a request that succeeded can be lost.
func TestRemoteLostAnswer(t *testing.T) {
	content := wav(3, 1)
	store := buckettest.Start(t)
	lost := false
	lose := through(t, store, func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.HasSuffix(r.URL.Path, ".wav") || lost {
			return false
		}
		lost = true
		songs := openVault(t, store, t.TempDir())
		body, err := io.ReadAll(r.Body)
		if err := errors.Join(err, songs.Put(r.Context(), name+".wav", bytes.NewReader(body))); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	v := openVault(t, store, t.TempDir(), lose)
	kept, err := v.Keep(t.Context(), archive.Want{URL: serve(t, whole(content, `"v1"`)).url(), Name: name})
	v.check(t, kept, err, name+".wav", content)
	v.checkObjects(t, name+".wav")
	if !lost {
		t.Error("no answer was lost")
	}
}

// Many workers on two machines, for one track and for two of one name.
func TestRemoteConcurrently(t *testing.T) {
	first, second := wav(2, 1), wav(2, 2)
	store := buckettest.Start(t)
	servers := []*script{serve(t, whole(first, `"v1"`)), serve(t, whole(second, `"v2"`))}
	spools := []string{t.TempDir(), t.TempDir()}
	var done sync.WaitGroup
	for i := range 8 {
		v := openVault(t, store, spools[i/4])
		done.Go(func() {
			for range 2 {
				kept, err := v.Keep(t.Context(), archive.Want{URL: servers[i%2].url(), Name: name, Key: fmt.Sprint("audio-", i%2)})
				if err != nil {
					t.Errorf("Keep: %v", err)
					return
				}
				sum := sha256.Sum256([][]byte{first, second}[i%2])
				if kept.SHA256 != hex.EncodeToString(sum[:]) {
					t.Errorf("worker %d kept %s as %s", i, kept.SHA256, kept.File)
				}
			}
		})
	}
	done.Wait()
	v := openVault(t, store, spools[0])
	v.checkObjects(t, name+" (2).wav", name+".wav")
	var held [][]byte
	for _, file := range []string{name + ".wav", name + " (2).wav"} {
		content, err := os.ReadFile(filepath.Join(v.objects, file))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, content)
	}
	slices.SortFunc(held, bytes.Compare)
	want := [][]byte{first, second}
	slices.SortFunc(want, bytes.Compare)
	if !bytes.Equal(held[0], want[0]) || !bytes.Equal(held[1], want[1]) {
		t.Error("the two files are not the two tracks")
	}
}

func TestRemoteRefused(t *testing.T) {
	root := t.TempDir()
	open := buckettest.StartAt(t, root)
	if err := openVault(t, open, t.TempDir()).Put(t.Context(), "first.json", strings.NewReader("{}")); err != nil {
		t.Fatal(err)
	}
	readOnly := buckettest.StartAt(t, root, "--readonly")
	for _, c := range []struct {
		name   string
		change func(*archive.Options)
		check  fault.Code
		words  string
	}{
		{"wrong keys", func(o *archive.Options) { o.S3 = open.Options(); o.S3.SecretKey = "bm90LXRoZS1zZWNyZXQ" }, "denied", "SignatureDoesNotMatch"},
		{"read only", func(o *archive.Options) { o.S3 = readOnly.Options() }, "denied", "AccessDenied"},
		{"away", func(o *archive.Options) { o.S3.Endpoint = "http://127.0.0.1:1"; o.S3.HTTP = nil }, "unavailable", "cannot be reached"},
	} {
		content := wav(1, 1)
		v := openVault(t, open, t.TempDir(), c.change)
		server := serve(t, whole(content, `"v1"`))
		_, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: Keep: %v, want unavailable …%s…: a person can mend it", c.name, err, c.words)
		}
		v.checkNoSecrets(t, err)
		if err := v.Put(t.Context(), "a.json", strings.NewReader("{}")); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: Put: %v, want unavailable", c.name, err)
		}
		if err := archive.Check(t.Context(), v.Archive); fault.CodeOf(err) != c.check || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: Check: %v, want %s …%s…", c.name, err, c.check, c.words)
		}
	}
}

func TestRemoteWithoutItsBucket(t *testing.T) {
	store := buckettest.Start(t)
	nowhere := open(t, "s3://nowhere", func(o *archive.Options) { o.S3, o.Spool = store.Options(), t.TempDir() })
	_, err := nowhere.Keep(t.Context(), archive.Want{URL: serve(t, whole(wav(1, 1), `"v1"`)).url(), Name: name})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "there is no such bucket") {
		t.Errorf("Keep: %v, want unavailable: there is no such bucket", err)
	}
	if err := archive.Check(t.Context(), nowhere.Archive); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("Check: %v, want not_found", err)
	}
}

func TestRemoteCheck(t *testing.T) {
	store := buckettest.Start(t)
	v := openVault(t, store, t.TempDir())
	for range 2 {
		if err := archive.Check(t.Context(), v.Archive); err != nil {
			t.Errorf("Check: %v", err)
		}
	}
	v.checkObjects(t)
	// A store that does not know the condition takes everything.
	simple := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", `"1"`)
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/xml")
			_, _ = io.WriteString(w, "<ListBucketResult><Name>songs</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>")
		}
	}))
	t.Cleanup(simple.Close)
	old := openVault(t, store, t.TempDir(), func(o *archive.Options) { o.S3.Endpoint, o.S3.HTTP = simple.URL, simple.Client().Transport })
	if err := archive.Check(t.Context(), old.Archive); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "ignores the condition If-None-Match") {
		t.Errorf("Check of a store without conditions: %v, want invalid", err)
	}
}

func TestRemotePut(t *testing.T) {
	v := openVault(t, buckettest.Start(t), t.TempDir())
	const side = "ses_1/session.json"
	for _, content := range []string{"first, and longer", "second"} {
		if err := v.Put(t.Context(), side, strings.NewReader(content)); err != nil {
			t.Fatalf("Put: %v", err)
		}
		if got, err := os.ReadFile(filepath.Join(v.objects, side)); string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", side, got, err, content)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := v.Put(ctx, side, io.MultiReader(strings.NewReader("th"), iotest.ErrReader(errors.New("boom")))); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Put of a broken reader: %v, want unavailable", err)
	}
	cancel()
	if err := v.Put(ctx, side, strings.NewReader("fourth")); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Put after cancel: %v, want canceled", err)
	}
	if got, err := os.ReadFile(filepath.Join(v.objects, side)); string(got) != "second" {
		t.Errorf("%s holds %q, %v; want what was whole", side, got, err)
	}
	for _, name := range []string{"", "../x", "/x", ".x", ".segue/check", "a/../x", "a\\b", "ses_1/"} {
		if err := v.Put(t.Context(), name, strings.NewReader("x")); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("Put(%q): %v, want invalid", name, err)
		}
	}
}

func TestRemoteOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := archive.Options{HTTP: http.DefaultClient, Probe: probe, Spool: t.TempDir()}
	cases := []struct {
		where  string
		change func(*archive.Options)
		code   fault.Code
		words  string
	}{
		{"s3://", nil, "invalid", "names no bucket"},
		{"s3://so ngs", nil, "invalid", "cannot be a bucket's name"},
		{"s3://key:" + secret + "@songs/kept", nil, "invalid", "a user name"},
		{"s3://songs/../kept", nil, "invalid", "cannot be a file's"},
		{"s3://songs/.segue", nil, "invalid", "cannot be a file's"},
		{"s3://songs", func(o *archive.Options) { o.Spool = "" }, "invalid", "needs a directory"},
		{"s3://songs", func(o *archive.Options) { o.Spool = file }, "unavailable", "cannot be used"},
		{"s3://songs", func(o *archive.Options) { o.S3.SecretKey = secret }, "invalid", "without an access key"},
		{"s3://songs", func(o *archive.Options) { o.S3.Endpoint = "ftp://" + secret }, "invalid", "not a URL"},
	}
	for _, c := range cases {
		changed := o
		if c.change != nil {
			c.change(&changed)
		}
		_, err := archive.Open(c.where, changed)
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), secret) {
			t.Errorf("Open(%q): %v, want %s: …%s…", c.where, err, c.code, c.words)
		}
	}
}

// The prefix is optional, and its slashes do not matter.
func TestRemotePrefixes(t *testing.T) {
	store := buckettest.Start(t)
	store.Bucket(t, "songs")
	content := wav(1, 1)
	for where, want := range map[string]string{"s3://songs": "s3://songs/", "s3://songs/": "s3://songs/", "s3://songs/a b/c/": "s3://songs/a b/c/"} {
		opened := open(t, where, func(o *archive.Options) { o.S3, o.Spool = store.Options(), t.TempDir() })
		kept, err := opened.Keep(t.Context(), archive.Want{URL: serve(t, whole(content, `"v1"`)).url(), Name: name})
		if err != nil || kept.File != want+name+".wav" {
			t.Errorf("%s: %+v, %v; want it below %s", where, kept, err, want)
		}
	}
}

// A download that nobody came back for does not fill the disk for ever.
func TestSpoolIsSwept(t *testing.T) {
	content := wav(2, 1)
	store := buckettest.Start(t)
	spool := t.TempDir()
	v := openVault(t, store, spool)
	for _, item := range []string{"ses_old/0", "ses_new/0"} {
		server := serve(t, cutAfter(content, `"v1"`, 9000), plain(503, ""))
		if _, err := v.Keep(t.Context(), archive.Want{URL: server.url(), Name: item}); fault.CodeOf(err) != fault.Unavailable {
			t.Fatalf("Keep: %v, want unavailable", err)
		}
	}
	before := spooled(t, spool)
	for _, path := range before {
		if strings.Contains(path, "ses_old") {
			old := time.Now().Add(-31 * 24 * time.Hour)
			if err := errors.Join(os.Chtimes(path, old, old), os.Chtimes(filepath.Dir(path), old, old)); err != nil {
				t.Fatal(err)
			}
		}
	}
	openVault(t, store, spool)
	after := spooled(t, spool)
	if len(before) != 4 || len(after) != 2 || strings.Contains(fmt.Sprint(after), "ses_old") {
		t.Errorf("the spool held %q, and then %q; want the old download gone", before, after)
	}
}
