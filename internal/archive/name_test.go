package archive_test

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/segue-audio/segue/internal/archive"
)

func TestSafeName(t *testing.T) {
	cases := []struct{ stem, want string }{
		{"Morning Tape", "Morning Tape"},
		{"", "untitled"},
		{"...", "untitled"},
		{" \t\n ", "untitled"},
		{"../../etc/passwd", "_.._etc_passwd"},
		{`..\..\windows`, "_.._windows"},
		{"/absolute", "_absolute"},
		{"C:song", "C_song"},
		{".hidden", "hidden"},
		{"-rf", "rf"},
		{"a.mp3", "a.mp3"},
		{"a. . .", "a"},
		{`what? "yes" <no> *|`, "what_ _yes_ _no_ __"},
		{"a\x00b\x1b[31mc\nd\r\te", "ab[31mc d e"},
		{"con", "_con"},
		{"NUL.mp3", "_NUL.mp3"},
		{"Lpt1", "_Lpt1"},
		{"com¹", "_com¹"},
		{"lpt0.tar.gz", "_lpt0.tar.gz"},
		{"console", "console"},
		{"com10", "com10"},
		{"Für Elise – 月光 🎹", "Für Elise – 月光 🎹"},
		{"می\u200cخواهم", "می\u200cخواهم"},
		{"exe.\u202e3pm", "exe.3pm"},
		{"\ufeffmark", "mark"},
		{"line\u2028separator", "line separator"},
		{"wide\u3000space", "wide space"},
		{"bad \xff\xfe bytes", "bad _ bytes"},
		{strings.Repeat("a", 81), strings.Repeat("a", 80)},
		{strings.Repeat("é", 100), strings.Repeat("é", 80)},
		{strings.Repeat("🎹", 80), strings.Repeat("🎹", 50)},
		{strings.Repeat("a", 79) + " b", strings.Repeat("a", 79)},
	}
	for _, c := range cases {
		if got := archive.SafeName(c.stem); got != c.want {
			t.Errorf("SafeName(%q) = %q, want %q", c.stem, got, c.want)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"", "a/b", "..", "con.", "-\u200d.con", "\u200dcon", strings.Repeat("🎹", 60), "nul .x", "\xff", strings.Repeat("a", 79) + "\u200d."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stem string) {
		got := archive.SafeName(stem)
		if again := archive.SafeName(got); again != got {
			t.Errorf("SafeName(%q) = %q, and of that %q; want no change", stem, got, again)
		}
		if got == "" || len(got) > 200 || utf8.RuneCountInString(got) > 80 || !utf8.ValidString(got) {
			t.Errorf("SafeName(%q) = %q, want 1 to 80 characters and 200 bytes", stem, got)
		}
		if !filepath.IsLocal(got) || strings.ContainsAny(got, "/\\\x00") || got[0] == '.' {
			t.Errorf("SafeName(%q) = %q, which is more than a visible file's name", stem, got)
		}
	})
}
