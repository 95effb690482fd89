package dst

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// soon is when the sweep looks at what an operator decided.
const soon = 5 * time.Second

// operate lets the operator do one thing. What the command line does is done here
// in its order, so that it may be cut off between any two commands.
func (s *sim) operate() bool {
	if s.operator.busy > 0 {
		return false
	}
	id := s.sessions[s.rng.IntN(len(s.sessions))]
	switch s.rng.IntN(8) {
	case 0:
		if s.rng.IntN(3) > 0 {
			return false
		}
		s.act("cancel", func(ctx context.Context) error { return s.cancel(ctx, id) })
	case 1, 2:
		s.act("retry", func(ctx context.Context) error { return s.retry(ctx, id) })
	default:
		return s.resolveOne(id)
	}
	return true
}

func (s *sim) act(name string, do func(ctx context.Context) error) {
	s.spawn(s.operator, name, nil, do, nil)
	s.settleDown()
}

// items reads a session's items as they are.
func (s *sim) items(id string) []session.Item {
	var all []session.Item
	err := s.store.Each(unwatched, id, 0, 0, func(it *session.Item) error {
		all = append(all, *it)
		return nil
	})
	if err != nil {
		s.fail(err.Error())
	}
	return all
}

// cancel is enqueue's Cancel.
func (s *sim) cancel(ctx context.Context, id string) error {
	completion, err := s.store.Cancel(ctx, id)
	if err != nil {
		return err
	}
	delete(s.open, id) // a canceled session is sealed
	s.mark("a session was canceled")
	if err := s.queue.Settle(ctx, id, completion); err != nil {
		return err
	}
	for _, it := range s.items(id) {
		if it.State != session.Queued {
			continue
		}
		_, written, err := s.store.Update(ctx, id, it.Index, 0, func(w *session.Work) error { return w.Item.Cancel() })
		if fault.CodeOf(err) == fault.Conflict {
			continue
		}
		if err != nil {
			return err
		}
		if err := s.queue.Settle(ctx, id, written.Completion); err != nil {
			return err
		}
	}
	return nil
}

// retry is the command of that name: it runs what failed or was canceled again.
func (s *sim) retry(ctx context.Context, id string) error {
	current, err := s.store.Session(ctx, id)
	if err != nil {
		return err
	}
	if err := s.store.Reopen(ctx, &current.Spec); err != nil {
		return err
	}
	for index := range current.Total {
		err := s.decide(ctx, id, index, func(it *session.Item, now time.Time) error {
			was := *it
			if err := it.Retry("", now); err != nil {
				return err
			}
			s.mark("an item was retried")
			s.decided(&was, true)
			return nil
		})
		if err != nil && fault.CodeOf(err) != fault.Conflict && fault.CodeOf(err) != fault.Invalid {
			return err
		}
	}
	return nil
}

// decide applies a decision to an item and puts on the queue what follows.
func (s *sim) decide(ctx context.Context, id string, index int, change func(*session.Item, time.Time) error) error {
	if err := s.store.Owe(ctx, id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, session.OwedFor/2)
	defer cancel()
	work, written, err := s.store.Update(ctx, id, index, soon, func(w *session.Work) error { return change(&w.Item, w.Now) })
	// Also when it was decided before: whoever did so may not have come to this.
	err = errors.Join(err, s.store.Owe(ctx, id))
	if err != nil {
		return err
	}
	return s.queue.Follow(ctx, &work.Item, written.Completion, 0)
}

// decided writes down that somebody decided about an item's step as it was. One
// who runs a step again pays for it, and for what comes after it.
func (s *sim) decided(was *session.Item, pays bool) {
	from := slices.Index(was.Plan, was.Step)
	for _, step := range was.Plan[from:] {
		s.decisions = append(s.decisions, decision{
			item: item{was.Session, was.Index}, step: step, generation: was.Generation, at: len(s.trace), pays: pays,
		})
	}
}

// resolveOne decides about one item in doubt. The operator has looked at the provider's
// list, and may all the same decide badly: that is a person's right, and on record.
func (s *sim) resolveOne(id string) bool {
	held := slices.DeleteFunc(s.items(id), func(it session.Item) bool {
		// In quiet nobody decides before the search for evidence is over.
		return it.State != session.Held && (s.quiet || !it.State.InDoubt())
	})
	if len(held) == 0 {
		return false
	}
	it := held[s.rng.IntN(len(held))]
	operation := s.unrecorded(&it)
	resubmit := s.rng.IntN(2) == 0
	s.act("resolve", func(ctx context.Context) error {
		return s.decide(ctx, id, it.Index, func(it *session.Item, now time.Time) error {
			if !it.State.InDoubt() {
				return fault.New(fault.Conflict, "dst.resolve", nil)
			}
			was := *it
			switch {
			case operation != "":
				s.mark("an operator adopted")
				return it.Adopt(operation, now)
			case resubmit:
				s.mark("an operator resubmitted")
				s.decided(&was, true)
				return it.Resubmit(now)
			}
			s.mark("an operator abandoned")
			s.decided(&was, false)
			return it.Abandon(now)
		})
	})
	return true
}

// unrecorded is the operation that a held item's request was billed as, if any, as
// the provider's list says.
func (s *sim) unrecorded(it *session.Item) string {
	for _, r := range s.vendor.requests {
		if r.operation != "" && r.place == (place{it.Session, it.Index, it.Step}) && r.generation == it.Generation {
			return r.operation
		}
	}
	return ""
}
