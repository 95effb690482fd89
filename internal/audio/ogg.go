package audio

import (
	"errors"
	"time"
)

// oggTail is what the last page of a file surely lies in: a page has at most
// 65,307 bytes, and the window may begin inside the one before.
const oggTail = 2 * oggPageMax

// ogg walks the pages of a file. Files may be chained: each link is a stream
// of its own, and what plays is their sum.
type ogg struct {
	c       *cursor
	pages   oggReader
	stream  *oggStream // of the current link; nil until its header was seen
	headers bool       // still among the pages that begin a link
	links   int
	done    time.Duration // of the links that ended
	cut     bool          // some link has no end
	first   oggCodec
	foreign bool // a stream began that is not audio
}

func isOgg(head []byte) bool { return len(head) >= 5 && string(head[:5]) == "OggS\x00" }

// parseOgg adds up the links of the file: RFC 3533, RFC 7845.
func parseOgg(c *cursor, in *Info) error {
	o := &ogg{c: c, pages: oggReader{c: c}}
	for {
		p, ok := o.pages.next()
		if !ok {
			break
		}
		o.page(p)
		if o.jumpToEnd() {
			break
		}
	}
	if o.first.name == "" {
		return o.nothing()
	}
	in.Codec, in.SampleRate, in.Channels, in.Bits = o.first.name, o.first.rate, o.first.channels, o.first.bits
	o.report(in)
	return nil
}

func (o *ogg) nothing() error {
	switch {
	case o.foreign:
		return errors.New("there is no audio in this Ogg file")
	case o.pages.cut:
		return errors.New("cut off before the sound begins: the Ogg header is not complete")
	}
	return errors.New("the Ogg header is damaged")
}

// page takes one page: of a header, of the sound, or of something else that
// is multiplexed with it.
func (o *ogg) page(p oggPage) {
	if p.begins() {
		o.begin(p)
		return
	}
	o.headers = false
	if o.stream != nil && p.serial == o.stream.serial {
		o.stream.add(p)
	}
}

// begin starts a link with the first of its streams that is audio.
func (o *ogg) begin(p oggPage) {
	if !o.headers {
		o.finish()
		o.headers = true
	}
	codec, ok := readOggCodec(p.body)
	switch {
	case !ok:
		o.foreign = true
	case o.stream == nil:
		o.stream = &oggStream{serial: p.serial, codec: codec}
		o.links++
		if o.first.name == "" {
			o.first = codec
		}
	}
}

// finish closes the current link.
func (o *ogg) finish() {
	if o.stream == nil {
		return
	}
	o.done = plus(o.done, o.stream.duration())
	o.cut = o.cut || !o.stream.ended
	o.stream = nil
}

// jumpToEnd reads the last page where that is cheap: over ranges, once the
// beginning of the first link is known, and if that link goes on to the end.
func (o *ogg) jumpToEnd() bool {
	if o.c.ranges == nil || o.links != 1 || o.stream == nil || !o.stream.started || o.stream.ended {
		return false
	}
	pages, exact := oggPagesIn(o.c.last(oggTail))
	if len(pages) == 0 {
		return false
	}
	for _, p := range pages {
		if p.begins() || p.serial != o.stream.serial {
			return false
		}
	}
	for _, p := range pages {
		o.stream.add(p)
	}
	o.pages.cut = !exact
	return true
}

func (o *ogg) report(in *Info) {
	promised := time.Duration(0)
	if o.links == 1 && o.stream != nil {
		promised = o.stream.codec.promised()
	}
	o.finish()
	if o.cut {
		in.cut(max(promised, 0), o.done)
		return
	}
	in.whole(o.done)
	if o.pages.damaged > 0 {
		in.note("damaged: parts of this Ogg file are not readable")
	}
}

// oggStream measures one logical stream by its granule positions.
type oggStream struct {
	serial  uint32
	codec   oggCodec
	started bool // the first position is known
	first   int64
	last    int64
	packets int64 // units of sound before the first position
	ended   bool
}

// add takes a page of this stream that is not its first.
func (s *oggStream) add(p oggPage) {
	s.ended = s.ended || p.ends()
	if !s.started {
		s.packets += s.codec.samplesIn(p)
	}
	if p.granule <= 0 { // none ends here, or a header
		return
	}
	if !s.started {
		s.started = true
		// Cut-outs and live streams do not begin at zero.
		s.first = max(0, p.granule-s.packets)
	}
	s.last = p.granule
}

func (s *oggStream) duration() time.Duration {
	samples := s.last - s.first - int64(s.codec.skip)
	if samples <= 0 {
		return 0
	}
	return playing(uint64(samples), uint64(s.codec.rate))
}
