package audio

import "encoding/binary"

// readFragmentLength reads mehd: how long all fragments are together.
func (m *mp4) readFragmentLength(b []byte) {
	switch {
	case len(b) >= 12 && b[0] == 1:
		m.fragment = binary.BigEndian.Uint64(b[4:])
	case len(b) >= 8 && b[0] == 0:
		m.fragment = uint64(binary.BigEndian.Uint32(b[4:]))
	}
}

// readDefaults reads trex: what samples in a track's fragments have unless
// they say otherwise.
func (m *mp4) readDefaults(b []byte) {
	if len(b) < 20 {
		return
	}
	if t := m.find(binary.BigEndian.Uint32(b[4:])); t != nil {
		t.each, t.size = binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
	}
}

func (m *mp4) find(id uint32) *mp4Track {
	for _, t := range m.tracks {
		if t.id == id {
			return t
		}
	}
	return nil
}

// The flags of tfhd and trun that make fields optional.
const (
	hasBaseOffset      = 1 << 0
	hasDescription     = 1 << 1
	hasDefaultDuration = 1 << 3
	hasDefaultSize     = 1 << 4

	hasDataOffset  = 1 << 0
	hasFirstFlags  = 1 << 2
	hasDuration    = 1 << 8
	hasSize        = 1 << 9
	hasFlags       = 1 << 10
	hasComposition = 1 << 11
)

// readFragmentHeader reads tfhd: which track a fragment belongs to, and its
// own defaults. They stay with the track: writers repeat them every time.
func (m *mp4) readFragmentHeader(b []byte) {
	if len(b) < 8 {
		return
	}
	flags := binary.BigEndian.Uint32(b)
	m.track = m.find(binary.BigEndian.Uint32(b[4:]))
	if m.track == nil {
		return
	}
	b = b[8:]
	drop := func(bit uint32, n int) {
		if flags&bit != 0 {
			b = b[min(n, len(b)):]
		}
	}
	drop(hasBaseOffset, 8)
	drop(hasDescription, 4)
	if flags&hasDefaultDuration != 0 && len(b) >= 4 {
		m.track.each = binary.BigEndian.Uint32(b)
	}
	drop(hasDefaultDuration, 4)
	if flags&hasDefaultSize != 0 && len(b) >= 4 {
		m.track.size = binary.BigEndian.Uint32(b)
	}
}

// readRun reads trun: the samples of a fragment.
func (m *mp4) readRun(end int64) {
	t, head := m.track, m.body(end, 8)
	if t == nil || len(head) < 8 {
		return
	}
	flags, count := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	width := 4 * ones(flags, hasDuration, hasSize, hasFlags, hasComposition)
	if flags&hasDuration == 0 {
		t.ticks = sum(t.ticks, product(uint64(count), uint64(t.each)))
	}
	if flags&hasSize == 0 {
		t.bytes = sum(t.bytes, product(uint64(count), uint64(t.size)))
	}
	m.c.skip(int64(8 + 4*ones(flags, hasDataOffset, hasFirstFlags)))
	if flags&(hasDuration|hasSize) == 0 {
		return
	}
	for range count {
		entry := m.body(end, width)
		if len(entry) < width {
			return
		}
		t.addSample(entry, flags)
		m.c.skip(int64(width))
	}
}

// addSample takes one entry of trun: duration first, then size.
func (t *mp4Track) addSample(entry []byte, flags uint32) {
	if flags&hasDuration != 0 {
		t.ticks = sum(t.ticks, uint64(binary.BigEndian.Uint32(entry)))
		entry = entry[4:]
	}
	if flags&hasSize != 0 {
		t.bytes = sum(t.bytes, uint64(binary.BigEndian.Uint32(entry)))
	}
}

// ones counts which of the bits are set in flags.
func ones(flags uint32, bits ...uint32) int {
	n := 0
	for _, bit := range bits {
		if flags&bit != 0 {
			n++
		}
	}
	return n
}
