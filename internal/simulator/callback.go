package simulator

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// CallbackOptions configures how the providers that call back do so. The zero
// value is what KIE documents.
type CallbackOptions struct {
	// Timeout is how long a receiver may take (15 s). It is measured in real
	// time, whatever Options.Now says.
	Timeout time.Duration
	// Retries are the waits after each failed attempt (1, 5 and 15 minutes). An
	// empty slice that is not nil means a single attempt.
	Retries []time.Duration
	// Couriers is how many callbacks are under way at once (8).
	Couriers int
	// WebhookKey signs the callbacks of every account that has no WebhookKey
	// of its own. Without either, callbacks are not signed.
	WebhookKey string
}

func (o CallbackOptions) withDefaults() CallbackOptions {
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	o.Couriers = cmp.Or(o.Couriers, 8)
	if o.Retries == nil {
		o.Retries = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute}
	}
	return o
}

func (o CallbackOptions) check() error {
	if o.Timeout < 0 || o.Couriers < 1 {
		return errors.New("callbacks need a timeout above 0 and at least one courier")
	}
	for _, wait := range o.Retries {
		if wait < 0 {
			return errors.New("waits between callbacks must not be negative")
		}
	}
	return nil
}

// announcer is how one provider calls back.
type announcer struct {
	// endpoint names the callbacks in scripts, as "provider.callback".
	endpoint string
	// owed lists what an operation announces, in order of time. It is asked once
	// the operation's end is known.
	owed func(*Simulator, *operation) []announcement
	// body is the request that announces; the caller holds mu.
	body func(*Simulator, *operation, announcement) []byte
	// lie is a body that looks like the provider's and says what is not so. The
	// same number tells the same lie. nil: nobody forges these callbacks.
	lie func(s *Simulator, o *operation, number uint64) []byte
	// signed says whether the provider signs at all.
	signed bool
}

// announcement is one callback that an operation owes.
type announcement struct {
	kind string // the provider's word, "complete" for example
	due  time.Time
	// final announcements tell the end. A provider that cannot deliver one
	// notices.
	final bool
	moved bool // by a fault, behind those that follow it
}

// delivery is one attempt in waiting: of the first announcement of a chain. The
// next one is not attempted before the first attempt at this one is over, so
// that only faults and retries change the order.
type delivery struct {
	state     *state // that it was made for: after a reset it is nobody's
	operation *operation
	chain     []announcement
	attempt   int // from 0
	due       time.Time
	signed    time.Time // when the first attempt was signed
	number    uint64    // of waiting deliveries, so that equal times keep order
}

// courier delivers callbacks: a heap of what waits, and a bounded pool. What
// waits costs no goroutine.
type courier struct {
	sim     *Simulator
	client  *http.Client
	workers sync.WaitGroup
	// earliest is when the next delivery is due, in nanoseconds since 1970, so
	// that every request can look without a lock.
	earliest atomic.Int64

	mu      sync.Mutex
	changed *sync.Cond
	queue   deliveries
	added   uint64
	busy    int
	alarm   *time.Timer
}

func newCourier(s *Simulator) *courier {
	k := &courier{sim: s}
	k.changed = sync.NewCond(&k.mu)
	k.earliest.Store(math.MaxInt64)
	client := *s.opts.HTTP
	// A redirect is not an acknowledgement, and following one would turn the
	// callback into a GET.
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Timeout = 0 // CallbackOptions has one
	k.client = &client
	return k
}

func (k *courier) start(workers int) {
	k.alarm = time.AfterFunc(time.Hour, k.wake)
	k.alarm.Stop()
	context.AfterFunc(k.sim.closing, k.wake)
	for range workers {
		k.workers.Go(k.work)
	}
}

// wake makes every waiter look again.
func (k *courier) wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changed.Broadcast()
}

// notice wakes the couriers when something is due: a clock that is not the
// machine's moves without the alarm noticing.
func (k *courier) notice(now time.Time) {
	if now.UnixNano() >= k.earliest.Load() {
		k.wake()
	}
}

func (k *courier) add(d *delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.added++
	d.number = k.added
	heap.Push(&k.queue, d)
	k.earliest.Store(k.queue[0].due.UnixNano())
	k.changed.Broadcast()
}

// pending counts what waits for its time or is under way.
func (k *courier) pending() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.queue) + k.busy
}

// forget drops all that waits.
func (k *courier) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.queue = nil
	k.earliest.Store(math.MaxInt64)
}

// settle waits until nothing is due or under way.
func (k *courier) settle(ctx context.Context) error {
	stop := context.AfterFunc(ctx, k.wake)
	defer stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changed.Broadcast()
	for (k.busy > 0 || k.ready()) && ctx.Err() == nil && k.sim.closing.Err() == nil {
		k.changed.Wait()
	}
	return context.Cause(ctx)
}

// ready says whether something is due. The caller holds k.mu.
func (k *courier) ready() bool {
	return len(k.queue) > 0 && !k.queue[0].due.After(k.sim.now())
}

func (k *courier) work() {
	for d := k.take(); d != nil; d = k.take() {
		k.sim.deliver(d)
		k.mu.Lock()
		k.busy--
		k.changed.Broadcast()
		k.mu.Unlock()
	}
}

// take waits for a delivery that is due; nil means that the simulator closes.
func (k *courier) take() *delivery {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.sim.closing.Err() == nil {
		if k.ready() {
			return k.pop()
		}
		if len(k.queue) > 0 {
			k.alarm.Reset(k.queue[0].due.Sub(k.sim.now()))
		}
		k.changed.Wait()
	}
	return nil
}

func (k *courier) pop() *delivery {
	d := k.queue[0]
	heap.Pop(&k.queue)
	k.busy++
	k.earliest.Store(math.MaxInt64)
	if len(k.queue) > 0 {
		k.earliest.Store(k.queue[0].due.UnixNano())
	}
	return d
}

// stop waits for the workers. What they were delivering is broken off, as the
// simulator's context has ended.
func (k *courier) stop() {
	k.workers.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.alarm.Stop()
}

// deliveries orders by time, and equal times by addition.
type deliveries []*delivery

func (h deliveries) Len() int      { return len(h) }
func (h deliveries) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h deliveries) Less(i, j int) bool {
	if h[i].due.Equal(h[j].due) {
		return h[i].number < h[j].number
	}
	return h[i].due.Before(h[j].due)
}

// Push implements heap.Interface.
func (h *deliveries) Push(x any) {
	if d, is := x.(*delivery); is {
		*h = append(*h, d)
	}
}

// Pop implements heap.Interface.
func (h *deliveries) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return d
}
