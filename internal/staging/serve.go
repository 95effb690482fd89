package staging

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// slowest is the rate, in bytes a second, below which a download is given up:
// it bounds how long one connection can hold a file open.
const slowest = 16 << 10

// ServeHTTP serves staged files to whoever has their URL, by GET and HEAD, with
// ranges. Mount it at Prefix; what comes before Prefix in the path is ignored, so
// that it also works behind a proxy that adds to it.
//
//	404  the path never led anywhere, or no longer does, or the file is gone
//	410  the file is not what was staged: it has changed since
//	503  Redis does not answer
//
// It logs one line for each request. The line names a file by the beginning of
// its token's digest.
func (s *Staging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	seen := &observer{ResponseWriter: w, status: http.StatusOK}
	id, reason := s.serve(seen, r)
	level := slog.LevelInfo
	if reason != "" {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(r.Context(), level, "staged file requested",
		slog.String("staged_id", id), slog.String("method", r.Method), slog.Int("status", seen.status),
		slog.Int64("bytes", seen.bytes), slog.String("reason", reason))
}

// serve answers one request. It returns a name for the file that is harmless in
// a log, and the reason when the file was not served.
func (s *Staging) serve(w http.ResponseWriter, r *http.Request) (id, reason string) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return "", refuse(w, http.StatusMethodNotAllowed, "the method is not GET or HEAD")
	}
	token, name, ok := split(r.URL.Path)
	if !ok {
		return "", refuse(w, http.StatusNotFound, "the path is none of a staged file")
	}
	id = digest(token)[:12]
	staged, err := s.find(r.Context(), token)
	switch {
	case errors.Is(err, redis.Nil):
		return id, refuse(w, http.StatusNotFound, "unknown or expired")
	case err != nil:
		w.Header().Set("Retry-After", "5")
		return id, refuse(w, http.StatusServiceUnavailable, "the record cannot be read: "+err.Error())
	case staged.Name != name:
		return id, refuse(w, http.StatusNotFound, "the name is another")
	}
	return id, send(w, r, staged)
}

// split takes apart …/staged/<token>/<name>. A token that is not 256 bits in
// base64 is none.
func split(path string) (token, name string, ok bool) {
	at := strings.LastIndex(path, Prefix)
	if at < 0 {
		return "", "", false
	}
	token, name, ok = strings.Cut(path[at+len(Prefix):], "/")
	secret, err := base64.RawURLEncoding.Strict().DecodeString(token)
	return token, name, ok && err == nil && len(secret) == tokenBytes
}

// find reads a token's record; redis.Nil means that there is none.
func (s *Staging) find(ctx context.Context, token string) (*record, error) {
	value, err := s.rdb.Get(ctx, key(token)).Bytes()
	if err != nil {
		return nil, err
	}
	staged := &record{}
	if err := json.Unmarshal(value, staged); err != nil {
		return nil, err
	}
	return staged, nil
}

// send serves the file when it is still the one that was staged.
func send(w http.ResponseWriter, r *http.Request, staged *record) (reason string) {
	file, info, err := openRegular(staged.Path)
	if err != nil {
		return refuse(w, http.StatusNotFound, "the file cannot be opened: "+err.Error())
	}
	defer func() { _ = file.Close() }() // it was only read
	if !staged.describes(info.Size(), info.ModTime()) {
		return refuse(w, http.StatusGone, "the file changed after it was staged: "+staged.Path)
	}
	header := w.Header()
	header.Set("Content-Type", contentType(staged.Name))
	header.Set("Content-Disposition", `attachment; filename="`+staged.Name+`"`)
	if staged.SHA256 != "" {
		header.Set("ETag", `"`+staged.SHA256+`"`)
	}
	// The server's own write timeout is meant for small answers. Where the
	// deadline cannot be set there is none to extend.
	patience := time.Minute + time.Duration(info.Size()/slowest)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	http.ServeContent(w, r, "", info.ModTime(), file)
	return ""
}

// openRegular opens a file that is one: a pipe would block, and a directory or
// a device has no content to serve.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	before, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, nil, notRegular(path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notRegular(path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return file, info, nil
}

func notRegular(path string) error { return fmt.Errorf("%s is not a regular file", path) }

// refuse answers with a status and nothing else: the reason is for the log.
func refuse(w http.ResponseWriter, status int, reason string) string {
	http.Error(w, http.StatusText(status), status)
	return reason
}

// observer remembers how a request was answered.
type observer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader remembers the status.
func (o *observer) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (o *observer) Write(b []byte) (int, error) {
	n, err := o.ResponseWriter.Write(b)
	o.bytes += int64(n)
	return n, err
}

// ReadFrom counts, and lets the server hand the file to the kernel.
func (o *observer) ReadFrom(from io.Reader) (int64, error) {
	n, err := io.Copy(o.ResponseWriter, from)
	o.bytes += n
	return n, err
}

// Unwrap lets deadlines be set.
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }
