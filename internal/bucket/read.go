package bucket

import (
	"context"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/segue-audio/segue/internal/fault"
)

// sha256Key is the name of the user's metadata under which Put stores a digest.
const sha256Key = "sha256"

// Check asks whether the bucket is there and may be looked at. It lists, since a
// request for the bucket's head alone is refused without a reason.
func (b *Bucket) Check(ctx context.Context) error {
	options := minio.ListObjectsOptions{MaxKeys: 1, Recursive: true, FetchOwner: new(bool)}
	for found := range b.core.ListObjectsIter(ctx, b.name, options) {
		if found.Err != nil {
			return b.fault("bucket.Check", "", found.Err)
		}
		break
	}
	if ctx.Err() != nil {
		return b.fault("bucket.Check", "", ctx.Err())
	}
	return nil
}

// List gives the objects whose names begin with prefix, in the order of the names'
// bytes, a page of 1000 at a time. Empty objects whose names end in a slash are
// the folders of other programs, and left out. An error is the last thing it
// gives; without one, the list is complete.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	const op = "bucket.List"
	return func(yield func(Object, error) bool) {
		options := minio.ListObjectsOptions{Prefix: prefix, Recursive: true, FetchOwner: new(bool)}
		for found := range b.core.ListObjectsIter(ctx, b.name, options) {
			if found.Err != nil {
				yield(Object{}, b.fault(op, prefix, found.Err))
				return
			}
			if found.Size == 0 && strings.HasSuffix(found.Key, "/") {
				continue
			}
			if !yield(Object{Name: found.Key, Size: found.Size, ETag: found.ETag, Modified: found.LastModified}, nil) {
				return
			}
		}
		// The library just stops when the context ends, which looks like the end of
		// the list.
		if ctx.Err() != nil {
			yield(Object{}, b.fault(op, prefix, ctx.Err()))
		}
	}
}

// Stat says what is known of an object. It is not_found where there is none, and
// also where there is no bucket: servers do not tell the two apart here.
func (b *Bucket) Stat(ctx context.Context, name string) (Object, error) {
	const op = "bucket.Stat"
	if err := checkName(name); err != nil {
		return Object{}, failed(fault.Invalid, op, err)
	}
	found, err := b.core.StatObject(ctx, b.name, name, minio.StatObjectOptions{})
	if err != nil {
		return Object{}, b.fault(op, name, err)
	}
	return objectOf(found), nil
}

// Part says which bytes of an object are wanted. The zero value is all of them.
type Part struct {
	// Offset is the first byte.
	Offset int64
	// Length is how many; 0 means all that follow. Past the end there are fewer.
	Length int64
	// ETag, where it is not empty, is which object they must be of: when another
	// one is there now, Get is a conflict and brings nothing.
	ETag string
}

// Get opens an object, or a part of it. Reads of the body fail with faults; a
// body that is cut is unavailable, never a short one that seems whole. An offset
// at or past the end is invalid. The body must be closed.
func (b *Bucket) Get(ctx context.Context, name string, p Part) (io.ReadCloser, Object, error) {
	const op = "bucket.Get"
	options, err := p.options(name)
	if err != nil {
		return nil, Object{}, failed(fault.Invalid, op, err)
	}
	body, found, header, err := b.core.GetObject(ctx, b.name, name, options)
	if err != nil {
		return nil, Object{}, b.fault(op, name, err)
	}
	object := objectOf(found)
	if p.Offset > 0 || p.Length > 0 {
		first, total, ok := parseRange(header.Get("Content-Range"))
		if !ok || first != p.Offset {
			_ = body.Close() // nothing of it is used
			return nil, Object{}, failed(fault.Malformed, op, fmt.Errorf("%s: other bytes came than were asked for", b.Address(name)))
		}
		object.Size = total
	}
	return &content{ReadCloser: body, bucket: b, name: name}, object, nil
}

func (p Part) options(name string) (o minio.GetObjectOptions, err error) {
	if err := checkName(name); err != nil {
		return o, err
	}
	switch {
	case p.Offset < 0 || p.Length < 0:
		return o, fmt.Errorf("no object has %d bytes from %d on", p.Length, p.Offset)
	case p.Length > 0:
		err = o.SetRange(p.Offset, p.Offset+p.Length-1)
	case p.Offset > 0:
		err = o.SetRange(p.Offset, 0)
	}
	if err == nil && p.ETag != "" {
		err = o.SetMatchETag(p.ETag)
	}
	return o, err
}

// content is a body whose failures are faults.
type content struct {
	io.ReadCloser
	bucket *Bucket
	name   string
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		return n, c.bucket.fault("bucket.Get", c.name, err)
	}
	return n, err
}

// Remove deletes an object. One that is not there is no error.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	const op = "bucket.Remove"
	if err := checkName(name); err != nil {
		return failed(fault.Invalid, op, err)
	}
	err := b.core.RemoveObject(ctx, b.name, name, minio.RemoveObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return b.fault(op, name, err)
	}
	return nil
}

func objectOf(found minio.ObjectInfo) Object {
	object := Object{Name: found.Key, Size: found.Size, ETag: found.ETag, Modified: found.LastModified, ContentType: found.ContentType}
	for key, value := range found.UserMetadata {
		if strings.EqualFold(key, sha256Key) {
			object.SHA256 = value
		}
	}
	return object
}

var contentRange = regexp.MustCompile(`^bytes (\d{1,18})-\d{1,18}/(\d{1,18})$`)

// parseRange reads where a partial body begins and how long the whole is.
func parseRange(text string) (first, total int64, ok bool) {
	match := contentRange.FindStringSubmatch(text)
	if match == nil {
		return 0, 0, false
	}
	// The pattern admits only what fits.
	first, _ = strconv.ParseInt(match[1], 10, 64)
	total, _ = strconv.ParseInt(match[2], 10, 64)
	return first, total, true
}
