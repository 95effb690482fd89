package certify

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// crew are the workers that live.
type crew struct {
	mu     sync.Mutex
	hired  int
	living map[int]*process
	ready  map[int]<-chan struct{}
}

func (c *crew) all() []*process {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*process, 0, len(c.living))
	for _, p := range c.living {
		all = append(all, p)
	}
	return all
}

func (c *crew) join(n int, p *process, ready <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.living == nil {
		c.living, c.ready = map[int]*process{}, map[int]<-chan struct{}{}
	}
	c.living[n], c.ready[n] = p, ready
}

func (c *crew) leave(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.living, n)
	delete(c.ready, n)
}

// deserted says which worker ended though nobody killed it.
func (c *crew) deserted() error {
	for _, p := range c.all() {
		if !p.running() {
			return p.died()
		}
	}
	return nil
}

// pick chooses one of the workers that have begun to work; 0 when there is none.
// Numbers are looked at in order, so that a seed means the same every time.
func (c *crew) pick(draw *rand.Rand) (int, *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var working []int
	for n := 1; n <= c.hired; n++ {
		if c.living[n] == nil {
			continue
		}
		select {
		case <-c.ready[n]:
			working = append(working, n)
		default:
		}
	}
	if len(working) == 0 {
		return 0, nil
	}
	n := working[draw.IntN(len(working))]
	return n, c.living[n]
}

// hire starts one more worker.
func (r *run) hire(ctx context.Context) error {
	r.crew.mu.Lock()
	r.crew.hired++
	n := r.crew.hired
	r.crew.mu.Unlock()
	w := r.system.Worker(n)
	w.Name = "worker-" + strconv.Itoa(n)
	p, err := r.nursery.start(ctx, w.Command)
	if err != nil {
		return err
	}
	r.crew.join(n, p, w.Ready)
	return nil
}

// kill ends workers at random moments and starts new ones in their places.
func (r *run) kill(ctx context.Context) error {
	draw := rand.New(rand.NewPCG(r.Options.Seed, 1))
	for done := 0; done < r.Options.Kills; {
		if !pause(ctx, time.Duration(draw.Float64()*2*float64(r.Options.Every)), false) {
			return ctx.Err()
		}
		n, victim := r.crew.pick(draw)
		if victim == nil {
			continue
		}
		if err := r.strike(ctx, n, victim); err != nil {
			return err
		}
		done++
	}
	return nil
}

// strike kills one worker, and looks at what it had in hand: until somebody notices
// its death, nobody else touches that.
func (r *run) strike(ctx context.Context, n int, victim *process) error {
	paid := r.Gateway.paidBy(n)
	at := time.Now()
	r.crew.leave(n)
	victim.kill()
	grips, err := r.system.InHand(ctx, n)
	if err != nil {
		return err
	}
	r.tally.killed(at, paid, grips)
	return r.hire(ctx)
}

// feed keeps items on their way until the kills are done and there are enough
// sessions, and returns when nothing moves any more, or nothing has moved for long.
func (r *run) feed(ctx context.Context, killed <-chan struct{}) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var before Load
	changed := time.Now()
	for {
		load, err := r.system.Load(ctx)
		if err != nil {
			return err
		}
		if load != before {
			before, changed = load, time.Now()
		}
		over := isClosed(killed)
		enough := over && len(r.batches) >= r.Options.Sessions
		switch {
		case enough && load.Open == 0:
			return nil
		case enough && time.Since(changed) > r.Options.Patience:
			r.Options.Log.WarnContext(ctx, "nothing has moved for long; the rest is given up")
			return nil
		}
		for moving := load.Moving; !enough && moving < r.Options.InFlight; moving += r.Options.Items {
			if err := r.submit(ctx); err != nil {
				return err
			}
		}
		if err := r.crew.deserted(); err != nil {
			return err
		}
		r.tell(Progress{Stage: stageOf(over), Load: load})
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func stageOf(killed bool) string {
	if killed {
		return "coming to rest"
	}
	return "killing"
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// tell reports progress.
func (r *run) tell(p Progress) {
	p.Kills, p.Sessions = r.tally.kills(), len(r.batches)
	r.Options.Progress(p)
}

// submit makes songs and hands in one session of them.
func (r *run) submit(ctx context.Context) error {
	if r.batches == nil {
		r.batches = map[string]Batch{}
	}
	n := len(r.batches)
	dir := filepath.Join(r.Options.Dir, "songs", strconv.Itoa(n))
	songs, err := makeSongs(dir, n*r.Options.Items, r.Options.Items)
	if err != nil {
		return err
	}
	batch := Batch{Account: r.Account(n), Songs: songs, Last: stepExtend}
	if r.Options.UploadOnly {
		batch.Last = stepUpload
	}
	id, err := r.system.Submit(ctx, batch)
	if err != nil {
		return err
	}
	r.batches[id] = batch
	return nil
}

// watch follows what killed workers had in hand, until it has moved on.
func (r *run) watch(ctx context.Context, rested <-chan struct{}) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		over := isClosed(rested)
		for _, open := range r.tally.open() {
			sight, err := r.system.Look(ctx, open.Grip)
			if err != nil {
				return err
			}
			r.tally.saw(open, sight)
		}
		if over {
			r.tally.rest()
			return nil
		}
		select {
		case <-ticker.C:
		case <-rested:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
