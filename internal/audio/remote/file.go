package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// file is a remote file.
type file struct {
	ctx     context.Context //nolint:containedctx // io.ReaderAt takes none
	address Address
	// state is the one that the first block was of.
	state State
}

// block gives the block that begins at offset.
func (f *file) block(offset int64) ([]byte, error) {
	part, err := f.get(offset)
	if err != nil {
		return nil, err
	}
	defer part.close()
	size, _ := part.total()
	switch {
	case part.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil, io.EOF
	case part.StatusCode != http.StatusPartialContent || !part.begins(offset):
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("the server stopped serving ranges"))
	case stateOf(part, size).differs(f.state):
		return nil, conflict("while it was read")
	}
	body, err := io.ReadAll(io.LimitReader(part.body, block))
	if err != nil {
		return nil, err
	}
	if len(body) == 0 {
		return nil, io.EOF
	}
	return body, nil
}

// get asks for the block at offset.
func (f *file) get(offset int64) (*answer, error) {
	return f.send(fmt.Sprintf("bytes=%d-%d", offset, offset+block-1))
}

// send asks for a range, or for all when it is empty.
func (f *file) send(want string) (*answer, error) {
	ctx, watch := watched(f.ctx, f.address.Patience)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.address.URL, nil)
	if err != nil {
		watch.end()
		return nil, fault.Uncharged(fault.Invalid, op, errors.New("the URL is malformed"))
	}
	if want != "" {
		request.Header.Set("Range", want)
	}
	request.Header.Set("Accept-Encoding", "identity")
	host := request.URL.Host
	response, err := f.address.Client.Do(request) //nolint:bodyclose // an answer is closed, and its body with it
	if err != nil {
		err = watch.fault(host, err)
		watch.end()
		return nil, err
	}
	a := &answer{Response: response, watch: watch}
	a.body = &watchedBody{body: response.Body, watch: watch, host: host}
	if code := classify(response.StatusCode); code != "" {
		a.close() // nothing of it was read
		return nil, fault.Uncharged(code, op, fmt.Errorf("%s answers with status %d", host, response.StatusCode))
	}
	if response.ContentLength < 0 {
		watch.bound()
	}
	return a, nil
}

// classify gives the code of a status, empty for a usable answer.
func classify(status int) fault.Code {
	switch status {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return ""
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Denied
	case http.StatusNotFound, http.StatusGone:
		return fault.NotFound
	}
	return fault.Unavailable
}

// answer is a response, and who watches over it.
type answer struct {
	*http.Response
	watch *watch
	body  *watchedBody
}

// Read reads the body.
func (a *answer) Read(p []byte) (int, error) { return a.body.Read(p) }

// Close lets go of the connection.
func (a *answer) Close() error {
	err := a.Body.Close()
	a.watch.end()
	return err
}

// close is Close where nothing can be lost.
func (a *answer) close() { _ = a.Close() }

const (
	// patience is how long a piece may take.
	patience = 30 * time.Second
	// piece is what must come in that time.
	piece = 64 << 10
	// endless is how many times as long a file of unknown length may take.
	endless = 20
)

var (
	errSlow    = errors.New("it sends nothing, or next to nothing")
	errEndless = errors.New("it sends something that does not end")
)

// watch ends a request that gets nowhere.
type watch struct {
	cancel   context.CancelCauseFunc
	ctx      context.Context //nolint:containedctx // it lives as long as one request
	patience time.Duration
	timer    *time.Timer
	// longest ends what has no end.
	longest   *time.Timer
	dismissed bool
}

// watched is a context that ends when nothing happens for as long as patience.
func watched(ctx context.Context, patient time.Duration) (context.Context, *watch) {
	if patient <= 0 {
		patient = patience
	}
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{cancel: cancel, ctx: ctx, patience: patient}
	w.timer = time.AfterFunc(patient, func() { cancel(errSlow) })
	return ctx, w
}

// bound has an end for what may not have one.
func (w *watch) bound() {
	w.longest = time.AfterFunc(endless*w.patience, func() { w.cancel(errEndless) })
}

// wind gives the next piece as long as the last.
func (w *watch) wind() {
	if !w.dismissed {
		w.timer.Reset(w.patience)
	}
}

// dismiss watches no longer.
func (w *watch) dismiss() {
	w.dismissed = true
	w.timer.Stop()
	if w.longest != nil {
		w.longest.Stop()
	}
}

// end ends the request.
func (w *watch) end() {
	w.dismiss()
	w.cancel(nil)
}

// fault says what a request failed with.
func (w *watch) fault(host string, err error) error {
	switch cause := context.Cause(w.ctx); {
	case errors.Is(cause, errSlow):
		return fault.Uncharged(fault.Unavailable, op, fmt.Errorf("%s: %w", host, errSlow))
	case errors.Is(cause, errEndless):
		return fault.Uncharged(fault.Invalid, op, fmt.Errorf("%s: %w", host, errEndless))
	}
	return egress.Fault(op, host, err)
}

// watchedBody is a body whose reader is patient, and whose errors quote nothing.
type watchedBody struct {
	body  io.Reader
	watch *watch
	host  string
	// since is what came since the watch was wound up.
	since int
}

// Read reads, and winds up the watch when a piece is there.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.since += n
	if b.since >= piece {
		b.since = 0
		b.watch.wind()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, b.watch.fault(b.host, err)
	}
	return n, err
}
