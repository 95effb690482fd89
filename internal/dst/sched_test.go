package dst

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// kind is what an actor stands before.
type kind uint8

const (
	atRedis kind = iota // a command to Redis
	atHook              // a named place of a handler
	atCall              // a request to the provider, or its answer on the way back
)

// fate is what befalls an actor where it stands.
type fate uint8

const (
	goesOn    fate = iota
	dies           // its process ends here
	cutBefore      // Redis: the command never arrives
	cutAfter       // Redis: the command takes effect, its reply is lost
	twice          // Redis: the reply is lost, and the client sends the command again
)

func (f fate) String() string {
	return [...]string{"", " DIES", " CUT BEFORE", " CUT AFTER", " TWICE"}[f]
}

// verdict is what the scheduler says to an actor; roll is for whom it calls.
type verdict struct {
	fate fate
	roll uint32
}

// proc is a process: a worker, the receiver of callbacks, the operator's command
// line. What it holds in memory ends with it.
type proc struct {
	name   string
	mortal bool
	dead   bool
	frozen bool
	ctx    context.Context
	end    context.CancelFunc
	role   *role
	busy   int // actors at work
}

// actor is one thing that a process does: a delivery of a task, a sweep, an
// operator's decision.
type actor struct {
	// carried is what is to befall its next command: see watch.
	carried *verdict
	id      int
	proc    *proc
	name    string
	task    *task // what was delivered, if it was a task
	over    bool
	err     error
	ack     func(error) // tells the queue, if the process lives to do so

	faulted bool // Redis failed it
	waited  bool // it asked the provider, and was told to wait
}

// parked is an actor that waits for the scheduler's word.
type parked struct {
	actor *actor
	kind  kind
	place string
	wake  chan verdict
}

type actorKey struct{}

// actorOf says who is acting. asynq's inspector passes no context on; then it is
// the one that runs.
func (s *sim) actorOf(ctx context.Context) *actor {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		return a
	}
	return s.current
}

// unwatched is the context of what the simulation itself looks at.
var unwatched = context.WithValue(context.Background(), actorKey{}, (*actor)(nil))

// spawn starts an actor, which waits for its turn.
func (s *sim) spawn(p *proc, name string, of *task, act func(ctx context.Context) error, ack func(error)) *actor {
	s.born++
	a := &actor{id: s.born, proc: p, name: name, task: of, ack: ack}
	p.busy++
	s.actors = append(s.actors, a)
	ctx := context.WithValue(p.ctx, actorKey{}, a)
	go func() {
		defer s.left(a)
		s.gate(a, atHook, "start")
		err := act(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		a.over, a.err = true, err
	}()
	return a
}

// left is an actor's last word. A process that died has none.
func (s *sim) left(a *actor) {
	p := recover()
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil && !a.proc.dead {
		s.fail(fmt.Sprintf("panic in %s: %v\n%s", a.name, p, debug.Stack()))
	}
	s.ends = append(s.ends, a)
}

// gate is where an actor stops until it may go on.
func (s *sim) gate(a *actor, k kind, place string) verdict {
	if a == nil {
		return verdict{}
	}
	s.mu.Lock()
	switch {
	case a.proc.dead:
		s.mu.Unlock()
		runtime.Goexit()
	case a == s.current && s.credit > 0 && (k != atCall || s.quiet || s.rng.IntN(3) > 0):
		s.credit--
		v := s.draw(a, k)
		s.note(a, place, v)
		if v.fate == dies {
			s.kill(a.proc)
			s.mu.Unlock()
			runtime.Goexit()
		}
		s.mu.Unlock()
		return v
	}
	here := &parked{actor: a, kind: k, place: place, wake: make(chan verdict, 1)}
	s.waiting = append(s.waiting, here)
	s.mu.Unlock()
	v := <-here.wake
	if v.fate == dies {
		runtime.Goexit()
	}
	return v
}

// publish makes what was written while nobody ran known to whoever goes on: an actor
// that the clock wakes looks only after it has taken the lock.
func (s *sim) publish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published++
}

// settleDown waits until nobody runs, and lets the queue know who has finished.
func (s *sim) settleDown() {
	s.publish()
	synctest.Wait()
	s.publish() // and the other way round
	s.current, s.credit = nil, 0
	slices.SortFunc(s.ends, func(a, b *actor) int { return cmp.Compare(a.id, b.id) })
	for _, a := range s.ends {
		a.proc.busy--
		s.actors = slices.DeleteFunc(s.actors, func(b *actor) bool { return a == b })
		if !a.over || a.proc.dead {
			continue
		}
		s.note(a, "returned "+codeOf(a.err), verdict{})
		s.inspectReturn(a)
		if a.ack != nil {
			a.ack(a.err)
		}
	}
	s.ends = s.ends[:0]
	// Who woke by the clock came here in any order.
	slices.SortStableFunc(s.waiting, func(a, b *parked) int {
		return cmp.Or(cmp.Compare(a.actor.id, b.actor.id), strings.Compare(a.place, b.place))
	})
}

// able lists who could go on.
func (s *sim) able() []*parked {
	var found []*parked
	for _, p := range s.waiting {
		if !p.actor.proc.frozen {
			found = append(found, p)
		}
	}
	return found
}

// release lets one actor go on, past as many gates as it is given credit for.
func (s *sim) release(p *parked, credit int) {
	s.waiting = slices.DeleteFunc(s.waiting, func(q *parked) bool { return p == q })
	v := s.draw(p.actor, p.kind)
	s.note(p.actor, p.place, v)
	if v.fate == dies {
		s.kill(p.actor.proc)
	}
	s.current, s.credit = p.actor, credit
	p.wake <- v
	s.settleDown()
}

// kill ends a process where it stands. The caller holds the lock, or nobody runs.
func (s *sim) kill(p *proc) {
	p.dead = true
	p.end()
	s.waiting = slices.DeleteFunc(s.waiting, func(q *parked) bool {
		if q.actor.proc == p {
			q.wake <- verdict{fate: dies}
		}
		return q.actor.proc == p
	})
	s.mark("a process died")
}

// pass lets time go by. Who lives and is not frozen says so to Redis.
func (s *sim) pass(d time.Duration) {
	s.remark(fmt.Sprintf("%s pass", d))
	s.publish()
	time.Sleep(d)
	s.mini.FastForward(d) // what Redis forgets by itself
	s.settleDown()
	s.beat()
}

// entry is one line of the trace.
type entry struct {
	at    time.Duration
	actor *actor
	place string
	fate  fate
}

// note writes a line of the trace.
func (s *sim) note(a *actor, place string, v verdict) {
	s.write(entry{time.Since(s.start), a, place, v.fate})
}

// remark writes what the scheduler itself did.
func (s *sim) remark(text string) { s.write(entry{at: time.Since(s.start), place: text}) }

func (s *sim) write(e entry) {
	s.trace = append(s.trace, e)
	id := 0
	if e.actor != nil {
		id = e.actor.id
	}
	s.hash.add(uint64(e.at), uint64(id), uint64(e.fate))
	s.hash.text(e.place)
}

func (e entry) String() string {
	who := "-- "
	if e.actor != nil {
		who = fmt.Sprintf("%s %s: ", e.actor.proc.name, e.actor.name)
	}
	line := fmt.Sprintf("%9.3fs  %s%s%s", e.at.Seconds(), who, e.place, e.fate)
	return strings.ReplaceAll(line, sessionIDs, "ses_")
}

// sum is FNV-1a of a trace.
type sum uint64

const (
	sumStart sum = 14695981039346656037
	sumPrime sum = 1099511628211
)

func (h *sum) add(words ...uint64) {
	for _, w := range words {
		for range 8 {
			*h = (*h ^ sum(w&0xff)) * sumPrime
			w >>= 8
		}
	}
}

func (h *sum) text(t string) {
	for i := range len(t) {
		*h = (*h ^ sum(t[i])) * sumPrime
	}
	h.add(uint64(len(t)))
}
