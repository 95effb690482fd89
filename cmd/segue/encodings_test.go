package main

import (
	"bytes"
	"encoding/binary"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/segue-audio/segue/internal/audio/samples"
)

// singleByte are the letters of the texts below that Latin-1 or Windows-1252 has one
// byte for, written down from their tables.
var singleByte = map[rune]byte{
	'é': 0xe9, 'ñ': 0xf1, 'ú': 0xfa, 'ö': 0xf6, 'ß': 0xdf, '“': 0x93, '”': 0x94, '–': 0x96, '€': 0x80, 'É': 0xc9,
}

// oneByte writes text with one byte for each letter.
func oneByte(text string) []byte {
	var out []byte
	for _, letter := range text {
		if b, known := singleByte[letter]; known {
			out = append(out, b)
			continue
		}
		out = append(out, byte(letter))
	}
	return out
}

// twoBytes writes text as UTF-16.
func twoBytes(order binary.AppendByteOrder, text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// song is what a manifest names, and with what words.
type song struct{ name, prompt string }

// table and lines are the manifest of a song that is named twice, in the two forms.
func (s song) table() string {
	row := s.name + `,"` + strings.ReplaceAll(s.prompt, `"`, `""`) + `",2` + "\r\n"
	return "source,prompt,continue-at\r\n" + row + row
}

func (s song) lines() string {
	row := `{"source": "` + s.name + `", "prompt": "` + strings.NewReplacer(`"`, `\"`, "\n", `\n`).Replace(s.prompt) + `", "continue_at": 2}` + "\n"
	return row + row
}

var plannedHash = regexp.MustCompile(`(?m)^plan (p1-[0-9a-f]{32})$`)

// TestEncodings: a manifest in any encoding means what it means in UTF-8, to the hash of
// its plan, which is over the file's content and the words. So the names open the right
// file, and what is paid for is what was written.
func TestEncodings(t *testing.T) {
	western := song{"Café ñandú.wav", "größer, \"zwei\nZeilen\""}
	windows := song{"“Été” – 5€.wav", "– “no” –\n5 €"}
	japanese := song{"音楽 \U0001F3B5.wav", "ありがとう\n\U0001F3B5"}
	plain := func(text string) []byte { return []byte(text) }
	marked := func(text string) []byte { return append([]byte("\xef\xbb\xbf"), text...) }
	little := func(text string) []byte { return twoBytes(binary.LittleEndian, text) }
	big := func(text string) []byte { return twoBytes(binary.BigEndian, text) }
	littleMarked := func(text string) []byte { return append([]byte("\xff\xfe"), little(text)...) }
	bigMarked := func(text string) []byte { return append([]byte("\xfe\xff"), big(text)...) }

	t.Chdir(t.TempDir())
	home := t.TempDir()
	plan := func(manifest []byte, form, encoding string) said {
		args := []string{"plan", "-", "--provider", "sim", "--extend", "--offline"}
		if form != "stdin" {
			args[1] = "list." + form
			if err := os.WriteFile(args[1], manifest, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if encoding != "" {
			args = append(args, "--encoding", encoding)
		}
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), environment{
			args: args, environ: []string{"HOME=" + home, "XDG_STATE_HOME=" + home},
			stdin: bytes.NewReader(manifest), stdout: &stdout, stderr: &stderr,
		})
		return said{code, stdout.String(), stderr.String()}
	}
	hash := func(s said) string {
		s.holds(t, exitOK, `^2 inputs: 1 to do|^1 input: 1 to do`, `the same as .*, named before; taken once`)
		if found := plannedHash.FindStringSubmatch(s.stdout); found != nil {
			return found[1]
		}
		return "no hash"
	}
	for n, s := range []song{western, windows, japanese} {
		if err := os.WriteFile(s.name, samples.Files()[n].Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hashes := map[string]bool{}
	for _, s := range []song{western, windows, japanese} {
		want := hash(plan(plain(s.table()), "csv", ""))
		hashes[want] = true
		for _, c := range []struct {
			name, encoding string
			write          func(string) []byte
		}{
			{"UTF-8 with a mark", "latin-1", marked},
			{"UTF-16LE with a mark", "", littleMarked},
			{"UTF-16BE with a mark", "windows-1252", bigMarked},
			{"UTF-16LE", "utf-16le", little},
			{"UTF-16BE", "UTF-16BE", big},
			{"Latin-1", "latin-1", oneByte},
			{"Windows-1252", "windows-1252", oneByte},
		} {
			if c.name == "Latin-1" && s != western || c.name == "Windows-1252" && s == japanese {
				continue // it has no such letters
			}
			for form, text := range map[string]string{"csv": s.table(), "jsonl": s.lines(), "stdin": s.table()} {
				if got := hash(plan(c.write(text), form, c.encoding)); got != want {
					t.Errorf("%s in %s as %s: plan %s, want that of UTF-8: %s", s.name, c.name, form, got, want)
				}
			}
		}
	}
	if len(hashes) != 3 {
		t.Errorf("the plans of three songs are %v, want three", hashes)
	}
	// いす.wav and うた in Shift-JIS, which the name of another file must not be taken for.
	chair := song{"いす.wav", "うた"}
	if err := os.WriteFile(chair.name, samples.Files()[3].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	in := "source,prompt,continue-at\n\x82\xa2\x82\xb7.wav,\x82\xa4\x82\xbd,2\n\x82\xa2\x82\xb7.wav,\x82\xa4\x82\xbd,2\n"
	if got, want := hash(plan([]byte(in), "csv", "shift_jis")), hash(plan(plain(chair.table()), "csv", "")); got != want {
		t.Errorf("Shift-JIS: plan %s, want that of UTF-8: %s", got, want)
	}
	// What is not said is not guessed, and what there is no decoder for is named.
	for _, c := range []struct {
		manifest             []byte
		form, encoding, want string
	}{
		{oneByte(western.table()), "csv", "", `^error: list.csv:2: the line is not UTF-8: .* is é in Latin-1 .*name its encoding \(latin-1\)$`},
		{oneByte(windows.lines()), "jsonl", "latin-1", `^error: list.jsonl:1: the line is not Latin-1: .* in Windows-1252$`},
		// ありがとう in Shift-JIS.
		{[]byte("source,prompt\nsong.wav,\x82\xa0\x82\xe8\x82\xaa\x82\xc6\x82\xa4\n"), "csv", "", `^error: list.csv:2: .* looks like Shift-JIS; .*name its encoding \(shift_jis\)$`},
		{[]byte("source\n"), "stdin", "klingon", `^error: --encoding: it is utf-8, .* or another that browsers know by name, not "klingon"$`},
	} {
		refused := plan(c.manifest, c.form, c.encoding)
		refused.stdout = "" // the plan of what is wrong
		refused.holds(t, exitUsage, c.want)
	}
}
