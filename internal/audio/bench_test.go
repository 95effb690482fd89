package audio_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"

	"github.com/segue-audio/segue/internal/audio"
)

const benchmarkSize = 500 << 20

// BenchmarkProbeWAV probes 500 MB of WAV. BenchmarkDigest is what hashing
// them costs alone: the parser should not show beside it.
func BenchmarkProbeWAV(b *testing.B) {
	head := wavHeader(benchmarkSize)
	b.SetBytes(benchmarkSize)
	b.ReportAllocs()
	for b.Loop() {
		in, err := audio.Probe(io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, benchmarkSize)))
		if err != nil || in.Truncated {
			b.Fatalf("Probe = %+v, %v", in, err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	buffer := make([]byte, 256<<10)
	b.SetBytes(benchmarkSize)
	for b.Loop() {
		digest := sha256.New()
		if _, err := io.CopyBuffer(struct{ io.Writer }{digest}, io.LimitReader(zeros{}, benchmarkSize), buffer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkProbe walks the formats that have to be walked.
func BenchmarkProbe(b *testing.B) {
	bare := repeat(read(b, "vbr_bare.mp3"), 500)
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"mp3", bare},
		{"aac", repeat(read(b, "adts.aac"), 500)},
		{"ogg", repeat(read(b, "vorbis.ogg"), 500)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := audio.Probe(bytes.NewReader(c.data)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
