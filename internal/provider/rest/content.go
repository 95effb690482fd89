package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"

	"github.com/segue-audio/segue/internal/fault"
)

// Content is a body that is streamed: too large to be held, and of a length that
// is known before its first byte, since neither the storage services nor the
// staging hosts take a body of unknown length.
type Content struct {
	// Type is the Content-Type; empty sends none.
	Type string
	// Size is the exact number of bytes, above 0.
	Size int64
	// Open gives the bytes from the beginning.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Field is one field of a form.
type Field struct {
	Name, Value string
}

// File is the file of a form.
type File struct {
	// Field is the field's name, Name the file's.
	Field, Name string
	// Content is the file itself.
	Content Content
}

// Form is a multipart form whose fields come in the order given, and whose file
// comes last: what follows the file, a storage service ignores. Nothing is
// buffered but the fields, and Size is exact.
func Form(fields []Field, file File) (Content, error) {
	var frame bytes.Buffer
	w := multipart.NewWriter(&frame)
	for _, f := range fields {
		if err := w.WriteField(f.Name, f.Value); err != nil {
			return Content{}, fmt.Errorf("form field: %w", err)
		}
	}
	header := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition(file.Field, file.Name)}}
	if file.Content.Type != "" {
		header.Set("Content-Type", file.Content.Type)
	}
	if _, err := w.CreatePart(header); err != nil {
		return Content{}, fmt.Errorf("form file: %w", err)
	}
	before := frame.Len()
	if err := w.Close(); err != nil {
		return Content{}, fmt.Errorf("form end: %w", err)
	}
	head, tail := frame.String()[:before], frame.String()[before:]
	return Content{
		Type: w.FormDataContentType(),
		Size: file.Content.Size + int64(frame.Len()),
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			inner, err := file.Content.open(ctx)
			if err != nil {
				return nil, err
			}
			return &form{io.MultiReader(strings.NewReader(head), inner, strings.NewReader(tail)), inner}, nil
		},
	}, nil
}

// form reads the frame around a file and closes the file.
type form struct {
	io.Reader
	io.Closer
}

// expectFrom is the size from which the other side is asked before the bytes are
// sent: a ticket that has expired is then refused before 500 MB were sent for
// nothing. It costs one round trip.
const expectFrom = 1 << 20

// attach makes c the body of a request.
func (c Content) attach(req *http.Request) (*stream, error) {
	body, err := c.open(req.Context())
	if err != nil {
		return nil, err
	}
	req.Body, req.ContentLength, req.GetBody = body, c.Size, nil
	if c.Type != "" {
		req.Header.Set("Content-Type", c.Type)
	}
	if c.Size >= expectFrom {
		req.Header.Set("Expect", "100-continue")
	}
	return body, nil
}

// open refuses what net/http would send in chunks.
func (c Content) open(ctx context.Context) (*stream, error) {
	if c.Size <= 0 {
		return nil, fault.Uncharged(fault.Invalid, "", errors.New("the size of the audio is not known"))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	source, err := c.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &stream{source: source, left: c.Size}, nil
}

var errChanged = fault.Uncharged(fault.Invalid, "", errors.New("the audio is not as long as it was said to be: it was changed"))

// stream is a body that has the length that was announced or fails. It remembers
// why it failed: the transport's own words for a broken body may hold anything.
type stream struct {
	source io.ReadCloser
	left   int64
	failed atomic.Pointer[error]
}

// Read lets the last byte go only when it is known to be the last: the other side
// would take a beginning of the announced length for the whole.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.source.Read(p)
	s.left -= int64(n)
	if s.left == 0 && err == nil {
		var extra [1]byte
		var more int
		if more, err = io.ReadFull(s.source, extra[:]); more > 0 {
			s.left, err = -1, nil
		}
	}
	switch {
	case s.left < 0, s.left > 0 && errors.Is(err, io.EOF):
		return 0, s.fail(errChanged)
	case err != nil && !errors.Is(err, io.EOF):
		return 0, s.fail(err)
	}
	return n, err
}

func (s *stream) fail(err error) error {
	s.failed.CompareAndSwap(nil, &err)
	return err
}

// Close closes the source.
func (s *stream) Close() error { return s.source.Close() }

// cause is why the stream itself failed; nil when it did not.
func (s *stream) cause() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}
