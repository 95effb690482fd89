package account_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/segue-audio/segue/internal/account"
)

// crowded gives the first moment from which more than n requests lie within per.
func crowded(stamps []time.Time, n int, per time.Duration) (time.Time, bool) {
	slices.SortFunc(stamps, time.Time.Compare)
	for k := n; k < len(stamps); k++ {
		if stamps[k].Sub(stamps[k-n]) < per {
			return stamps[k-n], true
		}
	}
	return time.Time{}, false
}

// TestExact: whatever is called in whatever order, however late and however often, no
// window has more requests than the rate, no more slots are held than there are, and
// while an endpoint is being reopened one entry is let in.
func TestExact(t *testing.T) {
	c := newClock(t)
	rapid.Check(t, func(rt *rapid.T) {
		c.mini.FlushAll()
		m := &traffic{clock: c, held: map[string]bool{}, limits: account.Limits{
			Rate:     account.Rate{N: rapid.IntRange(1, 4).Draw(rt, "n"), Per: time.Duration(rapid.IntRange(1, 10_000).Draw(rt, "per")) * time.Millisecond},
			InFlight: rapid.IntRange(0, 6).Draw(rt, "slots"),
		}}
		rt.Repeat(map[string]func(*rapid.T){
			"enter": m.Enter, "go": m.Go, "go too": m.Go, "go on": m.Go, "leave": m.Leave, "sleep": m.Sleep,
			"close": m.Close, "reopen": m.Reopen, "expire": m.Expire,
			"": m.check,
		})
	})
}

// traffic drives the gate, and remembers what it allowed.
type traffic struct {
	*clock
	limits account.Limits
	stamps []time.Time
	held   map[string]bool
	// till is when the closing ends; canary is who was let in since then.
	paused bool
	till   time.Time
	canary string
	leased time.Time
}

var anEntry = rapid.SampledFrom(entries("ses_a", 12))

func (m *traffic) again(t *rapid.T) int { return rapid.IntRange(1, 2).Draw(t, "calls") }

// tests notes that an entry was let in while the endpoint was not open.
func (m *traffic) tests(t *rapid.T, entry string) {
	if !m.paused {
		return
	}
	if m.till.After(m.now) {
		t.Fatalf("%s was let in %v before the closing ends", entry, m.till.Sub(m.now))
	}
	if m.canary != "" && m.canary != entry && m.leased.After(m.now) {
		t.Fatalf("%s was let in beside the canary %s", entry, m.canary)
	}
	m.canary = entry
}

func (m *traffic) Enter(t *rapid.T) {
	list := rapid.SliceOfNDistinct(anEntry, 1, 5, rapid.ID).Draw(t, "entries")
	r := account.Request{Entries: list, Ahead: time.Duration(rapid.IntRange(0, 40).Draw(t, "ahead")) * time.Second}
	for range m.again(t) {
		got, err := m.Gate.Enter(t.Context(), main, "extend", m.limits, r)
		if err != nil {
			t.Fatal(err)
		}
		for n, turn := range got.Turns {
			m.tests(t, list[n])
			m.leased = m.now.Add(max(0, turn) + time.Minute)
			if !m.held[list[n]] && turn > r.Ahead {
				t.Fatalf("a turn in %v, want none after %v", turn, r.Ahead)
			}
			m.held[list[n]] = true
		}
		if got.Closed != nil && len(got.Turns) < len(list) {
			m.forget(list[len(got.Turns)])
		}
		if all := len(got.Turns) == len(list); all == (got.Closed != nil || got.Full || got.Busy > 0) {
			t.Fatalf("Enter(%v) = %+v, want all in or one reason", list, got)
		}
	}
}

// forget takes note that a closing ended a slot: what went before keeps it, and only
// the gate knows.
func (m *traffic) forget(entry string) {
	if ok, err := m.mini.ZScore("segue:account:{kie/main}:slots", entry); err != nil || ok == 0 {
		delete(m.held, entry)
	}
}

func (m *traffic) Go(t *rapid.T) {
	entry := anEntry.Draw(t, "entry")
	for range m.again(t) {
		got, err := m.Gate.Go(t.Context(), main, "extend", m.limits, entry)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case got.Missing:
			if m.held[entry] {
				t.Fatalf("Go(%s): missing, and it holds a slot", entry)
			}
			continue
		case got.Closed != nil:
			m.forget(entry)
			continue
		case !m.held[entry]:
			t.Fatalf("Go(%s) = %+v without a slot", entry, got)
		}
		m.tests(t, entry)
		if got.Canary != m.paused {
			t.Fatalf("Go(%s) = %+v while closed: %v", entry, got, m.paused)
		}
		m.leased = m.now.Add(got.Wait + time.Minute)
		if got.Wait == 0 {
			m.stamps = append(m.stamps, m.now)
		}
	}
}

func (m *traffic) Leave(t *rapid.T) {
	entry := anEntry.Draw(t, "entry")
	for range m.again(t) {
		left, err := m.Gate.Leave(t.Context(), main, entry)
		if err != nil || left.Held != m.held[entry] {
			t.Fatalf("Leave(%s) = %+v, %v, want held: %v", entry, left, err, m.held[entry])
		}
		delete(m.held, entry)
		if m.canary == entry {
			m.canary = ""
		}
	}
}

func (m *traffic) Sleep(t *rapid.T) {
	m.pass(time.Duration(rapid.IntRange(1, 15_000).Draw(t, "ms")) * time.Millisecond)
}

func (m *traffic) Close(t *rapid.T) {
	p := account.Pause{For: time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second, Code: "c"}
	for range m.again(t) {
		if err := m.Gate.Close(t.Context(), main, "extend", p); err != nil {
			t.Fatal(err)
		}
	}
	if till := m.now.Add(p.For); !m.paused || till.After(m.till) {
		m.till, m.canary = till, ""
	}
	m.paused = true
}

func (m *traffic) Reopen(t *rapid.T) {
	was, err := m.Gate.Reopen(t.Context(), main, "extend")
	if err != nil || was != m.paused {
		t.Fatalf("Reopen() = %v, %v, want %v", was, err, m.paused)
	}
	m.paused, m.canary = false, ""
}

func (m *traffic) Expire(t *rapid.T) {
	for range m.again(t) {
		ended, err := m.Gate.Expire(t.Context(), main, "extend", "c")
		if err != nil || ended != m.paused {
			t.Fatalf("Expire() = %v, %v, want %v", ended, err, m.paused)
		}
	}
	if m.till.After(m.now) {
		m.till = m.now
	}
}

func (m *traffic) check(t *rapid.T) {
	if from, found := crowded(m.stamps, m.limits.Rate.N, m.limits.Rate.Per+account.Guard); found {
		t.Fatalf("more than %d requests within %v from %v", m.limits.Rate.N, m.limits.Rate.Per+account.Guard, from)
	}
	if m.limits.InFlight > 0 && len(m.held) > m.limits.InFlight {
		t.Fatalf("%d slots are held, want at most %d", len(m.held), m.limits.InFlight)
	}
	state, err := m.State(t.Context(), main, m.limits)
	if err != nil || state.Slots != len(m.held) {
		t.Fatalf("State() = %+v, %v, want %d slots", state, err, len(m.held))
	}
	for _, e := range state.Endpoints {
		if e.Requests > m.limits.Rate.N || e.Planned > state.Slots {
			t.Fatalf("State() = %+v, want at most %d requests, and slots for all that have a turn", state, m.limits.Rate.N)
		}
	}
}

// event is an entry that wakes.
type event struct {
	at    time.Time
	entry string
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// steady keeps an endpoint busy: a queue wakes entries late by up to 1.2 s, they sleep
// short waits, and there is always work. It gives what went, and how many calls of Go
// that took.
type steady struct {
	*clock
	limits  account.Limits
	ahead   time.Duration
	seed    *rand.Rand
	queue   events
	stamps  []time.Time
	calls   int
	entered int
}

func (s *steady) late() time.Duration { return time.Duration(s.seed.IntN(1201)) * time.Millisecond }

func (s *steady) fill() {
	for {
		list := entries(fmt.Sprintf("ses_%d", s.entered), 10)
		s.entered++
		got, err := s.Enter(s.t.Context(), main, "extend", s.limits, account.Request{Entries: list, Ahead: s.ahead})
		if err != nil {
			s.t.Fatal(err)
		}
		for n, turn := range got.Turns {
			wake := s.now.Add(turn)
			if turn > 0 {
				wake = wake.Add(s.late())
			}
			heap.Push(&s.queue, event{wake, list[n]})
		}
		if len(got.Turns) < len(list) {
			return
		}
	}
}

func (s *steady) run(d time.Duration) {
	s.fill()
	for end := s.now.Add(d); ; {
		if s.queue[0].at.After(end) {
			s.pass(end.Sub(s.now))
			return
		}
		next := heap.Pop(&s.queue).(event)
		s.pass(max(0, next.at.Sub(s.now)))
		gone := s.start(s.limits, next.entry)
		s.calls++
		switch {
		case gone.Missing || gone.Closed != nil:
			s.t.Fatalf("Go(%s) = %+v, want it to go or to wait", next.entry, gone)
		case gone.Wait == 0:
			s.stamps = append(s.stamps, s.now)
			s.leave(next.entry)
			s.fill()
		case gone.Wait <= 2*account.Lead:
			heap.Push(&s.queue, event{s.now.Add(gone.Wait + time.Millisecond), next.entry})
		default:
			heap.Push(&s.queue, event{s.now.Add(gone.Wait + s.late()), next.entry})
		}
	}
}

// TestRateIsUsed: although every wake-up is late, at least 95 % of what a provider
// allows is used, and few entries ask more than twice.
func TestRateIsUsed(t *testing.T) {
	for _, ahead := range []time.Duration{15 * time.Second, 2 * time.Minute} {
		for _, n := range []int{1, 20} {
			t.Run(fmt.Sprintf("%d per 10 s, %v ahead", n, ahead), func(t *testing.T) {
				const seed = 7
				s := &steady{
					clock: newClock(t), ahead: ahead, seed: rand.New(rand.NewPCG(seed, uint64(n))),
					limits: account.Limits{Rate: account.Rate{N: n, Per: 10 * time.Second}},
				}
				// The first window is not like the others: nothing went before it.
				s.run(time.Minute)
				s.stamps, s.calls = nil, 0
				s.run(5 * time.Minute)
				windows := s.stamps[len(s.stamps)-1].Sub(s.stamps[0]).Seconds() / 10
				used := float64(len(s.stamps)-n) / float64(n) / windows
				perEntry := float64(s.calls) / float64(len(s.stamps))
				t.Logf("used %.1f %%, %.2f calls each", 100*used, perEntry)
				if used < 0.95 || perEntry > 2 {
					t.Errorf("seed %d: %d requests in 5 minutes, %.1f %% of the rate, %.2f calls each; want 95 %% and at most 2", seed, len(s.stamps), 100*used, perEntry)
				}
				if from, found := crowded(s.stamps, n, 10*time.Second+account.Guard); found {
					t.Errorf("more than %d within a window from %v", n, from)
				}
			})
		}
	}
}
