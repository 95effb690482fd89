package samples_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/audio/samples"
)

// song is what a listener would say about a file.
type song struct {
	Name     string
	Format   audio.Format
	Codec    string
	Duration time.Duration // rounded to 10 ms
}

func TestFilesAreFiveSongsInFiveFormats(t *testing.T) {
	want := []song{
		{"01-morning-tape.mp3", audio.MP3, "mp3", 11500 * time.Millisecond},
		{"02-music-box.wav", audio.WAV, "pcm_s16le", 6400 * time.Millisecond},
		{"03-organ-hymn.flac", audio.FLAC, "flac", 8 * time.Second},
		{"04-night-drive.ogg", audio.OGG, "opus", 9600 * time.Millisecond},
		{"05-harbour-waltz.m4a", audio.M4A, "aac", 9 * time.Second},
	}
	var got []song
	total := 0
	for _, file := range samples.Files() {
		in, err := audio.Probe(bytes.NewReader(file.Data))
		if err != nil {
			t.Fatalf("Probe(%s) = %v", file.Name, err)
		}
		if in.Problem != "" {
			t.Errorf("Probe(%s): problem %q, want none", file.Name, in.Problem)
		}
		if len(file.Data) > 150<<10 {
			t.Errorf("%s: %d bytes, want at most 150 KB", file.Name, len(file.Data))
		}
		total += len(file.Data)
		got = append(got, song{file.Name, in.Format, in.Codec, in.Duration.Round(10 * time.Millisecond)})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Files() (-want +got):\n%s", diff)
	}
	if total > 500_000 {
		t.Errorf("all songs have %d bytes, want at most 500 KB: they are part of the program", total)
	}
}

func TestFilesBelongToTheCaller(t *testing.T) {
	first := samples.Files()[0].Data[0]
	samples.Files()[0].Data[0] ^= 0xff
	if got := samples.Files()[0].Data[0]; got != first {
		t.Errorf("after a caller changed its copy, the song begins with %#x, want %#x", got, first)
	}
}
