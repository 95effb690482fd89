package handlers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// Clips knows the audio that lies at the accounts, by its content. What it says spares
// an upload, and nothing else rests on it: it may forget, and it may be wrong.
type Clips interface {
	// Find gives the clip of an item's audio at its session's account, and the item that
	// uploaded it; nil when there is none.
	Find(ctx context.Context, s *session.Session, it *session.Item) (clip *provider.Clip, of string, err error)
	// Begin announces that an item is about to be uploaded. It gives the other item
	// whose upload of the same audio was announced within the lease, or nothing.
	Begin(ctx context.Context, s *session.Session, it *session.Item, lease time.Duration) (other string, err error)
	// End takes that back, if it is this item that was announced.
	End(ctx context.Context, s *session.Session, it *session.Item) error
	// Keep remembers the clip that an item's upload ended with.
	Keep(ctx context.Context, s *session.Session, it *session.Item) error
	// Lose drops the clip of the item's ClipOf: the provider has it no more.
	Lose(ctx context.Context, s *session.Session, it *session.Item) error
}

const (
	// uploadLease is how long an upload is waited for by others of the same audio. Those
	// that take longer are not waited for: their audio is uploaded once more.
	uploadLease = 5 * time.Minute
	// uploadLook is how often it is looked whether it has come to its end.
	uploadLook = 5 * time.Second
)

// errElsewhere says that the same audio is on its way to the account already.
var errElsewhere = errors.New("the same audio is being uploaded")

// reusable says that an upload of the job may be spared.
func (h *Handlers) reusable(j *job) bool {
	return h.Clips != nil && j.account.Info.Uploads.Clips && !j.Session.Anew && j.Item.Reusable()
}

// standing looks for the item's audio at its account. It gives nil where the item is
// to be uploaded, and errElsewhere where another one is at it.
func (h *Handlers) standing(ctx context.Context, j *job) (clip *provider.Clip, of string, err error) {
	if !h.reusable(j) {
		return nil, "", nil
	}
	clip, of, err = h.Clips.Find(ctx, &j.Session, &j.Item)
	if clip != nil && gone(clip, j.Now) {
		clip = nil
	}
	if err == nil && clip == nil {
		if of, err = h.Clips.Begin(ctx, &j.Session, &j.Item, uploadLease); err == nil && of != "" {
			return nil, of, errElsewhere
		}
	}
	if err != nil && fault.CodeOf(err) != fault.Unavailable && ctx.Err() == nil {
		h.Log.WarnContext(ctx, "whether the audio was uploaded before is not known: it is uploaded", slog.String("item", j.Item.ID()), slog.String("cause", fault.Reason(err)))
		return nil, "", nil
	}
	return clip, of, err
}

// reuse records that the item goes on with what lies at the account.
func (h *Handlers) reuse(ctx context.Context, j *job, clip *provider.Clip, of string) error {
	token := j.token
	return h.record(ctx, j, soon, func(it *session.Item, now time.Time) error { return it.Reuse(token, *clip, of, now) })
}

// awaitOther puts an upload back for as long as another one of the same audio is under
// way. A worker that dies over that one does not stop this one for longer than the lease.
func (h *Handlers) awaitOther(ctx context.Context, j *job, other string) error {
	why := session.Failure{Code: fault.Pending, Step: j.Item.Step, Reason: errElsewhere.Error() + " as " + other, Charge: fault.ChargeNone.String()}
	token := j.token
	err := h.record(ctx, j, uploadLook+soon, func(it *session.Item, _ time.Time) error { return it.PutBack(token, why) })
	return outcome(err, wait(uploadLook, errElsewhere))
}

// keepClip remembers an upload as soon as it has ended, so that others of the same audio
// need not wait for the session's end, which does it again; and has them wait no longer
// for one that is put off, or over.
func (h *Handlers) keepClip(ctx context.Context, j *job, before, after *session.Item) {
	if h.Clips == nil || !j.account.Info.Uploads.Clips || before.Step != session.StepUpload || after.Source.SHA256 == "" {
		return
	}
	uploaded := after.Step != session.StepUpload && after.Clip != nil && after.ClipOf == ""
	if uploaded {
		h.unkept(ctx, after, h.Clips.Keep(ctx, &j.Session, after))
	}
	if uploaded || after.State == session.Queued && after.ClipOf == "" || after.State.Ended() {
		h.unkept(ctx, after, h.Clips.End(ctx, &j.Session, after))
	}
}

// forgetClip drops a clip that the provider did not find. The item that it was of keeps
// what it has.
func (h *Handlers) forgetClip(ctx context.Context, j *job) {
	if j.Item.ClipOf != "" && h.Clips != nil {
		h.unkept(ctx, &j.Item, h.Clips.Lose(ctx, &j.Session, &j.Item))
	}
}

func (h *Handlers) unkept(ctx context.Context, it *session.Item, err error) {
	if err != nil && ctx.Err() == nil {
		h.Log.WarnContext(ctx, "the book of clips could not be kept", slog.String("item", it.ID()), slog.String("cause", fault.Reason(err)))
	}
}

// gone says that a clip will not last until the provider needs it.
func gone(clip *provider.Clip, now time.Time) bool {
	return !clip.Expires.IsZero() && now.After(clip.Expires.Add(-staleBefore))
}
