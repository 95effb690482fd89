package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// maxRow is the longest row of a manifest, in bytes.
const maxRow = 1 << 20

// textLine is one line of a manifest without its end.
type textLine struct {
	// number counts from 1, as editors do.
	number int
	text   string
	// problem says why the line cannot be read; empty when it can.
	problem string
}

// lineReader gives the lines of a text that may come from anywhere: they end with
// LF, CRLF or CR, no line need end at all, and what is no text is said line by
// line. It can go back to a marked line, and holds what came after it.
type lineReader struct {
	r        *bufio.Reader
	encoding string
	number   int
	// afterCR says that a LF would be the rest of the last line's end.
	afterCR bool
	buf     []byte
	// ahead are lines that were read; back is the next of them to give.
	ahead  []textLine
	back   int
	marked int
}

// next gives the next line; io.EOF after the last one.
func (l *lineReader) next() (textLine, error) {
	if l.back == len(l.ahead) {
		line, err := l.read()
		if err != nil {
			return textLine{}, err
		}
		l.ahead = append(l.ahead, line)
	}
	l.back++
	return l.ahead[l.back-1], nil
}

// mark makes the next line the one that rewind knows, and lets go of all before.
func (l *lineReader) mark() {
	if l.back == len(l.ahead) || l.back > 1<<10 {
		kept := copy(l.ahead, l.ahead[l.back:])
		clear(l.ahead[kept:])
		l.ahead, l.back = l.ahead[:kept], 0
	}
	l.marked = l.back
}

// rewind makes the line after the marked one the next, and says whether it was not.
func (l *lineReader) rewind() bool {
	back := l.back > l.marked+1
	l.back = l.marked + 1
	return back
}

// read reads a line without trusting it to end: of one that is too long the
// beginning is kept, and its end is found.
func (l *lineReader) read() (textLine, error) {
	l.buf = l.buf[:0]
	begun, long := false, false
	for {
		if _, err := l.r.Peek(1); err != nil {
			if !begun || !errors.Is(err, io.EOF) {
				return textLine{}, err
			}
			return l.line(long), nil
		}
		window, _ := l.r.Peek(l.r.Buffered()) // no more than there is
		if l.afterCR && window[0] == '\n' && !begun {
			l.afterCR = false
			_, _ = l.r.Discard(1) // just peeked at
			continue
		}
		l.afterCR, begun = false, true
		end := bytes.IndexAny(window, "\r\n")
		part := window
		if end >= 0 {
			part = window[:end]
			l.afterCR = window[end] == '\r'
		}
		long = long || len(l.buf)+len(part) > maxRow
		if !long {
			l.buf = append(l.buf, part...)
		}
		if end >= 0 {
			_, _ = l.r.Discard(end + 1)
			return l.line(long), nil
		}
		_, _ = l.r.Discard(len(window))
	}
}

// line makes a line of what was read.
func (l *lineReader) line(long bool) textLine {
	l.number++
	line := textLine{number: l.number}
	if long {
		line.problem = fmt.Sprintf("the line is longer than %d bytes", maxRow)
		return line
	}
	if line.problem = notText(l.buf, l.encoding); line.problem == "" {
		line.text = string(l.buf)
	}
	return line
}
