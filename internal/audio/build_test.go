package audio_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"testing"
)

// The builders here write files by hand that no encoder writes. They share
// nothing with the parsers, so that a mistake is not made twice.

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

func text(s string) []byte { return []byte(s) }

func le16(v int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(v)) }
func le32(v int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }
func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func be64(v int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

// chunk is a RIFF chunk of the given size field, without padding.
func chunk(id string, size int, body []byte) []byte { return join(text(id), le32(size), body) }

// pcm16 is a fmt chunk: 8000 Hz, mono, 16 bits. A second has 16,000 bytes.
func pcm16() []byte {
	return chunk("fmt ", 16, join(le16(1), le16(1), le32(8000), le32(16000), le16(2), le16(16)))
}

func riff(size int, chunks ...[]byte) []byte {
	return join(text("RIFF"), le32(size), text("WAVE"), join(chunks...))
}

// wavHeader begins a file with size bytes of sound.
func wavHeader(size int) []byte { return riff(36+size, pcm16(), chunk("data", size, nil)) }

// noise is n bytes that look like nothing, the same on every run.
func noise(n int) []byte {
	out := make([]byte, n)
	state := uint32(2463534242)
	for i := range out {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		out[i] = byte(state >> 24)
	}
	return out
}

// mpegFrame is a frame of MPEG-1 layer III, 128 kbit/s, 44100 Hz, stereo:
// 417 bytes, 1152 samples.
func mpegFrame() []byte {
	return join([]byte{0xff, 0xfb, 0x90, 0x00}, make([]byte, 413))
}

// xingFrame is such a frame without sound that announces others.
func xingFrame(frames, size int) []byte {
	f := mpegFrame()
	copy(f[36:], join(text("Xing"), be32(3), be32(frames), be32(size)))
	return f
}

func id3(size int) []byte {
	return join(text("ID3\x04\x00\x00"), []byte{byte(size >> 21 & 127), byte(size >> 14 & 127), byte(size >> 7 & 127), byte(size & 127)})
}

// oggPage is a page that holds whole packets.
func oggPage(flags byte, granule, serial int, packets ...[]byte) []byte {
	var lacing, body []byte
	for _, p := range packets {
		for n := len(p); n >= 0; n -= 255 {
			lacing = append(lacing, byte(min(n, 255)))
		}
		body = append(body, p...)
	}
	page := join(text("OggS"), []byte{0, flags}, le32(granule), le32(granule>>32), le32(serial), le32(0), le32(0),
		[]byte{byte(len(lacing))}, lacing, body)
	copy(page[22:], le32(int(slowCRC(page))))
	return page
}

// slowCRC is Ogg's checksum bit by bit, as RFC 3533 words it.
func slowCRC(b []byte) uint32 {
	var crc uint32
	for _, v := range b {
		crc ^= uint32(v) << 24
		for range 8 {
			top := crc >> 31
			crc <<= 1
			if top == 1 {
				crc ^= 0x04c11db7
			}
		}
	}
	return crc
}

func opusHead(preSkip int) []byte {
	return join(text("OpusHead\x01\x02"), le16(preSkip), le32(48000), le16(0), []byte{0})
}

// opusPacket plays 20 ms: 960 samples.
func opusPacket() []byte { return []byte{0xf8, 0xff, 0xfe} }

// box is an MP4 box.
func box(kind string, parts ...[]byte) []byte {
	body := join(parts...)
	return join(be32(8+len(body)), text(kind), body)
}

// mp4Settings are the parts of an index that tests vary.
type mp4Settings struct {
	handler string // soun, or vide
	codec   string // mp4a
	samples int    // of 1024 ticks
	sizes   []byte // stsz; by default 100 bytes each
	edits   []byte // an edts box, or nothing
	extend  []byte // an mvex or udta box, or nothing
	entry   []byte // the sound description; by default 16 bits, mono, 8000 Hz
	head    []byte // mvhd; by default 1000 file ticks per second
	media   []byte // mdhd; by default 8000 track ticks per second
}

// moov is an index of one track.
func moov(s mp4Settings) []byte {
	if s.sizes == nil {
		s.sizes = box("stsz", be32(0), be32(100), be32(s.samples))
	}
	if s.entry == nil {
		s.entry = entry(0, 1, 8000)
	}
	if s.head == nil {
		s.head = box("mvhd", be32(0), be32(0), be32(0), be32(1000), be32(s.samples*128), make([]byte, 80))
	}
	if s.media == nil {
		s.media = box("mdhd", be32(0), be32(0), be32(0), be32(8000), be32(s.samples*1024), be32(0))
	}
	return box("moov",
		s.head,
		box("trak",
			box("tkhd", be32(0), be32(0), be32(0), be32(1), make([]byte, 68)),
			s.edits,
			box("mdia",
				s.media,
				box("hdlr", be32(0), be32(0), text(s.handler), make([]byte, 13)),
				box("minf", box("stbl",
					box("stsd", be32(0), be32(1), box(s.codec, s.entry)),
					box("stts", be32(0), be32(1), be32(s.samples), be32(1024)),
					s.sizes,
				)),
			),
		),
		s.extend,
	)
}

// song is the usual file: 125 samples of 1024 ticks, which play 16 seconds.
func song(handler, codec string) mp4Settings {
	return mp4Settings{handler: handler, codec: codec, samples: 125}
}

func ftyp() []byte { return box("ftyp", text("M4A "), be32(0), text("M4A ")) }

// sparse is a file of zeros with some parts in it.
type sparse struct {
	size  int64
	parts []part
}

type part struct {
	at   int64
	data []byte
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	n := int(min(int64(len(p)), max(0, s.size-off)))
	clear(p[:n])
	for _, x := range s.parts {
		from, to := max(off, x.at), min(off+int64(n), x.at+int64(len(x.data)))
		if from < to {
			copy(p[from-off:to-off], x.data[from-x.at:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// indexBehind is an MP4 file of size bytes, nearly all of them sound.
func indexBehind(t *testing.T, size int64) *sparse {
	t.Helper()
	const samples = 1000
	index := moov(mp4Settings{handler: "soun", codec: "mp4a", samples: samples})
	head := ftyp()
	media := size - int64(len(head)) - int64(len(index))
	if media > math.MaxUint32 {
		t.Fatalf("%d bytes do not fit a small box", media)
	}
	return &sparse{size: size, parts: []part{
		{0, join(head, be32(int(media)), text("mdat"))},
		{size - int64(len(index)), index},
	}}
}

func repeat(b []byte, n int) []byte { return bytes.Repeat(b, n) }
