package ledger

import (
	"context"
	"math"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// Reading is a provider's balance beside what the books said of the account.
type Reading struct {
	// At is when it was recorded, by Redis's clock.
	At      time.Time
	Balance float64
	// Spent and Reserved are the books' at that time.
	Spent, Reserved float64
	// Floor is what had surely been spent when the balance was asked for. What the
	// provider had charged by then lies between Floor and Spent+Reserved.
	Floor float64
}

// Reading records a balance that a provider stated. before is the account's state
// from before it was asked; nil says that nothing can have changed since. Recording
// one twice adds a reading and changes no account.
func (b *Book) Reading(ctx context.Context, a Account, balance float64, before *State) (*Reading, error) {
	const op = "ledger.Reading"
	if err := checkAccount(op, a); err != nil {
		return nil, err
	}
	stated, err := micros(op, balance)
	if err != nil {
		return nil, err
	}
	floor := any("")
	if before != nil {
		floor = int64(math.Round(before.Spent * 1e6))
	}
	if err := b.list(ctx, op, a); err != nil {
		return nil, err
	}
	answer, err := reply.Run(ctx, b.rdb, op, readingScript, keysOf(a), stated, floor, keptReadings)
	if err != nil {
		return nil, err
	}
	taken, err := ofID(answer.Text())
	if err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	reading := &Reading{
		At: taken, Balance: credits(stated),
		Spent: credits(answer.Whole()), Reserved: credits(answer.Whole()), Floor: credits(answer.Whole()),
	}
	return reading, answer.End()
}

// Readings gives the latest n readings, oldest first. About 1,000 are kept.
func (b *Book) Readings(ctx context.Context, a Account, n int) ([]Reading, error) {
	const op = "ledger.Readings"
	if err := checkAccount(op, a); err != nil {
		return nil, err
	}
	stored, err := b.rdb.XRevRangeN(ctx, keysOf(a)[3], "+", "-", int64(n)).Result()
	if err != nil {
		return nil, reply.Down(op, err)
	}
	readings := make([]Reading, len(stored))
	for n, message := range stored {
		if err := readings[len(stored)-1-n].decode(message); err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
	}
	return readings, nil
}

func (r *Reading) decode(message redis.XMessage) (err error) {
	if r.At, err = ofID(message.ID); err != nil {
		return err
	}
	for field, into := range map[string]*float64{"balance": &r.Balance, "spent": &r.Spent, "reserved": &r.Reserved, "floor": &r.Floor} {
		amount := reply.Of("ledger.Readings", message.Values[field])
		if *into = credits(amount.Whole()); amount.End() != nil {
			return amount.End()
		}
	}
	return nil
}

// Drift is what a provider took between two readings and the books do not know of,
// in credits.
type Drift struct {
	// Credits is by how much the balance fell beyond what the books say was spent:
	// negative when it fell by less, or rose.
	Credits float64
	// Uncertain is how much of it may only be timing: requests that were open, or
	// settled, while a balance was read.
	Uncertain float64
	// Unexplained is the part of Credits that timing cannot explain: positive for
	// charges that the books do not have, negative for credits that came from
	// elsewhere: bought, or refunded without our knowing.
	Unexplained float64
	// Span is the time between the two.
	Span time.Duration
}

// DriftOf compares two readings of one account, the earlier one first.
func DriftOf(before, after Reading) Drift {
	fell := before.Balance - after.Balance
	least := after.Floor - before.Spent - before.Reserved
	most := after.Spent + after.Reserved - before.Floor
	drift := Drift{
		Credits:   round(fell - (after.Spent - before.Spent)),
		Uncertain: round(most - least),
		Span:      after.At.Sub(before.At),
	}
	switch {
	case fell > most:
		drift.Unexplained = round(fell - most)
	case fell < least:
		drift.Unexplained = round(fell - least)
	}
	return drift
}

// round removes what binary fractions add below a millionth.
func round(credits float64) float64 { return math.Round(credits*1e6) / 1e6 }
