package certify

import (
	"slices"
	"sync"
	"time"
)

// tally counts what happens around kills.
type tally struct {
	mu       sync.Mutex
	done     int
	busy     int
	requests int
	watched  []*watched
	rescues  []time.Duration
	doubts   []time.Duration
	ways     map[string]int
}

// watched is a grip of a killed worker that has not come to rest.
type watched struct {
	Grip
	since time.Time
	moved bool
}

func newTally() *tally { return &tally{ways: map[string]int{}} }

// killed counts a kill, with the paid requests that its worker had on the way.
func (t *tally) killed(at time.Time, paid int, grips []Grip) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done++
	t.requests += paid
	if paid > 0 {
		t.busy++
	}
	for _, g := range grips {
		t.watched = append(t.watched, &watched{Grip: g, since: at})
	}
}

func (t *tally) kills() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.done
}

// open are the grips to look at.
func (t *tally) open() []*watched {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.watched)
}

// saw counts what became of a grip.
func (t *tally) saw(w *watched, s Sight) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !w.moved && !s.Moved.IsZero() {
		w.moved = true
		t.rescues = append(t.rescues, s.Moved.Sub(w.since))
	}
	if !w.moved || (w.Paid && s.Settled.IsZero()) {
		return
	}
	if w.Paid {
		t.doubts = append(t.doubts, s.Settled.Sub(w.since))
		t.ways[s.How]++
	}
	t.watched = slices.DeleteFunc(t.watched, func(other *watched) bool { return other == w })
}

// rest counts the doubts that nothing has settled when nothing moves any more.
func (t *tally) rest() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range t.watched {
		if w.Paid && w.moved {
			t.ways[LeftHeld]++
		}
	}
	t.watched = nil
}

// Spread is how a set of durations is distributed, in seconds.
type Spread struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// spread describes durations by nearest rank.
func spread(all []time.Duration) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(all))
	rank := func(percent int) float64 {
		return sorted[max(0, (len(sorted)*percent+99)/100-1)].Seconds()
	}
	return Spread{len(sorted), rank(50), rank(99), rank(100)}
}
