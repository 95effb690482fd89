package account

import (
	"context"
	"time"
)

// Picking says how much may be taken out of a ring.
type Picking struct {
	// Ahead is how far away a turn may be.
	Ahead time.Duration
	// Most is how many items at most; 0 is no limit of the caller's own.
	Most int
	// Limited says that the kind needs slots and turns.
	Limited bool
}

// Picked is a session whose turn it is, and how much it may have.
type Picked struct {
	Session string
	// Allowed is how many items of it may be admitted now.
	Allowed int
	// Weight is the session's.
	Weight int
	// None says why nothing may be admitted, when nothing may and somebody waits.
	None None
	// Empty says that nobody waits.
	Empty bool
}

// None is why nothing may be admitted. All but Busy and Closed.Until end when
// something changes.
type None struct {
	Closed *Closed
	// Full says that no slot is free.
	Full bool
	// Busy is how far away the next turn is.
	Busy time.Duration
	// Stocked says that the stock has no room.
	Stocked bool
}

// Join says that items of a session wait for a kind of work. Joining again changes
// its weight and nothing else. Who joins late has no arrears, who joins again too
// soon pays what it had ahead.
func (g *Gate) Join(ctx context.Context, id ID, kind, session string, weight int) (Demand, error) {
	return Demand{}, errMissing
}

// Pick takes the session that is furthest behind out of the ring, when something of
// it may be admitted; Return must follow, within a minute. ok is false when nothing
// may be admitted or nobody waits.
func (g *Gate) Pick(ctx context.Context, id ID, kind string, l Limits, p Picking) (picked Picked, ok bool, err error) {
	return Picked{}, false, errMissing
}

// Return puts a picked session back after some items of it were served. more says
// that others still wait; without it the session leaves the ring, unless it joined
// again meanwhile.
func (g *Gate) Return(ctx context.Context, id ID, kind, session string, weight, served int, more bool) error {
	return errMissing
}

// Quit takes a session out of all rings: it was canceled, or is over.
func (g *Gate) Quit(ctx context.Context, id ID, session string) error { return errMissing }
