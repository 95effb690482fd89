// Package queue is the narrow door to asynq: it puts Segue's tasks on their
// queues, says what became of one, and wakes one early.
//
// asynq's keys are asynq's: everything here goes through its API.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/tasks"
)

// Queue puts tasks on the queues of one Redis. It is safe for concurrent use.
type Queue struct {
	rdb       redis.UniversalClient
	client    atomic.Pointer[asynq.Client]
	inspector *asynq.Inspector

	mu    sync.Mutex
	sizes map[string]queueSize

	lead atomic.Int64
}

// SetLead says how much later than by this machine's clock a task must be due, so
// that the fastest clock of all workers does not wake it early: asynq sleeps by the
// clock of whoever enqueues and wakes by that of whoever looks.
func (q *Queue) SetLead(d time.Duration) { q.lead.Store(int64(d)) }

// Lead is what SetLead said.
func (q *Queue) Lead() time.Duration { return time.Duration(q.lead.Load()) }

// New returns a Queue over a client that it does not own.
func New(rdb redis.UniversalClient) *Queue {
	q := &Queue{rdb: rdb, inspector: asynq.NewInspectorFromRedisClient(rdb)}
	q.forget()
	return q
}

// forget makes the next Put tell Redis of its queue again. A client of asynq's
// tells it once: if asynq's keys were lost since, its inspector does not believe
// that the queue exists, whatever is on it.
func (q *Queue) forget() { q.client.Store(asynq.NewClientFromRedisClient(q.rdb)) }

// Put enqueues a task, to run after a delay. A task whose id is there already is
// there already: that is success. asynq also answers so when it did enqueue the
// task and the reply was lost.
func (q *Queue) Put(ctx context.Context, task tasks.Task, delay time.Duration) error {
	opts := []asynq.Option{
		asynq.TaskID(task.ID),
		asynq.Queue(task.Policy.Queue),
		asynq.MaxRetry(task.Policy.MaxRetry),
		asynq.Timeout(task.Policy.Timeout),
		asynq.Retention(task.Policy.Retention),
	}
	if delay > 0 {
		opts = append(opts, asynq.ProcessIn(delay+q.Lead()))
	}
	_, err := q.client.Load().EnqueueContext(ctx, asynq.NewTask(task.Type, task.Payload), opts...)
	switch {
	case err == nil, errors.Is(err, asynq.ErrTaskIDConflict):
		return nil
	case ctx.Err() != nil:
		return fault.New(fault.CodeOf(ctx.Err()), "queue.Put", err)
	}
	return fault.New(fault.Unavailable, "queue.Put", err)
}

// writers is how many goroutines PutAll enqueues with. Measured: one does 20k
// tasks/s, 32 do 75k/s, more bring nothing.
const writers = 32

// PutAll enqueues many tasks and returns one true answer for each, in order.
func (q *Queue) PutAll(ctx context.Context, all []tasks.Task) []error {
	answers := make([]error, len(all))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(writers, len(all)) {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(all)); n = next.Add(1) - 1 {
				answers[n] = q.Put(ctx, all[n], 0)
			}
		})
	}
	wg.Wait()
	return answers
}

// Place is where a task is.
type Place uint8

const (
	// Gone means that no such task is known: it was never enqueued, is forgotten,
	// or its keys were lost.
	Gone Place = iota
	// Coming means that it will be executed: pending, scheduled, or in retry.
	Coming
	// Active means that some worker took it, and may be dead.
	Active
	// Over means that it completed or was archived, and is only kept to be seen.
	Over
	// Stuck means that it says it will be executed, and is on no list that would see
	// to it: a part of the queue's keys was lost.
	Stuck
)

const (
	// lateBy is how long after its time a sleeping task counts as stuck. It allows for
	// clocks that disagree: asynq sleeps by the workers' own.
	lateBy = 15 * time.Minute
	// sizeFor is for how long a queue's size is remembered.
	sizeFor = 2 * time.Second
)

// Find says where a task is.
func (q *Queue) Find(task tasks.Task) (Place, error) {
	info, err := q.inspector.GetTaskInfo(task.Policy.Queue, task.ID)
	switch {
	case errors.Is(err, asynq.ErrQueueNotFound):
		q.forget()
		return Gone, nil
	case errors.Is(err, asynq.ErrTaskNotFound):
		return Gone, nil
	case err != nil:
		return Gone, fault.New(fault.Unavailable, "queue.Find", err)
	}
	switch info.State {
	case asynq.TaskStatePending:
		return q.pending(task.Policy.Queue), nil
	case asynq.TaskStateScheduled, asynq.TaskStateRetry:
		if !info.NextProcessAt.IsZero() && time.Since(info.NextProcessAt) > lateBy {
			return Stuck, nil
		}
		return Coming, nil
	case asynq.TaskStateAggregating:
		return Coming, nil
	case asynq.TaskStateActive:
		return Active, nil
	case asynq.TaskStateCompleted, asynq.TaskStateArchived:
		return Over, nil
	}
	return Gone, fault.New(fault.Malformed, "queue.Find", fmt.Errorf("task state %v", info.State))
}

// pending is where a task is that says it is on its queue.
func (q *Queue) pending(name string) Place {
	q.mu.Lock()
	defer q.mu.Unlock()
	size, known := q.sizes[name]
	// That it is empty is never taken from memory: a task may have come since.
	if !known || size.pending == 0 || time.Since(size.read) > sizeFor {
		info, err := q.inspector.GetQueueInfo(name)
		if err != nil {
			return Coming // not known: asynq cannot count a queue of which one task lost its key
		}
		size = queueSize{info.Pending, time.Now()}
		if q.sizes == nil {
			q.sizes = map[string]queueSize{}
		}
		q.sizes[name] = size
	}
	if size.pending == 0 {
		return Stuck
	}
	return Coming
}

// queueSize is how many tasks of a queue wait for a worker, and when that was read.
type queueSize struct {
	pending int
	read    time.Time
}

// Wake runs a task that is scheduled or in retry now. One in any other place needs
// no waking, and one that is over must not run again: that is success.
func (q *Queue) Wake(task tasks.Task) error {
	asleep, err := q.asleep(task)
	if err != nil || !asleep {
		return err
	}
	if err := q.inspector.RunTask(task.Policy.Queue, task.ID); err == nil {
		return nil
	}
	// It moved in between, or Redis is away: only one that still sleeps is a failure.
	asleep, err = q.asleep(task)
	if err == nil && asleep {
		err = fault.New(fault.Unavailable, "queue.Wake", errors.New("the task could not be woken"))
	}
	return err
}

// asleep says whether a task waits for its time.
func (q *Queue) asleep(task tasks.Task) (bool, error) {
	info, err := q.inspector.GetTaskInfo(task.Policy.Queue, task.ID)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return false, nil
	case err != nil:
		return false, fault.New(fault.Unavailable, "queue.Wake", err)
	}
	return info.State == asynq.TaskStateScheduled || info.State == asynq.TaskStateRetry, nil
}

// Served says whether a living server takes tasks from every one of the queues.
func (q *Queue) Served() (bool, error) {
	servers, err := q.inspector.Servers()
	if err != nil {
		return false, fault.New(fault.Unavailable, "queue.Served", err)
	}
	served := map[string]bool{}
	for _, server := range servers {
		if server.Status != "active" {
			continue
		}
		for name := range server.Queues {
			served[name] = true
		}
	}
	for _, name := range tasks.Queues() {
		if !served[name] {
			return false, nil
		}
	}
	return true, nil
}
