package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// writtenKind is what a written file is.
type writtenKind string

const (
	writtenTrack   writtenKind = "track"
	writtenSidecar writtenKind = "sidecar"
	writtenCover   writtenKind = "cover"
	writtenSource  writtenKind = "source"
)

// writtenFile is a file that results --out leads to.
type writtenFile struct {
	File string      `json:"file"`
	Kind writtenKind `json:"kind"`
	// How it came there: copied, downloaded, or present, when it was there already.
	How    string `json:"how"`
	ItemID string `json:"itemId"`
	// AudioID is empty for what lies beside an item, not beside a track.
	AudioID string `json:"audioId,omitempty"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
}

// copier copies results into a directory, which it treats as an archive: names are safe
// and lead nowhere else, nothing is written over, and what is there is found again.
type copier struct {
	*provisioner
	view   *resultsView
	out    string // as it was named
	whole  string // absolute
	to     archive.Archive
	layout archive.Layout
	missed []error
	// bare is how many items were copied without what lies beside them.
	bare int
}

// copyResults copies what a session has brought into a directory, in the order of its
// inputs, and points the view at the copies. What cannot be had keeps nothing from the
// rest.
func (s *system) copyResults(ctx context.Context, view *resultsView, out string) error {
	_, err := os.Lstat(filepath.Join(out, ".segue"))
	fresh := errors.Is(err, fs.ErrNotExist)
	p, err := s.provisioner()
	if err != nil {
		return err
	}
	c := &copier{provisioner: p, view: view, out: out, whole: absolute(out), layout: s.keeping().Layout}
	if c.to, err = archive.Open(c.whole, s.archiveOptions(s.fetch.Client(p.client))); err != nil {
		return &failure{exitOther, errors.New(sentence(err)), "--out with a directory that can be written"}
	}
	current, err := s.store.Session(ctx, view.SessionID)
	if err != nil {
		return err
	}
	err = errors.Join(c.all(ctx, current), p.close())
	if fresh {
		removeEmpty(filepath.Join(c.whole, ".segue"))
	}
	if err != nil {
		return err
	}
	if c.bare > 0 {
		fmt.Fprintf(s.app.stderr, "note: of %s only the tracks were copied: they were archived under another archive.layout, "+
			"and what lies beside them there (JSON file, cover, source) is not found under this one\n", plural(c.bare, "file"))
	}
	return c.verdict()
}

// all copies reused inputs first: where two would have one name, that is then the same
// one however far the session has come.
func (c *copier) all(ctx context.Context, current *session.Session) error {
	for n := range c.view.Reused {
		if err := c.reused(ctx, &c.view.Reused[n]); err != nil {
			return err
		}
	}
	return c.sys.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		files, err := c.item(ctx, current, it)
		for n := range c.view.Items {
			shown := &c.view.Items[n]
			if shown.Index != it.Index {
				continue
			}
			for t := range min(len(files), len(shown.Tracks)) {
				shown.Tracks[t].File = cmp.Or(files[t], shown.Tracks[t].File)
			}
			break
		}
		return err
	})
}

// reused copies what an earlier session made. Where nothing is known of that session any
// more, there are still the files.
func (c *copier) reused(ctx context.Context, r *reused) error {
	id, index, ok := session.ParseItemID(r.ItemID)
	if r.Outcome != bulk.Known || !ok {
		return nil
	}
	work, err := c.sys.store.Load(ctx, id, index)
	if err == nil {
		files, err := c.item(ctx, &work.Session, &work.Item)
		if copied := slices.DeleteFunc(files, func(file string) bool { return file == "" }); len(copied) == len(r.Files) {
			r.Files = copied
		}
		return err
	}
	if fault.CodeOf(err) != fault.NotFound {
		return err
	}
	for n, file := range r.Files {
		base := path.Base(filepath.ToSlash(file))
		copied, err := c.measured(ctx, file, archive.SafeName(strings.TrimSuffix(base, path.Ext(base))), r.ItemID, "")
		if c.miss(ctx, r.ItemID, file, err) {
			r.Files[n] = cmp.Or(copied, file)
			continue
		}
		return err
	}
	return nil
}

// item copies an item's tracks and what lies beside them, and gives the tracks' copies,
// empty for those that could not be had. Its error ends it all.
func (c *copier) item(ctx context.Context, of *session.Session, it *session.Item) ([]string, error) {
	files := make([]string, len(it.Tracks))
	for n := range it.Tracks {
		file, err := c.track(ctx, of, it, n)
		if !c.miss(ctx, it.ID(), it.Tracks[n].File, err) {
			return files, err
		}
		files[n] = file
	}
	if err := c.beside(ctx, of, it, files); !c.miss(ctx, it.ID(), "", err) {
		return files, err
	}
	return files, nil
}

// miss notes what could not be had, and says whether to go on.
func (c *copier) miss(ctx context.Context, item, file string, err error) bool {
	if err == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	c.missed = append(c.missed, err)
	if file != "" {
		item += ": " + file
	}
	if len(c.missed) <= maxRows {
		fmt.Fprintf(c.sys.app.stderr, "error: %s: %s\n", item, oneLine(err))
	}
	return true
}

func (c *copier) verdict() error {
	if len(c.missed) == 0 {
		return nil
	}
	return &failure{
		exitCode(c.missed[0]), fmt.Errorf("%s could not be copied or downloaded", plural(len(c.missed), "file")),
		"the same command again, when that is put right: what was copied stays",
	}
}

// track copies one track under the name that the layout gives it.
func (c *copier) track(ctx context.Context, of *session.Session, it *session.Item, n int) (string, error) {
	t := it.Tracks[n]
	name := c.layout.Below(c.layout.Track(c.fields(of, it, n)))
	if t.File == "" {
		return c.download(ctx, of, it, n, name)
	}
	if t.SHA256 == "" {
		return c.measured(ctx, t.File, name, it.ID(), t.AudioID)
	}
	why, how := "", "copied"
	want := archive.Source{Name: name, Extension: extension(t.File), Size: t.Size, SHA256: t.SHA256}
	want.Open = func(ctx context.Context) (io.ReadCloser, error) {
		body, err := c.sys.openArchived(ctx, t.File)
		if isMissing(err) {
			why = lostMissing
		}
		return body, err
	}
	file, err := c.file(ctx, want, &how)
	if err != nil && why == "" && fault.CodeOf(err) == fault.Invalid {
		why = lostChanged
		err = fault.Uncharged(fault.Invalid, "segue.results", fmt.Errorf("it is not the file that was archived, whose SHA-256 is %s", t.SHA256))
	}
	if why == "" {
		return c.wrote(file, writtenTrack, how, it.ID(), t.AudioID), err
	}
	c.view.Lost = append(c.view.Lost, lostFile{File: t.File, Why: why, ItemID: it.ID(), AudioID: t.AudioID, Until: c.sys.keptUntil(of, it)})
	kept, again := c.again(ctx, of, it, n)
	if again != nil {
		return "", fault.Uncharged(fault.CodeOf(again), "segue.results", fmt.Errorf("%s; nor can it be downloaded: %s", oneLine(bare(err)), sentence(again)))
	}
	how = "downloaded"
	want.Open = func(context.Context) (io.ReadCloser, error) { return os.Open(kept.File) }
	want.Size, want.SHA256 = kept.Size, kept.SHA256
	file, err = c.file(ctx, want, &how)
	return c.wrote(file, writtenTrack, how, it.ID(), t.AudioID), err
}

// download brings a track that nobody has archived.
func (c *copier) download(ctx context.Context, of *session.Session, it *session.Item, n int, name string) (string, error) {
	t := it.Tracks[n]
	address, err := c.address(ctx, of, it, t.AudioID)
	if err != nil {
		return "", c.sys.paidFor(of, it, err)
	}
	kept, err := c.to.Keep(ctx, archive.Want{URL: address, Key: t.AudioID, Duration: t.DurationSeconds, Name: name})
	if err != nil {
		return "", c.sys.paidFor(of, it, err)
	}
	return c.wrote(kept, writtenTrack, "downloaded", it.ID(), t.AudioID), nil
}

// file files what a source holds; how becomes present where its bytes were there.
func (c *copier) file(ctx context.Context, want archive.Source, how *string) (*archive.Kept, error) {
	open, opened := want.Open, false
	want.Open = func(ctx context.Context) (io.ReadCloser, error) {
		opened = true
		return open(ctx)
	}
	kept, err := archive.KeepSource(ctx, c.to, want)
	if !opened {
		*how = "present"
	}
	return kept, err
}

// wrote notes a file that is there now, and gives its name as the user would type it.
func (c *copier) wrote(kept *archive.Kept, kind writtenKind, how, item, audioID string) string {
	if kept == nil {
		return ""
	}
	file := kept.File
	if near, err := filepath.Rel(c.whole, file); err == nil {
		file = filepath.Join(c.out, near)
	}
	c.view.Written = append(c.view.Written, writtenFile{file, kind, how, item, audioID, kept.Size, kept.SHA256})
	return file
}

// measured copies a file of which nothing is known but where it is.
func (c *copier) measured(ctx context.Context, file, name, item, audioID string) (string, error) {
	open := func(ctx context.Context) (io.ReadCloser, error) { return c.sys.openArchived(ctx, file) }
	body, err := open(ctx)
	if err != nil {
		return "", err
	}
	digest := sha256.New()
	size, err := io.Copy(digest, body)
	if err := errors.Join(err, body.Close()); err != nil {
		return "", err
	}
	how := "copied"
	kept, err := c.file(ctx, archive.Source{
		Name: name, Extension: extension(file), Size: size, SHA256: hex.EncodeToString(digest.Sum(nil)), Open: open,
	}, &how)
	return c.wrote(kept, writtenTrack, how, item, audioID), err
}

// extension is a file's own, without the dot.
func extension(file string) string { return strings.ToLower(strings.TrimPrefix(path.Ext(file), ".")) }

// isMissing says that a file or an object is not there.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || fault.CodeOf(err) == fault.NotFound
}

// fields are what a layout may say of an item's nth track. A provider that is not
// configured here any more has no model that is meant by default.
func (c *copier) fields(of *session.Session, it *session.Item, n int) archive.Fields {
	var info provider.Info
	if p, err := c.sys.config().Provider(of.Provider); err == nil {
		info, _ = c.sys.info(p) // one that is not known has none either
	}
	return handlers.FieldsOf(info, of, it, n, it.Tracks[n])
}

// removeEmpty removes the directories below one, and itself, that hold nothing.
func removeEmpty(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error { // what cannot be read stays
		if err == nil && entry.IsDir() {
			dirs = append(dirs, name)
		}
		return nil
	})
	for _, name := range slices.Backward(dirs) {
		_ = os.Remove(name) // one that holds something stays
	}
}
