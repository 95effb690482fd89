// Package audio finds out what a file really is before anybody pays for it:
// the container and codec, the exact duration, and whether the file is whole.
//
// Detection goes by content, never by name. Every number in a header is taken
// for a claim: nothing is allocated by it, and where the bytes disagree with
// it, the bytes win and Info.Problem says so.
//
// One forward-only parser per container serves both ways of reading. Probe
// feeds it a stream, hashing everything on the way; ProbeRange lets the same
// parser jump over what it does not need. Memory stays under 16 MB whatever
// the input says.
package audio

import (
	"math"
	"math/bits"
	"strconv"
	"time"
)

// Format is a container, named as its usual file extension.
type Format string

// The containers that probing understands.
const (
	WAV  Format = "wav"  // RIFF, RIFX, RF64 and BW64
	MP3  Format = "mp3"  // MPEG-1, 2 and 2.5, layers I to III
	FLAC Format = "flac" // native FLAC; FLAC inside Ogg is OGG
	OGG  Format = "ogg"  // Vorbis, Opus, FLAC or Speex in Ogg
	M4A  Format = "m4a"  // the MP4 family, QuickTime included
	AAC  Format = "aac"  // raw AAC in ADTS frames
	AIFF Format = "aiff" // AIFF and AIFF-C
)

// ContentType gives the media type to send a file of this format with, or
// application/octet-stream for a format that is not one of the constants.
func (f Format) ContentType() string {
	switch f {
	case WAV:
		return "audio/wav"
	case MP3:
		return "audio/mpeg"
	case FLAC:
		return "audio/flac"
	case OGG:
		return "audio/ogg"
	case M4A:
		return "audio/mp4"
	case AAC:
		return "audio/aac"
	case AIFF:
		return "audio/aiff"
	}
	return "application/octet-stream"
}

// Info is what probing learned about one piece of audio. A field that the
// file does not tell is zero.
type Info struct {
	// Format is the container.
	Format Format
	// Codec is what is inside, as ffmpeg names it where it has one name:
	// pcm_s16le, pcm_float, adpcm_ms, adpcm_ima, mp3, flac, vorbis, opus, aac,
	// alac. An uncommon codec keeps the container's own name for it.
	Codec string
	// Duration is how long the sound that is really there plays. Lossless
	// formats, Vorbis, Opus and MP3 with a LAME header are exact; MP3 without
	// one is exact to the frame, AAC to its priming (under 50 ms). Of a
	// truncated M4A it is an estimate by bytes.
	Duration time.Duration
	// Promised is how long the file claims to be. It equals Duration unless
	// Truncated; it is zero for a truncated file that makes no claim.
	Promised time.Duration
	// SampleRate is in Hz. Opus always plays at 48000.
	SampleRate int
	// Channels counts them: 1 is mono, 2 stereo.
	Channels int
	// Bits is the resolution of a sample; zero for lossy codecs.
	Bits int
	// Size counts all bytes of the file, tags included.
	Size int64
	// SHA256 is the lower-case hex digest of all bytes; empty from ProbeRange.
	SHA256 string
	// Truncated means the file ends before its own header or structure says.
	Truncated bool
	// Problem says in one sentence, to a musician, what is wrong with a file
	// that could be probed all the same; empty when nothing is. It is set
	// whenever Truncated is.
	Problem string
}

// whole records a duration that nothing contradicts.
func (in *Info) whole(d time.Duration) {
	in.Duration, in.Promised = d, d
	if d == 0 {
		in.note("there is no sound in this file: it plays 0 seconds")
	}
}

// cut records that only present of promised is there. A promise of zero means
// that the file made none.
func (in *Info) cut(promised, present time.Duration) {
	in.Duration, in.Promised, in.Truncated = present, promised, true
	switch {
	case promised > 0:
		want, got := seconds(promised, present)
		in.Problem = "cut off: the header promises " + want + " s, " + got + " s are there"
	case present > 0:
		got, _ := seconds(present, 0)
		in.Problem = "cut off: the end is missing, " + got + " s are there"
	default:
		in.Problem = "cut off: the file ends before the sound begins"
	}
}

// note records a lesser problem: the first one found is the one reported.
func (in *Info) note(sentence string) {
	if in.Problem == "" {
		in.Problem = sentence
	}
}

// seconds prints two durations with as many digits as tell them apart.
func seconds(a, b time.Duration) (first, second string) {
	for digits := 1; digits <= 4; digits++ {
		first = strconv.FormatFloat(a.Seconds(), 'f', digits, 64)
		second = strconv.FormatFloat(b.Seconds(), 'f', digits, 64)
		if first != second {
			break
		}
	}
	return first, second
}

// playing gives the time that n units take at rate units per second, rounded
// to the nanosecond and saturating: headers can claim more than 292 years.
func playing(n, rate uint64) time.Duration {
	if rate == 0 {
		return 0
	}
	high, low := bits.Mul64(n, uint64(time.Second))
	low, carry := bits.Add64(low, rate/2, 0)
	high += carry
	if high >= rate {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(high, low, rate)
	return time.Duration(min(quotient, math.MaxInt64))
}

// share gives d * part / of without overflow, at most d.
func share(d time.Duration, part, of uint64) time.Duration {
	if of == 0 || part >= of {
		return d
	}
	high, low := bits.Mul64(uint64(d), part)
	quotient, _ := bits.Div64(high, low, of)
	return time.Duration(quotient)
}

// plus adds durations, saturating.
func plus(a, b time.Duration) time.Duration {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxInt64
}

// sum adds counts, saturating.
func sum(a, b uint64) uint64 {
	total, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return total
}

// product multiplies counts, saturating.
func product(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	if high != 0 {
		return math.MaxUint64
	}
	return low
}
