package archive_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
)

func TestCuts(t *testing.T) {
	content := wav(10, 1) // 80044 bytes
	cases := []struct {
		name   string
		cuts   []int // bytes that each broken answer brings
		ranges []string
	}{
		{"after the first byte", []int{1}, []string{"", "bytes=1-"}},
		{"in the header", []int{43}, []string{"", "bytes=43-"}},
		{"after the header", []int{44}, []string{"", "bytes=44-"}},
		{"in the middle", []int{40000}, []string{"", "bytes=40000-"}},
		{"before the last byte", []int{80043}, []string{"", "bytes=80043-"}},
		{"again and again", []int{10000, 1, 20000, 43}, []string{"", "bytes=10000-", "bytes=10001-", "bytes=30001-", "bytes=30044-"}},
	}
	for _, c := range cases {
		var stages []http.HandlerFunc
		for _, n := range c.cuts {
			stages = append(stages, cutAfter(content, `"v1"`, n))
		}
		server := serve(t, append(stages, whole(content, `"v1"`))...)
		b := open(t, t.TempDir())
		kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: 10})
		b.checkKept(t, kept, err, name+".wav", content)
		if diff := cmp.Diff(c.ranges, server.ranges()); diff != "" {
			t.Errorf("%s: ranges (-want +got):\n%s", c.name, diff)
		}
		for _, r := range server.requests[1:] {
			if got := r.Header.Get("If-Range"); got != `"v1"` {
				t.Errorf("%s: If-Range %q, want the tag", c.name, got)
			}
		}
		b.checkNoSecret(t, nil)
	}
}

func TestCutThatBringsNothingIsNotRepeated(t *testing.T) {
	content := wav(1, 1)
	server := serve(t, cutAfter(content, `"v1"`, 5000), cutAfter(content, `"v1"`, 0))
	b := open(t, t.TempDir())
	w := archive.Want{URL: server.url(), Name: name}
	_, err := b.Keep(t.Context(), w)
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Keep: %v, want unavailable", err)
	}
	b.checkNoSecret(t, err)
	server.then(whole(content, `"v1"`))
	kept, err := b.Keep(t.Context(), w)
	b.checkKept(t, kept, err, name+".wav", content)
	if diff := cmp.Diff([]string{"", "bytes=5000-", "bytes=5000-"}, server.ranges()); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

func TestEndlessCutsEnd(t *testing.T) {
	content := wav(1, 1)
	server := serve(t, cutAfter(content, `"v1"`, 1))
	b := open(t, t.TempDir())
	_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if fault.CodeOf(err) != fault.Unavailable || len(server.ranges()) != 32 {
		t.Errorf("Keep: %v after %d requests, want unavailable after 32", err, len(server.ranges()))
	}
}

// Whether what an earlier attempt left may be used depends on what identifies
// it, and on what the server can vouch for.
func TestResumedByAnotherArchive(t *testing.T) {
	content := wav(2, 1)
	old := "ETag: W/\"weak\""
	cases := []struct {
		name                  string
		header                string // of the broken answer, in place of a strong tag
		firstKey, secondKey   string
		firstPath, secondPath string
		want                  string // the Range of the second call
	}{
		{"the same URL", "", "", "", "/a?1", "/a?1", "bytes=9000-"},
		{"signed anew", "", "", "", "/a?1", "/a?2", "bytes=9000-"},
		{"signed anew, with a key", "", "k", "k", "/a?1", "/a?2", "bytes=9000-"},
		{"moved, with a key", "", "k", "k", "/a?1", "/b?1", "bytes=9000-"},
		{"moved, without a key", "", "", "", "/a?1", "/b?1", ""},
		{"another key at the same origin", "", "k", "l", "/a?1", "/a?1", "bytes=9000-"},
		{"a weak tag", old, "k", "k", "/a?1", "/a?1", ""},
		{"a date", "Last-Modified: " + modified, "k", "k", "/a?1", "/a?2", "bytes=9000-"},
		{"a date, signed anew without a key", "Last-Modified: " + modified, "", "", "/a?1", "/a?2", ""},
		{"a date, moved", "Last-Modified: " + modified, "k", "k", "/a?1", "/b?1", ""},
		{"nothing", "X-Nothing: 1", "k", "k", "/a?1", "/a?1", ""},
	}
	for _, c := range cases {
		tag := `"v1"`
		if c.header != "" {
			tag = ""
		}
		headed := func(next http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				field, value, _ := strings.Cut(c.header, ": ")
				if field == "ETag" {
					w.Header().Set(field, value)
					http.ServeContent(&cutter{ResponseWriter: w, left: 9000}, r, "", time.Time{}, bytes.NewReader(content))
				}
				w.Header().Set(field, value)
				next(w, r)
			}
		}
		server := serve(t, headed(cutAfter(content, tag, 9000)), plain(503, ""))
		dir := t.TempDir()
		first := open(t, dir)
		if _, err := first.Keep(t.Context(), archive.Want{URL: server.URL + c.firstPath, Name: name, Key: c.firstKey}); fault.CodeOf(err) != fault.Unavailable {
			t.Fatalf("%s: first Keep: %v, want unavailable", c.name, err)
		}
		requests := len(server.ranges())
		server.then(whole(content, tag))
		second := open(t, dir)
		kept, err := second.Keep(t.Context(), archive.Want{URL: server.URL + c.secondPath, Name: name, Key: c.secondKey})
		second.checkKept(t, kept, err, name+".wav", content)
		if got := server.ranges()[requests]; got != c.want {
			t.Errorf("%s: the second call asked for %q, want %q", c.name, got, c.want)
		}
		if _, parts := files(t, dir); len(parts) > 0 {
			t.Errorf("%s left %q", c.name, parts)
		}
	}
}

func TestServersThatDoNotContinue(t *testing.T) {
	content, other := wav(2, 1), wav(2, 2) // 16044 bytes
	rest := string(content[9000:])
	cut := cutAfter(content, `"v1"`, 9000)
	cases := []struct {
		name     string
		answer   http.HandlerFunc
		want     []byte // nil: malformed
		requests int
	}{
		{"200 with everything", plain(200, string(content), `ETag: "v1"`), content, 2},
		{"200 because it changed", whole(other, `"v2"`), other, 2},
		{"206 of another file", plain(206, string(other[9000:]), `ETag: "v2"`, "Content-Range: bytes 9000-16043/16044"), other, 3},
		{"206 of another length", plain(206, rest+"12", `ETag: "v1"`, "Content-Range: bytes 9000-16045/16046"), other, 3},
		{"416", plain(416, "", "Content-Range: bytes */9000"), other, 3},
		{"206 without a range", plain(206, rest), nil, 2},
		{"206 from elsewhere", plain(206, rest, "Content-Range: bytes 8999-16042/16044"), nil, 2},
		{"206 from the beginning", plain(206, string(content), "Content-Range: bytes 0-16043/16044"), nil, 2},
		{"206 in another unit", plain(206, rest, "Content-Range: seconds 9000-16043/16044"), nil, 2},
		{"206 that ends before it starts", plain(206, rest, "Content-Range: bytes 9000-1/16044"), nil, 2},
		{"206 in several parts", plain(206, "--x\r\n", "Content-Type: multipart/byteranges; boundary=x"), nil, 2},
		{"206 compressed", plain(206, rest, "Content-Range: bytes 9000-16043/16044", "Content-Encoding: br"), nil, 2},
		{"206 with too much", plain(206, rest+"more", "Content-Range: bytes 9000-16043/16044"), nil, 2},
		{"206 of unknown length", plain(206, rest, "Content-Range: bytes 9000-16043/*"), content, 2},
		{"206 with less than asked", plain(206, rest[:10], "Content-Range: bytes 9000-9009/16044"), content, 3},
	}
	for _, c := range cases {
		after := other
		if bytes.Equal(c.want, content) {
			after = content
		}
		tag := map[bool]string{true: `"v1"`, false: `"v2"`}[bytes.Equal(after, content)]
		server := serve(t, cut, c.answer, whole(after, tag))
		b := open(t, t.TempDir())
		kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
		if c.want != nil {
			b.checkKept(t, kept, err, name+".wav", c.want)
		} else if fault.CodeOf(err) != fault.Malformed {
			t.Errorf("%s: %v, want malformed", c.name, err)
		}
		if got := server.ranges(); len(got) != c.requests || got[1] != "bytes=9000-" {
			t.Errorf("%s: ranges %q, want %d requests of which the second goes on", c.name, got, c.requests)
		}
		if c.want == nil {
			// What could not be believed is not built upon.
			kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
			b.checkKept(t, kept, err, name+".wav", other)
			if got := server.ranges()[c.requests]; got != "" {
				t.Errorf("%s: the next call asked for %q, want everything", c.name, got)
			}
		}
	}
}

func TestLengthsThatLie(t *testing.T) {
	content := wav(2, 1) // 16044 bytes
	announced := plain(200, string(content), "Content-Length: 20000", `ETag: "v1"`)
	past := plain(416, "", "Content-Range: bytes */16044")
	server := serve(t, announced, past, announced, past)
	b := open(t, t.TempDir())
	_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if got := server.ranges(); fault.CodeOf(err) != fault.Unavailable || len(got) != 4 {
		t.Errorf("too long: %v after %q, want unavailable after one new start", err, got)
	}
	short := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "9000")
		_, _ = w.Write(content[:9000])
	}
	server = serve(t, short)
	_, err = b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if fault.CodeOf(err) != fault.Malformed || !strings.Contains(err.Error(), "cut off: 8956 of 16000 samples are there") {
		t.Errorf("too short: %v, want malformed with the cut", err)
	}
}

// Without lengths, only the content can tell that it is not whole.
func TestUnknownLength(t *testing.T) {
	content := wav(2, 1)
	streamed := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			w.Header().Set("Transfer-Encoding", "identity")
			_, _ = w.Write(content[:n])
		}
	}
	b := open(t, t.TempDir())
	server := serve(t, streamed(9000), streamed(16044))
	w := archive.Want{URL: server.url(), Name: name}
	if _, err := b.Keep(t.Context(), w); fault.CodeOf(err) != fault.Malformed {
		t.Errorf("cut: %v, want malformed", err)
	}
	kept, err := b.Keep(t.Context(), w)
	b.checkKept(t, kept, err, name+".wav", content)
}

func TestTooLong(t *testing.T) {
	content := wav(2, 1)
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"announced", whole(content, `"v1"`)},
		{"unannounced", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(content); err != nil {
					return
				}
			}
		}},
	} {
		b := open(t, t.TempDir(), func(o *archive.Options) { o.MaxBytes = 16000 })
		_, err := b.Keep(t.Context(), archive.Want{URL: serve(t, c.answer).url(), Name: name})
		if fault.CodeOf(err) != fault.Malformed {
			t.Errorf("%s: %v, want malformed", c.name, err)
		}
		if _, parts := files(t, b.dir); len(parts) > 0 {
			t.Errorf("%s left %q", c.name, parts)
		}
	}
}

// half serves half of the content, says so, and then waits for the client or
// for release.
func half(content []byte, tag string, reached chan<- struct{}, release <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		middle := len(content) / 2
		w.Header().Set("ETag", tag)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:middle])
		_ = http.NewResponseController(w).Flush()
		reached <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-release:
			_, _ = w.Write(content[middle:])
		}
	}
}

func TestCanceledWhileItComes(t *testing.T) {
	content := wav(2, 1)
	reached := make(chan struct{}, 1)
	server := serve(t, half(content, `"v1"`, reached, nil), whole(content, `"v1"`))
	b := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-reached
		cancel()
	}()
	w := archive.Want{URL: server.url(), Name: name}
	_, err := b.Keep(ctx, w)
	if fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Keep: %v, want canceled", err)
	}
	b.checkNoSecret(t, err)
	kept, err := b.Keep(t.Context(), w)
	b.checkKept(t, kept, err, name+".wav", content)
}

func TestStalledBodyGoesOn(t *testing.T) {
	content := wav(2, 1)
	reached := make(chan struct{}, 1)
	server := serve(t, half(content, `"v1"`, reached, nil), whole(content, `"v1"`))
	b := open(t, t.TempDir(), func(o *archive.Options) { o.Stall = 100 * time.Millisecond })
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	b.checkKept(t, kept, err, name+".wav", content)
	if diff := cmp.Diff([]string{"", "bytes=8022-"}, server.ranges()); diff != "" {
		t.Errorf("ranges (-want +got):\n%s", diff)
	}
}

func TestStalledWithoutATag(t *testing.T) {
	content := wav(2, 1)
	reached := make(chan struct{}, 1)
	server := serve(t, half(content, "", reached, nil))
	b := open(t, t.TempDir(), func(o *archive.Options) { o.Stall = 50 * time.Millisecond })
	_, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
	if fault.CodeOf(err) != fault.Timeout {
		t.Errorf("Keep: %v, want timeout", err)
	}
}

func TestTwoAtOnce(t *testing.T) {
	content := wav(2, 1)
	var both sync.WaitGroup
	both.Add(2)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		both.Done()
		both.Wait() // both are in the middle of it
		whole(content, `"v1"`)(w, r)
	})
	dir := t.TempDir()
	benches := []*bench{open(t, dir), open(t, dir)}
	results := make([]*archive.Kept, 2)
	failures := make([]error, 2)
	var done sync.WaitGroup
	for i, b := range benches {
		done.Go(func() {
			results[i], failures[i] = b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name})
		})
	}
	done.Wait()
	for i, b := range benches {
		b.checkKept(t, results[i], failures[i], name+".wav", content)
	}
	visible, parts := files(t, dir)
	if diff := cmp.Diff([]string{name + ".wav"}, visible); diff != "" || len(parts) > 0 {
		t.Errorf("files (-want +got):\n%s and leftovers %q", diff, parts)
	}
}

// A worker that was given up for dead, and is not, ends after its successor.
func TestZombie(t *testing.T) {
	content, remade := wav(2, 1), wav(2, 2)
	for _, c := range []struct {
		name      string
		successor []byte
		tag       string
		zombie    string
	}{
		{"the same bytes", content, `"v1"`, name + ".wav"},
		{"other bytes", remade, `"v2"`, name + " (2).wav"},
	} {
		reached, release := make(chan struct{}), make(chan struct{})
		server := serve(t, half(content, `"v1"`, reached, release), whole(c.successor, c.tag))
		dir := t.TempDir()
		w := archive.Want{URL: server.url(), Name: name}
		zombie, successor := open(t, dir), open(t, dir)
		var late *archive.Kept
		var lateErr error
		var done sync.WaitGroup
		done.Go(func() { late, lateErr = zombie.Keep(t.Context(), w) })
		<-reached
		kept, err := successor.Keep(t.Context(), w)
		close(release)
		done.Wait()
		successor.checkKept(t, kept, err, name+".wav", c.successor)
		zombie.checkKept(t, late, lateErr, c.zombie, content)
		if _, parts := files(t, dir); len(parts) > 0 {
			t.Errorf("%s left %q", c.name, parts)
		}
	}
}

func TestTooManyAtOnce(t *testing.T) {
	content := wav(2, 1)
	reached, release := make(chan struct{}), make(chan struct{})
	server := serve(t, half(content, `"v1"`, reached, release))
	dir := t.TempDir()
	w := archive.Want{URL: server.url(), Name: name}
	var done sync.WaitGroup
	for range 4 {
		b := open(t, dir)
		done.Go(func() {
			if _, err := b.Keep(t.Context(), w); err != nil {
				t.Errorf("Keep: %v", err)
			}
		})
		<-reached
	}
	_, err := open(t, dir).Keep(t.Context(), w)
	close(release)
	done.Wait()
	if fault.CodeOf(err) != fault.Conflict || fault.RetryAfter(err) != 30*time.Second {
		t.Errorf("the fifth: %v, retry after %v; want conflict, 30 s", err, fault.RetryAfter(err))
	}
}

// TestChild is the worker that TestKilledWorker kills.
func TestChild(t *testing.T) {
	dir := os.Getenv("SEGUE_TEST_ARCHIVE_DIR")
	if dir == "" {
		t.Skip("it runs as the child of TestKilledWorker")
	}
	_, err := open(t, dir).Keep(t.Context(), archive.Want{URL: os.Getenv("SEGUE_TEST_ARCHIVE_URL"), Name: name})
	t.Fatalf("Keep returned: %v", err)
}

// A lock dies with its process, and so do the bytes of which nobody can say that
// they reached the disk.
func TestKilledWorker(t *testing.T) {
	content := wav(5000, 1) // 40,000,044 bytes: one save on the way, after 32 MiB
	dir := t.TempDir()
	var child *exec.Cmd
	started := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Length", "40000044")
		_, _ = w.Write(content[:39_000_000])
		_ = http.NewResponseController(w).Flush()
		waitForSave(r.Context(), dir)
		<-started
		_ = child.Process.Kill()
		<-r.Context().Done()
	}, whole(content, `"v1"`))
	child = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), "SEGUE_TEST_ARCHIVE_DIR="+dir, "SEGUE_TEST_ARCHIVE_URL="+server.url())
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	if err := child.Wait(); err == nil {
		t.Fatal("the worker ended by itself")
	}
	b := open(t, dir)
	kept, err := b.Keep(t.Context(), archive.Want{URL: server.url(), Name: name, Duration: 5000})
	b.checkKept(t, kept, err, name+".wav", content)
	if got := server.ranges(); len(got) != 2 || got[1] < "bytes=33554432-" || got[1] > "bytes=39000000-" {
		t.Errorf("ranges %q, want a second from after 32 MiB on", got)
	}
	if _, parts := files(t, dir); len(parts) > 0 {
		t.Errorf("leftovers %q", parts)
	}
}

// waitForSave returns when the download has made a part of itself durable.
func waitForSave(ctx context.Context, dir string) {
	mark := filepath.Join(dir, ".segue", "parts", name+".1.part.json")
	for ctx.Err() == nil {
		if _, err := os.Stat(mark); err == nil {
			return
		}
		runtime.Gosched()
	}
}
