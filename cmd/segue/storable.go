package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/fault"
)

// storable refuses an archive that cannot be, before anything is paid for what would be
// kept there. One that is only out of reach may be back by then; workers elsewhere have
// an archive of their own; and a session that was begun goes on.
func (s *system) storable(ctx context.Context, asked *enqueue.Session) error {
	if s.servedElsewhere() {
		return nil
	}
	if asked.Key != "" {
		if bound, err := s.store.Bound(ctx, asked.Key); err != nil || bound != "" {
			return err
		}
	}
	where := cmp.Or(asked.Archive, s.config().Archive.URL)
	code, err := exitUsage, s.tryDirectory(where)
	if isObject(where) {
		err = s.tryBucket(ctx, where)
		code = exitCode(err)
	}
	if err == nil {
		return ctx.Err()
	}
	return &failure{
		code, fmt.Errorf("results cannot be kept in %s: %s; nothing was sent", where, sentence(err)),
		"--out or --archive with a place that can be written, or archive.url in the configuration",
	}
}

// tryDirectory says why results cannot be written to a directory; it makes none.
func (s *system) tryDirectory(where string) error {
	dir, local := archiveDirectory(where)
	if !local {
		return nil // the archive says so itself
	}
	for _, f := range (doctor.Disk{Archive: dir, State: s.cfg.StateDir}).Examine() {
		if f.Check == "disk.archive" && f.Level == doctor.Error {
			return errors.New(f.Text)
		}
	}
	return nil
}

// tryBucket says why results cannot be stored in a bucket, as far as the store does.
func (s *system) tryBucket(ctx context.Context, where string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	store, err := s.archiveAt(where)
	if err == nil {
		err = archive.Check(ctx, store)
	}
	if code := fault.CodeOf(err); code == fault.Invalid || code == fault.Denied || code == fault.NotFound {
		return err
	}
	return nil
}
