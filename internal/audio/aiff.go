package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// imaPacket is the bytes of one channel's 64 samples in AIFF-C's IMA codec.
const (
	imaPacket        = 34
	imaPacketSamples = 64
)

// aiff gathers what the chunks say. SSND may come before COMM.
type aiff struct {
	compressed bool // AIFF-C
	hasCommon  bool
	channels   int
	frames     uint64
	bits       int
	rate       int
	kind       string // the compression type

	hasSound bool
	promised uint64 // bytes of sound according to the header
	present  uint64
}

func isAIFF(head []byte) bool {
	if len(head) < 12 || string(head[:4]) != "FORM" {
		return false
	}
	form := string(head[8:12])
	return form == "AIFF" || form == "AIFC"
}

// parseAIFF walks the chunks of an IFF file.
// http://www-mmsp.ece.mcgill.ca/Documents/AudioFormats/AIFF/AIFF.html
func parseAIFF(c *cursor, in *Info) error {
	a := &aiff{kind: "NONE"}
	a.compressed = string(c.peek(12)[8:12]) == "AIFC"
	c.skip(12)
	for a.chunk(c) {
	}
	return a.report(in)
}

func (a *aiff) chunk(c *cursor) bool {
	if a.hasSound && !isChunkID(c.peek(4)) {
		return false
	}
	h, ok := nextChunk(c, binary.BigEndian)
	if !ok {
		return false
	}
	switch h.id {
	case "COMM":
		a.common(c.peek(int(min(h.size, 22))))
	case "SSND":
		return a.sound(c, h.size)
	}
	got := c.skip(h.size)
	skipPadding(c, h.size)
	return got == h.size
}

func (a *aiff) common(body []byte) {
	if a.hasCommon || len(body) < 18 {
		return
	}
	a.hasCommon = true
	a.channels = int(binary.BigEndian.Uint16(body))
	a.frames = uint64(binary.BigEndian.Uint32(body[2:]))
	a.bits = int(binary.BigEndian.Uint16(body[6:]))
	a.rate = extended(body[8:18])
	if a.compressed && len(body) >= 22 {
		a.kind = string(body[18:22])
	}
}

// sound measures the sound behind the eight bytes of offset and block size.
func (a *aiff) sound(c *cursor, size int64) bool {
	var offset int64
	if head := c.peek(8); len(head) == 8 {
		offset = 8 + int64(binary.BigEndian.Uint32(head))
	}
	got := c.skip(size)
	if !a.hasSound {
		a.hasSound = true
		a.promised, a.present = uint64(max(0, size-offset)), uint64(max(0, got-offset))
	}
	skipPadding(c, size)
	return got == size
}

func (a *aiff) report(in *Info) error {
	if !a.hasCommon {
		return errors.New("the AIFF header does not say what sound is inside (no COMM chunk)")
	}
	in.Codec, in.SampleRate, in.Channels, in.Bits = a.codec(), a.rate, a.channels, a.resolution()
	if a.rate == 0 || a.channels == 0 {
		return fmt.Errorf("the AIFF header is damaged: %d channels at %d Hz", a.channels, a.rate)
	}
	promised := a.playing(a.frames)
	switch {
	case !a.hasSound && a.frames > 0:
		in.cut(promised, 0)
	case a.block() == 0:
		// An uncommon codec: only the bytes tell whether it is whole.
		a.reportByShare(in, promised)
	case a.present/a.block() < a.frames:
		in.cut(promised, a.playing(a.present/a.block()))
	default:
		in.whole(promised)
	}
	return nil
}

func (a *aiff) reportByShare(in *Info, promised time.Duration) {
	if a.present < a.promised {
		in.cut(promised, share(promised, a.present, a.promised))
		return
	}
	in.whole(promised)
}

// playing takes the header's unit: sample frames, or IMA packets.
func (a *aiff) playing(frames uint64) time.Duration {
	if a.kind == "ima4" {
		frames = product(frames, imaPacketSamples)
	}
	return playing(frames, uint64(a.rate))
}

// block gives the bytes of the header's unit, or zero when the codec has no
// fixed one.
func (a *aiff) block() uint64 {
	width := (a.bits + 7) / 8
	switch strings.ToLower(a.kind) {
	case "ima4":
		width = imaPacket
	case "alaw", "ulaw", "raw ":
		width = 1
	case "fl32":
		width = 4
	case "fl64":
		width = 8
	case "none", "twos", "sowt", "in16", "in24", "in32", "23ni":
	default:
		return 0
	}
	return uint64(width) * uint64(a.channels)
}

// resolution is zero for lossy codecs, whatever their header says.
func (a *aiff) resolution() int {
	if strings.HasPrefix(a.codec(), "pcm_") {
		return a.bits
	}
	return 0
}

func (a *aiff) codec() string {
	switch strings.ToLower(a.kind) {
	case "none", "twos", "in16", "in24", "in32":
		return pcmName((a.bits+7)/8, binary.BigEndian, true)
	case "sowt", "23ni":
		return pcmName((a.bits+7)/8, binary.LittleEndian, true)
	case "raw ":
		return "pcm_u8"
	case "fl32", "fl64":
		return "pcm_float"
	case "alaw":
		return "pcm_alaw"
	case "ulaw":
		return "pcm_mulaw"
	case "ima4":
		return "adpcm_ima"
	}
	return "aiff_" + printable(a.kind)
}

// extended gives the 80-bit IEEE float in b as a rate in Hz; zero when it is
// none.
func extended(b []byte) int {
	exponent := int(binary.BigEndian.Uint16(b)) - 16383
	mantissa := binary.BigEndian.Uint64(b[2:])
	if exponent < 0 || exponent > 30 {
		return 0
	}
	return int(math.Round(math.Ldexp(float64(mantissa), exponent-63)))
}

// printable replaces what would not show in a codec's name.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, strings.TrimSpace(name))
}
