package audio

import (
	"bytes"
	"errors"
	"fmt"
)

// containers are tried in order on the first bytes behind any ID3 tag.
var containers = []struct {
	format Format
	match  func(head []byte) bool
	parse  func(c *cursor, in *Info) error
}{
	{WAV, isWAV, parseWAV},
	{AIFF, isAIFF, parseAIFF},
	{FLAC, isFLAC, parseFLAC},
	{OGG, isOgg, parseOgg},
	{M4A, isMP4, parseMP4},
}

// parse finds the container and fills in what it says. Its errors are
// sentences for a musician.
func parse(c *cursor, in *Info) error {
	head := c.peek(headLength)
	if len(head) == 0 {
		return errors.New("the file is empty")
	}
	tagged, whole := skipID3(c)
	if !whole {
		return errors.New("cut off inside its ID3 tag, before the sound begins")
	}
	head = c.peek(headLength)
	if tagged && len(head) == 0 {
		return errors.New("no MP3 frame found: the file ends after its ID3 tag")
	}
	for _, k := range containers {
		if k.match(head) {
			in.Format = k.format
			return k.parse(c, in)
		}
	}
	return parseFrames(c, in, tagged)
}

// parseFrames handles the formats without a container, which begin with
// whatever their first frame happens to be, and says what else it could be
// when there is no such frame.
func parseFrames(c *cursor, in *Info, tagged bool) error {
	if found, ok := locate(c, 0); ok {
		return walkFrames(c, in, found)
	}
	if !tagged {
		if kind := foreign(c.peek(headLength)); kind != "" {
			return fmt.Errorf("this is not audio (%s)", kind)
		}
	}
	if skipZeros(c); len(c.peek(1)) == 0 {
		return errors.New("this is not audio: the file holds nothing but zeros")
	}
	if found, ok := locate(c, searchLength); ok {
		return walkFrames(c, in, found)
	}
	switch {
	case freeFormat(c.peek(4)):
		return errors.New("this MP3 is in free format, which nothing plays reliably")
	case tagged:
		return errors.New("no MP3 frame found after the ID3 tag")
	}
	return errors.New("this is not audio of a known kind: no MP3 frame found, nor any known header")
}

// skipID3 passes the ID3v2 tags in front. whole is false when a tag claims to
// go on behind the end of the file.
func skipID3(c *cursor) (tagged, whole bool) {
	for {
		length := id3Length(c.peek(10))
		if length == 0 {
			return tagged, true
		}
		tagged = true
		if c.skip(length) < length {
			return tagged, false
		}
	}
}

// id3Length gives the length of the ID3v2 tag that begins with head, or zero.
// https://id3.org/id3v2.4.0-structure section 3.1
func id3Length(head []byte) int64 {
	if len(head) < 10 || string(head[:3]) != "ID3" || head[3] == 0xff || head[4] == 0xff {
		return 0
	}
	var size int64
	for _, b := range head[6:10] {
		if b >= 0x80 {
			return 0
		}
		size = size<<7 | int64(b)
	}
	if head[5]&0x10 != 0 {
		size += 10 // a footer
	}
	return size + 10
}

// skipZeros passes the padding that some taggers leave behind their tag.
func skipZeros(c *cursor) {
	for {
		shown := c.peek(bufferSize / 2)
		zeros := len(shown) - len(bytes.TrimLeft(shown, "\x00"))
		c.skip(int64(zeros))
		if zeros < len(shown) || zeros == 0 {
			return
		}
	}
}
