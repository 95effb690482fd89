package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// rememberers is how many results are written at once.
const rememberers = 16

// remember keeps what was paid for, by everything that decided what came out. What
// nobody has read, such as a song on the web, cannot be recognised again.
func (s *system) remember(ctx context.Context, current *session.Session, items []*session.Item) error {
	p, err := s.config().Provider(current.Provider)
	if err != nil {
		return err
	}
	info, err := s.info(p)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(rememberers)
	var odd error
	for _, it := range items {
		if it.Source.SHA256 == "" {
			continue
		}
		key, err := requestOf(info, current, it).Key()
		if err != nil { // a producer that said something else of the file than its digest
			odd = fmt.Errorf("item %s: %w", it.ID(), err)
			continue
		}
		group.Go(func() error { return s.index.Put(ctx, key, entryOf(info, current, it)) })
		if info.Uploads.Clips && it.Clip != nil && it.ClipOf == "" {
			group.Go(func() error { return bulk.Clips{Index: s.index}.Remember(ctx, current, it) })
		}
	}
	return cmp.Or(group.Wait(), odd)
}

// requestOf is what an item that has succeeded is the answer to.
func requestOf(info provider.Info, current *session.Session, it *session.Item) bulk.Request {
	r := bulk.Request{SHA256: it.Source.SHA256, Provider: current.Provider}
	if slices.Contains(it.Plan, session.StepExtend) {
		r.Params = resolved(info, it.EffectiveParams(&current.Spec))
	}
	if bound(r.Params) {
		r.Account = current.Account
	}
	return r
}

// resolved are parameters with the model that is meant by default.
func resolved(info provider.Info, params provider.Params) *provider.Params {
	params.Model = info.ModelName(params.Model)
	return &params
}

// bound says that what comes out is of use at one account alone: a clip is, and what
// was made with a persona of the account could not be had elsewhere.
func bound(params *provider.Params) bool { return params == nil || params.PersonaID != "" }

// entryOf is what is remembered of an item.
func entryOf(info provider.Info, current *session.Session, it *session.Item) bulk.Entry {
	e := bulk.Entry{
		Session: current.ID, Item: it.ID(), Account: current.Account, AudioIDs: it.AudioIDs(),
		Clip: it.Clip, Credits: it.Credits(), At: it.Updated.UTC(),
	}
	for _, t := range it.Tracks {
		if t.File != "" {
			e.Files = append(e.Files, t.File)
		}
	}
	switch {
	case len(it.Tracks) == 0 && it.Clip != nil:
		e.Expires = it.Clip.Expires
	case info.Retention > 0 && len(it.Tracks) > 0:
		e.Expires = it.Updated.UTC().Add(info.Retention)
	}
	return e
}
