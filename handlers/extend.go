package handlers

import (
	"context"
	"time"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// Extend executes audio:extend: it submits one continuation, the paid request.
func (h *Handlers) Extend(ctx context.Context, p tasks.Extend) error {
	j, err := h.begin(ctx, p.Step, session.Queued)
	if j == nil || err != nil {
		return err
	}
	if expired(j) {
		h.forgetClip(ctx, j)
		return h.record(ctx, j, soon, func(it *session.Item, now time.Time) error { return it.Restage(now) })
	}
	extend := &provider.Extend{
		Session: j.Session.Remote,
		Clip:    *j.Item.Clip,
		Params:  j.Item.EffectiveParams(&j.Session.Spec),
	}
	extend.Params.Model = j.account.Info.ModelName(extend.Params.Model)
	return h.submit(ctx, j, request{
		paid: true, credits: j.account.Info.Prices.Extend,
		params: hashOf(extend.Clip, extend.Params),
		lease:  paidClaim, timeout: sendTimeout,
		send: func(ctx context.Context, callback string) (*provider.Accepted, error) {
			extend.CallbackURL = callback
			return j.account.Driver.Extend(ctx, extend)
		},
	})
}

// staleBefore is how long before a staged file expires it counts as gone: the
// provider fetches it some time after it accepts.
const staleBefore = 15 * time.Minute

// expired says that the upload's result will not last until the provider needs
// it, and that the item may be uploaded: for free, or for the first time.
func expired(j *job) bool {
	return gone(j.Item.Clip, j.Now) && (!j.account.Info.Uploads.Paid || j.Item.ClipOf != "")
}
