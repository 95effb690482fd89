package main

import (
	"context"
	"log/slog"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/provider"
)

// recalls says that the firing leaves out what was paid for before. A schedule of all
// files does not: all that it ever carried was.
func (c *carrier) recalls() bool { return !c.Entry.Again && !c.Entry.AllFiles }

// worth leaves those of some new files that are worth a look. What the budgets do not pay
// for may still have been paid for before, and only a look tells: at so many of them.
func (c *carrier) worth(fresh []source.Input) []source.Input {
	if c.room >= c.price(c.asks.Extend != nil) {
		return fresh
	}
	n := 0
	if c.recalls() {
		n = min(len(fresh), atOnce-c.glanced)
	}
	c.glanced += n
	c.later += len(fresh) - n
	return fresh[:n]
}

// paid gives the results of those files that may be carried, and were paid for before: by a
// session of anybody, with the same contents and parameters. Nil is one that was not.
func (c *carrier) paid(ctx context.Context, good []candidate, take []bool) ([]*bulk.Entry, error) {
	paid := make([]*bulk.Entry, len(good))
	if !c.recalls() {
		return paid, nil
	}
	keys, asked := make([]string, len(good)), make([]string, 0, len(good))
	for n := range good {
		if !take[n] {
			continue
		}
		key, err := c.requestKey(ctx, &good[n].item)
		if err != nil {
			return nil, err
		}
		if keys[n] = key; key != "" {
			asked = append(asked, key)
		}
	}
	found, err := c.index.Get(ctx, asked...)
	if err != nil {
		return nil, err
	}
	now, err := c.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	for n := range good {
		entry, known := found[keys[n]]
		// What the firing's own session has made is not left out of it.
		if known && entry.Usable(now) && entry.Session != c.session {
			paid[n] = &entry
		}
	}
	return paid, nil
}

// requestKey is what a result of an item is remembered under; empty where the contents of
// the item are not known.
func (c *carrier) requestKey(ctx context.Context, item *enqueue.Item) (string, error) {
	if item.Known.SHA256 == "" {
		return "", nil
	}
	r := bulk.Request{SHA256: item.Known.SHA256, Provider: c.asks.Provider, Params: c.paramsFor(item)}
	if bound(r.Params) {
		name, err := c.payer(ctx)
		if err != nil {
			return "", err
		}
		r.Account = name
	}
	return r.Key()
}

// paramsFor is how an item is continued, as the provider is told; nil when it is only
// uploaded.
func (c *carrier) paramsFor(item *enqueue.Item) *provider.Params {
	extend := item.Extend
	if extend == nil && !item.UploadOnly {
		extend = c.asks.Extend
	}
	if extend == nil {
		return nil
	}
	return resolved(c.info, paramsOf(extend, item.Known.Duration))
}

// payer is the firing's account: that of its session, or one that is chosen now, and that
// the session is bound to should there be one.
func (c *carrier) payer(ctx context.Context) (string, error) {
	if c.asks.Account != "" {
		return c.asks.Account, nil
	}
	name, err := c.client.Choose(ctx, c.asks.Provider, c.ID())
	if err != nil {
		return "", submitting(err)
	}
	c.asks.Account = name
	return name, nil
}

// spare leaves out a file that was paid for before, and logs where its results came from.
// items is how many files before it are in the session, or about to be.
func (c *carrier) spare(ctx context.Context, items int, item *enqueue.Item, e *bulk.Entry) {
	first := c.spares.add(reused{
		Index: items + len(c.spares.list), Source: item.Name, SHA256: item.Known.SHA256, Outcome: bulk.Known,
		SessionID: e.Session, ItemID: e.Item, AudioIDs: e.AudioIDs, Files: append([]string{}, e.Files...), Expires: e.Expires,
	})
	if first && c.spares.count <= maxFindings {
		c.log.InfoContext(ctx, "file paid for before", slog.String("schedule", c.Schedule), slog.String("fire", c.Fire),
			slog.String("file", item.Name), slog.String("item", e.Item))
	}
}
