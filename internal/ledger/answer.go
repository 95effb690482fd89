package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// down classifies what Redis, or the way to it, said.
func down(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Canceled, op, err)
	}
	return fault.New(fault.Unavailable, op, err)
}

// run gives a script's answer as numbers. A script that answers one number, and
// not a list, gives a list of one.
func run(ctx context.Context, rdb redis.UniversalClient, op string, script *redis.Script, keys []string, args ...any) ([]int64, error) {
	answer, err := script.Run(ctx, rdb, keys, args...).Result()
	if err != nil {
		return nil, down(op, err)
	}
	list, many := answer.([]any)
	if !many {
		list = []any{answer}
	}
	numbers, err := whole(list)
	if err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	return numbers, nil
}

// done is run for a script that answers whether it did something.
func (b *Book) done(ctx context.Context, op string, script *redis.Script, keys []string, args ...any) (bool, error) {
	numbers, err := run(ctx, b.rdb, op, script, keys, args...)
	return err == nil && numbers[0] == 1, err
}

func whole(list []any) ([]int64, error) {
	numbers := make([]int64, len(list))
	for n, value := range list {
		var err error
		if numbers[n], err = strconv.ParseInt(text(value), 10, 64); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

// text reads one value of an answer, which is a string, an integer, or, where there
// is nothing, zero.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "0"
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
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
