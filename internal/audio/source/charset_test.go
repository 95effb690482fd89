package source_test

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
)

// wide writes text as UTF-16.
func wide(order binary.AppendByteOrder, text string) string {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return string(out)
}

func TestEncodings(t *testing.T) {
	const rows = "source,title\na.mp3,Caf\u00e9 \U0001F3B5\nb.mp3,\u201cquoted\u201d\n"
	cases := []struct {
		name, encoding, text string
		titles, findings     []string
	}{
		{name: "UTF-8", text: rows, titles: []string{"Caf\u00e9 \U0001F3B5", "\u201cquoted\u201d"}},
		{name: "UTF-8 with a mark", encoding: "latin-1", text: "\xef\xbb\xbf" + rows, titles: []string{"Caf\u00e9 \U0001F3B5", "\u201cquoted\u201d"}},
		{name: "UTF-16LE", text: "\xff\xfe" + wide(binary.LittleEndian, rows), titles: []string{"Caf\u00e9 \U0001F3B5", "\u201cquoted\u201d"}},
		{name: "UTF-16BE", text: "\xfe\xff" + wide(binary.BigEndian, rows), titles: []string{"Caf\u00e9 \U0001F3B5", "\u201cquoted\u201d"}},
		{name: "UTF-16LE without a mark", text: wide(binary.LittleEndian, rows), titles: []string{"Caf\u00e9 \U0001F3B5", "\u201cquoted\u201d"}},
		{name: "UTF-16BE without a mark", text: wide(binary.BigEndian, rows), titles: []string{"Caf\u00e9 \U0001F3B5", "\u201cquoted\u201d"}},
		{
			name: "UTF-16 that is broken", text: "\xff\xfe" + wide(binary.LittleEndian, "source,title\na.mp3,") + "\x3c\xd8" + wide(binary.LittleEndian, "\nb.mp3,B") + "\x41",
			findings: []string{
				"m.csv:2: the line is not UTF-16: there is half a letter in it",
				"m.csv:3: the line is not UTF-16: there is half a letter in it",
			},
		},
		{
			name: "Latin-1 that is not said", text: "source,title\na.mp3,Caf\xe9\nb.mp3,B\n", titles: []string{"B"},
			findings: []string{`m.csv:2: the line is not UTF-8: the byte 0xE9 after "a.mp3,Caf" is é in Latin-1 and Windows-1252; save the file as UTF-8, or name its encoding (latin-1)`},
		},
		{
			name: "Windows-1252 that is not said", text: "source,title\na.mp3,Caf\xe9 \x93x\x94\nb.mp3,A long title, \u201cwith\u201d \x80\n",
			findings: []string{
				`m.csv:2: the line is not UTF-8: the byte 0xE9 after "a.mp3,Caf" is é in Windows-1252; save the file as UTF-8, or name its encoding (windows-1252)`,
				"m.csv:3: the line is not UTF-8: the byte 0x80 after \"tle, \u201cwith\u201d \" is € in Windows-1252; save the file as UTF-8, or name its encoding (windows-1252)",
			},
		},
		{name: "UTF-16LE that is named", encoding: "UTF-16LE", text: wide(binary.LittleEndian, "s\u00f6urce\n"), findings: []string{
			`m.csv:1: there is no column "söurce", did you mean source?; ` + columns,
			"m.csv:1: the first row names the columns, and source is not among them",
		}},
		{
			name: "Shift-JIS", text: "source,title\na.mp3,\x83\x65\x83\x58\x83\x67\nb.mp3,B\n", titles: []string{"B"},
			findings: []string{`m.csv:2: the line is not UTF-8: the byte 0x83 after "a.mp3," looks like Shift-JIS; save the file as UTF-8, or name its encoding (shift_jis)`},
		},
		{name: "Shift-JIS that is named", encoding: "Shift_JIS", text: "source,title\na.mp3,\x83\x65\x83\x58\x83\x67\nb.mp3,\x82\xa0\n", titles: []string{"テスト", "あ"}},
		{name: "GBK", encoding: "gbk", text: "source,title\na.mp3,\xc4\xe3\xba\xc3\n", titles: []string{"你好"}},
		{name: "EUC-KR", encoding: "euc-kr", text: "source,title\na.mp3,\xbe\xc8\xb3\xe7\n", titles: []string{"안녕"}},
		{name: "KOI8-R", encoding: "koi8-r", text: "source,title\na.mp3,\xf0\xc5\xd3\xce\xd1\n", titles: []string{"Песня"}},
		{
			name: "not the Shift-JIS that was said", encoding: "shift_jis", text: "source,title\na.mp3,\xff\nb.mp3,B\n", titles: []string{"B"},
			findings: []string{"m.csv:2: the line is not shift_jis: it has bytes that stand for nothing there"},
		},
		{
			name: "what is neither", text: "source,title\na.mp3,\x81\nb.mp3,B\n", titles: []string{"B"},
			findings: []string{`m.csv:2: the line is not UTF-8: the byte 0x81 after "a.mp3," is no letter in Latin-1 or Windows-1252 either; save the file as UTF-8`},
		},
		{name: "Latin-1", encoding: "ISO-8859-1", text: "source,title\na.mp3,Caf\xe9\nb.mp3,\xdf\n", titles: []string{"Café", "ß"}},
		{name: "Windows-1252", encoding: "windows-1252", text: "source,title\na.mp3,Caf\xe9 \x93x\x94\nb.mp3,\x8020\n", titles: []string{"Café “x”", "€20"}},
		{
			name: "not the Latin-1 that was said", encoding: "latin1", text: "source,title\na.mp3,\x93x\x94\nb.mp3,B\n", titles: []string{"B"},
			findings: []string{"m.csv:2: the line is not Latin-1: it has bytes from 0x80 to 0x9F, which are quotes and dashes in Windows-1252"},
		},
		{
			name: "not the Windows-1252 that was said", encoding: "cp1252", text: "source,title\na.mp3,\x81\nb.mp3,B\n", titles: []string{"B"},
			findings: []string{"m.csv:2: the line is not Windows-1252: it has a byte that stands for nothing there"},
		},
		{name: "UTF-32", text: "\xff\xfe\x00\x00s\x00\x00\x00", findings: []string{"m.csv: this is UTF-32 text; save it as UTF-8"}},
		{name: "a spreadsheet", text: "PK\x03\x04...", findings: []string{"m.csv: this is a spreadsheet or a ZIP archive, not text; save it as CSV in UTF-8"}},
		{name: "gzip", text: "\x1f\x8b\x08", findings: []string{"m.csv: this is compressed; unpack it first"}},
		{name: "unknown", encoding: "iso-2022-kr", text: rows, findings: []string{
			`m.csv: there is no encoding "iso-2022-kr" here; it is utf-8, latin-1, windows-1252, utf-16le, utf-16be, shift_jis, gbk, big5, euc-kr or another that browsers know by name`,
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := plant(t, "a.mp3", "b.mp3")
			check(t, os.WriteFile(filepath.Join(dir, "m.csv"), []byte(c.text), 0o600))
			titles, findings := titlesOf(t, source.Options{Dir: dir, Encoding: c.encoding}, "m.csv")
			if diff := cmp.Diff(c.titles, titles); diff != "" {
				t.Errorf("titles (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.findings, findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func titlesOf(t *testing.T, o source.Options, args ...string) (titles, findings []string) {
	t.Helper()
	for in, finding := range source.All(t.Context(), args, o) {
		switch {
		case finding != nil:
			findings = append(findings, finding.Error())
		case in.Overrides.Title != nil:
			titles = append(titles, *in.Overrides.Title)
		default:
			titles = append(titles, "")
		}
	}
	return titles, findings
}

// What arrives a byte at a time means the same.
func TestEncodingsInPieces(t *testing.T) {
	long := strings.Repeat("\u00e9\U0001F3B5", 5000)
	text := wide(binary.LittleEndian, "source\ttitle\r\na.mp3\t"+long+"\r\n")
	titles, findings := titlesOf(t, source.Options{Dir: plant(t, "a.mp3"), Stdin: iotest.OneByteReader(strings.NewReader(text))}, "-")
	if len(titles) != 1 || titles[0] != long || findings != nil {
		t.Errorf("%d titles, findings %v; want the title as it was", len(titles), findings)
	}
}

// Lines end in every way there is, and keep their numbers.
func TestTables(t *testing.T) {
	cases := []struct {
		name, text string
		titles     []string
		findings   []string
	}{
		{name: "CR", text: "source,title\ra.mp3,A\r\rgone.mp3,B\ra.mp3,C", titles: []string{"A", "C"}, findings: []string{"m.csv:4: gone.mp3: there is no such file or directory"}},
		{name: "CRLF", text: "source,title\r\na.mp3,A\r\n\r\ngone.mp3,B\r\na.mp3,C\r\n", titles: []string{"A", "C"}, findings: []string{"m.csv:4: gone.mp3: there is no such file or directory"}},
		{name: "mixed", text: "source,title\na.mp3,A\r\n\rgone.mp3,B\r\n\n\ra.mp3,C\r\n", titles: []string{"A", "C"}, findings: []string{"m.csv:4: gone.mp3: there is no such file or directory"}},
		{name: "lines in a cell", text: "source,title\r\na.mp3,\"A\r\nB\rC\"\r\ngone.mp3,x\r\n", titles: []string{"A\nB\nC"}, findings: []string{"m.csv:5: gone.mp3: there is no such file or directory"}},
		{name: "quotes in a cell", text: "title,source\n\"an \"\"A\"\"\" , \"a.mp3\"\n\"\"\"\",a.mp3\n\"\",a.mp3\n", titles: []string{`an "A"`, `"`, ""}},
		{name: "semicolons", text: "source;\"a,b,c\";title\na.mp3;;A, B\n", titles: []string{"A, B"}, findings: []string{`m.csv:1: there is no column "a,b,c"; ` + columns}},
		{name: "tabs", text: "source\ttitle\na.mp3\tA\n", titles: []string{"A"}},
		{name: "sep=", text: "sep=;\r\nsource;title\r\na.mp3;A\r\ngone.mp3;B\r\n", titles: []string{"A"}, findings: []string{"m.csv:4: gone.mp3: there is no such file or directory"}},
		{name: "comments above", text: "# my songs\n\nsource,title\na.mp3,A\n#a.mp3,B\n", titles: []string{"A"}, findings: []string{"m.csv:5: #a.mp3: there is no such file or directory"}},
		{name: "empty cells of a spreadsheet", text: "source,title,,\na.mp3,A,,,,\n,,,\n \n,\n", titles: []string{"A"}},
		{name: "a cell without a heading", text: "source,title,\na.mp3,A,x\na.mp3,B\n", titles: []string{"B"}, findings: []string{`m.csv:2: a.mp3: cell 3 says "x", and its column has no name`}},
		{name: "a column twice", text: "source,title,Title\na.mp3,A,\na.mp3,B,C\n", titles: []string{"A"}, findings: []string{"m.csv:1: the column title is there twice"}},
		{
			name: "a quote that is not closed", text: "source,title\na.mp3,\"A\na.mp3,B\na.mp3,\"C\nD\"\na.mp3,E\n", titles: []string{"B", "C\nD", "E"},
			findings: []string{`m.csv:2: this is not a row of a table: a quote is opened and not closed, or one inside of a cell is not written ""`},
		},
		{
			name: "a header that is not closed", text: "source,\"title\na.mp3,A\n",
			findings: []string{`m.csv:1: this is not a row of a table: a quote is opened and not closed, or one inside of a cell is not written ""`},
		},
		{name: "what follows a quote", text: "source,title\na.mp3,\"A\"B\na.mp3,C\n", titles: []string{"C"}, findings: []string{`m.csv:2: this is not a row of a table: there is something after a closing quote; write "" for a quote inside of a cell`}},
		{name: "a NUL in a cell of several lines", text: "source,title\na.mp3,\"A\n\x00\nB\"\na.mp3,C\n", titles: []string{"C"}, findings: []string{"m.csv:3: there is a NUL byte in the line: the file is damaged, or no text"}},
		{name: "a line without an end", text: "source,title\na.mp3," + strings.Repeat("x", 3<<20) + "\na.mp3,B\n", titles: []string{"B"}, findings: []string{"m.csv:2: the line is longer than 1048576 bytes"}},
		{
			name: "a quote without an end", text: "source,title\na.mp3,\"" + strings.Repeat(strings.Repeat("x", 99)+"\n", 12_000), titles: nil,
			findings: nil, // counted below
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := plant(t, "a.mp3")
			check(t, os.WriteFile(filepath.Join(dir, "m.csv"), []byte(c.text), 0o600))
			titles, findings := titlesOf(t, source.Options{Dir: dir}, "m.csv")
			if diff := cmp.Diff(c.titles, titles); diff != "" {
				t.Errorf("titles (-want +got):\n%.1000s", diff)
			}
			if c.name == "a quote without an end" {
				// The row itself, and then every line below is a row and no file.
				if len(findings) != 12_000 || !strings.HasPrefix(findings[0], "m.csv:2: this is not a row of a table") || !strings.HasPrefix(findings[11_999], "m.csv:12001: xxx") {
					t.Errorf("%d findings, the last %.50q; want one of each line", len(findings), findings[len(findings)-1])
				}
				return
			}
			if diff := cmp.Diff(c.findings, findings); diff != "" {
				t.Errorf("findings (-want +got):\n%.1000s", diff)
			}
		})
	}
}

func TestStdinTakesTables(t *testing.T) {
	for text, want := range map[string][]string{
		"\n# songs\nsource;title\na.mp3;A\n":                        {"A"},
		"# songs\n{\"source\":\"a.mp3\",\"title\":\"A\"}\n# no row": {"A"},
	} {
		titles, findings := titlesOf(t, source.Options{Dir: plant(t, "a.mp3"), Stdin: strings.NewReader(text)}, "-")
		if diff := cmp.Diff(want, titles); diff != "" || findings != nil {
			t.Errorf("%q: findings %v, titles (-want +got):\n%s", text, findings, diff)
		}
	}
	_, findings := titlesOf(t, source.Options{Stdin: strings.NewReader("a.mp3\nb.mp3\n")}, "-")
	want := []string{
		`stdin:1: this is not a JSON object; a row is {"source": "songs/a.mp3"}`,
		`stdin:2: this is not a JSON object; a row is {"source": "songs/a.mp3"}`,
	}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// What encoding/csv writes is read as it was, but for the ends of its lines.
func FuzzTable(f *testing.F) {
	for _, title := range []string{"", " x", `"`, `a "b" c`, "a,b;c\td", "a\nb\r\nc\rd", "#x", "sep=;", "é\u2028", "\ufeff"} {
		f.Add(title, "V5")
	}
	f.Fuzz(func(t *testing.T, title, model string) {
		if strings.ContainsRune(title+model, 0) || !utf8.ValidString(title) || !utf8.ValidString(model) || len(title)+len(model) > 1<<16 {
			t.Skip("is refused")
		}
		var text strings.Builder
		w := csv.NewWriter(&text)
		check(t, w.WriteAll([][]string{{"title", "source", "model"}, {title, "https://h/a.mp3", model}, {"", "https://h/b.mp3", ""}}))
		var got []source.Input
		for in, finding := range source.All(t.Context(), []string{"-"}, source.Options{Stdin: strings.NewReader(text.String())}) {
			if finding != nil {
				t.Fatalf("%q: %v", text.String(), finding)
			}
			got = append(got, in)
		}
		ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
		want := []source.Overrides{{}, {}}
		if title != "" {
			want[0].Title = new(ends.Replace(title))
		}
		if model != "" {
			want[0].Model = new(ends.Replace(model))
		}
		if len(got) != 2 || cmp.Diff(want, []source.Overrides{got[0].Overrides, got[1].Overrides}) != "" {
			t.Errorf("%q: %+v, want the title %q and the model %q", text.String(), got, title, model)
		}
	})
}

// Whatever a table is, each of its rows is an input or a finding, and reading ends.
func FuzzManifest(f *testing.F) {
	f.Add([]byte("source,title\na.mp3,\"x\n\"\"\nb.mp3,y\n"), "")
	f.Add([]byte("\xff\xfes\x00o\x00"), "latin-1")
	f.Add([]byte("{\"source\":\"a\"}\r[\r\n"), "")
	f.Add([]byte("sep=;\n#\n\nsource;\"\n\r\"\n"), "windows-1252")
	f.Fuzz(func(t *testing.T, data []byte, encoding string) {
		if bytes.ContainsAny(data, `/\`) || bytes.Contains(data, []byte("..")) {
			t.Skip("leads out of the test's directory")
		}
		if len(titlesAndFindings(t, data, encoding)) == 0 {
			t.Errorf("%q is neither inputs nor findings", data)
		}
	})
}

func titlesAndFindings(t *testing.T, data []byte, encoding string) []string {
	t.Helper()
	titles, findings := titlesOf(t, source.Options{Dir: t.TempDir(), Stdin: strings.NewReader(string(data)), Encoding: encoding}, "-")
	return append(titles, findings...)
}
