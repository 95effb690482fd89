package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/reply"
)

// RunDry records that a provider refused a request for want of credits: nothing that
// costs is reserved for as long as until says, or until Refill is told of a balance
// of at least need. What is reserved already stays so. The latest call holds.
func (b *Book) RunDry(ctx context.Context, a Account, until time.Duration, need float64) error {
	const op = "ledger.RunDry"
	if err := checkAccount(op, a); err != nil {
		return err
	}
	wanted, err := price(op, need)
	if err != nil {
		return err
	}
	if err := b.list(ctx, op, a); err != nil {
		return err
	}
	_, err = b.done(ctx, op, dryScript, keysOf(a), until.Milliseconds(), wanted)
	return err
}

// Refill is told the balance of an account. One caller is told that it ended the
// drought, also when its time had passed before. A balance of nothing ends none.
func (b *Book) Refill(ctx context.Context, a Account, balance float64) (reopened bool, err error) {
	const op = "ledger.Refill"
	if err := checkAccount(op, a); err != nil {
		return false, err
	}
	stated, err := micros(op, balance)
	if err != nil {
		return false, err
	}
	return b.done(ctx, op, refillScript, keysOf(a), stated)
}

// DryAccounts gives the accounts that ran dry and have not been refilled, by name,
// also those whose time has passed: somebody should ask for their balance.
func (b *Book) DryAccounts(ctx context.Context) ([]Account, error) {
	const op = "ledger.DryAccounts"
	accounts, err := b.Accounts(ctx)
	if err != nil || len(accounts) == 0 {
		return nil, err
	}
	needs := make([]*redis.BoolCmd, len(accounts))
	_, err = b.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, a := range accounts {
			needs[n] = p.HExists(ctx, keyBook(a), "dry_until")
		}
		return nil
	})
	if err != nil {
		return nil, reply.Down(op, err)
	}
	var dry []Account
	for n, a := range accounts {
		if needs[n].Val() {
			dry = append(dry, a)
		}
	}
	return dry, nil
}

// Turn gives one of many callers a turn at something about an account that should
// be done once in every so often: asking for its balance.
func (b *Book) Turn(ctx context.Context, a Account, name string, every time.Duration) (bool, error) {
	const op = "ledger.Turn"
	if err := checkAccount(op, a); err != nil {
		return false, err
	}
	if !nameForm.MatchString(name) || every < time.Millisecond {
		return false, fault.New(fault.Invalid, op, fmt.Errorf("%q every %v is no turn", name, every))
	}
	err := b.rdb.SetArgs(ctx, keyTurn(a, name), 1, redis.SetArgs{Mode: "NX", TTL: every}).Err()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	return err == nil, reply.Down(op, err)
}

// Cloud records that credits may come back to an account unannounced, for a while:
// something that was paid for has failed, and its provider may refund it. Until then
// a balance that did not move proves nothing.
func (b *Book) Cloud(ctx context.Context, a Account, d time.Duration) error {
	const op = "ledger.Cloud"
	if err := checkAccount(op, a); err != nil {
		return err
	}
	return reply.Down(op, b.rdb.Set(ctx, keyClouded(a), 1, d).Err())
}

// Clouded says whether credits may come back unannounced.
func (b *Book) Clouded(ctx context.Context, a Account) (bool, error) {
	const op = "ledger.Clouded"
	if err := checkAccount(op, a); err != nil {
		return false, err
	}
	n, err := b.rdb.Exists(ctx, keyClouded(a)).Result()
	return n > 0, reply.Down(op, err)
}
