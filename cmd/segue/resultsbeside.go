package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// maxSidecar bounds what is read as one.
const maxSidecar = 4 << 20

// beside copies an item's sidecar and what it names: covers, and the source. Files are
// the copies of its tracks. The copy of the sidecar names the copies.
func (c *copier) beside(ctx context.Context, of *session.Session, it *session.Item, files []string) error {
	root, layout, ok := c.shelfOf(of, it)
	if !ok {
		if slices.ContainsFunc(it.Tracks, func(t session.Track) bool { return t.File != "" }) {
			c.bare++ // filed by a layout that nobody knows any more
		}
		return nil
	}
	name := layout.Item(c.fields(of, it, 0))
	raw, err := c.small(ctx, root, name+".json", maxSidecar)
	if isMissing(err) {
		return nil
	}
	var side archive.Sidecar
	if err != nil || json.Unmarshal(raw, &side) != nil || side.ItemID != it.ID() {
		return err // another's, or none: people put files into archives
	}
	aside := c.layout.Below(c.layout.Item(c.fields(of, it, 0)))
	changed := false
	rename := func(field *string, file string) {
		near, err := filepath.Rel(filepath.Dir(filepath.Join(c.out, filepath.FromSlash(aside))), file)
		if near = filepath.ToSlash(near); file != "" && err == nil && near != *field {
			*field, changed = near, true
		}
	}
	for n := range side.Tracks {
		t := &side.Tracks[n]
		for own := range it.Tracks {
			if it.Tracks[own].AudioID != t.AudioID {
				continue
			}
			rename(&t.File, files[own])
			cover, err := c.cover(ctx, of, it, own, root, beneath(name, t.Cover))
			if err != nil {
				return err
			}
			rename(&t.Cover, cover)
		}
	}
	kept, err := c.source(ctx, it, side.Source, root, beneath(name, side.Source.File), aside)
	if err != nil {
		return err
	}
	rename(&side.Source.File, kept)
	if changed {
		if raw, err = side.Encode(); err != nil {
			return err
		}
	}
	_, err = c.bytes(ctx, raw, aside, "json", writtenSidecar, it.ID(), "")
	return err
}

// beneath is where a file lies that a sidecar names, seen from the archive's root; empty
// for none, and for one that would lie elsewhere.
func beneath(sidecar, file string) string {
	where := path.Join(path.Dir(sidecar), file)
	if file == "" || !filepath.IsLocal(filepath.FromSlash(where)) {
		return ""
	}
	return where
}

// cover copies a track's cover.
func (c *copier) cover(ctx context.Context, of *session.Session, it *session.Item, n int, root, where string) (string, error) {
	if where == "" {
		return "", nil
	}
	image, err := c.small(ctx, root, where, archive.MaxCover)
	if isMissing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name := c.layout.Below(c.layout.Track(c.fields(of, it, n)))
	return c.bytes(ctx, image, name, extension(where), writtenCover, it.ID(), it.Tracks[n].AudioID)
}

// source copies what was sent, where the archive has kept it.
func (c *copier) source(ctx context.Context, it *session.Item, src archive.SidecarSource, root, where, aside string) (string, error) {
	if where == "" {
		return "", nil
	}
	how := "copied"
	kept, err := c.file(ctx, archive.Source{
		Name: aside + "-source", Extension: extension(where), Size: src.Size, SHA256: src.SHA256,
		Open: func(ctx context.Context) (io.ReadCloser, error) { return c.sys.openBelow(ctx, root, where) },
	}, &how)
	if isMissing(err) {
		return "", nil
	}
	return c.wrote(kept, writtenSource, how, it.ID(), ""), err
}

// bytes files what is in memory.
func (c *copier) bytes(ctx context.Context, content []byte, name, ext string, kind writtenKind, item, audioID string) (string, error) {
	sum, how := sha256.Sum256(content), "copied"
	kept, err := c.file(ctx, archive.Source{
		Name: name, Extension: ext, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
	}, &how)
	return c.wrote(kept, kind, how, item, audioID), err
}

// copied is what an archive adds to a name that is taken.
var copiedName = regexp.MustCompile(` \(\d{1,2}\)$`)

// shelfOf finds the root of the archive that holds an item's tracks, and the layout by
// which they were filed, from where they are: it may be another session's archive.
func (c *copier) shelfOf(of *session.Session, it *session.Item) (root string, layout archive.Layout, ok bool) {
	for _, layout := range []archive.Layout{c.layout, {}} {
		for n, t := range it.Tracks {
			stem := strings.TrimSuffix(filepath.ToSlash(t.File), path.Ext(t.File))
			name := "/" + layout.Track(c.fields(of, it, n))
			for _, stem := range []string{stem, copiedName.ReplaceAllString(stem, "")} {
				if root, is := strings.CutSuffix(stem, name); is && t.File != "" {
					return root, layout, true
				}
			}
		}
	}
	return "", archive.Layout{}, false
}

// small reads a small file of an archive.
func (c *copier) small(ctx context.Context, root, where string, limit int64) ([]byte, error) {
	body, err := c.sys.openBelow(ctx, root, where)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err := errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fault.Uncharged(fault.Malformed, "segue.results", fmt.Errorf("%s is longer than %d bytes", where, limit))
	}
	return content, nil
}

// openBelow opens a file of an archive. No name and no link leads out of it.
func (s *system) openBelow(ctx context.Context, root, where string) (io.ReadCloser, error) {
	if isObject(root) {
		return s.openArchived(ctx, root+"/"+where)
	}
	file, err := os.OpenInRoot(filepath.FromSlash(root), filepath.FromSlash(where))
	if err != nil {
		return nil, err
	}
	return file, nil
}
