package handlers

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// Keeping is how results are archived. The zero value files tracks by the default
// layout with a sidecar beside them, and nothing else.
type Keeping struct {
	Layout archive.Layout
	// Tags writes the title and the ids into the files, Covers keeps the tracks' cover
	// images, and Sources a copy of what was sent.
	Tags, Covers, Sources bool
	// Cover downloads a cover into an archive and gives the name that it got. Nil keeps
	// none.
	Cover func(ctx context.Context, store archive.Archive, url, name string) (file string, err error)
}

// keeping is how results are archived by now.
func (h *Handlers) keeping() Keeping {
	if h.Keeping == nil {
		return Keeping{}
	}
	return h.Keeping()
}

// keepAll archives the item's tracks and what lies beside them. The sidecar comes
// last: where it is, everything that it names is.
func (h *Handlers) keepAll(ctx context.Context, j *job, store archive.Archive) ([]session.Track, error) {
	how := h.keeping()
	tracks, err := h.keep(ctx, j, store, how)
	if err != nil || len(tracks) == 0 {
		return tracks, err
	}
	side := sidecarOf(j)
	side.Source.File, err = h.keepSource(ctx, j, store, how)
	if err != nil {
		return nil, err
	}
	name := how.Layout.Item(FieldsOf(j.account.Info, &j.Session, &j.Item, 0, tracks[0]))
	for n, t := range tracks {
		here := how.Layout.Track(FieldsOf(j.account.Info, &j.Session, &j.Item, n, t))
		beside := archive.SidecarTrack{
			AudioID: t.AudioID, Title: t.Title, Size: t.Size, SHA256: t.SHA256, DurationSeconds: t.DurationSeconds,
			Format: strings.TrimPrefix(path.Ext(t.File), "."),
			File:   relative(name, here, t.File),
		}
		if how.Covers && how.Cover != nil && t.ImageURL != "" {
			cover, err := how.Cover(ctx, store, t.ImageURL, here)
			if err != nil {
				h.Log.WarnContext(ctx, "a cover was not kept", slog.String("item", j.Item.ID()),
					slog.String("audio_id", t.AudioID), slog.String("cause", fault.Reason(err)))
			} else {
				beside.Cover = relative(name, here, cover)
			}
		}
		side.Tracks = append(side.Tracks, beside)
	}
	return tracks, archive.KeepSidecar(ctx, store, name, side)
}

// relative is where a file lies that was filed by a name, seen from a sidecar. What was
// filed may have got another last part than asked for.
func relative(sidecar, name, file string) string {
	here, err := filepath.Rel(filepath.FromSlash(path.Dir(sidecar)), filepath.FromSlash(path.Dir(name)))
	if err != nil {
		here = "."
	}
	return path.Join(filepath.ToSlash(here), path.Base(filepath.ToSlash(file)))
}

// stemOf is the source's name without directory and extension.
func stemOf(src session.Source) string {
	base := nameOf(src)
	return strings.TrimSuffix(base, path.Ext(base))
}

// FieldsOf is what a layout may say of an item's nth track, counted from 0. info is the
// provider's: it knows the model that is meant where none was named.
func FieldsOf(info provider.Info, of *session.Session, it *session.Item, n int, t session.Track) archive.Fields {
	return archive.Fields{
		Session: of.ID, Name: of.Name, Index: it.Index, Stem: stemOf(it.Source),
		N: n + 1, AudioID: t.AudioID, Title: t.Title,
		Provider: of.Provider, Account: of.Account, Model: info.ModelName(it.EffectiveParams(&of.Spec).Model),
		Date: time.UnixMilli(of.Created).UTC(),
	}
}

// TagsOf is what is written into a track's file. It depends on nothing that changes
// between two attempts.
func TagsOf(it *session.Item, t session.Track) archive.Tags {
	return archive.Tags{Title: t.Title, Comment: "segue item " + it.ID() + ", audio " + t.AudioID}
}

// sidecarOf is what is known of an item, without its files.
func sidecarOf(j *job) archive.Sidecar {
	params, src := j.Item.EffectiveParams(&j.Session.Spec), j.Item.Source
	side := archive.Sidecar{
		SessionID: j.Item.Session, SessionName: j.Session.Name, ItemID: j.Item.ID(), Index: j.Item.Index,
		Provider: j.Session.Provider, Account: j.Session.Account,
		Model: j.account.Info.ModelName(params.Model), Title: params.Title, Prompt: params.Prompt, Style: params.Style,
		Parameters: parametersOf(params), Credits: j.Item.Credits(),
		Source: archive.SidecarSource{
			Name: src.Name, SHA256: src.SHA256, Size: src.Size, Format: src.Format, DurationSeconds: src.Duration,
		},
		SubmittedAt: time.UnixMilli(j.Session.Created).UTC(), ArchivedAt: j.Now.UTC(),
	}
	if j.Item.Clip != nil {
		side.ClipID = j.Item.Clip.ID
	}
	for _, op := range j.Item.Operations {
		if op.ID != "" {
			side.OperationIDs = append(side.OperationIDs, op.ID)
		}
	}
	// A fetch that an operator began anew tells nothing of when the provider was done.
	if j.Item.Generation == 0 && j.Item.Since > 0 {
		side.FinishedAt = time.UnixMilli(j.Item.Since).UTC()
	}
	return side
}

// parametersOf are those that have no place of their own in a sidecar.
func parametersOf(p provider.Params) map[string]any {
	all := map[string]any{"continueAt": p.ContinueAt}
	if p.Instrumental {
		all["instrumental"] = true
	}
	for name, text := range map[string]string{
		"negativeTags": p.NegativeTags, "vocalGender": p.VocalGender, "personaId": p.PersonaID,
	} {
		if text != "" {
			all[name] = text
		}
	}
	for name, weight := range map[string]*float64{
		"styleWeight": p.StyleWeight, "weirdnessConstraint": p.WeirdnessConstraint, "audioWeight": p.AudioWeight,
	} {
		if weight != nil {
			all[name] = *weight
		}
	}
	return all
}

// maxSourceAttempts is how many attempts of a fetch may fail for the copy of the source
// alone: results that were paid for do not wait for it for ever.
const maxSourceAttempts = 4

// keepSource files a copy of what was sent, where that is asked for, and says where it
// lies, seen from the sidecar. One that cannot be read any more is reported, and is no
// reason to fail.
func (h *Handlers) keepSource(ctx context.Context, j *job, store archive.Archive, how Keeping) (file string, err error) {
	if !how.Sources {
		return "", nil
	}
	src := j.Item.Source
	name := how.Layout.Item(FieldsOf(j.account.Info, &j.Session, &j.Item, 0, j.Item.Tracks[0])) + "-source"
	kept, err := archive.KeepSource(ctx, store, archive.Source{
		Name: name, Size: src.Size, SHA256: src.SHA256,
		Extension: strings.ToLower(cmp.Or(src.Format, strings.TrimPrefix(path.Ext(nameOf(src)), "."))),
		Open: func(ctx context.Context) (io.ReadCloser, error) {
			if h.Open == nil {
				return nil, fault.Uncharged(fault.Invalid, "handlers.keepSource", errors.New("this worker cannot open sources"))
			}
			return h.Open(ctx, src)
		},
	})
	switch {
	case err == nil:
		return relative(name, name, kept.File), nil
	case retryable(err) && j.Item.Attempts < maxSourceAttempts, fault.CodeOf(err) == fault.Canceled:
		return "", err
	}
	h.Log.WarnContext(ctx, "a source was not kept beside its results", slog.String("item", j.Item.ID()), slog.String("cause", fault.Reason(err)))
	return "", nil
}
