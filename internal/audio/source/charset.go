package source

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	charset "golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
)

// The encodings that Options.Encoding names.
const (
	// UTF8 is what a manifest is in unless it begins with the mark of another one.
	UTF8 = "utf-8"
	// Latin1 is ISO 8859-1: its bytes 0x80 to 0x9F are control characters.
	Latin1 = "latin-1"
	// Windows1252 is Latin-1 with quotes, dashes and the euro at 0x80 to 0x9F.
	Windows1252 = "windows-1252"
	// UTF16LE and UTF16BE are recognised by their mark or their zeros, and need to be
	// named only where a manifest does not begin with ASCII.
	UTF16LE = "utf-16le"
	UTF16BE = "utf-16be"
	// utf16Text is what was decoded from either.
	utf16Text = "utf-16"
)

// Encodings are what Options.Encoding may be, in words. Other names of theirs are
// understood as well, and every encoding of the WHATWG's list that browsers go by.
const Encodings = UTF8 + ", " + Latin1 + ", " + Windows1252 + ", " + UTF16LE + ", " + UTF16BE + ", shift_jis, gbk, big5, euc-kr or another that browsers know by name"

// IsEncoding says that manifests in an encoding of this name can be read.
func IsEncoding(name string) bool {
	_, _, known := encodingOf(name)
	return known
}

// encodingOf is the name that an encoding goes by here, and its decoder where that is
// not ours: ours find the line that is broken, and need no table.
func encodingOf(name string) (string, charset.Encoding, bool) {
	if ours, known := encodings[strings.ToLower(name)]; known {
		return ours, nil, true
	}
	other, err := htmlindex.Get(name)
	if err != nil {
		return "", nil, false
	}
	canonical, err := htmlindex.Name(other)
	if err != nil || canonical == "replacement" || canonical == "x-user-defined" {
		return "", nil, false // the list's ways to read nothing
	}
	if ours, known := encodings[canonical]; known {
		return ours, nil, true
	}
	return canonical, other, true
}

// encodings are the names that people use.
var encodings = map[string]string{
	"": UTF8, "utf-8": UTF8, "utf8": UTF8,
	"latin-1": Latin1, "latin1": Latin1, "iso-8859-1": Latin1,
	"windows-1252": Windows1252, "cp1252": Windows1252, "ansi": Windows1252,
	"utf-16le": UTF16LE, "utf16le": UTF16LE, "utf-16be": UTF16BE, "utf16be": UTF16BE,
}

// badByte is never part of UTF-8. The decoders put it where the text is broken, so
// that the line it is in is found to be no text.
const badByte = 0xff

// plain gives r as UTF-8, with its encoding. What a byte order mark says goes
// before what was named. An error is a sentence for people.
func plain(r io.Reader, named string) (*bufio.Reader, string, error) {
	called, other, known := encodingOf(named)
	if !known {
		return nil, "", fmt.Errorf("there is no encoding %q here; it is %s", named, Encodings)
	}
	raw := bufio.NewReaderSize(r, 64<<10)
	head, _ := raw.Peek(4) // a shorter file is all there
	for _, beginning := range beginnings {
		if !bytes.HasPrefix(head, []byte(beginning.bytes)) {
			continue
		}
		if beginning.reason != "" {
			return nil, "", errors.New(beginning.reason)
		}
		_, _ = raw.Discard(len(beginning.bytes)) // just peeked at
		if beginning.order == nil {
			return raw, UTF8, nil
		}
		return decoded(raw, fromUTF16(beginning.order)), utf16Text, nil
	}
	switch order := unmarked(head); {
	case order != nil:
		return decoded(raw, fromUTF16(order)), utf16Text, nil
	case other != nil:
		return bufio.NewReaderSize(other.NewDecoder().Reader(raw), 64<<10), called, nil
	case called == UTF8:
		return raw, UTF8, nil
	case called == UTF16LE:
		return decoded(raw, fromUTF16(binary.LittleEndian)), utf16Text, nil
	case called == UTF16BE:
		return decoded(raw, fromUTF16(binary.BigEndian)), utf16Text, nil
	}
	return decoded(raw, fromBytes(called)), called, nil
}

// beginnings are byte order marks, and what is no text.
var beginnings = []struct {
	bytes  string
	order  binary.ByteOrder
	reason string
}{
	{bytes: "\xef\xbb\xbf"},
	{bytes: "\xff\xfe\x00\x00", reason: "this is UTF-32 text; save it as UTF-8"},
	{bytes: "\x00\x00\xfe\xff", reason: "this is UTF-32 text; save it as UTF-8"},
	{bytes: "\xff\xfe", order: binary.LittleEndian},
	{bytes: "\xfe\xff", order: binary.BigEndian},
	{bytes: "PK\x03\x04", reason: "this is a spreadsheet or a ZIP archive, not text; save it as CSV in UTF-8"},
	{bytes: "\x1f\x8b", reason: "this is compressed; unpack it first"},
}

// unmarked recognises UTF-16 without a mark: a manifest begins with two characters
// of ASCII, whatever its language.
func unmarked(head []byte) binary.ByteOrder {
	if len(head) < 4 {
		return nil
	}
	switch [4]bool{head[0] == 0, head[1] == 0, head[2] == 0, head[3] == 0} {
	case [4]bool{false, true, false, true}:
		return binary.LittleEndian
	case [4]bool{true, false, true, false}:
		return binary.BigEndian
	}
	return nil
}

// decoder turns a stream into UTF-8.
type decoder struct {
	raw  *bufio.Reader
	step func(out, in []byte, last bool) (result []byte, used int)
	out  []byte
	// held is how much of what was peeked at needs more to be decoded.
	held int
	err  error
}

func decoded(raw *bufio.Reader, step func(out, in []byte, last bool) ([]byte, int)) *bufio.Reader {
	return bufio.NewReaderSize(&decoder{raw: raw, step: step}, 64<<10)
}

// Read gives what the next block means.
func (d *decoder) Read(p []byte) (int, error) {
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.block()
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// block decodes what is there of the next 4 KB.
func (d *decoder) block() {
	_, d.err = d.raw.Peek(d.held + 1)
	in, _ := d.raw.Peek(min(d.raw.Buffered(), 4096))
	var used int
	d.out, used = d.step(d.out[:0], in, d.err != nil)
	d.held = len(in) - used
	_, _ = d.raw.Discard(used) // just peeked at
}

// fromBytes decodes Latin-1 and Windows-1252.
func fromBytes(encoding string) func(out, in []byte, last bool) ([]byte, int) {
	return func(out, in []byte, _ bool) ([]byte, int) {
		for _, b := range in {
			if meant, ok := letter(encoding, b); ok {
				out = utf8.AppendRune(out, meant)
			} else {
				out = append(out, badByte)
			}
		}
		return out, len(in)
	}
}

// between are the letters of Windows-1252 at 0x80 to 0x9F; five are not given.
var between = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// letter is what a byte means in a single-byte encoding.
func letter(encoding string, b byte) (rune, bool) {
	switch {
	case b < 0x80 || b >= 0xa0:
		return rune(b), true
	case encoding == Latin1:
		return 0, false
	}
	meant := between[b-0x80]
	return meant, meant != 0
}

// fromUTF16 decodes UTF-16. Half a letter is no letter.
func fromUTF16(order binary.ByteOrder) func(out, in []byte, last bool) ([]byte, int) {
	return func(out, in []byte, last bool) ([]byte, int) {
		at := 0
		for ; at+2 <= len(in); at += 2 {
			unit := rune(order.Uint16(in[at:]))
			if !utf16.IsSurrogate(unit) {
				out = utf8.AppendRune(out, unit)
				continue
			}
			if at+4 > len(in) && !last {
				break
			}
			pair := rune(utf8.RuneError)
			if at+4 <= len(in) {
				pair = utf16.DecodeRune(unit, rune(order.Uint16(in[at+2:])))
			}
			if pair == utf8.RuneError {
				out = append(out, badByte)
				continue
			}
			out = utf8.AppendRune(out, pair)
			at += 2
		}
		if last && at < len(in) {
			return append(out, badByte), len(in)
		}
		return out, at
	}
}

// notText says why a line cannot be read as text; empty when it can.
func notText(line []byte, encoding string) string {
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return "there is a NUL byte in the line: the file is damaged, or no text"
	case encodings[encoding] == "" && encoding != utf16Text && bytes.ContainsRune(line, utf8.RuneError):
		return "the line is not " + encoding + ": it has bytes that stand for nothing there"
	case utf8.Valid(line):
		return ""
	case encoding == utf16Text:
		return "the line is not UTF-16: there is half a letter in it"
	case encoding == Latin1:
		return "the line is not Latin-1: it has bytes from 0x80 to 0x9F, which are quotes and dashes in Windows-1252"
	case encoding == Windows1252:
		return "the line is not Windows-1252: it has a byte that stands for nothing there"
	}
	return notUTF8(line)
}

// notUTF8 names the first byte that is wrong, and what was probably meant.
func notUTF8(line []byte) string {
	at := 0
	for at < len(line) {
		r, size := utf8.DecodeRune(line[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	b := line[at]
	before := line[:at]
	if len(before) > 16 {
		before = before[len(before)-16:]
		for len(before) > 0 && !utf8.RuneStart(before[0]) {
			before = before[1:]
		}
	}
	where := fmt.Sprintf("the line is not UTF-8: the byte 0x%02X after %q", b, before)
	if isJapanese(line) {
		return where + " looks like Shift-JIS; save the file as UTF-8, or name its encoding (shift_jis)"
	}
	meant, ok := letter(Windows1252, b)
	switch {
	case !ok:
		return where + " is no letter in Latin-1 or Windows-1252 either; save the file as UTF-8"
	case b < 0xa0 || hasWindows(line):
		return fmt.Sprintf("%s is %c in Windows-1252; save the file as UTF-8, or name its encoding (%s)", where, meant, Windows1252)
	}
	return fmt.Sprintf("%s is %c in Latin-1 and Windows-1252; save the file as UTF-8, or name its encoding (%s)", where, meant, Latin1)
}

// hasWindows says that a line has bytes that only Windows-1252 has letters for.
func hasWindows(line []byte) bool {
	for at := 0; at < len(line); {
		r, size := utf8.DecodeRune(line[at:])
		if r == utf8.RuneError && size == 1 && line[at] < 0xa0 {
			return true
		}
		at += size
	}
	return false
}

// isJapanese says that a line has two kana in Shift-JIS. In Western text their first
// bytes are a low quote and a florin sign, which nobody writes before such a second one.
func isJapanese(line []byte) bool {
	kana := 0
	for at := 0; at+1 < len(line); at++ {
		first, second := line[at], line[at+1]
		if first == 0x82 && second >= 0x9f && second <= 0xf1 || first == 0x83 && second >= 0x40 && second <= 0x96 && second != 0x7f {
			kana++
			at++
		}
	}
	return kana >= 2
}
