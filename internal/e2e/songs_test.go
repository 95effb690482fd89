//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/e2e/proctest"
)

// tones are short songs made here, no two of equal bytes.
func tones(t testing.TB, dir string, n int) []song {
	t.Helper()
	songs := make([]song, n)
	for i := range songs {
		songs[i] = proctest.Write(t, dir, fmt.Sprintf("%03d-tone.wav", i), proctest.Tone(i, 2.5))
	}
	return songs
}

// mixed are songs in every format that the provider takes, no two of equal bytes,
// with names as people give them. Their order is not that of their names.
func mixed(t testing.TB, dir string, n int) []song {
	t.Helper()
	songs := make([]song, n)
	for i := range songs {
		name, data := "Ton für Ton.wav", proctest.Tone(i, 2.5)
		switch k := i % 10; {
		case k < 5:
			s := samples.Files()[k]
			name, data = s.Name, distinct(t, s, i)
		case k == 5:
			name, data = "stille (live).aac", silence(t, 120+i)
		}
		songs[i] = proctest.Write(t, dir, fmt.Sprintf("%03d %s", (i*37)%1000, name), data)
	}
	return songs
}

// silence is AAC-LC in ADTS: whole frames of encoded silence, 23 ms each, as every
// decoder takes them. The number of frames makes it distinct.
func silence(t testing.TB, frames int) []byte {
	t.Helper()
	// One mono channel element with nothing in it, and the end element.
	payload := []byte{0x00, 0xc8, 0x00, 0x80, 0x23, 0x80}
	length := 7 + len(payload)
	header := []byte{
		0xff, 0xf1, // MPEG-4, no CRC
		0x50, // LC, 44,100 Hz
		0x40, // mono
		byte(length >> 3), byte(length<<5) | 0x1f, 0xfc,
	}
	return bytes.Repeat(append(header, payload...), frames)
}

// distinct is a sample with other bytes and the same sound: what tagging a file
// does.
func distinct(t testing.TB, s samples.File, number int) []byte {
	t.Helper()
	words := fmt.Sprintf("e2e copy %06d", number)
	switch filepath.Ext(s.Name) {
	case ".mp3":
		return taggedMP3(s.Data, words)
	case ".wav":
		return taggedWAV(s.Data, words)
	case ".flac":
		return taggedFLAC(s.Data, words)
	case ".ogg":
		return renumberedOgg(t, s.Data, uint32(number))
	case ".m4a":
		return append(s.Data, box("free", words)...)
	}
	t.Fatalf("no way to make copies of %s distinct", s.Name)
	return nil
}

// taggedMP3 replaces the ID3v2 tag.
func taggedMP3(data []byte, words string) []byte {
	if bytes.HasPrefix(data, []byte("ID3")) {
		size := int(data[6])<<21 | int(data[7])<<14 | int(data[8])<<7 | int(data[9])
		data = data[10+size:]
	}
	frame := append([]byte("TIT2\x00\x00\x00"), byte(1+len(words)), 0, 0, 3)
	frame = append(frame, words...)
	tag := append([]byte("ID3\x04\x00\x00\x00\x00\x00"), byte(len(frame)))
	return append(append(tag, frame...), data...)
}

// taggedWAV adds a LIST chunk with a comment.
func taggedWAV(data []byte, words string) []byte {
	if len(words)%2 == 1 {
		words += " "
	}
	comment := append([]byte("INFOICMT"), proctest.Little32(len(words))...)
	comment = append(comment, words...)
	data = append(data, "LIST"...)
	data = append(data, proctest.Little32(len(comment))...)
	data = append(data, comment...)
	binary.LittleEndian.PutUint32(data[4:], uint32(len(data)-8))
	return data
}

// taggedFLAC inserts an APPLICATION block behind STREAMINFO, which is the first
// block and 34 bytes long.
func taggedFLAC(data []byte, words string) []byte {
	const streamInfoEnd = 4 + 4 + 34
	size := 4 + len(words)
	block := append([]byte{2, byte(size >> 16), byte(size >> 8), byte(size)}, "e2e!"+words...)
	return bytes.Join([][]byte{data[:streamInfoEnd], block, data[streamInfoEnd:]}, nil)
}

// renumberedOgg gives the stream another serial number, and each page the checksum
// that belongs to it.
func renumberedOgg(t testing.TB, data []byte, serial uint32) []byte {
	t.Helper()
	for at := 0; at < len(data); {
		if !bytes.HasPrefix(data[at:], []byte("OggS")) {
			t.Fatalf("no Ogg page at %d", at)
		}
		segments := int(data[at+26])
		size := 27 + segments
		for _, lacing := range data[at+27 : at+27+segments] {
			size += int(lacing)
		}
		page := data[at : at+size]
		binary.LittleEndian.PutUint32(page[14:], serial)
		binary.LittleEndian.PutUint32(page[22:], 0)
		binary.LittleEndian.PutUint32(page[22:], oggSum(page))
		at += size
	}
	return data
}

// oggSum is Ogg's CRC: polynomial 0x04c11db7, the highest bit first, nothing
// inverted. hash/crc32 has the reflected kind only.
func oggSum(page []byte) uint32 {
	var sum uint32
	for _, b := range page {
		sum ^= uint32(b) << 24
		for range 8 {
			high := sum >> 31
			sum = sum<<1 ^ high*0x04c11db7
		}
	}
	return sum
}

// box is an MP4 box.
func box(kind, content string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(content)))
	return append(append(out, kind...), content...)
}
