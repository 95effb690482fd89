package source_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
)

// plant makes a tree of files. A name that ends in / is a directory; "name -> to"
// is a link.
func plant(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range names {
		if link, to, isLink := strings.Cut(name, " -> "); isLink {
			must(t, os.Symlink(to, filepath.Join(dir, link)))
			continue
		}
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// expand gives what Expand found as it is shown.
func expand(t *testing.T, o source.Options, args ...string) (shown, findings []string) {
	t.Helper()
	inputs, found := source.Expand(t.Context(), args, o)
	for _, in := range inputs {
		shown = append(shown, in.Source)
		if in.URL == "" && !filepath.IsAbs(in.Path) {
			t.Errorf("%s: path %q is not absolute", in.Source, in.Path)
		}
	}
	for _, f := range found {
		line := strings.ReplaceAll(f.Error(), o.Dir+"/", "")
		if f.Note {
			line = "note: " + line
		} else if f.Code != fault.Invalid {
			t.Errorf("finding %q has code %q, want invalid", line, f.Code)
		}
		findings = append(findings, line)
	}
	return shown, findings
}

func TestExpand(t *testing.T) {
	songs := []string{"songs/10.mp3", "songs/2.mp3", "songs/b/1.WAV", "songs/b/cover.jpg", "songs/A.flac", "songs/notes.txt"}
	cases := []struct {
		name     string
		tree     []string
		args     []string
		want     []string
		findings []string
	}{
		{name: "a file", tree: []string{"a.mp3"}, args: []string{"a.mp3"}, want: []string{"a.mp3"}},
		{name: "a file of any extension", tree: []string{"take.bin", ".hidden"}, args: []string{"take.bin", ".hidden"}, want: []string{"take.bin", ".hidden"}},
		{name: "files as given", tree: []string{"b.mp3", "a.mp3"}, args: []string{"./b.mp3", "a.mp3"}, want: []string{"./b.mp3", "a.mp3"}},
		{name: "a directory", tree: songs, args: []string{"songs"}, want: []string{"songs/2.mp3", "songs/10.mp3", "songs/A.flac", "songs/b/1.WAV"}},
		{name: "a directory with a slash", tree: songs, args: []string{"./songs/b/"}, want: []string{"songs/b/1.WAV"}},
		{
			name: "what is nobody's song",
			tree: []string{"d/a.mp3", "d/._a.mp3", "d/.x/b.mp3", "d/c.mp3.part", "d/__MACOSX/a.mp3", "d/.mp3"},
			args: []string{"d"}, want: []string{"d/a.mp3"},
		},
		{name: "every extension", tree: []string{"d/a.aac", "d/b.AIF", "d/c.aiff", "d/d.flac", "d/e.m4a", "d/f.mp3", "d/g.mp4", "d/h.oga", "d/i.ogg", "d/j.opus", "d/k.wav"}, args: []string{"d"}, want: []string{"d/a.aac", "d/b.AIF", "d/c.aiff", "d/d.flac", "d/e.m4a", "d/f.mp3", "d/g.mp4", "d/h.oga", "d/i.ogg", "d/j.opus", "d/k.wav"}},

		{name: "a glob", tree: songs, args: []string{"songs/*.mp3"}, want: []string{"songs/2.mp3", "songs/10.mp3"}},
		{name: "a glob below", tree: songs, args: []string{"songs/**/*.WAV"}, want: []string{"songs/b/1.WAV"}},
		{name: "a glob of everything", tree: songs, args: []string{"./songs/**"}, want: []string{"./songs/2.mp3", "./songs/10.mp3", "./songs/A.flac", "./songs/b/1.WAV"}},
		{name: "a glob of files here only", tree: songs, args: []string{"songs/*"}, want: []string{"songs/2.mp3", "songs/10.mp3", "songs/A.flac"}},
		{name: "a glob in the middle", tree: []string{"x/1/a.mp3", "x/2/a.mp3", "x/2/n/a.mp3"}, args: []string{"x/*/a.mp3"}, want: []string{"x/1/a.mp3", "x/2/a.mp3"}},
		{name: "braces", tree: songs, args: []string{"songs/{2,A}.{mp3,flac}"}, want: []string{"songs/2.mp3", "songs/A.flac"}},
		{name: "a glob names its extension", tree: songs, args: []string{"songs/*.txt"}, want: []string{"songs/notes.txt"}},
		{name: "a glob skips the hidden", tree: []string{"d/.a.mp3", "d/b.mp3", "d/.c/d.mp3"}, args: []string{"d/**/*.mp3"}, want: []string{"d/b.mp3"}},
		{name: "a name that looks like a glob", tree: []string{"[live]/a [1].mp3", "[live]/b.mp3", "l/c.mp3"}, args: []string{"[live]/a [1].mp3", "[live]/*.mp3"}, want: []string{"[live]/a [1].mp3", "[live]/b.mp3"}, findings: []string{"note: [live]/a [1].mp3: the same as [live]/a [1].mp3, named before; taken once"}},

		{name: "loops", tree: []string{"d/a.mp3", "d/up -> .", "d/e/", "d/e/back -> ../..", "d/e/b.mp3"}, args: []string{"d"}, want: []string{"d/a.mp3", "d/e/b.mp3"}},
		{name: "links are followed", tree: []string{"far/a.mp3", "d/", "d/far -> ../far", "d/z.mp3 -> ../far/b.mp3", "far/b.mp3"}, args: []string{"d"}, want: []string{"d/far/a.mp3", "d/far/b.mp3"}},
		{name: "a link to itself", tree: []string{"a.mp3 -> a.mp3", "d/", "d/l -> l", "d/a.mp3"}, args: []string{"a.mp3", "d"}, want: []string{"d/a.mp3"}, findings: []string{"a.mp3: too many levels of symbolic links"}},
		{name: "a link to nowhere", tree: []string{"d/a.mp3", "d/b.mp3 -> nowhere"}, args: []string{"d"}, want: []string{"d/a.mp3"}},

		{
			name: "the same twice", tree: []string{"a.mp3", "d/", "d/b.mp3 -> ../a.mp3"}, args: []string{"a.mp3", "./a.mp3", "d", "a.mp3"}, want: []string{"a.mp3"},
			findings: []string{
				"note: ./a.mp3: the same as a.mp3, named before; taken once",
				"note: d/b.mp3: the same as a.mp3, named before; taken once",
				"note: a.mp3: the same as a.mp3, named before; taken once",
			},
		},
		{
			name: "everything wrong at once", tree: []string{"empty/", "one/x.txt", "two/x.txt", "two/y.jpg", "a.mp3", "only/x.jpg"},
			args: []string{"gone.mp3", "empty", "one", "two", "*.ogg", "only/*", "", "[", "no/dir/*.mp3", "a.mp3"},
			want: []string{"a.mp3"},
			findings: []string{
				"gone.mp3: there is no such file or directory",
				"empty: the directory is empty",
				"one: no audio files here; the one file there is was ignored",
				"two: no audio files here; 2 other files were ignored",
				"*.ogg: matches nothing",
				"only/*: matches no audio files (1 other)",
				": an empty source; name a file, a directory, a glob or a URL",
				`[: the pattern is broken: a [ or { is not closed, or a \ ends it`,
				"no/dir/*.mp3: matches nothing",
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := plant(t, c.tree...)
			shown, findings := expand(t, source.Options{Dir: dir}, c.args...)
			if diff := cmp.Diff(c.want, shown); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.findings, findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpandPaths(t *testing.T) {
	dir := plant(t, "songs/a.mp3")
	abs := filepath.Join(dir, "songs", "a.mp3")
	inputs, findings := source.Expand(t.Context(), []string{"songs", filepath.Join(dir, "*", "*.mp3"), abs}, source.Options{Dir: dir})
	want := []source.Input{{Source: "songs/a.mp3", Path: abs, Origin: "songs"}}
	if diff := cmp.Diff(want, inputs); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	if len(findings) != 2 || source.Blocking(findings) {
		t.Errorf("findings = %v, want two notes", findings)
	}
	t.Chdir(dir)
	inputs, _ = source.Expand(t.Context(), []string{"songs"}, source.Options{})
	if len(inputs) != 1 || inputs[0].Path != abs {
		t.Errorf("without Options.Dir: %v, want %s", inputs, abs)
	}
}

func TestExclude(t *testing.T) {
	dir := plant(t, "d/a.mp3", "d/out/b.mp3", "d/outer/c.mp3")
	shown, _ := expand(t, source.Options{Dir: dir, Exclude: []string{filepath.Join(dir, "d", "out") + "/"}}, "d")
	if diff := cmp.Diff([]string{"d/a.mp3", "d/outer/c.mp3"}, shown); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
}

func TestNaturalOrder(t *testing.T) {
	want := []string{
		"d/007.mp3", "d/7.mp3", "d/9.mp3", "d/10.mp3", "d/99999999999999999999998.mp3", "d/99999999999999999999999.mp3",
		"d/A.mp3", "d/a 2.mp3", "d/a 10.mp3", "d/B.mp3", "d/b.mp3", "d/c1x.mp3", "d/c1y.mp3", "d/ö.mp3",
	}
	reversed := make([]string, len(want))
	for i, name := range want {
		reversed[len(want)-1-i] = name
	}
	shown, _ := expand(t, source.Options{Dir: plant(t, reversed...)}, "d")
	want[6], want[7], want[8] = "d/a 2.mp3", "d/a 10.mp3", "d/A.mp3" // a space sorts before a dot
	if diff := cmp.Diff(want, shown); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestNotAFile(t *testing.T) {
	stat, err := os.Stat(os.DevNull)
	if errors.Is(err, fs.ErrNotExist) || stat.Mode().IsRegular() {
		t.Skip("no device here")
	}
	_, findings := expand(t, source.Options{Dir: "/"}, os.DevNull)
	if diff := cmp.Diff([]string{os.DevNull + ": this is not a file"}, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestURLs(t *testing.T) {
	args := []string{
		"https://example.com/a.mp3", "HTTP://example.com:8080/b.mp3?X-Sig=s3cr3t#t=3", "https://example.com/a.mp3",
		"https://example.com/b.mp3?X-Sig=s3cr3t", "s3://bucket/prefix?k=s3cr3t", "ftp://h/x", "https://u:s3cr3t@h/x", "https://",
	}
	inputs, found := source.Expand(t.Context(), args, source.Options{})
	want := []source.Input{
		{Source: "https://example.com/a.mp3", URL: "https://example.com/a.mp3", Origin: "https://example.com/a.mp3"},
		{Source: "HTTP://example.com:8080/b.mp3?…", URL: "http://example.com:8080/b.mp3?X-Sig=s3cr3t", Origin: "HTTP://example.com:8080/b.mp3?…"},
		{Source: "https://example.com/b.mp3?…", URL: "https://example.com/b.mp3?X-Sig=s3cr3t", Origin: "https://example.com/b.mp3?…"},
	}
	if diff := cmp.Diff(want, inputs); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	var lines []string
	for _, f := range found {
		lines = append(lines, f.Error())
	}
	wantFindings := []string{
		"https://example.com/a.mp3: the same as https://example.com/a.mp3, named before; taken once",
		"s3://bucket/prefix?…: an s3:// source has no query; endpoint and keys are settings (s3)",
		"ftp://h/x: ftp:// is not supported; name a file, or an http://, https:// or s3:// URL",
		"https://***@h/x: a URL with a user or password is not accepted; sign it in the query instead",
		"https://: this is not a URL",
	}
	if diff := cmp.Diff(wantFindings, lines); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestExpandStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	inputs, findings := source.Expand(ctx, []string{"."}, source.Options{Dir: plant(t, "a.mp3")})
	if len(inputs) != 0 || len(findings) != 0 {
		t.Errorf("Expand of a canceled context = %v, %v; want nothing", inputs, findings)
	}
}
