package audio_test

import (
	"bytes"
	"testing"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/fault"
)

func TestWhatIsNotAudioIsNamed(t *testing.T) {
	drm := join(ftyp(), moov(song("soun", "drms")), box("mdat", make([]byte, 12500)))
	video := join(ftyp(), moov(song("vide", "avc1")), box("mdat", make([]byte, 12500)))
	cases := []struct {
		name   string
		data   []byte
		reason string
	}{
		{"empty", nil, "the file is empty"},
		{"text", text("Dear band,\nplease find attached…\n"), "this is not audio (it looks like text)"},
		{"one letter", text("G"), "this is not audio (it looks like text)"},
		{"text that begins like MP3", join([]byte{0xff, 0xfe}, text("H\x00i\x00")), "this is not audio (it looks like text)"},
		{"web page", text("\n <!DOCTYPE html><html>Not found"), "this is not audio (it is a web page)"},
		{"playlist", text("#EXTM3U\nsong.mp3\n"), "this is not audio (it is a playlist)"},
		{"PNG", text("\x89PNG\r\n\x1a\n0000"), "this is not audio (PNG image)"},
		{"JPEG", []byte{0xff, 0xd8, 0xff, 0xe0, 0, 16}, "this is not audio (JPEG image)"},
		{"HEIC", box("ftyp", text("heic"), be32(0)), "this is not audio (HEIC image)"},
		{"ZIP", text("PK\x03\x04\x14\x00"), "this is not audio (ZIP archive or Office document)"},
		{"AVI", join(text("RIFF"), le32(100), text("AVI ")), "this is not audio (AVI video)"},
		{"MIDI", text("MThd\x00\x00\x00\x06"), "this is not audio (MIDI: notes, not sound)"},
		{"WMA", []byte("0&\xb2u\x8ef\xcf\x11\xa6\xd9"), "this is not audio (WMA, which is not supported)"},
		{"macOS shadow file", []byte{0, 5, 0x16, 7, 0, 2}, "this is not audio (macOS file attributes; the sound is in the file without ._ in its name)"},
		{"zeros", make([]byte, 400<<10), "this is not audio: the file holds nothing but zeros"},
		{"noise", noise(300 << 10), "this is not audio of a known kind: no MP3 frame found, nor any known header"},
		{"ID3 tag alone", join(id3(10), make([]byte, 10)), "no MP3 frame found: the file ends after its ID3 tag"},
		{"ID3 tag and noise", join(id3(10), make([]byte, 10), noise(5000)), "no MP3 frame found after the ID3 tag"},
		{"ID3 tag cut", join(id3(1000), make([]byte, 10)), "cut off inside its ID3 tag, before the sound begins"},
		{"free format", repeat(join([]byte{0xff, 0xfb, 0x00, 0x00}, make([]byte, 800)), 20), "this MP3 is in free format, which nothing plays reliably"},
		{"DRM", drm, "the sound of this file is copy-protected (DRM)"},
		{"silent film", video, "there is no audio in this MP4 file"},
		{"MP4 without a description", join(ftyp(), bytes.Replace(moov(song("soun", "mp4a")), text("stsd"), text("free"), 1), box("mdat", make([]byte, 12500))), "the index (moov) of this MP4 file is damaged: it does not say what sound is inside"},
		{"ftyp alone", ftyp(), "there is no audio in this MP4 file: its index (moov) is missing"},
		{"Ogg without audio", oggPage(2|4, 0, 1, text("\x80theora")), "there is no audio in this Ogg file"},
		{"Ogg cut", oggPage(2, 0, 1, opusHead(0))[:30], "cut off before the sound begins: the Ogg header is not complete"},
		{"WAV without fmt", riff(0, chunk("data", 4, make([]byte, 4))), "the WAV header does not say what sound is inside (no fmt chunk)"},
		{"WAV of no rate", riff(0, chunk("fmt ", 16, join(le16(1), le16(2), le32(0), le32(0), le16(4), le16(16))), chunk("data", 4, make([]byte, 4))), "the WAV header is damaged: 2 channels at 0 Hz"},
		{"WAV of no bits", riff(0, chunk("fmt ", 16, join(le16(1), le16(2), le32(8000), le32(0), le32(0))), chunk("data", 4, make([]byte, 4))), "the WAV header is damaged: samples of 0 bits"},
		{"AIFF without COMM", join(text("FORM"), be32(4), text("AIFF")), "the AIFF header does not say what sound is inside (no COMM chunk)"},
		{"FLAC cut", text("fLaC\x00\x00\x00\x22abc"), "cut off or damaged: the FLAC header is not complete"},
	}
	for _, c := range cases {
		in, err := audio.Probe(bytes.NewReader(c.data))
		if fault.CodeOf(err) != fault.Invalid || fault.Reason(err) != c.reason {
			t.Errorf("%s: Probe = %+v, %v; want invalid: %s", c.name, in, err, c.reason)
		}
		in, err = audio.ProbeRange(bytes.NewReader(c.data), int64(len(c.data)))
		if fault.CodeOf(err) != fault.Invalid || fault.Reason(err) != c.reason {
			t.Errorf("%s: ProbeRange = %+v, %v; want invalid: %s", c.name, in, err, c.reason)
		}
	}
}

func TestSoundBehindTagIsFound(t *testing.T) {
	data := join(id3(20), make([]byte, 20), riff(0, pcm16(), chunk("data", 16000, make([]byte, 16000))))
	in, err := audio.Probe(bytes.NewReader(data))
	if err != nil || in.Format != audio.WAV || in.Duration.Seconds() != 1 {
		t.Errorf("Probe(ID3 tag, then WAV) = %+v, %v; want one second of wav", in, err)
	}
}
