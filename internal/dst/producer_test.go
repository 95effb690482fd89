package dst

import (
	"fmt"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// sessionIDs are what the ids of all sessions begin with.
const sessionIDs = "ses_00000000-0000-7000-8000-00000000000"

// submit writes a session. Half of them stay open, and items are added later.
func (s *sim) submit(n int) {
	id := fmt.Sprint(sessionIDs, n+1)
	spec := session.Spec{ID: id, Provider: "vendor", Account: "main"}
	if s.p.resubmit {
		spec.OnUnknown = session.Resubmit
	}
	if s.p.budget > 0 && !s.hidesBudget {
		budget := float64(s.p.budget)
		spec.Budget = &budget
	}
	if !s.p.uploadOnly {
		spec.Params = &provider.Params{Model: "m1", ContinueAt: -5}
	}
	if _, _, err := s.store.Create(unwatched, spec, true); err != nil {
		s.fail(err.Error())
		return
	}
	s.sessions = append(s.sessions, id)
	later := 0
	if s.rng.IntN(2) == 0 {
		later = s.rng.IntN(s.p.items)
	}
	s.add(id, 0, s.p.items-later)
	s.open[id] = later
	if later == 0 {
		s.seal(id)
	}
}

// add adds items to a session and puts their tasks on the queue.
func (s *sim) add(id string, from, count int) {
	items := make([]session.New, count)
	for n := range items {
		name := fmt.Sprintf("%d-%d.mp3", slices.Index(s.sessions, id)+1, from+n)
		items[n].Item = session.NewItem(session.Source{Name: name, Path: "/in/" + name}, session.PlanFor(!s.p.uploadOnly), nil)
		items[n].Item.Session, items[n].Item.Index = id, from+n
		s.sources[name] = item{id, from + n}
	}
	if _, err := s.store.Add(unwatched, id, from, items, time.Minute); err != nil {
		if fault.CodeOf(err) != fault.Canceled && fault.CodeOf(err) != fault.Conflict {
			s.fail(err.Error())
		}
		return
	}
	demand, err := s.turns.Join(unwatched, account.ID{Provider: "vendor", Name: "main"}, account.KindUpload, id, 4)
	if err == nil {
		err = s.queue.Admission(unwatched, "vendor", "main", demand.Seq+1)
	}
	if err != nil {
		s.fail(err.Error())
	}
	s.level()
}

func (s *sim) seal(id string) {
	delete(s.open, id)
	completion, err := s.store.Seal(unwatched, id)
	if err != nil {
		s.fail(err.Error())
		return
	}
	if err := s.queue.Settle(unwatched, id, completion); err != nil {
		s.fail(err.Error())
	}
}

// produce adds what was still to come to a session, and seals it.
func (s *sim) produce() bool {
	if len(s.open) == 0 || s.down {
		return false
	}
	id := sorted(s.open)[s.rng.IntN(len(s.open))]
	s.remark("the rest of " + id + " comes")
	s.add(id, s.p.items-s.open[id], s.open[id])
	s.seal(id)
	return true
}
