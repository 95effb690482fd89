package archive_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
)

const name = "ses_1/000-morning-tape-1"

func TestKeep(t *testing.T) {
	content := wav(3, 1)
	server := serve(t, whole(content, `"v1"`))
	b := open(t, t.TempDir())
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: 3})
	b.checkKept(t, kept, err, name+".wav", content)
	visible, parts := files(t, b.dir)
	if diff := cmp.Diff([]string{name + ".wav"}, visible); diff != "" || len(parts) > 0 {
		t.Errorf("files (-want +got):\n%s and leftovers %q", diff, parts)
	}
	b.checkNoSecret(t, nil)
}

func TestKeepAgainDownloadsNothing(t *testing.T) {
	content := wav(3, 1)
	server := serve(t, whole(content, `"v1"`))
	dir := t.TempDir()
	for range 2 {
		b := open(t, dir)
		for range 2 {
			kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: 3})
			b.checkKept(t, kept, err, name+".wav", content)
		}
	}
	if got := server.ranges(); len(got) != 1 {
		t.Errorf("%d requests, want one", len(got))
	}
}

func TestNewSignature(t *testing.T) {
	content := wav(3, 1)
	for _, c := range []struct {
		name, key string
		requests  int
	}{{"a key recognises the track", "audio-7", 1}, {"without a key the bytes do", "", 2}} {
		server := serve(t, whole(content, `"v1"`))
		b := open(t, t.TempDir())
		for _, signature := range []string{"1", "2"} {
			kept, err := b.Keep(t.Context(), archive.Want{URL: server.url() + signature, Name: name, Key: c.key})
			b.checkKept(t, kept, err, name+".wav", content)
		}
		if got := server.ranges(); len(got) != c.requests {
			t.Errorf("%s: %d requests, want %d", c.name, len(got), c.requests)
		}
		if visible, _ := files(t, b.dir); len(visible) != 1 {
			t.Errorf("%s: files %q, want one", c.name, visible)
		}
	}
}

func TestAnotherTrackOfTheSameName(t *testing.T) {
	first, second := wav(3, 1), wav(3, 2)
	server := serve(t, whole(first, `"v1"`), whole(second, `"v2"`))
	b := open(t, t.TempDir())
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-1"})
	b.checkKept(t, kept, err, name+".wav", first)
	kept, err = b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-2"})
	b.checkKept(t, kept, err, name+" (2).wav", second)
	kept, err = b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Key: "audio-2"})
	b.checkKept(t, kept, err, name+" (2).wav", second)
	if got, err := os.ReadFile(filepath.Join(b.dir, name+".wav")); err != nil || !bytes.Equal(got, first) {
		t.Errorf("the first track was overwritten (%v)", err)
	}
	if got := server.ranges(); len(got) != 2 {
		t.Errorf("%d requests, want 2", len(got))
	}
}

func TestFileOfSomebodyElseIsNotOverwritten(t *testing.T) {
	content := wav(3, 1)
	server := serve(t, whole(content, `"v1"`))
	b := open(t, t.TempDir())
	theirs := filepath.Join(b.dir, name+".wav")
	if err := errors.Join(os.MkdirAll(filepath.Dir(theirs), 0o755), os.WriteFile(theirs, []byte("notes"), 0o600)); err != nil {
		t.Fatal(err)
	}
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	b.checkKept(t, kept, err, name+" (2).wav", content)
	if got, err := os.ReadFile(theirs); err != nil || string(got) != "notes" {
		t.Errorf("their file holds %q, %v; want notes", got, err)
	}
}

func TestChangedOrMissingFileIsDownloadedAgain(t *testing.T) {
	content := wav(3, 1)
	flipped := append([]byte(nil), content...)
	flipped[9000] ^= 1
	for _, c := range []struct {
		name   string
		damage func(path string) error
		want   string
	}{
		{"missing", os.Remove, name + ".wav"},
		{"a bit flipped", func(path string) error { return os.WriteFile(path, flipped, 0o600) }, name + " (2).wav"},
		{"shortened", func(path string) error { return os.Truncate(path, 9000) }, name + " (2).wav"},
		{"emptied", func(path string) error { return os.Truncate(path, 0) }, name + " (2).wav"},
	} {
		server := serve(t, whole(content, `"v1"`))
		b := open(t, t.TempDir())
		w := archive.Want{URL: server.url(), Name: name}
		kept, err := b.Keep(t.Context(), w)
		b.checkKept(t, kept, err, name+".wav", content)
		if err := c.damage(kept.File); err != nil {
			t.Fatal(err)
		}
		kept, err = b.Keep(t.Context(), w)
		b.checkKept(t, kept, err, c.want, content)
		if got := server.ranges(); len(got) != 2 {
			t.Errorf("%s: %d requests, want 2", c.name, len(got))
		}
	}
}

func TestStatuses(t *testing.T) {
	cases := []struct {
		status  int
		headers []string
		code    fault.Code
		wait    time.Duration
	}{
		{400, nil, "denied", 0},
		{401, nil, "denied", 0},
		{403, nil, "denied", 0},
		{404, nil, "not_found", 0},
		{408, nil, "unavailable", 0},
		{410, nil, "not_found", 0},
		{416, nil, "malformed", 0},
		{418, nil, "malformed", 0},
		{425, nil, "unavailable", 0},
		{429, []string{"Retry-After: 17"}, "unavailable", 17 * time.Second},
		{500, nil, "unavailable", 0},
		{503, []string{"Retry-After: 120"}, "unavailable", 2 * time.Minute},
		{204, nil, "malformed", 0},
		{302, nil, "malformed", 0},
		{304, nil, "malformed", 0},
		{206, []string{"Content-Range: bytes 0-3/4"}, "malformed", 0},
	}
	for _, c := range cases {
		server := serve(t, plain(c.status, "", c.headers...))
		b := open(t, t.TempDir())
		_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
		if fault.CodeOf(err) != c.code || fault.RetryAfter(err) != c.wait || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("%d: %v, retry after %v, %v; want %s, %v, not charged", c.status, err, fault.RetryAfter(err), fault.ChargeOf(err), c.code, c.wait)
		}
		if got := server.ranges(); len(got) != 1 {
			t.Errorf("%d: %d requests, want one: retrying is the queue's business", c.status, len(got))
		}
		b.checkNoSecret(t, err)
		if visible, parts := files(t, b.dir); len(visible)+len(parts) > 0 {
			t.Errorf("%d left %q and %q", c.status, visible, parts)
		}
	}
}

func TestWhatCameIsNotTheTrack(t *testing.T) {
	track := wav(10, 1)
	cases := []struct {
		name   string
		answer http.HandlerFunc
		words  string
	}{
		{"page", plain(200, "<!doctype html><title>Maintenance "+secret+"</title> come back later, please", "Content-Type: text/html"), "this is not audio"},
		{"envelope", plain(200, `{"code":401,"msg":"signature `+secret+` expired","data":null,"filler":"........"}`, "Content-Type: application/json"), "this is not audio"},
		{"nothing", plain(200, ""), "the file is empty"},
		{"audio cut at its source", whole(track[:40000], `"v1"`), "the audio is not whole: cut off: 39956 of 80000 samples are there"},
		{"too short", whole(wav(7.9, 1), `"v1"`), "the audio is 7.9 s long, and 10.0 s were declared"},
		{"too long", whole(wav(12.1, 1), `"v1"`), "the audio is 12.1 s long, and 10.0 s were declared"},
		{"compressed", plain(200, "\x1f\x8b\x08\x00........", "Content-Encoding: gzip"), "the answer is compressed, which was not asked for"},
	}
	for _, c := range cases {
		server := serve(t, c.answer)
		b := open(t, t.TempDir())
		_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: 10})
		if fault.CodeOf(err) != fault.Malformed || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want malformed: %s", c.name, err, c.words)
		}
		b.checkNoSecret(t, err)
		if visible, parts := files(t, b.dir); len(visible)+len(parts) > 0 {
			t.Errorf("%s left %q and %q, want nothing", c.name, visible, parts)
		}
	}
}

func TestDurationsThatAgree(t *testing.T) {
	for _, c := range []struct{ declared, actual float64 }{{0, 3}, {10, 8.1}, {10, 11.9}, {100, 95.5}, {100, 104.5}, {0.5, 2.4}} {
		content := wav(c.actual, 1)
		b := open(t, t.TempDir())
		kept, err := b.Keep(t.Context(), archive.Want{URL: serve(t, whole(content, `"v1"`)).url(), Name: name, Duration: c.declared})
		b.checkKept(t, kept, err, name+".wav", content)
	}
}

func TestBytesAreAskedForAsTheyAre(t *testing.T) {
	server := serve(t, whole(wav(1, 1), `"v1"`))
	b := open(t, t.TempDir())
	if _, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name}); err != nil {
		t.Fatal(err)
	}
	if got := server.requests[0].Header.Values("Accept-Encoding"); !cmp.Equal(got, []string{"identity"}) {
		t.Errorf("Accept-Encoding %q, want identity", got)
	}
}

func TestRedirectIntoTheNetworkIsRefused(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/"+secret, http.StatusFound)
	})
	b := open(t, t.TempDir())
	for _, url := range []string{server.url(), "http://10.0.0.1/a.wav?" + secret, "http://[::1]/a.wav?" + secret} {
		_, err := b.Keep(t.Context(), archive.Want{URL: url, Name: name})
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%v, want invalid", err)
		}
		b.checkNoSecret(t, err)
	}
}

func TestWantsThatCannotBe(t *testing.T) {
	b := open(t, t.TempDir())
	const url = "https://cdn.example/a.mp3"
	for _, w := range []archive.Want{
		{URL: "", Name: name},
		{URL: "ftp://cdn.example/a.mp3?" + secret, Name: name},
		{URL: "file:///etc/passwd", Name: name},
		{URL: "https:///a.mp3?" + secret, Name: name},
		{URL: "https://cdn.example/%zz" + secret, Name: name},
		{URL: url, Name: ""},
		{URL: url, Name: "../a"},
		{URL: url, Name: "/etc/a"},
		{URL: url, Name: "a/../b"},
		{URL: url, Name: "a//b"},
		{URL: url, Name: "a/"},
		{URL: url, Name: "."},
		{URL: url, Name: ".segue/tracks/a"},
		{URL: url, Name: `a\b`},
		{URL: url, Name: "a\x00b"},
		{URL: url, Name: "c:a"},
		{URL: url, Name: "ses_1/nul"},
		{URL: url, Name: "ses_1/" + strings.Repeat("a", 221)},
		{URL: url, Name: name, Duration: -1},
	} {
		_, err := b.Keep(t.Context(), w)
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%+v: %v, want invalid", w, err)
		}
		b.checkNoSecret(t, err)
	}
}

func TestLinkOutOfTheArchiveIsNotFollowed(t *testing.T) {
	server := serve(t, whole(wav(1, 1), `"v1"`))
	b := open(t, t.TempDir())
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(b.dir, "ses_1")); err != nil {
		t.Fatal(err)
	}
	_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Keep through a link: %v, want unavailable", err)
	}
	if visible, _ := files(t, outside); len(visible) > 0 {
		t.Errorf("%q came to lie outside of the archive", visible)
	}
}

func TestCanceledBeforehand(t *testing.T) {
	server := serve(t, whole(wav(1, 1), `"v1"`))
	b := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Keep(ctx, archive.Want{URL: server.url(), Name: name}); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Keep: %v, want canceled", err)
	}
}
