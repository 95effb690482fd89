package archive

import (
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
)

// The sizes of an ID3v2 tag's head and of the heads of its frames since version
// 2.3 (https://id3.org/id3v2.4.0-structure).
const (
	id3Head   = 10
	frameHead = 10
	// maxSyncsafe is the largest number of four bytes of seven bits.
	maxSyncsafe = 1<<28 - 1
)

// id3 is the tag at the beginning of a file: the spans of the frames that stay,
// and where the sound begins. A file without one gets version 2.4.
type id3 struct {
	version byte
	frames  []span
	sound   int64
}

// tagMP3 replaces the title and the comment in the tag at the beginning of an mp3,
// or gives it one. All other frames stay as they are, and so does all that
// follows the tag.
func tagMP3(to io.Writer, from io.ReaderAt, size int64, tags Tags) error {
	old, err := readID3(from, size, tags)
	if err != nil {
		return err
	}
	var fresh []byte
	if tags.Title != "" {
		fresh = old.frame(fresh, "TIT2", old.text(nil, tags.Title))
	}
	if tags.Comment != "" {
		fresh = old.frame(fresh, "COMM", old.text([]byte("eng"), "", tags.Comment))
	}
	length := int64(len(fresh))
	for _, f := range old.frames {
		length += f.length
	}
	if length > maxSyncsafe {
		return errUntaggable
	}
	head := append([]byte("ID3"), old.version, 0, 0)
	head = append(syncsafe(head, length), fresh...)
	if _, err := to.Write(head); err != nil {
		return err
	}
	return copySpans(to, from, append(old.frames, span{old.sound, size - old.sound})...)
}

// readID3 finds the frames that stay. A tag with features that few write, which
// would have to be undone first, is untaggable; so is one that is not as its own
// lengths say.
func readID3(from io.ReaderAt, size int64, tags Tags) (*id3, error) {
	head, err := readSpan(from, 0, id3Head)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(head, []byte("ID3")) {
		return &id3{version: 4}, nil
	}
	length, ok := unsyncsafe(head[6:])
	old := &id3{version: head[3], sound: id3Head + length}
	if flags := head[5]; !ok || flags != 0 || old.version != 3 && old.version != 4 || old.sound > size {
		return nil, errUntaggable
	}
	for at := int64(id3Head); at+frameHead <= old.sound; {
		next, err := old.walk(from, at, tags)
		if err != nil {
			return nil, err
		}
		if next == 0 {
			break
		}
		at = next
	}
	return old, nil
}

// walk looks at the frame at a place and gives the place of the next one, 0 when
// there is padding from here on.
func (t *id3) walk(from io.ReaderAt, at int64, tags Tags) (next int64, err error) {
	head, err := readSpan(from, at, min(frameHead+16, t.sound-at))
	if err != nil {
		return 0, err
	}
	if head[0] == 0 {
		return 0, nil
	}
	length, ok := int64(binary.BigEndian.Uint32(head[4:])), true
	if t.version == 4 {
		length, ok = unsyncsafe(head[4:8])
	}
	next = at + frameHead + length
	if !ok || !isFrameID(head[:4]) || next > t.sound {
		return 0, errUntaggable
	}
	if !replaced(string(head[:4]), head[frameHead:], tags) {
		t.frames = append(t.frames, span{at, next - at})
	}
	return next, nil
}

func isFrameID(id []byte) bool {
	for _, c := range id {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// replaced reports whether a frame is what we write: the title, or the comment
// without a description. There may be other comments, of a language and a
// description of their own.
func replaced(id string, beginning []byte, tags Tags) bool {
	switch {
	case id == "TIT2":
		return tags.Title != ""
	case id != "COMM" || tags.Comment == "" || len(beginning) < 5 || string(beginning[1:4]) != "eng":
		return false
	}
	description := beginning[4:]
	switch beginning[0] {
	case 0, 3:
		return description[0] == 0
	case 1:
		return bytes.HasPrefix(description, []byte{0xff, 0xfe, 0, 0}) || bytes.HasPrefix(description, []byte{0xfe, 0xff, 0, 0})
	}
	return bytes.HasPrefix(description, []byte{0, 0})
}

// frame appends a frame.
func (t *id3) frame(to []byte, id string, content []byte) []byte {
	to = append(to, id...)
	if t.version == 4 {
		to = syncsafe(to, int64(len(content)))
	} else {
		to = binary.BigEndian.AppendUint32(to, uint32(len(content)))
	}
	return append(append(to, 0, 0), content...)
}

// text gives the content of a frame of texts: the encoding, what comes before the
// texts, and the texts with zeros between them. UTF-8 came with version 2.4.
func (t *id3) text(before []byte, texts ...string) []byte {
	wide := false
	for _, text := range texts {
		wide = wide || !isASCII(text)
	}
	encoding := byte(3)
	switch {
	case t.version == 3 && wide:
		encoding = 1
	case t.version == 3:
		encoding = 0
	}
	content := append([]byte{encoding}, before...)
	for i, text := range texts {
		if encoding == 1 {
			content = appendUTF16(content, text)
		} else {
			content = append(content, text...)
		}
		if last := i == len(texts)-1; !last && encoding == 1 {
			content = append(content, 0, 0)
		} else if !last {
			content = append(content, 0)
		}
	}
	return content
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// appendUTF16 writes a text with the mark that says how its bytes are ordered.
func appendUTF16(to []byte, text string) []byte {
	to = append(to, 0xff, 0xfe)
	for _, unit := range utf16.Encode([]rune(text)) {
		to = binary.LittleEndian.AppendUint16(to, unit)
	}
	return to
}

// syncsafe appends a number as four bytes of seven bits.
func syncsafe(to []byte, n int64) []byte {
	return append(to, byte(n>>21&0x7f), byte(n>>14&0x7f), byte(n>>7&0x7f), byte(n&0x7f))
}

// unsyncsafe reads such a number, and reports false for one that is none.
func unsyncsafe(b []byte) (int64, bool) {
	if (b[0]|b[1]|b[2]|b[3])&0x80 != 0 {
		return 0, false
	}
	return int64(b[0])<<21 | int64(b[1])<<14 | int64(b[2])<<7 | int64(b[3]), true
}
