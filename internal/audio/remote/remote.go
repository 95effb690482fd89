// Package remote probes audio that lies behind a URL, by ranges: a few hundred
// kilobytes of a long file, not all of it.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// block is how much one request asks for, in bytes: the prober reads headers in
// small pieces, and a request costs more than the bytes.
const block = 256 << 10

// Probe says what the audio at url is. The client should be an egress client,
// since the URL comes from outside. A server that does not serve ranges is read
// from the beginning to the end. No error contains the URL.
//
//	invalid      not audio, or a host that is not allowed
//	not_found    404, 410
//	denied       401, 403
//	conflict     the file changed while it was read
//	unavailable  anything else but success
func Probe(ctx context.Context, client *http.Client, url string) (*audio.Info, error) {
	file := &file{ctx: ctx, client: client, url: url}
	first, err := file.get(0)
	if err != nil {
		return nil, err
	}
	defer first.Body.Close()
	size, ranged := sizeOf(first)
	if !ranged {
		return audio.Probe(first.Body)
	}
	file.state = stateOf(first)
	head, err := io.ReadAll(io.LimitReader(first.Body, block))
	if err != nil {
		return nil, egress.Fault("remote.Probe", first.Request.URL.Host, err)
	}
	return (&window{cached: head, fetch: file.block}).probe(size)
}

// Open streams the file at url from its beginning. The errors are those of Probe.
func Open(ctx context.Context, client *http.Client, url string) (io.ReadCloser, error) {
	file := &file{ctx: ctx, client: client, url: url}
	answer, err := file.send("")
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// sizeOf reads the whole file's size from an answer to a range request.
func sizeOf(answer *http.Response) (size int64, ranged bool) {
	if answer.StatusCode != http.StatusPartialContent {
		return 0, false
	}
	_, total, found := strings.Cut(answer.Header.Get("Content-Range"), "/")
	size, err := strconv.ParseInt(total, 10, 64)
	return size, found && err == nil
}

// stateOf tells one state of a file from another as far as the server does.
func stateOf(answer *http.Response) string {
	_, size, _ := strings.Cut(answer.Header.Get("Content-Range"), "/")
	etag := answer.Header.Get("ETag")
	if strings.HasPrefix(etag, "W/") {
		etag = "" // says nothing of the bytes
	}
	return size + " " + etag + " " + answer.Header.Get("Last-Modified")
}

// window reads a file at any place, and holds on to one block of it.
type window struct {
	at     int64 // where cached begins
	cached []byte
	// fetch gives the block at an offset; io.EOF at the end of the file.
	fetch func(offset int64) ([]byte, error)
	// failed is what fetch failed with, other than the end.
	failed error
}

// probe probes the file of the given size. What kept it from being read goes
// before what was made of its beginning, and is said in its own words.
func (w *window) probe(size int64) (*audio.Info, error) {
	info, err := audio.ProbeRange(w, size)
	if w.failed != nil {
		return nil, w.failed
	}
	return info, err
}

// ReadAt fills p from offset on.
func (w *window) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		from := offset + int64(done)
		if from < w.at || from >= w.at+int64(len(w.cached)) {
			next, err := w.fetch(from)
			if err != nil {
				if !errors.Is(err, io.EOF) {
					w.failed = err
				}
				return done, err
			}
			w.at, w.cached = from, next
		}
		done += copy(p[done:], w.cached[from-w.at:])
	}
	return done, nil
}

// file is a remote file.
type file struct {
	ctx    context.Context //nolint:containedctx // io.ReaderAt takes none
	client *http.Client
	url    string
	// state is the one that the first block was of.
	state string
}

// block gives the block that begins at offset.
func (f *file) block(offset int64) ([]byte, error) {
	answer, err := f.get(offset)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil, io.EOF
	case answer.StatusCode != http.StatusPartialContent:
		return nil, fault.Uncharged(fault.Malformed, "remote.Probe", errors.New("the server stopped serving ranges"))
	case stateOf(answer) != f.state:
		return nil, fault.Uncharged(fault.Conflict, "remote.Probe", errors.New("the file changed while it was read"))
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, block))
	if err != nil {
		return nil, egress.Fault("remote.Probe", answer.Request.URL.Host, err)
	}
	if len(body) == 0 {
		return nil, io.EOF
	}
	return body, nil
}

// get asks for the block at offset.
func (f *file) get(offset int64) (*http.Response, error) {
	return f.send(fmt.Sprintf("bytes=%d-%d", offset, offset+block-1))
}

// send asks for a range, or for all when it is empty.
func (f *file) send(want string) (*http.Response, error) {
	const op = "remote.Probe"
	request, err := http.NewRequestWithContext(f.ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return nil, fault.Uncharged(fault.Invalid, op, errors.New("the URL is malformed"))
	}
	if want != "" {
		request.Header.Set("Range", want)
	}
	request.Header.Set("Accept-Encoding", "identity")
	answer, err := f.client.Do(request)
	if err != nil {
		return nil, egress.Fault(op, request.URL.Host, err)
	}
	if code := classify(answer.StatusCode); code != "" {
		_ = answer.Body.Close() // nothing of it was read
		return nil, fault.Uncharged(code, op, fmt.Errorf("%s answers with status %d", request.URL.Host, answer.StatusCode))
	}
	return answer, nil
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
