// Package longjson writes JSON objects whose lists are too long to be held as text.
package longjson

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
)

// List is a list of an object: its name, and its elements one by one. An error among
// them ends the writing.
type List struct {
	Name     string
	Elements iter.Seq2[any, error]
}

// Of gives the elements of a slice.
func Of[E any](elements []E) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for n := range elements {
			if !yield(&elements[n], nil) {
				return
			}
		}
	}
}

// Write writes an object as an encoder does that indents by two blanks and escapes no
// HTML, with the newline at its end. The lists must be empty in the object, and not
// left out: what is written in their place is their elements, each as it comes.
func Write(w io.Writer, object any, lists ...List) error {
	out := bufio.NewWriterSize(w, 64<<10)
	if err := write(out, object, lists); err != nil {
		return err
	}
	return out.Flush()
}

func write(w io.Writer, object any, lists []List) error {
	text, err := encoded(object, "")
	if err != nil {
		return err
	}
	for _, list := range lists {
		// No text holds a line break as it is: this is a field of the object itself.
		at := []byte("\n  " + quoted(list.Name) + ": [")
		before, after, found := bytes.Cut(text, append(bytes.Clone(at), ']'))
		if !found {
			return fmt.Errorf("longjson: the object has no empty list %s", list.Name)
		}
		if _, err := w.Write(append(before, at...)); err != nil {
			return err
		}
		if err := elements(w, list.Elements); err != nil {
			return err
		}
		text = append([]byte{']'}, after...)
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// elements writes what stands between the brackets.
func elements(w io.Writer, all iter.Seq2[any, error]) error {
	before, end := "\n    ", ""
	for element, err := range all {
		if err != nil {
			return err
		}
		text, err := encoded(element, "    ")
		if err != nil {
			return err
		}
		if _, err := w.Write(append([]byte(before), text...)); err != nil {
			return err
		}
		before, end = ",\n    ", "\n  "
	}
	_, err := io.WriteString(w, end)
	return err
}

func encoded(v any, prefix string) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}

func quoted(name string) string {
	text, err := json.Marshal(name)
	if err != nil {
		return name // no string fails to be encoded
	}
	return string(text)
}
