package audio_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
)

// How far a duration may be from what the encoder was asked to make.
const (
	exact    = time.Millisecond
	oneFrame = 27 * time.Millisecond // MP3 without a header that tells the padding
	twoFrame = 54 * time.Millisecond // and with the encoder's delay, another one
	priming  = 50 * time.Millisecond // AAC without an edit list
)

// fixtures are the files of testdata/make.sh and what was asked for there.
var fixtures = []struct {
	name     string
	format   audio.Format
	codec    string
	rate     int
	channels int
	bits     int
	duration time.Duration
	within   time.Duration
}{
	{"u8.wav", "wav", "pcm_u8", 8000, 1, 8, 2 * time.Second, exact},
	{"s16.wav", "wav", "pcm_s16le", 11025, 1, 16, 2 * time.Second, exact},
	{"s24_extensible.wav", "wav", "pcm_s24le", 8000, 2, 24, 1 * time.Second, exact},
	{"s32.wav", "wav", "pcm_s32le", 8000, 1, 32, 1 * time.Second, exact},
	{"f32.wav", "wav", "pcm_float", 8000, 1, 32, 1 * time.Second, exact},
	{"alaw.wav", "wav", "pcm_alaw", 8000, 1, 8, 2 * time.Second, exact},
	{"mulaw.wav", "wav", "pcm_mulaw", 8000, 1, 8, 2 * time.Second, exact},
	{"adpcm_ms.wav", "wav", "adpcm_ms", 8000, 1, 0, 3 * time.Second, exact},
	{"adpcm_ima.wav", "wav", "adpcm_ima", 8000, 2, 0, 3 * time.Second, exact},
	{"rf64.wav", "wav", "pcm_s16le", 8000, 1, 16, 2 * time.Second, exact},
	{"pipe.wav", "wav", "pcm_s16le", 8000, 1, 16, 2 * time.Second, exact},

	{"s16.aiff", "aiff", "pcm_s16be", 11025, 1, 16, 2 * time.Second, exact},
	{"s24.aiff", "aiff", "pcm_s24be", 11025, 1, 24, 1 * time.Second, exact},
	{"f32.aifc", "aiff", "pcm_float", 8000, 1, 32, 1 * time.Second, exact},
	{"sowt.aifc", "aiff", "pcm_s16le", 8000, 1, 16, 1 * time.Second, exact},

	{"cbr_lame.mp3", "mp3", "mp3", 44100, 1, 0, 3 * time.Second, exact},
	{"vbr_lame.mp3", "mp3", "mp3", 44100, 1, 0, 3 * time.Second, exact},
	{"vbr_protected.mp3", "mp3", "mp3", 44100, 1, 0, 3 * time.Second, exact},
	{"mpeg2.mp3", "mp3", "mp3", 22050, 1, 0, 3 * time.Second, exact},
	{"mpeg25.mp3", "mp3", "mp3", 8000, 1, 0, 3 * time.Second, exact},
	{"picture.mp3", "mp3", "mp3", 22050, 1, 0, 3 * time.Second, exact},
	{"cbr_bare.mp3", "mp3", "mp3", 44100, 1, 0, 3 * time.Second, twoFrame},
	{"vbr_bare.mp3", "mp3", "mp3", 44100, 1, 0, 3 * time.Second, twoFrame},
	{"layer2.mp3", "mp3", "mp2", 44100, 1, 0, 3 * time.Second, oneFrame},

	{"plain.flac", "flac", "flac", 22050, 1, 16, 3 * time.Second, exact},
	{"piped.flac", "flac", "flac", 8000, 1, 16, 3 * time.Second, exact},
	{"tagged.flac", "flac", "flac", 8000, 1, 16, 3 * time.Second, exact},

	{"vorbis.ogg", "ogg", "vorbis", 22050, 1, 0, 3 * time.Second, exact},
	{"opus.opus", "ogg", "opus", 48000, 1, 0, 3 * time.Second, exact},
	{"chained.ogg", "ogg", "vorbis", 22050, 1, 0, 4 * time.Second, exact},
	{"flac.ogg", "ogg", "flac", 8000, 1, 24, 2 * time.Second, exact},

	{"aac_back.m4a", "m4a", "aac", 44100, 1, 0, 3 * time.Second, exact},
	{"aac_front.m4a", "m4a", "aac", 44100, 1, 0, 3 * time.Second, exact},
	{"fragmented.mp4", "m4a", "aac", 44100, 1, 0, 3 * time.Second, exact},
	{"alac.m4a", "m4a", "alac", 11025, 1, 24, 2 * time.Second, exact},
	{"opus.mp4", "m4a", "opus", 48000, 1, 0, 3 * time.Second, exact},
	{"pcm.mov", "m4a", "pcm_s16le", 8000, 1, 16, 1 * time.Second, exact},

	{"adts.aac", "aac", "aac", 44100, 1, 0, 3 * time.Second, priming},
}

func TestProbeKnowsWhatEncodersMade(t *testing.T) {
	for _, fixture := range fixtures {
		t.Run(fixture.name, func(t *testing.T) {
			data := read(t, fixture.name)
			in, err := audio.Probe(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("Probe = %v", err)
			}
			if off := (in.Duration - fixture.duration).Abs(); off > fixture.within {
				t.Errorf("duration %v, want %v within %v", in.Duration, fixture.duration, fixture.within)
			}
			digest := sha256.Sum256(data)
			want := audio.Info{
				Format: fixture.format, Codec: fixture.codec, SampleRate: fixture.rate,
				Channels: fixture.channels, Bits: fixture.bits, Size: int64(len(data)),
				SHA256: hex.EncodeToString(digest[:]), Duration: in.Duration, Promised: in.Duration,
			}
			if diff := cmp.Diff(want, *in); diff != "" {
				t.Errorf("Probe (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryWayOfReadingAgrees(t *testing.T) {
	for _, fixture := range fixtures {
		t.Run(fixture.name, func(t *testing.T) {
			data := read(t, fixture.name)
			want, err := audio.Probe(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("Probe = %v", err)
			}
			dribbled, err := audio.Probe(iotest.DataErrReader(iotest.HalfReader(bytes.NewReader(data))))
			if diff := cmp.Diff(want, dribbled); err != nil || diff != "" {
				t.Errorf("Probe of a dribbling pipe: %v (-want +got):\n%s", err, diff)
			}
			file, err := audio.ProbeFile(context.Background(), filepath.Join("testdata", fixture.name))
			if diff := cmp.Diff(want, file); err != nil || diff != "" {
				t.Errorf("ProbeFile: %v (-want +got):\n%s", err, diff)
			}
			ranged, err := audio.ProbeRange(bytes.NewReader(data), int64(len(data)))
			want.SHA256 = ""
			if diff := cmp.Diff(want, ranged); err != nil || diff != "" {
				t.Errorf("ProbeRange: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestNoCutGoesUnnoticed cuts every fixture at many places. What is left is
// refused, or marked, or still plays to the end: only tags behind the sound
// and a frame's padding can go without loss.
func TestNoCutGoesUnnoticed(t *testing.T) {
	for _, fixture := range fixtures {
		t.Run(fixture.name, func(t *testing.T) {
			data := read(t, fixture.name)
			whole, err := audio.Probe(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("Probe = %v", err)
			}
			for tenth := 1; tenth <= 59; tenth++ {
				size := len(data) * tenth / 60
				checkCut(t, fixture.name, data[:size], whole)
			}
		})
	}
}

func checkCut(t *testing.T, name string, data []byte, whole *audio.Info) {
	t.Helper()
	in, err := audio.Probe(bytes.NewReader(data))
	ranged, rangedErr := audio.ProbeRange(bytes.NewReader(data), int64(len(data)))
	if (err == nil) != (rangedErr == nil) {
		t.Fatalf("%d bytes: Probe = %v, ProbeRange = %v; want both or neither to fail", len(data), err, rangedErr)
	}
	if err != nil {
		return
	}
	in.SHA256 = ""
	if diff := cmp.Diff(in, ranged); diff != "" {
		t.Errorf("%d bytes: Probe and ProbeRange differ (-stream +range):\n%s", len(data), diff)
	}
	switch {
	case in.Truncated && in.Problem == "":
		t.Errorf("%d bytes: truncated without a Problem", len(data))
	case in.Duration > whole.Duration+50*time.Millisecond:
		t.Errorf("%d bytes: plays %v, more than the whole (%v)", len(data), in.Duration, whole.Duration)
	case !in.Truncated && !openEnded[name]:
		t.Errorf("%d bytes of %d: %v without a sign of being cut", len(data), whole.Size, in.Duration)
	}
}

// openEnded are the files whose format does not say where it ends: cut between
// two frames they are whole. WAV from a pipe can be cut anywhere.
var openEnded = map[string]bool{
	"pipe.wav": true, "cbr_bare.mp3": true, "vbr_bare.mp3": true, "layer2.mp3": true, "adts.aac": true,
	"wav to a pipe": true, "wav to a pipe, by lame": true,
}

func TestTruncatedFilesTellHowMuchIsThere(t *testing.T) {
	cases := []struct {
		name     string
		keep     int // bytes
		duration time.Duration
		within   time.Duration
		problem  string
	}{
		// 44 bytes of header, 22050 bytes per second.
		{"s16.wav", 44 + 11025, 500 * time.Millisecond, 5 * time.Millisecond, "cut off: the header promises 2.0 s, 0.5 s are there"},
		// 54 bytes of header, 22050 bytes per second.
		{"s16.aiff", 54 + 33075, 1500 * time.Millisecond, 5 * time.Millisecond, "cut off: the header promises 2.0 s, 1.5 s are there"},
		// 64 kbit/s.
		{"cbr_lame.mp3", 12000, 1500 * time.Millisecond, twoFrame, "cut off: the header promises 3.0 s, 1.4 s are there"},
		{"cbr_bare.mp3", 12000, 1500 * time.Millisecond, twoFrame, "cut off: the end is missing, 1.5 s are there"},
		{"s16.wav", 44, 0, 0, "cut off: the header promises 2.0 s, 0.0 s are there"},
		{"s16.wav", 40, 0, 0, "cut off: the file ends before the sound begins"},
		{"aac_back.m4a", 9000, 0, 0, "cut off: the index (moov) that says what is inside is missing"},
	}
	for _, c := range cases {
		in, err := audio.Probe(bytes.NewReader(read(t, c.name)[:c.keep]))
		if err != nil {
			t.Errorf("Probe(%d bytes of %s) = %v, want a truncated file", c.keep, c.name, err)
			continue
		}
		if off := (in.Duration - c.duration).Abs(); !in.Truncated || off > c.within {
			t.Errorf("Probe(%d bytes of %s): truncated %t, duration %v; want true and %v", c.keep, c.name, in.Truncated, in.Duration, c.duration)
		}
		if in.Problem != c.problem {
			t.Errorf("Probe(%d bytes of %s): problem %q, want %q", c.keep, c.name, in.Problem, c.problem)
		}
	}
}

// countingReader tells how much of a file a range probe asked for.
type countingReader struct {
	r    io.ReaderAt
	read int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.read += int64(len(p))
	return c.r.ReadAt(p, off)
}

func TestRangesReadLittleOfBigFiles(t *testing.T) {
	const size = 200 << 20
	cases := []struct {
		name string
		file io.ReaderAt
		most int64
	}{
		{"wav", &sparse{size: size, parts: []part{{0, wavHeader(size - 44)}}}, 32 << 10},
		{"m4a with the index behind", indexBehind(t, size), 160 << 10},
	}
	for _, c := range cases {
		counter := &countingReader{r: c.file}
		in, err := audio.ProbeRange(counter, size)
		if err != nil || in.Truncated {
			t.Errorf("%s: ProbeRange = %+v, %v; want a whole file", c.name, in, err)
		}
		if counter.read > c.most {
			t.Errorf("%s: %d bytes of %d were read, want at most %d", c.name, counter.read, size, c.most)
		}
	}
}

func TestContentTypesAreOfAudio(t *testing.T) {
	for _, f := range []audio.Format{audio.WAV, audio.MP3, audio.FLAC, audio.OGG, audio.M4A, audio.AAC, audio.AIFF} {
		if got := f.ContentType(); !strings.HasPrefix(got, "audio/") {
			t.Errorf("%s: content type %q, want audio/…", f, got)
		}
	}
	if got, want := audio.Format("txt").ContentType(), "application/octet-stream"; got != want {
		t.Errorf("unknown format: content type %q, want %q", got, want)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
