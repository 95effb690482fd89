package session

import (
	"context"
	"errors"
	"strconv"

	"github.com/segue-audio/segue/internal/fault"
)

// The steps that an item waits for in its session's backlog. What was paid for is
// fetched without asking.
var backlogged = []StepName{StepUpload, StepExtend}

// admitLook is when the sweep looks at an item that was admitted: its task should
// have moved it by then, or told when it will.
const admitLook = 60_000 // ms

// maxAdmitted is how many items one call takes out: a script's arguments are bounded.
const maxAdmitted = 500

// Admit takes items out of a session's backlog, at most limit (and never more than 500),
// those with the lowest index first, and says how many wait on. Each of them now needs
// its task (see [Next]); should the caller not come to that, the sweep puts it on the
// queue. A session that is canceled, or not ready, gives none.
func (s *Store) Admit(ctx context.Context, id string, step StepName, limit int) (admitted []*Item, left int, err error) {
	const op = "session.Admit"
	answer, err := admitScript.Run(ctx, s.rdb, keysOf(id), string(step)+"."+string(Queued), min(limit, maxAdmitted), admitLook).Slice()
	if err != nil {
		return nil, 0, down(op, err)
	}
	if left, err = strconv.Atoi(text(answer[0])); err != nil {
		return nil, 0, fault.New(fault.Malformed, op, err)
	}
	for n := 1; n+1 < len(answer); n += 2 {
		index, err := strconv.Atoi(text(answer[n]))
		it := new(Item)
		if err := errors.Join(err, decode(it, id, index, text(answer[n+1]))); err != nil {
			return nil, 0, fault.New(fault.Malformed, op, err)
		}
		admitted = append(admitted, it)
	}
	return admitted, left, nil
}

// Readmit puts items that Admit took out back into the backlog, unless they have
// moved since.
func (s *Store) Readmit(ctx context.Context, id string, step StepName, indexes ...int) error {
	args := make([]any, 0, 1+len(indexes))
	args = append(args, string(step)+"."+string(Queued))
	for _, index := range indexes {
		args = append(args, index)
	}
	return down("session.Readmit", readmitScript.Run(ctx, s.rdb, keysOf(id), args...).Err())
}

// Waits says whether an item is in its session's backlog.
func (s *Store) Waits(ctx context.Context, it *Item) (bool, error) {
	rank, err := s.rdb.ZScore(ctx, keyBacklog(it.Session, it.Step), strconv.Itoa(it.Index)).Result()
	if err = down("session.Waits", err); fault.CodeOf(err) == fault.NotFound {
		return false, nil
	}
	return err == nil && rank >= 0, err
}

// Backlogged lists the steps that items wait for in a session's backlog.
func Backlogged() []StepName { return backlogged }
