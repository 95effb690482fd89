package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// copyResults copies every archived file, downloads what is not archived yet, and
// points the status at the copies.
func (s *system) copyResults(ctx context.Context, status *enqueue.Status, out string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	sums, err := s.sums(ctx, status.SessionID)
	if err != nil {
		return err
	}
	below := directoryOf(status)
	for i := range status.Items {
		for t := range status.Items[i].Tracks {
			track := &status.Items[i].Tracks[t]
			if track.File == "" {
				continue
			}
			to := filepath.Join(out, filepath.FromSlash(strings.TrimPrefix(filepath.ToSlash(track.File), below)))
			if err := s.copyTrack(ctx, track.File, to, sums[track.AudioID]); err != nil {
				return hinted(fmt.Errorf("copy %s: %w", track.File, bare(err)), "the same command again, when that is put right: what was copied stays")
			}
			track.File = to
		}
	}
	return s.downloadRest(ctx, status, out)
}

// sums are the digests of a session's archived tracks, by audioId.
func (s *system) sums(ctx context.Context, id string) (map[string]string, error) {
	all := map[string]string{}
	err := s.store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		for _, t := range it.Tracks {
			all[t.AudioID] = t.SHA256
		}
		return nil
	})
	return all, err
}

// directoryOf is what the names of all archived files begin with, up to a slash: what
// follows tells them apart.
func directoryOf(status *enqueue.Status) string {
	var dir string
	first := true
	for i := range status.Items {
		for _, track := range status.Items[i].Tracks {
			if track.File == "" {
				continue
			}
			here := filepath.ToSlash(track.File)
			here = here[:strings.LastIndexByte(here, '/')+1]
			if first {
				dir, first = here, false
			}
			for dir != "" && !strings.HasPrefix(here, dir) {
				dir = dir[:strings.LastIndexByte(strings.TrimSuffix(dir, "/"), '/')+1]
			}
		}
	}
	return dir
}

// copyTrack copies one file out of its archive. sum is its digest, empty where none
// was recorded.
func (s *system) copyTrack(ctx context.Context, from, to, sum string) error {
	source, err := s.openArchived(ctx, from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // read only
	return writeWhole(to, source, sum)
}

// openArchived reads an archived file, be it in a directory or in a bucket.
func (s *system) openArchived(ctx context.Context, file string) (io.ReadCloser, error) {
	if !strings.HasPrefix(file, "s3://") {
		return os.Open(file)
	}
	address, err := bucket.Parse(file)
	if err != nil {
		return nil, err
	}
	opened, err := bucket.Open(address.Bucket, bucketOptions(s.config().S3))
	if err != nil {
		return nil, err
	}
	body, _, err := opened.Get(ctx, address.Key, bucket.Part{})
	return body, err
}

// writeWhole writes the whole file or nothing under its name. Another digest than
// sum is an error, unless that is empty.
func writeWhole(to string, from io.Reader, sum string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(to), ".segue-*.part")
	if err != nil {
		return err
	}
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(part, digest), from)
	err = errors.Join(err, part.Chmod(0o644), part.Close())
	if got := hex.EncodeToString(digest.Sum(nil)); err == nil && sum != "" && got != sum {
		err = fmt.Errorf("it is not the file that was archived: its SHA-256 is %s, not %s", got, sum)
	}
	if err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}

// downloadRest downloads the tracks that the provider has finished and nobody has
// archived. URLs are asked for anew: those that are known may have expired.
func (s *system) downloadRest(ctx context.Context, status *enqueue.Status, out string) error {
	var left []*enqueue.ItemStatus
	for i := range status.Items {
		for _, track := range status.Items[i].Tracks {
			if track.File == "" {
				left = append(left, &status.Items[i])
				break
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	client, err := s.egressClient()
	if err != nil {
		return err
	}
	// Beside where they are wanted, so that a rename brings them there.
	aside, err := os.MkdirTemp(out, ".segue-*.part")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(aside) }() // only what was not wanted is left in it
	store, err := archive.Open(aside, s.archiveOptions(s.fetch.Client(client)))
	if err != nil {
		return err
	}
	var failed []error
	for _, it := range left {
		if err := s.downloadItem(ctx, store, status, it, out); err != nil {
			fmt.Fprintf(s.app.stderr, "error: %s: %s\n", it.ItemID, oneLine(err))
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &failure{
		exitCode(failed[0]), fmt.Errorf("%s of %d that are not archived could not be downloaded", plural(len(failed), "item"), len(left)),
		"segue retry " + status.SessionID + " --step fetch, which costs nothing, or the same command again",
	}
}

// downloadItem downloads an item's tracks under the names that they would be archived
// by, without their directories.
func (s *system) downloadItem(ctx context.Context, store archive.Archive, status *enqueue.Status, it *enqueue.ItemStatus, out string) error {
	work, err := s.store.Load(ctx, status.SessionID, it.Index)
	if err != nil {
		return err
	}
	fresh, err := s.freshURLs(ctx, work)
	if err != nil {
		return err
	}
	for n := range it.Tracks {
		track := &it.Tracks[n]
		if track.File != "" {
			continue
		}
		base := path.Base(filepath.ToSlash(it.Source))
		kept, err := store.Keep(ctx, archive.Want{
			URL: fresh[track.AudioID], Key: track.AudioID, Duration: track.DurationSeconds,
			Name: fmt.Sprintf("%03d-%s-%d", it.Index, archive.SafeName(strings.TrimSuffix(base, path.Ext(base))), n+1),
		})
		if err != nil {
			return err
		}
		to := filepath.Join(out, filepath.Base(kept.File))
		if err := os.Rename(kept.File, to); err != nil {
			return err
		}
		track.File = to
	}
	return nil
}

// freshURLs asks the provider for the URLs of an item's tracks, by audioId.
func (s *system) freshURLs(ctx context.Context, work *session.Work) (map[string]string, error) {
	acc, err := s.accounts.Get(work.Session.Provider, work.Session.Account)
	if err != nil {
		return nil, err
	}
	op := provider.Operation{Step: string(session.StepExtend), Session: work.Session.Remote, Checkpoint: work.Item.Checkpoint}
	for _, accepted := range work.Item.Operations {
		if accepted.Step == session.StepExtend {
			op.ID = accepted.ID
		}
	}
	if op.ID == "" {
		return nil, fault.Uncharged(fault.NotFound, "segue.results", errors.New("no operation of it is known"))
	}
	state, err := acc.Driver.Poll(ctx, &op)
	if err != nil {
		return nil, err
	}
	urls := map[string]string{}
	for _, t := range state.Tracks {
		urls[t.AudioID] = t.AudioURL
	}
	return urls, nil
}
