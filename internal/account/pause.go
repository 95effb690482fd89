package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// Pause closes an endpoint.
type Pause struct {
	// For is how long; 0 grows from 5 s over 7 s to 10 s while the endpoint is closed
	// again without a success between.
	For time.Duration
	// Why is for people. It must hold no secret.
	Why string
	// Code is for programs, see Expire.
	Code string
}

// PauseState is an endpoint that is closed, or waits for its test.
type PauseState struct {
	Endpoint string
	Closed
	// Since is when it was closed first, without a success between.
	Since time.Time
}

// Close closes an endpoint for everybody. A longer closing that is in force is kept,
// and so is any when For is 0: the refusals of requests that were on their way say
// nothing new. Turns that have not gone are given up; their entries learn it from Go.
// After the closing one entry is let in, and no other until Reopen, Close, its Leave,
// or the end of its lease.
func (g *Gate) Close(ctx context.Context, id ID, endpoint string, p Pause) error {
	const op = "account.Close"
	if err := check(op, id, endpoint); err != nil {
		return err
	}
	if strings.Contains(p.Code, "|") || p.For < 0 {
		return fault.New(fault.Invalid, op, fmt.Errorf("code %q for %v is no pause", p.Code, p.For))
	}
	// Less than a millisecond is not the growing kind.
	span := p.For.Milliseconds()
	if p.For > 0 {
		span = max(1, span)
	}
	_, err := g.done(ctx, op, closeScript, id, endpoint, span, p.Code, p.Why)
	return err
}

// Reopen opens an endpoint fully: a request of it was accepted. was says that it had
// not been open.
func (g *Gate) Reopen(ctx context.Context, id ID, endpoint string) (was bool, err error) {
	const op = "account.Reopen"
	if err := check(op, id, endpoint); err != nil {
		return false, err
	}
	n, err := g.rdb.HDel(ctx, keyPauses(id), endpoint).Result()
	return n > 0, reply.Down(op, err)
}

// Expire ends the time of a closing of the given code: its test may begin. It answers
// whether there is such a closing.
func (g *Gate) Expire(ctx context.Context, id ID, endpoint, code string) (bool, error) {
	const op = "account.Expire"
	if err := check(op, id, endpoint); err != nil {
		return false, err
	}
	return g.done(ctx, op, expireScript, id, endpoint, code)
}

// Pauses gives the endpoints that are not open, by name.
func (g *Gate) Pauses(ctx context.Context, id ID) ([]PauseState, error) {
	const op = "account.Pauses"
	if err := check(op, id); err != nil {
		return nil, err
	}
	a, err := g.ask(ctx, op, pausesScript, id)
	if err != nil {
		return nil, err
	}
	pauses := make([]PauseState, 0, a.Left())
	a.All(func(one *reply.List) {
		pauses = append(pauses, PauseState{Endpoint: one.Text(), Since: one.Moment(), Closed: *closedIn(one)})
	})
	if err := a.End(); err != nil {
		return nil, err
	}
	slices.SortFunc(pauses, func(a, b PauseState) int { return strings.Compare(a.Endpoint, b.Endpoint) })
	return pauses, nil
}
