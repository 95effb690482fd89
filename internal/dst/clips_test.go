package dst

import (
	"context"
	"time"

	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// content is what every file of the simulation holds.
const content = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"

// clips is the index as the product has it, on the Redis that fails.
type clips struct{ index *bulk.Index }

func clipKey(s *session.Session, it *session.Item) (string, error) {
	return bulk.ClipKey(it.Source.SHA256, s.Provider, s.Account)
}

func (c clips) Find(ctx context.Context, s *session.Session, it *session.Item) (*provider.Clip, string, error) {
	key, err := clipKey(s, it)
	if err != nil {
		return nil, "", err
	}
	found, err := c.index.Clips(ctx, key)
	entry, ok := found[key]
	if err != nil || !ok {
		return nil, "", err
	}
	return &entry.Clip, entry.Item, nil
}

func (c clips) Begin(ctx context.Context, s *session.Session, it *session.Item, lease time.Duration) (string, error) {
	key, err := clipKey(s, it)
	if err != nil {
		return "", err
	}
	return c.index.Begin(ctx, key, it.ID(), lease)
}

func (c clips) Keep(ctx context.Context, s *session.Session, it *session.Item) error {
	key, err := clipKey(s, it)
	if err != nil {
		return err
	}
	return c.index.PutClip(ctx, key, bulk.ClipEntry{Clip: *it.Clip, Session: s.ID, Item: it.ID()})
}

func (c clips) Forget(ctx context.Context, s *session.Session, it *session.Item) error {
	key, err := clipKey(s, it)
	if err != nil {
		return err
	}
	return c.index.Forget(ctx, "", key)
}
