package queue

import (
	"context"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// Follow enqueues what follows from an item's state, after a delay, and before it
// what follows the completion that the item's last write brought about (0 is
// none). Everything has a fixed id: doing it twice is harmless. Nothing follows what
// waits in its session: an admission does.
func (q *Queue) Follow(ctx context.Context, it *session.Item, completion int, delay time.Duration) error {
	if err := q.Settle(ctx, it.Session, completion); err != nil {
		return err
	}
	if it.State == session.Queued && it.Backlog {
		return nil
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

// Admission enqueues the admission of an account's waiting items with the given
// number; see [tasks.Admit].
func (q *Queue) Admission(ctx context.Context, provider, account string, seq int64) error {
	return q.admit(ctx, tasks.Admit{V: tasks.Version, Provider: provider, Account: account, Seq: seq}, 0)
}

// AdmissionAt enqueues the one admission of a slot, after a delay.
func (q *Queue) AdmissionAt(ctx context.Context, provider, account string, slot int64, delay time.Duration) error {
	return q.admit(ctx, tasks.Admit{V: tasks.Version, Provider: provider, Account: account, Slot: slot}, delay)
}

func (q *Queue) admit(ctx context.Context, p tasks.Admit, delay time.Duration) error {
	task, err := tasks.SessionAdmit.New(p)
	if err != nil {
		return fault.New(fault.Internal, "queue.Admission", err)
	}
	return q.Put(ctx, task, delay)
}
