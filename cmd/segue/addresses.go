package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// recognisedAddress is what lies on the web and whose content is known: from the last
// time that it was read in this state, or by reading all of it now, which is
// remembered where the server tells one state from another.
func (s *system) recognisedAddress(ctx context.Context, address string) (source.Probed, error) {
	client, err := s.egressClient()
	if err != nil {
		return source.Probed{}, err
	}
	look, err := remote.Address{Client: client, URL: address}.Look(ctx)
	if err != nil {
		return source.Probed{}, err
	}
	defer look.Close()
	name, etag := unsigned(address), look.State.ETag
	known, ok, err := s.index.Recall(ctx, name, etag)
	if err != nil {
		return source.Probed{}, err
	}
	if ok && (look.State.Size < 0 || look.State.Size == known.Size) {
		return recalled(known, etag), nil
	}
	info, err := look.Read()
	p := probed(info, time.Time{})
	p.ETag = etag
	if err != nil || p.Problem != "" {
		return p, err // only what is good is remembered: a problem is said each time
	}
	return p, s.index.Learn(ctx, name, etag, contentLearned(p))
}

// recalled is what was learned of something remote.
func recalled(c bulk.Content, etag string) source.Probed {
	return source.Probed{
		Format: c.Format, Size: c.Size, SHA256: c.SHA256, ETag: etag,
		Duration: time.Duration(c.Seconds * float64(time.Second)).Round(time.Microsecond),
	}
}

// contentLearned is what is remembered of something remote.
func contentLearned(p source.Probed) bulk.Content {
	return bulk.Content{SHA256: p.SHA256, Format: p.Format, Size: p.Size, Seconds: p.Duration.Seconds()}
}

// same holds what is known of an input's content to what was seen of its beginning.
func same(in *source.Inspected, found source.Probed) error {
	seen := in.Probed
	if seen.Size >= 0 && seen.Size != found.Size || (seen.Duration-found.Duration).Abs() > time.Millisecond {
		return fault.Uncharged(fault.Conflict, "segue.recognise", errChanged)
	}
	return nil
}

// openAddress streams what lies on the web, and insists at its end that it was what was
// submitted: whatever comes of other bytes would be remembered as the result of these.
func (s *system) openAddress(ctx context.Context, src session.Source) (io.ReadCloser, error) {
	client, err := s.egressClient()
	if err != nil {
		return nil, err
	}
	body, err := remote.Open(ctx, client, src.URL)
	if err != nil || src.SHA256 == "" {
		return body, err
	}
	return &submitted{ReadCloser: body, src: src, digest: sha256.New()}, nil
}

// submitted is a body that must be that of a source.
type submitted struct {
	io.ReadCloser
	src    session.Source
	digest hash.Hash
}

// Read fails where another body would end.
func (b *submitted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.digest.Write(p[:n]) // hash.Hash never returns an error
	if errors.Is(err, io.EOF) && hex.EncodeToString(b.digest.Sum(nil)) != b.src.SHA256 {
		return n, changedObject(b.src)
	}
	return n, err
}

// givesUp is how often in a row a server may fail before it is asked no more.
const givesUp = 3

// patient asks servers, and those that are down no more: each of ten thousand rows
// would wait for as long as a connection may take.
type patient struct {
	look func(ctx context.Context, address string) (source.Probed, error)
	mu   sync.Mutex
	// failed counts by host how often in a row it failed.
	failed map[string]int
}

// patiently looks at addresses until their server has failed too often.
func patiently(look func(ctx context.Context, address string) (source.Probed, error)) func(context.Context, string) (source.Probed, error) {
	return (&patient{look: look, failed: map[string]int{}}).at
}

func (p *patient) at(ctx context.Context, address string) (source.Probed, error) {
	host := ""
	if u, err := url.Parse(address); err == nil {
		host = u.Host
	}
	p.mu.Lock()
	failed := p.failed[host]
	p.mu.Unlock()
	if failed >= givesUp {
		return source.Probed{}, fault.Uncharged(fault.Unavailable, "segue.probe", fmt.Errorf("%s failed %d times in a row, and was not asked again", host, failed))
	}
	found, err := p.look(ctx, address)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch fault.CodeOf(err) {
	case fault.Unavailable, fault.Timeout:
		p.failed[host]++
	default:
		p.failed[host] = 0
	}
	return found, err
}
