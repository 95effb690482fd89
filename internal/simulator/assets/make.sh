#!/bin/sh
# Makes loop.mp3, the eight seconds that every simulated track is cut from: an
# arpeggio over two chords. Constant bit rate, mono, 24 kHz, 32 kbit/s and no bit
# reservoir, so that every frame is 96 bytes, lasts 24 ms and decodes by itself:
# any sequence of whole frames is a valid MP3 of exactly that length.
# Needs sox and lame.
set -eu
cd "$(dirname "$0")"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

note() { # number, frequency
	sox -R -n -r 24000 -c 1 -b 16 "$tmp/n$1.wav" synth 0.25 pluck "$2" fade t 0 0.25 0.03 gain -4
}
i=10
for f in A3 C4 E4 A4 E4 C4 A3 C4 E4 A4 C5 A4 E4 C4 A3 E4 \
	F3 A3 C4 F4 C4 A3 F3 A3 C4 F4 A4 F4 C4 A3 G3 B3; do
	note "$i" "$f"
	i=$((i + 1))
done
sox -R "$tmp"/n*.wav "$tmp/melody.wav"
sox -R -n -r 24000 -c 1 -b 16 "$tmp/padA.wav" synth 4 sine A2 synth 4 sine mix E3 fade t 0.3 4 0.3 gain -12
sox -R -n -r 24000 -c 1 -b 16 "$tmp/padF.wav" synth 4 sine F2 synth 4 sine mix C3 fade t 0.3 4 0.3 gain -12
sox -R "$tmp/padA.wav" "$tmp/padF.wav" "$tmp/pad.wav"
sox -R -m "$tmp/melody.wav" "$tmp/pad.wav" "$tmp/loop.wav" gain -n -3
lame --quiet -t -m m --cbr -b 32 --nores --resample 24 "$tmp/loop.wav" "$tmp/all.mp3"
# The encoder's delay and its flush are cut off: 333 frames from the third on.
dd if="$tmp/all.mp3" of=loop.mp3 bs=96 skip=2 count=333 2>/dev/null
