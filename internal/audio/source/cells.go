package source

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
)

// cells collects one row.
type cells struct {
	reader *manifestReader
	row    row
	given  map[string]bool
	broken bool
}

// begin starts a row.
func (m *manifestReader) begin(line int) *cells {
	m.rows++
	return &cells{reader: m, row: row{origin: m.at(line)}, given: map[string]bool{}}
}

func (c *cells) fail(format string, args ...any) {
	c.broken = true
	c.reader.fail(c.row.origin, c.row.source, format, args...)
}

// json takes a value as JSON has it; null is not said.
func (c *cells) json(heading string, value any) {
	switch v := value.(type) {
	case nil:
	case string:
		c.put(heading, v)
	case json.Number:
		c.put(heading, v.String())
	case bool:
		c.put(heading, strconv.FormatBool(v))
	default:
		c.fail("%s must be a plain value", heading)
	}
}

// put reads a cell. What columns there are is said once per manifest: a thousand
// rows would repeat it a thousand times.
func (c *cells) put(heading, text string) {
	column, known := canonical(heading)
	switch {
	case !known && !c.reader.unknown[heading]:
		c.reader.unknown[heading] = true
		c.fail("%s; there are %s", noColumn(heading), columnNames())
	case !known:
		c.fail("%s", noColumn(heading))
	case strings.IndexByte(text, 0) >= 0:
		c.fail("%s has a NUL in it", column)
	case c.given[column]:
		c.fail("%s is given twice", column)
	case column == sourceColumn:
		c.row.source = strings.TrimSpace(text)
	default:
		if err := c.row.overrides.set(column, text); err != nil {
			c.fail("%s", err)
		}
	}
	c.given[column] = true
}

// take adds the row's inputs, if nothing was wrong with it.
func (c *cells) take() {
	m := c.reader
	switch {
	case c.row.source == "" && c.broken && !c.given[sourceColumn]:
		return
	case c.row.source == "":
		c.fail("source is missing")
		return
	case c.broken:
		return
	}
	c.row.shown = c.row.source
	if !strings.Contains(c.row.source, "://") && !filepath.IsAbs(c.row.source) {
		c.row.shown = filepath.Join(m.shownDir, c.row.source)
	}
	m.named(m.dir, c.row)
}
