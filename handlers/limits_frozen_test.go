package handlers_test

import (
	"context"
	"testing"
	"time"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// doorstep is a vendor whose requests ask for leave before their first byte, as all do
// that go over the network.
type doorstep struct{ *vendor }

func (d *doorstep) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	if err := provider.Leave(ctx); err != nil {
		return nil, err
	}
	return d.vendor.Upload(ctx, r)
}

// TestAFrozenWorkersFreeUploadDoesNotLeave: a worker stands still between its claim
// and its request, and another does the step meanwhile. What the first would send then
// costs nothing, and runs at the provider where nobody counts it.
func TestAFrozenWorkersFreeUploadDoesNotLeave(t *testing.T) {
	for _, c := range []struct {
		name  string
		by    provider.By
		clips bool
		redo  bool // the other worker has done it when the first wakes
	}{
		{"done by another, fetched by its URL", provider.ByURL, true, true},
		{"done by another, in several parts", provider.ByBytes, true, true},
		{"done by another, not counted", provider.ByBytes, false, true},
		{"taken, not done yet", provider.ByURL, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			handlers.LookAtClaims(t, 0)
			r := newRig(t)
			r.info.Uploads = provider.Uploads{Clips: c.clips, By: c.by, Formats: []string{"mp3"}}
			r.info.Prices = provider.Prices{Extend: 10}
			r.driver = &doorstep{r.vendor}
			r.restart()
			id := r.submit(1, session.Spec{})
			r.h.Hook = func(place string) {
				if place != "reserved" {
					return
				}
				r.restart()
				r.pass(session.DeadAfter + time.Second)
				r.sweep()
				r.wantLabel(id, "upload.queued")
				if next, _ := r.next(id, 0); c.redo {
					if err := r.deliver(next); err != nil {
						t.Errorf("the other worker's attempt: %v", err)
					}
				}
			}
			task, _ := r.next(id, 0)
			_ = r.deliver(task) // it has lost the step: whatever it says is of no account
			want := 0
			if c.redo {
				want = 1
			}
			if got := len(r.vendor.urls); got != want {
				t.Errorf("%d uploads left, want %d", got, want)
			}
			state, err := r.gate.State(t.Context(), account.ID{Provider: "vendor", Name: "main"}, account.Limits{})
			if err != nil || (c.clips && state.Slots != want) {
				t.Errorf("%d slots are held, %v; want %d", state.Slots, err, want)
			}
			if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
				t.Errorf("status %s, want succeeded", current.Status())
			}
			if got := len(r.vendor.urls); got != 1 {
				t.Errorf("%d uploads left in all, want 1", got)
			}
		})
	}
}
