package audio

import (
	"bytes"
	"encoding/binary"
	"time"
)

// opusRate is what Opus counts and plays in, whatever went into it.
const opusRate = 48000

// oggCodec is what the first packet of an audio stream says.
type oggCodec struct {
	name     string
	rate     int
	channels int
	bits     int
	skip     int    // samples to drop at the beginning
	block    int    // the most samples that a packet gives; Opus packets say it themselves
	total    uint64 // samples per channel, where the header tells
}

// readOggCodec reads an identification header; false when it is not audio.
func readOggCodec(b []byte) (oggCodec, bool) {
	var codec oggCodec
	switch {
	case bytes.HasPrefix(b, []byte("\x01vorbis")) && len(b) >= 29:
		codec = oggCodec{
			name: "vorbis", channels: int(b[11]), rate: int(binary.LittleEndian.Uint32(b[12:])),
			block: 1 << (b[28] >> 4) / 2,
		}
	case bytes.HasPrefix(b, []byte("OpusHead")) && len(b) >= 19:
		codec = oggCodec{
			name: "opus", channels: int(b[9]), rate: opusRate,
			skip: int(binary.LittleEndian.Uint16(b[10:])),
		}
	case bytes.HasPrefix(b, []byte("\x7fFLAC")) && len(b) >= 17+34 && isFLAC(b[9:]):
		about := readStreamInfo(b[17:])
		codec = oggCodec{name: "flac", channels: about.channels, rate: about.rate, bits: about.bits, block: about.maxBlock, total: about.total}
	case bytes.HasPrefix(b, []byte("Speex   ")) && len(b) >= 68:
		codec = oggCodec{
			name: "speex", rate: int(binary.LittleEndian.Uint32(b[36:])), channels: int(binary.LittleEndian.Uint32(b[48:])),
			block: int(min(product(uint64(binary.LittleEndian.Uint32(b[56:])), uint64(binary.LittleEndian.Uint32(b[64:]))), 1<<16)),
		}
	}
	return codec, codec.rate > 0 && codec.channels > 0
}

func (k oggCodec) promised() time.Duration { return playing(k.total, uint64(k.rate)) }

// samplesIn gives the most samples that the packets beginning in p can hold.
// Headers count as well, which only makes a stream begin closer to zero.
func (k oggCodec) samplesIn(p oggPage) int64 {
	var samples int64
	begins, at := !p.continues(), 0
	for _, n := range p.lacing {
		if begins && at < len(p.body) {
			samples += k.samplesOf(p.body[at:])
		}
		begins = n < 255
		at += int(n)
	}
	return samples
}

func (k oggCodec) samplesOf(packet []byte) int64 {
	if k.name == "opus" {
		return opusSamples(packet)
	}
	return int64(k.block)
}

// opusSamples reads a packet's table of contents: RFC 6716, section 3.1.
func opusSamples(packet []byte) int64 {
	if bytes.HasPrefix(packet, []byte("OpusTags")) {
		return 0
	}
	config := packet[0] >> 3
	var frame int64
	switch {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		frame = []int64{480, 960, 1920, 2880}[config&3]
	case config < 16: // hybrid: 10, 20 ms
		frame = []int64{480, 960}[config&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		frame = 120 << (config & 3)
	}
	switch packet[0] & 3 {
	case 0:
		return frame
	case 3:
		if len(packet) < 2 {
			return 0
		}
		return frame * int64(packet[1]&63)
	}
	return 2 * frame
}
