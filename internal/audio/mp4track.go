package audio

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"
)

// mp4Track is one track of the index, and what fragments add to it.
type mp4Track struct {
	id        uint32
	sound     bool
	protected bool
	codec     string
	channels  int
	rate      int
	bits      int

	scale  uint32 // ticks per second
	length uint64 // ticks, as the track's header says
	ticks  uint64 // ticks, as its samples add up
	bytes  uint64 // of all its samples
	each   uint32 // ticks of a sample in fragments, unless they say otherwise
	size   uint32 // bytes, likewise

	// Of the edit list: where the sound begins, in track ticks, and how long
	// it plays, in file ticks.
	edited bool
	begin  uint64
	plays  uint64
}

// playing gives the track's length. fileScale is what edits count in.
func (t *mp4Track) playing(fileScale uint32) time.Duration {
	ticks := t.ticks
	if ticks == 0 {
		ticks = t.length
	}
	if t.edited {
		ticks -= min(t.begin, ticks)
	}
	all := playing(ticks, uint64(t.scale))
	if !t.edited || t.plays == 0 || fileScale == 0 {
		return all
	}
	return min(all, playing(t.plays, uint64(fileScale)))
}

// sampleRate falls back to the time scale: rates above 65,535 Hz do not fit
// where old writers put them.
func (t *mp4Track) sampleRate() int {
	if t.rate > 0 {
		return t.rate
	}
	return int(t.scale)
}

// addTimes takes an entry of stts: so many samples of so many ticks.
func (t *mp4Track) addTimes(entry []byte) {
	count, ticks := binary.BigEndian.Uint32(entry), binary.BigEndian.Uint32(entry[4:])
	t.ticks = sum(t.ticks, product(uint64(count), uint64(ticks)))
}

// readHeader reads the id from tkhd, which stands behind the dates.
func (t *mp4Track) readHeader(b []byte) {
	at := 12
	if len(b) > 0 && b[0] == 1 {
		at = 20
	}
	if len(b) >= at+4 {
		t.id = binary.BigEndian.Uint32(b[at:])
	}
}

// readHandler must not forget: QuickTime has a second hdlr, for the data.
func (t *mp4Track) readHandler(b []byte) {
	t.sound = t.sound || len(b) >= 12 && string(b[8:12]) == "soun"
}

// readEdits reads an edit list of the simple kind: pauses, and one stretch of
// the track. Several stretches add up; where they begin does not matter then.
func (t *mp4Track) readEdits(b []byte) {
	if len(b) < 8 {
		return
	}
	width := 12
	if b[0] == 1 {
		width = 20
	}
	count := binary.BigEndian.Uint32(b[4:])
	for b = b[8:]; count > 0 && len(b) >= width; count, b = count-1, b[width:] {
		plays, begin := uint64(binary.BigEndian.Uint32(b)), int64(int32(binary.BigEndian.Uint32(b[4:])))
		if width == 20 {
			plays, begin = binary.BigEndian.Uint64(b), int64(binary.BigEndian.Uint64(b[8:]))
		}
		if begin < 0 {
			continue // a pause
		}
		if !t.edited {
			t.edited, t.begin = true, uint64(begin)
		} else {
			t.begin = min(t.begin, uint64(begin))
		}
		t.plays = sum(t.plays, plays)
	}
}

// readNote reads the comment iTunSMPB, which Apple's encoders leave behind:
// hexadecimal numbers, of which the fourth counts the samples of the sound.
func (m *mp4) readNote(b []byte) {
	const dataHeader = 4 + 8 // its name, then type and language
	at := bytes.Index(b, []byte("iTunSMPB"))
	if at < 0 {
		return
	}
	data := bytes.Index(b[at:], []byte("data"))
	if data < 0 || len(b) < at+data+dataHeader {
		return
	}
	numbers := bytes.Fields(b[at+data+dataHeader:])
	if len(numbers) < 4 {
		return
	}
	if samples, err := strconv.ParseUint(string(numbers[3]), 16, 64); err == nil {
		m.gapless = samples
	}
}

// readHeaderBox reads the time scale and the length from mvhd and mdhd, which
// begin alike. A length of all ones means unknown.
func readHeaderBox(b []byte) (scale uint32, length uint64) {
	switch {
	case len(b) >= 32 && b[0] == 1:
		scale, length = binary.BigEndian.Uint32(b[20:]), binary.BigEndian.Uint64(b[24:])
	case len(b) >= 20 && b[0] == 0:
		scale, length = binary.BigEndian.Uint32(b[12:]), uint64(binary.BigEndian.Uint32(b[16:]))
		if length == math.MaxUint32 {
			length = 0
		}
	}
	if length == math.MaxUint64 {
		length = 0
	}
	return scale, length
}

// readSizes adds up the bytes of all samples: one size for all, or a table.
func (m *mp4) readSizes(end int64) {
	head := m.body(end, 12)
	if len(head) < 12 {
		return
	}
	size, count := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	t := m.track
	if size > 0 {
		// QuickTime counts uncompressed sound in samples of one byte, which
		// says nothing.
		if size > 1 {
			t.bytes = sum(t.bytes, product(uint64(size), uint64(count)))
		}
		return
	}
	m.c.skip(4)
	m.table(end, 4, func(entry []byte) {
		t.bytes = sum(t.bytes, uint64(binary.BigEndian.Uint32(entry)))
	})
}
