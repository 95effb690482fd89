package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// unknownLength is what streaming writers put where a length belongs.
const unknownLength = 0xffffffff

// wav gathers what the chunks say, in whatever order they come.
type wav struct {
	order  binary.ByteOrder
	format waveFormat
	hasFmt bool
	riff   int64  // the size field of the file's header
	fact   uint64 // samples per channel, for compressed codecs
	long   int64  // the data size that a ds64 chunk gives; -1 without one

	hasData  bool
	promised uint64 // bytes of sound according to the header
	present  uint64 // bytes of sound that are there
}

func isWAV(head []byte) bool {
	if len(head) < 12 || string(head[8:12]) != "WAVE" {
		return false
	}
	switch string(head[:4]) {
	case "RIFF", "RIFX", "RF64", "BW64":
		return true
	}
	return false
}

// parseWAV walks the chunks of a RIFF file. RF64 and BW64 hold lengths above
// 4 GiB in a ds64 chunk: EBU Tech 3306, ITU-R BS.2088.
func parseWAV(c *cursor, in *Info) error {
	w := &wav{order: binary.LittleEndian, long: -1}
	head := c.peek(12)
	if string(head[:4]) == "RIFX" {
		w.order = binary.BigEndian
	}
	w.riff = int64(w.order.Uint32(head[4:]))
	c.skip(12)
	for w.chunk(c) {
	}
	return w.report(in)
}

// chunk passes one chunk; false at the end, or where no chunk follows.
func (w *wav) chunk(c *cursor) bool {
	if w.hasData && !isChunkID(c.peek(4)) {
		return false
	}
	h, ok := nextChunk(c, w.order)
	if !ok {
		return false
	}
	switch h.id {
	case "fmt ":
		if body := c.peek(int(min(h.size, 40))); !w.hasFmt && len(body) >= 14 {
			w.format, w.hasFmt = readWaveFormat(body, w.order), true
		}
	case "fact":
		if body := c.peek(int(min(h.size, 4))); len(body) == 4 {
			w.fact = uint64(w.order.Uint32(body))
		}
	case "ds64":
		w.readLong(c.peek(int(min(h.size, 28))))
	case "data":
		return w.data(c, h.size)
	}
	got := c.skip(h.size)
	skipPadding(c, h.size)
	return got == h.size
}

// readLong takes the 64-bit lengths: the whole, the data, the samples.
func (w *wav) readLong(body []byte) {
	if len(body) < 16 {
		return
	}
	w.long = int64(min(w.order.Uint64(body[8:]), math.MaxInt64))
	if len(body) >= 24 && w.order.Uint64(body[16:]) > 0 {
		w.fact = w.order.Uint64(body[16:])
	}
}

// data measures the sound. Only the first data chunk counts.
func (w *wav) data(c *cursor, size int64) bool {
	if size == unknownLength && w.long >= 0 {
		size = w.long
	}
	if w.openEnded(c, size) {
		size = math.MaxInt64
	}
	present := c.skip(size)
	if !w.hasData {
		w.hasData = true
		w.present, w.promised = uint64(present), uint64(size)
		if present < size && isPlaceholder(size) {
			w.promised = w.present
		}
	}
	skipPadding(c, size)
	return present == size
}

// openEnded holds when the data goes to the end of the file because its
// writer could not come back to fill in the length: into a pipe, or because a
// recorder crashed. A size of zero may also be the truth.
func (w *wav) openEnded(c *cursor, size int64) bool {
	if size != 0 {
		return size == unknownLength || size == math.MaxInt64
	}
	if w.riff == 0 || w.riff == unknownLength {
		return true
	}
	return len(c.peek(1)) > 0 && !isChunkID(c.peek(4))
}

// isPlaceholder knows the lengths written by those who do not know them: the
// end of the 31-bit or 32-bit range, minus a header or rounded to blocks.
func isPlaceholder(size int64) bool {
	const slack = 64 << 10
	near := func(limit int64) bool { return size > limit-slack && size <= limit }
	return near(math.MaxInt32) || size == 1<<31 || near(math.MaxUint32) || size == math.MaxInt64
}

func (w *wav) report(in *Info) error {
	if !w.hasFmt {
		return errors.New("the WAV header does not say what sound is inside (no fmt chunk)")
	}
	f := w.format
	in.Codec, in.SampleRate, in.Channels, in.Bits = f.codec(w.order), f.rate, f.channels, f.resolution()
	if f.rate == 0 || f.channels == 0 {
		return fmt.Errorf("the WAV header is damaged: %d channels at %d Hz", f.channels, f.rate)
	}
	if !w.hasData {
		in.cut(0, 0)
		return nil
	}
	present, err := f.duration(w.present, w.fact)
	if err != nil || w.present >= w.promised {
		in.whole(present)
		return err
	}
	promised, err := f.duration(w.promised, w.fact)
	in.cut(promised, present)
	return err
}
