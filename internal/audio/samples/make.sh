#!/bin/sh
# Renders the five demo songs of this folder from nothing but synthesis: sox
# plays the notes, the encoders make the files. Nobody's recording is in them.
# Needs sox, ffmpeg, lame, flac and opusenc (Debian: opus-tools). sox -R makes
# the noise in its plucked strings repeatable.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# bar FILE START RING STEP WAVE NOTE...: one arpeggio that begins at START.
# Each note begins STEP seconds after the one before and sounds for RING
# seconds: strings die away by themselves, sines are struck or held.
bar() {
	file=$1 start=$2 ring=$3 step=$4 wave=$5
	shift 5
	case $wave in
	struck) wave=sine shape="l 0.002 $ring $ring" ;;
	held) wave=sine shape="h 0.06 $ring 0.5" ;;
	reed) wave=triangle shape="h 0.06 $ring 0.5" ;;
	*) shape="h 0.002 $ring 0.2" ;;
	esac
	voices= delays= i=0
	for note; do
		voices="$voices $wave $note"
		delays="$delays $(awk "BEGIN { print $i * $step }")"
		i=$((i + 1))
	done
	# shellcheck disable=SC2086 # the lists are meant to split
	sox -R -V1 -r 44100 -n "$work/$file" synth "$ring" $voices fade $shape delay $delays \
		remix - norm -4 pad "$start" 0
}

# mix OUT FILE...: plays files together and leaves headroom.
mix() {
	out=$1
	shift
	(cd "$work" && sox -R -V1 -m "$@" "$out" norm -2)
}

tape() { # fingerpicked C, Am, F, G on a worn tape
	bar t1.wav 0.0 2.6 0.3 pluck C3 G3 C4 E4 G4 E4 C4 G3
	bar t2.wav 2.4 2.6 0.3 pluck A2 E3 A3 C4 E4 C4 A3 E3
	bar t3.wav 4.8 2.6 0.3 pluck F2 C3 F3 A3 C4 A3 F3 C3
	bar t4.wav 7.2 2.6 0.3 pluck G2 D3 G3 B3 D4 B3 G3 G4
	mix t.wav t1.wav t2.wav t3.wav t4.wav
	sox -R -V1 "$work/t.wav" -D -r 32000 -c 2 -b 16 "$work/tape.wav" lowpass 5200 tremolo 4.6 14 reverb 38 norm -1.5 trim 0 11.5 fade l 0 11.5 1.6
	lame --quiet -V 7 --add-id3v2 --tt "Morning Tape" --ta "Segue demo" "$work/tape.wav" 01-morning-tape.mp3
}

box() { # a music box in D
	bar b1.wav 0.0 2.6 0.2 struck D6 F#5 A5 D6 F#6 A6
	bar b2.wav 1.2 2.6 0.2 struck B5 D6 F#6 B6 F#6 D6
	bar b3.wav 2.4 2.6 0.2 struck G5 B5 D6 G6 B6 G6
	bar b4.wav 3.6 2.6 0.2 struck A5 C#6 E6 A6 E6 D6
	mix b.wav b1.wav b2.wav b3.wav b4.wav
	sox -R -V1 "$work/b.wav" -D -r 8000 -c 1 -b 16 02-music-box.wav reverb 25 norm -3 trim 0 6.4 fade l 0 6.4 0.8
}

hymn() { # organ chords: a minor plagal cadence
	for voice in "1 0.0 A2 E3 C4 A4" "2 2.0 D3 A3 F4 D5" "3 4.0 G2 D3 B3 G4" "4 6.0 C3 G3 E4 C5"; do
		# shellcheck disable=SC2086 # one word per argument
		set -- $voice
		bar "h$1.wav" "$2" 2.4 0.04 held "$3" "$4" "$5" "$6"
		bar "o$1.wav" "$2" 2.4 0.04 reed "$4" "$6"
	done
	mix h.wav h1.wav h2.wav h3.wav h4.wav -v 0.3 o1.wav -v 0.3 o2.wav -v 0.3 o3.wav -v 0.3 o4.wav
	sox -R -V1 "$work/h.wav" -D -r 16000 -c 1 -b 16 "$work/hymn.wav" lowpass 2600 norm -3 trim 0 8.0 fade l 0.02 8.0 0.8
	flac --silent -f -8 -T "TITLE=Organ Hymn" -T "ARTIST=Segue demo" --no-padding -o 03-organ-hymn.flac "$work/hymn.wav"
}

drive() { # pulsing bass under an echoing lead
	bar d1.wav 0.0 0.24 0.25 sawtooth E2 E2 E2 G2 E2 E2 D2 E2
	bar d2.wav 2.0 0.24 0.25 sawtooth C2 C2 C2 E2 C2 C2 B1 C2
	bar d3.wav 4.0 0.24 0.25 sawtooth A1 A1 A1 C2 A1 A1 G1 A1
	bar d4.wav 6.0 0.24 0.25 sawtooth B1 B1 B1 D2 B1 B1 F#2 B1
	mix d.wav d1.wav d2.wav d3.wav d4.wav
	sox -R -V1 "$work/d.wav" "$work/bass.wav" lowpass 420
	bar l1.wav 0.0 2.0 0.5 pluck B4 G4 E4 B3
	bar l2.wav 2.0 2.0 0.5 pluck C5 G4 E4 C4
	bar l3.wav 4.0 2.0 0.5 pluck A4 E4 C4 A3
	bar l4.wav 6.0 2.0 0.5 pluck D5 B4 F#4 D4
	mix l.wav l1.wav l2.wav l3.wav l4.wav
	sox -R -V1 "$work/l.wav" "$work/lead.wav" echo 0.8 0.7 375 0.4 750 0.2
	mix n.wav -v 0.7 bass.wav -v 0.8 lead.wav
	sox -R -V1 "$work/n.wav" -D -r 48000 -c 2 -b 16 "$work/drive.wav" reverb 20 norm -2 trim 0 9.6 fade l 0 9.6 1.2
	opusenc --quiet --serial 4 --bitrate 50 --title "Night Drive" --artist "Segue demo" "$work/drive.wav" 04-night-drive.ogg
}

waltz() { # three in a bar: G, Em, C, D, G
	bar w1.wav 0.0 1.8 0.5 pluck G2 B3 D4
	bar w2.wav 1.5 1.8 0.5 pluck E2 G3 B3
	bar w3.wav 3.0 1.8 0.5 pluck C3 E3 G3
	bar w4.wav 4.5 1.8 0.5 pluck D3 F#3 A3
	bar w5.wav 6.0 1.8 0.5 pluck G2 B3 D4 G4
	bar m1.wav 0.0 1.8 1.0 pluck D5 B4
	bar m2.wav 1.5 1.8 0.5 pluck G4 B4 E5
	bar m3.wav 3.0 1.8 1.0 pluck C5 E5
	bar m4.wav 4.5 1.8 0.5 pluck D5 C5 A4
	bar m5.wav 6.0 1.8 0.5 pluck B4 D5 G5
	mix w.wav w1.wav w2.wav w3.wav w4.wav w5.wav m1.wav m2.wav m3.wav m4.wav m5.wav
	sox -R -V1 "$work/w.wav" -D -r 44100 -c 2 -b 16 "$work/waltz.wav" reverb 45 norm -2 trim 0 9.0 fade l 0 9.0 1.2
	ffmpeg -v error -nostdin -y -i "$work/waltz.wav" -c:a aac -b:a 76k -fflags +bitexact -flags:a +bitexact \
		-metadata title="Harbour Waltz" -metadata artist="Segue demo" -movflags +faststart 05-harbour-waltz.m4a
}

tape
box
hymn
drive
waltz
ls -l 0*
