// Package remote probes audio that lies behind a URL or in an object store: by
// ranges, a few hundred kilobytes of a long file, or all of it, to know its digest.
package remote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/fault"
)

const (
	op = "remote.Probe"
	// block is how much one request asks for, in bytes: the prober reads headers in
	// small pieces, and a request costs more than the bytes.
	block = 256 << 10
)

// Address is audio behind a URL. No error of its methods contains the URL, or what
// the server said:
//
//	invalid      not audio, or a host that is not allowed
//	not_found    404, 410
//	denied       401, 403
//	conflict     the file changed while it was read, or since it was looked at
//	unavailable  a server that does not answer, sends next to nothing, or breaks off
//	timeout      no connection in time
type Address struct {
	// Client should be an egress client, since the URL comes from outside.
	Client *http.Client
	URL    string
	// Patience is how long 64 KB may take, or what is left of the file; 0 is 30 s. A
	// file whose length nobody says must end within twenty times as long: what never
	// ends, such as a radio station, is no file.
	Patience time.Duration
}

// State tells one state of a file from another as far as its server does.
type State struct {
	// ETag is the entity tag with its quotes, if it is a strong one: the same tag is
	// the same bytes. Empty otherwise.
	ETag string
	// Size is in bytes; -1 when the server does not say.
	Size int64
	// modified is the server's Last-Modified.
	modified string
}

// Look is an Address whose beginning was asked for.
type Look struct {
	// State is true of all that a Look gives, or else it fails.
	State State

	file   *file
	first  *answer
	ranged bool
}

// Look asks for the beginning of the file. The caller closes what it returns.
func (a Address) Look(ctx context.Context) (*Look, error) {
	f := &file{ctx: ctx, address: a}
	first, err := f.get(0)
	if err != nil {
		return nil, err
	}
	size, ranged := first.total()
	if !ranged && first.StatusCode != http.StatusOK {
		// It knows ranges, and not how long the file is; or it is empty, and has none.
		first.close()
		if first, err = f.send(""); err != nil {
			return nil, err
		}
		size = first.ContentLength
	}
	f.state = stateOf(first, size)
	return &Look{State: f.state, file: f, first: first, ranged: ranged}, nil
}

// Close lets go of the connection.
func (l *Look) Close() { l.first.close() }

// Probe says what the audio is. It reads ranges, or to the end where the server has
// none: only then there is a SHA-256. It can be called once.
func (l *Look) Probe() (*audio.Info, error) {
	if !l.ranged {
		return audio.Probe(l.first.body)
	}
	head, err := io.ReadAll(io.LimitReader(l.first.body, block))
	if err != nil {
		return nil, err
	}
	return (&window{cached: head, fetch: l.file.block}).probe(l.State.Size)
}

// Read reads the file from its beginning to its end, which gives its digest. It is a
// conflict if it is not in the state any more that it was looked at in. It can be
// called once, instead of Probe.
func (l *Look) Read() (*audio.Info, error) {
	if !l.ranged {
		return audio.Probe(l.first.body)
	}
	l.first.close()
	whole, err := l.file.send("")
	if err != nil {
		return nil, err
	}
	defer whole.close()
	if whole.StatusCode != http.StatusOK {
		return nil, fault.Uncharged(fault.Malformed, op, errors.New("the server gives a part of the file where all of it is asked for"))
	}
	changed := conflict("since it was looked at")
	if stateOf(whole, whole.ContentLength).differs(l.State) {
		return nil, changed
	}
	info, err := audio.Probe(whole.body)
	if err == nil && info.Size != l.State.Size {
		err = changed // sent in pieces, a file says its length by its end
	}
	return info, err
}

// Probe says what the audio at url is, as Look and its Probe do.
func Probe(ctx context.Context, client *http.Client, url string) (*audio.Info, error) {
	look, err := Address{Client: client, URL: url}.Look(ctx)
	if err != nil {
		return nil, err
	}
	defer look.Close()
	return look.Probe()
}

// Open streams the file at url from its beginning, however long that takes. The
// errors are those of Address.
func Open(ctx context.Context, client *http.Client, url string) (io.ReadCloser, error) {
	f := &file{ctx: ctx, address: Address{Client: client, URL: url}}
	whole, err := f.send("")
	if err != nil {
		return nil, err
	}
	whole.watch.dismiss() // whoever reads has a deadline, and may be slow on purpose
	return whole, nil
}

// stateOf is the state that an answer is of.
func stateOf(a *answer, size int64) State {
	s := State{Size: size, modified: a.Header.Get("Last-Modified")}
	if tag := a.Header.Get("ETag"); len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
		s.ETag = tag
	}
	return s
}

// differs says that two states are not those of one file. A size that is not said, as
// where the answer is sent in pieces, differs from none.
func (s State) differs(other State) bool {
	return s.Size >= 0 && other.Size >= 0 && s.Size != other.Size || s.ETag != other.ETag || s.modified != other.modified
}

// total reads the whole file's size from an answer.
func (a *answer) total() (size int64, ranged bool) {
	if a.StatusCode != http.StatusPartialContent {
		return a.ContentLength, false
	}
	_, total, found := strings.Cut(a.Header.Get("Content-Range"), "/")
	size, err := strconv.ParseInt(total, 10, 64)
	return size, found && err == nil && a.begins(0)
}

// begins says that a part of a file is the one at an offset.
func (a *answer) begins(offset int64) bool {
	rest, isBytes := strings.CutPrefix(a.Header.Get("Content-Range"), "bytes ")
	from, _, _ := strings.Cut(strings.TrimSpace(rest), "-")
	return isBytes && from == strconv.FormatInt(offset, 10)
}

// conflict is the error of a file that is another one by now.
func conflict(when string) error {
	return fault.Uncharged(fault.Conflict, op, errors.New("the file changed "+when))
}
