package bandwidth

import (
	"context"
	"io"
	"net/http"
)

// Reader limits what is read from a file or a body. Bytes are counted as they are read,
// however few a read brings, and are given on when their time has come.
func (l *Limiter) Reader(ctx context.Context, from io.ReadCloser) io.ReadCloser {
	if l == nil {
		return from
	}
	return &reader{ReadCloser: from, ctx: ctx, limiter: l}
}

type reader struct {
	io.ReadCloser
	ctx     context.Context //nolint:containedctx // io.Reader takes none
	limiter *Limiter
}

// Read reads a chunk at most. What was read is returned also when the context ends
// while it waits.
func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p[:r.limiter.chunk(len(p))])
	if late := r.limiter.take(r.ctx, n); late != nil && err == nil {
		err = late
	}
	return n, err
}

// Transport limits the bodies of answers. Requests go at once.
func (l *Limiter) Transport(next http.RoundTripper) http.RoundTripper {
	if l == nil {
		return next
	}
	return transport{next, l}
}

type transport struct {
	next    http.RoundTripper
	limiter *Limiter
}

// RoundTrip wraps the answer's body, unless a protocol was switched, which needs it as
// it is.
func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(request)
	if err != nil || answer.StatusCode == http.StatusSwitchingProtocols {
		return answer, err
	}
	answer.Body = t.limiter.Reader(request.Context(), answer.Body)
	return answer, nil
}

// CloseIdleConnections reaches the transport below.
func (t transport) CloseIdleConnections() {
	if closer, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// Client is a client like the given one whose answers' bodies are limited.
func (l *Limiter) Client(like *http.Client) *http.Client {
	limited := *like
	next := like.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	limited.Transport = l.Transport(next)
	return &limited
}

// Handler limits the bodies of a handler's answers. An answer that begins while there
// is no limit keeps the kernel's own way of sending files.
func (l *Limiter) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.Rate() > 0 {
			w = &writer{ResponseWriter: w, ctx: r.Context(), limiter: l}
		}
		next.ServeHTTP(w, r)
	})
}

type writer struct {
	http.ResponseWriter
	ctx     context.Context //nolint:containedctx // io.Writer takes none
	limiter *Limiter
}

// Write writes chunk by chunk.
func (w *writer) Write(p []byte) (written int, err error) {
	for {
		n := w.limiter.chunk(len(p) - written)
		if err := w.limiter.take(w.ctx, n); err != nil {
			return written, err
		}
		n, err := w.ResponseWriter.Write(p[written : written+n])
		if written += n; err != nil || written == len(p) {
			return written, err
		}
	}
}

// Unwrap lets deadlines be set, and nothing be sent past the limit.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
