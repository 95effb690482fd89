package audio

import (
	"bytes"
	"encoding/binary"
)

const (
	oggHeaderLength = 27
	oggPageMax      = oggHeaderLength + 255 + 255*255
	// oggPatience bounds the bytes run through checksums that fail: crafted
	// files can hold a page's beginning every few bytes.
	oggPatience = 8 << 20
)

var oggMagic = []byte("OggS")

// oggPage is one page whose checksum holds. Its slices are valid until the
// next page is read.
type oggPage struct {
	flags   byte
	granule int64 // -1 when no packet ends here
	serial  uint32
	lacing  []byte
	body    []byte
}

func (p oggPage) continues() bool { return p.flags&1 != 0 }
func (p oggPage) begins() bool    { return p.flags&2 != 0 }
func (p oggPage) ends() bool      { return p.flags&4 != 0 }

// readOggPage reads the page at the beginning of b and gives its length. The
// length is zero when no page begins there, and more than len(b) when the
// page does not end there. ok tells whether the checksum holds.
func readOggPage(b []byte) (p oggPage, length int, ok bool) {
	if len(b) < oggHeaderLength || !bytes.HasPrefix(b, oggMagic) || b[4] != 0 {
		return oggPage{}, 0, false
	}
	body := oggHeaderLength + int(b[26])
	if len(b) < body {
		return oggPage{}, body, false
	}
	length = body
	for _, n := range b[oggHeaderLength:body] {
		length += int(n)
	}
	if len(b) < length || !oggChecksum(b[:length]) {
		return oggPage{}, length, false
	}
	return oggPage{
		flags:   b[5],
		granule: int64(binary.LittleEndian.Uint64(b[6:])),
		serial:  binary.LittleEndian.Uint32(b[14:]),
		lacing:  b[oggHeaderLength:body],
		body:    b[body:length],
	}, length, true
}

// oggChecksum computes over the page with its own checksum taken as zero.
func oggChecksum(page []byte) bool {
	crc := crc32Ogg(0, page[:22])
	crc = crc32Ogg(crc, []byte{0, 0, 0, 0})
	crc = crc32Ogg(crc, page[26:])
	return crc == binary.LittleEndian.Uint32(page[22:])
}

// oggReader finds one page after the other and passes what is damaged.
type oggReader struct {
	c       *cursor
	damaged int64 // bytes between pages
	wasted  int
	cut     bool // the file ends inside a page
	pending int64
}

func (r *oggReader) next() (oggPage, bool) {
	r.c.skip(r.pending)
	r.pending = 0
	for {
		shown := r.c.peek(oggPageMax)
		p, length, ok := readOggPage(shown)
		switch {
		case ok:
			// Passing it now would let the next peek overwrite it.
			r.pending = int64(length)
			return p, true
		case len(shown) == 0:
			return oggPage{}, false
		case length > len(shown):
			// Short of a page means the end of the file.
			r.cut = true
			return oggPage{}, false
		case tagLength(shown) > 0:
			r.c.skip(tagLength(shown))
			continue
		}
		r.resync(shown, length)
	}
}

// resync passes what is no page, up to where one may begin.
func (r *oggReader) resync(shown []byte, length int) {
	step := len(shown)
	if i := bytes.Index(shown[1:], oggMagic); i >= 0 {
		step = i + 1
	} else if step > len(oggMagic) {
		step -= len(oggMagic) - 1
	}
	r.wasted += length
	if r.wasted > oggPatience {
		step = max(step, length)
	}
	r.damaged += r.c.skip(int64(step))
}

// oggPagesIn lists the pages in the last bytes of a file. exact means that
// nothing but tags follows the last one.
func oggPagesIn(end []byte) (pages []oggPage, exact bool) {
	end = stripTags(end)
	wasted := 0
	for len(end) > 0 && wasted < oggPatience {
		p, length, ok := readOggPage(end)
		if ok {
			pages = append(pages, p)
			end, exact = end[length:], true
			continue
		}
		wasted += min(length, len(end))
		exact = false
		i := bytes.Index(end[1:], oggMagic)
		if i < 0 {
			break
		}
		end = end[i+1:]
	}
	return pages, exact
}
