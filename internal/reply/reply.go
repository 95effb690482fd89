// Package reply runs Lua scripts in Redis and reads what they answer. A script
// answers a list of texts, numbers and lists; it is read from the front, in the order
// in which the script wrote it, and what was wrong with it is told once, at the end.
package reply

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Down classifies what Redis, or the way to it, said: canceled when the caller's
// context was, and unavailable otherwise. It is nil for nil.
func Down(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Canceled, op, err)
	}
	return fault.New(fault.Unavailable, op, err)
}

// List is a list that a script gave. It is read from the front; what is not what was
// expected is remembered and told by End, and reads as the zero value. It is not safe
// for concurrent use.
type List struct {
	op   string
	rest []any
	err  error
}

// Of is a list of values that Redis gave in another way, for the caller op.
func Of(op string, values ...any) *List { return &List{op: op, rest: values} }

// Run runs a script for the caller op. One that answers a single value gives a list of
// one. Its errors are those of Down.
func Run(ctx context.Context, rdb redis.Scripter, op string, script *redis.Script, keys []string, args ...any) (*List, error) {
	value, err := script.Run(ctx, rdb, keys, args...).Result()
	if err != nil {
		return nil, Down(op, err)
	}
	list, many := value.([]any)
	if !many {
		list = []any{value}
	}
	return &List{op: op, rest: list}, nil
}

// Done is Run for a script that answers whether it did something, with 1 or 0.
func Done(ctx context.Context, rdb redis.Scripter, op string, script *redis.Script, keys []string, args ...any) (bool, error) {
	l, err := Run(ctx, rdb, op, script, keys, args...)
	if err != nil {
		return false, err
	}
	done := l.Truth()
	return done, l.End()
}

// Left is how many values have not been read.
func (l *List) Left() int { return len(l.rest) }

// Fail remembers that the answer is not what was expected, unless something was wrong
// with it before.
func (l *List) Fail(why string) {
	if l.err == nil {
		l.err = fault.New(fault.Malformed, l.op, errors.New(why))
	}
}

// End tells what was wrong with the answer: it is malformed, or nil.
func (l *List) End() error { return l.err }

func (l *List) next() any {
	if len(l.rest) == 0 {
		l.Fail("the answer is too short")
		return nil
	}
	value := l.rest[0]
	l.rest = l.rest[1:]
	return value
}

// Text reads a text.
func (l *List) Text() string {
	value := l.next()
	text, ok := value.(string)
	if !ok {
		l.Fail(fmt.Sprintf("%v is no text", value))
	}
	return text
}

// Whole reads a number, in whichever form Redis gave it.
func (l *List) Whole() int64 {
	value := l.next()
	switch value := value.(type) {
	case int64:
		return value
	case string:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n
		}
	}
	l.Fail(fmt.Sprintf("%v is no number", value))
	return 0
}

// Wholes reads all numbers that are left.
func (l *List) Wholes() []int64 {
	numbers := make([]int64, len(l.rest))
	for n := range numbers {
		numbers[n] = l.Whole()
	}
	return numbers
}

// Truth reads 1 or 0.
func (l *List) Truth() bool { return l.Whole() == 1 }

// Span reads a number of milliseconds.
func (l *List) Span() time.Duration { return time.Duration(l.Whole()) * time.Millisecond }

// Moment reads a time of Redis's clock, in milliseconds since 1970.
func (l *List) Moment() time.Time { return time.UnixMilli(l.Whole()) }

// List reads a list within the list; what is wrong with it is told by its own End.
func (l *List) List() *List {
	value := l.next()
	list, ok := value.([]any)
	if !ok {
		l.Fail(fmt.Sprintf("%v is no list", value))
	}
	return &List{op: l.op, rest: list}
}

// In reads a list within the list with read; what is wrong with it is wrong with l.
func (l *List) In(read func(*List)) {
	list := l.List()
	read(list)
	l.adopt(list)
}

// Each reads a list of lists within the list, each with read; what is wrong with one
// is wrong with l.
func (l *List) Each(read func(*List)) {
	l.In(func(all *List) { all.All(read) })
}

// All reads all lists that are left, each with read.
func (l *List) All(read func(*List)) {
	for l.Left() > 0 && l.err == nil {
		l.In(read)
	}
}

// adopt remembers what was wrong with a list within the list.
func (l *List) adopt(list *List) {
	if l.err == nil {
		l.err = list.err
	}
}
