package main

import (
	"context"

	"github.com/segue-audio/segue/internal/fault"
)

// mostSpares is how many files that were left out the reports of a firing's session show
// one by one. Of more, its history has the number.
const mostSpares = 10_000

// spares are the files that a firing leaves out since they were paid for before. They are
// kept from part to part, so that a worker that goes on where another was killed knows
// those that it need not look at again.
type spares struct {
	key   string
	count int
	list  []reused
	known map[string]bool
	// unsaved says that the list has grown since it was kept.
	unsaved bool
}

// sparesOf is what a firing has left out until now.
func (s *system) sparesOf(ctx context.Context, firing string) (*spares, error) {
	list, _, err := s.kept(ctx, leftKey(firing))
	if err != nil {
		return nil, err
	}
	sp := &spares{key: firing, count: len(list), list: list, known: make(map[string]bool, len(list))}
	for _, r := range list {
		sp.known[r.Source+"\n"+r.SHA256] = true
	}
	return sp, nil
}

// number is how many there are; none of a firing that was not looked into.
func (sp *spares) number() int {
	if sp == nil {
		return 0
	}
	return sp.count
}

// add notes a file, and says whether it was not known yet.
func (sp *spares) add(r reused) bool {
	name := r.Source + "\n" + r.SHA256
	if sp.known[name] {
		return false
	}
	if sp.count++; sp.count > mostSpares {
		sp.list = nil
		return true
	}
	sp.known[name], sp.unsaved = true, true
	sp.list = append(sp.list, r)
	return true
}

// keep writes the list where what sessions were submitted without is kept.
func (sp *spares) keep(ctx context.Context, s *system) error {
	if !sp.unsaved || len(sp.list) == 0 {
		return nil
	}
	text, err := packed(sp.list)
	if err != nil {
		return err
	}
	if err := s.rdb.Set(ctx, leftKey(sp.key), text, 0).Err(); err != nil {
		return fault.Uncharged(fault.Unavailable, "segue.spares", err)
	}
	sp.unsaved = false
	return nil
}

// settle puts on record what a session was begun without. Of a firing without one, and of
// more than is shown, nothing stays but the number.
func (sp *spares) settle(ctx context.Context, s *system, sessionID string) error {
	if sp.number() == 0 {
		return nil
	}
	if sessionID != "" && sp.count <= mostSpares {
		return s.spared(ctx, sessionID, sp.key, sp.list)
	}
	if err := s.rdb.Del(ctx, leftKey(sp.key)).Err(); err != nil {
		return fault.Uncharged(fault.Unavailable, "segue.spares", err)
	}
	return nil
}
