package certify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"
)

// Song is one audio file that was made for one item of one session. No two have
// equal bytes: the provider's log names the audio that it charged for, and so the
// item.
type Song struct {
	Path    string
	SHA256  string
	Size    int64
	ModTime time.Time
	Length  time.Duration
}

// songLength is short: what is measured does not depend on it.
const songLength = 1250 * time.Millisecond

// rate is the samples per second of a song, of one byte each.
const rate = 8000

// makeSongs writes the songs of one session into a folder of their own.
func makeSongs(dir string, first, count int) ([]Song, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	songs := make([]Song, count)
	for n := range songs {
		path := filepath.Join(dir, fmt.Sprintf("%03d-tone-%07d.wav", n, first+n))
		audio := tone(first + n)
		if err := os.WriteFile(path, audio, 0o644); err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(audio)
		songs[n] = Song{path, hex.EncodeToString(sum[:]), info.Size(), info.ModTime(), songLength}
	}
	return songs, nil
}

// tone is a WAV file that contains its number.
func tone(number int) []byte {
	pcm := make([]byte, int(songLength.Seconds()*rate))
	pitch := 200 + float64(number%400)
	for i := range pcm {
		pcm[i] = byte(128 + 60*math.Sin(2*math.Pi*pitch*float64(i)/rate))
	}
	binary.LittleEndian.PutUint32(pcm, uint32(number))
	word := binary.LittleEndian.AppendUint32
	var out bytes.Buffer
	out.Write(word([]byte("RIFF"), uint32(36+len(pcm))))
	out.Write(word([]byte("WAVEfmt "), 16))
	out.Write([]byte{1, 0, 1, 0}) // PCM, mono
	out.Write(word(nil, rate))
	out.Write(word(nil, rate))
	out.Write([]byte{1, 0, 8, 0}) // bytes of a block, bits of a sample
	out.Write(word([]byte("data"), uint32(len(pcm))))
	out.Write(pcm)
	return out.Bytes()
}
