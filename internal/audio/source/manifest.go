package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// manifestReader turns the rows of one manifest into inputs.
type manifestReader struct {
	*expansion
	// name is the manifest as findings show it, dir what its rows are relative to.
	name, dir string
	// shownDir stands before a row's relative path when it is shown.
	shownDir string
	lines    *lineReader
	// unknown are the headings that were reported already.
	unknown map[string]bool
	rows    int
}

// stdin reads rows from the standard input: JSON, or a table.
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
	if m.open(e.options.Stdin) {
		m.read(m.isTable())
	}
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
	if m.open(f) {
		m.read(strings.EqualFold(filepath.Ext(arg), ".csv"))
	}
}

// open begins to read text.
func (m *manifestReader) open(r io.Reader) bool {
	text, encoding, err := plain(r, m.options.Encoding)
	if err != nil {
		m.fail(m.name, "", "%s", err)
		return false
	}
	m.lines = &lineReader{r: text, encoding: encoding}
	return true
}

// read reads all rows.
func (m *manifestReader) read(table bool) {
	var err error
	if table {
		err = m.csv()
	} else {
		err = m.jsonLines()
	}
	switch {
	case m.over():
	case err != nil:
		m.fail(m.at(m.lines.number+1), "", "%s", reason(err))
	case m.rows == 0:
		m.fail(m.name, "", "there are no rows in it")
	}
}

// isTable says that the first line is the header of a table, and no JSON.
func (m *manifestReader) isTable() bool {
	m.lines.mark()
	defer func() { m.lines.back = m.lines.marked }()
	for {
		line, err := m.lines.next()
		if err != nil {
			return false
		}
		if isComment(line.text) || strings.TrimSpace(line.text) == "" {
			continue
		}
		header := (&table{lines: m.lines, separator: separatorOf(line.text)}).parse(line)
		for _, heading := range header.cells {
			if column, _ := canonical(heading); column == sourceColumn {
				return true
			}
		}
		return false
	}
}

// isComment says that a line before the first row is nobody's row. Below, a # may
// begin the name of a file.
func isComment(line string) bool { return strings.HasPrefix(line, "#") }

// jsonLines reads one object per line.
func (m *manifestReader) jsonLines() error {
	for !m.over() {
		m.lines.mark()
		line, err := m.lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line.problem != "":
			m.rows++
			m.fail(m.at(line.number), "", "%s", line.problem)
		case strings.TrimSpace(line.text) == "", isComment(line.text):
		default:
			m.jsonRow(line.number, line.text)
		}
	}
	return nil
}

// jsonRow reads one object; a key twice, or a value that is no plain one, is a
// finding like a wrong key.
func (m *manifestReader) jsonRow(number int, line string) {
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	cells := m.begin(number)
	open, err := decoder.Token()
	if err != nil || open != json.Delim('{') {
		m.fail(m.at(number), "", "this is not a JSON object; a row is {\"source\": \"songs/a.mp3\"}")
		return
	}
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
// write with ; or tabs are recognised by that row, or by the line "sep=;" above it.
func (m *manifestReader) csv() error {
	t := &table{lines: m.lines}
	header, err := t.header()
	switch {
	case errors.Is(err, io.EOF):
		m.fail(m.name, "", "the table is empty; its first row names the columns: %s", columnNames())
		m.rows++ // said
		return nil
	case err != nil:
		return err
	}
	headings, ok := m.headings(header)
	if !ok {
		m.rows++ // said
		return nil
	}
	for !m.over() {
		row, err := t.record()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case row.problem != "":
			m.rows++
			m.fail(m.at(row.line), "", "%s", row.problem)
		case !row.blank():
			m.csvRow(row, headings)
		}
	}
	return nil
}

// heading is one cell of the first row.
type heading struct {
	text, column string
	// broken says that a finding was made of it, and its cells are not read.
	broken bool
}

// headings checks the first row, so that what is wrong with it is said once. It
// says whether reading on makes sense.
func (m *manifestReader) headings(header record) ([]heading, bool) {
	if header.problem != "" {
		m.fail(m.at(header.line), "", "%s", header.problem)
		return nil, false
	}
	given := map[string]bool{}
	list := make([]heading, 0, len(header.cells))
	for _, text := range header.cells {
		column, known := canonical(text)
		h := heading{text: text, column: column, broken: !known || given[column]}
		switch {
		case strings.TrimSpace(text) == "":
			h.broken = false // a column that is empty harms nobody
		case !known:
			m.fail(m.at(header.line), "", "%s; there are %s", noColumn(text), columnNames())
		case given[column]:
			m.fail(m.at(header.line), "", "the column %s is there twice", column)
		}
		given[column] = true
		list = append(list, h)
	}
	if !given[sourceColumn] {
		m.fail(m.at(header.line), "", "the first row names the columns, and source is not among them")
	}
	return list, given[sourceColumn]
}

// csvRow reads one record. An empty cell is not said.
func (m *manifestReader) csvRow(row record, headings []heading) {
	cells := m.begin(row.line)
	for n, text := range row.cells {
		switch {
		case text == "":
		case n >= len(headings):
			m.fail(m.at(row.line), "", "has %d cells; the first row names %d columns", len(row.cells), len(headings))
			return
		case headings[n].broken:
			cells.broken = true
		case headings[n].column == "":
			cells.fail("cell %d says %q, and its column has no name", n+1, text)
		default:
			cells.put(headings[n].column, text)
		}
	}
	cells.take()
}

// at is the origin of a row.
func (m *manifestReader) at(line int) string { return fmt.Sprintf("%s:%d", m.name, line) }
