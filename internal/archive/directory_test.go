package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
)

func TestOpen(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	o := archive.Options{HTTP: http.DefaultClient, Probe: probe}
	for _, c := range []struct{ where, dir string }{
		{"file://" + base + "/a", "a"},
		{"file://localhost" + base + "/b", "b"},
		{"file://" + base + "/with%20space", "with space"},
		{base + "/deep/er", "deep/er"},
		{"relative", "relative"},
	} {
		opened, err := archive.Open(c.where, o)
		if err != nil {
			t.Errorf("Open(%q): %v", c.where, err)
			continue
		}
		if err := opened.Put(t.Context(), "x.json", strings.NewReader("{}")); err != nil {
			t.Errorf("Put into %q: %v", c.where, err)
		}
		if got, err := os.ReadFile(filepath.Join(base, c.dir, "x.json")); string(got) != "{}" {
			t.Errorf("%q put its file elsewhere than %s: %q, %v", c.where, c.dir, got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		where string
		code  fault.Code
		words string
	}{
		{"", "invalid", "no archive is configured"},
		{"s3://bucket/prefix", "invalid", "needs a directory for what is on its way"},
		{"gs://bucket", "invalid", `no archive of kind "gs"`},
		{"file://server/share", "invalid", "three slashes"},
		{"file://", "invalid", "has no path"},
		{"file:///a?b", "invalid", "%3F"},
		{file, "unavailable", "cannot be used"},
		{file + "/below", "unavailable", "cannot be used"},
	}
	for _, c := range cases {
		_, err := archive.Open(c.where, archive.Options{HTTP: http.DefaultClient, Probe: probe})
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.words) {
			t.Errorf("Open(%q): %v, want %s: …%s…", c.where, err, c.code, c.words)
		}
	}
	if _, err := archive.Open(t.TempDir(), archive.Options{}); fault.CodeOf(err) != fault.Internal {
		t.Errorf("Open without a client: %v, want internal", err)
	}
}

func TestPut(t *testing.T) {
	b := open(t, t.TempDir())
	const side = "ses_1/session.json"
	for _, content := range []string{"first, and longer", "second"} {
		if err := b.Put(t.Context(), side, strings.NewReader(content)); err != nil {
			t.Fatalf("Put: %v", err)
		}
		if got, err := os.ReadFile(filepath.Join(b.dir, side)); string(got) != content {
			t.Errorf("%s holds %q, %v; want %q", side, got, err, content)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	broken := io.MultiReader(strings.NewReader("th"), iotest.ErrReader(errors.New("boom")))
	if err := b.Put(ctx, side, broken); err == nil {
		t.Error("Put of a broken reader succeeded")
	}
	cancel()
	if err := b.Put(ctx, side, strings.NewReader("fourth")); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Put after cancel: %v, want canceled", err)
	}
	if got, err := os.ReadFile(filepath.Join(b.dir, side)); string(got) != "second" {
		t.Errorf("%s holds %q, %v; want what was whole", side, got, err)
	}
	for _, name := range []string{"", "../x", "/x", ".x", "a/../x", "a\\b", "ses_1/"} {
		if err := b.Put(t.Context(), name, strings.NewReader("x")); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("Put(%q): %v, want invalid", name, err)
		}
	}
	if _, parts := files(t, b.dir); len(parts) > 0 {
		t.Errorf("leftovers %q", parts)
	}
}

func TestDirectoryThatWentAway(t *testing.T) {
	server := serve(t, whole(wav(1, 1), `"v1"`))
	b := open(t, filepath.Join(t.TempDir(), "volume"))
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "is it mounted?") {
		t.Errorf("Keep: %v, want unavailable", err)
	}
	if _, err := os.Stat(b.dir); err == nil {
		t.Error("the directory was made behind its volume")
	}
}

func TestDirectoryInTheWay(t *testing.T) {
	server := serve(t, whole(wav(1, 1), `"v1"`))
	b := open(t, t.TempDir())
	if err := os.WriteFile(filepath.Join(b.dir, "ses_1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Keep: %v, want unavailable", err)
	}
	b.checkNoSecret(t, err)
}

// The three moments at which a worker can die while it files a track.
func TestDiedWhileFiling(t *testing.T) {
	content := wav(2, 1)
	for _, c := range []struct {
		name string
		undo func(t *testing.T, file, part string)
	}{
		{"before the track appeared", func(t *testing.T, file, part string) {
			t.Helper()
			if err := errors.Join(os.Rename(file, part), os.WriteFile(part+".json", []byte(complete), 0o600)); err != nil {
				t.Fatal(err)
			}
		}},
		{"before the part was removed", func(t *testing.T, file, part string) {
			t.Helper()
			if err := errors.Join(os.Link(file, part), os.WriteFile(part+".json", []byte(complete), 0o600)); err != nil {
				t.Fatal(err)
			}
		}},
		{"before it said so", func(*testing.T, string, string) {}},
	} {
		server := serve(t, whole(content, `"v1"`), plain(403, ""))
		b := open(t, t.TempDir())
		w := archive.Want{URL: server.url(), Name: name, Key: "audio-1"}
		kept, err := b.Keep(t.Context(), w)
		b.checkKept(t, kept, err, name+".wav", content)
		c.undo(t, kept.File, filepath.Join(b.dir, ".segue", "parts", name+".1.part"))
		kept, err = b.Keep(t.Context(), w)
		b.checkKept(t, kept, err, name+".wav", content)
		if got := server.ranges(); len(got) != 1 {
			t.Errorf("%s: %d requests, want one: everything was there", c.name, len(got))
		}
		if _, parts := files(t, b.dir); len(parts) > 0 {
			t.Errorf("%s: leftovers %q", c.name, parts)
		}
	}
}

// complete is what stands beside a finished download; the track is the SHA-256
// of "key audio-1".
const complete = `{"track":"bfe775a75cc4cbda3bdef31a3d2d7c7e0ad58a3fecab070b06df68d7972e29a3","etag":"\"v1\"","length":16044,"saved":16044}`

// Network and user-space file systems may have no locks, no links, or neither.
// Downloads are then resumed within a call only, and nothing else is lost.
func TestPoorFileSystems(t *testing.T) {
	content, other := wav(2, 1), wav(2, 2)
	for _, c := range []struct {
		name   string
		poorer []func(*testing.T)
	}{
		{"no locks", []func(*testing.T){archive.WithoutLocks}},
		{"no links", []func(*testing.T){archive.WithoutLinks}},
		{"neither", []func(*testing.T){archive.WithoutLocks, archive.WithoutLinks}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, take := range c.poorer {
				take(t)
			}
			server := serve(t, cutAfter(content, `"v1"`, 9000), whole(content, `"v1"`), whole(other, `"v2"`))
			b := open(t, t.TempDir())
			kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-1"})
			b.checkKept(t, kept, err, name+".wav", content)
			kept, err = b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-2"})
			b.checkKept(t, kept, err, name+" (2).wav", other)
			if diff := cmp.Diff([]string{"", "bytes=9000-", ""}, server.ranges()); diff != "" {
				t.Errorf("ranges (-want +got):\n%s", diff)
			}
			server.then(cutAfter(content, `"v1"`, 9000), plain(503, ""), whole(content, `"v1"`))
			w := archive.Want{URL: server.url(), Name: name, Key: "audio-3"}
			if _, err := b.Keep(t.Context(), w); fault.CodeOf(err) != fault.Unavailable {
				t.Errorf("cut: %v, want unavailable", err)
			}
			kept, err = b.Keep(t.Context(), w)
			b.checkKept(t, kept, err, name+".wav", content)
			if _, parts := files(t, b.dir); len(parts) > 0 {
				t.Errorf("leftovers %q", parts)
			}
		})
	}
}

func TestProbeThatFails(t *testing.T) {
	content := wav(2, 1)
	for _, c := range []struct {
		name     string
		answer   error
		want     fault.Code
		requests int // of both calls
	}{
		{"cannot read", fault.New(fault.Internal, "audio.ProbeFile", errors.New("input/output error")), "internal", 1},
		{"no fault", errors.New("boom"), "internal", 1},
		{"no time", context.DeadlineExceeded, "timeout", 1},
		{"no audio", fault.New(fault.Invalid, "audio.ProbeFile", errors.New("this is not audio")), "malformed", 2},
	} {
		server := serve(t, whole(content, `"v1"`))
		failing := true
		b := open(t, t.TempDir(), func(o *archive.Options) {
			o.Probe = func(ctx context.Context, path string) (archive.Probed, error) {
				if failing {
					return archive.Probed{}, c.answer
				}
				return probe(ctx, path)
			}
		})
		w := archive.Want{URL: server.url(), Name: name}
		_, err := b.Keep(t.Context(), w)
		var known *fault.Error
		if !errors.As(err, &known) || known.Code != c.want {
			t.Errorf("%s: %v, want the fault %s", c.name, err, c.want)
		}
		failing = false
		kept, err := b.Keep(t.Context(), w)
		b.checkKept(t, kept, err, name+".wav", content)
		if got := server.ranges(); len(got) != c.requests {
			t.Errorf("%s: %d requests, want %d", c.name, len(got), c.requests)
		}
	}
}

func TestWantHidesItsURL(t *testing.T) {
	w := archive.Want{URL: "https://cdn.example/a.mp3?" + secret, Name: name, Duration: 3}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("keep", "want", w)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("keep", "want", w)
	fmt.Fprintf(&log, "%v %+v %s", w, w, w)
	if got := strings.Count(log.String(), name+" (3 s)"); got != 5 || strings.Contains(log.String(), secret) {
		t.Errorf("printed %s, want the name five times and no URL", &log)
	}
}

// A track that its worker filed, but did not tidy up after, must not be written
// through its second name.
func TestPartThatIsATrack(t *testing.T) {
	first, second := wav(2, 1), wav(3, 2)
	server := serve(t, whole(first, `"v1"`), whole(second, `"v2"`))
	b := open(t, t.TempDir())
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-1"})
	b.checkKept(t, kept, err, name+".wav", first)
	if err := os.Link(kept.File, filepath.Join(b.dir, ".segue", "parts", name+".1.part")); err != nil {
		t.Fatal(err)
	}
	again, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-2"})
	b.checkKept(t, again, err, name+" (2).wav", second)
	b.checkKept(t, kept, nil, name+".wav", first)
}

// A file of 100 MB passes through without staying.
func TestFlatMemory(t *testing.T) {
	const samples = 100 << 20
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "104857644")
		_, _ = w.Write(wavHeader(samples))
		for range samples / len(chunk) {
			_, _ = w.Write(chunk)
		}
	})
	b := open(t, t.TempDir())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: 13107})
	runtime.ReadMemStats(&after)
	if err != nil || kept.Size != 104857644 {
		t.Fatalf("Keep: %+v, %v; want 104857644 bytes", kept, err)
	}
	// All that was allocated, also what was freed again, and by the server.
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes were allocated for a file of 104857644, want at most 4 MiB", got)
	}
}
