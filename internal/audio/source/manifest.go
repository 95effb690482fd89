package source

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxRow is the longest line of a manifest, in bytes.
const maxRow = 1 << 20

// manifestReader turns the rows of one manifest into inputs.
type manifestReader struct {
	*expansion
	// name is the manifest as findings show it, dir what its rows are relative to.
	name, dir string
	// shownDir stands before a row's relative path when it is shown.
	shownDir string
	// unknown are the headings that were reported already.
	unknown map[string]bool
	rows    int
}

// stdin reads rows in JSON from the standard input.
func (e *expansion) stdin() {
	switch {
	case e.options.Stdin == nil:
		e.fail("-", "", "the standard input is not available here")
		return
	case e.stdinRead:
		e.fail("-", "", "the standard input can be read once only")
		return
	}
	e.stdinRead = true
	m := manifestReader{expansion: e, name: "stdin", dir: e.options.Dir, unknown: map[string]bool{}}
	m.jsonLines(e.options.Stdin)
}

// manifest reads a file of rows. Their relative paths are relative to it.
func (e *expansion) manifest(arg string) {
	name := arg
	if !filepath.IsAbs(name) {
		name = filepath.Join(e.options.Dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		e.fail(arg, "", "%s", reason(err))
		return
	}
	defer func() { _ = f.Close() }() // nothing was written
	m := manifestReader{
		expansion: e, name: arg, dir: filepath.Dir(name), shownDir: filepath.Dir(arg), unknown: map[string]bool{},
	}
	if strings.EqualFold(filepath.Ext(arg), ".csv") {
		m.csv(f)
		return
	}
	m.jsonLines(f)
}

// jsonLines reads one object per line.
func (m *manifestReader) jsonLines(r io.Reader) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for number := 1; m.ctx.Err() == nil; number++ {
		line, err := readLine(lines)
		if number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(bytes.TrimSpace(line)) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			m.jsonRow(number, line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			m.fail(m.at(number), "", "%s", reason(err))
			return
		}
	}
	m.done()
}

// readLine reads a line without trusting it to end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxRow {
			return nil, fmt.Errorf("the line is longer than %d bytes", maxRow)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

// jsonRow reads one object; a key twice, or a value that is no plain one, is a
// finding like a wrong key.
func (m *manifestReader) jsonRow(number int, line []byte) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	open, err := decoder.Token()
	if err != nil || open != json.Delim('{') {
		m.fail(m.at(number), "", "this is not a JSON object; a row is {\"source\": \"songs/a.mp3\"}")
		return
	}
	cells := m.begin(number)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			m.fail(m.at(number), "", "this is not a JSON object: %s", err)
			return
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			m.fail(m.at(number), "", "this is not a JSON object: %s", err)
			return
		}
		heading, _ := key.(string) // the decoder lets no other key pass
		cells.json(heading, value)
	}
	if _, err := decoder.Token(); err != nil {
		m.fail(m.at(number), "", "the JSON object is not closed")
		return
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		m.fail(m.at(number), "", "there is something after the JSON object; one row per line")
		return
	}
	cells.take()
}

// csv reads a table whose first row names the columns. Tables that spreadsheets
// write with ; or tabs are recognised by that row.
func (m *manifestReader) csv(r io.Reader) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = buffered.Discard(3) // just peeked at
	}
	table := csv.NewReader(buffered)
	table.Comma, table.FieldsPerRecord, table.TrimLeadingSpace = separator(buffered), -1, true
	header, err := table.Read()
	if err != nil {
		m.fail(m.name, "", "the table is empty; its first row names the columns: %s", columnNames())
		return
	}
	if !m.header(header) {
		return
	}
	for m.ctx.Err() == nil {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			m.fail(m.at(csvLine(err)), "", "%s", csvReason(err))
			return
		}
		number, _ := table.FieldPos(0)
		m.csvRow(number, header, record)
	}
	m.done()
}

// header checks the first row, so that what is wrong with it is said once. It
// says whether reading on makes sense.
func (m *manifestReader) header(header []string) bool {
	hasSource := false
	for _, heading := range header {
		column, known := canonical(heading)
		hasSource = hasSource || column == sourceColumn
		if !known {
			m.unknown[heading] = true
			m.fail(m.at(1), "", "there is no column %q; there are %s", heading, columnNames())
		}
	}
	if !hasSource {
		m.fail(m.at(1), "", "the first row names the columns, and source is not among them")
	}
	return hasSource
}

// csvRow reads one record. An empty cell is not said.
func (m *manifestReader) csvRow(number int, header, record []string) {
	cells := m.begin(number)
	if len(record) > len(header) {
		m.fail(m.at(number), "", "has %d cells; the first row names %d columns", len(record), len(header))
		return
	}
	for i, text := range record {
		if text != "" {
			cells.put(header[i], text)
		}
	}
	cells.take()
}

// separator guesses what stands between the cells from the first line.
func separator(r *bufio.Reader) rune {
	head, _ := r.Peek(4096) // a shorter table is all there
	first, _, _ := bytes.Cut(head, []byte("\n"))
	best, most := ',', bytes.Count(first, []byte(","))
	for _, other := range []rune{';', '\t'} {
		if n := bytes.Count(first, []byte(string(other))); n > most {
			best, most = other, n
		}
	}
	return best
}

func csvLine(err error) int {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return parse.StartLine
	}
	return 0
}

func csvReason(err error) string {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return "this is not a row of a table: " + parse.Err.Error()
	}
	return reason(err)
}

// at is the origin of a row.
func (m *manifestReader) at(line int) string { return fmt.Sprintf("%s:%d", m.name, line) }

// done minds a manifest without rows.
func (m *manifestReader) done() {
	if m.rows == 0 && m.ctx.Err() == nil {
		m.fail(m.name, "", "there are no rows in it")
	}
}
