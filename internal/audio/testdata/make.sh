#!/bin/sh
# Makes the probing fixtures of this folder with the usual encoders. What is
# asked of each encoder here (the length, the rate) is what the tests expect,
# as literals.
#
# Needs ffmpeg, lame, flac, oggenc (Debian: vorbis-tools) and opusenc (Debian:
# opus-tools). The bit-exact switches and fixed serial numbers make the result
# the same on every run with the same encoders.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

exact="-fflags +bitexact -flags:v +bitexact -flags:a +bitexact -map_metadata -1"

# tone SECONDS RATE FFMPEG-ARGUMENTS...: a slowly swelling two-note chord.
tone() {
	seconds=$1 rate=$2
	shift 2
	# shellcheck disable=SC2086 # $exact is a list
	ffmpeg -v error -nostdin -y -f lavfi \
		-i "aevalsrc='(0.3+0.1*t)*sin(2*PI*220*t)+0.25*sin(2*PI*(330+9*t)*t)':s=$rate:d=$seconds" \
		$exact "$@"
}

# WAV: the sample formats, 2.0 s.
tone 2 8000 -c:a pcm_u8 u8.wav
tone 2 11025 -c:a pcm_s16le s16.wav
tone 1 8000 -ac 2 -c:a pcm_s24le s24_extensible.wav
tone 1 8000 -c:a pcm_s32le s32.wav
tone 1 8000 -c:a pcm_f32le f32.wav
tone 2 8000 -c:a pcm_alaw alaw.wav
tone 2 8000 -c:a pcm_mulaw mulaw.wav
tone 2 8000 -c:a pcm_s16le -rf64 always rf64.wav
tone 2 8000 -c:a pcm_s16le -f wav - | cat >pipe.wav
sox -V1 -R -r 8000 -n -e ms-adpcm adpcm_ms.wav synth 3 sine 330 gain -6
sox -V1 -R -r 8000 -n -c 2 -e ima-adpcm adpcm_ima.wav synth 3 sine 330 gain -6

# AIFF.
tone 2 11025 -c:a pcm_s16be s16.aiff
sox -V1 -R "$PWD/s16.wav" -b 24 "$work/s24.aiff" trim 0 1
mv "$work/s24.aiff" s24.aiff
tone 1 8000 -c:a pcm_f32be -f aiff f32.aifc
tone 1 8000 -c:a pcm_s16le -f aiff sowt.aifc

# MP3: with and without a header, all MPEG versions.
tone 3 44100 -c:a pcm_s16le "$work/cd.wav"
tone 3 22050 -c:a pcm_s16le "$work/half.wav"
tone 3 8000 -c:a pcm_s16le "$work/phone.wav"
lame --quiet -b 64 -m m "$work/cd.wav" cbr_lame.mp3
lame --quiet -t -b 64 -m m "$work/cd.wav" cbr_bare.mp3
lame --quiet -V 5 -m m --add-id3v2 --tt Song --ta Somebody "$work/cd.wav" vbr_lame.mp3
lame --quiet -p -V 5 -m j "$work/cd.wav" vbr_protected.mp3
tone 3 44100 -c:a libmp3lame -q:a 5 -write_xing 0 -id3v2_version 0 vbr_bare.mp3
lame --quiet -V 5 "$work/half.wav" mpeg2.mp3
lame --quiet -b 24 "$work/phone.wav" mpeg25.mp3
tone 3 44100 -c:a mp2 -b:a 64k -f mp2 layer2.mp3
ffmpeg -v error -nostdin -y -f lavfi -i "mandelbrot=s=160x120" -frames:v 1 -pix_fmt rgb24 "$work/cover.png"
# shellcheck disable=SC2086 # $exact is a list
ffmpeg -v error -nostdin -y -i "$work/half.wav" -i "$work/cover.png" -map 0 -map 1 -c:a libmp3lame -b:a 32k \
	-c:v copy -disposition:v attached_pic -write_id3v1 1 $exact -metadata title=Song picture.mp3

# FLAC: seekable, from a pipe (no length in the header), with a picture and
# behind an ID3 tag.
flac --silent -f --no-padding -o plain.flac "$work/half.wav"
flac --silent -f --no-padding --picture "$work/cover.png" -o "$work/picture.flac" "$work/phone.wav"
flac --totally-silent -f --no-padding --no-seektable -c - <"$work/phone.wav" 2>/dev/null | cat >piped.flac
{
	printf 'ID3\003\000\000\000\000\000\024'
	printf 'TIT2\000\000\000\012\000\000\000Song name'
	cat "$work/picture.flac"
} >tagged.flac

# Ogg: one stream, and a chain of two.
oggenc --quiet -s 1 -q 2 -o vorbis.ogg "$work/half.wav"
opusenc --quiet --serial 2 --bitrate 32 --discard-comments "$work/cd.wav" opus.opus
tone 1 44100 -c:a pcm_s16le "$work/short.wav"
oggenc --quiet -s 3 -q 0 -o "$work/short.ogg" "$work/short.wav"
cat vorbis.ogg "$work/short.ogg" >chained.ogg
tone 2 8000 -c:a flac -serial_offset 4 -f ogg flac.ogg

# MP4: the index behind, in front, in fragments; lossless.
tone 3 44100 -c:a aac -b:a 48k aac_back.m4a
tone 3 44100 -c:a aac -b:a 48k -movflags +faststart aac_front.m4a
tone 3 44100 -c:a aac -b:a 48k -movflags frag_keyframe+delay_moov -frag_duration 500000 fragmented.mp4
tone 2 11025 -c:a alac alac.m4a
tone 3 48000 -c:a libopus -b:a 32k opus.mp4
tone 1 8000 -c:a pcm_s16le pcm.mov

# Raw AAC.
tone 3 44100 -c:a aac -b:a 48k adts.aac
ls -l
