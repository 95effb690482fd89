package archive_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bucket/buckettest"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

const jpeg, png, webp = "\xff\xd8\xff\xe0 picture", "\x89PNG\r\n\x1a\n picture", "RIFF\x10\x00\x00\x00WEBP picture"

func egressClient(t *testing.T) *http.Client {
	t.Helper()
	client, err := egress.Client([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func TestKeepCover(t *testing.T) {
	store := buckettest.Start(t)
	for _, c := range []struct{ image, extension string }{{jpeg, ".jpg"}, {png, ".png"}, {webp, ".webp"}} {
		b, v := open(t, t.TempDir()), openVault(t, store, t.TempDir())
		for dir, kept := range map[string]archive.Archive{b.dir: b, v.objects: v} {
			server := serve(t, plain(200, c.image, "Content-Type: text/html"))
			file, err := archive.KeepCover(t.Context(), kept, egressClient(t), server.url(), name)
			if err != nil || file != name+c.extension {
				t.Errorf("KeepCover: %q, %v; want %s", file, err, name+c.extension)
				continue
			}
			if got, err := os.ReadFile(filepath.Join(dir, file)); string(got) != c.image {
				t.Errorf("%s holds %q, %v; want the image", file, got, err)
			}
		}
	}
}

func TestCoversThatAreNone(t *testing.T) {
	long := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, jpeg)
		chunk := make([]byte, 64<<10)
		for range 161 { // 10 MiB and 64 KiB, of unannounced length
			_, _ = w.Write(chunk)
		}
	}
	unended := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Transfer-Encoding", "identity")
		_, _ = io.WriteString(w, jpeg)
	}
	cut := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, jpeg)
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   fault.Code
		words  string
	}{
		{"page", plain(200, "<!doctype html>"+secret), "malformed", "no JPEG, PNG or WebP"},
		{"drawing", plain(200, "<svg onload=alert(1)>"), "malformed", "no JPEG, PNG or WebP"},
		{"gif", plain(200, "GIF89a"), "malformed", "no JPEG, PNG or WebP"},
		{"audio", plain(200, string(wavHeader(0))), "malformed", "no JPEG, PNG or WebP"},
		{"nothing", plain(200, ""), "malformed", "no JPEG, PNG or WebP"},
		{"long, announced", plain(200, jpeg, "Content-Length: 10485761"), "malformed", "longer than 10485760"},
		{"long", long, "malformed", "longer than 10485760"},
		{"without an end", unended, "malformed", "does not say how long"},
		{"cut", cut, "unavailable", "cut"},
		{"expired", plain(403, ""), "denied", "answered 403"},
		{"gone", plain(404, ""), "not_found", "answered 404"},
		{"busy", plain(503, "", "Retry-After: 7"), "unavailable", "answered 503"},
	} {
		b := open(t, t.TempDir())
		server := serve(t, c.answer)
		_, err := archive.KeepCover(t.Context(), b, egressClient(t), server.url(), name)
		if fault.CodeOf(err) != c.want || !strings.Contains(err.Error(), c.words) || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("%s: %v, want %s …%s…, not charged", c.name, err, c.want, c.words)
		}
		b.checkNoSecret(t, err)
		if visible, parts := files(t, b.dir); len(visible)+len(parts) > 0 {
			t.Errorf("%s left %q and %q", c.name, visible, parts)
		}
	}
	b := open(t, t.TempDir())
	for _, address := range []string{"", "file:///etc/passwd", "https://%zz" + secret, "http://169.254.169.254/" + secret} {
		_, err := archive.KeepCover(t.Context(), b, egressClient(t), address, name)
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%v, want invalid", err)
		}
		b.checkNoSecret(t, err)
	}
	if _, err := archive.KeepCover(t.Context(), b, egressClient(t), serve(t, plain(200, jpeg)).url(), "../x"); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("KeepCover outside: %v, want invalid", err)
	}
}

// sourceOf is a source that counts how often it is opened.
func sourceOf(content []byte, opened *int) archive.Source {
	return archive.Source{
		Name: "ses_1/000-morning-tape-source", Extension: "wav", Size: int64(len(content)), SHA256: digestOf(content),
		Open: func(context.Context) (io.ReadCloser, error) {
			*opened++
			return io.NopCloser(bytes.NewReader(content)), nil
		},
	}
}

// bothKinds runs a test on an archive in a directory and on one in a bucket. where
// is the directory on the disk, and prefix what Kept.File begins with.
func bothKinds(t *testing.T, test func(t *testing.T, a archive.Archive, where, prefix string)) {
	t.Helper()
	t.Run("directory", func(t *testing.T) {
		b := open(t, t.TempDir())
		test(t, b.Archive, b.dir, b.dir+"/")
	})
	t.Run("bucket", func(t *testing.T) {
		v := openVault(t, buckettest.Start(t), t.TempDir())
		test(t, v.Archive, v.objects, "s3://songs/kept/")
	})
}

func TestKeepSource(t *testing.T) {
	const file = "ses_1/000-morning-tape-source"
	bothKinds(t, func(t *testing.T, a archive.Archive, where, prefix string) {
		first, second := wav(2, 1), wav(1000, 2) // the second is 8 MB: in parts
		opened := 0
		for _, c := range []struct {
			content []byte
			file    string
			opened  int
		}{
			{first, file + ".wav", 1},
			{first, file + ".wav", 1},
			{second, file + " (2).wav", 2},
			{second, file + " (2).wav", 2},
			{first, file + ".wav", 2},
		} {
			kept, err := archive.KeepSource(t.Context(), a, sourceOf(c.content, &opened))
			if err != nil {
				t.Fatalf("KeepSource: %v", err)
			}
			want := archive.Kept{File: prefix + c.file, Size: int64(len(c.content)), SHA256: digestOf(c.content), Format: "wav"}
			if *kept != want || opened != c.opened {
				t.Errorf("KeepSource gave %+v, opened %d times; want %+v, %d", kept, opened, want, c.opened)
			}
			if got, err := os.ReadFile(filepath.Join(where, c.file)); err != nil || !bytes.Equal(got, c.content) {
				t.Errorf("%s holds %d bytes, %v; want %d", c.file, len(got), err, len(c.content))
			}
		}
		visible, parts := files(t, where)
		if diff := cmp.Diff([]string{file + " (2).wav", file + ".wav"}, visible); diff != "" || len(parts) > 0 {
			t.Errorf("files (-want +got):\n%s and leftovers %q", diff, parts)
		}
	})
}

func TestSourcesThatAreNot(t *testing.T) {
	bothKinds(t, func(t *testing.T, a archive.Archive, where, _ string) {
		content, opened := wav(2, 1), 0
		away := fault.New(fault.NotFound, "test.Open", errors.New("the file is gone"))
		read := func(r io.Reader) func(context.Context) (io.ReadCloser, error) {
			return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }
		}
		for _, c := range []struct {
			name   string
			change func(*archive.Source)
			want   fault.Code
		}{
			{"other bytes", func(s *archive.Source) { s.Open = read(bytes.NewReader(wav(2, 2))) }, "invalid"},
			{"shorter", func(s *archive.Source) { s.Open = read(bytes.NewReader(content[:9000])) }, "invalid"},
			{"longer", func(s *archive.Source) {
				s.Open = read(io.MultiReader(bytes.NewReader(content), strings.NewReader("x")))
			}, "invalid"},
			{"broken", func(s *archive.Source) {
				s.Open = read(io.MultiReader(bytes.NewReader(content[:9000]), iotest.ErrReader(fault.New(fault.Unavailable, "test.Read", errors.New("cut")))))
			}, "unavailable"},
			{"gone", func(s *archive.Source) {
				s.Open = func(context.Context) (io.ReadCloser, error) { return nil, away }
			}, "not_found"},
			{"no digest", func(s *archive.Source) { s.SHA256 = "" }, "invalid"},
			{"no size", func(s *archive.Source) { s.Size = -1 }, "invalid"},
			{"no extension", func(s *archive.Source) { s.Extension = "../x" }, "invalid"},
			{"elsewhere", func(s *archive.Source) { s.Name = "../x" }, "invalid"},
		} {
			s := sourceOf(content, &opened)
			c.change(&s)
			_, err := archive.KeepSource(t.Context(), a, s)
			if fault.CodeOf(err) != c.want || fault.ChargeOf(err) != fault.ChargeNone {
				t.Errorf("%s: %v, want %s, not charged", c.name, err, c.want)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := archive.KeepSource(ctx, a, sourceOf(content, &opened)); fault.CodeOf(err) != fault.Canceled {
			t.Errorf("after the end: %v, want canceled", err)
		}
		if _, err := os.Stat(where); err == nil {
			if visible, parts := files(t, where); len(visible)+len(parts) > 0 {
				t.Errorf("left %q and %q", visible, parts)
			}
		}
	})
}

func TestKeepSourceConcurrently(t *testing.T) {
	bothKinds(t, func(t *testing.T, a archive.Archive, where, prefix string) {
		content := wav(20, 1)
		var done sync.WaitGroup
		for range 6 {
			done.Go(func() {
				opened := 0
				kept, err := archive.KeepSource(t.Context(), a, sourceOf(content, &opened))
				if err != nil || kept.File != prefix+"ses_1/000-morning-tape-source.wav" {
					t.Errorf("KeepSource: %+v, %v", kept, err)
				}
			})
		}
		done.Wait()
		if visible, parts := files(t, where); len(visible) != 1 || len(parts) > 0 {
			t.Errorf("files %q and leftovers %q, want one", visible, parts)
		}
	})
}

// shelf is an archive that only puts, as tests elsewhere have them.
type shelf struct {
	archive.Archive
	files map[string]string
}

func (s *shelf) Put(_ context.Context, name string, r io.Reader) error {
	content, err := io.ReadAll(r)
	if err == nil {
		s.files[name] = string(content)
	}
	return err
}

func TestKeepSourceInAnyArchive(t *testing.T) {
	s, opened := &shelf{files: map[string]string{}}, 0
	content := wav(1, 1)
	kept, err := archive.KeepSource(t.Context(), s, sourceOf(content, &opened))
	if err != nil || kept.File != "ses_1/000-morning-tape-source.wav" || s.files[kept.File] != string(content) {
		t.Errorf("KeepSource: %+v, %v", kept, err)
	}
	if err := archive.Check(t.Context(), s); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func TestKeepSidecar(t *testing.T) {
	s := &shelf{files: map[string]string{}}
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	sidecar := archive.Sidecar{
		SessionID: "ses_1", SessionName: "June", ItemID: "ses_1.0", Index: 0, Provider: "kie", Account: "main", Model: "V5", Title: "Tape & <more>",
		Prompt: "slow, like https://user:" + secret + "@example.com/a?b=" + secret + "#" + secret + " \"but\" slower", Style: "jazz",
		Parameters: map[string]any{"continueAt": 60.5, "reference": "https://cdn.example/a.mp3?X-Amz-Signature=" + secret, "stem": "s3://songs/100%zz?#.wav", "key": "s3://k:" + secret + "@songs/%zz"},
		ClipID:     "clip-1", OperationIDs: []string{"op-1"}, Credits: 12,
		Source:      archive.SidecarSource{Name: "https://example.com/in/ä b.mp3?sig=" + secret, SHA256: "00ff", Size: 9, File: "000-a-source.mp3"},
		Tracks:      []archive.SidecarTrack{{AudioID: "a1", File: "000-a-1.mp3", Cover: "000-a-1.jpg", Format: "mp3", Size: 7, SHA256: "ff00", DurationSeconds: 198.4}},
		SubmittedAt: at, FinishedAt: at.Add(time.Minute),
	}
	for range 2 {
		if err := archive.KeepSidecar(t.Context(), s, "ses_1/000-a", sidecar); err != nil {
			t.Fatal(err)
		}
	}
	const want = `{
  "version": 1,
  "sessionId": "ses_1",
  "sessionName": "June",
  "itemId": "ses_1.0",
  "index": 0,
  "provider": "kie",
  "account": "main",
  "model": "V5",
  "title": "Tape & <more>",
  "prompt": "slow, like https://example.com/a \"but\" slower",
  "style": "jazz",
  "parameters": {
    "continueAt": 60.5,
    "key": "s3://songs/%zz",
    "reference": "https://cdn.example/a.mp3",
    "stem": "s3://songs/100%zz?#.wav"
  },
  "clipId": "clip-1",
  "operationIds": [
    "op-1"
  ],
  "credits": 12,
  "source": {
    "name": "https://example.com/in/ä b.mp3",
    "sha256": "00ff",
    "size": 9,
    "file": "000-a-source.mp3"
  },
  "tracks": [
    {
      "audioId": "a1",
      "file": "000-a-1.mp3",
      "cover": "000-a-1.jpg",
      "format": "mp3",
      "size": 7,
      "sha256": "ff00",
      "durationSeconds": 198.4
    }
  ],
  "submittedAt": "2026-11-22T12:00:00Z",
  "finishedAt": "2026-11-22T12:01:00Z"
}
`
	if diff := cmp.Diff(map[string]string{"ses_1/000-a.json": want}, s.files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	err := archive.KeepSidecar(t.Context(), s, "ses_1/000-a", archive.Sidecar{Parameters: map[string]any{"f": func() {}}})
	if fault.CodeOf(err) != fault.Invalid {
		t.Errorf("parameters that are no JSON: %v, want invalid", err)
	}
}
