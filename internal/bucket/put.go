package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/segue-audio/segue/internal/fault"
)

const (
	// partSize is the smallest that S3 allows for all parts but the last.
	partSize = 5 << 20
	// maxParts is S3's limit for one object.
	maxParts = 10_000
	// atOnce is how many parts are on their way together: enough to hide the time
	// between a part's last byte and its answer.
	atOnce = 3
	// single is up to where an object whose digest is known is sent in one piece,
	// straight from where it lies: nothing is held in memory, and nothing is left
	// at the store when the sender dies.
	single = 64 << 20
)

const putOp = "bucket.Put"

// PutOptions says how an object is stored. The zero value replaces what is there.
type PutOptions struct {
	// ContentType is the media type; empty means application/octet-stream.
	ContentType string
	// SHA256 is the hex digest that the bytes must have, where it is known before.
	// Other bytes are not stored, and Stat tells it from then on.
	SHA256 string
	// IfAbsent stores the object only where there is none of the name. Where there
	// is one, Put is a conflict. Of several that try at once, one succeeds, on
	// servers that know the condition; some old ones ignore it.
	IfAbsent bool
}

// Put stores what r holds, whole or not at all. size is its length; -1 means that
// it is not known. When fewer or more bytes come, or others than SHA256 promised,
// that is invalid and nothing is stored. A failure of r keeps its code.
//
// At most three parts of 5 MiB are in memory, none where r can be read at any
// place (an *os.File), at most 64 MiB long, and its SHA256 given. Parts grow where
// 10,000 of them would not do for a known size; of an unknown one at most 48 GiB
// can be stored. A sender that is killed between parts leaves them at the store,
// unseen and paid for: a lifecycle rule removes them (AbortIncompleteMultipartUpload).
//
// After unavailable, timeout and canceled the object may nevertheless be there:
// an answer can be lost. Doing it again is harmless.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader, size int64, o PutOptions) (Object, error) {
	if err := checkName(name); err != nil {
		return Object{}, failed(fault.Invalid, putOp, err)
	}
	if size < -1 || o.SHA256 != "" && !isDigest(o.SHA256) {
		return Object{}, failed(fault.Invalid, putOp, fmt.Errorf("%s: no object has %d bytes with the SHA-256 %.64q", b.Address(name), size, o.SHA256))
	}
	u := &upload{bucket: b, name: name, size: size, options: o, whole: sha256.New(), spare: make(chan []byte, atOnce)}
	defer u.done()
	if source, ok := r.(seekable); ok && o.SHA256 != "" && size >= 0 && size <= single {
		return u.stream(ctx, source)
	}
	return u.buffered(ctx, r)
}

func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == sha256.Size
}

// seekable can be read at any place, so that a request can be repeated.
type seekable interface {
	io.Reader
	io.Seeker
	io.ReaderAt
}

// stream sends an object straight from where it lies.
func (u *upload) stream(ctx context.Context, r seekable) (Object, error) {
	start, err := r.Seek(0, io.SeekCurrent)
	if err != nil {
		return Object{}, failed(fault.CodeOf(err), putOp, err)
	}
	body := &section{SectionReader: io.NewSectionReader(r, start, u.size)}
	info, err := u.bucket.core.PutObject(ctx, u.bucket.name, u.name, body, u.size, "", u.options.SHA256, u.putOptions())
	if broken := body.failure(); err != nil && broken != nil {
		return Object{}, u.brokenOff(broken)
	}
	return u.stored(info, err)
}

// section remembers why it could not be read: the transport's own words for it
// say nothing, and may come first. It is read by the transport's goroutine.
type section struct {
	*io.SectionReader

	mu   sync.Mutex
	read int64
	err  error
}

func (s *section) Read(p []byte) (int, error) {
	n, err := s.SectionReader.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read += int64(n)
	if err != nil && (err != io.EOF || s.read < s.Size()) {
		s.err = err
	}
	return n, err
}

func (s *section) Seek(offset int64, whence int) (int64, error) {
	at, err := s.SectionReader.Seek(offset, whence)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = at
	return at, err
}

// failure is what the reader said, io.EOF when it ended too early.
func (s *section) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// brokenOff words what was wrong with the reader.
func (u *upload) brokenOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return u.invalid(fmt.Errorf("fewer than the %d bytes came that were announced", u.size))
	}
	return failed(fault.CodeOf(err), putOp, fmt.Errorf("%s: what was to be stored cannot be read: %w", u.bucket.Address(u.name), err))
}

func (u *upload) invalid(err error) error {
	return failed(fault.Invalid, putOp, fmt.Errorf("%s: %w", u.bucket.Address(u.name), err))
}

func (u *upload) putOptions() minio.PutObjectOptions {
	o := minio.PutObjectOptions{ContentType: u.options.ContentType, DisableContentSha256: true}
	if u.options.SHA256 != "" {
		o.UserMetadata = map[string]string{sha256Key: u.options.SHA256}
	}
	if u.options.IfAbsent {
		o.SetMatchETagExcept("*")
	}
	return o
}

// stored judges the answer to the request that makes the object appear.
func (u *upload) stored(info minio.UploadInfo, err error) (Object, error) {
	if err != nil {
		return Object{}, u.bucket.fault(putOp, u.name, err)
	}
	return Object{Name: u.name, Size: u.size, ETag: info.ETag, ContentType: u.options.ContentType, SHA256: u.options.SHA256}, nil
}
