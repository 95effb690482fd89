package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

func (a *app) rebuildCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rebuild",
		Short: "Make lost tasks and indexes again from the sessions themselves",
		Long: `Goes through every session that is in Redis, also those that no list knows any
more. What is owed work is listed again, what has no task on the queue gets one, and
what follows the end of a session is done if it was not. It sends nothing, repeats
nothing, and may run beside workers; running it twice changes nothing.

It is for when asynq's keys were lost, or everything but the keys that begin with
segue:{ses_. The workers' sweep does the same within minutes for sessions that are
still listed.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, args []string) error { return a.with(cmd, args, a.rebuild) },
	}
}

// rebuilt is what a rebuild found, and what it did about it.
type rebuilt struct {
	Sessions int `json:"sessions"`
	// Listed and Opened are sessions that were missing on the list of all, and on that
	// of those that are owed work.
	Listed int `json:"listed"`
	Opened int `json:"opened"`
	// Unready are sessions whose submission was cut off: nothing of them may be sent.
	Unready []string `json:"unready"`
	Items   int      `json:"items"`
	// Due are items that the sweep would never have looked at.
	Due int `json:"due"`
	// Put are tasks that were gone, Found those that were there, Replaced those that were
	// there and would never have run.
	Put      int `json:"put"`
	Found    int `json:"found"`
	Replaced int `json:"replaced"`
	// Settled are sessions whose end is settled now.
	Settled int `json:"settled"`
}

func (a *app) rebuild(ctx context.Context, sys *system) error {
	r := rebuilt{Unready: []string{}}
	if err := sys.store.Stored(ctx, func(id string) error { return r.session(ctx, sys, id) }); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r)
	}
	fmt.Fprintf(a.stdout, "%s found: %d of them put back on the list, %d taken up again\n", plural(r.Sessions, "session"), r.Listed, r.Opened)
	fmt.Fprintf(a.stdout, "%s looked at: %s put on the queue, %d were there; %d would never have been looked at again\n",
		plural(r.Items, "item"), plural(r.Put, "task"), r.Found, r.Due)
	if r.Settled > 0 {
		fmt.Fprintf(a.stdout, "%s settled whose end nobody had dealt with\n", plural(r.Settled, "session"))
	}
	if r.Replaced > 0 {
		fmt.Fprintf(a.stdout, "%s replaced that would never have run\n", plural(r.Replaced, "task"))
	}
	for _, id := range r.Unready {
		fmt.Fprintf(a.stderr, "note: the submission of %s was cut off: nothing of it was sent, and nothing is now (submit it again, or segue cancel %s)\n", id, id)
	}
	if r.Put+r.Replaced+r.Settled > 0 {
		fmt.Fprintln(a.stderr, "next:  a worker does the rest (segue worker, or the command that submitted it)")
	}
	return nil
}

// sweepSoon is when the sweep looks at an item that it would not have looked at: its
// task should have moved it by then.
const sweepSoon = time.Minute

// session rebuilds what belongs to one session.
func (r *rebuilt) session(ctx context.Context, sys *system, id string) error {
	current, err := sys.store.Session(ctx, id)
	if fault.CodeOf(err) == fault.NotFound {
		return nil // a key that only looks like one, or that is being made
	}
	if err != nil {
		return err
	}
	r.Sessions++
	listed, opened, err := sys.store.Relist(ctx, &current.Spec)
	if err != nil {
		return err
	}
	r.Listed += count(listed)
	r.Opened += count(opened)
	if !current.Ready {
		r.Unready = append(r.Unready, id)
		return nil
	}
	if err := r.settlings(ctx, sys, id); err != nil || ended(current) {
		return err
	}
	canceled := !current.Canceled.IsZero()
	return sys.store.Redue(ctx, id, sweepSoon, func(items []*session.Item, missing int) error {
		r.Items += len(items)
		r.Due += missing
		return r.items(ctx, sys, items, canceled)
	})
}

// ended says that every item has ended, and that this is written down: what is queued
// in a canceled session counts as canceled, and the sweep has yet to write it.
func ended(current *session.Session) bool {
	over := 0
	for label, n := range current.Counts {
		if session.State(label).Ended() {
			over += n
		}
	}
	return over == current.Total
}

// settlings puts what follows a session's completions on the queue, if it is owed.
func (r *rebuilt) settlings(ctx context.Context, sys *system, id string) error {
	owed, err := sys.store.Owed(ctx, id)
	if err != nil {
		return err
	}
	for _, completion := range owed {
		task, err := session.SettleTask(id, completion, 0)
		if err != nil {
			return err
		}
		place, err := sys.queue.Find(task)
		if err != nil {
			return err
		}
		if place != queue.Gone {
			continue // it runs, or the sweep replaces it
		}
		if err := sys.queue.Put(ctx, task, 0); err != nil {
			return err
		}
		r.Settled++
	}
	return nil
}

// items puts what follows from the state of a batch of items on the queue, where it
// is gone, and replaces what is there and will never run.
func (r *rebuilt) items(ctx context.Context, sys *system, items []*session.Item, canceled bool) error {
	waiting := make([]*session.Item, 0, len(items))
	follow := make([]tasks.Task, 0, len(items))
	for _, it := range items {
		if canceled && it.State == session.Queued && it.Step != session.StepFetch {
			continue // it is canceled already, and the sweep writes it down
		}
		if it.Backlog {
			continue // it waits in its session
		}
		task, ok, err := session.Next(it)
		if err != nil {
			return err
		}
		if ok {
			waiting, follow = append(waiting, it), append(follow, task)
		}
	}
	places, err := places(sys.queue, follow)
	if err != nil {
		return err
	}
	gone := make([]tasks.Task, 0, len(follow))
	for n, place := range places {
		switch place {
		case queue.Gone:
			gone = append(gone, follow[n])
		case queue.Coming, queue.Active:
			r.Found++
		case queue.Over, queue.Stuck:
			if err := r.replace(ctx, sys, waiting[n]); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(sys.queue.PutAll(ctx, gone)...); err != nil {
		return err
	}
	r.Put += len(gone)
	return ctx.Err()
}

// replace gives an item a task with a new id, since the old one's is taken.
func (r *rebuilt) replace(ctx context.Context, sys *system, it *session.Item) error {
	if err := it.Renew(); err != nil {
		return err
	}
	written, err := sys.store.Write(ctx, it, sweepSoon)
	if fault.CodeOf(err) == fault.Conflict {
		return nil // it moved meanwhile
	}
	if err != nil {
		return err
	}
	r.Replaced++
	return sys.queue.Follow(ctx, it, written.Completion, 0)
}

// askers is how many goroutines ask asynq about tasks.
const askers = 32

// places says where each of many tasks is.
func places(q *queue.Queue, all []tasks.Task) ([]queue.Place, error) {
	found := make([]queue.Place, len(all))
	failed := make([]error, len(all))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(askers, len(all)) {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(all)); n = next.Add(1) - 1 {
				if found[n], failed[n] = q.Find(all[n]); failed[n] != nil {
					next.Store(int64(len(all)))
				}
			}
		})
	}
	wg.Wait()
	return found, errors.Join(failed...)
}
