package remote

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
)

// Store is what probing asks of an object store; *bucket.Bucket is one.
type Store interface {
	// Get opens a part of an object. Where the part names an ETag and the object has
	// another one, it is a conflict.
	Get(ctx context.Context, name string, p bucket.Part) (io.ReadCloser, bucket.Object, error)
}

// Object is an object to probe.
type Object struct {
	// Name is its key.
	Name string
	// ETag is the state that it must be in; empty takes the one that it is in.
	ETag string
	// Whole reads every byte, so that the result has a SHA-256. Otherwise a few
	// hundred kilobytes of a long file are read.
	Whole bool
}

// ProbeObject says what the audio in an object is, and which state of the object
// that is true of: every byte that was read is of the ETag it returns.
//
//	invalid   not audio
//	conflict  the object changed since it was listed, or while it was read
//
// Others are the store's own.
func ProbeObject(ctx context.Context, store Store, o Object) (*audio.Info, bucket.Object, error) {
	if o.Whole {
		return probeWhole(ctx, store, o)
	}
	r := &ranges{ctx: ctx, store: store, name: o.Name, etag: o.ETag}
	head, err := r.block(0)
	if fault.CodeOf(err) == fault.Invalid {
		// No store has a range for an object of no bytes at all.
		return probeWhole(ctx, store, o)
	}
	if err != nil {
		return nil, bucket.Object{}, err
	}
	first := r.found
	info, err := (&window{cached: head, fetch: r.block}).probe(first.Size)
	return info, first, err
}

// probeWhole reads an object from its beginning to its end.
func probeWhole(ctx context.Context, store Store, o Object) (*audio.Info, bucket.Object, error) {
	body, found, err := store.Get(ctx, o.Name, bucket.Part{ETag: o.ETag})
	if err != nil {
		return nil, bucket.Object{}, changed(err, "since it was listed")
	}
	defer body.Close()
	info, err := audio.Probe(body)
	if err == nil && info.Size != found.Size {
		err = fault.Uncharged(fault.Malformed, "remote.ProbeObject", fmt.Errorf("%d bytes came of %d", info.Size, found.Size))
	}
	return info, found, err
}

// ranges reads an object a block at a time, all of one state.
type ranges struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt takes none
	store Store
	name  string
	etag  string
	// found is what the store said of the object with its first block.
	found bucket.Object
	begun bool
}

// block gives the block that begins at offset.
func (r *ranges) block(offset int64) ([]byte, error) {
	when := "since it was listed"
	if r.begun {
		when = "while it was read"
	}
	body, found, err := r.store.Get(r.ctx, r.name, bucket.Part{Offset: offset, Length: block, ETag: r.etag})
	if err != nil {
		return nil, changed(err, when)
	}
	defer body.Close()
	if !r.begun {
		r.found, r.etag, r.begun = found, found.ETag, true
	}
	content, err := io.ReadAll(io.LimitReader(body, block))
	if err == nil && len(content) == 0 {
		err = io.EOF
	}
	return content, err
}

// changed words a conflict.
func changed(err error, when string) error {
	if fault.CodeOf(err) != fault.Conflict {
		return err
	}
	return fault.Uncharged(fault.Conflict, "remote.ProbeObject", errors.New("the object changed "+when))
}
