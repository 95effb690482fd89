package audio_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
)

// crafted is a file that no encoder here writes, and what it must be taken
// for.
type crafted struct {
	name      string
	data      []byte
	duration  time.Duration
	truncated bool
	problem   string
}

// check probes a crafted file in both ways.
func (c crafted) check(t *testing.T, format audio.Format, codec string) {
	t.Helper()
	in, err := audio.Probe(bytes.NewReader(c.data))
	if err != nil {
		t.Errorf("%s: Probe = %v", c.name, err)
		return
	}
	if in.Format != format || in.Codec != codec {
		t.Errorf("%s: %s in %s, want %s in %s", c.name, in.Codec, in.Format, codec, format)
	}
	if in.Duration.Round(time.Millisecond) != c.duration || in.Truncated != c.truncated || in.Problem != c.problem {
		t.Errorf("%s: duration %v, truncated %t, problem %q; want %v, %t, %q",
			c.name, in.Duration, in.Truncated, in.Problem, c.duration, c.truncated, c.problem)
	}
	ranged, err := audio.ProbeRange(bytes.NewReader(c.data), int64(len(c.data)))
	if err != nil {
		t.Errorf("%s: ProbeRange = %v", c.name, err)
		return
	}
	in.SHA256 = ""
	if diff := cmp.Diff(in, ranged); diff != "" {
		t.Errorf("%s: Probe and ProbeRange differ (-stream +range):\n%s", c.name, diff)
	}
}

func TestOddWAV(t *testing.T) {
	second := make([]byte, 16000)
	odd := chunk("junk", 3, []byte{1, 2, 3})
	extensible := chunk("fmt ", 40, join(le16(0xfffe), le16(2), le32(48000), le32(288000), le16(6), le16(24),
		le16(22), le16(20), le32(3), le16(1), make([]byte, 14)))
	for _, c := range []crafted{
		{name: "plain", data: riff(36+16000, pcm16(), chunk("data", 16000, second)), duration: time.Second},
		{name: "chunks around the sound", data: riff(0, chunk("LIST", 4, text("INFO")), pcm16(), chunk("data", 16000, second), chunk("id3 ", 4, text("tag."))), duration: time.Second},
		{name: "odd chunk, padded", data: riff(0, odd, []byte{0}, pcm16(), chunk("data", 16000, second)), duration: time.Second},
		{name: "odd chunk, padding forgotten", data: riff(0, odd, pcm16(), chunk("data", 16000, second)), duration: time.Second},
		{name: "length 0xFFFFFFFF from a pipe", data: riff(0xffffffff, pcm16(), chunk("data", 0xffffffff, second)), duration: time.Second},
		{name: "length 0x7FFFF000 from sox", data: riff(0x7ffff024, pcm16(), chunk("data", 0x7ffff000, second)), duration: time.Second},
		{name: "length 0 from a pipe", data: riff(0, pcm16(), chunk("data", 0, second)), duration: time.Second},
		{name: "length 0 from a recorder that crashed", data: riff(36, pcm16(), chunk("data", 0, second)), duration: time.Second},
		{name: "no sound", data: riff(36, pcm16(), chunk("data", 0, nil)), problem: "there is no sound in this file: it plays 0 seconds"},
		{name: "no sound, but a chunk behind it", data: riff(48, pcm16(), chunk("data", 0, nil), chunk("LIST", 4, text("INFO"))), problem: "there is no sound in this file: it plays 0 seconds"},
		{
			name: "cut", data: riff(36+32000, pcm16(), chunk("data", 32000, second)), duration: time.Second, truncated: true,
			problem: "cut off: the header promises 2.0 s, 1.0 s are there",
		},
		{
			name: "cut by one sample", data: riff(36+16002, pcm16(), chunk("data", 16002, second)), duration: time.Second, truncated: true,
			problem: "cut off: the header promises 1.0001 s, 1.0000 s are there",
		},
		{
			name: "RF64 whose long length is not there", duration: time.Second, truncated: true,
			data: join(text("RF64"), le32(-1), text("WAVE"), chunk("ds64", 28, join(make([]byte, 8), le32(64000), le32(0), make([]byte, 12))),
				pcm16(), chunk("data", 0xffffffff, second)),
			problem: "cut off: the header promises 4.0 s, 1.0 s are there",
		},
		{
			name: "BW64 with junk behind the sound", duration: time.Second,
			data: join(text("BW64"), le32(-1), text("WAVE"), chunk("ds64", 28, join(make([]byte, 8), le32(16000), le32(0), make([]byte, 12))),
				pcm16(), chunk("data", 0xffffffff, second), []byte{0, 1, 2, 3}),
		},
	} {
		c.check(t, audio.WAV, "pcm_s16le")
	}
	crafted{name: "20 bits in 24", data: riff(0, extensible, chunk("data", 288000, make([]byte, 288000))), duration: time.Second}.check(t, audio.WAV, "pcm_s24le")
	bigEndian := join(text("RIFX"), be32(16036), text("WAVE"), text("fmt "), be32(16), be16(1), be16(1), be32(8000), be32(16000), be16(2), be16(16), text("data"), be32(16000), second)
	crafted{name: "RIFX", data: bigEndian, duration: time.Second}.check(t, audio.WAV, "pcm_s16be")
}

func TestADPCMBelievesFactOnlyWithinTheLastBlock(t *testing.T) {
	// 256 bytes make 505 samples; 16 blocks at 8080 Hz play one second.
	format := chunk("fmt ", 20, join(le16(0x11), le16(1), le32(8080), le32(4096), le16(256), le16(4), le16(2), le16(505)))
	file := func(fact int) []byte {
		return riff(0, format, chunk("fact", 4, le32(fact)), chunk("data", 4096, make([]byte, 4096)))
	}
	for _, c := range []crafted{
		{name: "no fact", data: riff(0, format, chunk("data", 4096, make([]byte, 4096))), duration: time.Second},
		{name: "padded last block", data: file(7676), duration: 950 * time.Millisecond},
		{name: "fact counts bytes", data: file(4096), duration: time.Second},
		{name: "fact counts channels twice", data: file(16160), duration: time.Second},
	} {
		c.check(t, audio.WAV, "adpcm_ima")
	}
}

func TestOddMP3(t *testing.T) {
	// 75 frames play 1.959 s.
	frames := repeat(mpegFrame(), 75)
	const played = 1959 * time.Millisecond
	vbri := mpegFrame()
	copy(vbri[36:], join(text("VBRI"), be16(1), be16(0), be16(75), be32(76*417), be32(75)))
	ape := join(text("APETAGEX"), le32(2000), le32(32+9), le32(1), le32(-1<<31|1<<29), make([]byte, 8), text("some item"),
		text("APETAGEX"), le32(2000), le32(32+9), le32(1), le32(-1<<31), make([]byte, 8))
	id3v1 := join(text("TAG"), make([]byte, 125))
	for _, c := range []crafted{
		{name: "bare", data: frames, duration: played},
		{name: "Xing", data: join(xingFrame(75, 76*417), frames), duration: played},
		{name: "VBRI", data: join(vbri, frames), duration: played},
		{name: "tags behind", data: join(frames, ape, id3v1), duration: played},
		{name: "tags behind, with a header", data: join(xingFrame(75, 76*417), frames, ape, id3v1), duration: played},
		{name: "two ID3 tags and padding in front", data: join(id3(5), make([]byte, 5), id3(300), make([]byte, 300), make([]byte, 5000), frames), duration: played},
		{name: "a big picture", data: join(id3(3<<20), noise(3<<20), frames), duration: played},
		{name: "junk in front", data: join([]byte{1, 2, 3}, noise(5000), frames), duration: played},
		{name: "silence from a ripper in front", data: join(make([]byte, 300<<10), frames), duration: played},
		{name: "junk behind", data: join(frames, noise(3000)), duration: played},
		{name: "two files joined, with a tag between", data: join(xingFrame(75, 76*417), frames, id3v1, id3(7), make([]byte, 7), xingFrame(75, 76*417), frames), duration: 2 * played},
		{
			name: "the middle is damaged", data: join(repeat(mpegFrame(), 40), noise(2000), repeat(mpegFrame(), 35)), duration: played,
			problem: "damaged: parts in the middle of this file are not playable",
		},
		{
			name: "cut", data: join(xingFrame(150, 151*417), frames), duration: played, truncated: true,
			problem: "cut off: the header promises 3.9 s, 2.0 s are there",
		},
		{
			name: "cut inside a frame", data: join(frames, mpegFrame()[:100]), duration: played, truncated: true,
			problem: "cut off: the end is missing, 2.0 s are there",
		},
		{
			name: "header of another file", data: join(xingFrame(10, 11*417), frames), duration: played,
			problem: "the header of this file is wrong about its length: the length was counted",
		},
		{
			name: "only a header", data: join(xingFrame(75, 76*417), id3v1), truncated: true,
			problem: "cut off: the header promises 2.0 s, 0.0 s are there",
		},
	} {
		c.check(t, audio.MP3, "mp3")
	}
}

func TestMPEGLayersAndChangesOfRate(t *testing.T) {
	// 256 kbit/s at 44100 Hz: 276 bytes, 384 samples.
	layer1 := join([]byte{0xff, 0xff, 0x80, 0x00}, make([]byte, 272))
	crafted{name: "layer I", data: repeat(layer1, 100), duration: 871 * time.Millisecond}.check(t, audio.MP3, "mp1")
	// 128 kbit/s at 48000 Hz: 384 bytes, 1152 samples, 24 ms.
	other := join([]byte{0xff, 0xfb, 0x94, 0x00}, make([]byte, 380))
	mixed := join(repeat(mpegFrame(), 75), repeat(other, 50))
	crafted{name: "two rates joined", data: mixed, duration: 3159 * time.Millisecond}.check(t, audio.MP3, "mp3")
}

func TestOddOgg(t *testing.T) {
	packets := func(n int) [][]byte {
		out := make([][]byte, n)
		for i := range out {
			out[i] = opusPacket()
		}
		return out
	}
	begin := func(serial int) []byte {
		return join(oggPage(2, 0, serial, opusHead(312)), oggPage(0, 0, serial, join(text("OpusTags"), make([]byte, 8))))
	}
	// 100 packets play 2 s, minus a pre-skip of 6.5 ms.
	whole := join(begin(1), oggPage(0, 48000, 1, packets(50)...), oggPage(4, 96000, 1, packets(50)...))
	const played = 1994 * time.Millisecond // 1993.5
	before := join(begin(1), oggPage(0, 48000, 1, packets(50)...))
	damaged := join(before, oggPage(0, 96000, 1, packets(50)...), oggPage(4, 144000, 1, packets(50)...))
	damaged[len(before)+100] ^= 1
	for _, c := range []crafted{
		{name: "whole", data: whole, duration: played},
		{name: "cropped at the end", data: join(begin(1), oggPage(4, 24312, 1, packets(50)...)), duration: 500 * time.Millisecond},
		{name: "chained with other serials", data: join(whole, begin(2), oggPage(4, 48000, 2, packets(50)...)), duration: 2987 * time.Millisecond},
		{name: "chained with the same serial", data: join(whole, begin(1), oggPage(4, 48000, 1, packets(50)...)), duration: 2987 * time.Millisecond},
		{name: "taken from a live stream", data: join(begin(1), oggPage(0, 48000+480000, 1, packets(50)...), oggPage(4, 96000+480000, 1, packets(50)...)), duration: played},
		{name: "beside another stream", data: join(oggPage(2, 0, 7, text("fishead\x00")), begin(1), oggPage(0, 99, 7, text("index")), oggPage(4, 96000, 1, packets(100)...), oggPage(4, 5, 7, nil)), duration: played},
		{name: "with a tag behind", data: join(whole, text("TAG"), make([]byte, 125)), duration: played},
		{
			name: "without an end mark", data: join(begin(1), oggPage(0, 48000, 1, packets(50)...)), duration: 994 * time.Millisecond, truncated: true,
			problem: "cut off: the end is missing, 1.0 s are there",
		},
		{
			name: "headers only", data: begin(1), truncated: true,
			problem: "cut off: the file ends before the sound begins",
		},
	} {
		c.check(t, audio.OGG, "opus")
	}
	in, err := audio.Probe(bytes.NewReader(damaged))
	if err != nil || in.Duration.Round(time.Millisecond) != 2994*time.Millisecond || in.Problem != "damaged: parts of this Ogg file are not readable" {
		t.Errorf("Probe(damaged page) = %+v, %v; want 2.994 s and a problem", in, err)
	}
}

func TestOddMP4(t *testing.T) {
	// 125 samples of 100 bytes.
	media := make([]byte, 12500)
	const played = 16 * time.Second
	long := join(be32(1), text("mdat"), be64(16+len(media)), media)
	toTheEnd := join(be32(0), text("mdat"), media)
	edited := func(entries ...[]byte) mp4Settings {
		s := song("soun", "mp4a")
		s.edits = box("edts", box("elst", be32(0), be32(len(entries)), join(entries...)))
		return s
	}
	edit := func(plays, begin int) []byte { return join(be32(plays), be32(begin), be32(1<<16)) }
	index := moov(song("soun", "mp4a"))
	for _, c := range []crafted{
		{name: "index in front", data: join(ftyp(), index, box("mdat", media)), duration: played},
		{name: "index behind", data: join(ftyp(), box("mdat", media), index), duration: played},
		{name: "64-bit length", data: join(ftyp(), long, index), duration: played},
		{name: "sound to the end of the file", data: join(ftyp(), index, toTheEnd), duration: played},
		{name: "QuickTime without ftyp", data: join(box("wide"), box("mdat", media), index), duration: played},
		{name: "junk behind", data: join(ftyp(), index, box("mdat", media), []byte{0, 0, 0}), duration: played},
		{name: "edit list", data: join(ftyp(), moov(edited(edit(15000, 1024))), box("mdat", media)), duration: 15 * time.Second},
		{name: "edit list with a pause", data: join(ftyp(), moov(edited(edit(700, -1), edit(15000, 1024))), box("mdat", media)), duration: 15 * time.Second},
		{name: "edit list up to the end", data: join(ftyp(), moov(edited(edit(0, 8000))), box("mdat", media)), duration: 15 * time.Second},
		{name: "edit list longer than the sound", data: join(ftyp(), moov(edited(edit(90000, 0))), box("mdat", media)), duration: played},
		{
			name: "cut", data: join(ftyp(), index, box("mdat", media)[:8+12500/4]), duration: 4 * time.Second, truncated: true,
			problem: "cut off: the header promises 16.0 s, 4.0 s are there",
		},
		{
			name: "cut, sound to the end of the file", data: join(ftyp(), index, toTheEnd[:8+12500/2]), duration: 8 * time.Second, truncated: true,
			problem: "cut off: the header promises 16.0 s, 8.0 s are there",
		},
		{
			name: "index only", data: join(ftyp(), index), truncated: true,
			problem: "cut off: the header promises 16.0 s, 0.0 s are there",
		},
	} {
		c.check(t, audio.M4A, "aac")
	}
}

func TestFragmentsAddUp(t *testing.T) {
	s := mp4Settings{handler: "soun", codec: "mp4a"}
	s.extend = box("mvex", box("mehd", be32(0), be32(3000)), box("trex", be32(0), be32(1), be32(1), be32(800), be32(10), be32(0)))
	head := join(ftyp(), moov(s))
	fragment := func(header, run []byte, size int) []byte {
		return join(box("moof", box("traf", header, run)), box("mdat", make([]byte, size)))
	}
	header := box("tfhd", be32(0), be32(1))
	// Ten samples of 800 ticks are one second: by default, told for the
	// fragment, told for every sample.
	byDefault := fragment(header, box("trun", be32(0), be32(10)), 100)
	told := fragment(box("tfhd", be32(8|16), be32(1), be32(400), be32(5)), box("trun", be32(1), be32(20), be32(0)), 100)
	each := fragment(header, box("trun", be32(0x100|0x200), be32(10), repeat(join(be32(800), be32(10)), 10)), 100)
	for _, c := range []crafted{
		{name: "whole", data: join(head, byDefault, each, told), duration: 3 * time.Second},
		{
			name: "a fragment is missing", data: join(head, byDefault, each), duration: 2 * time.Second, truncated: true,
			problem: "cut off: the header promises 3.0 s, 2.0 s are there",
		},
		{
			name: "cut inside a fragment", data: join(head, byDefault, each[:len(each)-50]), duration: 1500 * time.Millisecond, truncated: true,
			problem: "cut off: the header promises 3.0 s, 1.5 s are there",
		},
	} {
		c.check(t, audio.M4A, "aac")
	}
}
