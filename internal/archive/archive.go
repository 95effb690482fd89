// Package archive keeps results: it downloads a finished track from where the
// provider put it, checks that it is the whole of it, and files it under a name.
//
// What was paid for must not be lost here, and what is here must be what was
// paid for. So a file appears under its name complete or not at all, a file that
// is there is never overwritten, a download that was cut goes on where it was
// cut, and doing anything twice is harmless.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
)

// Archive is a place where results are kept. All methods are safe for concurrent
// use by many processes, also for the same name, and return a *fault.Error on
// failure, whose text never contains a URL's path or query.
type Archive interface {
	// Keep brings one track into the archive and says what is there. The same
	// Want again finds what is there, verifies it byte for byte against its
	// record, and downloads nothing.
	//
	// The track must be decodable audio that is not cut short, of the length the
	// server declared, and as long as Want.Duration says, within 2 s or 5 %,
	// whichever is more: providers round what they declare, and encoders pad.
	//
	//	invalid      a bad name or URL, or a private host that is not allowed
	//	denied       400, 401, 403: the signature expired; ask the provider anew
	//	not_found    404, 410: the provider no longer has it
	//	malformed    what came is not the track: a page, another length, cut
	//	             audio, another duration, an answer that breaks HTTP's rules
	//	unavailable  429, 5xx (with RetryAfter), cut and not resumable now, the
	//	             disk is full or not writable
	//	timeout      nothing came for a while, or ctx's deadline passed
	//	conflict     others are downloading this very track; see RetryAfter
	//	canceled     ctx was canceled
	//
	// After unavailable, timeout, denied and canceled the bytes that came are
	// kept, and the next Keep of the name, in any process, asks only for the rest.
	Keep(ctx context.Context, w Want) (*Kept, error)

	// Put files what r holds under a name, replacing what was there in one step.
	// It is for small side files. The name includes the extension.
	Put(ctx context.Context, name string, r io.Reader) error
}

// Want names a track and says where it lies.
type Want struct {
	// URL is where to download it. It is signed and expires: it is never stored,
	// logged, or part of an error.
	URL string
	// Name is where to file it: relative, slash-separated, without extension,
	// which follows from the content. Each part must be what SafeName returns,
	// give or take a prefix or suffix of safe characters.
	Name string
	// Key identifies the track whatever its URL, such as the provider's audio
	// id; it is stored. Empty means that the URL identifies it, so that a newly
	// signed URL of the same track is downloaded again before it is recognised.
	Key string
	// Duration is the playing time in seconds that the provider declares; 0
	// means that it does not.
	Duration float64
	// Tags are written into the file before it is filed, where its format has
	// tags that we write: mp3 and flac. The sound stays the same, bit by bit, and
	// what is recorded of the track is of the file with its tags. A file whose own
	// tags cannot be changed safely is kept as it came.
	Tags Tags
}

// String leaves the URL out, and so do logs.
func (w Want) String() string { return fmt.Sprintf("%s (%g s)", w.Name, w.Duration) }

// LogValue leaves the URL out.
func (w Want) LogValue() slog.Value { return slog.StringValue(w.String()) }

// Kept is a track in the archive.
type Kept struct {
	// File is where it is, as a user would type it: an absolute path, or an
	// address s3://bucket/key.
	File string
	// Size is its length in bytes.
	Size int64
	// SHA256 is the hex digest of its bytes.
	SHA256 string
	// Format is its container, as the probe names it.
	Format string
	// Duration is its playing time in seconds, as measured.
	Duration float64
}

// Probed is what examining a file told.
type Probed struct {
	// Format is the container in lower case: "mp3", "wav". It becomes the
	// extension.
	Format string
	// Duration is the playing time.
	Duration time.Duration
	// Size is the number of bytes examined.
	Size int64
	// SHA256 is the hex digest of all bytes.
	SHA256 string
	// Problem says why the audio cannot be whole; empty when it can.
	Problem string
}

// Probe examines the file at path, whatever its name. It returns an invalid
// fault for what is not audio. Whatever it returns otherwise is passed on.
type Probe func(ctx context.Context, path string) (Probed, error)

// Options is what an archive works with.
type Options struct {
	// HTTP downloads. It should be an egress client: the URLs come from outside.
	// Required.
	HTTP *http.Client
	// Probe examines files. Required.
	Probe Probe
	// Log receives what is worth knowing and no error; nil discards it.
	Log *slog.Logger
	// MaxBytes is the longest file accepted; 0 means 2 GiB. It keeps a server
	// that never ends from filling the disk.
	MaxBytes int64
	// Stall is how long a body may bring nothing before it counts as cut; 0
	// means 30 s.
	Stall time.Duration
	// S3 is how buckets are reached.
	S3 bucket.Options
	// Spool is a directory on this machine for what is on its way to a bucket;
	// required for archives in buckets. Several archives and workers may share it.
	// It holds as much as is downloaded at once, and what could not be stored yet.
	Spool string
}

// Open opens the archive at a file URL ("file:///srv/music") or a path, and
// creates the directory when it is not there; or the one at s3://bucket/prefix,
// of which it asks nothing yet: see Check. Anything else is invalid.
func Open(where string, o Options) (Archive, error) {
	if o.HTTP == nil || o.Probe == nil {
		return nil, failed(fault.Internal, "archive.Open", errors.New("an HTTP client and a probe are required"))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 2 << 30
	}
	if o.Stall <= 0 {
		o.Stall = 30 * time.Second
	}
	if strings.HasPrefix(where, "s3://") {
		return openRemote(where, o)
	}
	path, err := localPath(where)
	if err != nil {
		return nil, failed(fault.Invalid, "archive.Open", err)
	}
	return openDirectory(path, o)
}

const checkOp = "archive.Check"

// checker is an archive that can be asked whether it works.
type checker interface {
	check(ctx context.Context) error
}

// Check tries whether an archive that Open returned can be written now. What is
// wrong keeps the code that it has where it comes from: denied, not_found,
// unavailable; a store that ignores the condition by which nothing is overwritten
// is invalid.
func Check(ctx context.Context, a Archive) error {
	if c, ok := a.(checker); ok {
		return c.check(ctx)
	}
	return nil
}

// localPath gives the absolute path that where names.
func localPath(where string) (string, error) {
	scheme, _, hasScheme := strings.Cut(where, "://")
	switch {
	case where == "":
		return "", errors.New("no archive is configured")
	case !hasScheme:
		return filepath.Abs(where)
	case scheme != "file":
		return "", fmt.Errorf("there is no archive of kind %q; use file:///path, a path or s3://bucket/prefix", scheme)
	}
	parsed, err := url.Parse(where)
	if err != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return "", errors.New("the archive's file URL is not valid; write file:///path, with % as %25, ? as %3F and # as %23")
	}
	if parsed.Host != "" && parsed.Host != "localhost" {
		return "", fmt.Errorf("file://%s… names a host; write three slashes: file:///path", parsed.Host)
	}
	if parsed.Path == "" {
		return "", errors.New("the archive's file URL has no path; write file:///path")
	}
	return filepath.FromSlash(parsed.Path), nil
}

// failed returns a fault that cost nothing: downloads are free.
func failed(code fault.Code, op string, err error) *fault.Error {
	return fault.Uncharged(code, op, err)
}
