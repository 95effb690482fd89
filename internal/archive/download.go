package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// maxRequests bounds how often one call goes on after a cut. The queue retries
// after that, with its own patience, and the bytes that came are kept.
const maxRequests = 32

// agent is what servers see.
const agent = "segue (+https://github.com/segue-audio/segue)"

var errStalled = errors.New("stalled")

// buffers are large so that a long file costs few system calls.
var buffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// download brings the part to completeness, with as many requests as it takes
// while each one brings bytes. A request that brings none is not repeated:
// waiting and trying again is the queue's business.
func (in *intake) download(ctx context.Context, target *url.URL, p *part) error {
	for range maxRequests {
		if p.complete() {
			return nil
		}
		again, err := in.pull(ctx, target, p)
		if !again {
			return err
		}
		in.log.LogAttrs(ctx, slog.LevelInfo, "download goes on",
			slog.String("host", target.Host), slog.Int64("offset", p.size), slog.String("reason", fault.Reason(err)))
	}
	return failed(fault.Unavailable, keepOp, fmt.Errorf("%s: cut %d times", target.Host, maxRequests))
}

// pull makes one request for what is missing and appends what comes. again says
// that another request would bring more, or the right bytes this time.
func (in *intake) pull(parent context.Context, target *url.URL, p *part) (again bool, err error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	response, err := in.ask(ctx, target, p)
	if err != nil {
		return false, egress.Fault(keepOp, target.Host, err)
	}
	defer func() { _ = response.Body.Close() }() // all that matters of it was read
	if again, err := in.accept(response, target.Host, p); again || err != nil {
		return again, err
	}
	stall := time.AfterFunc(in.stall, func() { cancel(errStalled) })
	defer stall.Stop()
	before := p.size
	err = in.receive(p, &watched{response.Body, stall, in.stall})
	var broken *readError
	switch {
	case errors.As(err, &broken):
		return p.size > before && p.mark.resumable() && parent.Err() == nil, in.cutFault(parent, ctx, target.Host, broken.err)
	case err != nil:
		return false, err
	}
	return settle(target.Host, p, before)
}

// settle judges a body that ended in order.
func settle(host string, p *part, before int64) (again bool, err error) {
	switch {
	case p.mark.Length < 0:
		p.mark.Length = p.size // nobody said otherwise; the probe looks for a cut
	case p.size > p.mark.Length:
		return false, failed(fault.Malformed, keepOp, fmt.Errorf("%s: %d bytes came where %d were announced", host, p.size, p.mark.Length))
	case p.size < p.mark.Length:
		// A server may answer a range with less than was asked for.
		return p.size > before, failed(fault.Unavailable, keepOp, fmt.Errorf("%s: %d of %d bytes came", host, p.size, p.mark.Length))
	}
	if p.size == 0 {
		return false, failed(fault.Malformed, keepOp, fmt.Errorf("%s: the file is empty", host))
	}
	return false, nil
}

// ask sends the request: for everything, or for what is missing as long as the
// server still has the same bytes.
func (in *intake) ask(ctx context.Context, target *url.URL, p *part) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	// Compressed bytes would have no lengths and ranges of their own to check.
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", agent)
	if p.size > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", p.size))
		request.Header.Set("If-Range", p.mark.condition())
	}
	return in.http.Do(request)
}

// readError is a body that broke off, as opposed to a disk that did.
type readError struct{ err error }

func (e *readError) Error() string { return "the body broke off" }

// receive appends a body to the part, in flat memory.
func (in *intake) receive(p *part, body io.Reader) error {
	buffer, ok := buffers.Get().(*[256 << 10]byte)
	if !ok {
		buffer = new([256 << 10]byte)
	}
	defer buffers.Put(buffer)
	for {
		n, readErr := body.Read(buffer[:])
		if p.size+int64(n) > in.maxBytes {
			return failed(fault.Malformed, keepOp, fmt.Errorf("more than %d bytes came", in.maxBytes))
		}
		if n > 0 {
			if _, err := p.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return &readError{readErr}
		}
	}
}

// watched pushes the stall back with every read that brings something.
type watched struct {
	body  io.Reader
	timer *time.Timer
	limit time.Duration
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.body.Read(b)
	if n > 0 {
		w.timer.Reset(w.limit)
	}
	return n, err
}

// cutFault words a body that broke off: the caller's doing, a stall, or a cut.
func (in *intake) cutFault(parent, ctx context.Context, host string, err error) error {
	switch {
	case parent.Err() != nil:
		return egress.Fault(keepOp, host, parent.Err())
	case errors.Is(context.Cause(ctx), errStalled):
		return failed(fault.Timeout, keepOp, fmt.Errorf("%s: nothing came for %s", host, in.stall))
	}
	return egress.Fault(keepOp, host, err)
}
