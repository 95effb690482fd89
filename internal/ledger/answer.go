package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/reply"
)

// done runs a script that answers whether it did something.
func (b *Book) done(ctx context.Context, op string, script *redis.Script, keys []string, args ...any) (bool, error) {
	return reply.Done(ctx, b.rdb, op, script, keys, args...)
}

// at is a time of Redis's clock; 0 is no time.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// ofID is when an entry of a stream was added: its id begins with it.
func ofID(id string) (time.Time, error) {
	ms, _, _ := strings.Cut(id, "-")
	n, err := strconv.ParseInt(ms, 10, 64)
	return time.UnixMilli(n), err
}

const day = 24 * time.Hour

// dateOf is the UTC date of a moment, midnight when the next one begins.
func dateOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func midnight(t time.Time) time.Time { return t.UTC().Truncate(day).Add(day) }

// dayField is the scope of a UTC date as the scripts name it: "day" for today.
func dayField(date string) (string, error) {
	if date == "" {
		return ScopeDay, nil
	}
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", fmt.Errorf("%q is no date", date)
	}
	return ScopeDay + "/" + strconv.FormatInt(t.Unix()/int64(day/time.Second), 10), nil
}

func sortAccounts(accounts []Account) {
	slices.SortFunc(accounts, func(a, b Account) int { return strings.Compare(a.String(), b.String()) })
}
