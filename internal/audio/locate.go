package audio

import "bytes"

const (
	// searchLength is how much that is no sound may precede the first frame.
	searchLength = 96 << 10
	// chainLength holds the frames that confirm the first one: four of ADTS.
	chainLength = 32 << 10
	// searchWindow shows both.
	searchWindow = searchLength + chainLength
)

// locate looks for the first frame within the next limit bytes, and passes
// what is before it. One header is chance; it takes a chain of frames.
func locate(c *cursor, limit int) (frame, bool) {
	window := limit + chainLength
	shown := c.peek(window)
	wanted := 3
	for at := 0; at <= limit && at < len(shown); at++ {
		i := bytes.IndexByte(shown[at:min(len(shown), limit+1)], 0xff)
		if i < 0 {
			break
		}
		at += i
		if at > 0 {
			wanted = 4
		}
		if f, ok := chained(shown[at:], wanted, len(shown) < window); ok {
			c.skip(int64(at))
			return f, true
		}
	}
	return frame{}, false
}

// chained reads the frame at the beginning of b if it and the ones behind it
// are of one kind: as many as wanted, or, where b ends with the file, as many
// as there are.
func chained(b []byte, wanted int, end bool) (frame, bool) {
	first, ok := readFrame(b)
	if !ok {
		return frame{}, false
	}
	at := first.length
	for n := 1; n < wanted; n++ {
		if at >= len(b) {
			return first, end && endsWell(nil, n, at == len(b))
		}
		next, ok := readFrame(b[at:])
		if !ok || next.kind != first.kind {
			return first, end && endsWell(b[at:], n, false)
		}
		at += next.length
	}
	return first, true
}

// endsWell tells whether a file may end like this behind n frames: with a
// tag, or inside a frame. One frame alone must be whole.
func endsWell(rest []byte, n int, whole bool) bool {
	switch {
	case tagLength(rest) > 0:
		return true
	case n >= 2:
		return len(rest) < frameHeaderLength
	}
	return whole
}
