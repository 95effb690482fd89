package handlers

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// Fetch executes audio:fetch: it downloads, verifies and archives one item's
// results: its own, or those of one that its provider deletes much earlier. It costs
// nothing and is repeated until it succeeds or the provider has deleted them.
func (h *Handlers) Fetch(ctx context.Context, p tasks.Fetch) error {
	j, err := h.begin(ctx, p.Step, session.Queued)
	if j == nil || err != nil {
		return err
	}
	other := h.moreUrgent(ctx, j)
	if other == nil {
		return h.fetch(ctx, j)
	}
	if err := h.fetch(ctx, other); err != nil {
		// What became of it is on record, and its own task comes again.
		h.Log.DebugContext(ctx, "a fetch that went first failed", slog.String("item", other.Item.ID()), slog.String("cause", fault.Reason(err)))
	}
	return wait(firstBackoff, errAfter)
}

func (h *Handlers) fetch(ctx context.Context, j *job) error {
	store, err := h.Archive(j.Session.Archive)
	if err != nil {
		return h.postpone(ctx, j, err)
	}
	r := request{patient: true, lease: tasks.AudioFetch.Policy.Timeout}
	defer h.done(j)
	if err := h.claim(ctx, j, r); err != nil {
		return done(err)
	}
	tracks, err := h.keepAll(ctx, j, store)
	if err != nil {
		h.unfetched(ctx, j, err)
		return h.refused(ctx, j, r, stillThere(j, err))
	}
	h.resting.awake(j.Session.Provider)
	token := j.token
	return h.record(ctx, j, soon, func(it *session.Item, now time.Time) error { return it.Keep(token, tracks, now) })
}

// keep archives every track of the item.
func (h *Handlers) keep(ctx context.Context, j *job, store archive.Archive, how Keeping) ([]session.Track, error) {
	tracks := make([]session.Track, len(j.Item.Tracks))
	copy(tracks, j.Item.Tracks)
	renewed := false
	for n := 0; n < len(tracks); n++ {
		kept, err := store.Keep(ctx, how.want(j, n, tracks[n]))
		code := fault.CodeOf(err)
		if (code == fault.Denied || code == fault.NotFound) && !renewed {
			// The signed URL has expired: asking about the operation gives a new one.
			renewed = true
			if err := h.renew(ctx, j, tracks); err != nil {
				return nil, err
			}
			n--
			continue
		}
		if err != nil {
			return nil, err
		}
		tracks[n].File, tracks[n].Size, tracks[n].SHA256 = kept.File, kept.Size, kept.SHA256
		if tracks[n].DurationSeconds == 0 {
			tracks[n].DurationSeconds = kept.Duration
		}
	}
	return tracks, nil
}

// renew asks the provider for fresh URLs of the tracks.
func (h *Handlers) renew(ctx context.Context, j *job, tracks []session.Track) error {
	op := j.operation()
	op.Step = string(session.StepExtend)
	for _, accepted := range j.Item.Operations {
		if accepted.Step == session.StepExtend {
			op.ID = accepted.ID
		}
	}
	state, err := j.account.Driver.Poll(ctx, op)
	if err != nil {
		return err
	}
	for n := range tracks {
		for _, fresh := range state.Tracks {
			if fresh.AudioID == tracks[n].AudioID {
				tracks[n].AudioURL = fresh.AudioURL
				tracks[n].ImageURL = cmp.Or(fresh.ImageURL, tracks[n].ImageURL)
			}
		}
	}
	return nil
}

// maxDisagreements is how many downloads may disagree with the declared length
// before the length, not the download, counts as wrong.
const maxDisagreements = 4

// want names a track and its place in the archive.
func (k Keeping) want(j *job, n int, t session.Track) archive.Want {
	declared := t.DurationSeconds
	if j.Item.Attempts >= maxDisagreements {
		// A provider that declares a wrong length must not cost a track that was
		// paid for: it is whole by every other measure.
		declared = 0
	}
	w := archive.Want{URL: t.AudioURL, Key: t.AudioID, Duration: declared, Name: k.Layout.Track(FieldsOf(j.account.Info, &j.Session, &j.Item, n, t))}
	if k.Tags {
		w.Tags = TagsOf(&j.Item, t)
	}
	return w
}
