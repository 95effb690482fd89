package account

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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

// answer is a list that a script gave. It is read from the front; what is not what
// was expected is remembered, and told by end.
type answer struct {
	op   string
	rest []any
	err  error
}

// ask runs a script. One that answers a single value gives a list of one.
func ask(ctx context.Context, rdb redis.Scripter, op string, script *redis.Script, keys []string, args ...any) (*answer, error) {
	value, err := script.Run(ctx, rdb, keys, args...).Result()
	if err != nil {
		return nil, down(op, err)
	}
	list, many := value.([]any)
	if !many {
		list = []any{value}
	}
	return &answer{op: op, rest: list}, nil
}

// ask runs a script of one account.
func (g *Gate) ask(ctx context.Context, op string, script *redis.Script, id ID, args ...any) (*answer, error) {
	return ask(ctx, g.rdb, op, script, keysOf(id), args...)
}

// done is ask for a script that answers whether it did something.
func (g *Gate) done(ctx context.Context, op string, script *redis.Script, id ID, args ...any) (bool, error) {
	a, err := g.ask(ctx, op, script, id, args...)
	if err != nil {
		return false, err
	}
	return a.truth(), a.end()
}

func (a *answer) next() any {
	if len(a.rest) == 0 {
		a.fail("the answer is too short")
		return nil
	}
	value := a.rest[0]
	a.rest = a.rest[1:]
	return value
}

func (a *answer) fail(why string) {
	if a.err == nil {
		a.err = fault.New(fault.Malformed, a.op, errors.New(why))
	}
}

// end tells what was wrong with the answer.
func (a *answer) end() error { return a.err }

func (a *answer) text() string {
	value := a.next()
	text, ok := value.(string)
	if !ok {
		a.fail(fmt.Sprintf("%v is no text", value))
	}
	return text
}

// whole reads a number, in whichever form Redis gave it.
func (a *answer) whole() int64 {
	value := a.next()
	switch value := value.(type) {
	case int64:
		return value
	case string:
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n
		}
	}
	a.fail(fmt.Sprintf("%v is no number", value))
	return 0
}

func (a *answer) truth() bool { return a.whole() == 1 }

func (a *answer) span() time.Duration { return time.Duration(a.whole()) * time.Millisecond }

// moment reads a time of Redis's clock.
func (a *answer) moment() time.Time { return time.UnixMilli(a.whole()) }

// list reads a list within the list; what is wrong with it is found by its own end.
func (a *answer) list() *answer {
	value := a.next()
	list, ok := value.([]any)
	if !ok {
		a.fail(fmt.Sprintf("%v is no list", value))
	}
	return &answer{op: a.op, rest: list}
}

// each calls read with every list of a list within the list.
func (a *answer) each(read func(*answer)) {
	list := a.list()
	for len(list.rest) > 0 {
		one := list.list()
		read(one)
		if one.err != nil {
			list.fail(one.err.Error())
		}
	}
	if list.err != nil && a.err == nil {
		a.err = list.err
	}
}

func (a *answer) closed() *Closed {
	list := a.list()
	closed := &Closed{Until: list.span(), Canary: list.truth(), Code: list.text(), Why: list.text()}
	if list.err != nil && a.err == nil {
		a.err = list.err
	}
	return closed
}

func (a *answer) demand() Demand { return Demand{Waiting: a.truth(), Seq: a.whole()} }
