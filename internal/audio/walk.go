package audio

import "time"

// walker counts frames. A stream may consist of segments: parts of joined
// files, each with its own header, or with another sample rate.
type walker struct {
	c        *cursor
	kind     uint32
	segment  segment
	present  time.Duration // of the segments before
	promised time.Duration
	junk     int64 // bytes between frames that are neither frames nor tags
	wrong    bool  // a header contradicts what follows it
	cutFrame bool  // the file ends inside a frame
}

// segment is a run of frames under one header.
type segment struct {
	header  vbrHeader
	start   int64 // offset of the header's frame
	rate    int
	each    int // samples per frame, of the first one
	frames  uint64
	samples uint64
}

// walkFrames measures a stream from its first frame, where c stands.
//
// Over ranges, a header that agrees with the length of the file is believed;
// everything else is counted frame by frame.
func walkFrames(c *cursor, in *Info, first frame) error {
	in.Format, in.Codec, in.SampleRate, in.Channels = first.format, first.codec, first.rate, first.channels
	w := &walker{c: c, kind: first.kind}
	for {
		shown := c.peek(frameHeaderLength)
		f, ok := readFrame(shown)
		if !ok || f.kind != w.kind {
			if f, ok = w.next(); !ok {
				break
			}
			w.turn(f)
		}
		if !w.take(f) {
			break
		}
		if w.believes() {
			in.whole(w.segment.claim())
			return nil
		}
	}
	w.report(in)
	return nil
}

// turn starts another segment when the kind of frame changed.
func (w *walker) turn(f frame) {
	if f.kind != w.kind {
		w.kind = f.kind
		w.close(false)
	}
}

// take counts one frame and passes it; false when the file ends inside it.
func (w *walker) take(f frame) bool {
	if header, ok := readVBR(w.c.peek(min(f.length, vbrHeaderLength)), f); ok {
		w.close(false)
		w.segment = segment{header: header, start: w.c.pos, rate: f.rate, each: f.samples}
		w.cutFrame = w.c.skip(int64(f.length)) < int64(f.length)
		return !w.cutFrame
	}
	if w.c.skip(int64(f.length)) < int64(f.length) {
		w.cutFrame = true
		return false
	}
	if w.segment.rate == 0 {
		w.segment.rate, w.segment.each = f.rate, f.samples
	}
	w.segment.frames++
	w.segment.samples += uint64(f.samples)
	return true
}

// next passes tags and damage up to the next frame; false when none follows.
func (w *walker) next() (frame, bool) {
	var passed int64
	for {
		shown := w.c.peek(searchWindow)
		if len(shown) == 0 {
			return frame{}, false
		}
		if f, ok := w.resumes(shown); ok {
			w.junk += passed
			return f, true
		}
		if length := tagLength(shown); length > 0 {
			w.c.skip(length)
			continue
		}
		passed += w.c.skip(int64(nextCandidate(shown)))
	}
}

// resumes reads a frame at the beginning of shown that continues the stream.
// A stream of another kind has to prove itself longer.
func (w *walker) resumes(shown []byte) (frame, bool) {
	f, ok := chained(shown, 2, false)
	if !ok || f.kind == w.kind {
		return f, ok
	}
	return chained(shown, 4, false)
}

// nextCandidate gives the distance to the next byte that a frame or a tag may
// begin with.
func nextCandidate(shown []byte) int {
	for i, b := range shown[1:] {
		switch b {
		case 0xff, 'T', 'A', 'I':
			return i + 1
		}
	}
	return len(shown)
}

// believes tells, right behind a header frame over ranges, whether the header
// may be taken at its word: it accounts for all bytes up to the final tags.
func (w *walker) believes() bool {
	s := &w.segment
	if w.c.ranges == nil || s.frames > 0 || s.header.frames == 0 || s.header.bytes == 0 || w.present > 0 {
		return false
	}
	const tags = 64 << 10
	last := w.c.last(tags)
	end := w.c.size - int64(len(last)-len(stripTags(last)))
	return s.start+s.header.bytes == end
}

// close adds the current segment to the sums. What its header promises is
// compared with what is there, except that one frame more or less is a matter
// of how encoders count.
func (w *walker) close(last bool) {
	s := w.segment
	w.segment = segment{}
	present, claim := s.length(), s.claim()
	if s.header.frames == 0 || s.frames == s.header.frames {
		claim = present
	}
	switch {
	case s.header.frames == 0:
	case s.frames > s.header.frames+1:
		w.wrong, claim = true, present
	case s.frames+1 < s.header.frames && !last:
		w.wrong, claim = true, present
	}
	w.present = plus(w.present, present)
	w.promised = plus(w.promised, claim)
}

// length gives how long the frames play that were counted.
func (s segment) length() time.Duration {
	samples, drop := s.samples, s.header.delay
	if s.header.frames == 0 || s.frames >= s.header.frames {
		drop += s.header.padding
	}
	return playing(samples-min(drop, samples), uint64(s.rate))
}

// claim gives how long the header says that the segment plays.
func (s segment) claim() time.Duration {
	samples, drop := product(s.header.frames, uint64(s.each)), s.header.delay+s.header.padding
	return playing(samples-min(drop, samples), uint64(s.rate))
}

func (w *walker) report(in *Info) {
	short := w.segment.header.frames > w.segment.frames+1
	missing := w.segment.header.frames == w.segment.frames+1 && w.missingBytes()
	counted := w.segment.header.frames > 0
	w.close(true)
	switch {
	case short || missing:
		in.cut(w.promised, w.present)
	case w.cutFrame && !counted:
		in.cut(0, w.present)
	default:
		in.whole(w.present)
	}
	if w.wrong {
		in.note("the header of this file is wrong about its length: the length was counted")
	}
	if w.junk > 0 {
		in.note("damaged: parts in the middle of this file are not playable")
	}
}

// missingBytes tells whether a header counts bytes that are not there.
func (w *walker) missingBytes() bool {
	s := w.segment
	return w.cutFrame || s.header.bytes > 0 && s.start+s.header.bytes > w.c.pos
}
