package dst

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/segue-audio/segue/tasks"
)

// profile is what a seed's run is like. Most faults are off in most runs, and
// strong where they are on: runs with a little of everything are all alike.
type profile struct {
	workers, sessions, items int
	paidUpload, callbacks    bool
	balance, books           bool // what the provider's own records can tell
	budget                   int  // of each session, in credits; 0 is none
	uploadOnly, resubmit     bool
	events                   int
	credit                   int // how many gates an actor passes at once, on average
	// In ten thousand: of places, of commands, of requests, of answers.
	dies, redisFails, ackLost               int
	refuses, answerLost, opFails, pollFails int
	callbackLost, callbackTwin              int
	weights                                 []int // of the events, by number
	// limits are the provider's: operations at once, and requests within five seconds; 0
	// is any number.
	inFlight, rate int
	// clips says that one file's upload may stand in for another's, as all are alike.
	clips bool
}

// draw chooses a profile.
func draw(rng *rand.Rand) profile {
	some := func(of ...int) int { return of[rng.IntN(len(of))] }
	p := profile{
		workers: 2 + rng.IntN(2), sessions: some(1, 1, 2), items: some(1, 1, 2, 3),
		paidUpload: rng.IntN(2) == 0, callbacks: rng.IntN(2) == 0,
		balance: rng.IntN(2) == 0, books: rng.IntN(3) == 0, budget: some(0, 0, 0, 12, 25),
		uploadOnly: rng.IntN(8) == 0, resubmit: rng.IntN(5) == 0,
		events: some(40, 80, 120, 160), credit: some(1, 4, 12, 40),
		dies: some(0, 0, 20, 100), redisFails: some(0, 0, 50, 300), ackLost: some(0, 0, 500),
		refuses: some(0, 1000, 4000), answerLost: some(0, 1000, 4000), opFails: some(0, 0, 1500), pollFails: some(0, 1000, 3000),
		callbackLost: some(0, 3000, 8000), callbackTwin: some(0, 3000),
	}
	for range happenings {
		p.weights = append(p.weights, some(0, 1, 1, 3))
	}
	p.inFlight, p.rate = some(0, 0, 1, 2), some(0, 0, 1, 2)
	return p
}

// happening is something that the scheduler may let happen, when it is possible.
type happening struct {
	name string
	// weight is how likely it is beside the others; 0 means: as the seed says.
	weight int
	happen func(s *sim) bool
}

// happenings are all of them. Their order is part of what a seed means.
var happenings = []happening{
	{"go on", 30, (*sim).goOn},
	{"deliver", 12, (*sim).deliver},
	{"time", 3, (*sim).someTime},
	{"sweep", 3, (*sim).sweep},
	{"operation ends", 4, (*sim).operationEnds},
	{"die", 0, (*sim).die},
	{"freeze", 0, (*sim).freeze},
	{"wake", 0, (*sim).wake},
	{"deliver twice", 0, (*sim).deliverTwice},
	{"deliver late", 0, (*sim).deliverLate},
	{"lose a task", 0, (*sim).loseTask},
	{"housekeeping", 2, (*sim).housekeeping},
	{"lose all tasks", 0, (*sim).loseAllTasks},
	{"callback", 4, (*sim).deliverCallback},
	{"operator", 0, (*sim).operate},
	{"redis", 0, (*sim).outage},
	{"produce", 1, (*sim).produce},
}

// chaos lets things happen.
func (s *sim) chaos() {
	for n := 0; n < s.events && len(s.violations) == 0; n++ {
		s.happen()
		if n%16 == 15 {
			s.check()
		}
	}
	s.check()
}

// happen chooses one happening that is possible. Rare ones need luck twice.
func (s *sim) happen() {
	for range 20 {
		roll := s.rng.IntN(s.totalWeight())
		for n, h := range happenings {
			if roll -= s.weight(n); roll < 0 {
				if h.happen(s) {
					return
				}
				break
			}
		}
	}
}

func (s *sim) weight(n int) int {
	if w := happenings[n].weight; w > 0 {
		return w
	}
	return s.p.weights[n]
}

func (s *sim) totalWeight() int {
	total := 0
	for n := range happenings {
		total += s.weight(n)
	}
	return total
}

// goOn lets one actor go on.
func (s *sim) goOn() bool {
	able := s.able()
	if len(able) == 0 {
		return false
	}
	s.release(able[s.rng.IntN(len(able))], s.rng.IntN(2*s.p.credit))
	s.replaceDead()
	return true
}

// worker picks one that has room.
func (s *sim) worker() *proc {
	var found []*proc
	for _, p := range s.workers {
		if !p.frozen && p.busy < 3 {
			found = append(found, p)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found[s.rng.IntN(len(found))]
}

func (s *sim) deliver() bool { return s.deliverOne(false) }

func (s *sim) deliverTwice() bool { return s.deliverOne(true) }

func (s *sim) deliverOne(copied bool) bool {
	ready, p := s.broker.ready(), s.worker()
	if len(ready) == 0 || p == nil || s.down {
		return false
	}
	s.broker.deliver(ready[s.rng.IntN(len(ready))], p, copied)
	s.settleDown()
	return true
}

// deliverLate delivers any task that there ever was.
func (s *sim) deliverLate() bool {
	p := s.worker()
	if len(s.broker.seen) == 0 || p == nil || s.down {
		return false
	}
	var queue, id string
	if _, err := fmt.Sscan(s.broker.seen[s.rng.IntN(len(s.broker.seen))], &queue, &id); err != nil {
		s.fail(err.Error())
	}
	s.broker.deliver(s.broker.task(queue, id), p, true)
	s.settleDown()
	return true
}

// durations are how much time may pass at once: within a claim, past a heartbeat,
// past a request's deadline, past a claim, past a callback's horizon.
var durations = []time.Duration{
	time.Second, time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second,
	7 * time.Second, 11 * time.Second, 35 * time.Second, 70 * time.Second, 101 * time.Second, 121 * time.Second, 200 * time.Second, 23 * time.Minute,
}

func (s *sim) someTime() bool {
	s.pass(durations[s.rng.IntN(len(durations))])
	return true
}

func (s *sim) sweep() bool {
	p := s.worker()
	if p == nil {
		return false
	}
	s.startSweep(p)
	return true
}

func (s *sim) startSweep(p *proc) {
	if s.sweepless {
		return
	}
	s.spawn(p, "keeper:sweep", nil, func(ctx context.Context) error { return p.role.h.Sweep(ctx, tasks.Sweep{V: tasks.Version, Slot: 1}) }, nil)
	s.settleDown()
}

func (s *sim) operationEnds() bool {
	running := s.vendor.running()
	if len(running) == 0 {
		return false
	}
	id := running[s.rng.IntN(len(running))]
	s.remark(id + " ends")
	s.vendor.finish(id)
	return true
}

func (s *sim) die() bool {
	p := append(slices.Clone(s.workers), s.front)[s.rng.IntN(len(s.workers)+1)]
	s.remark(p.name + " dies")
	s.kill(p)
	s.settleDown()
	s.replaceDead()
	return true
}

// replaceDead hires somebody new for everybody who died.
func (s *sim) replaceDead() {
	for n, p := range s.workers {
		if p.dead {
			s.workers[n] = s.hire("worker", true)
		}
	}
	if s.front.dead {
		s.front = s.hire("front", true)
	}
	s.beat()
}

// freeze stops a worker, and most of all one that is about to send something: what
// it does when it wakes is what fences are for.
func (s *sim) freeze() bool {
	p := s.workers[s.rng.IntN(len(s.workers))]
	for _, about := range s.able() {
		if about.kind == atCall && s.rng.IntN(2) == 0 {
			p = about.actor.proc
		}
	}
	if p.frozen || p.busy == 0 || !slices.Contains(s.workers, p) {
		return false
	}
	p.frozen = true
	s.remark(p.name + " freezes")
	s.mark("a worker froze")
	return true
}

func (s *sim) wake() bool {
	for _, p := range s.workers {
		if p.frozen && s.rng.IntN(2) == 0 {
			s.thaw(p)
			return true
		}
	}
	return false
}

// thaw wakes a worker that was frozen. It beats only after what it does next.
func (s *sim) thaw(p *proc) {
	p.frozen = false
	s.remark(p.name + " wakes")
}

func (s *sim) loseTask() bool {
	ready := s.broker.ready()
	if len(ready) == 0 || s.rng.IntN(4) > 0 {
		return false
	}
	t := ready[s.rng.IntN(len(ready))]
	s.remark(t.id + " is lost")
	s.broker.lose(t)
	return true
}

func (s *sim) housekeeping() bool {
	s.broker.recover()
	return true
}

func (s *sim) loseAllTasks() bool {
	if s.rng.IntN(10) > 0 {
		return false
	}
	s.remark("all of asynq's keys are lost")
	s.broker.wipe()
	return true
}

// deliverCallback is one attempt of the provider to report something, in any
// order.
func (s *sim) deliverCallback() bool {
	if len(s.vendor.callbacks) == 0 {
		return false
	}
	n := s.rng.IntN(len(s.vendor.callbacks))
	d := s.vendor.callbacks[n]
	if d.left--; d.left == 0 || !s.chance(s.p.callbackTwin) {
		s.vendor.callbacks = slices.Delete(s.vendor.callbacks, n, n+1)
	}
	if s.chance(s.p.callbackLost) {
		s.remark("a callback is lost")
		return true
	}
	s.post(d)
	return true
}

// post delivers a callback. The provider tries again what could not be stored.
func (s *sim) post(d *delivery) {
	receiver := s.front.role.receiver
	s.spawn(s.front, "callback "+string(d.body), nil, func(ctx context.Context) error {
		status, err := d.post(ctx, receiver)
		if status == 503 && d.left > 0 {
			s.vendor.callbacks = append(s.vendor.callbacks, d)
		}
		return err
	}, nil)
	s.settleDown()
}

// outage takes Redis away, or gives it back.
func (s *sim) outage() bool {
	if !s.down && s.rng.IntN(6) > 0 {
		return false
	}
	s.down = !s.down
	s.remark(fmt.Sprint("redis away: ", s.down))
	s.beat()
	return true
}
