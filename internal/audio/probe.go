package audio

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/segue-audio/segue/internal/fault"
)

// Probe reads r to its end, once, and says what it is. Pipes will do.
//
// Errors: Invalid when it is not audio that can be understood, with a reason
// for people (fault.Reason); otherwise the code of r's own error. A truncated
// file is no error, see Info.Truncated.
func Probe(r io.Reader) (*Info, error) {
	return probeStream("audio.Probe", r)
}

// ProbeFile probes the file at path in one pass and makes sure that it did
// not change meanwhile: SHA256 and Size describe one state of the file.
//
// Errors: those of Probe; NotFound and Denied from opening it; Conflict when
// the file was written to, replaced or removed while it was read; Canceled
// and Timeout when ctx ends.
func ProbeFile(ctx context.Context, path string) (*Info, error) {
	const op = "audio.ProbeFile"
	before, err := os.Stat(path)
	if err != nil {
		return nil, fileFault(op, err)
	}
	switch {
	case before.IsDir():
		return nil, fault.New(fault.Invalid, op, errors.New("this is a folder, not a file"))
	case !before.Mode().IsRegular():
		// Opening a pipe could wait forever, whatever ctx says.
		return nil, fault.New(fault.Invalid, op, errors.New("this is a device or a pipe, not a file"))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fileFault(op, err)
	}
	defer func() { _ = file.Close() }() // read-only: closing can lose nothing

	in, err := probeStream(op, &contextReader{ctx: ctx, r: file})
	if ctx.Err() != nil {
		return nil, fault.New(fault.CodeOf(ctx.Err()), op, ctx.Err())
	}
	// A file that changed is reported as such even when it could not be
	// understood: half-written files look like broken ones.
	if changed := unchanged(path, before); changed != nil {
		return nil, fault.New(fault.Conflict, op, changed)
	}
	if err != nil {
		return nil, err
	}
	if in.Size != before.Size() {
		return nil, fault.New(fault.Conflict, op, fmt.Errorf("the file changed while it was read: %d bytes listed, %d read", before.Size(), in.Size))
	}
	return in, nil
}

// ProbeRange probes size bytes behind r, reading only what is needed: the
// headers and the end. MP3 without a usable header and raw AAC are walked
// frame by frame, which reads them whole; so are chained Ogg streams.
//
// Errors: as Probe. A file shorter than size is Malformed.
func ProbeRange(r io.ReaderAt, size int64) (*Info, error) {
	const op = "audio.ProbeRange"
	if size < 0 {
		return nil, fault.New(fault.Invalid, op, fmt.Errorf("size %d", size))
	}
	c := newRanges(r, size)
	defer c.release()
	in := &Info{Size: size}
	err := parse(c, in)
	if errors.Is(c.err, io.ErrUnexpectedEOF) {
		return nil, fault.New(fault.Malformed, op, fmt.Errorf("less than the announced %d bytes: %w", size, c.err))
	}
	if err := verdict(op, c, err); err != nil {
		return nil, err
	}
	return in, nil
}

func probeStream(op string, r io.Reader) (*Info, error) {
	digest := sha256.New()
	c := newStream(r, digest)
	defer c.release()
	in := &Info{}
	err := parse(c, in)
	if err == nil {
		c.drain()
	}
	if err := verdict(op, c, err); err != nil {
		return nil, err
	}
	in.Size = c.pos
	in.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return in, nil
}

// verdict prefers a read error: what a parser makes of half a stream says
// nothing about the file.
func verdict(op string, c *cursor, err error) error {
	switch {
	case c.err != nil:
		return fault.New(fault.CodeOf(c.err), op, fmt.Errorf("reading at byte %d: %w", c.pos, c.err))
	case err != nil:
		return fault.New(fault.Invalid, op, err)
	}
	return nil
}

// unchanged says what happened to the file at path since before.
func unchanged(path string, before fs.FileInfo) error {
	after, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("the file went away while it was read: %w", err)
	case !os.SameFile(before, after):
		return errors.New("the file was replaced while it was read")
	case before.Size() != after.Size():
		return fmt.Errorf("the file changed while it was read: %d bytes before, %d after", before.Size(), after.Size())
	case !before.ModTime().Equal(after.ModTime()):
		return errors.New("the file was written to while it was read")
	}
	return nil
}

func fileFault(op string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault.New(fault.NotFound, op, err)
	case errors.Is(err, fs.ErrPermission):
		return fault.New(fault.Denied, op, err)
	}
	return fault.New(fault.Internal, op, err)
}

// contextReader ends a long read between two blocks.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read gives ctx's error once ctx is done.
func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
