package source_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
)

func TestManifests(t *testing.T) {
	dir := plant(t, "in/a.mp3", "in/b.mp3", "in/album/c.mp3", "here.mp3")
	a, b, c := filepath.Join(dir, "in", "a.mp3"), filepath.Join(dir, "in", "b.mp3"), filepath.Join(dir, "in", "album", "c.mp3")
	url := source.Input{Source: "https://h/x.mp3?…", URL: "https://h/x.mp3?k=1", Overrides: source.Overrides{Prompt: new("la, la"), Instrumental: new(false)}}
	cases := map[string]struct {
		text string
		want []source.Input
	}{
		"rows.jsonl": {
			text: "\xef\xbb\xbf" + `{"source": "a.mp3", "continueAt": -5, "extend": true, "style_weight": "0.65", "Vocal-Gender": null}

{"source":"a.mp3","title":"Another"}
  {"source": "album", "model": "V5", "name": ""}
{"prompt":"la, la","instrumental":false,"source":"https://h/x.mp3?k=1"}`,
			want: []source.Input{
				{Source: "in/a.mp3", Path: a, Origin: "in/rows.jsonl:1", Overrides: source.Overrides{ContinueAt: new(-5.0), Extend: new(true), StyleWeight: new(0.65)}},
				{Source: "in/a.mp3", Path: a, Origin: "in/rows.jsonl:3", Overrides: source.Overrides{Title: new("Another")}},
				{Source: "in/album/c.mp3", Path: c, Origin: "in/rows.jsonl:4", Overrides: source.Overrides{Model: new("V5"), Name: new("")}},
				{Source: url.Source, URL: url.URL, Origin: "in/rows.jsonl:5", Overrides: url.Overrides},
			},
		},
		"rows.csv": {
			text: "source,continue-at,prompt,instrumental\na.mp3,60,\"two\nlines\",yes\nb.mp3\nhttps://h/x.mp3?k=1,,\"la, la\",no\n",
			want: []source.Input{
				{Source: "in/a.mp3", Path: a, Origin: "in/rows.csv:2", Overrides: source.Overrides{ContinueAt: new(60.0), Prompt: new("two\nlines"), Instrumental: new(true)}},
				{Source: "in/b.mp3", Path: b, Origin: "in/rows.csv:4"},
				{Source: url.Source, URL: url.URL, Origin: "in/rows.csv:5", Overrides: url.Overrides},
			},
		},
		"semicolons.CSV": {
			text: "\xef\xbb\xbfTitle;Source\r\nHey, you;b.mp3\r\n",
			want: []source.Input{{Source: "in/b.mp3", Path: b, Origin: "in/semicolons.CSV:2", Overrides: source.Overrides{Title: new("Hey, you")}}},
		},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			must(t, os.WriteFile(filepath.Join(dir, "in", name), []byte(test.text), 0o600))
			inputs, findings := source.Expand(t.Context(), []string{"in/" + name}, source.Options{Dir: dir})
			if diff := cmp.Diff(test.want, inputs); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
			if len(findings) != 0 {
				t.Errorf("findings = %v, want none", findings)
			}
		})
	}
}

func TestStdin(t *testing.T) {
	dir := plant(t, "a.mp3")
	stdin := strings.NewReader(`{"source":"a.mp3"}` + "\n" + `{"source":"b.mp3"}`)
	shown, findings := expand(t, source.Options{Dir: dir, Stdin: stdin}, "-", "-")
	if diff := cmp.Diff([]string{"a.mp3"}, shown); diff != "" {
		t.Errorf("inputs (-want +got):\n%s", diff)
	}
	want := []string{"stdin:2: b.mp3: there is no such file or directory", "-: the standard input can be read once only"}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	_, findings = expand(t, source.Options{Dir: dir}, "-")
	if diff := cmp.Diff([]string{"-: the standard input is not available here"}, findings); diff != "" {
		t.Errorf("without stdin (-want +got):\n%s", diff)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("the pipe broke") }

func TestStdinThatBreaks(t *testing.T) {
	_, findings := expand(t, source.Options{Stdin: brokenReader{}}, "-")
	if diff := cmp.Diff([]string{"stdin:1: the pipe broke"}, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// columns is what a finding says of the columns that there are.
const columns = "there are source, account, archive, audio-weight, budget, continue-at, extend, instrumental, model, name, " +
	"negative-tags, notify, on-unknown, out, persona-id, prompt, provider, style, style-weight, title, vocal-gender, weirdness-constraint"

func TestWhatIsWrongWithManifests(t *testing.T) {
	cases := []struct {
		name, text string
		want       []string
	}{
		{"m.jsonl", "", []string{"m.jsonl: there are no rows in it"}},
		{"m.jsonl", "\n\n", []string{"m.jsonl: there are no rows in it"}},
		{
			"m.jsonl", `{"source":"a.mp3","promt":"x"}
{"source":"a.mp3","promt":"y","continue-at":"soon","extend":"maybe"}
["a.mp3"]
{"source":"gone.mp3"}
{"title":"x"}
{"source":"a.mp3","title":["x"]}
{"source":"a.mp3","title":"x","Title":"y"}
{"source":"a.mp3"
{"source":"a.mp3"} {"source":"a.mp3"}
{"source":"s3://b/k"}
{"source":"a.mp3","style-weight":1e999}
not json
`,
			[]string{
				`m.jsonl:1: a.mp3: there is no column "promt", did you mean prompt?; ` + columns,
				`m.jsonl:2: a.mp3: there is no column "promt", did you mean prompt?`,
				`m.jsonl:2: a.mp3: continue-at is "soon"; it must be a number`,
				`m.jsonl:2: a.mp3: extend is "maybe"; it must be true or false`,
				`m.jsonl:3: this is not a JSON object; a row is {"source": "songs/a.mp3"}`,
				`m.jsonl:4: gone.mp3: there is no such file or directory`,
				`m.jsonl:5: source is missing`,
				`m.jsonl:6: a.mp3: title must be a plain value`,
				`m.jsonl:7: a.mp3: title is given twice`,
				`m.jsonl:8: the JSON object is not closed`,
				`m.jsonl:9: there is something after the JSON object; one row per line`,
				`m.jsonl:10: s3://b/k: "b" cannot be a bucket's name`,
				`m.jsonl:11: a.mp3: style-weight is "1e999"; it must be a number`,
				`m.jsonl:12: this is not a JSON object; a row is {"source": "songs/a.mp3"}`,
			},
		},
		{"m.jsonl", `{"source":"` + strings.Repeat("a", 1<<20) + `"}`, []string{"m.jsonl:1: the line is longer than 1048576 bytes"}},
		{"m.jsonl", `{"source":"a.mp3"}` + "\n" + `{"source":"./a.mp3"}`, []string{"note: m.jsonl:2: a.mp3: the same as a.mp3 (m.jsonl:1), named before; taken once"}},
		{"m.csv", "", []string{"m.csv: the table is empty; its first row names the columns: " + strings.TrimPrefix(columns, "there are ")}},
		{"m.csv", "source\n", []string{"m.csv: there are no rows in it"}},
		{"m.csv", "file,title\na.mp3,x\n", []string{`m.csv:1: there is no column "file", did you mean source?; ` + columns, "m.csv:1: the first row names the columns, and source is not among them"}},
		{"m.csv", "source,titel\na.mp3,x\na.mp3,\n", []string{`m.csv:1: there is no column "titel", did you mean title?; ` + columns}},
		{"m.csv", "source,budget\na.mp3,1,2\n,3\na.mp3,x\n", []string{"m.csv:2: has 3 cells; the first row names 2 columns", "m.csv:3: source is missing", `m.csv:4: a.mp3: budget is "x"; it must be a number`}},
		{"m.csv", "source,title\na.mp3,\"x\n", []string{`m.csv:2: this is not a row of a table: a quote is opened and not closed, or one inside of a cell is not written ""`}},
	}
	for _, c := range cases {
		dir := plant(t, "a.mp3")
		must(t, os.WriteFile(filepath.Join(dir, c.name), []byte(c.text), 0o600))
		_, findings := expand(t, source.Options{Dir: dir}, c.name)
		if diff := cmp.Diff(c.want, findings); diff != "" {
			t.Errorf("%s %.60q: findings (-want +got):\n%s", c.name, c.text, diff)
		}
	}
	_, findings := expand(t, source.Options{Dir: t.TempDir()}, "gone.csv")
	if diff := cmp.Diff([]string{"gone.csv: there is no such file or directory"}, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}
