// Package enqueuetest is for the tests of services that give work to Segue. Its
// [Recorder] takes the place of *enqueue.Client: it keeps sessions in memory,
// with the ids, keys, refusals and counts of the real thing, and lets the test
// say how they end.
//
//	recorder := enqueuetest.New(t)
//	shop := NewShop(recorder) // takes an enqueue.Producer
//	shop.Order("1234", "a.mp3")
//
//	session := recorder.OfKey("order-1234")
//	recorder.Finish(session.ID)
//	status, err := recorder.Wait(ctx, session.ID) // succeeded, with audioIds
//
// The Recorder and the client pass the same tests.
package enqueuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/session"
)

var _ enqueue.Producer = (*Recorder)(nil)

// Recorder is an enqueue.Producer that keeps sessions in memory. Nothing works on
// them: they end when the test says how. It is safe for concurrent use.
type Recorder struct {
	t testing.TB

	mu       sync.Mutex
	sessions map[string]*record
	order    []*record
	keys     map[string]*record
	down     bool
	// moved is closed, and replaced, at every change.
	moved chan struct{}
}

// New returns an empty Recorder. Asking it for what is not there, or for what a
// session cannot do, fails the test.
func New(t testing.TB) *Recorder {
	return &Recorder{t: t, sessions: map[string]*record{}, keys: map[string]*record{}, moved: make(chan struct{})}
}

// Disconnect makes every call of a producer fail with ErrUnavailable, as if Redis
// were away, until Reconnect. Nothing that is recorded is lost.
func (r *Recorder) Disconnect() { r.connect(false) }

// Reconnect undoes Disconnect.
func (r *Recorder) Reconnect() { r.connect(true) }

func (r *Recorder) connect(up bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down = !up
	r.changed()
}

// changed wakes those who wait.
func (r *Recorder) changed() {
	close(r.moved)
	r.moved = make(chan struct{})
}

// reach says whether a call gets through.
func (r *Recorder) reach(ctx context.Context) error {
	switch err := ctx.Err(); {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", enqueue.ErrUnavailable, err)
	case err != nil:
		return err
	case r.down:
		return fmt.Errorf("%w: the recorder is disconnected", enqueue.ErrUnavailable)
	}
	return nil
}

// find gets through to a session.
func (r *Recorder) find(ctx context.Context, id string) (*record, error) {
	known := r.sessions[id]
	if known == nil && !session.ValidID(id) {
		return nil, notFound(id) // Redis is not asked for it
	}
	if err := r.reach(ctx); err != nil {
		return nil, err
	}
	if known == nil {
		return nil, notFound(id)
	}
	return known, nil
}

func notFound(id string) error { return fmt.Errorf("%w: there is no %s", enqueue.ErrNotFound, id) }

// Submit implements enqueue.Producer.
func (r *Recorder) Submit(ctx context.Context, s enqueue.Session) (*enqueue.Submitted, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.reach(ctx); err != nil {
		return nil, err
	}
	if first := r.keys[s.Key]; first != nil {
		defer r.changed()
		return first.again(&s)
	}
	created, err := newRecord(&s)
	if err != nil {
		return nil, err
	}
	r.sessions[created.ID] = created
	r.order = append(r.order, created)
	if s.Key != "" {
		r.keys[s.Key] = created
	}
	defer r.changed()
	return &enqueue.Submitted{SessionID: created.ID, Items: created.add(s.Items)}, nil
}

// Add implements enqueue.Producer.
func (r *Recorder) Add(ctx context.Context, id string, items ...enqueue.Item) ([]enqueue.Answer, error) {
	// The provider is of no interest here, and would be a finding if it were missing.
	if err := (&enqueue.Session{Provider: "any", Items: items}).Check(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := known.refuses(items); err != nil {
		return []enqueue.Answer{}, err
	}
	defer r.changed()
	return known.add(items), nil
}

// Seal implements enqueue.Producer.
func (r *Recorder) Seal(ctx context.Context, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.find(ctx, id)
	if err != nil {
		return err
	}
	known.Sealed = true
	r.changed()
	return nil
}

// Cancel implements enqueue.Producer.
func (r *Recorder) Cancel(ctx context.Context, id string) (*enqueue.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	known.cancel(time.Now())
	r.changed()
	return known.progress(), nil
}

// Status implements enqueue.Producer.
func (r *Recorder) Status(ctx context.Context, id string) (*enqueue.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return known.status(), nil
}

// Progress implements enqueue.Producer.
func (r *Recorder) Progress(ctx context.Context, id string) (*enqueue.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return known.progress(), nil
}

// Wait implements enqueue.Producer.
func (r *Recorder) Wait(ctx context.Context, id string) (*enqueue.Status, error) {
	for {
		status, moved, err := r.look(ctx, id)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil || status.Over() {
			return status, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-moved:
		}
	}
}

// look gives a session as it is, and what will say that something changed.
func (r *Recorder) look(ctx context.Context, id string) (*enqueue.Status, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, err := r.find(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	return known.status(), r.moved, nil
}
