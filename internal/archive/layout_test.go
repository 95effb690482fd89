package archive_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
)

const id = "ses_019aa1b2-3c4d-7e5f-8a9b-0c1d2e3f4a5b"

func fields() archive.Fields {
	return archive.Fields{
		Session: id, Name: "June batch", Index: 7, Stem: "Morning Tape", N: 2, AudioID: "8f1c", Title: "Für Elise: live?",
		Provider: "kie", Account: "main", Model: "V5", Date: time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC),
	}
}

func TestLayouts(t *testing.T) {
	for _, c := range []struct{ layout, track, item string }{
		{archive.DefaultLayout, id + "/007-Morning Tape-2", id + "/007-Morning Tape"},
		{"", id + "/007-Morning Tape-2", id + "/007-Morning Tape"},
		{"{session}/{n}-{index}.{ext}", id + "/2-007", id + "/007"},
		{"{session}/{index}/{n}.{ext}", id + "/007/2", id + "/007"},
		{"{session}/{index} - {title} ({n}).{ext}", id + "/007 - Für Elise_ live_ (2)", id + "/007 - Für Elise_ live_ ()"},
		{"{date}/{provider}/{account}/{model}/{index}_{n}_{stem}.{ext}", "2026-11-22/kie/main/V5/007_2_Morning Tape", "2026-11-22/kie/main/V5/007_Morning Tape-" + id},
		{"{name}/{title} {audio_id}.{ext}", "June batch/Für Elise_ live_ 8f1c", "June batch/Für Elise_ live_ 8f1c"},
		{"{audio_id}.{ext}", "8f1c", "8f1c"},
		{"music/{session}/{index}-{audio_id}.{ext}", "music/" + id + "/007-8f1c", "music/" + id + "/007"},
		{"{session}/{stem}-{index}-{n}.{ext}", id + "/Morning Tape-007-2", id + "/Morning Tape-007"},
	} {
		layout := archive.Layout{}
		if c.layout != "" {
			var err error
			if layout, err = archive.ParseLayout(c.layout); err != nil {
				t.Errorf("ParseLayout(%q): %v", c.layout, err)
				continue
			}
			if layout.String() != c.layout {
				t.Errorf("String() = %q, want %q", layout, c.layout)
			}
		}
		if got := layout.Track(fields()); got != c.track {
			t.Errorf("%s: Track = %q, want %q", layout, got, c.track)
		}
		if got := layout.Item(fields()); got != c.item {
			t.Errorf("%s: Item = %q, want %q", layout, got, c.item)
		}
	}
	if got := (archive.Layout{}).String(); got != "{session}/{index}-{stem}-{n}.{ext}" {
		t.Errorf("the zero layout is %q", got)
	}
}

func TestLayoutsThatCannotBe(t *testing.T) {
	const same = "it must contain {index} and {n}, or {audio_id}"
	for _, c := range []struct{ layout, words string }{
		{"", "it must end in .{ext}"},
		{"{session}/{index}-{n}", "it must end in .{ext}"},
		{"{session}/{index}-{n}.mp3", "it must end in .{ext}"},
		{"{session}/{ext}/{index}-{n}.{ext}", "{ext} can stand at the end only"},
		{"{session}/{stem}-{n}.{ext}", same},
		{"{session}/{index}-{stem}.{ext}", same},
		{"{session}.{ext}", same},
		{"{session}/{index}-{n}-{artist}.{ext}", "there is no field {artist}; there are {account}, {audio_id}, {date}, {index}, {model}, {n}, {name}, {provider}, {session}, {stem}, {title} and {ext}"},
		{"{session}/{Index}-{n}.{ext}", "there is no field {Index}"},
		{"{session/{index}-{n}.{ext}", "must stand around a field's name"},
		{"{session}}/{index}-{n}.{ext}", "must stand around a field's name"},
		{"{{session}}/{index}-{n}.{ext}", "must stand around a field's name"},
		{"{}/{index}-{n}.{ext}", "there is no field {}"},
		{"/{session}/{index}-{n}.{ext}", "cannot be a file's"},
		{"../{session}/{index}-{n}.{ext}", "cannot be a file's"},
		{"{session}/../{index}-{n}.{ext}", "cannot be a file's"},
		{"{session}//{index}-{n}.{ext}", "cannot be a file's"},
		{".segue/{session}/{index}-{n}.{ext}", "cannot be a file's"},
		{"{session}/.{index}-{n}.{ext}", "cannot be a file's"},
		{"{session} /{index}-{n}.{ext}", "cannot be a file's"},
		{"{session}/{index}-{n}?.{ext}", "cannot be a file's"},
		{`c:\{session}\{index}-{n}.{ext}`, "cannot be a file's"},
		{"{session}/{index}\x00-{n}.{ext}", "cannot be a file's"},
		{"{session}/{index}{n}.{ext}", "{index} could not be told"},
		{"{session}/{index}0{n}.{ext}", "{index} could not be told"},
		{"{session}/{stem}-{index}-{title}-{n}.{ext}", "{index} could not be told"},
		{"{session}/{stem}{index}-{n}.{ext}", "{index} could not be told"},
		{"{session}/{index}/{title}-{n}-{title}.{ext}", "{n} could not be told"},
		{"{session}/{index}/{n}{title}.{ext}", "{n} could not be told"},
		{"{session}/{index}/{title}{n}.{ext}", "{n} could not be told"},
		{strings.Repeat("a", 200) + "/{index}-{n}.{ext}", "longer than 220 bytes between two slashes"},
		{strings.Repeat("{session}/", 12) + "{index}-{n}.{ext}", "longer than 700 bytes"},
	} {
		_, err := archive.ParseLayout(c.layout)
		if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.words) {
			t.Errorf("ParseLayout(%q): %v, want invalid: …%s…", c.layout, err, c.words)
		}
	}
	_, err := archive.ParseLayout("{artist}/{stem}")
	for _, words := range []string{"it must end in", "no field {artist}", same} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want all that is wrong, also: %s", err, words)
		}
	}
}

// hostile is what people, files and providers could say.
var hostile = []string{
	"", ".", "..", "../../etc/passwd", "/", `\\server\share`, "con", "com", "a\x00b", "-rf", " ", "{n}", "001-1", "1", "11", "\xff",
	"x/../../y", strings.Repeat("🎹", 300), strings.Repeat("a", 5000), "name (2)", "\u202egpj", "~", "a.", "..a", "CON.mp3", "\u200d",
}

// Names are safe and of bearable length, whatever the fields hold.
func TestLayoutsAreSafe(t *testing.T) {
	layouts := []string{
		archive.DefaultLayout, "{title}{stem}/{name}/{model}{n}-{index}.{ext}", "{session}/{title}-{stem}-{name}-{model}-{index}-{n}.{ext}",
		"{audio_id}.{ext}", "{provider}/{account}/{date}/{session}-{audio_id}.{ext}", "{title}{name}-{audio_id}.{ext}",
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() string { return hostile[random.IntN(len(hostile))] }
	for _, text := range layouts {
		layout, err := archive.ParseLayout(text)
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			f := archive.Fields{
				Session: pick(), Name: pick(), Index: random.IntN(2_000_000), Stem: pick(), N: 1 + random.IntN(3), AudioID: pick(),
				Title: pick(), Provider: pick(), Account: pick(), Model: pick(),
			}
			for _, name := range []string{layout.Track(f), layout.Item(f)} {
				if !filepath.IsLocal(name) || len(name) > 700 || !utf8.ValidString(name) || strings.ContainsAny(name, "\\:*?\"<>|\x00") {
					t.Fatalf("%s of %+v is %q", text, f, name)
				}
				for part := range strings.SplitSeq(name, "/") {
					if len(part) > 220 || part == "" || strings.HasPrefix(part, ".") || strings.HasPrefix(part, "-") || strings.TrimRight(part, ". ") != part {
						t.Fatalf("%s of %+v has the part %q", text, f, part)
					}
				}
			}
		}
	}
}

// No two tracks of a session have one name, however their texts imitate numbers.
func TestLayoutsTellTracksApart(t *testing.T) {
	for _, text := range []string{
		archive.DefaultLayout, "{session}/{stem}-{index}-{n}.{ext}", "{index}-{title}-{n}.{ext}", "{session}-{index}/{n} {title}.{ext}",
		"{model}_{title}_{index}_{n}.{ext}", "{index}-{n}-{stem}{title}.{ext}", "{title}-{index}.{n}.{ext}", "{stem}/{index}{stem}/{n}/{index}.{ext}",
	} {
		layout, err := archive.ParseLayout(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		random := rand.New(rand.NewPCG(3, 4))
		texts := []string{"1", "11", "1-1", "001", "001-1", "0", "a", "a-001", "a-1", "1_1", "_1", "1 1"}
		pick := func() string { return texts[random.IntN(len(texts))] }
		stems, models := map[int]string{}, map[int]string{}
		seen := map[string]string{}
		for range 6000 {
			index, n := []int{0, 1, 11, 111, 1111, 11111, 1001}[random.IntN(7)], 1+random.IntN(12)
			if stems[index] == "" {
				stems[index], models[index] = pick(), pick()
			}
			name := layout.Track(archive.Fields{Session: id, Index: index, N: n, Stem: stems[index], Model: models[index], Title: pick()})
			track := fmt.Sprint(index, " ", n)
			if other, ok := seen[name]; ok && other != track {
				t.Fatalf("%s: %q is the name of track %s and of track %s", text, name, other, track)
			}
			seen[name] = track
		}
	}
}

// Ids that differ stay different when they are made safe.
func TestLayoutsKeepIDsApart(t *testing.T) {
	layout, err := archive.ParseLayout("{audio_id}.{ext}")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for _, audioID := range []string{"a/b", "a_b", "a:b", "a b", "a  b", " a b", strings.Repeat("x", 100), strings.Repeat("x", 101), "", "untitled", "con", "_con", "."} {
		name := layout.Track(archive.Fields{AudioID: audioID})
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q are both %q", audioID, other, name)
		}
		seen[name] = audioID
	}
}

func FuzzParseLayout(f *testing.F) {
	for _, seed := range []string{archive.DefaultLayout, "{audio_id}.{ext}", "{{}}", "{session}/../{n}{index}.{ext}", "a/{n}-{index}/{title}.{ext}"} {
		f.Add(seed, "stem", "title")
	}
	f.Fuzz(func(t *testing.T, text, stem, title string) {
		layout, err := archive.ParseLayout(text)
		if err != nil {
			return
		}
		values := fields()
		values.Stem, values.Title = stem, title
		for _, name := range []string{layout.Track(values), layout.Item(values)} {
			if !filepath.IsLocal(name) || len(name) > 700 || strings.Contains(name, "//") || strings.Contains(name, "/.") || name[0] == '.' {
				t.Errorf("ParseLayout(%q) gives %q", text, name)
			}
		}
	})
}
