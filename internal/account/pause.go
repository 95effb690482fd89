package account

import (
	"context"
	"time"
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

// Close closes an endpoint for everybody. A longer closing that is in force is kept.
// Turns that have not gone are given up; their entries learn it from Go. After the
// closing one entry is let in, and no other until Reopen, Close, its Leave, or the end
// of its lease.
func (g *Gate) Close(ctx context.Context, id ID, endpoint string, p Pause) error { return errMissing }

// Reopen opens an endpoint fully: a request of it was accepted. was says that it had
// not been open.
func (g *Gate) Reopen(ctx context.Context, id ID, endpoint string) (was bool, err error) {
	return false, errMissing
}

// Expire ends the time of a closing of the given code: its test may begin. It answers
// whether there is such a closing.
func (g *Gate) Expire(ctx context.Context, id ID, endpoint, code string) (bool, error) {
	return false, errMissing
}

// Pauses gives the endpoints that are not open, by name.
func (g *Gate) Pauses(ctx context.Context, id ID) ([]PauseState, error) { return nil, errMissing }
