package account

import (
	"context"
	"time"
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
	// Closed says that the endpoint has been closed: slot and turn are given up.
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

// Lease is a slot, or a place in the stock, whose holder has not been heard of.
type Lease struct {
	// Entry is the entry, or the item of the stock.
	Entry string
	// Stock says that it is a place in the stock.
	Stock bool
}

// Enter asks for a slot and a turn at an endpoint, in order, for as many entries as
// there is room for and whose turn comes within ahead. An entry that has its slot
// already keeps it, and its turn; unless the endpoint is closed, which ends both.
func (g *Gate) Enter(ctx context.Context, id ID, endpoint string, l Limits, r Request) (Entered, error) {
	return Entered{}, errMissing
}

// Go is called immediately before a request is sent, and stamps its true time: of the
// requests of an endpoint never more than Rate.N lie within any Rate.Per + Guard.
// Every answer without wait is one request: a call that is repeated, as after a lost
// answer, takes another stamp.
func (g *Gate) Go(ctx context.Context, id ID, endpoint string, l Limits, entry string) (Gone, error) {
	return Gone{}, errMissing
}

// Leave gives an entry's slot back, and its turn if it has not gone.
func (g *Gate) Leave(ctx context.Context, id ID, entry string) (Left, error) {
	return Left{}, errMissing
}

// Stocked takes places in the stock for a prefix of the items and says how many have
// one now; one that had its place before keeps it.
func (g *Gate) Stocked(ctx context.Context, id ID, items []string, l Limits) (int, error) {
	return 0, errMissing
}

// Unstock gives an item's place in the stock back.
func (g *Gate) Unstock(ctx context.Context, id ID, item string) (Left, error) {
	return Left{}, errMissing
}

// Begin counts an admission that starts, so that later events ask for the next one.
// It gives the new number.
func (g *Gate) Begin(ctx context.Context, id ID) (int64, error) { return 0, errMissing }

// Stale gives slots and places whose lease of 60 s has run out, the oldest first, and
// each once in 30 s: somebody should Renew what is still needed and give back the rest.
func (g *Gate) Stale(ctx context.Context, id ID, limit int) ([]Lease, error) {
	return nil, errMissing
}

// Renew keeps leases for another 60 s; those that are held no more stay gone.
func (g *Gate) Renew(ctx context.Context, id ID, leases ...Lease) error { return errMissing }
