package remote

import (
	"errors"
	"io"

	"github.com/segue-audio/segue/internal/audio"
)

// window reads a file at any place, and holds on to one block of it.
type window struct {
	at     int64 // where cached begins
	cached []byte
	// fetch gives the block at an offset; io.EOF at the end of the file.
	fetch func(offset int64) ([]byte, error)
	// failed is what fetch failed with, other than the end.
	failed error
}

// probe probes the file of the given size. What kept it from being read goes
// before what was made of its beginning, and is said in its own words.
func (w *window) probe(size int64) (*audio.Info, error) {
	info, err := audio.ProbeRange(w, size)
	if w.failed != nil {
		return nil, w.failed
	}
	return info, err
}

// ReadAt fills p from offset on.
func (w *window) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		from := offset + int64(done)
		if from < w.at || from >= w.at+int64(len(w.cached)) {
			next, err := w.fetch(from)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					w.failed = err
				}
				return done, err
			}
			w.at, w.cached = from, next
		}
		done += copy(p[done:], w.cached[from-w.at:])
	}
	return done, nil
}
