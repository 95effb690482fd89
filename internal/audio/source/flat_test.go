package source_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/segue-audio/segue/internal/audio/source"
)

// faulty are what is wrong with one row in a hundred, in turn, and what is said.
var faulty = []struct{ row, says string }{
	{`gone.mp3,60,x`, "gone.mp3: there is no such file or directory"},
	{`%s,soon,x`, `%s: continue-at is "soon"; it must be a number`},
	{`,60,x`, "source is missing"},
	{`%s,60,"never closed`, "this is not a row of a table: a quote is opened and not closed, or one inside of a cell is not written \"\""},
	{`%s,60,x,y`, "has 4 cells; the first row names 3 columns"},
	{"%s,60,caf\xe9", `the line is not UTF-8: the byte 0xE9 after "%s,60,caf" is é in Latin-1 and Windows-1252; save the file as UTF-8, or name its encoding (latin-1)`},
	{`%s,60,a "b" c`, `this is not a row of a table: there is a " inside of a cell; put the cell in quotes, and write "" for each quote in it`},
	{"%s,60,a\x00b", "there is a NUL byte in the line: the file is damaged, or no text"},
}

// table writes a manifest of so many rows over so many files, and returns what is
// to be found in it by line. Every tenth row has a prompt of three lines.
func writeTable(tb testing.TB, dir string, rows, files int) (faults map[int]string) {
	tb.Helper()
	faults = map[int]string{}
	names := make([]string, files)
	for n := range names {
		names[n] = fmt.Sprintf("%05d.mp3", n)
		check(tb, os.WriteFile(filepath.Join(dir, names[n]), []byte("x"), 0o600))
	}
	f, err := os.Create(filepath.Join(dir, "rows.csv"))
	check(tb, err)
	w := bufio.NewWriter(f)
	fmt.Fprint(w, "source,continue-at,prompt\r\n")
	line := 2
	for n := range rows {
		name := names[n%files]
		switch {
		case n%100 == 50:
			fault := faulty[n/100%len(faulty)]
			fmt.Fprint(w, strings.ReplaceAll(fault.row, "%s", name), "\r\n")
			faults[line] = strings.ReplaceAll(fault.says, "%s", name)
			line++
		case n%10 == 0:
			fmt.Fprintf(w, "%s,%d,\"one, %d\r\ntwo \"\"2\"\"\r\nthree\"\r\n", name, 1+n/files, n)
			line += 3
		default:
			fmt.Fprintf(w, "%s,%d,row %d\r\n", name, 1+n/files, n)
			line++
		}
	}
	check(tb, w.Flush())
	check(tb, f.Close())
	return faults
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func TestEveryFaultOfALongManifest(t *testing.T) {
	const rows = 4000
	dir := t.TempDir()
	faults := writeTable(t, dir, rows, 100)
	inputs := 0
	for in, finding := range source.All(t.Context(), []string{"rows.csv"}, source.Options{Dir: dir}) {
		if finding == nil {
			inputs++
			if !strings.HasPrefix(in.Origin, "rows.csv:") {
				t.Fatalf("origin %q, want a row", in.Origin)
			}
			continue
		}
		var line int
		if _, err := fmt.Sscanf(finding.Origin, "rows.csv:%d", &line); err != nil {
			t.Fatalf("origin %q: %v", finding.Origin, err)
		}
		said := strings.TrimPrefix(finding.Error(), finding.Origin+": ")
		if said != faults[line] {
			t.Errorf("line %d: %s\nwant %s", line, said, faults[line])
		}
		delete(faults, line)
	}
	if len(faults) != 0 || inputs != rows-rows/100 {
		t.Errorf("%d faults were not found, and %d inputs were; want none and %d", len(faults), inputs, rows-rows/100)
	}
}

// A reader that makes rows as they are read: nothing but the expansion holds any.
type endless struct {
	row, rows int
	rest      string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		if e.row == e.rows {
			return 0, fmt.Errorf("row %d: the pipe broke", e.row)
		}
		e.row++
		e.rest = fmt.Sprintf("{\"source\": \"https://files.example/album/%08d.mp3?signature=0123456789abcdef\", \"prompt\": \"verse %d\"}\n", e.row, e.row)
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// 40,000 rows are 5 MB of text, and as many inputs 20 MB.
func TestMemoryIsFlat(t *testing.T) {
	const rows = 40_000
	before := heap()
	inputs, most, last := 0, uint64(0), ""
	for _, finding := range source.All(t.Context(), []string{"-"}, source.Options{Stdin: &endless{rows: rows}}) {
		if finding != nil {
			last = finding.Error()
			continue
		}
		if inputs++; inputs%(rows/4) == 0 {
			most = max(most, heap())
		}
	}
	if used := int64(most) - int64(before); used > 5<<20 {
		t.Errorf("%d MB are held for %d rows, want at most 5", used>>20, inputs)
	}
	if inputs != rows || last != "stdin:40001: row 40000: the pipe broke" {
		t.Errorf("%d inputs, and at the end %q; want %d and the pipe that broke", inputs, last, rows)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestAllStopsWhenToldTo(t *testing.T) {
	reader := &endless{rows: 1_000_000}
	taken := 0
	for _, finding := range source.All(t.Context(), []string{"-", "-", "gone"}, source.Options{Stdin: reader}) {
		if taken++; taken == 3 || finding != nil {
			break
		}
	}
	if taken != 3 || reader.row > 2000 {
		t.Errorf("%d inputs taken and %d rows read after the caller stopped at 3", taken, reader.row)
	}
}

// peak watches the memory that the system gave, and has not got back.
func peak(most *atomic.Uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if held := m.Sys - m.HeapReleased; held > most.Load() {
		most.Store(held)
	}
}

// BenchmarkManifest finds the inputs of a table whose every hundredth row is wrong.
func BenchmarkManifest(b *testing.B) {
	for _, rows := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			dir := b.TempDir()
			faults := writeTable(b, dir, rows, 1000)
			var most atomic.Uint64
			for b.Loop() {
				inputs, found := 0, 0
				for _, finding := range source.All(b.Context(), []string{"rows.csv"}, source.Options{Dir: dir}) {
					if finding != nil {
						found++
						continue
					}
					if inputs++; inputs%10_000 == 0 {
						peak(&most)
					}
				}
				if inputs != rows-rows/100 || found != len(faults) {
					b.Fatalf("%d inputs and %d faults, want %d and %d", inputs, found, rows-rows/100, len(faults))
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(most.Load())/(1<<20), "MB")
		})
	}
}
