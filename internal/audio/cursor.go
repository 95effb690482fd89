package audio

import (
	"errors"
	"hash"
	"io"
	"sync"
)

const (
	// bufferSize bounds what peek can show. It holds the largest Ogg page
	// (65,307 bytes) and the first frames of any MPEG stream.
	bufferSize = 256 << 10
	// firstRead is what a range costs at least. A parser that keeps reading on
	// gets twice as much with every read.
	firstRead = 16 << 10
)

// cursor is a forward-only view of a file, over a stream or over ranges.
//
// It never fails: at the end, and after a read error, there is just nothing
// more to see. Whoever drives the parser looks at err when it is done.
type cursor struct {
	stream io.Reader   // nil over ranges
	ranges io.ReaderAt // nil over a stream
	size   int64       // over ranges; -1 over a stream
	digest hash.Hash   // of everything read; nil over ranges

	buf    *[bufferSize]byte
	lo, hi int   // the unread part of buf
	pos    int64 // the offset of buf[lo] in the file
	ahead  int   // what the next range asks for
	ended  bool
	err    error // the first read error that is not the end of the file
}

// buffers are those of cursors that are done: of a hundred thousand small files each
// would make one, clear it, and leave it to the collector.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func newStream(r io.Reader, digest hash.Hash) *cursor {
	return newCursor(cursor{stream: r, size: -1, digest: digest})
}

func newRanges(r io.ReaderAt, size int64) *cursor {
	return newCursor(cursor{ranges: r, size: size, ahead: firstRead})
}

func newCursor(c cursor) *cursor {
	c.buf, _ = buffers.Get().(*[bufferSize]byte) // there is nothing else in it
	return &c
}

// release gives the buffer back: nothing that was peeked at may be looked at again.
func (c *cursor) release() {
	buffers.Put(c.buf)
	c.buf, c.lo, c.hi, c.ended = nil, 0, 0, true
}

// peek shows the next n bytes without passing them: fewer only at the end.
// n is at most bufferSize. The slice is valid until the next call.
func (c *cursor) peek(n int) []byte {
	for c.hi-c.lo < n && c.fill() {
	}
	return c.buf[c.lo:min(c.lo+n, c.hi)]
}

// skip passes n bytes and returns how many there were. Over ranges it costs
// nothing.
func (c *cursor) skip(n int64) int64 {
	start := c.pos
	for n > 0 {
		step := min(n, int64(c.hi-c.lo))
		c.lo += int(step)
		c.pos += step
		n -= step
		if n == 0 {
			break
		}
		if c.ranges != nil {
			c.jump(min(n, c.size-c.pos))
			break
		}
		if !c.fill() {
			break
		}
	}
	return c.pos - start
}

// tail passes everything and returns the last n bytes of it, or fewer.
func (c *cursor) tail(n int) []byte {
	if c.ranges != nil {
		c.skip(max(0, c.size-c.pos-int64(n)))
		rest := c.readAt(c.pos, n)
		c.skip(c.size - c.pos)
		return rest
	}
	var kept []byte
	for {
		kept = append(kept, c.buf[c.lo:c.hi]...)
		c.pos += int64(c.hi - c.lo)
		c.lo = c.hi
		// Trimming only at twice the length makes the moving linear.
		if len(kept) > 2*n {
			kept = kept[:copy(kept, kept[len(kept)-n:])]
		}
		if !c.fill() {
			return kept[max(0, len(kept)-n):]
		}
	}
}

// last shows the last n bytes of the file without moving, or fewer when less
// than n is left. Over a stream it shows nothing.
func (c *cursor) last(n int) []byte {
	if c.ranges == nil {
		return nil
	}
	from := max(c.pos, c.size-int64(n))
	return c.readAt(from, int(c.size-from))
}

// drain passes the rest, so that the digest and the size are complete.
func (c *cursor) drain() {
	c.pos += int64(c.hi - c.lo)
	c.lo = c.hi
	for c.fill() {
		c.pos += int64(c.hi - c.lo)
		c.lo = c.hi
	}
}

func (c *cursor) jump(n int64) {
	c.lo, c.hi, c.ahead = 0, 0, firstRead
	c.pos += n
}

// fill reads once into the free part of the buffer; false at the end.
func (c *cursor) fill() bool {
	if c.ended {
		return false
	}
	if c.lo == c.hi {
		c.lo, c.hi = 0, 0
	} else if c.hi == len(c.buf) {
		c.hi = copy(c.buf[:], c.buf[c.lo:c.hi])
		c.lo = 0
	}
	if c.ranges != nil {
		return c.fillRange()
	}
	return c.fillStream()
}

func (c *cursor) fillStream() bool {
	// A reader may return nothing and no error; one that keeps doing so would
	// never end.
	for range 100 {
		n, err := c.stream.Read(c.buf[c.hi:])
		if c.digest != nil {
			c.digest.Write(c.buf[c.hi : c.hi+n]) // hash.Hash never returns an error
		}
		c.hi += n
		if err != nil {
			c.stop(err)
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
	c.stop(io.ErrNoProgress)
	return false
}

func (c *cursor) fillRange() bool {
	from := c.pos + int64(c.hi-c.lo)
	n := min(int64(len(c.buf)-c.hi), int64(c.ahead), c.size-from)
	if n <= 0 {
		return false
	}
	c.ahead = min(2*c.ahead, bufferSize)
	got, err := c.ranges.ReadAt(c.buf[c.hi:c.hi+int(n)], from)
	c.hi += got
	c.check(int64(got), n, err)
	return got > 0
}

func (c *cursor) readAt(from int64, n int) []byte {
	if c.ended {
		return nil
	}
	read := make([]byte, min(int64(n), c.size-from))
	got, err := c.ranges.ReadAt(read, from)
	c.check(int64(got), int64(len(read)), err)
	return read[:got]
}

// check ends the reading when a range gave less than the size promised: the
// caller's size was wrong, or the file shrank.
func (c *cursor) check(got, want int64, err error) {
	switch {
	case got == want:
	case err == nil || errors.Is(err, io.EOF):
		c.stop(io.ErrUnexpectedEOF)
	default:
		c.stop(err)
	}
}

func (c *cursor) stop(err error) {
	c.ended = true
	if c.err == nil && !errors.Is(err, io.EOF) {
		c.err = err
	}
}
