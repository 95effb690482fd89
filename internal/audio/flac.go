package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	flacStreamInfo = 0
	flacInvalid    = 127

	// The end of a FLAC file is searched for its last frame. Two of the
	// largest frames hold one whole frame wherever the file ends.
	flacTailMin = 64 << 10
	flacTailMax = 4 << 20
)

// flacInfo is what a STREAMINFO block says.
type flacInfo struct {
	minBlock int // samples per frame; equal to maxBlock when it is fixed
	maxBlock int
	maxFrame int // bytes; zero when unknown
	rate     int
	channels int
	bits     int
	total    uint64 // samples per channel; zero when unknown
}

func isFLAC(head []byte) bool { return len(head) >= 4 && string(head[:4]) == "fLaC" }

// parseFLAC reads the metadata blocks and compares what they promise with the
// last frame of the file, which knows where in the stream it belongs.
// RFC 9639.
func parseFLAC(c *cursor, in *Info) error {
	c.skip(4)
	about, err := flacMetadata(c)
	if err != nil {
		return err
	}
	in.Codec, in.SampleRate, in.Channels, in.Bits = "flac", about.rate, about.channels, about.bits

	window := min(max(2*about.maxFrame, flacTailMin), flacTailMax)
	if about.maxFrame == 0 {
		window = flacTailMax / 4
	}
	present, complete := flacEnd(stripTags(c.tail(window)), about)
	switch {
	case about.total == 0 && complete:
		in.whole(playing(present, uint64(about.rate)))
	case about.total == 0:
		in.cut(0, playing(present, uint64(about.rate)))
	case present < about.total:
		in.cut(playing(about.total, uint64(about.rate)), playing(present, uint64(about.rate)))
	default:
		in.whole(playing(present, uint64(about.rate)))
	}
	return nil
}

// flacMetadata passes all metadata blocks. A file that ends among them is
// truncated, not an error: the frames are what is missing.
func flacMetadata(c *cursor) (flacInfo, error) {
	var about flacInfo
	for last := false; !last; {
		head := c.peek(4)
		if len(head) < 4 {
			break
		}
		last = head[0]&0x80 != 0
		kind, size := head[0]&0x7f, int(head[1])<<16|int(head[2])<<8|int(head[3])
		if kind == flacInvalid {
			break
		}
		c.skip(4)
		if kind == flacStreamInfo && size >= 34 && about.rate == 0 {
			about = readStreamInfo(c.peek(34))
		}
		c.skip(int64(size))
	}
	switch {
	case about.maxBlock == 0:
		return about, errors.New("cut off or damaged: the FLAC header is not complete")
	case about.rate == 0:
		return about, fmt.Errorf("the FLAC header is damaged: %d channels at 0 Hz", about.channels)
	}
	return about, nil
}

// readStreamInfo reads section 8.2 of RFC 9639; zero when b is too short.
func readStreamInfo(b []byte) flacInfo {
	if len(b) < 34 {
		return flacInfo{}
	}
	packed := binary.BigEndian.Uint64(b[10:])
	return flacInfo{
		minBlock: int(binary.BigEndian.Uint16(b)),
		maxBlock: int(binary.BigEndian.Uint16(b[2:])),
		maxFrame: int(b[7])<<16 | int(b[8])<<8 | int(b[9]),
		rate:     int(packed >> 44),
		channels: int(packed>>41&7) + 1,
		bits:     int(packed>>36&31) + 1,
		total:    packed & (1<<36 - 1),
	}
}
