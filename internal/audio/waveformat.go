package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The format tags of mmreg.h that occur in the wild.
const (
	tagPCM        = 0x0001
	tagADPCM      = 0x0002
	tagFloat      = 0x0003
	tagALaw       = 0x0006
	tagMuLaw      = 0x0007
	tagIMA        = 0x0011
	tagGSM        = 0x0031
	tagMP2        = 0x0050
	tagMP3        = 0x0055
	tagAAC        = 0x00ff
	tagAACInADTS  = 0x1600
	tagExtensible = 0xfffe
)

// waveFormat is the WAVEFORMATEX of a fmt chunk.
type waveFormat struct {
	tag      int
	channels int
	rate     int
	perSec   int // bytes per second, on average
	block    int // bytes
	bits     int // of a container; valid says how many of them count
	valid    int
	samples  int // per block and channel, for ADPCM; zero when not given
}

// readWaveFormat reads at least the 14 bytes that every fmt chunk has.
func readWaveFormat(body []byte, order binary.ByteOrder) waveFormat {
	f := waveFormat{
		tag:      int(order.Uint16(body)),
		channels: int(order.Uint16(body[2:])),
		rate:     int(order.Uint32(body[4:])),
		perSec:   int(order.Uint32(body[8:])),
		block:    int(order.Uint16(body[12:])),
	}
	if len(body) >= 16 {
		f.bits = int(order.Uint16(body[14:]))
	}
	if len(body) < 20 {
		return f
	}
	third := int(order.Uint16(body[18:]))
	if f.tag != tagExtensible {
		f.samples = third
		return f
	}
	f.valid = third
	if len(body) >= 26 {
		f.tag = int(order.Uint16(body[24:])) // the sub-format GUID begins with it
	}
	return f
}

// width gives the bytes of one sample in its container.
func (f waveFormat) width() int { return (f.bits + 7) / 8 }

// frame gives the bytes of one sample of all channels.
func (f waveFormat) frame() int {
	if f.block > 0 {
		return f.block
	}
	return f.width() * f.channels
}

func (f waveFormat) codec(order binary.ByteOrder) string {
	switch f.tag {
	case tagPCM:
		return pcmName(f.frame()/max(f.channels, 1), order, f.width() > 1)
	case tagADPCM:
		return "adpcm_ms"
	case tagFloat:
		return "pcm_float"
	case tagALaw:
		return "pcm_alaw"
	case tagMuLaw:
		return "pcm_mulaw"
	case tagIMA:
		return "adpcm_ima"
	case tagGSM:
		return "gsm"
	case tagMP2:
		return "mp2"
	case tagMP3:
		return "mp3"
	case tagAAC, tagAACInADTS:
		return "aac"
	}
	return fmt.Sprintf("wav_0x%04x", f.tag)
}

// resolution gives the bits that carry sound; zero for lossy codecs.
func (f waveFormat) resolution() int {
	switch f.tag {
	case tagPCM, tagFloat:
		if f.valid > 0 && f.valid <= f.bits {
			return f.valid
		}
		return f.bits
	case tagALaw, tagMuLaw:
		return 8
	}
	return 0
}

// duration gives how long size bytes play. fact is the sample count that the
// file gives, zero when it gives none.
func (f waveFormat) duration(size, fact uint64) (time.Duration, error) {
	switch f.tag {
	case tagPCM, tagFloat, tagALaw, tagMuLaw:
		if f.frame() == 0 {
			return 0, errors.New("the WAV header is damaged: samples of 0 bits")
		}
		return playing(size/uint64(f.frame()), uint64(f.rate)), nil
	case tagADPCM, tagIMA:
		return f.adpcm(size, fact)
	}
	if fact > 0 {
		return playing(fact, uint64(f.rate)), nil
	}
	if f.perSec == 0 {
		return 0, errors.New("the WAV header is damaged: 0 bytes per second")
	}
	return playing(size, uint64(f.perSec)), nil
}

// adpcm counts blocks. The last one may be short, or padded: fact tells how
// much of it counts, and is believed only within that block, because writers
// are known to put other numbers there.
func (f waveFormat) adpcm(size, fact uint64) (time.Duration, error) {
	perBlock := f.samplesIn(f.block)
	if f.samples > 0 {
		perBlock = min(f.samples, max(perBlock, 1))
	}
	if f.block == 0 || perBlock == 0 {
		return 0, fmt.Errorf("the WAV header is damaged: ADPCM blocks of %d bytes", f.block)
	}
	blocks, rest := size/uint64(f.block), size%uint64(f.block)
	total := sum(product(blocks, uint64(perBlock)), uint64(f.samplesIn(int(rest))))
	if fact <= total && fact+uint64(perBlock) > total {
		total = fact
	}
	return playing(total, uint64(f.rate)), nil
}

// samplesIn gives the samples per channel of an ADPCM block of n bytes, with
// four bits each behind the block's header.
func (f waveFormat) samplesIn(n int) int {
	perChannel := n / max(f.channels, 1)
	header, inHeader := 4, 1 // IMA: the first sample
	if f.tag == tagADPCM {
		header, inHeader = 7, 2
	}
	if perChannel < header {
		return 0
	}
	return (perChannel-header)*2 + inHeader
}

// pcmName gives ffmpeg's name for integer samples of width bytes.
func pcmName(width int, order binary.ByteOrder, signed bool) string {
	if width <= 1 {
		if signed {
			return "pcm_s8"
		}
		return "pcm_u8"
	}
	suffix := "le"
	if order == binary.BigEndian {
		suffix = "be"
	}
	return fmt.Sprintf("pcm_s%d%s", 8*width, suffix)
}
