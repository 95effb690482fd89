package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzTagMP3: whatever the file is, tagging never fails but by leaving it alone,
// keeps all that follows the tag, and gives a tag that can be replaced again.
func FuzzTagMP3(f *testing.F) {
	seeds(f, "cbr_bare.mp3", "cbr_lame.mp3", "picture.mp3", "vbr_lame.mp3")
	f.Add([]byte("ID3\x03\x00\x00\x00\x00\x00\x1fTIT2\x00\x00\x00\x05\x00\x00\x00abcdTPE1\x00\x00\x00\x02\x00\x00\x00e"), "title", "comment")
	f.Add([]byte("ID3\x04\x00\x00\x00\x00\x00\x10COMM\x00\x00\x00\x06\x00\x00\x03eng\x00x"), "ü", "c")
	f.Fuzz(func(t *testing.T, content []byte, title, comment string) {
		once, twice := tagTwice(t, tagMP3, content, Tags{Title: title, Comment: comment})
		if once == nil {
			return
		}
		if !bytes.HasPrefix(once, []byte("ID3")) || !bytes.Equal(afterID3(content), afterID3(once)) {
			t.Errorf("the sound is not the same bytes")
		}
		if !bytes.Equal(once, twice) {
			t.Errorf("tagged twice: %d bytes and then %d", len(once), len(twice))
		}
	})
}

// FuzzTagFLAC is the same of FLAC.
func FuzzTagFLAC(f *testing.F) {
	seeds(f, "piped.flac", "plain.flac", "tagged.flac")
	f.Add([]byte("fLaC\x00\x00\x00\x02ab\x84\x00\x00\x0e\x01\x00\x00\x00v\x01\x00\x00\x00\x01\x00\x00\x00xsound"), "title", "comment")
	f.Fuzz(func(t *testing.T, content []byte, title, comment string) {
		once, twice := tagTwice(t, tagFLAC, content, Tags{Title: title, Comment: comment})
		if once == nil {
			return
		}
		if !bytes.Equal(afterBlocks(t, content), afterBlocks(t, once)) {
			t.Errorf("the sound is not the same bytes")
		}
		if !bytes.Equal(once, twice) {
			t.Errorf("tagged twice: %d bytes and then %d", len(once), len(twice))
		}
	})
}

func seeds(f *testing.F, files ...string) {
	f.Helper()
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join("..", "audio", "testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, "Für Elise", "ids")
	}
}

// tagTwice returns nothing for what is left alone.
func tagTwice(t *testing.T, write tagger, content []byte, tags Tags) (once, twice []byte) {
	t.Helper()
	if tags = tags.clean(); tags == (Tags{}) {
		return nil, nil
	}
	var results [2]bytes.Buffer
	from := content
	for i := range results {
		err := write(&results[i], bytes.NewReader(from), int64(len(from)), tags)
		if i == 0 && errors.Is(err, errUntaggable) {
			return nil, nil
		}
		if err != nil {
			t.Fatalf("tagging: %v", err)
		}
		from = results[i].Bytes()
	}
	return results[0].Bytes(), results[1].Bytes()
}

// afterID3 and afterBlocks read by other means than what is tested.
func afterID3(content []byte) []byte {
	if !bytes.HasPrefix(content, []byte("ID3")) {
		return content
	}
	length := 0
	for _, b := range content[6:10] {
		length = length<<7 | int(b)
	}
	return content[10+length:]
}

func afterBlocks(t *testing.T, content []byte) []byte {
	t.Helper()
	rest := content[4:]
	for {
		last, length := rest[0]>>7, binary.BigEndian.Uint32(rest)&0xffffff
		rest = rest[4+length:]
		if last == 1 {
			return rest
		}
	}
}
