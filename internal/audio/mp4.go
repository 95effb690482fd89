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
	cut      bool      // some box ends behind the file
	boxes    int
}

// isMP4 knows ftyp and the boxes that files older than it begin with. Image
// formats built on the same boxes are left to report.
func isMP4(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	switch string(head[4:8]) {
	case "ftyp", "styp", "moov", "moof", "sidx":
		return true
	case "mdat", "free", "skip", "wide", "pnot":
		// These words could stand in anything: they need a plausible length.
		size := binary.BigEndian.Uint32(head)
		return size >= 8 || size <= 1
	}
	return false
}

func parseMP4(c *cursor, in *Info) error {
	if kind := imageBrand(c.peek(12)); kind != "" {
		return errors.New("this is not audio (" + kind + ")")
	}
	m := &mp4{c: c}
	for m.box(math.MaxInt64, 0) {
	}
	return m.report(in)
}

// imageBrand names pictures that look like MP4 from outside.
func imageBrand(head []byte) string {
	if len(head) < 12 || string(head[4:8]) != "ftyp" {
		return ""
	}
	switch string(head[8:12]) {
	case "heic", "heix", "mif1", "msf1", "heim", "heis":
		return "HEIC image"
	case "avif", "avis":
		return "AVIF image"
	case "crx ":
		return "raw photo"
	}
	return ""
}

// box reads one box that ends at the latest at limit; false when none is left.
func (m *mp4) box(limit int64, depth int) bool {
	if m.c.pos >= limit {
		return false
	}
	start := m.c.pos
	kind, length, header := readBox(m.c.peek(16))
	if header == 0 || limit-start < header {
		m.cut = m.cut || depth > 0 && len(m.c.peek(8)) < 8
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

// readBox reads a box header. length counts the header; zero means up to the
// end of the file. header is zero when b begins no box.
func readBox(b []byte) (kind string, length, header int64) {
	if len(b) < 8 || !isBoxName(b[4:8]) {
		return "", 0, 0
	}
	kind, length, header = string(b[4:8]), int64(binary.BigEndian.Uint32(b)), 8
	if length == 1 {
		if len(b) < 16 {
			return "", 0, 0
		}
		length, header = int64(min(binary.BigEndian.Uint64(b[8:]), math.MaxInt64)), 16
	}
	if length != 0 && length < header {
		return "", 0, 0
	}
	return kind, length, header
}

// isBoxName also accepts Apple's names that begin with a copyright sign.
func isBoxName(b []byte) bool {
	for i, v := range b[:4] {
		if (v < ' ' || v > '~') && (i > 0 || v != 0xa9) {
			return false
		}
	}
	return true
}

// content reads what is needed of a box's inside; the caller passes the rest.
func (m *mp4) content(kind string, end int64, depth int) {
	switch kind {
	case "mdat":
		m.media(end)
	case "moov", "trak", "mdia", "minf", "stbl", "edts", "mvex", "moof", "traf":
		m.enter(kind, end, depth)
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

// measure compares what the index describes with the bytes that are there.
func (m *mp4) measure(in *Info, t *mp4Track) {
	length := t.playing(m.scale)
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
