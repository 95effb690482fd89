package source

import (
	"strings"
)

// table reads the rows of a CSV file. It is not encoding/csv: that reads a quote
// that is never closed to the end of the file, however large, and says nothing of
// the rows in between. Here such a row is a finding, and the next line a row.
type table struct {
	lines     *lineReader
	separator string
}

// record is one row.
type record struct {
	cells []string
	// line is where it begins.
	line int
	// problem says what is wrong with it, at line; empty when nothing is.
	problem string
}

const (
	strayQuote = `this is not a row of a table: there is a " inside of a cell; put the cell in quotes, and write "" for each quote in it`
	openQuote  = `this is not a row of a table: a quote is opened and not closed, or one inside of a cell is not written ""`
	afterQuote = `this is not a row of a table: there is something after a closing quote; write "" for a quote inside of a cell`
)

// record reads the next row that is not empty; io.EOF after the last one.
func (t *table) record() (record, error) {
	for {
		t.lines.mark()
		first, err := t.lines.next()
		if err != nil {
			return record{}, err
		}
		if first.problem != "" {
			return record{line: first.number, problem: first.problem}, nil
		}
		if strings.TrimSpace(first.text) != "" {
			return t.parse(first), nil
		}
	}
}

// header reads the first row, and learns from it what stands between the cells.
// Above it there may be empty lines, comments, and what Excel understands: "sep=;".
func (t *table) header() (record, error) {
	for {
		t.lines.mark()
		first, err := t.lines.next()
		if err != nil {
			return record{}, err
		}
		if first.problem != "" {
			return record{line: first.number, problem: first.problem}, nil
		}
		separator, isSeparator := strings.CutPrefix(strings.ToLower(first.text), "sep=")
		switch {
		case isSeparator && len(separator) == 1:
			t.separator = separator
		case strings.TrimSpace(first.text) == "", isComment(first.text):
		default:
			if t.separator == "" {
				t.separator = separatorOf(first.text)
			}
			return t.parse(first), nil
		}
	}
}

// blank says that there is nothing in any cell, as below the tables of spreadsheets.
func (r record) blank() bool {
	for _, cell := range r.cells {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// parse reads the row that begins with a line.
func (t *table) parse(first textLine) record {
	row := record{line: first.number}
	rest := first.text
	for {
		rest = t.trim(rest)
		if !strings.HasPrefix(rest, `"`) {
			cell, after, more := strings.Cut(rest, t.separator)
			if strings.Contains(cell, `"`) {
				row.problem = strayQuote
				return row
			}
			row.cells = append(row.cells, cell)
			if !more {
				return row
			}
			rest = after
			continue
		}
		cell, after, problem := t.quoted(rest[1:])
		rest = t.trim(after)
		after, more := strings.CutPrefix(rest, t.separator)
		switch {
		case problem.problem != "":
			row.problem = problem.problem
			row.line = max(row.line, problem.number)
			return row
		case !more && rest != "":
			row.problem = afterQuote
			if t.lines.rewind() {
				row.problem = openQuote // it was another row's quote that closed it
			}
			return row
		}
		row.cells = append(row.cells, cell)
		if !more {
			return row
		}
		rest = after
	}
}

// quoted reads the rest of a cell in quotes, over several lines if need be.
func (t *table) quoted(rest string) (cell, after string, problem textLine) {
	if part, after, closed := strings.Cut(rest, `"`); closed && !strings.HasPrefix(after, `"`) {
		return part, after, problem
	}
	var text strings.Builder
	for {
		part, after, closed := strings.Cut(rest, `"`)
		text.WriteString(part)
		switch {
		case closed && strings.HasPrefix(after, `"`):
			text.WriteByte('"')
			rest = after[1:]
			continue
		case closed:
			return text.String(), after, problem
		}
		line, err := t.lines.next()
		if err != nil || text.Len()+len(line.text) > maxRow {
			t.lines.rewind()
			return "", "", textLine{problem: openQuote}
		}
		if line.problem != "" && problem.problem == "" {
			problem = line
		}
		text.WriteByte('\n')
		rest = line.text
	}
}

// trim passes over blanks before a cell.
func (t *table) trim(rest string) string {
	if t.separator == "\t" {
		return strings.TrimLeft(rest, " ")
	}
	return strings.TrimLeft(rest, " \t")
}

// separatorOf guesses what stands between the cells from the first row, outside of
// its quotes.
func separatorOf(header string) string {
	counts := map[byte]int{}
	quoted := false
	for n := range len(header) {
		if header[n] == '"' {
			quoted = !quoted
		}
		if !quoted {
			counts[header[n]]++
		}
	}
	best := byte(',')
	for _, other := range []byte{';', '\t'} {
		if counts[other] > counts[best] {
			best = other
		}
	}
	return string(best)
}
