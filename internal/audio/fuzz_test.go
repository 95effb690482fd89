package audio_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/segue-audio/segue/internal/audio"
)

// FuzzProbe checks, for any bytes at all, that both ways of reading end
// without a panic and in bounded memory, that they see the same thing, and
// that what they say makes sense.
func FuzzProbe(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		data := read(f, entry.Name())
		f.Add(data)
		for seed := range uint64(4) {
			f.Add(corrupt(data, seed))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var stream, ranged *audio.Info
		var streamErr, rangedErr error
		checkMemory(t, "Probe", func() (*audio.Info, error) {
			stream, streamErr = audio.Probe(bytes.NewReader(data))
			return stream, streamErr
		})
		checkMemory(t, "ProbeRange", func() (*audio.Info, error) {
			ranged, rangedErr = audio.ProbeRange(bytes.NewReader(data), int64(len(data)))
			return ranged, rangedErr
		})
		if (streamErr == nil) != (rangedErr == nil) {
			t.Fatalf("Probe = %v, ProbeRange = %v; want both or neither to fail", streamErr, rangedErr)
		}
		if streamErr != nil {
			return
		}
		checkSense(t, stream, data)
		checkAgreement(t, stream, ranged)
	})
}

// corrupt damages a copy of data as transfers and disks do: it cuts it, and
// flips, overwrites or repeats parts.
func corrupt(data []byte, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, uint64(len(data))))
	out := bytes.Clone(data)
	for range 1 + random.IntN(6) {
		if len(out) < 2 {
			break
		}
		at := random.IntN(len(out))
		length := min(1+random.IntN(64), len(out)-at)
		switch random.IntN(5) {
		case 0:
			out[at] ^= 1 << random.IntN(8)
		case 1:
			// Headers are at the beginning, and that is where damage counts.
			out[random.IntN(min(len(out), 200))] = byte(random.IntN(256))
		case 2:
			clear(out[at : at+length])
		case 3:
			out = join(out[:at], out[at:at+length], out[at:])
		case 4:
			out = out[:at]
		}
	}
	return out
}

func checkSense(t *testing.T, in *audio.Info, data []byte) {
	t.Helper()
	digest := sha256.Sum256(data)
	if want := hex.EncodeToString(digest[:]); in.SHA256 != want || in.Size != int64(len(data)) {
		t.Errorf("%d bytes with digest %s, want %d and %s", in.Size, in.SHA256, len(data), want)
	}
	switch {
	case in.Format == "":
		t.Errorf("%+v: no format", in)
	case in.Truncated && in.Problem == "":
		t.Errorf("%+v: truncated without a problem", in)
	case !in.Truncated && in.Promised != in.Duration:
		t.Errorf("%+v: not truncated, but promises something else", in)
	case !in.Truncated && (in.SampleRate <= 0 || in.Codec == ""):
		t.Errorf("%+v: whole, but nobody knows what", in)
	}
}

// checkAgreement allows a difference where ProbeRange takes a short cut: MP3
// headers and the end of Ogg files. A file that hides damage from it may play
// differently; one without any may not.
func checkAgreement(t *testing.T, stream, ranged *audio.Info) {
	t.Helper()
	ignored := []string{"SHA256"}
	if stream.Format == audio.MP3 || stream.Format == audio.OGG {
		ignored = append(ignored, "Duration", "Promised", "Truncated", "Problem")
		off := (stream.Duration - ranged.Duration).Abs()
		if stream.Problem == "" && ranged.Problem == "" && off > time.Second+stream.Duration/10 {
			t.Errorf("Probe says %v, ProbeRange %v", stream.Duration, ranged.Duration)
		}
	}
	if diff := cmp.Diff(stream, ranged, cmpopts.IgnoreFields(audio.Info{}, ignored...)); diff != "" {
		t.Errorf("Probe and ProbeRange differ (-stream +range):\n%s", diff)
	}
}
