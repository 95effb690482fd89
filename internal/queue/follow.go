package queue

import (
	"context"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// Follow enqueues what follows from an item's state, after a delay, and before it
// what follows the completion that the item's last write brought about (0 is
// none). Everything has a fixed id: doing it twice is harmless.
func (q *Queue) Follow(ctx context.Context, it *session.Item, completion int, delay time.Duration) error {
	if err := q.Settle(ctx, it.Session, completion); err != nil {
		return err
	}
	task, ok, err := session.Next(it)
	if err != nil {
		return fault.New(fault.Internal, "queue.Follow", err)
	}
	if !ok {
		return nil
	}
	return q.Put(ctx, task, delay)
}

// Settle enqueues what follows a completion; 0 is none. Should it not come to
// that, the workers' sweep does it.
func (q *Queue) Settle(ctx context.Context, id string, completion int) error {
	if completion == 0 {
		return nil
	}
	task, err := session.SettleTask(id, completion, 0)
	if err != nil {
		return fault.New(fault.Internal, "queue.Settle", err)
	}
	return q.Put(ctx, task, 0)
}
