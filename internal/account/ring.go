package account

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/segue-audio/segue/internal/reply"
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
	// Parked says that the session was parked, and that the time for it has passed: ask
	// whether it can pay by now, and call Unpark, or Park again.
	Parked bool
	// None says why nothing may be admitted, when nothing may and somebody waits.
	None None
	// Empty says that nobody waits.
	Empty bool
}

// None is why nothing may be admitted. What has no time ends when something
// changes.
type None struct {
	Closed *Closed
	// Full says that no slot is free.
	Full bool
	// Busy is how far away the next turn is.
	Busy time.Duration
	// Stocked says that the stock has no room.
	Stocked bool
	// Away is how long until the first of those that were picked comes back by itself,
	// when all who wait are out.
	Away time.Duration
}

// Again is how long until asking again is worth it, also when nothing changes; 0: only
// when something does.
func (n None) Again() time.Duration {
	if n.Closed != nil {
		return n.Closed.Until
	}
	return n.Busy + n.Away
}

// maxWeight is the resolution of a pass: with more, serving one item would not count.
const maxWeight = 1_000_000

// Join says that items of a session wait for a kind of work. Joining again changes
// its weight and nothing else. Who joins late has no arrears, who joins again too
// soon pays what it had ahead. A weight is between 1 and 1,000,000.
func (g *Gate) Join(ctx context.Context, id ID, kind, session string, weight int) (Demand, error) {
	const op = "account.Join"
	if err := errors.Join(check(op, id, kind), checkEntries(op, session), checkWeight(op, weight)); err != nil {
		return Demand{}, err
	}
	a, err := g.ask(ctx, op, joinScript, id, kind, session, weight)
	if err != nil {
		return Demand{}, err
	}
	demand := demandIn(a)
	return demand, a.End()
}

// Pick takes the session that is furthest behind out of the ring, when something of
// it may be admitted; Return must follow, within a minute, or the session comes back
// as if nothing of it had been served. ok is false when nothing may be admitted or
// nobody waits. A kind's pauses, slots and turns are those of the endpoint of its
// name; the stock counts for uploads.
func (g *Gate) Pick(ctx context.Context, id ID, kind string, l Limits, p Picking) (picked Picked, ok bool, err error) {
	const op = "account.Pick"
	if err := errors.Join(check(op, id, kind), l.check(op)); err != nil {
		return Picked{}, false, err
	}
	stock, most := 0, math.MaxInt32
	if kind == KindUpload {
		stock = l.Stock
	}
	if p.Most > 0 {
		most = min(p.Most, most)
	}
	a, err := g.ask(ctx, op, pickScript, id, kind, l.Rate.N, l.Rate.window(), l.InFlight, stock,
		p.Ahead.Milliseconds(), most, flag(p.Limited), outing.Milliseconds())
	if err != nil {
		return Picked{}, false, err
	}
	return pickedIn(a)
}

func pickedIn(a *reply.List) (Picked, bool, error) {
	var p Picked
	what := a.Text()
	switch what {
	case "ok":
		p.Session, p.Allowed, p.Weight, p.Parked = a.Text(), int(a.Whole()), int(a.Whole()), a.Truth()
	case "empty":
		p.Empty = true
	case "away":
		p.None.Away = a.Span()
	case "closed":
		p.None.Closed = closedIn(a)
	case "full":
		p.None.Full = true
	case "busy":
		p.None.Busy = a.Span()
	case "stocked":
		p.None.Stocked = true
	default:
		a.Fail(fmt.Sprintf("%q is no answer", what))
	}
	return p, what == "ok", a.End()
}

// Return puts a picked session back after some items of it were served. more says
// that others still wait; without it the session leaves the ring, unless it joined
// again meanwhile. One that could use nothing lets another go first.
func (g *Gate) Return(ctx context.Context, id ID, kind, session string, weight, served int, more bool) error {
	const op = "account.Return"
	if err := errors.Join(check(op, id, kind), checkEntries(op, session), checkWeight(op, weight)); err != nil {
		return err
	}
	_, err := g.done(ctx, op, returnScript, id, kind, session, weight, max(0, served), flag(more))
	return err
}

// forgotten is how long after its time a parked session is still known to have been
// parked: long enough that whoever makes sessions join has come by.
const forgotten = time.Hour

// Park keeps a session out of all rings for a while: its items cannot pay for what they
// wait for. Whoever has picked it meanwhile returns
// it in vain. The session's places in the stock become free, and Join
// changes nothing until the time has passed; the next Pick of it says that it was
// parked, until Unpark.
func (g *Gate) Park(ctx context.Context, id ID, session string, d time.Duration) error {
	const op = "account.Park"
	if err := errors.Join(check(op, id), checkEntries(op, session)); err != nil {
		return err
	}
	_, err := g.done(ctx, op, parkScript, id, session, d.Milliseconds(), forgotten.Milliseconds())
	return err
}

// Unpark forgets that a session was parked: it can pay again.
func (g *Gate) Unpark(ctx context.Context, id ID, session string) error {
	const op = "account.Unpark"
	if err := errors.Join(check(op, id), checkEntries(op, session)); err != nil {
		return err
	}
	return reply.Down(op, g.rdb.ZRem(ctx, keyParked(id), session).Err())
}
