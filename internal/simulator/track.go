package simulator

import (
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// loop is music as bare MP3 frames; assets/make.sh says how it is made and why
// it may be cut between any two frames.
//
//go:embed assets/loop.mp3
var loop []byte

const (
	frameBytes = 96
	frameTime  = 24 * time.Millisecond
)

var errSeek = errors.New("seek before the start of the track")

// framesFor rounds a length to whole frames, and to at least one second, below
// which players and probes disagree about what a file is.
func framesFor(length time.Duration) int {
	return max(int((length+frameTime/2)/frameTime), 42)
}

// track is one result file: an ID3 tag that names it, then frames of the loop
// from a place that depends on the id. It is generated as it is read, so ten
// thousand tracks cost no memory. It is not for concurrent use.
type track struct {
	tag    []byte
	start  int // offset into loop
	frames int
	at     int64
}

func newTrack(id, title string, frames int) *track {
	start := diceOf(id).pick("start", 0, len(loop)/frameBytes) * frameBytes
	return &track{tag: id3(id, title), start: start, frames: frames}
}

// Size is the length of the file in bytes.
func (t *track) Size() int64 { return int64(len(t.tag) + t.frames*frameBytes) }

// Read implements io.Reader.
func (t *track) Read(p []byte) (int, error) {
	left := t.Size() - t.at
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	var n int
	for n < len(p) {
		n += copy(p[n:], t.piece(t.at+int64(n)))
	}
	t.at += int64(n)
	return n, nil
}

// piece gives the contiguous bytes that begin at an offset of the file.
func (t *track) piece(at int64) []byte {
	if at < int64(len(t.tag)) {
		return t.tag[at:]
	}
	return loop[(t.start+int(at)-len(t.tag))%len(loop):]
}

// Seek implements io.Seeker.
func (t *track) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += t.at
	case io.SeekEnd:
		offset += t.Size()
	}
	if offset < 0 {
		return 0, errSeek
	}
	t.at = offset
	return offset, nil
}

// id3 writes an ID3v2.4 tag with the title and the id.
func id3(id, title string) []byte {
	frames := id3Frame("TIT2", "\x03"+title)
	frames = append(frames, id3Frame("TXXX", "\x03track\x00"+id)...)
	tag := append([]byte("ID3\x04\x00\x00"), syncsafe(len(frames))...)
	return append(tag, frames...)
}

func id3Frame(name, text string) []byte {
	head := append([]byte(name), syncsafe(len(text))...)
	return append(append(head, 0, 0), text...)
}

// syncsafe writes a size in four bytes of seven bits, as ID3v2.4 does.
func syncsafe(n int) []byte {
	u := uint32(n)
	return binary.BigEndian.AppendUint32(nil, u&0x7f|u<<1&0x7f00|u<<2&0x7f0000|u<<3&0x7f000000)
}

// seconds writes a duration as the documents do, to the millisecond.
func seconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// etag is strong: the bytes of a track never change.
func etag(id string, frames int) string { return fmt.Sprintf("%q", fmt.Sprintf("%s-%d", id, frames)) }
