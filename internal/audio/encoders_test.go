package audio_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio"
)

// encoders are what the variants below are made with. The pipelines are
// shell: a pipe is what makes some of them odd.
var encoders = []string{"ffmpeg", "flac", "lame", "oggenc", "opusenc", "sh", "sox"}

// variants are files too big or too odd to keep in testdata. Each command
// reads $in, a file of stereo CD sound that plays 8 seconds, and writes $out.
var variants = []struct {
	name     string
	command  string
	format   audio.Format
	codec    string
	duration time.Duration
	within   time.Duration
}{
	{"rf64", `$ff -i $in -rf64 always -f wav $out`, "wav", "pcm_s16le", 8 * time.Second, exact},
	{"wav to a pipe", `$ff -i $in -f wav - | cat >$out`, "wav", "pcm_s16le", 8 * time.Second, exact},
	{"wav to a pipe, by sox", `sox $in -t wav - | cat >$out`, "wav", "pcm_s16le", 8 * time.Second, exact},
	{"wav to a pipe, by lame", `lame --quiet $in - | lame --quiet --mp3input --decode - - | cat >$out`, "wav", "pcm_s16le", 8 * time.Second, twoFrame},
	{"wav of doubles", `$ff -i $in -c:a pcm_f64le -f wav $out`, "wav", "pcm_float", 8 * time.Second, exact},
	{"wav of GSM", `sox -V1 $in -r 8000 -c 1 -e gsm-full-rate -t wav $out`, "wav", "gsm", 8 * time.Second, 20 * time.Millisecond},
	{"mp3 in wav", `$ff -i $in -c:a libmp3lame -f wav $out`, "wav", "mp3", 8 * time.Second, twoFrame},
	{"ADPCM without a fact that fits", `$ff -i $in -c:a adpcm_ima_wav -f wav $out`, "wav", "adpcm_ima", 8 * time.Second, 30 * time.Millisecond},

	{"mp3 by ffmpeg", `$ff -i $in -c:a libmp3lame -b:a 192k -f mp3 $out`, "mp3", "mp3", 8 * time.Second, exact},
	{"mp3 VBR without a header", `$ff -i $in -c:a libmp3lame -q:a 2 -write_xing 0 -f mp3 $out`, "mp3", "mp3", 8 * time.Second, twoFrame},
	{"mp3 ABR", `lame --quiet --abr 140 $in $out`, "mp3", "mp3", 8 * time.Second, exact},
	{"mp3 to a pipe", `lame --quiet -V 4 $in - | cat >$out`, "mp3", "mp3", 8 * time.Second, twoFrame},
	{"mp3 of 320 kbit/s, resampled", `lame --quiet -b 320 --resample 48 $in $out`, "mp3", "mp3", 8 * time.Second, exact},
	{"mp3 joined", `lame --quiet -V 4 $in $out.a && lame --quiet -b 96 $in $out.b && cat $out.a $out.b >$out`, "mp3", "mp3", 16 * time.Second, exact},
	{"mp3 with ID3v1 and v2", `lame --quiet -V 6 --add-id3v2 --pad-id3v2-size 200000 --tt Song $in $out`, "mp3", "mp3", 8 * time.Second, exact},
	{"mp2", `$ff -i $in -c:a mp2 -f mp2 $out`, "mp3", "mp2", 8 * time.Second, oneFrame},

	{"flac with seek points", `flac --silent -f -8 -S 1s -o $out $in`, "flac", "flac", 8 * time.Second, exact},
	{"flac from a pipe to a pipe", `flac --totally-silent -c - <$in | cat >$out`, "flac", "flac", 8 * time.Second, exact},
	{"flac of ffmpeg to a pipe", `$ff -i $in -f flac - | cat >$out`, "flac", "flac", 8 * time.Second, exact},
	{"flac of huge blocks", `flac --silent -f --lax -b 65535 -o $out $in`, "flac", "flac", 8 * time.Second, exact},
	{"flac of tiny blocks", `flac --silent -f --lax -b 16 -o $out $in`, "flac", "flac", 8 * time.Second, exact},
	{"flac at 12 kHz", `sox -V1 $in -r 12000 -t wav - | flac --totally-silent -c - >$out`, "flac", "flac", 8 * time.Second, exact},
	{"flac at 37.8 kHz", `sox -V1 $in -r 37800 -t wav - | flac --totally-silent -c - >$out`, "flac", "flac", 8 * time.Second, exact},
	{"flac at 70 kHz", `sox -V1 $in -r 70000 -t wav - | flac --totally-silent --lax -c - >$out`, "flac", "flac", 8 * time.Second, exact},
	{"flac of 24 bits at 96 kHz", `$ff -i $in -ar 96000 -sample_fmt s32 -f flac $out`, "flac", "flac", 8 * time.Second, exact},

	{"vorbis", `oggenc --quiet -q 6 -o $out $in`, "ogg", "vorbis", 8 * time.Second, exact},
	{"vorbis by ffmpeg", `$ff -i $in -c:a libvorbis -f ogg $out`, "ogg", "vorbis", 8 * time.Second, exact},
	{"opus", `opusenc --quiet $in $out`, "ogg", "opus", 8 * time.Second, exact},
	{"opus of 60 ms", `opusenc --quiet --framesize 60 --bitrate 24 $in $out`, "ogg", "opus", 8 * time.Second, exact},
	{"opus by ffmpeg", `$ff -i $in -c:a libopus -f opus $out`, "ogg", "opus", 8 * time.Second, exact},
	{"opus and vorbis chained", `opusenc --quiet --serial 1 $in $out.a && oggenc --quiet -s 2 -o $out.b $in && cat $out.a $out.b >$out`, "ogg", "opus", 16 * time.Second, exact},
	{"flac in ogg", `flac --silent -f --ogg -o $out $in`, "ogg", "flac", 8 * time.Second, exact},

	{"m4a", `$ff -i $in -c:a aac -f ipod $out`, "m4a", "aac", 8 * time.Second, exact},
	{"m4a with the index in front", `$ff -i $in -c:a aac -movflags +faststart -f ipod $out`, "m4a", "aac", 8 * time.Second, exact},
	{"mp4 in fragments", `$ff -i $in -c:a aac -movflags frag_keyframe+empty_moov -frag_duration 1000000 -f mp4 $out`, "m4a", "aac", 8 * time.Second, priming},
	{"mp4 for DASH", `$ff -i $in -c:a aac -movflags dash+delay_moov+global_sidx -frag_duration 1000000 -f mp4 $out`, "m4a", "aac", 8 * time.Second, priming},
	{"mp4 to a pipe", `$ff -i $in -c:a aac -movflags frag_keyframe+empty_moov -f mp4 - | cat >$out`, "m4a", "aac", 8 * time.Second, priming},
	{"ALAC", `$ff -i $in -c:a alac -f ipod $out`, "m4a", "alac", 8 * time.Second, exact},
	{"ALAC of 24 bits at 96 kHz", `$ff -i $in -ar 96000 -sample_fmt s32p -c:a alac -f ipod $out`, "m4a", "alac", 8 * time.Second, exact},
	{"film", `$ff -f lavfi -i testsrc=d=8:r=5:s=96x64 -i $in -c:a aac -c:v mpeg4 -f mp4 $out`, "m4a", "aac", 8 * time.Second, exact},
	{"mp3 in mp4", `$ff -i $in -c:a libmp3lame -f mp4 $out`, "m4a", "mp3", 8 * time.Second, priming},
	{"QuickTime", `$ff -i $in -c:a pcm_s24be -f mov $out`, "m4a", "pcm_s24be", 8 * time.Second, exact},

	{"aac", `$ff -i $in -c:a aac -f adts $out`, "aac", "aac", 8 * time.Second, priming},
	{"aiff", `$ff -i $in -f aiff $out`, "aiff", "pcm_s16be", 8 * time.Second, exact},
	{"aiff by sox", `sox -V1 $in -b 24 -t aiff $out`, "aiff", "pcm_s24be", 8 * time.Second, exact},
	{"aiff of IMA", `$ff -i $in -c:a adpcm_ima_qt -f aiff $out`, "aiff", "adpcm_ima", 8 * time.Second, 2 * time.Millisecond},
}

// TestEncoderVariants makes every variant anew and probes it in both ways.
func TestEncoderVariants(t *testing.T) {
	if missing := missingEncoders(); len(missing) > 0 {
		const message = "encoders are not installed: "
		if os.Getenv("CI") == "true" {
			t.Fatal(message + strings.Join(missing, ", "))
		}
		t.Skip(message + strings.Join(missing, ", "))
	}
	folder := t.TempDir()
	in := filepath.Join(folder, "in.wav")
	shell(t, `sox -V1 -R -r 44100 -n -c 2 -b 16 $out synth 8 pluck A3 tremolo 3 40 gain -3`, "", in)
	for i, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			out := filepath.Join(folder, fmt.Sprintf("out%d", i))
			shell(t, v.command, in, out)
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			checkVariant(t, data, v.format, v.codec, v.duration, v.within)
			if whole, err := audio.Probe(bytes.NewReader(data)); err == nil {
				checkCut(t, v.name, data[:len(data)-len(data)/3], whole)
			}
		})
	}
}

func checkVariant(t *testing.T, data []byte, format audio.Format, codec string, duration, within time.Duration) {
	t.Helper()
	got, err := audio.Probe(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("Probe = %v", err)
	}
	if got.Format != format || got.Codec != codec {
		t.Errorf("%s in %s, want %s in %s", got.Codec, got.Format, codec, format)
	}
	if off := (got.Duration - duration).Abs(); off > within || got.Problem != "" {
		t.Errorf("duration %v, problem %q; want %v within %v and none", got.Duration, got.Problem, duration, within)
	}
	ranged, err := audio.ProbeRange(bytes.NewReader(data), int64(len(data)))
	got.SHA256 = ""
	if diff := cmp.Diff(got, ranged); err != nil || diff != "" {
		t.Errorf("ProbeRange: %v (-stream +range):\n%s", err, diff)
	}
}

func missingEncoders() []string {
	var missing []string
	for _, name := range encoders {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return missing
}

func shell(t *testing.T, command, in, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", command)
	cmd.Env = append(os.Environ(), "in="+in, "out="+out, "ff=ffmpeg -v error -nostdin -y")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
}
