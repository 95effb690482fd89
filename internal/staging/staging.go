// Package staging makes a local file reachable for a provider that wants a URL.
//
// A staged file has an unguessable path below the server's public URL, which
// expires. What a path leads to is in Redis, so that any server process answers
// for files that any other process staged. Redis holds only the token's digest:
// whoever reads Redis, a backup of it, or the logs, cannot fetch the file.
package staging

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Prefix is the path below which staged files are served.
const Prefix = "/staged/"

const (
	keyPrefix  = "segue:staged:"
	tokenBytes = 32
)

// File is a local file to stage.
type File struct {
	// Path is where it is: absolute, and the same for all server processes.
	Path string
	// Size and ModTime say which state of the file is meant; with a zero ModTime
	// it is the state in which it is found.
	Size    int64
	ModTime time.Time
	// Name is what the provider is shown, with the extension that tells the type
	// of the audio; empty means the path's last part.
	Name string
	// SHA256 is the hex digest of its bytes, or empty. With it, a provider whose
	// download was cut can go on safely.
	SHA256 string
}

// record is what Redis knows of a staged file.
type record struct {
	Path    string    `json:"path"`
	Size    int64     `json:"size"`
	ModTime time.Time `json:"modTime"`
	Name    string    `json:"name"`
	SHA256  string    `json:"sha256,omitempty"`
}

// Staging stages files and serves them. It is safe for concurrent use.
type Staging struct {
	rdb      redis.UniversalClient
	base     string
	lifetime time.Duration
	log      *slog.Logger
}

// New returns a Staging whose URLs begin with publicURL, an http or https URL
// without query at which the outside reaches this server, and live for lifetime,
// at least a second. Anything else is invalid. A nil log discards.
//
// A process that only serves, and never stages, passes the same arguments.
func New(rdb redis.UniversalClient, publicURL string, lifetime time.Duration, log *slog.Logger) (*Staging, error) {
	parsed, err := url.Parse(publicURL)
	if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" ||
		parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return nil, failed(fault.Invalid, "staging.New", errors.New("server.public_url must be like https://segue.example.com"))
	}
	if lifetime < time.Second {
		return nil, failed(fault.Invalid, "staging.New", fmt.Errorf("a staged file cannot live for %s; write at least 1s", lifetime))
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Staging{rdb: rdb, base: strings.TrimRight(publicURL, "/"), lifetime: lifetime, log: log}, nil
}

// URL stages a file and returns a URL that opens it until the lifetime ends.
// Every call makes another one. The URL is a secret: it is not to be logged.
//
//	invalid      not an absolute path, or not a regular file
//	not_found    there is no such file
//	conflict     it is no longer what Size and ModTime say
//	unavailable  the file or Redis cannot be read
func (s *Staging) URL(ctx context.Context, f File) (string, error) {
	const op = "staging.URL"
	r, err := inspect(op, f)
	if err != nil {
		return "", err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return "", failed(fault.Internal, op, err)
	}
	var secret [tokenBytes]byte
	_, _ = rand.Read(secret[:]) // it ends the process rather than fail
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	if err := s.rdb.Set(ctx, key(token), value, s.lifetime).Err(); err != nil {
		return "", redisFault(ctx, op, err)
	}
	return s.base + Prefix + token + "/" + r.Name, nil
}

// inspect makes sure that a file is what is to be staged.
func inspect(op string, f File) (*record, error) {
	if !filepath.IsAbs(f.Path) {
		return nil, failed(fault.Invalid, op, fmt.Errorf("%q is not an absolute path", f.Path))
	}
	info, err := os.Stat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed(fault.NotFound, op, err)
	case err != nil:
		return nil, failed(fault.Unavailable, op, err)
	case !info.Mode().IsRegular():
		return nil, failed(fault.Invalid, op, notRegular(f.Path))
	}
	r := &record{Path: f.Path, Size: info.Size(), ModTime: info.ModTime(), Name: publicName(f), SHA256: f.SHA256}
	if !f.ModTime.IsZero() && !r.describes(f.Size, f.ModTime) {
		return nil, failed(fault.Conflict, op, fmt.Errorf("%s changed since it was examined", f.Path))
	}
	return r, nil
}

// describes reports whether a file of this size and time is the staged one.
func (r *record) describes(size int64, modified time.Time) bool {
	return r.Size == size && r.ModTime.Equal(modified)
}

// key is where the record of a token is.
func key(token string) string { return keyPrefix + digest(token) }

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func failed(code fault.Code, op string, err error) *fault.Error {
	return fault.Uncharged(code, op, err)
}

// redisFault classifies what Redis, or the wait for it, ended with.
func redisFault(ctx context.Context, op string, err error) *fault.Error {
	if ctx.Err() != nil {
		return failed(fault.CodeOf(ctx.Err()), op, ctx.Err())
	}
	return failed(fault.Unavailable, op, err)
}
