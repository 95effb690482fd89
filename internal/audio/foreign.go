package audio

import (
	"bytes"
	"unicode/utf8"
)

// headLength is how much of a file its kind is told from.
const headLength = 512

// signatures name what people drop into a folder of songs, and what download
// errors are saved as. Longer patterns come before their prefixes.
var signatures = []struct {
	at      int
	pattern string
	kind    string
}{
	{0, "\x89PNG\r\n\x1a\n", "PNG image"},
	{0, "\xff\xd8\xff", "JPEG image"},
	{0, "GIF8", "GIF image"},
	{0, "II*\x00", "TIFF image"},
	{0, "MM\x00*", "TIFF image"},
	{0, "8BPS", "Photoshop image"},
	{8, "WEBP", "WebP image"},
	{8, "AVI ", "AVI video"},
	{8, "RMID", "MIDI: notes, not sound"},
	{0, "MThd", "MIDI: notes, not sound"},
	{0, "RIFF", "a RIFF file without sound"},
	{0, "FORM", "an IFF file without sound"},
	{0, "%PDF", "PDF document"},
	{0, "PK\x03\x04", "ZIP archive or Office document"},
	{0, "PK\x05\x06", "ZIP archive"},
	{0, "Rar!", "RAR archive"},
	{0, "7z\xbc\xaf\x27\x1c", "7z archive"},
	{0, "\x1f\x8b", "gzip archive"},
	{0, "BZh", "bzip2 archive"},
	{0, "\xfd7zXZ", "xz archive"},
	{257, "ustar", "tar archive"},
	{0, "\x7fELF", "program"},
	{0, "MZ", "Windows program"},
	{0, "\xcf\xfa\xed\xfe", "macOS program"},
	{0, "SQLite format 3", "database"},
	{0, "bplist00", "property list"},
	{0, "\x00\x05\x16\x07", "macOS file attributes; the sound is in the file without ._ in its name"},
	{0, "\x00\x00\x01\xba", "MPEG video"},
	{0, "\x00\x00\x01\xb3", "MPEG video"},
	{0, "FLV", "Flash video"},
	{0, "\xd0\xcf\x11\xe0", "old Office document"},
	{0, "\x1aE\xdf\xa3", "Matroska or WebM, which is not supported"},
	{0, "0&\xb2u\x8ef\xcf\x11", "WMA, which is not supported"},
	{0, "caff", "CAF, which is not supported"},
	{0, "riff\x2e\x91\xcf\x11", "Wave64, which is not supported"},
	{0, ".snd", "AU, which is not supported"},
	{0, "DSD ", "DSD, which is not supported"},
	{0, "FRM8", "DSD, which is not supported"},
	{0, "wvpk", "WavPack, which is not supported"},
	{0, "MAC ", "Monkey's Audio, which is not supported"},
	{0, "TTA1", "TTA, which is not supported"},
	{0, "MPCK", "Musepack, which is not supported"},
	{0, "MP+", "Musepack, which is not supported"},
	{0, "#!AMR", "AMR, which is not supported"},
	{0, ".RMF", "RealMedia, which is not supported"},
	{0, "\x0bw", "Dolby Digital, which is not supported"},
}

// foreign names what head is when it is something else than audio, or audio
// that is not supported; empty when that cannot be told.
func foreign(head []byte) string {
	for _, s := range signatures {
		if len(head) >= s.at && bytes.HasPrefix(head[s.at:], []byte(s.pattern)) {
			return s.kind
		}
	}
	// Two sync bytes one packet apart: one alone is the letter G.
	if len(head) > 188 && head[0] == 0x47 && head[188] == 0x47 && !isText(head) {
		return "MPEG transport stream, which is not supported"
	}
	if isText(head) {
		return textKind(head)
	}
	return ""
}

func textKind(head []byte) string {
	start := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n"))
	switch {
	case bytes.HasPrefix(start, []byte("#extm3u")), bytes.HasPrefix(start, []byte("[playlist]")):
		return "it is a playlist"
	case bytes.HasPrefix(start, []byte("<!doctype html")), bytes.HasPrefix(start, []byte("<html")):
		return "it is a web page"
	}
	return "it looks like text"
}

// isText holds for UTF-8 without control characters, and for UTF-16 with a
// byte order mark.
func isText(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		switch {
		case r == utf8.RuneError && n <= 1:
			// The head may end inside a character.
			return len(head) < utf8.UTFMax && !utf8.FullRune(head)
		case r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f':
			return false
		}
		head = head[n:]
	}
	return true
}
