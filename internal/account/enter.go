package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/reply"
)

// Request asks for slots and turns.
type Request struct {
	// Entries are paid requests, each named once: "ses_x.3:extend:0".
	Entries []string
	// Ahead is how far away a turn may be.
	Ahead time.Duration
	// Polite refuses everything new while sessions wait in the endpoint's ring: they
	// are first.
	Polite bool
	// Door says that the caller is about to send: it tests a reopening in place of an
	// entry that was chosen for it and has not gone.
	Door bool
}

// Entered says who got in, and why the rest did not. At most one reason is given.
type Entered struct {
	// Turns are of the entries that got in, a prefix of those asked for: how long
	// until each should come and call Go, 0 is now. That is Lead before its turn.
	Turns []time.Duration
	// Closed says that the endpoint is.
	Closed *Closed
	// Full says that no slot is free.
	Full bool
	// Busy is how far away the next turn is, when that is further than Ahead.
	Busy time.Duration
	// Waiting says that a polite request met others who are first.
	Waiting bool
}

// Closed says that an endpoint takes nobody.
type Closed struct {
	// Until is how long it stays so. 0: its time has passed, and one entry tests it.
	Until time.Duration
	// Why is for people, Code for programs: both are those of the Pause.
	Why, Code string
	// Canary says that an entry is testing it. While Until is 0 and nobody tests it,
	// the next one to come does.
	Canary bool
}

// Gone is what Go answers.
type Gone struct {
	// Wait is how long until the entry should call again; 0 means that it may go, or
	// that one of the other answers holds.
	Wait time.Duration
	// Closed says that the endpoint has been closed: slot and turn are given up. Only an
	// entry of which a request went before keeps its slot until it leaves.
	Closed *Closed
	// Canary says that this entry tests a reopening.
	Canary bool
	// Missing says that the entry has no slot: Enter first.
	Missing bool
}

// Left is what giving something back answers.
type Left struct {
	// Held says that it was held: only the first call of several is told so.
	Held bool
	Demand
}

// Demand says whether somebody could use what became free.
type Demand struct {
	// Waiting says that some session waits in some ring.
	Waiting bool
	// Seq is the number of admissions begun, see Begin.
	Seq int64
}

// Enter asks for a slot and a turn at an endpoint, in order, for as many entries as
// there is room for and whose turn comes within ahead. An entry that has its slot
// already keeps it, and its turn, unless the endpoint is closed: that ends both, but
// not the slot of an entry of which a request went before.
func (g *Gate) Enter(ctx context.Context, id ID, endpoint string, l Limits, r Request) (Entered, error) {
	const op = "account.Enter"
	if err := errors.Join(check(op, id, endpoint), l.check(op), checkEntries(op, r.Entries...)); err != nil {
		return Entered{}, err
	}
	if len(r.Entries) == 0 {
		return Entered{}, nil
	}
	args := []any{
		endpoint, l.Rate.N, l.Rate.window(), l.InFlight, r.Ahead.Milliseconds(),
		lease.Milliseconds(), flag(r.Polite), flag(r.Door),
	}
	a, err := g.ask(ctx, op, enterScript, id, words(args, r.Entries)...)
	if err != nil {
		return Entered{}, err
	}
	return enteredIn(a)
}

func enteredIn(a *reply.List) (Entered, error) {
	var e Entered
	a.In(func(turns *reply.List) {
		for turns.Left() > 0 {
			e.Turns = append(e.Turns, max(0, turns.Span()-Lead))
		}
	})
	switch why := a.Text(); why {
	case "":
	case "closed":
		e.Closed = closedIn(a)
	case "full":
		e.Full = true
	case "busy":
		e.Busy = a.Span()
	case "waiting":
		e.Waiting = true
	default:
		a.Fail(fmt.Sprintf("%q is no reason", why))
	}
	return e, a.End()
}

// Go is called immediately before a request is sent, and stamps its true time: of the
// requests of an endpoint never more than Rate.N lie within any Rate.Per + Guard.
// An answer with a wait is to be slept through, when it is short: a queue would be
// late. Every answer that lets the entry go is one request: a call that is repeated,
// as after a lost answer, takes another stamp.
func (g *Gate) Go(ctx context.Context, id ID, endpoint string, l Limits, entry string) (Gone, error) {
	const op = "account.Go"
	if err := errors.Join(check(op, id, endpoint), l.check(op), checkEntries(op, entry)); err != nil {
		return Gone{}, err
	}
	a, err := g.ask(ctx, op, goScript, id, endpoint, l.Rate.N, l.Rate.window(), lease.Milliseconds(), entry)
	if err != nil {
		return Gone{}, err
	}
	var gone Gone
	switch what := a.Text(); what {
	case "go":
		gone.Canary = a.Truth()
	case "wait":
		gone.Canary, gone.Wait = a.Truth(), a.Span()
	case "closed":
		gone.Closed = closedIn(a)
	case "missing":
		gone.Missing = true
	default:
		a.Fail(fmt.Sprintf("%q is no answer", what))
	}
	return gone, a.End()
}

// Leave gives an entry's slot back, and its turn if it has not gone.
func (g *Gate) Leave(ctx context.Context, id ID, entry string) (Left, error) {
	return g.left(ctx, "account.Leave", leaveScript, id, entry)
}

func (g *Gate) left(ctx context.Context, op string, script *redis.Script, id ID, name string) (Left, error) {
	if err := errors.Join(check(op, id), checkEntries(op, name)); err != nil {
		return Left{}, err
	}
	a, err := g.ask(ctx, op, script, id, name)
	if err != nil {
		return Left{}, err
	}
	left := Left{Held: a.Truth(), Demand: demandIn(a)}
	return left, a.End()
}

// window is how far apart a request and the N-th after it must be, in ms; a part of
// one counts as a whole.
func (r Rate) window() int64 {
	return (r.Per + Guard + time.Millisecond - 1).Milliseconds()
}

// flag is a truth as the scripts read it.
func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

func words(args []any, list []string) []any {
	for _, word := range list {
		args = append(args, word)
	}
	return args
}
