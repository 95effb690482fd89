package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

func TestWhatIsUploadedIsWhatWasSubmitted(t *testing.T) {
	// The SHA-256 of "hello".
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	for content, want := range map[string]string{
		"hello":  "",
		"hello!": "https://h/a.mp3 was changed after it was submitted",
		"":       "https://h/a.mp3 was changed after it was submitted",
	} {
		body := &submitted{
			ReadCloser: io.NopCloser(strings.NewReader(content)),
			src:        session.Source{Name: "https://h/a.mp3", SHA256: sum}, digest: sha256.New(),
		}
		got, err := io.ReadAll(body)
		reason := ""
		if err != nil {
			reason = fault.Reason(err)
		}
		if string(got) != content || reason != want || err != nil && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%q was read as %q: %v, want %q", content, got, err, want)
		}
	}
}

func TestSame(t *testing.T) {
	seen := &source.Inspected{Probed: source.Probed{Size: 1000, Duration: 10 * time.Second}}
	for name, c := range map[string]struct {
		found source.Probed
		want  fault.Code
	}{
		"the same":         {source.Probed{Size: 1000, Duration: 10*time.Second + time.Microsecond}, ""},
		"another length":   {source.Probed{Size: 1001, Duration: 10 * time.Second}, fault.Conflict},
		"another duration": {source.Probed{Size: 1000, Duration: 11 * time.Second}, fault.Conflict},
	} {
		err := same(seen, c.found)
		if c.want == "" && err != nil || c.want != "" && fault.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	seen.Probed.Size = -1
	if err := same(seen, source.Probed{Size: 1000, Duration: 10 * time.Second}); err != nil {
		t.Errorf("of a size that was not said: %v, want no error", err)
	}
}

// A server that fails three times in a row is asked no more, and another one still is.
func TestPatiently(t *testing.T) {
	answers := map[string]error{
		"http://down/a": fault.Uncharged(fault.Timeout, "x", errors.New("no answer in time")),
		"http://busy/a": fault.Uncharged(fault.Unavailable, "x", errors.New("status 503")),
		"http://busy/b": fault.Uncharged(fault.NotFound, "x", errors.New("status 404")),
		"http://well/a": nil,
	}
	asked := map[string]int{}
	at := patiently(func(_ context.Context, address string) (source.Probed, error) {
		asked[address]++
		return source.Probed{Size: 1}, answers[address]
	})
	var last error
	for range 5 {
		_, last = at(t.Context(), "http://down/a")
		for _, address := range []string{"http://busy/a", "http://busy/a", "http://busy/b"} {
			if _, err := at(t.Context(), address); !errors.Is(err, answers[address]) {
				t.Errorf("%s: %v, want its own answer", address, err)
			}
		}
		if found, err := at(t.Context(), "http://well/a"); err != nil || found.Size != 1 {
			t.Errorf("a server that is well: %+v, %v", found, err)
		}
	}
	if asked["http://down/a"] != 3 || asked["http://busy/a"] != 10 || asked["http://well/a"] != 5 {
		t.Errorf("asked %v, want 3 of the one that is down, and every time of the others", asked)
	}
	if got := fault.Reason(last); fault.CodeOf(last) != fault.Unavailable || got != "down failed 3 times in a row, and was not asked again" {
		t.Errorf("%v, want unavailable and why", last)
	}
}
