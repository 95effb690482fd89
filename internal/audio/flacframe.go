package audio

import "bytes"

const (
	// flacHeaderMax is the longest frame header: 4 fixed bytes, 7 of number,
	// 2 of block size, 2 of rate, 1 of checksum.
	flacHeaderMax = 16
	// flacWork bounds the bytes run through the checksum while the last frame
	// is looked for: a crafted end may be full of what looks like headers.
	flacWork = 4 * flacTailMax
	// flacKept bounds the headers that are kept of such an end: the last ones.
	// A real end has a few hundred, chance included.
	flacKept = 1 << 15
)

// flacFrame is what a frame's header says about its place in the stream.
type flacFrame struct {
	at    int    // offset of the header
	first uint64 // number of its first sample
	next  uint64 // number of the first sample behind it
}

// flacEnd finds the last whole frame in end, the last part of a file, and
// gives the number of samples that the stream has with it. complete means
// that nothing but padding follows that frame.
//
// A header has only eight bits of checksum, so one that stands anywhere may
// be chance. A frame counts when its own checksum holds as well: over the
// bytes up to the end of the file, or up to a header that continues it.
func flacEnd(end []byte, about flacInfo) (samples uint64, complete bool) {
	frames := flacFrames(end, about)
	work := flacWork
	for i := len(frames) - 1; i >= 0 && work > 0; i-- {
		body := end[frames[i].at:]
		work -= len(body)
		if length := flacLength(body, frames[i], frames[i+1:]); length > 0 {
			rest := bytes.TrimLeft(body[length:], "\x00")
			return frames[i].next, len(rest) == 0
		}
	}
	return 0, false
}

// flacLength gives the length of the frame that body begins with, or zero
// when its checksum holds at no place where it may end.
func flacLength(body []byte, frame flacFrame, later []flacFrame) int {
	var crc uint16
	done := 0
	holds := func(length int) bool {
		crc = crc16(crc, body[done:length])
		done = length
		return crc == 0 && length > flacHeaderMax/2
	}
	for _, l := range later {
		if l.first == frame.next && holds(l.at-frame.at) {
			return done
		}
	}
	// The file may have been cut inside the next frame's header.
	for length := max(done+1, len(body)-flacHeaderMax); length <= len(body); length++ {
		if holds(length) {
			return done
		}
	}
	return 0
}

// flacFrames lists everything in end that is a frame header by its checksum
// and fits the stream.
func flacFrames(end []byte, about flacInfo) []flacFrame {
	var frames []flacFrame
	for at := 0; ; at++ {
		i := bytes.IndexByte(end[at:], 0xff)
		if i < 0 {
			return frames
		}
		at += i
		if frame, ok := readFlacFrame(end[at:], about); ok {
			frame.at = at
			if len(frames) == 2*flacKept {
				frames = frames[:copy(frames, frames[flacKept:])]
			}
			frames = append(frames, frame)
		}
	}
}

// readFlacFrame reads a frame header: RFC 9639, section 9.1.
func readFlacFrame(b []byte, about flacInfo) (flacFrame, bool) {
	if len(b) < 6 || b[0] != 0xff || b[1]&0xfe != 0xf8 || b[3]&1 != 0 {
		return flacFrame{}, false
	}
	if flacChannels(b[3]>>4) != about.channels {
		return flacFrame{}, false
	}
	number, n := flacNumber(b[4:])
	if n == 0 {
		return flacFrame{}, false
	}
	count, more := flacBlock(b[2]>>4, b[4+n:])
	length := 4 + n + more + flacRateBytes(b[2]&15)
	if count == 0 || count > about.maxBlock || len(b) <= length || crc8(b[:length]) != b[length] {
		return flacFrame{}, false
	}
	first := number
	if b[1]&1 == 0 {
		first = product(number, uint64(about.maxBlock)) // fixed blocks are counted by frame
	}
	return flacFrame{first: first, next: sum(first, uint64(count))}, true
}

func flacChannels(code byte) int {
	switch {
	case code < 8:
		return int(code) + 1
	case code <= 10:
		return 2 // left-side, right-side, mid-side
	}
	return 0
}

// flacBlock gives the samples of a frame, zero when reserved, and how many
// bytes behind the number say so.
func flacBlock(code byte, more []byte) (count, n int) {
	switch {
	case code == 1:
		return 192, 0
	case code >= 2 && code <= 5:
		return 576 << (code - 2), 0
	case code == 6 && len(more) >= 1:
		return int(more[0]) + 1, 1
	case code == 7 && len(more) >= 2:
		return int(more[0])<<8 + int(more[1]) + 1, 2
	case code >= 8:
		return 256 << (code - 8), 0
	}
	return 0, 0
}

func flacRateBytes(code byte) int {
	switch code {
	case 12:
		return 1
	case 13, 14:
		return 2
	}
	return 0
}

// flacNumber reads a number coded as in UTF-8, of up to 36 bits; n is zero
// when it is malformed.
func flacNumber(b []byte) (number uint64, n int) {
	ones := 0
	for ones < 8 && b[0]&(0x80>>ones) != 0 {
		ones++
	}
	switch {
	case ones == 0:
		return uint64(b[0]), 1
	case ones == 1 || ones == 8 || len(b) <= ones:
		return 0, 0
	}
	number = uint64(b[0] & (0x7f >> ones))
	for _, next := range b[1:ones] {
		if next&0xc0 != 0x80 {
			return 0, 0
		}
		number = number<<6 | uint64(next&0x3f)
	}
	return number, ones
}
