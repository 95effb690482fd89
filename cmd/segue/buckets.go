package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// buckets are the object store's, each opened once: one has connections of its own.
type buckets struct {
	mu     sync.Mutex
	opened map[openedBucket]*bucket.Bucket
}

// openedBucket is a bucket as one configuration reaches it; keys may be changed while
// a process runs.
type openedBucket struct {
	name, endpoint, region, access, secret string
	pathStyle                              bool
}

// open readies a bucket of the configured object store. It sends nothing.
func (b *buckets) open(s3 config.S3, name string) (*bucket.Bucket, error) {
	if err := s3.Err(); err != nil {
		return nil, err
	}
	key := openedBucket{name, s3.Endpoint, s3.Region, s3.AccessKey.Reveal(), s3.SecretKey.Reveal(), s3.PathStyle}
	b.mu.Lock()
	defer b.mu.Unlock()
	if known, ok := b.opened[key]; ok {
		return known, nil
	}
	opened, err := bucket.Open(name, bucketOptions(s3))
	if err != nil {
		return nil, err
	}
	if b.opened == nil {
		b.opened = map[openedBucket]*bucket.Bucket{}
	}
	b.opened[key] = opened
	return opened, nil
}

// object finds the bucket and the name that s3://bucket/name stands for.
func (b *buckets) object(s3 config.S3, address string) (*bucket.Bucket, string, error) {
	at, err := bucket.Parse(address)
	if err != nil {
		return nil, "", err
	}
	opened, err := b.open(s3, at.Bucket)
	return opened, at.Key, err
}

// isObject says that an address is one of the object store's.
func isObject(address string) bool { return strings.HasPrefix(address, "s3://") }

// probeObject looks at the parts of an object that say what it is.
func (a *app) probeObject(cfg *config.Config) func(ctx context.Context, address, etag string) (source.Probed, error) {
	return func(ctx context.Context, address, etag string) (source.Probed, error) {
		return a.lookAt(ctx, cfg, address, etag, false)
	}
}

// lookAt probes an object by ranges, or reads all of it to know its digest.
func (a *app) lookAt(ctx context.Context, cfg *config.Config, address, etag string, whole bool) (source.Probed, error) {
	store, name, err := a.buckets.object(cfg.S3, address)
	if err != nil {
		return source.Probed{}, err
	}
	info, found, err := remote.ProbeObject(ctx, store, remote.Object{Name: name, ETag: etag, Whole: whole})
	if err != nil {
		return source.Probed{}, err
	}
	p := probed(info, time.Time{})
	p.ETag = found.ETag
	return p, nil
}

// recognised is an object whose content is known: from the last time that it was
// read in this state, or by reading all of it now, which is remembered.
func (s *system) recognised(ctx context.Context, address, etag string) (source.Probed, error) {
	if etag == "" {
		store, name, err := s.app.buckets.object(s.config().S3, address)
		if err != nil {
			return source.Probed{}, err
		}
		found, err := store.Stat(ctx, name)
		if err != nil {
			return source.Probed{}, err
		}
		etag = found.ETag
	}
	known, ok, err := s.index.Recall(ctx, address, etag)
	if err != nil {
		return source.Probed{}, err
	}
	if ok {
		return recalled(known, etag), nil
	}
	p, err := s.app.lookAt(ctx, s.config(), address, etag, true)
	if err != nil || p.Problem != "" {
		return p, err // only what is good is remembered: a problem is said each time
	}
	return p, s.index.Learn(ctx, address, p.ETag, contentLearned(p))
}

// openObject streams an object in the state that it was submitted in.
func (s *system) openObject(ctx context.Context, src session.Source) (io.ReadCloser, error) {
	store, name, err := s.app.buckets.object(s.config().S3, src.URL)
	if err != nil {
		return nil, err
	}
	body, _, err := store.Get(ctx, name, bucket.Part{ETag: src.ETag})
	if fault.CodeOf(err) == fault.Conflict {
		return nil, changedObject(src)
	}
	return body, err
}

// signObject gives a URL by which a provider can fetch an object, good for as long as
// that of a staged file. The object must be the one that was submitted: what is
// fetched by the URL later, nobody checks.
func (s *system) signObject(ctx context.Context, src session.Source) (string, error) {
	store, name, err := s.app.buckets.object(s.config().S3, src.URL)
	if err != nil {
		return "", err
	}
	found, err := store.Stat(ctx, name)
	if err != nil {
		return "", err
	}
	if src.ETag != "" && found.ETag != src.ETag {
		return "", changedObject(src)
	}
	return store.Presign(ctx, name, min(s.config().Staging.Lifetime, bucket.MaxPresign))
}

func changedObject(src session.Source) error {
	return fault.Uncharged(fault.Invalid, "segue.open", fmt.Errorf("%s was changed after it was submitted", src.Name))
}

// probeSubmitted looks at an object that was submitted without being looked at.
func (s *system) probeSubmitted(ctx context.Context, src session.Source) (source.Probed, error) {
	found, err := s.app.lookAt(ctx, s.config(), src.URL, src.ETag, false)
	if fault.CodeOf(err) == fault.Conflict {
		err = changedObject(src)
	}
	return found, err
}

// errChanged is that of an object that moved between two looks at it.
var errChanged = errors.New("it changed while it was looked at; the same command again takes it as it is now")

// recognise reads what remote inputs hold where their content is not known yet, a few
// at a time, so that what was paid for is recognised in them.
func (s *system) recognise(ctx context.Context, inspected []source.Inspected) error {
	work := make(chan *source.Inspected)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	for range s.config().Worker.Concurrency.Upload {
		group.Go(func() {
			for in := range work {
				found, err := s.content(ctx, in)
				switch {
				case fault.CodeOf(err) == fault.Conflict:
					cancel(fault.Uncharged(fault.Invalid, "segue.recognise", fmt.Errorf("%s: %w", in.Source, errChanged)))
				case err != nil:
					cancel(err)
				default:
					in.Probed.SHA256 = found.SHA256
				}
			}
		})
	}
	for n := range inspected {
		if in := &inspected[n]; in.Valid && in.Probed.SHA256 == "" && in.URL != "" && !in.Skimmed && ctx.Err() == nil {
			work <- in
		}
	}
	close(work)
	group.Wait()
	return context.Cause(ctx)
}

// content is what a remote input holds, which must be what was seen of it before.
func (s *system) content(ctx context.Context, in *source.Inspected) (source.Probed, error) {
	if isObject(in.URL) {
		return s.recognised(ctx, in.URL, in.Probed.ETag)
	}
	found, err := s.recognisedAddress(ctx, in.URL)
	if err == nil {
		err = same(in, found)
	}
	return found, err
}
