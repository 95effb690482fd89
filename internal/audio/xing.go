package audio

import "encoding/binary"

// vbrHeader is what an encoder left in a first frame that holds no sound.
type vbrHeader struct {
	frames  uint64 // zero when not given; this frame is not counted
	bytes   int64  // zero when not given; this frame is counted
	delay   uint64 // samples that the encoder put before the sound
	padding uint64 // and behind it
}

// vbrHeaderLength is how much of a frame readVBR looks at: side information,
// Xing header with its seek table, the beginning of LAME's extension.
const vbrHeaderLength = 38 + 120 + 24

// xingOffset gives where the main data of a layer III frame begins.
func xingOffset(version1, mono bool) int {
	switch {
	case version1 && !mono:
		return 4 + 32
	case version1 || !mono:
		return 4 + 17
	}
	return 4 + 9
}

// readVBR reads the header in frame f, if it has one.
// http://gabriel.mp3-tech.org/mp3infotag.html, and for VBRI Fraunhofer's
// sample code: there the header's place does not depend on the channels.
func readVBR(b []byte, f frame) (vbrHeader, bool) {
	if f.side == 0 {
		return vbrHeader{}, false
	}
	if len(b) >= 36+18 && string(b[36:40]) == "VBRI" {
		return vbrHeader{
			bytes:  int64(binary.BigEndian.Uint32(b[36+10:])),
			frames: uint64(binary.BigEndian.Uint32(b[36+14:])),
		}, true
	}
	// A checksum behind the frame header moves everything by two bytes.
	for _, at := range []int{f.side, f.side + 2} {
		if len(b) < at+8 {
			break
		}
		if name := string(b[at : at+4]); name == "Xing" || name == "Info" {
			return readXing(b[at+4:]), true
		}
	}
	return vbrHeader{}, false
}

// readXing reads from the flags on.
func readXing(b []byte) vbrHeader {
	var h vbrHeader
	flags, b := binary.BigEndian.Uint32(b), b[4:]
	if flags&1 != 0 && len(b) >= 4 {
		h.frames, b = uint64(binary.BigEndian.Uint32(b)), b[4:]
	}
	if flags&2 != 0 && len(b) >= 4 {
		h.bytes, b = int64(binary.BigEndian.Uint32(b)), b[4:]
	}
	if flags&4 != 0 {
		b = b[min(100, len(b)):]
	}
	if flags&8 != 0 {
		b = b[min(4, len(b)):]
	}
	// LAME and those who imitate it: nine bytes of name, twelve of settings,
	// then twelve bits each.
	if len(b) >= 24 && isEncoder(b[:4]) {
		h.delay = uint64(b[21])<<4 | uint64(b[22])>>4
		h.padding = uint64(b[22]&15)<<8 | uint64(b[23])
	}
	return h
}

func isEncoder(name []byte) bool {
	switch string(name) {
	case "LAME", "Lavf", "Lavc", "GOGO", "L3.9":
		return true
	}
	return false
}
