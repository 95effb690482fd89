package handlers

import (
	"context"

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
	extend := &provider.Extend{
		Session: j.Session.Remote,
		Clip:    *j.Item.Clip,
		Params:  j.Item.EffectiveParams(&j.Session.Spec),
	}
	if model, ok := j.account.Info.Model(extend.Params.Model); ok {
		extend.Params.Model = model.Name
	}
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
