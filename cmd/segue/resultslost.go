package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
)

// Why a file is lost.
const (
	lostMissing = "missing"
	lostChanged = "changed"
)

// lostFile is an archived file that is not there any more, or is another one.
type lostFile struct {
	File    string `json:"file"`
	Why     string `json:"why"`
	ItemID  string `json:"itemId"`
	AudioID string `json:"audioId,omitempty"`
	// Until is when the provider deletes what it was made from.
	Until time.Time `json:"until,omitzero"`

	index int // of the track
}

// lookers is how many objects are asked about at once.
const lookers = 16

// lost looks for files that the archive does not have any more, or not at their length;
// their content is looked at when they are copied. Buckets are asked only when told to:
// that is a request for each file.
func (s *system) lost(ctx context.Context, view *resultsView, buckets bool) ([]lostFile, error) {
	var kept []lostFile
	var sizes []int64
	note := func(of *session.Session, it *session.Item) {
		for n, t := range it.Tracks {
			if t.File != "" && (buckets || !isObject(t.File)) {
				kept = append(kept, lostFile{File: t.File, ItemID: it.ID(), AudioID: t.AudioID, Until: s.keptUntil(of, it), index: n})
				sizes = append(sizes, t.Size)
			}
		}
	}
	current, err := s.store.Session(ctx, view.SessionID)
	if err != nil {
		return nil, err
	}
	err = s.store.Each(ctx, view.SessionID, 0, 0, func(it *session.Item) error {
		note(current, it)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, r := range view.Reused {
		id, index, ok := session.ParseItemID(r.ItemID)
		if r.Outcome != bulk.Known || !ok {
			continue
		}
		work, err := s.store.Load(ctx, id, index)
		switch {
		case err == nil:
			note(&work.Session, &work.Item)
		case fault.CodeOf(err) != fault.NotFound:
			return nil, err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lookers)
	for n := range kept {
		group.Go(func() (err error) {
			kept[n].Why, err = s.look(ctx, kept[n].File, sizes[n])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var gone []lostFile
	for _, f := range kept {
		if f.Why != "" {
			gone = append(gone, f)
		}
	}
	return gone, nil
}

// look says what is wrong with a file by its presence and length; empty for nothing.
func (s *system) look(ctx context.Context, file string, size int64) (why string, err error) {
	var found int64
	if isObject(file) {
		store, name, err := s.app.buckets.object(s.config().S3, file)
		if err != nil {
			return "", err
		}
		object, err := store.Stat(ctx, name)
		if err != nil && !isMissing(err) {
			return "", err
		}
		if isMissing(err) {
			return lostMissing, nil
		}
		found = object.Size
	} else {
		info, err := os.Lstat(file)
		if err != nil {
			return lostMissing, nil //nolint:nilerr // whatever the reason, it cannot be had there
		}
		found = info.Size()
	}
	if size > 0 && found != size {
		return lostChanged, nil
	}
	return "", nil
}

// printLost says what the archive has lost, and what to do about it.
func (a *app) printLost(view *resultsView) {
	lost := view.Lost
	for _, f := range lost[:min(len(lost), maxRows)] {
		words := "is not in the archive any more"
		if f.Why == lostChanged {
			words = "is not the file that was archived"
		}
		if !f.Until.IsZero() {
			words += ", " + f.fate(time.Now())
		}
		fmt.Fprintf(a.stderr, "lost:  %s (%s) %s\n", f.File, f.ItemID, words)
	}
	if more := len(lost) - maxRows; more > 0 {
		fmt.Fprintf(a.stderr, "lost:  and %d more (--json has all)\n", more)
	}
	if len(lost) > 0 {
		fmt.Fprintf(a.stderr, "next:  segue results %s --refetch brings back what is missing, at no cost, while the provider has it\n", view.SessionID)
	}
}

// fate says until when the provider has what the file was made from.
func (f *lostFile) fate(now time.Time) string {
	if now.Before(f.Until) {
		return "the provider has it until " + f.Until.Format("2006-01-02 15:04") + " UTC"
	}
	return "the provider has deleted it since " + f.Until.Format("2006-01-02 15:04") + " UTC"
}

// keptUntil is when an item's provider deletes its results; zero where it does not, or
// is not known here.
func (s *system) keptUntil(of *session.Session, it *session.Item) time.Time {
	return retention.Deadline(it, s.keeps(of.Provider)).UTC()
}

// paidFor adds to why a result cannot be had what it cost, and what can be done.
func (s *system) paidFor(of *session.Session, it *session.Item, err error) error {
	words := number(it.Credits()) + " credits were paid for it"
	switch until := s.keptUntil(of, it); {
	case until.IsZero():
	case time.Now().Before(until):
		words += fmt.Sprintf(", and %s keeps it until %s UTC: the same command again until then", of.Provider, until.Format("2006-01-02 15:04"))
	default:
		words += fmt.Sprintf(", and %s has deleted it since %s UTC: segue retry %s --step extend pays for it anew", of.Provider, until.Format("2006-01-02 15:04"), of.ID)
	}
	return fault.Uncharged(fault.CodeOf(err), "segue.results", fmt.Errorf("%s (%s)", sentence(err), words))
}

// provisioner brings tracks that were finished from their providers once more.
type provisioner struct {
	sys    *system
	client *http.Client
	// aside is a directory for what is on its way, made when it is needed.
	aside string
	store archive.Archive
	// urls are those of the item that was asked about last.
	item string
	urls map[string]string
}

func (s *system) provisioner() (*provisioner, error) {
	client, err := s.egressClient()
	return &provisioner{sys: s, client: client}, err
}

func (p *provisioner) close() error {
	if p.aside == "" {
		return nil
	}
	return os.RemoveAll(p.aside)
}

// address asks the provider where a track is: what is known may have expired.
func (p *provisioner) address(ctx context.Context, of *session.Session, it *session.Item, audioID string) (string, error) {
	if p.item != it.ID() {
		urls, err := p.sys.freshURLs(ctx, of, it)
		if err != nil {
			return "", err
		}
		p.item, p.urls = it.ID(), urls
	}
	if p.urls[audioID] == "" {
		return "", fault.Uncharged(fault.NotFound, "segue.results", fmt.Errorf("%s does not tell of %s any more", of.Provider, audioID))
	}
	return p.urls[audioID], nil
}

// again downloads a track that was archived before, into a place of its own. It must be
// the same byte for byte, with the tags that were written into it or without: another
// one is malformed.
func (p *provisioner) again(ctx context.Context, of *session.Session, it *session.Item, n int) (*archive.Kept, error) {
	t := it.Tracks[n]
	address, err := p.address(ctx, of, it, t.AudioID)
	if err != nil {
		return nil, p.sys.paidFor(of, it, err)
	}
	if err := p.open(); err != nil {
		return nil, err
	}
	ways := map[string]archive.Tags{"plain": {}, "tagged": handlers.TagsOf(it, t)}
	order := []string{"plain", "tagged"}
	if p.sys.keeping().Tags {
		order = []string{"tagged", "plain"}
	}
	for _, way := range order {
		kept, err := p.store.Keep(ctx, archive.Want{URL: address, Key: t.AudioID, Name: fmt.Sprintf("%s-%d-%s", it.ID(), n, way), Tags: ways[way]})
		if err != nil {
			return nil, p.sys.paidFor(of, it, err)
		}
		if kept.SHA256 == t.SHA256 {
			return kept, nil
		}
	}
	return nil, p.sys.paidFor(of, it, fault.Uncharged(fault.Malformed, "segue.results",
		fmt.Errorf("what %s has is not byte for byte what was archived, whose SHA-256 is %s", of.Provider, t.SHA256)))
}

func (p *provisioner) open() error {
	if p.store != nil {
		return nil
	}
	options := p.sys.archiveOptions(p.sys.fetch.Client(p.client))
	err := os.MkdirAll(options.Spool, 0o755)
	if err == nil {
		p.aside, err = os.MkdirTemp(options.Spool, "results-*")
	}
	if err != nil {
		return err
	}
	p.store, err = archive.Open(p.aside, options)
	return err
}

// refetch brings back into the archive what it has lost, under the names that it had.
func (s *system) refetch(ctx context.Context, view *resultsView) error {
	lost, err := s.lost(ctx, view, true)
	if err != nil {
		return err
	}
	p, err := s.provisioner()
	if err != nil {
		return err
	}
	var missed []error
	for _, f := range lost {
		err := p.restore(ctx, f)
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), p.close())
		}
		if err == nil {
			fmt.Fprintf(s.app.stderr, "back:  %s\n", f.File)
			continue
		}
		fmt.Fprintf(s.app.stderr, "error: %s: %s\n", f.ItemID, oneLine(err))
		missed, view.Lost = append(missed, err), append(view.Lost, f)
	}
	if err := p.close(); err != nil {
		return err
	}
	if len(lost) == 0 {
		fmt.Fprintln(s.app.stderr, "nothing is missing: every file is where it was archived, at its length")
	}
	if len(missed) == 0 {
		return nil
	}
	return &failure{
		exitCode(missed[0]), fmt.Errorf("%d of %s could not be brought back", len(missed), plural(len(lost), "lost file")),
		"the same command again, when that is put right",
	}
}

// restore files a lost track where it was. What lies there by now stays.
func (p *provisioner) restore(ctx context.Context, f lostFile) error {
	const op = "segue.results"
	if f.Why == lostChanged {
		return fault.Uncharged(fault.Conflict, op, fmt.Errorf("%s was changed: move it away, and the same command brings back what was archived", f.File))
	}
	id, index, _ := session.ParseItemID(f.ItemID)
	work, err := p.sys.store.Load(ctx, id, index)
	if err != nil {
		return err
	}
	where := work.Session.Archive
	if where == "" {
		where = p.sys.config().Archive.URL
	}
	name, ok := belowArchive(where, f.File)
	if !ok {
		return fault.Uncharged(fault.Invalid, op, fmt.Errorf("%s does not lie in %s, where the session's archive is by now; --out copies what can be had", f.File, where))
	}
	store, err := p.sys.archiveAt(where)
	if err != nil {
		return err
	}
	kept, err := p.again(ctx, &work.Session, &work.Item, f.index)
	if err != nil {
		return err
	}
	filed, err := archive.KeepSource(ctx, store, archive.Source{
		Name: strings.TrimSuffix(name, path.Ext(name)), Extension: extension(name), Size: kept.Size, SHA256: kept.SHA256,
		Open: func(context.Context) (io.ReadCloser, error) { return os.Open(kept.File) },
	})
	if err == nil && filed.File != f.File {
		err = fault.Uncharged(fault.Conflict, op, fmt.Errorf("another file has its name; it is %s now", filed.File))
	}
	return err
}

// belowArchive is a file's name in an archive.
func belowArchive(where, file string) (string, bool) {
	if isObject(where) {
		root, err := bucket.Parse(where)
		at, err2 := bucket.Parse(file)
		if err != nil || err2 != nil || root.Bucket != at.Bucket {
			return "", false
		}
		prefix := strings.Trim(root.Key, "/")
		if prefix == "" {
			return at.Key, true
		}
		return strings.CutPrefix(at.Key, prefix+"/")
	}
	if dir, local := archiveDirectory(where); local {
		where = dir
	}
	near, err := filepath.Rel(absolute(where), file)
	return filepath.ToSlash(near), err == nil && filepath.IsLocal(near)
}

// openArchived reads an archived file, be it in a directory or in a bucket.
func (s *system) openArchived(ctx context.Context, file string) (io.ReadCloser, error) {
	if !isObject(file) {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		return opened, nil
	}
	store, name, err := s.app.buckets.object(s.config().S3, file)
	if err != nil {
		return nil, err
	}
	body, _, err := store.Get(ctx, name, bucket.Part{})
	return body, err
}

// freshURLs asks the provider for the URLs of an item's tracks, by audioId.
func (s *system) freshURLs(ctx context.Context, of *session.Session, it *session.Item) (map[string]string, error) {
	acc, err := s.accounts.Get(of.Provider, of.Account)
	if err != nil {
		return nil, err
	}
	op := provider.Operation{Step: string(session.StepExtend), Session: of.Remote, Checkpoint: it.Checkpoint}
	for _, accepted := range it.Operations {
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
