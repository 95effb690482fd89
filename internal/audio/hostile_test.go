package audio_test

import (
	"bytes"
	"io"
	"math"
	"runtime"
	"testing"

	"github.com/segue-audio/segue/internal/audio"
)

// memoryLimit bounds everything one probe allocates, also what it gives back
// again: well under the 64 MB that were promised.
const memoryLimit = 48 << 20

// TestLiesCostNothing probes files whose headers claim enormous things, and
// files made of what a parser stumbles over, a megabyte each: quadratic
// work would not end before the test's own limit.
func TestLiesCostNothing(t *testing.T) {
	const much = 1 << 20
	huge := be32(-1)
	flacInfo := join(be16(16), be16(65535), []byte{0, 0, 0, 0xff, 0xff, 0xff}, []byte{0x0a, 0xc4, 0x42, 0xf0}, be32(0), make([]byte, 16))
	flacHead := join(text("fLaC\x80\x00\x00\x22"), flacInfo)
	// A valid frame header: fixed blocks of 192 samples, stereo, number 0.
	flacFrame := []byte{0xff, 0xf8, 0x10, 0x10, 0x00, 0x7f}
	emptyPage := oggPage(0, 0, 1)
	bigPage := bytes.Clone(oggPage(0, 0, 1, repeat([]byte{0}, 64000)))[:282]
	cases := []struct {
		name string
		data []byte
	}{
		{"wav chunk of 4 GB", join(text("RIFF"), huge, text("WAVEfmt "), huge)},
		{"wav of empty chunks", join(riff(0), repeat(chunk("LIST", 0, nil), much/8))},
		{"wav of fmt chunks", join(riff(0), repeat(pcm16(), much/24))},
		{"wav whose samples never end", riff(0, pcm16(), chunk("ds64", 28, bytes.Repeat([]byte{0xff}, 28)), chunk("data", -1, nil))},
		{"aiff chunk of 4 GB", join(text("FORM"), huge, text("AIFFCOMM"), huge)},
		{"id3 of 256 MB", id3(1<<28 - 1)},
		{"id3 tags only", repeat(id3(0), much/10)},
		{"mp3 of Xing lies", join(xingFrame(math.MaxUint32, math.MaxUint32), repeat(mpegFrame(), 10))},
		{"mp3 of headers", repeat([]byte{0xff, 0xfb, 0x90, 0x00}, much/4)},
		{"mp3, then sync bytes", join(repeat(mpegFrame(), 10), bytes.Repeat([]byte{0xff}, much))},
		{"mp3, then tag names", join(repeat(mpegFrame(), 10), repeat(text("TATAG"), much/5))},
		{"mp3, then every other frame broken", repeat(join(mpegFrame(), mpegFrame(), []byte{1}), much/835)},
		{"flac of 4 GB frames", join(flacHead, repeat([]byte{0xff, 0xf8}, much/2))},
		{"flac of frame headers", join(flacHead, repeat(flacFrame, much/6))},
		{"flac of metadata", join(text("fLaC\x00\x00\x00\x22"), flacInfo, repeat([]byte{1, 0, 0, 0}, much/4))},
		{"ogg of magic words", repeat(text("OggS\x00"), much/5)},
		{"ogg of empty pages", repeat(emptyPage, much/len(emptyPage))},
		{"ogg of pages that overlap", join(repeat(bigPage, much/len(bigPage)), make([]byte, 70000))},
		{"mp4 of empty boxes", join(ftyp(), repeat(box("free"), much/8))},
		{"mp4 nested without end", join(ftyp(), repeat(join(be32(0x7fffffff), text("moov")), much/8))},
		{"mp4 of tracks", join(ftyp(), be32(0x7fffffff), text("moov"), repeat(box("trak"), much/8))},
		{"mp4 table of 4 billion", join(ftyp(), box("moov", box("trak", box("stts", be32(0), huge, make([]byte, 800)))))},
		{"mp4 box of 2^63 bytes", join(ftyp(), be32(1), text("moov"), be64(math.MaxInt64))},
		{"mp4 runs of 4 billion", join(ftyp(), moov(song("soun", "mp4a")), box("moof", box("traf", box("tfhd", be32(8|16), be32(1), huge, huge), repeat(box("trun", be32(0), huge), 1000))))},
		{"aac of headers", repeat([]byte{0xff, 0xf1, 0x50, 0x80, 0x00, 0xff, 0xfc}, much/7)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			checkMemory(t, "Probe", func() (*audio.Info, error) { return audio.Probe(bytes.NewReader(c.data)) })
			checkMemory(t, "ProbeRange", func() (*audio.Info, error) {
				return audio.ProbeRange(bytes.NewReader(c.data), int64(len(c.data)))
			})
		})
	}
}

// TestEndlessStreamsNeedNoMemory reads far more than fits.
func TestEndlessStreamsNeedNoMemory(t *testing.T) {
	const length = 96 << 20
	heads := map[string][]byte{
		"wav":  wavHeader(length),
		"flac": read(t, "plain.flac"),
		"mp3":  read(t, "vbr_bare.mp3"),
		"mp4":  join(ftyp(), be32(length), text("mdat")),
		"ogg":  read(t, "vorbis.ogg"),
		"zero": nil,
	}
	for name, head := range heads {
		checkMemory(t, name, func() (*audio.Info, error) {
			return audio.Probe(io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, length)))
		})
	}
}

func checkMemory(t *testing.T, name string, probe func() (*audio.Info, error)) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	in, err := probe()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > memoryLimit {
		t.Errorf("%s: %d bytes allocated, want at most %d", name, used, memoryLimit)
	}
	if err == nil && (in.Duration < 0 || in.Promised < 0) {
		t.Errorf("%s: duration %v of %v, want none below zero", name, in.Duration, in.Promised)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
