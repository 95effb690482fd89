package audio_test

import (
	"bytes"
	"fmt"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/fault"
)

func ExampleProbe() {
	song := samples.Files()[1]
	for _, data := range [][]byte{song.Data, song.Data[:50_000], []byte("<!DOCTYPE html>")} {
		in, err := audio.Probe(bytes.NewReader(data))
		switch {
		case err != nil:
			fmt.Println(fault.CodeOf(err), "-", fault.Reason(err))
		case in.Problem != "":
			fmt.Println(in.Format, in.Codec, in.Duration, "-", in.Problem)
		default:
			fmt.Println(in.Format, in.Codec, in.Duration)
		}
	}
	// Output:
	// wav pcm_s16le 6.4s
	// wav pcm_s16le 3.12225s - cut off: the header promises 6.4 s, 3.1 s are there
	// invalid - this is not audio (it is a web page)
}
