package audio

import (
	"encoding/binary"
	"math"
)

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
