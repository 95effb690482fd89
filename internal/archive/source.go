package archive

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/segue-audio/segue/internal/fault"
)

const sourceOp = "archive.KeepSource"

// Source is a file that somebody has, to be kept beside what was made of it.
type Source struct {
	// Name is where to file it, without extension, by the rules of Want.Name.
	Name string
	// Extension is the file's own, in lower case and without a dot: "wav".
	Extension string
	// Size and SHA256 (hex) are what its bytes must be.
	Size   int64
	SHA256 string
	// Open gives its bytes from the beginning. It is called only when they are not
	// in the archive yet, and may be called again.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// sourceKeeper is an archive that files sources as carefully as tracks.
type sourceKeeper interface {
	keepSource(ctx context.Context, s Source) (*Kept, error)
}

// KeepSource files a source, whole or not at all. One of the same bytes that is
// there already stays and is not opened; of other bytes it stays too, and the
// source becomes "name (2)". It is not probed: Kept has no duration. Errors are
// those of Archive.Put, and invalid where the bytes are not those of Size and
// SHA256, such as of a file that changed; a failure of Open or of reading keeps
// its code.
func KeepSource(ctx context.Context, a Archive, s Source) (*Kept, error) {
	if err := s.check(); err != nil {
		return nil, failed(fault.Invalid, sourceOp, err)
	}
	if keeper, ok := a.(sourceKeeper); ok {
		return keeper.keepSource(ctx, s)
	}
	from, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = from.Close() }() // it was only read
	file := s.file(1)
	err = a.Put(ctx, file, from)
	switch {
	case err != nil && from.failure != nil:
		return nil, from.failure
	case err != nil:
		return nil, err
	}
	return s.kept(file), nil
}

func (s *Source) check() error {
	sum, err := hex.DecodeString(s.SHA256)
	switch {
	case err != nil, len(sum) != sha256.Size, s.Size < 0:
		return errors.New("a source is kept by its size and SHA-256, and they are not known")
	case !format.MatchString(s.Extension):
		return fmt.Errorf("%q cannot be a file's extension", s.Extension)
	}
	return checkName(s.Name)
}

func (s *Source) file(number int) string { return copyName(s.Name, number) + "." + s.Extension }

func (s *Source) kept(where string) *Kept {
	return &Kept{File: where, Size: s.Size, SHA256: s.SHA256, Format: s.Extension}
}

// unreadable keeps the code of a source that cannot be read.
func (s *Source) unreadable(err error) error {
	return failed(fault.CodeOf(err), sourceOp, fmt.Errorf("the source cannot be read: %w", err))
}

// keepAs files a source under the first name that is free, or has its bytes
// already. try returns errOther where another file has the name.
func (s *Source) keepAs(try func(want exact) error) (file string, err error) {
	for number := 1; number <= maxCopies; number++ {
		file = s.file(number)
		if err := try(exact{file, s.Size, s.SHA256}); !errors.Is(err, errOther) {
			return file, err
		}
	}
	return "", failed(fault.Conflict, sourceOp, fmt.Errorf("there are %d other files of this name", maxCopies))
}

// keepSource implements sourceKeeper.
func (d *directory) keepSource(ctx context.Context, s Source) (*Kept, error) {
	t, err := openTree(d.path, sourceOp)
	if err != nil {
		return nil, err
	}
	defer t.close()
	file, err := s.keepAs(func(want exact) error {
		err := t.holds(ctx, want)
		if errors.Is(err, errAbsent) {
			err = t.addSource(ctx, s, want)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.kept(t.full(file)), nil
}

// holds returns errAbsent or errOther when a file does not hold exactly these
// bytes.
func (t *tree) holds(ctx context.Context, want exact) error {
	info, err := t.root.Lstat(want.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errAbsent
	case err != nil:
		return t.fault(err)
	case !info.Mode().IsRegular() || info.Size() != want.size:
		return errOther
	}
	file, err := t.root.Open(want.file)
	if err != nil {
		return t.fault(err)
	}
	sum, err := sumOf(whileAlive{ctx, file})
	err = errors.Join(err, file.Close())
	switch {
	case ctx.Err() != nil:
		return failed(fault.CodeOf(ctx.Err()), t.op, ctx.Err())
	case err != nil:
		return t.fault(err)
	case sum != want.sha256:
		return errOther
	}
	return nil
}

// addSource copies a source into the tree and gives it its name, unless another
// was faster.
func (t *tree) addSource(ctx context.Context, s Source, want exact) error {
	from, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // it was only read
	copied := path.Join(partsDir, want.file+"."+rand.Text()[:8]+".tmp")
	err = t.mkdirFor(copied)
	if err == nil {
		err = t.create(copied, func(file *os.File) error {
			if _, err := io.Copy(file, from); err != nil {
				return err
			}
			return file.Sync()
		})
	}
	if err == nil {
		err = t.mkdirFor(want.file)
	}
	if err == nil {
		err = t.link(copied, want.file)
	}
	taken := errors.Is(err, fs.ErrExist)
	if err == nil {
		err = t.sync(want.file)
	}
	tidied := t.remove(copied) // a spare name of what is filed, or of nothing
	switch {
	case taken:
		return t.holds(ctx, want)
	case from.failure != nil:
		return from.failure
	case err != nil:
		return t.fault(errors.Join(err, tidied))
	}
	return nil
}

// keepSource implements sourceKeeper.
func (r *remote) keepSource(ctx context.Context, s Source) (*Kept, error) {
	file, err := s.keepAs(func(want exact) error {
		var last *exactly
		err := r.add(ctx, sourceOp, want, func() (io.ReadCloser, error) {
			from, err := s.open(ctx)
			last = from
			return from, err
		})
		if err != nil && last != nil && last.failure != nil {
			return last.failure
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.kept(r.bucket.Address(r.key(file))), nil
}

// exactly reads a source and fails at the end when the bytes were not those that
// were announced, so that whoever stores them does not.
type exactly struct {
	from   io.ReadCloser
	alive  whileAlive
	source *Source
	hash   hash.Hash
	read   int64
	// failure is what went wrong with the source, as opposed to with the archive.
	failure error
}

func (s *Source) open(ctx context.Context) (*exactly, error) {
	from, err := s.Open(ctx)
	if err != nil {
		return nil, s.unreadable(err)
	}
	return &exactly{from: from, alive: whileAlive{ctx, from}, source: s, hash: sha256.New()}, nil
}

// Close implements io.Closer.
func (e *exactly) Close() error { return e.from.Close() }

// Read implements io.Reader.
func (e *exactly) Read(b []byte) (int, error) {
	n, err := e.alive.Read(b)
	e.hash.Write(b[:n])
	e.read += int64(n)
	switch {
	case e.read > e.source.Size:
		e.failure = failed(fault.Invalid, sourceOp, fmt.Errorf("the source is longer than the %d bytes that were announced", e.source.Size))
	case errors.Is(err, io.EOF):
		if hex.EncodeToString(e.hash.Sum(nil)) != e.source.SHA256 || e.read != e.source.Size {
			e.failure = failed(fault.Invalid, sourceOp, errors.New("the source is not what it was when it was examined"))
		}
	case err != nil:
		e.failure = e.source.unreadable(err)
	}
	if e.failure != nil {
		return n, e.failure
	}
	return n, err
}
