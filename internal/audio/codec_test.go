package audio_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
)

// sound is what a description in a header must come out as.
type sound struct {
	Codec    string
	Rate     int
	Channels int
	Bits     int
	Duration time.Duration
}

func soundOf(t *testing.T, name string, data []byte) sound {
	t.Helper()
	in, err := audio.Probe(bytes.NewReader(data))
	if err != nil {
		t.Errorf("%s: Probe = %v", name, err)
		return sound{}
	}
	if in.Problem != "" {
		t.Errorf("%s: problem %q, want none", name, in.Problem)
	}
	return sound{in.Codec, in.SampleRate, in.Channels, in.Bits, in.Duration}
}

// entry is a sound description as MP4 has it: 16 bits, stereo unless told.
func entry(version, channels, rate int, extensions ...[]byte) []byte {
	return join(make([]byte, 6), be16(1), be16(version), make([]byte, 6), be16(channels), be16(16), be32(0), be32(rate<<16), join(extensions...))
}

// esds wraps an AudioSpecificConfig; lengths are written in four bytes, as
// Apple does.
func esds(object byte, config []byte) []byte {
	long := func(tag byte, body []byte) []byte {
		return join([]byte{tag, 0x80, 0x80, 0x80, byte(len(body))}, body)
	}
	decoder := join([]byte{object, 0x15}, make([]byte, 11), long(5, config))
	return box("esds", be32(0), long(3, join(be16(1), []byte{0}, long(4, decoder))))
}

func TestMP4Codecs(t *testing.T) {
	alac := box("alac", be32(0), be32(4096), []byte{0, 24, 40, 10, 14, 6}, be16(255), be32(0), be32(0), be32(192000))
	// Version 2: size, rate as a double, channels, a constant, bits.
	version2 := join(be32(72), be64(int(math.Float64bits(96000))), be32(6), be32(0x7f000000), be32(24), be32(0), be32(0), be32(0))
	cases := []struct {
		name  string
		codec string
		entry []byte
		want  sound
	}{
		{"AAC-LC", "mp4a", entry(0, 2, 44100, esds(0x40, []byte{0x12, 0x10})), sound{Codec: "aac", Rate: 44100, Channels: 2}},
		// Object 5: base 22050 (7), stereo, extension 44100 (4).
		{"HE-AAC", "mp4a", entry(0, 2, 22050, esds(0x40, []byte{0x2b, 0x92, 0x08, 0x00})), sound{Codec: "aac", Rate: 44100, Channels: 2}},
		// Object 29: base 24000 (6), mono, extension 48000 (3).
		{"HE-AAC v2", "mp4a", entry(0, 1, 24000, esds(0x40, []byte{0xeb, 0x09, 0x88, 0x00})), sound{Codec: "aac", Rate: 48000, Channels: 2}},
		// Index 15, then 24 bits of rate: 37800.
		{"AAC of an odd rate", "mp4a", entry(0, 1, 8000, esds(0x40, []byte{0x17, 0x80, 0x49, 0xd4, 0x08})), sound{Codec: "aac", Rate: 37800, Channels: 1}},
		{"AAC, 7.1", "mp4a", entry(0, 2, 48000, esds(0x40, []byte{0x11, 0xb8})), sound{Codec: "aac", Rate: 48000, Channels: 8}},
		{"AAC, config cut", "mp4a", entry(0, 2, 44100, esds(0x40, []byte{0x12})), sound{Codec: "aac", Rate: 44100, Channels: 2}},
		{"MP3", "mp4a", entry(0, 2, 44100, esds(0x6b, nil)), sound{Codec: "mp3", Rate: 44100, Channels: 2}},
		{"QuickTime AAC", "mp4a", entry(1, 2, 0, make([]byte, 16), box("wave", box("frma", text("mp4a")), esds(0x40, []byte{0x12, 0x10}))), sound{Codec: "aac", Rate: 44100, Channels: 2}},
		{"ALAC at 192 kHz", "alac", entry(0, 2, 0, alac), sound{Codec: "alac", Rate: 192000, Channels: 6, Bits: 24}},
		{"QuickTime version 2", "lpcm", entry(2, 3, 1, version2), sound{Codec: "pcm", Rate: 96000, Channels: 6, Bits: 24}},
		{"rate that does not fit", "fLaC", entry(0, 2, 0), sound{Codec: "flac", Rate: 8000, Channels: 2, Bits: 16}},
		{"Dolby", "ac-3", entry(0, 2, 48000), sound{Codec: "ac3", Rate: 48000, Channels: 2}},
		{"unknown", "q\x01z ", entry(0, 2, 48000), sound{Codec: "q_z", Rate: 48000, Channels: 2}},
	}
	for _, c := range cases {
		s := song("soun", c.codec)
		s.entry = c.entry
		c.want.Duration = 16 * time.Second
		got := soundOf(t, c.name, join(ftyp(), moov(s), box("mdat", make([]byte, 12500))))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestAppleNotesPriming(t *testing.T) {
	// The track plays 16 s at 8000 Hz: 128,000 samples, of which the note
	// says that 127,000 are sound.
	note := func(samples string) []byte {
		return box("udta", box("meta", be32(0), box("hdlr", make([]byte, 25)), box("ilst", box("----",
			box("mean", be32(0), text("com.apple.iTunes")), box("name", be32(0), text("iTunSMPB")),
			box("data", be32(1), be32(0), text(" 00000000 00000200 000001E8 "+samples+" 00000000"))))))
	}
	cases := []struct {
		name    string
		samples string
		want    time.Duration
	}{
		{"fits", "000000000001F018", 15875 * time.Millisecond},
		{"longer than the track", "00000000000FF018", 16 * time.Second},
		{"of another song", "0000000000001018", 16 * time.Second},
		{"no number", "zzzz", 16 * time.Second},
	}
	for _, c := range cases {
		s := song("soun", "mp4a")
		s.extend = note(c.samples)
		got := soundOf(t, c.name, join(ftyp(), box("mdat", make([]byte, 12500)), moov(s)))
		if got.Duration != c.want {
			t.Errorf("a note that %s: duration %v, want %v", c.name, got.Duration, c.want)
		}
	}
}

func TestLongMP4Headers(t *testing.T) {
	s := song("soun", "mp4a")
	edits := box("edts", box("elst", be32(1<<24), be32(1), be64(15000), be64(1024), be32(1<<16)))
	// mvhd and mdhd of version 1: 64-bit dates and length.
	old := box("mvhd", be32(0), be32(0), be32(0), be32(1000), be32(16000), make([]byte, 80))
	long := box("mvhd", be32(1<<24), be64(0), be64(0), be32(1000), be64(16000), make([]byte, 80))
	oldMedia := box("mdhd", be32(0), be32(0), be32(0), be32(8000), be32(125*1024), be32(0))
	longMedia := box("mdhd", be32(1<<24), be64(0), be64(0), be32(8000), be64(125*1024), be32(0))
	s.edits, s.head, s.media = edits, long, longMedia
	if got := soundOf(t, "version 1", join(ftyp(), moov(s), box("mdat", make([]byte, 12500)))); got.Duration != 15*time.Second {
		t.Errorf("version 1 headers: duration %v, want 15s", got.Duration)
	}
	s.edits, s.head, s.media = nil, old, oldMedia
	if got := soundOf(t, "version 0", join(ftyp(), moov(s), box("mdat", make([]byte, 12500)))); got.Duration != 16*time.Second {
		t.Errorf("version 0 headers: duration %v, want 16s", got.Duration)
	}
}

// comm is a COMM chunk at 8000 Hz: 80 bits of float, exponent 12.
func comm(channels, frames, bits int, kind string) []byte {
	rate := join(be16(16383+12), []byte{0xfa, 0, 0, 0, 0, 0, 0, 0})
	body := join(be16(channels), be32(frames), be16(bits), rate, text(kind))
	return join(text("COMM"), be32(len(body)), body)
}

func ssnd(size int) []byte {
	return join(text("SSND"), be32(8+size), be64(0), make([]byte, size))
}

func TestAIFFCodecs(t *testing.T) {
	cases := []struct {
		kind   string
		frames int
		bits   int
		size   int
		want   sound
	}{
		{"NONE", 8000, 16, 32000, sound{"pcm_s16be", 8000, 2, 16, time.Second}},
		{"NONE", 8000, 12, 32000, sound{"pcm_s16be", 8000, 2, 12, time.Second}},
		{"NONE", 8000, 8, 16000, sound{"pcm_s8", 8000, 2, 8, time.Second}},
		{"sowt", 8000, 24, 48000, sound{"pcm_s24le", 8000, 2, 24, time.Second}},
		{"in32", 8000, 32, 64000, sound{"pcm_s32be", 8000, 2, 32, time.Second}},
		{"raw ", 8000, 8, 16000, sound{"pcm_u8", 8000, 2, 8, time.Second}},
		{"FL32", 8000, 32, 64000, sound{"pcm_float", 8000, 2, 32, time.Second}},
		{"fl64", 8000, 64, 128000, sound{"pcm_float", 8000, 2, 64, time.Second}},
		{"ulaw", 8000, 16, 16000, sound{"pcm_mulaw", 8000, 2, 16, time.Second}},
		{"alaw", 8000, 16, 16000, sound{"pcm_alaw", 8000, 2, 16, time.Second}},
		{"ima4", 125, 16, 8500, sound{"adpcm_ima", 8000, 2, 0, time.Second}},
		{"MAC3", 8000, 8, 999, sound{"aiff_MAC3", 8000, 2, 0, time.Second}},
	}
	for _, c := range cases {
		data := join(text("FORM"), be32(0), text("AIFC"), comm(2, c.frames, c.bits, c.kind), ssnd(c.size))
		if diff := cmp.Diff(c.want, soundOf(t, c.kind, data)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.kind, diff)
		}
	}
}

func TestOddAIFF(t *testing.T) {
	form := join(text("FORM"), be32(0), text("AIFC"))
	for _, c := range []crafted{
		{name: "sound before its description", data: join(form, ssnd(32000), comm(2, 8000, 16, "NONE")), duration: time.Second},
		{name: "junk behind", data: join(form, comm(2, 8000, 16, "NONE"), ssnd(32000), []byte{0, 1, 2}), duration: time.Second},
		{name: "cut", data: join(form, comm(2, 8000, 16, "NONE"), ssnd(32000))[:12+30+16+8000], duration: 250 * time.Millisecond, truncated: true, problem: "cut off: the header promises 1.0 s, 0.2 s are there"},
		{name: "description only", data: join(form, comm(2, 8000, 16, "NONE")), truncated: true, problem: "cut off: the header promises 1.0 s, 0.0 s are there"},
		{name: "no sound", data: join(form, comm(2, 0, 16, "NONE")), problem: "there is no sound in this file: it plays 0 seconds"},
	} {
		c.check(t, audio.AIFF, "pcm_s16be")
	}
	uncommon := join(form, comm(2, 8000, 8, "MAC6"), ssnd(1000))
	crafted{
		name: "an uncommon codec, cut", data: uncommon[:len(uncommon)-500], duration: 500 * time.Millisecond, truncated: true,
		problem: "cut off: the header promises 1.0 s, 0.5 s are there",
	}.check(t, audio.AIFF, "aiff_MAC6")
}

// TestOpusPackets cuts the first page out of a stream of each kind of packet:
// how far into the stream it begins follows from what its packets play.
func TestOpusPackets(t *testing.T) {
	cases := []struct {
		name    string
		packet  []byte
		samples int
	}{
		{"SILK 10 ms", []byte{0 << 3, 1}, 480},
		{"SILK 60 ms", []byte{3 << 3, 1}, 2880},
		{"hybrid 20 ms", []byte{13 << 3, 1}, 960},
		{"CELT 2.5 ms", []byte{16 << 3, 1}, 120},
		{"CELT 20 ms", []byte{31 << 3, 1}, 960},
		{"two frames of 20 ms", []byte{31<<3 | 1, 1}, 1920},
		{"six frames of 20 ms", []byte{31<<3 | 3, 6}, 5760},
	}
	for _, c := range cases {
		const before = 480000 // the stream had played ten seconds
		data := join(oggPage(2, 0, 1, opusHead(0)), oggPage(0, 0, 1, join(text("OpusTags"), make([]byte, 8))),
			oggPage(0, before+2*c.samples, 1, c.packet, c.packet), oggPage(4, before+48000, 1, []byte{31 << 3, 0}))
		if got := soundOf(t, c.name, data); got.Duration != time.Second {
			t.Errorf("%s: duration %v, want 1s", c.name, got.Duration)
		}
	}
}

func TestSpeexAndVorbisFromLiveStreams(t *testing.T) {
	speex := join(text("Speex   "), make([]byte, 28), le32(16000), le32(0), le32(0), le32(1), le32(0), le32(320), le32(0), le32(1), make([]byte, 12))
	vorbis := join(text("\x01vorbis"), le32(0), []byte{2}, le32(44100), make([]byte, 12), []byte{0xb8, 1})
	packets := [][]byte{{1}, {2}}
	// Two packets of Speex play 640 samples, two of Vorbis at most 2048.
	for _, c := range []struct {
		name    string
		head    []byte
		granule int
		last    int
	}{
		{"speex", speex, 640 + 160000, 160000 + 16000},
		{"vorbis", vorbis, 2048 + 441000, 441000 + 44100},
	} {
		data := join(oggPage(2, 0, 1, c.head), oggPage(0, c.granule, 1, packets...), oggPage(4, c.last, 1, packets...))
		got := soundOf(t, c.name, data)
		if got.Codec != c.name || got.Duration != time.Second {
			t.Errorf("%s: %s of %v, want 1s", c.name, got.Codec, got.Duration)
		}
	}
}
