//go:build unix

package proctest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// Song is one audio file on disk.
type Song struct{ Path, SHA256 string }

// Write puts a song into a folder.
func Write(t testing.TB, dir, name string, data []byte) Song {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return Song{path, hex.EncodeToString(sum[:])}
}

// Tone is a WAV of 8 bits at 8 kHz that contains its number.
func Tone(number int, seconds float64) []byte {
	pcm := make([]byte, int(seconds*8000))
	pitch := 200 + float64(number%400)
	for i := range pcm {
		pcm[i] = byte(128 + 60*math.Sin(2*math.Pi*pitch*float64(i)/8000))
	}
	binary.LittleEndian.PutUint32(pcm, uint32(number))
	var out bytes.Buffer
	out.WriteString("RIFF")
	out.Write(Little32(36 + len(pcm)))
	out.WriteString("WAVEfmt ")
	out.Write(Little32(16))
	out.Write([]byte{1, 0, 1, 0}) // PCM, mono
	out.Write(Little32(8000))
	out.Write(Little32(8000))
	out.Write([]byte{1, 0, 8, 0}) // block, bits
	out.WriteString("data")
	out.Write(Little32(len(pcm)))
	out.Write(pcm)
	return out.Bytes()
}

// Paths are the songs as arguments.
func Paths(songs []Song) []string {
	all := make([]string, len(songs))
	for n, s := range songs {
		all[n] = s.Path
	}
	return all
}

// Little32 is a number as RIFF writes it.
func Little32(n int) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(n)) }
