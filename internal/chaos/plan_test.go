//go:build unix

package chaos_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// event is one thing that happens to a rig, at a time after the beginning. A
// repetition has no words.
type event struct {
	at   time.Duration
	what string
	do   func(*rig)
}

// plan is what happens in a run, in order. A seed gives the same plan on every
// machine.
type plan struct {
	events []event
	// faults is what the provider does on its own for as long as the plan lasts.
	faults simulator.Faults
	// shifts are how wrong the workers' clocks are.
	shifts []time.Duration

	dice *rand.Rand
	// busy is when each place is itself again: no fault begins there before.
	busy map[string]time.Duration
}

// drawn is the plan of a seed.
func drawn(seed uint64, workers int, length time.Duration) *plan {
	p := newPlan(seed)
	p.faults = p.mixture()
	for range workers {
		p.shifts = append(p.shifts, []time.Duration{0, 5 * time.Minute, -5 * time.Minute}[p.dice.IntN(3)])
	}
	menu := []func(p *plan, at time.Duration, worker int){
		(*plan).killWorker, (*plan).killWorker, (*plan).replaceWorker, (*plan).stopWorker, (*plan).stopWorker,
		(*plan).killRedis, (*plan).cutClients, (*plan).flushScripts, (*plan).wipeQueues,
		(*plan).slowRedis, (*plan).freezeRedis, (*plan).resetRedis,
		(*plan).cutRedis, (*plan).resetProvider, (*plan).cutProvider, (*plan).shutGate,
	}
	for at := time.Second; at < length; at += p.between(300*time.Millisecond, 1500*time.Millisecond) {
		menu[p.dice.IntN(len(menu))](p, at, p.dice.IntN(workers))
	}
	p.order()
	return p
}

// newPlan is one in which nothing happens yet.
func newPlan(seed uint64) *plan {
	return &plan{faults: simulator.Faults{}, dice: rand.New(rand.NewPCG(seed, 0)), busy: map[string]time.Duration{}}
}

// order puts the events in the order of their times.
func (p *plan) order() {
	slices.SortStableFunc(p.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
}

// String lists the plan, for who repeats a run by hand.
func (p *plan) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "clocks %v, provider's faults %v\n", p.shifts, p.faults)
	for _, e := range p.events {
		if e.what == "" {
			continue
		}
		fmt.Fprintf(&text, "%8s  %s\n", e.at.Round(time.Millisecond), e.what)
	}
	return text.String()
}

// mixture is what the provider does on its own: everything that costs answers, time or
// callbacks, and nothing that makes an operation fail.
func (p *plan) mixture() simulator.Faults {
	f := simulator.Faults{}
	for _, k := range []simulator.Kind{
		simulator.DropBefore, simulator.DropAfter, simulator.ErrorAfter, simulator.PageAfter, simulator.TruncateAfter,
		simulator.Delay, simulator.RateLimited, simulator.Maintenance, simulator.StatusError,
		simulator.BotCheck, simulator.TransferCut, simulator.TicketExpired,
		simulator.CallbackEarly, simulator.CallbackLost, simulator.CallbackDoubled, simulator.CallbackReordered,
		simulator.CallbackForged, simulator.CallbackReplayed, simulator.CallbackStranger,
		simulator.CDNCut, simulator.CDNMissing, simulator.CDNSlow, simulator.CDNPage,
	} {
		if p.dice.IntN(2) == 0 {
			f[k] = float64(p.dice.IntN(60)) / 1000
		}
	}
	return f
}

func (p *plan) between(least, most time.Duration) time.Duration {
	return least + time.Duration(p.dice.Int64N(int64(most-least)))
}

// add plans an event.
func (p *plan) add(at time.Duration, what string, do func(*rig)) {
	p.events = append(p.events, event{at, what, do})
}

// take reserves a place for a fault; false when another one is at it.
func (p *plan) take(place string, at, until time.Duration) bool {
	if at < p.busy[place] {
		return false
	}
	p.busy[place] = until
	return true
}

// takeWorker reserves a worker and its connections.
func (p *plan) takeWorker(worker int, at, until time.Duration) bool {
	return p.take(fmt.Sprintf("worker %d", worker), at, until)
}

// killWorker ends a worker as a crash does; another one takes its place.
func (p *plan) killWorker(at time.Duration, n int) {
	again := at + p.between(0, 2*time.Second)
	if !p.takeWorker(n, at, again) {
		return
	}
	p.add(at, fmt.Sprintf("kill worker %d", n), func(r *rig) { r.workers[n].process.Kill() })
	p.add(again, fmt.Sprintf("start worker %d", n), func(r *rig) { r.workers[n].start() })
}

// replaceWorker is an upgrade: the old process drains while the new one works.
func (p *plan) replaceWorker(at time.Duration, n int) {
	if !p.takeWorker(n, at, at) {
		return
	}
	p.add(at, fmt.Sprintf("replace worker %d", n), func(r *rig) {
		r.workers[n].process.Signal(syscall.SIGTERM)
		r.workers[n].start()
	})
}

// stopWorker freezes a worker's process, sometimes for so long that it counts as dead.
func (p *plan) stopWorker(at time.Duration, n int) {
	again := at + p.between(500*time.Millisecond, 14*time.Second)
	if !p.takeWorker(n, at, again) {
		return
	}
	p.add(at, fmt.Sprintf("freeze worker %d for %s", n, (again-at).Round(time.Millisecond)), func(r *rig) { r.workers[n].process.Signal(syscall.SIGSTOP) })
	p.add(again, fmt.Sprintf("wake worker %d", n), func(r *rig) { r.workers[n].process.Signal(syscall.SIGCONT) })
}

// killRedis ends Redis as a crash does, and starts it again on its data.
func (p *plan) killRedis(at time.Duration, _ int) {
	again := at + p.between(0, 3*time.Second)
	if !p.take("redis", at, again) {
		return
	}
	p.add(at, "kill redis", func(r *rig) { r.redis.kill() })
	p.add(again, "start redis", func(r *rig) { r.redis.start() })
}

// often repeats something with Redis, which must be there all the while.
func (p *plan) often(at time.Duration, times int, what string, do func(*server)) {
	const pause = 50 * time.Millisecond
	if !p.take("redis", at, at+time.Duration(times)*pause) {
		return
	}
	p.add(at, fmt.Sprintf("%s, %d times", what, times), func(r *rig) { do(r.redis) })
	for n := range times - 1 {
		p.add(at+time.Duration(n+1)*pause, "", func(r *rig) { do(r.redis) })
	}
}

func (p *plan) cutClients(at time.Duration, _ int) {
	p.often(at, 1+p.dice.IntN(20), "cut all of redis's clients", func(s *server) { s.do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes") })
}

func (p *plan) flushScripts(at time.Duration, _ int) {
	p.often(at, 1+p.dice.IntN(20), "flush scripts", func(s *server) { s.do("SCRIPT", "FLUSH") })
}

func (p *plan) wipeQueues(at time.Duration, _ int) {
	p.often(at, 1, "delete asynq's keys", func(s *server) { s.wipe("asynq:") })
}

// badWire spoils one of a worker's connections for a while.
func (p *plan) badWire(at, until time.Duration, n int, what string, which func(*worker) *wire, with toxic) {
	if !p.takeWorker(n, at, until) {
		return
	}
	p.add(at, fmt.Sprintf("%s of worker %d for %s", what, n, (until-at).Round(time.Millisecond)), func(r *rig) { which(r.workers[n]).spoil(with) })
	p.add(until, fmt.Sprintf("mend worker %d", n), func(r *rig) { which(r.workers[n]).unspoil(with) })
}

func toRedis(w *worker) *wire    { return w.toRedis }
func toProvider(w *worker) *wire { return w.toProvider }

// direction is one of the two.
func (p *plan) direction() string { return []string{towards, back}[p.dice.IntN(2)] }

func (p *plan) slowRedis(at time.Duration, n int) {
	p.badWire(at, at+p.between(time.Second, 5*time.Second), n, "slow redis", toRedis, slow(p.direction(), 20+p.dice.IntN(600)))
}

func (p *plan) freezeRedis(at time.Duration, n int) {
	p.badWire(at, at+p.between(500*time.Millisecond, 9*time.Second), n, "freeze redis", toRedis, frozen(p.direction()))
}

func (p *plan) resetRedis(at time.Duration, n int) {
	p.badWire(at, at+p.between(100*time.Millisecond, time.Second), n, "reset redis", toRedis, reset())
}

// resetProvider passes paid requests on and loses their answers.
func (p *plan) resetProvider(at time.Duration, n int) {
	p.badWire(at, at+p.between(200*time.Millisecond, 1500*time.Millisecond), n, "reset provider", toProvider, reset())
}

// cutRedis breaks connections in the middle of what is said on them.
func (p *plan) cutRedis(at time.Duration, n int) {
	p.badWire(at, at+p.between(200*time.Millisecond, 2*time.Second), n, "cut redis", toRedis, cut(p.direction(), p.dice.IntN(3000)))
}

// cutProvider breaks requests and answers off: what is cut on its way there was never
// asked for, what is cut on its way back was.
func (p *plan) cutProvider(at time.Duration, n int) {
	p.badWire(at, at+p.between(200*time.Millisecond, 1500*time.Millisecond), n, "cut provider", toProvider, cut(p.direction(), p.dice.IntN(800)))
}

// shutGate keeps callbacks out.
func (p *plan) shutGate(at time.Duration, _ int) {
	until := at + p.between(time.Second, 8*time.Second)
	if !p.take("gate", at, until) {
		return
	}
	p.add(at, "shut callbacks out", func(r *rig) { r.gate.shut.Store(true) })
	p.add(until, "let callbacks in", func(r *rig) { r.gate.shut.Store(false) })
}
