package audio

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// readDescription reads the first entry of stsd: the codec and its settings.
func (t *mp4Track) readDescription(b []byte) {
	const entry, fixed = 8, 36
	if !t.sound || t.codec != "" || len(b) < entry+fixed {
		return
	}
	b = b[entry : entry+min(len(b)-entry, int(binary.BigEndian.Uint32(b[entry:])))]
	if len(b) < fixed {
		return
	}
	name := string(b[4:8])
	t.codec, t.protected = mp4Codec(name), name == "drms" || name == "enca"
	t.channels = int(binary.BigEndian.Uint16(b[24:]))
	depth := int(binary.BigEndian.Uint16(b[26:]))
	t.rate = int(binary.BigEndian.Uint32(b[32:]) >> 16)
	extra := fixed
	switch binary.BigEndian.Uint16(b[16:]) {
	case 1:
		extra += 16
	case 2:
		extra += 36
		depth = t.readVersion2(b, depth)
	}
	if isLossless(t.codec) {
		t.bits = depth
	}
	if extra < len(b) {
		t.readExtensions(b[extra:], 0)
	}
}

// readVersion2 reads QuickTime's later sound description, for high rates.
func (t *mp4Track) readVersion2(b []byte, depth int) int {
	if len(b) < 64 {
		return depth
	}
	if rate := math.Float64frombits(binary.BigEndian.Uint64(b[40:])); rate > 0 && rate < 1<<24 {
		t.rate = int(rate)
	}
	t.channels = int(min(binary.BigEndian.Uint32(b[48:]), math.MaxUint16))
	if d := binary.BigEndian.Uint32(b[56:]); d > 0 && d <= 64 {
		return int(d)
	}
	return depth
}

func isLossless(codec string) bool {
	switch codec {
	case "alac", "flac", "pcm_float", "pcm_s16le", "pcm_s16be", "pcm_s24be", "pcm_s32be", "pcm_u8", "pcm":
		return true
	}
	return false
}

func mp4Codec(name string) string {
	switch name {
	case "mp4a":
		return "aac"
	case "alac":
		return "alac"
	case "Opus":
		return "opus"
	case "fLaC":
		return "flac"
	case ".mp3", "ms\x00\x55":
		return "mp3"
	case "ac-3":
		return "ac3"
	case "ec-3":
		return "eac3"
	case "sowt":
		return "pcm_s16le"
	case "twos":
		return "pcm_s16be"
	case "in24":
		return "pcm_s24be"
	case "in32":
		return "pcm_s32be"
	case "raw ":
		return "pcm_u8"
	case "fl32", "fl64":
		return "pcm_float"
	case "lpcm", "ipcm":
		return "pcm"
	}
	return printable(name)
}

// readExtensions reads the boxes inside a sound description. In QuickTime
// they hide in one more, wave.
func (t *mp4Track) readExtensions(b []byte, depth int) {
	for {
		kind, length, header := readBox(b)
		if header == 0 || length > int64(len(b)) || length == 0 {
			return
		}
		body := b[header:length]
		switch kind {
		case "wave":
			if depth == 0 {
				t.readExtensions(body, depth+1)
			}
		case "esds":
			t.readElementary(body)
		case "alac":
			t.readALAC(body)
		}
		b = b[length:]
	}
}

// readALAC reads Apple's "magic cookie" behind version and flags.
func (t *mp4Track) readALAC(b []byte) {
	if len(b) < 28 {
		return
	}
	t.bits, t.channels, t.rate = int(b[9]), int(b[13]), int(binary.BigEndian.Uint32(b[24:]))
}

// readElementary reads esds: nested descriptors, each a tag, a length and a
// body. ISO/IEC 14496-1, section 7.2.6.
func (t *mp4Track) readElementary(b []byte) {
	const elementary, decoder, specific = 3, 4, 5
	if len(b) < 4 {
		return
	}
	b = descriptor(b[4:], elementary)
	if len(b) < 3 {
		return
	}
	flags, b := b[2], b[3:]
	if flags&0x80 != 0 {
		b = b[min(2, len(b)):]
	}
	if flags&0x40 != 0 && len(b) > 0 {
		b = b[min(1+int(b[0]), len(b)):]
	}
	if flags&0x20 != 0 {
		b = b[min(2, len(b)):]
	}
	b = descriptor(b, decoder)
	if len(b) < 13 {
		return
	}
	switch b[0] {
	case 0x69, 0x6b:
		t.codec = "mp3"
	case 0x40, 0x66, 0x67, 0x68:
		t.readAAC(descriptor(b[13:], specific))
	}
}

// descriptor gives the body of the descriptor at the beginning of b, if it
// has the tag wanted, as far as it is there.
func descriptor(b []byte, tag byte) []byte {
	if len(b) < 2 || b[0] != tag {
		return nil
	}
	length, at := 0, 1
	for more := true; more && at < len(b) && at <= 4; at++ {
		length = length<<7 | int(b[at]&0x7f)
		more = b[at]&0x80 != 0
	}
	return b[at:min(at+length, len(b))]
}

// readAAC reads an AudioSpecificConfig: ISO/IEC 14496-3, section 1.6.2.1. It
// knows the rate that HE-AAC really plays at.
func (t *mp4Track) readAAC(b []byte) {
	const sbr, ps = 5, 29
	r := bitReader{b: b}
	object := r.audioObject()
	rate := r.audioRate()
	channels := r.take(4)
	if object == sbr || object == ps {
		rate = r.audioRate()
	}
	if r.short || rate == 0 {
		return
	}
	t.rate = rate
	switch {
	case object == ps:
		t.channels = 2
	case channels == 7:
		t.channels = 8
	case channels > 0 && channels < 7:
		t.channels = channels
	}
}

// bitReader reads bits from the most significant on. Behind the end it gives
// zeros and says so.
type bitReader struct {
	b     []byte
	at    int
	short bool
}

func (r *bitReader) take(n int) int {
	v := 0
	for range n {
		v <<= 1
		if r.at/8 >= len(r.b) {
			r.short = true
			continue
		}
		v |= int(bits.Reverse8(r.b[r.at/8])>>(r.at%8)) & 1
		r.at++
	}
	return v
}

func (r *bitReader) audioObject() int {
	if object := r.take(5); object != 31 {
		return object
	}
	return 32 + r.take(6)
}

func (r *bitReader) audioRate() int {
	index := r.take(4)
	if index == 15 {
		return r.take(24)
	}
	if index < len(adtsRates) {
		return adtsRates[index]
	}
	return 0
}
