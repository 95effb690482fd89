package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
)

var (
	errWithdrawn = errors.New("the request was withdrawn before it was sent")
	errReplay    = errors.New("the connection was gone before the request was written")
	errLate      = errors.New("the time for the request was over before it was sent")
)

// onceBody is a request body that leaves at most once and in time, and can prove
// that it did not leave.
//
// The proof that it stayed is one of two. First, nobody has read it: withheld
// then withdraws it, so that a writer that is late, as after a cancellation, finds
// an error and cannot complete the request any more; a request whose
// Content-Length is not reached is not a request. Second, net/http asks for the
// body again: over HTTP/1 it does so for a POST only when it counted zero bytes
// written to a connection that turned out to be dead. It is refused (whether to
// send again is the queue's decision), but the question is evidence. Over HTTP/2
// it also asks when the other side reset the stream, which proves less.
//
// The fence is looked at whenever the transport asks for bytes that are still
// here: of a request that takes several writes, none that is late gets its end.
type onceBody struct {
	fence    *fence
	leave    func() error // asked before the first byte; nil needs none
	replay   atomic.Bool
	http2    atomic.Bool
	answered atomic.Bool

	mu        sync.Mutex
	content   *bytes.Reader
	begun     bool // the transport has read some of it
	withdrawn bool // we took it back; the transport gets an error
	late      bool // it was the fence that did
	refused   error
}

func newOnceBody(content []byte, f *fence) *onceBody {
	return &onceBody{content: bytes.NewReader(content), fence: f}
}

// Read gives the content to the one transport that asks in time and before
// withdrawal. The end of the content is told at any time: when the last byte has
// been given, nothing is left to hold back.
func (b *onceBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.withdrawn && b.content.Len() > 0 && b.fence.over() {
		b.withdrawn, b.late = true, true
	}
	if !b.withdrawn && !b.begun && b.leave != nil {
		if b.refused = b.leave(); b.refused != nil {
			b.withdrawn = true
		}
	}
	switch {
	case b.refused != nil:
		return 0, b.refused
	case b.late:
		return 0, errLate
	case b.withdrawn:
		return 0, errWithdrawn
	}
	b.begun = true
	return b.content.Read(p)
}

// Close does nothing: there is nothing to release, and an error here would be
// taken for a failed write.
func (b *onceBody) Close() error { return nil }

// again is the request's GetBody.
func (b *onceBody) again() (io.ReadCloser, error) {
	b.replay.Store(true)
	return nil, errReplay
}

// withheld says that the request surely did not reach the provider whole, and
// makes sure that it never will. Of a request that was begun it does not say so:
// the part that left was somebody's to make something of.
func (b *onceBody) withheld() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.begun {
		b.withdrawn = true
		return true
	}
	return b.replay.Load() && !b.http2.Load() && !b.answered.Load()
}

// stopped says that the fence refused the rest of the request, or all of it.
func (b *onceBody) stopped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.late
}

// denied is why the request was refused leave; nil when it was not.
func (b *onceBody) denied() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.refused
}

// trace watches for what weakens the second proof. HTTP/2 is known by its pseudo
// headers, which begin with a colon.
func (b *onceBody) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		WroteHeaderField: func(key string, _ []string) {
			if strings.HasPrefix(key, ":") {
				b.http2.Store(true)
			}
		},
		GotFirstResponseByte: func() { b.answered.Store(true) },
	}
}
