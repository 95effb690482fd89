package audio_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/fault"
)

// meddling is a context that does something once, when a probe looks at it
// for the second time: in the middle of the file.
type meddling struct {
	context.Context
	looks int
	act   func()
}

func (m *meddling) Err() error {
	if m.looks++; m.looks == 2 {
		m.act()
	}
	return m.Context.Err()
}

func TestProbeFileNoticesChanges(t *testing.T) {
	song := riff(36+1<<20, pcm16(), chunk("data", 1<<20, make([]byte, 1<<20)))
	cases := []struct {
		name string
		act  func(path string) error
	}{
		{"grows", func(path string) error { return writeAt(path, int64(len(song)), text("more")) }},
		{"shrinks", func(path string) error { return os.Truncate(path, 600<<10) }},
		{"is written to", func(path string) error {
			if err := writeAt(path, 1000, text("other")); err != nil {
				return err
			}
			return os.Chtimes(path, time.Time{}, time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))
		}},
		{"is replaced", func(path string) error {
			if err := os.WriteFile(path+".new", song, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}},
		{"is removed", os.Remove},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "song.wav")
		if err := os.WriteFile(path, song, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx := &meddling{Context: context.Background(), act: func() {
			if err := c.act(path); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}}
		in, err := audio.ProbeFile(ctx, path)
		if fault.CodeOf(err) != fault.Conflict {
			t.Errorf("ProbeFile of a file that %s = %+v, %v; want a conflict", c.name, in, err)
		}
	}
}

func TestProbeFileErrors(t *testing.T) {
	folder := t.TempDir()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	late, stop := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer stop()
	cases := []struct {
		name string
		ctx  context.Context
		path string
		want fault.Code
	}{
		{"missing", context.Background(), filepath.Join(folder, "none.wav"), "not_found"},
		{"folder", context.Background(), folder, "invalid"},
		{"device", context.Background(), os.DevNull, "invalid"},
		{"text", context.Background(), filepath.Join("testdata", "make.sh"), "invalid"},
		{"cancelled", done, filepath.Join("testdata", "s16.wav"), "canceled"},
		{"late", late, filepath.Join("testdata", "s16.wav"), "timeout"},
	}
	for _, c := range cases {
		in, err := audio.ProbeFile(c.ctx, c.path)
		if fault.CodeOf(err) != c.want || in != nil {
			t.Errorf("%s: ProbeFile = %+v, %v; want nil and %s", c.name, in, err, c.want)
		}
	}
}

func TestProbeFileRespectsPermissions(t *testing.T) {
	path := filepath.Join(t.TempDir(), "song.wav")
	if err := os.WriteFile(path, wavHeader(0), 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		t.Skip("root may read everything")
	}
	if _, err := audio.ProbeFile(context.Background(), path); fault.CodeOf(err) != fault.Denied {
		t.Errorf("ProbeFile of an unreadable file = %v, want denied", err)
	}
}

func TestReadErrorsAreNotTheFilesFault(t *testing.T) {
	data := read(t, "s16.wav")
	lost := fault.New(fault.Unavailable, "rest.Read", errors.New("connection reset"))
	cases := []struct {
		name string
		err  error
		want fault.Code
	}{
		{"classified", lost, "unavailable"},
		{"wrapped", fmt.Errorf("body: %w", lost), "unavailable"},
		{"cancelled", context.Canceled, "canceled"},
		{"other", errors.New("disk on fire"), "internal"},
	}
	for _, c := range cases {
		broken := io.MultiReader(bytes.NewReader(data[:20000]), iotest.ErrReader(c.err))
		if in, err := audio.Probe(broken); fault.CodeOf(err) != c.want || !errors.Is(err, c.err) || in != nil {
			t.Errorf("%s: Probe = %+v, %v; want nil and %s", c.name, in, err, c.want)
		}
		if in, err := audio.ProbeRange(brokenAt{c.err}, 5000); fault.CodeOf(err) != c.want || in != nil {
			t.Errorf("%s: ProbeRange = %+v, %v; want nil and %s", c.name, in, err, c.want)
		}
	}
	if in, err := audio.Probe(stuck{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("Probe of a reader that never gives anything = %+v, %v; want %v", in, err, io.ErrNoProgress)
	}
}

func TestRangesMustReachTheAnnouncedSize(t *testing.T) {
	for _, name := range []string{"vbr_bare.mp3", "plain.flac", "vorbis.ogg"} {
		data := read(t, name)
		if in, err := audio.ProbeRange(bytes.NewReader(data), int64(len(data))+1000); fault.CodeOf(err) != fault.Malformed {
			t.Errorf("ProbeRange(%s, 1000 bytes too many) = %+v, %v; want malformed", name, in, err)
		}
	}
	if in, err := audio.ProbeRange(bytes.NewReader(nil), -1); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("ProbeRange(-1 bytes) = %+v, %v; want invalid", in, err)
	}
}

type brokenAt struct{ err error }

func (b brokenAt) ReadAt([]byte, int64) (int, error) { return 0, b.err }

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func writeAt(path string, at int64, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(data, at)
	return errors.Join(err, file.Close())
}
