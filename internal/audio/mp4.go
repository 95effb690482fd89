package audio

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

const (
	// mp4Depth bounds the nesting: moov/trak/mdia/minf/stbl is five.
	mp4Depth = 8
	// mp4Tracks bounds the tracks that are kept. Films have a dozen.
	mp4Tracks = 64
)

// mp4 gathers what the boxes say: ISO/IEC 14496-12 and Apple's QuickTime File
// Format. The index (moov) may stand before or behind the sound (mdat), or
// the sound may come in fragments (moof), each with its own index.
type mp4 struct {
	c        *cursor
	scale    uint32 // of the file: ticks per second
	fragment uint64 // the length that all fragments should have, in file ticks
	tracks   []*mp4Track
	track    *mp4Track // the one being read
	payload  uint64    // bytes of sound and pictures that are there
	declared uint64    // and those that the boxes announce
	index    bool      // a moov was seen
	pieces   bool      // a moof was seen: the index does not know the whole
	gapless  uint64    // samples without priming, as Apple's encoder notes them
	cut      bool      // some box ends behind the file
	boxes    int
}

// parseMP4 reads all boxes, in whatever order they come.
func parseMP4(c *cursor, in *Info) error {
	if kind := imageBrand(c.peek(12)); kind != "" {
		return errors.New("this is not audio (" + kind + ")")
	}
	m := &mp4{c: c}
	for m.box(math.MaxInt64, 0) {
	}
	return m.report(in)
}

// box reads one box that ends at the latest at limit; false when none is left.
func (m *mp4) box(limit int64, depth int) bool {
	if m.c.pos >= limit {
		return false
	}
	start := m.c.pos
	kind, length, header := readBox(m.c.peek(16))
	if header == 0 || limit-start < header {
		return false
	}
	end := limit
	if length > 0 {
		end = start + min(length, limit-start)
	}
	m.c.skip(header)
	m.boxes++
	m.content(kind, end, depth)
	rest := end - m.c.pos
	missing := m.c.skip(rest) < rest && length > 0
	m.cut = m.cut || missing
	return !missing
}

// content reads what is needed of a box's inside; the caller passes the rest.
func (m *mp4) content(kind string, end int64, depth int) {
	switch kind {
	case "mdat":
		m.media(end)
	case "moov", "trak", "mdia", "minf", "stbl", "edts", "mvex", "moof", "traf", "udta", "meta", "ilst":
		m.enter(kind, end, depth)
	case "----":
		m.readNote(m.body(end, 512))
	case "mvhd":
		m.scale, _ = readHeaderBox(m.body(end, 32))
	case "mehd":
		m.readFragmentLength(m.body(end, 12))
	case "trex":
		m.readDefaults(m.body(end, 24))
	case "tfhd":
		m.readFragmentHeader(m.body(end, 28))
	case "trun":
		m.readRun(end)
	default:
		if m.track != nil {
			m.trackBox(kind, end)
		}
	}
}

// trackBox reads the boxes that belong to one trak.
func (m *mp4) trackBox(kind string, end int64) {
	t := m.track
	switch kind {
	case "tkhd":
		t.readHeader(m.body(end, 24))
	case "mdhd":
		t.scale, t.length = readHeaderBox(m.body(end, 32))
	case "hdlr":
		t.readHandler(m.body(end, 12))
	case "stsd":
		t.readDescription(m.body(end, 16<<10))
	case "elst":
		t.readEdits(m.body(end, 4<<10))
	case "stts":
		m.table(end, 8, t.addTimes)
	case "stsz":
		m.readSizes(end)
	}
}

// enter reads the boxes inside another. Children that make no sense end it.
func (m *mp4) enter(kind string, end int64, depth int) {
	if depth >= mp4Depth {
		return
	}
	switch kind {
	case "moov":
		m.index = true
	case "moof":
		m.pieces = true
	case "meta":
		// QuickTime's meta has no version and flags.
		if head := m.body(end, 8); len(head) == 8 && string(head[4:]) != "hdlr" {
			m.c.skip(4)
		}
	case "trak":
		if len(m.tracks) < mp4Tracks {
			m.track = &mp4Track{}
			m.tracks = append(m.tracks, m.track)
		}
	case "traf":
		m.track = nil
	}
	for m.box(end, depth+1) {
	}
	if kind == "trak" || kind == "traf" {
		m.track = nil
	}
}

// media measures the sound itself.
func (m *mp4) media(end int64) {
	want := end - m.c.pos
	got := m.c.skip(want)
	m.payload = sum(m.payload, uint64(got))
	if end != math.MaxInt64 {
		m.declared = sum(m.declared, uint64(want))
	}
}

// body shows up to n bytes of the current box.
func (m *mp4) body(end int64, n int) []byte {
	return m.c.peek(int(max(0, min(int64(n), end-m.c.pos))))
}

// table passes a full box's entries of width bytes to take: as many as it
// says, but only those that are there.
func (m *mp4) table(end int64, width int, take func(entry []byte)) {
	head := m.body(end, 8)
	if len(head) < 8 {
		return
	}
	count := binary.BigEndian.Uint32(head[4:])
	m.c.skip(8)
	for range count {
		entry := m.body(end, width)
		if len(entry) < width {
			return
		}
		take(entry)
		m.c.skip(int64(width))
	}
}

// sound gives the first track that is sound.
func (m *mp4) sound() *mp4Track {
	for _, t := range m.tracks {
		if t.sound {
			return t
		}
	}
	return nil
}

func (m *mp4) report(in *Info) error {
	t := m.sound()
	switch {
	case t == nil && !m.index || t == nil && m.cut:
		return m.withoutIndex(in)
	case t == nil:
		return errors.New("there is no audio in this MP4 file")
	case t.protected:
		return errors.New("the sound of this file is copy-protected (DRM)")
	case !m.cut && (t.codec == "" || t.scale == 0):
		return errors.New("the index (moov) of this MP4 file is damaged: it does not say what sound is inside")
	}
	in.Codec, in.SampleRate, in.Channels, in.Bits = t.codec, t.sampleRate(), t.channels, t.bits
	m.measure(in, t)
	return nil
}

// withoutIndex handles files of which nothing can be told. When the sound is
// there, or was announced, the rest was cut off.
func (m *mp4) withoutIndex(in *Info) error {
	if m.boxes == 0 || m.declared == 0 && m.payload == 0 && !m.cut {
		return errors.New("there is no audio in this MP4 file: its index (moov) is missing")
	}
	in.cut(0, 0)
	in.Problem = "cut off: the index (moov) that says what is inside is missing"
	return nil
}

// playing gives a track's length without the encoder's priming. Apple notes
// that outside the track; a note that does not fit it is not believed.
func (m *mp4) playing(t *mp4Track) time.Duration {
	const most = 200 * time.Millisecond
	length := t.playing(m.scale)
	noted := playing(m.gapless, uint64(t.sampleRate()))
	if t.edited || noted == 0 || noted > length || length-noted > most {
		return length
	}
	return noted
}

// measure compares what the index describes with the bytes that are there.
func (m *mp4) measure(in *Info, t *mp4Track) {
	length := m.playing(t)
	var described uint64
	for _, track := range m.tracks {
		described = sum(described, track.bytes)
	}
	promised := playing(m.fragment, uint64(m.scale))
	if !m.pieces {
		promised = max(promised, length)
	}
	const tolerance = time.Second / 2 // priming, and rounding to file ticks
	switch {
	case m.payload < described:
		in.cut(promised, share(length, m.payload, described))
	case m.cut && m.payload < m.declared:
		in.cut(promised, share(length, m.payload, m.declared))
	case promised > plus(length, tolerance):
		in.cut(promised, length)
	case m.cut && m.payload == 0:
		in.cut(promised, 0)
	case m.cut:
		in.cut(0, max(length, playing(t.length, uint64(t.scale))))
	default:
		in.whole(length)
	}
}
