package rest

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
)

// What has become of a body.
const (
	unread    int32 = iota // nobody has asked for it: it is still ours
	leaving                // the transport has begun to read it
	withdrawn              // we took it back first; the transport gets an error
)

var (
	errWithdrawn = errors.New("the request was withdrawn before it was sent")
	errReplay    = errors.New("the connection was gone before the request was written")
)

// onceBody is a request body that leaves at most once and can prove that it did
// not leave.
//
// The proof that it stayed is one of two. First, nobody has read it: withheld
// then withdraws it, so that a writer that is late, as after a cancellation, finds
// an error and cannot complete the request any more; a request whose
// Content-Length is not reached is not a request. Second, net/http asks for the
// body again: over HTTP/1 it does so for a POST only when it counted zero bytes
// written to a connection that turned out to be dead. It is refused (whether to
// send again is the queue's decision), but the question is evidence. Over HTTP/2
// it also asks when the other side reset the stream, which proves less.
type onceBody struct {
	content  *bytes.Reader
	state    atomic.Int32
	replay   atomic.Bool
	http2    atomic.Bool
	answered atomic.Bool
}

func newOnceBody(content []byte) *onceBody { return &onceBody{content: bytes.NewReader(content)} }

// Read gives the content to the one transport that asks before withdrawal.
func (b *onceBody) Read(p []byte) (int, error) {
	if !b.state.CompareAndSwap(unread, leaving) && b.state.Load() == withdrawn {
		return 0, errWithdrawn
	}
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
// makes sure that it never will.
func (b *onceBody) withheld() bool {
	if b.state.CompareAndSwap(unread, withdrawn) || b.state.Load() == withdrawn {
		return true
	}
	return b.replay.Load() && !b.http2.Load() && !b.answered.Load()
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
