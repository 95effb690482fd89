package session_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// TestMachine drives the state machine through random interleavings of workers
// that crash, freeze and wake late, duplicated and lost deliveries, sweeps, a
// cancel and an operator, against a provider that bills on acceptance. The world
// below is the smallest one that has all of these: a store that compares epochs,
// and workers that may stop between any two of their actions.
//
// What must hold, whatever the order:
//
//	P1  per item, step and generation, at most one paid request leaves that the
//	    provider did not surely refuse
//	P2  every charge is on the item's record, or its item is held with the claim
//	    that made it, or that request is still in flight at a living worker
//	P1' a request that leaves again although nobody decided so was surely not
//	    accepted before
//	P3  a session completes exactly when every item has ended, and its results
//	    are in input order
func TestMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 4).Draw(t, "items"))
		actions := map[string]func(*rapid.T){
			"start":    w.start,
			"stride":   w.stride,
			"advance":  w.advance,
			"crash":    w.crash,
			"answer":   w.answer,
			"sweep":    w.sweep,
			"decide":   w.decide,
			"evidence": w.evidence,
			"retry":    w.retry,
			"cancel":   w.cancel,
			"":         w.check,
		}
		// A chain of three steps with retries takes longer than rapid's usual run.
		for range 4 {
			t.Repeat(actions)
		}
		w.drain(t)
	})
}

var machineStart = time.UnixMilli(1_763_800_000_000)

// charge is one line of the provider's log.
type charge struct {
	index      int
	step       session.StepName
	generation int
	operation  string
}

// actor is a worker in the middle of one delivery: it has read a state, and goes
// on step by step.
type actor struct {
	item      session.Item // as it read, and then claimed it
	token     string
	phase     int // 0 has read, 1 has claimed, 2 has sent, prepares: has claimed to prepare
	operation string
	lost      bool // the answer to its request was lost
	refused   bool // the provider surely refused
}

// prepares is the phase of a worker that looks at the file it is to upload.
const prepares = -1

// world is the store, the provider and the workers.
type world struct {
	items       []session.Item
	charges     []charge
	requests    map[string]int // item, step, generation → requests that may be billed
	actors      []*actor
	orphans     []*actor // thought dead, may wake late
	canceled    bool
	completions int
	complete    bool
	tokens      int
}

func newWorld(n int) *world {
	w := &world{requests: map[string]int{}}
	for index := range n {
		it := session.NewItem(session.Source{Name: fmt.Sprint(index), Duration: 60, SHA256: "known"}, extendPlan, nil)
		it.Session, it.Index, it.Epoch = "ses_test", index, 1
		w.items = append(w.items, it)
	}
	return w
}

// write is the store's compare-and-set.
func (w *world) write(it session.Item, paidClaim bool) bool {
	if w.items[it.Index].Epoch != it.Epoch || (paidClaim && w.canceled) {
		return false
	}
	it.Epoch++
	w.items[it.Index] = it
	ended := !slices.ContainsFunc(w.items, func(it session.Item) bool { return !it.State.Ended() })
	if ended && !w.complete {
		w.completions++
	}
	w.complete = ended
	return true
}

// update is the store's load-apply-write.
func (w *world) update(index int, change func(*session.Item) error) error {
	it := w.items[index]
	if err := change(&it); err != nil {
		return err
	}
	if !w.write(it, false) {
		panic("nobody else writes between two lines of a test")
	}
	return nil
}

// start delivers a task: some worker reads an item. Deliveries are doubled freely.
func (w *world) start(t *rapid.T) {
	it := w.items[rapid.IntRange(0, len(w.items)-1).Draw(t, "item")]
	if _, ok, err := session.Next(&it); err != nil || !ok {
		t.Skip("nothing follows")
	}
	w.actors = append(w.actors, &actor{item: it})
}

// stride lets one item go a whole step undisturbed, so that runs come to their
// later steps.
func (w *world) stride(t *rapid.T) {
	w.push(t, rapid.IntRange(0, len(w.items)-1).Draw(t, "item"))
}

func (w *world) pick(t *rapid.T) int {
	if len(w.actors) == 0 {
		t.Skip("no worker is at it")
	}
	return rapid.IntRange(0, len(w.actors)-1).Draw(t, "actor")
}

// advance lets one worker do the next thing of its handler.
func (w *world) advance(t *rapid.T) {
	n := w.pick(t)
	if w.proceed(t, w.actors[n]) {
		w.actors = slices.Delete(w.actors, n, n+1)
	}
}

// proceed does one thing and says whether the handler returned.
func (w *world) proceed(t *rapid.T, a *actor) bool {
	switch {
	case a.item.State == session.Waiting:
		w.poll(t, a)
		return true
	case a.phase == 0 && a.item.Step == session.StepUpload && rapid.Bool().Draw(t, "prepares"):
		return !w.prepare(a)
	case a.phase == 0:
		return !w.claim(a)
	case a.phase == prepares:
		return w.prepared(t, a)
	case a.phase == 1:
		w.send(t, a)
		return false
	}
	w.record(t, a)
	return true
}

func (w *world) claim(a *actor) bool {
	w.tokens++
	a.token = fmt.Sprint("token", w.tokens)
	paid := a.item.Step != session.StepFetch
	if a.item.Take(session.Claim{Token: a.token, Worker: "w", Credits: 1}, paid) != nil || !w.write(a.item, paid) {
		return false
	}
	a.item.Epoch++
	a.phase = 1
	return true
}

// prepare claims a step to look at its file.
func (w *world) prepare(a *actor) bool {
	w.tokens++
	a.token = fmt.Sprint("token", w.tokens)
	if a.item.Take(session.Claim{Token: a.token, Worker: "w"}, false) != nil || !w.write(a.item, true) {
		return false
	}
	a.item.Epoch++
	a.phase = prepares
	return true
}

// prepared goes on with another item's clip, or turns the claim into the intent to
// send. It says whether the handler returned.
func (w *world) prepared(t *rapid.T, a *actor) bool {
	if a.item.Reusable() && rapid.Bool().Draw(t, "reuses") {
		_ = w.update(a.item.Index, func(it *session.Item) error {
			return it.Reuse(a.token, provider.Clip{ID: "theirs"}, "ses_other.0", machineStart)
		})
		return true
	}
	next := a.item
	if next.Send(session.Claim{Token: a.token, Worker: "w", Credits: 1}) != nil || !w.write(next, true) {
		return true
	}
	a.item = next
	a.item.Epoch++
	a.phase = 1
	return false
}

// send lets the paid request leave. The provider refuses, or accepts and bills;
// its answer arrives or is lost.
func (w *world) send(t *rapid.T, a *actor) {
	a.phase = 2
	if a.item.Step == session.StepFetch {
		return
	}
	if a.refused = rapid.IntRange(0, 4).Draw(t, "refuses") == 0; a.refused {
		return // a typed refusal: surely not billed, so it may leave again
	}
	w.requests[fmt.Sprintf("%d %s %d", a.item.Index, a.item.Step, a.item.Generation)]++
	a.operation = fmt.Sprint("op", len(w.charges))
	w.charges = append(w.charges, charge{a.item.Index, a.item.Step, a.item.Generation, a.operation})
	a.lost = rapid.IntRange(0, 4).Draw(t, "answer lost") == 0
}

// record is what Handlers.submit does with an outcome.
func (w *world) record(t *rapid.T, a *actor) {
	index, step, generation := a.item.Index, a.item.Step, a.item.Generation
	why := session.Failure{Code: fault.Timeout, Step: step}
	var err error
	switch {
	case step == session.StepFetch:
		err = w.update(index, func(it *session.Item) error { return it.Keep(a.token, it.Tracks, machineStart) })
	case a.refused && a.item.ClipOf != "" && rapid.Bool().Draw(t, "clip not found"):
		err = w.update(index, func(it *session.Item) error {
			if err := it.Release(a.token, why); err != nil {
				return err
			}
			return it.Restage(machineStart)
		})
	case a.refused:
		err = w.update(index, func(it *session.Item) error { return it.Release(a.token, why) })
	case a.lost:
		err = w.update(index, func(it *session.Item) error { return it.Doubt(a.token, why, machineStart) })
	default:
		accepted := &provider.Accepted{OperationID: a.operation}
		err = w.update(index, func(it *session.Item) error { return it.Accept(a.token, accepted, machineStart) })
		if err != nil {
			err = w.update(index, func(it *session.Item) error {
				return it.Stray(session.Operation{ID: a.operation, Step: step, Generation: generation, Credits: 1}, machineStart)
			})
		}
	}
	if err != nil && fault.CodeOf(err) != fault.Conflict {
		t.Fatalf("recording %s %d: %v", step, index, err)
	}
}

// poll asks about the operation that was read; it may be an old one by now.
func (w *world) poll(t *rapid.T, a *actor) {
	state := &provider.State{Done: true, Clip: &provider.Clip{ID: "clip-" + a.item.Operation}}
	if a.item.Step == session.StepExtend {
		state.Tracks = []provider.Track{{AudioID: "a-" + a.item.Operation}, {AudioID: "b-" + a.item.Operation}}
	}
	_ = w.update(a.item.Index, func(it *session.Item) error {
		switch rapid.IntRange(0, 5).Draw(t, "poll") {
		case 0:
			return it.Lose(a.item.Operation, session.Failure{Code: fault.Rejected, Step: it.Step})
		case 1:
			return it.Note(&session.Failure{Code: fault.Unavailable, Step: it.Step})
		}
		return it.Finish(a.item.Operation, state, machineStart)
	})
}

// crash ends a worker where it stands. It may be frozen only, and wake late.
func (w *world) crash(t *rapid.T) {
	n := w.pick(t)
	if rapid.Bool().Draw(t, "only frozen") {
		w.orphans = append(w.orphans, w.actors[n])
	}
	w.actors = slices.Delete(w.actors, n, n+1)
}

// answer wakes a frozen worker, which goes on with what it holds.
func (w *world) answer(t *rapid.T) {
	if len(w.orphans) == 0 {
		t.Skip("nobody is frozen")
	}
	n := rapid.IntRange(0, len(w.orphans)-1).Draw(t, "frozen")
	w.actors = append(w.actors, w.orphans[n])
	w.orphans = slices.Delete(w.orphans, n, n+1)
}

// alive says whether a living worker holds the item's claim.
func (w *world) alive(it *session.Item) bool {
	return slices.ContainsFunc(w.actors, func(a *actor) bool { return a.token == it.Claim.Token })
}

// sweep takes steps from dead workers and replaces tasks.
func (w *world) sweep(t *rapid.T) {
	index := rapid.IntRange(0, len(w.items)-1).Draw(t, "item")
	_ = w.update(index, func(it *session.Item) error {
		switch it.State {
		case session.Sending, session.Running:
			if w.alive(it) {
				return fault.New(fault.Pending, "sweep", nil)
			}
			return it.Orphan(session.Failure{Code: fault.Unavailable, Step: it.Step, Reason: "died"}, machineStart)
		case session.Queued:
			if w.canceled && it.Step != session.StepFetch {
				return it.Cancel()
			}
			return it.Renew()
		}
		return it.Renew()
	})
}

// decide is an operator who resolves a held item, having looked at the provider.
func (w *world) decide(t *rapid.T) {
	index := rapid.IntRange(0, len(w.items)-1).Draw(t, "item")
	it := &w.items[index]
	if !it.State.InDoubt() {
		t.Skip("not in doubt")
	}
	generation, step := it.Generation, it.Step
	billed := slices.IndexFunc(w.charges, func(c charge) bool {
		return c.index == index && c.step == step && c.generation == generation
	})
	_ = w.update(index, func(it *session.Item) error {
		switch {
		case billed >= 0 && rapid.Bool().Draw(t, "adopts"):
			return it.Adopt(w.charges[billed].operation, machineStart)
		case rapid.Bool().Draw(t, "abandons"):
			return it.Abandon(machineStart)
		}
		return it.Resubmit(machineStart)
	})
}

// evidence looks for what became of a request in doubt: a callback, the provider's
// lists, or nothing. That it was not accepted is believed only once it cannot leave
// any more: no frozen worker holds it unsent, as the deadline of requests sees to.
func (w *world) evidence(t *rapid.T) {
	index := rapid.IntRange(0, len(w.items)-1).Draw(t, "item")
	it := w.items[index]
	if it.State != session.Reconciling {
		t.Skip("nothing is looked for")
	}
	billed := slices.IndexFunc(w.charges, func(c charge) bool {
		return c.index == index && c.step == it.Step && c.generation == it.Generation
	})
	unsent := func(a *actor) bool { return a.token == it.Claim.Token && a.phase == 1 }
	may := slices.ContainsFunc(w.actors, unsent) || slices.ContainsFunc(w.orphans, unsent)
	why := session.Failure{Code: fault.Timeout, Step: it.Step, Reason: "evidence"}
	_ = w.update(index, func(it *session.Item) error {
		switch rapid.IntRange(0, 3).Draw(t, "evidence") {
		case 0:
			return it.Hold(why)
		case 1:
			return it.Note(&why)
		}
		switch {
		case billed >= 0:
			return it.Adopt(w.charges[billed].operation, machineStart)
		case !may:
			return it.Refute(why, machineStart)
		}
		return it.Hold(why)
	})
}

func (w *world) retry(t *rapid.T) {
	index := rapid.IntRange(0, len(w.items)-1).Draw(t, "item")
	step := rapid.SampledFrom([]session.StepName{"", session.StepUpload, session.StepExtend, session.StepFetch}).Draw(t, "step")
	_ = w.update(index, func(it *session.Item) error { return it.Retry(step, machineStart) })
}

func (w *world) cancel(t *rapid.T) {
	if rapid.IntRange(0, 9).Draw(t, "really") > 0 {
		t.Skip("seldom")
	}
	w.canceled = true
}

func (w *world) check(t *rapid.T) {
	for request, n := range w.requests {
		if n > 1 {
			t.Fatalf("P1: %d paid requests left for item, step, generation %s", n, request)
		}
	}
	for _, c := range w.charges {
		if !w.accountedFor(c) {
			t.Fatalf("P2: charge %+v is on no record; the item is %+v", c, w.items[c.index])
		}
	}
	ended := 0
	for n := range w.items {
		if w.items[n].State.Ended() {
			ended++
		}
	}
	if (ended == len(w.items)) != w.complete {
		t.Fatalf("P3: %d of %d items have ended, complete is %v", ended, len(w.items), w.complete)
	}
}

// accountedFor says where a charge is on record.
func (w *world) accountedFor(c charge) bool {
	it := &w.items[c.index]
	if slices.ContainsFunc(it.Operations, func(op session.Operation) bool { return op.ID == c.operation }) {
		return true
	}
	inFlight := func(a *actor) bool { return a.operation == c.operation && !a.lost }
	if slices.ContainsFunc(w.actors, inFlight) || slices.ContainsFunc(w.orphans, inFlight) {
		return true
	}
	// The answer was lost, or its worker is dead: the step is claimed or held, or an
	// operator has decided about it knowing that it might have been charged.
	return it.Claim != nil || it.Used[c.step] > c.generation && (it.Generation > c.generation || it.Step != c.step || it.State == session.Failed)
}

// drain ends every run the same way: all workers finish, the sweep finds the
// rest, the operator decides; nothing may be stuck.
func (w *world) drain(t *rapid.T) {
	w.actors, w.orphans = append(w.actors, w.orphans...), nil
	for len(w.actors) > 0 {
		if w.proceed(t, w.actors[0]) {
			w.actors = w.actors[1:]
		}
	}
	for round := 0; !w.complete; round++ {
		if round > 200*len(w.items) {
			t.Fatalf("P2: stuck: %+v", w.items)
		}
		for index := range w.items {
			w.push(t, index)
		}
		w.check(t)
	}
	if w.completions == 0 {
		t.Fatal("P3: complete, but no completion was ever written")
	}
}

// push does whatever is the next right thing for one item.
func (w *world) push(t *rapid.T, index int) {
	it := w.items[index]
	switch {
	case it.State.InDoubt():
		_ = w.update(index, func(it *session.Item) error { return it.Abandon(machineStart) })
	case it.State == session.Sending || it.State == session.Running:
		if w.alive(&it) {
			return
		}
		_ = w.update(index, func(it *session.Item) error {
			return it.Orphan(session.Failure{Code: fault.Unavailable, Step: it.Step, Reason: "died"}, machineStart)
		})
	case it.State == session.Queued && w.canceled && it.Step != session.StepFetch:
		_ = w.update(index, func(it *session.Item) error { return it.Cancel() })
	case !it.State.Ended():
		a := &actor{item: it}
		for !w.proceed(t, a) {
			continue
		}
	}
}
