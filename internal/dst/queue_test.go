package dst

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// task is a task on its queue.
type task struct {
	id      string
	queue   string
	typ     string
	payload []byte
	ref     tasks.Step // of a step's task
	policy  tasks.Policy
}

// parseTask reads a task from its id. A task carries nothing but what its id says.
func parseTask(queue, id string) (*task, error) {
	words := strings.Split(id, ":")
	if len(words) < 4 {
		return nil, fmt.Errorf("task id %q", id)
	}
	t := &task{id: id, queue: queue, typ: words[0] + ":" + words[1]}
	t.policy = tasks.All()[t.typ]
	rescue, last := 0, words[len(words)-1]
	if number, rescued := strings.CutPrefix(last, "r"); rescued {
		var err error
		if rescue, err = strconv.Atoi(number); err != nil {
			return nil, err
		}
		words = words[:len(words)-1]
	}
	var payload any
	switch words[0] {
	case "audio":
		ses, index, ok := session.ParseItemID(words[2])
		generation, err := strconv.Atoi(words[4])
		if !ok || err != nil {
			return nil, fmt.Errorf("task id %q", id)
		}
		t.ref = tasks.Step{V: tasks.Version, Session: ses, Index: index, Name: words[3], Generation: generation, Rescue: rescue}
		payload = t.ref
	case "session":
		if words[1] == "admit" {
			admit, err := parseAdmit(words)
			if err != nil {
				return nil, err
			}
			payload = admit
			break
		}
		completion, err := strconv.Atoi(words[3])
		if err != nil {
			return nil, err
		}
		payload = tasks.Settle{V: tasks.Version, Session: words[2], Completion: completion, Rescue: rescue}
	default:
		return nil, fmt.Errorf("task id %q is of an unknown type", id)
	}
	var err error
	t.payload, err = json.Marshal(payload)
	return t, err
}

// parseAdmit reads session:admit:provider/account:12, or s12 for a slot.
func parseAdmit(words []string) (tasks.Admit, error) {
	provider, account, _ := strings.Cut(words[2], "/")
	p := tasks.Admit{V: tasks.Version, Provider: provider, Account: account}
	text, at := strings.CutPrefix(words[3], "s")
	number, err := strconv.ParseInt(text, 10, 64)
	if p.Seq = number; at {
		p.Seq, p.Slot = 0, number
	}
	return p, err
}

// broker is asynq's server over asynq's own keys: what it takes from a queue, and
// what it writes when a handler returns. asynq's client and inspector, which the
// handlers use, are the real ones; its server decides by itself when to do
// what, so the simulation stands in for it.
type broker struct {
	s       *sim
	active  map[string]*lease
	retried map[string]int
	kept    map[string]time.Time // completed, until when
	seen    []string             // every id there ever was, "queue id"
}

// lease is a task that a worker took.
type lease struct {
	task  *task
	since time.Time
	actor *actor
}

func newBroker(s *sim) *broker {
	return &broker{s: s, active: map[string]*lease{}, retried: map[string]int{}, kept: map[string]time.Time{}}
}

func key(queue, part string) string { return "asynq:{" + queue + "}:" + part }

// members lists a list or a set of Redis; one that is not there is empty.
func (b *broker) members(name string) []string {
	m := b.s.mini
	if !m.Exists(name) {
		return nil
	}
	found, err := m.List(name)
	if m.Type(name) == "zset" {
		found, err = m.ZMembers(name)
	}
	if err != nil {
		b.s.fail(err.Error())
	}
	return found
}

// ready lists what may be delivered, in the order of ids. What sleeps may be
// delivered too: nothing depends on a task not being early.
func (b *broker) ready() []*task {
	var found []*task
	for _, queue := range tasks.Queues() {
		var ids []string
		for _, part := range []string{"pending", "scheduled", "retry"} {
			ids = append(ids, b.members(key(queue, part))...)
		}
		slices.Sort(ids)
		for _, id := range ids {
			found = append(found, b.task(queue, id))
		}
	}
	return found
}

func (b *broker) task(queue, id string) *task {
	t, err := parseTask(queue, id)
	if err != nil {
		b.s.fail(err.Error())
		return &task{id: id, queue: queue}
	}
	if !slices.Contains(b.seen, queue+" "+id) {
		b.seen = append(b.seen, queue+" "+id)
	}
	return t
}

// remove takes a task from wherever it waits.
func (b *broker) remove(t *task) {
	m := b.s.mini
	for _, part := range []string{"scheduled", "retry"} {
		if m.Exists(key(t.queue, part)) {
			if _, err := m.ZRem(key(t.queue, part), t.id); err != nil {
				b.s.fail(err.Error())
			}
		}
	}
	pending := b.members(key(t.queue, "pending"))
	if !slices.Contains(pending, t.id) {
		return
	}
	m.Del(key(t.queue, "pending"))
	if rest := slices.DeleteFunc(pending, func(id string) bool { return id == t.id }); len(rest) > 0 {
		if _, err := m.Push(key(t.queue, "pending"), rest...); err != nil {
			b.s.fail(err.Error())
		}
	}
}

func (b *broker) state(t *task, state string) { b.s.mini.HSet(key(t.queue, "t:"+t.id), "state", state) }

// deliver gives a task to a worker, as its own or as a copy of one that somebody
// else has.
func (b *broker) deliver(t *task, p *proc, copied bool) {
	name := t.id
	if copied {
		name += " (copy)"
	}
	held := &lease{task: t, since: time.Now()}
	ack := func(err error) { b.finish(held, err) }
	if copied {
		ack = nil
	} else {
		b.remove(t)
		b.state(t, "active")
		b.active[t.id] = held
	}
	held.actor = b.s.spawn(p, name, t, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, t.policy.Timeout)
		defer cancel()
		return p.role.mux.ProcessTask(ctx, asynq.NewTask(t.typ, t.payload))
	}, ack)
}

// finish is what asynq writes when a handler has returned. Its ack carries a
// fence: a task that was taken away meanwhile is left alone.
func (b *broker) finish(held *lease, err error) {
	t := held.task
	if b.active[t.id] != held {
		return
	}
	if b.s.chance(b.s.p.ackLost) {
		b.s.remark("ack of " + t.id + " lost")
		return
	}
	delete(b.active, t.id)
	switch {
	case err == nil:
		b.state(t, "completed")
		b.kept[t.queue+" "+t.id] = time.Now().Add(t.policy.Retention)
	case errors.Is(err, asynq.SkipRetry) || errors.Is(err, asynq.RevokeTask):
		b.state(t, "archived")
	default:
		b.again(t, err)
	}
}

// again puts a task that failed, or waits, back to sleep.
func (b *broker) again(t *task, err error) {
	if handlers.IsFailure(err) {
		b.retried[t.id]++
	}
	if b.retried[t.id] >= t.policy.MaxRetry {
		b.state(t, "archived")
		return
	}
	b.state(t, "retry")
	// Nobody reads the score: what sleeps is delivered whenever the scheduler says.
	if _, err := b.s.mini.ZAdd(key(t.queue, "retry"), float64(time.Now().Unix()), t.id); err != nil {
		b.s.fail(err.Error())
	}
}

// leaseTime is asynq's: a worker that does not renew a task's lease loses it.
const leaseTime = 30 * time.Second

// recover does asynq's housekeeping: it takes tasks from workers that are silent,
// and forgets completed tasks when their retention ends.
func (b *broker) recover() {
	for _, id := range sorted(b.active) {
		held := b.active[id]
		if time.Since(held.since) < leaseTime || b.s.working(held.actor) {
			continue
		}
		delete(b.active, id)
		b.again(held.task, asynq.ErrLeaseExpired)
		b.s.mark("a lease expired")
	}
	for _, id := range sorted(b.kept) {
		if time.Now().After(b.kept[id]) {
			queue, name, _ := strings.Cut(id, " ")
			b.s.mini.Del(key(queue, "t:"+name))
			delete(b.kept, id)
		}
	}
}

// lose forgets a task altogether.
func (b *broker) lose(t *task) {
	b.remove(t)
	b.s.mini.Del(key(t.queue, "t:"+t.id))
}

// wipe loses every key of asynq's.
func (b *broker) wipe() {
	for _, name := range b.s.mini.Keys() {
		if strings.HasPrefix(name, "asynq:") {
			b.s.mini.Del(name)
		}
	}
	b.active, b.kept = map[string]*lease{}, map[string]time.Time{}
}
