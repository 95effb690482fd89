package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// stagesInBucket says that local files get to providers by way of the object store.
func (s *system) stagesInBucket() bool { return isObject(s.cfg.Staging.URL) }

// stageInBucket puts a local file into the object store, if it does not lie there yet,
// and gives the URL by which a provider can fetch it. The name is the content's digest:
// many items of one song are one object, and nobody reads from it what it was called.
func (s *system) stageInBucket(ctx context.Context, src session.Source) (string, error) {
	info, err := submittedFile(src)
	if err != nil {
		return "", err
	}
	store, prefix, err := s.app.buckets.object(s.config().S3, s.cfg.Staging.URL)
	if err != nil {
		return "", err
	}
	name := path.Join(prefix, stagedName(src, info.Size()))
	switch there, err := store.Stat(ctx, name); {
	case err != nil && fault.CodeOf(err) != fault.NotFound:
		return "", err
	case err != nil || there.Size != info.Size():
		if err := s.putStaged(ctx, store, name, src); err != nil {
			return "", err
		}
	}
	return store.Presign(ctx, name, min(s.cfg.Staging.Lifetime, bucket.MaxPresign))
}

// putStaged uploads a file, at most as fast as uploads may go. One that was changed
// meanwhile is not what was submitted, and does not stay.
func (s *system) putStaged(ctx context.Context, store *bucket.Bucket, name string, src session.Source) error {
	body, err := s.openSource(ctx, src)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := store.Put(ctx, name, body, src.Size, bucket.PutOptions{ContentType: "audio/" + cmp.Or(src.Format, "mpeg")}); err != nil {
		return err
	}
	if _, err := submittedFile(src); err != nil {
		return cmp.Or(store.Remove(context.WithoutCancel(ctx), name), err)
	}
	return nil
}

// stagedName is what a file is called in the store: its digest and its kind.
func stagedName(src session.Source, size int64) string {
	sum := src.SHA256
	if sum == "" {
		state := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d", src.Path, size, src.ModTime))
		sum = hex.EncodeToString(state[:])
	}
	return sum + strings.ToLower(path.Ext(src.Path))
}
