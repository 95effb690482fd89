package bucket

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
)

// abortTimeout is how long an upload that failed may take to be given up, also
// after its context has ended.
const abortTimeout = 10 * time.Second

// upload is one Put.
type upload struct {
	bucket  *Bucket
	name    string
	size    int64 // -1 as long as it is not known
	options PutOptions
	whole   hash.Hash
	read    int64
	// spare are the buffers of parts that have arrived: the same few serve an
	// upload to its end.
	spare chan []byte
}

var buffers = sync.Pool{New: func() any { return new([partSize]byte) }}

// buffered sends an object by way of memory: in one piece when it fits into one
// part, and otherwise part by part.
func (u *upload) buffered(ctx context.Context, r io.Reader) (Object, error) {
	content, ended, err := u.fill(u.buffer(), r)
	if err != nil {
		return Object{}, err
	}
	if !ended {
		return u.inParts(ctx, content, r)
	}
	if err := u.atEnd(); err != nil {
		return Object{}, err
	}
	body := lend(content)
	defer func() { u.release(body.end()) }()
	sum := sha256.Sum256(content)
	info, err := u.bucket.core.PutObject(ctx, u.bucket.name, u.name, body, u.size, "", hex.EncodeToString(sum[:]), u.putOptions())
	return u.stored(info, err)
}

// buffer is of a part's size, or for a short object of its size and one byte, so
// that one byte too many shows.
func (u *upload) buffer() []byte {
	if u.size >= 0 && u.size < partSize {
		return make([]byte, u.size+1)
	}
	select {
	case buffer := <-u.spare:
		return buffer
	default:
	}
	// Rounded up to whole MiB: any size does, as long as they are all equal.
	if need := (u.size/maxParts + 1<<20) &^ (1<<20 - 1); need > partSize {
		return make([]byte, need)
	}
	if buffer, ok := buffers.Get().(*[partSize]byte); ok {
		return buffer[:]
	}
	return make([]byte, partSize)
}

// release gives a buffer back to this upload. One that is not given back, after an
// error, is no loss.
func (u *upload) release(content []byte) {
	select {
	case u.spare <- content[:cap(content)]:
	default:
	}
}

// done gives the buffers to other uploads.
func (u *upload) done() {
	for {
		select {
		case buffer := <-u.spare:
			if len(buffer) == partSize {
				buffers.Put((*[partSize]byte)(buffer))
			}
		default:
			return
		}
	}
}

// fill reads as much as fits. ended says that there is no more.
func (u *upload) fill(buffer []byte, r io.Reader) (filled []byte, ended bool, err error) {
	n, err := io.ReadFull(r, buffer)
	u.read += int64(n)
	u.whole.Write(buffer[:n])
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, false, u.brokenOff(err)
	case u.size >= 0 && u.read > u.size:
		return nil, false, u.invalid(fmt.Errorf("more than the %d bytes came that were announced", u.size))
	}
	return buffer[:n], err != nil, nil
}

// atEnd compares what was read with what was promised.
func (u *upload) atEnd() error {
	if u.size >= 0 && u.read != u.size {
		return u.brokenOff(io.ErrUnexpectedEOF)
	}
	if sum := hex.EncodeToString(u.whole.Sum(nil)); u.options.SHA256 != "" && sum != u.options.SHA256 {
		return u.invalid(fmt.Errorf("the bytes that came have the SHA-256 %s, and %s was announced", sum, u.options.SHA256))
	}
	u.size = u.read
	return nil
}

// inParts sends the first part, which fills its buffer, and all that follow, and
// makes the object appear when all of it is there.
func (u *upload) inParts(ctx context.Context, first []byte, r io.Reader) (Object, error) {
	core := &u.bucket.core
	id, err := core.NewMultipartUpload(ctx, u.bucket.name, u.name, u.putOptions())
	if err == nil && id == "" {
		err = errNotS3
	}
	if err != nil {
		return Object{}, u.bucket.fault(putOp, u.name, err)
	}
	parts, err := u.send(ctx, id, first, r)
	if err == nil {
		var info minio.UploadInfo
		info, err = core.CompleteMultipartUpload(ctx, u.bucket.name, u.name, id, parts, u.putOptions())
		if err == nil {
			return u.stored(info, nil)
		}
	}
	u.abort(ctx, id)
	return Object{}, u.bucket.fault(putOp, u.name, err)
}

// abort gives an upload up, until the store does not know it any more: a part
// that was still being received when it was given up can bring it back. That it
// fails changes nothing: the store then holds parts that nobody sees until a
// lifecycle rule removes them.
func (u *upload) abort(ctx context.Context, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	for range attempts {
		if err := u.bucket.core.AbortMultipartUpload(ctx, u.bucket.name, u.name, id); err != nil {
			return
		}
	}
}

// send reads parts in turn and sends a few of them at a time. The first failure
// ends all of it.
func (u *upload) send(parent context.Context, id string, first []byte, r io.Reader) ([]minio.CompletePart, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	s := &sender{upload: u, id: id, cancel: cancel, slots: make(chan struct{}, atOnce)}
	// When r fails, the parts on their way are waited for: one that arrived after
	// the upload was given up would stay at the store.
	err := s.feed(ctx, first, r)
	s.running.Wait()
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(s.parts, func(a, b minio.CompletePart) int { return a.PartNumber - b.PartNumber })
	return s.parts, nil
}

// sender has the parts of one upload on their way.
type sender struct {
	*upload
	id      string
	cancel  context.CancelCauseFunc
	slots   chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex
	parts []minio.CompletePart
}

// feed starts a part with the first content, which fills its buffer, and one with
// each that follows. A buffer is filled only when there is a slot for it.
func (s *sender) feed(ctx context.Context, content []byte, r io.Reader) error {
	s.slots <- struct{}{}
	s.start(ctx, 1, content)
	for number := 2; ; number++ {
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		content, ended, err := s.fill(s.buffer(), r)
		switch {
		case err != nil:
			return err
		case len(content) == 0:
			return s.atEnd()
		case number > maxParts:
			return s.invalid(fmt.Errorf("more than %d bytes came", s.read-int64(len(content))))
		}
		s.start(ctx, number, content)
		if ended {
			return s.atEnd()
		}
	}
}

// start sends a part beside the others, and gives its buffer and slot back.
func (s *sender) start(ctx context.Context, number int, content []byte) {
	s.running.Go(func() {
		defer func() { <-s.slots }() // after its buffer was given back
		body := lend(content)
		defer func() { s.release(body.end()) }()
		sum := sha256.Sum256(content)
		part, err := s.bucket.core.PutObjectPart(ctx, s.bucket.name, s.name, s.id, number, body, int64(len(content)),
			minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true})
		if err != nil {
			s.cancel(err)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.parts = append(s.parts, minio.CompletePart{PartNumber: number, ETag: part.ETag})
	})
}

// loan is a buffer as the body of a request. A transport may go on reading a body
// for a while after its request has failed, so a buffer is taken back from it
// before another upload fills it.
type loan struct {
	mu     sync.Mutex
	reader *bytes.Reader
	buffer []byte
}

func lend(content []byte) *loan { return &loan{reader: bytes.NewReader(content), buffer: content} }

var errLoanEnded = errors.New("the request has ended")

func (l *loan) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == nil {
		return 0, errLoanEnded
	}
	return l.reader.Read(p)
}

// Seek lets the library repeat a request.
func (l *loan) Seek(offset int64, whence int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reader == nil {
		return 0, errLoanEnded
	}
	return l.reader.Seek(offset, whence)
}

// end takes the buffer back.
func (l *loan) end() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reader = nil
	return l.buffer
}
