package bulk

import (
	"context"
	"time"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// Clips is an index as workers ask it: for the audio of an item, at the account of its
// session. Its errors are the index's.
type Clips struct{ Index *Index }

func clipOf(s *session.Session, it *session.Item) (string, error) {
	return ClipKey(it.Source.SHA256, s.Provider, s.Account)
}

// Find gives the clip of an item's audio, and the item that uploaded it; nil when there
// is none.
func (c Clips) Find(ctx context.Context, s *session.Session, it *session.Item) (clip *provider.Clip, of string, err error) {
	key, err := clipOf(s, it)
	if err != nil {
		return nil, "", err
	}
	found, err := c.Index.Clips(ctx, key)
	entry, ok := found[key]
	if err != nil || !ok || entry.Lost {
		return nil, "", err
	}
	return &entry.Clip, entry.Item, nil
}

// Begin announces that an item is about to be uploaded; see [Index.Begin].
func (c Clips) Begin(ctx context.Context, s *session.Session, it *session.Item, lease time.Duration) (other string, err error) {
	key, err := clipOf(s, it)
	if err != nil {
		return "", err
	}
	return c.Index.Begin(ctx, key, it.ID(), lease)
}

// End takes back what Begin announced.
func (c Clips) End(ctx context.Context, s *session.Session, it *session.Item) error {
	key, err := clipOf(s, it)
	if err != nil {
		return err
	}
	return c.Index.End(ctx, key, it.ID())
}

// Keep remembers the clip that an item's upload has just ended with.
func (c Clips) Keep(ctx context.Context, s *session.Session, it *session.Item) error {
	return c.keep(ctx, s, it, c.Index.PutClip)
}

// Remember is Keep for an upload that ended some time ago.
func (c Clips) Remember(ctx context.Context, s *session.Session, it *session.Item) error {
	return c.keep(ctx, s, it, c.Index.AddClip)
}

func (c Clips) keep(ctx context.Context, s *session.Session, it *session.Item, put func(context.Context, string, ClipEntry) error) error {
	key, err := clipOf(s, it)
	if err != nil {
		return err
	}
	return put(ctx, key, ClipEntry{Clip: *it.Clip, Session: s.ID, Item: it.ID(), At: it.Updated.UTC()})
}

// Lose notes that the clip that an item was to go on with is gone.
func (c Clips) Lose(ctx context.Context, s *session.Session, it *session.Item) error {
	key, err := clipOf(s, it)
	if err != nil {
		return err
	}
	return c.Index.LoseClip(ctx, key, it.ClipOf)
}
