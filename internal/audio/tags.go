package audio

import (
	"encoding/binary"
	"math"
)

const (
	id3v1Length     = 128
	apeHeaderLength = 32
)

// tagLength gives the length of the tag that begins with head, or zero: tags
// stand behind the sound, and between the parts of files that were joined.
func tagLength(head []byte) int64 {
	if length := id3Length(head); length > 0 {
		return length
	}
	if length := apeLength(head); length > 0 {
		return length
	}
	if len(head) >= 3 && string(head[:3]) == "TAG" {
		return id3v1Length
	}
	return 0
}

// apeLength gives the length of the APE tag that begins with head; of one
// whose footer head is, the footer's.
// https://wiki.hydrogenaud.io/index.php?title=APE_Tags_Header
func apeLength(head []byte) int64 {
	if !isAPE(head) {
		return 0
	}
	const isHeader = 1 << 29
	if binary.LittleEndian.Uint32(head[20:])&isHeader == 0 {
		return apeHeaderLength
	}
	return apeHeaderLength + int64(min(binary.LittleEndian.Uint32(head[12:]), math.MaxInt32))
}

func isAPE(head []byte) bool {
	return len(head) >= apeHeaderLength && string(head[:8]) == "APETAGEX"
}

// stripTags removes the ID3v1 and APE tags that some programs append to any
// kind of file. It sees only tags that lie in end as a whole.
func stripTags(end []byte) []byte {
	if n := len(end) - id3v1Length; n >= 0 && string(end[n:n+3]) == "TAG" {
		end = end[:n]
	}
	footer := len(end) - apeHeaderLength
	if footer < 0 || !isAPE(end[footer:]) {
		return end
	}
	// The size in a footer counts the items and the footer, not the header.
	length := int64(binary.LittleEndian.Uint32(end[footer+12:]))
	const hasHeader = 1 << 31
	if binary.LittleEndian.Uint32(end[footer+20:])&hasHeader != 0 {
		length += apeHeaderLength
	}
	if length < apeHeaderLength || length > int64(len(end)) {
		return end
	}
	return end[:int64(len(end))-length]
}
