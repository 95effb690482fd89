package account

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/reply"
)

// ask runs a script of one account.
func (g *Gate) ask(ctx context.Context, op string, script *redis.Script, id ID, args ...any) (*reply.List, error) {
	return reply.Run(ctx, g.rdb, op, script, keysOf(id), args...)
}

// done is ask for a script that answers whether it did something.
func (g *Gate) done(ctx context.Context, op string, script *redis.Script, id ID, args ...any) (bool, error) {
	return reply.Done(ctx, g.rdb, op, script, keysOf(id), args...)
}

// closedIn reads why an endpoint takes nobody, from a list within the list.
func closedIn(l *reply.List) *Closed {
	closed := new(Closed)
	l.In(func(l *reply.List) {
		*closed = Closed{Until: l.Span(), Canary: l.Truth(), Code: l.Text(), Why: l.Text()}
	})
	return closed
}

func demandIn(l *reply.List) Demand { return Demand{Waiting: l.Truth(), Seq: l.Whole()} }
