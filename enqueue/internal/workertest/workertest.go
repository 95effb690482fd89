// Package workertest moves the items of a session as workers would, for tests of
// what producers see of it.
package workertest

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// look is when the sweep should look again; nothing sweeps in these tests.
const look = time.Hour

// Test is what a Worker needs of a testing.TB; examples have none.
type Test interface {
	Context() context.Context
	Fatal(args ...any)
	Helper()
}

// Worker does one worker's part in the sessions of one Redis.
type Worker struct {
	t     Test
	Store *session.Store
}

// New returns a worker whose failures end the test.
func New(t Test, rdb redis.UniversalClient) *Worker {
	return &Worker{t, session.NewStore(rdb)}
}

// Begin has an item's current step accepted by its provider: it waits.
func (w *Worker) Begin(id string, index int, operation string, credits float64) {
	w.t.Helper()
	w.claim(id, index, true, credits)
	w.move(id, index, func(k *session.Work) error {
		return k.Item.Accept("token", &provider.Accepted{OperationID: operation}, k.Now)
	})
}

// Upload ends an item's upload with a clip.
func (w *Worker) Upload(id string, index int, clip string, credits float64) {
	w.t.Helper()
	operation := "upload-" + clip
	w.Begin(id, index, operation, credits)
	w.Arrive(id, index, operation, clip)
}

// Arrive ends an upload that waits.
func (w *Worker) Arrive(id string, index int, operation, clip string) {
	w.t.Helper()
	w.move(id, index, func(k *session.Work) error {
		return k.Item.Finish(operation, &provider.State{Done: true, Clip: &provider.Clip{ID: clip}}, k.Now)
	})
}

// Extend ends an uploaded item's extension and archives its tracks.
func (w *Worker) Extend(id string, index int, operation string, credits float64, tracks ...session.Track) {
	w.t.Helper()
	w.Begin(id, index, operation, credits)
	w.move(id, index, func(k *session.Work) error {
		return k.Item.Finish(operation, &provider.State{Done: true, Tracks: make([]provider.Track, len(tracks))}, k.Now)
	})
	w.claim(id, index, false, 0)
	w.move(id, index, func(k *session.Work) error { return k.Item.Keep("token", tracks, k.Now) })
}

// Fail ends an item's current step badly.
func (w *Worker) Fail(id string, index int, code fault.Code, reason, charge string) {
	w.t.Helper()
	w.claim(id, index, true, 0)
	w.move(id, index, func(k *session.Work) error {
		return k.Item.Refuse("token", session.Failure{Code: code, Step: k.Item.Step, Reason: reason, Charge: charge}, k.Now)
	})
}

// Hold leaves an item's current step in doubt.
func (w *Worker) Hold(id string, index int, reason string) {
	w.t.Helper()
	w.claim(id, index, true, 0)
	w.move(id, index, func(k *session.Work) error {
		why := session.Failure{Code: fault.Timeout, Step: k.Item.Step, Reason: reason, Charge: "unknown"}
		return errors.Join(k.Item.Doubt("token", why, k.Now), k.Item.Hold(why))
	})
}

func (w *Worker) claim(id string, index int, paid bool, credits float64) {
	w.t.Helper()
	w.move(id, index, func(k *session.Work) error {
		return k.Item.Take(session.Claim{Token: "token", Worker: "worker", Credits: credits}, paid)
	})
}

func (w *Worker) move(id string, index int, change func(*session.Work) error) {
	w.t.Helper()
	if _, _, err := w.Store.Update(w.t.Context(), id, index, look, change); err != nil {
		w.t.Fatal(err)
	}
}
