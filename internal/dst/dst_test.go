package dst

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

var (
	seeds = flag.Int("dst.seeds", 100, "how many seeds TestSeeds runs")
	from  = flag.Uint64("dst.from", 1, "the first of them")
	one   = flag.Uint64("dst.seed", 0, "the one seed to run, with its trace; 0 means as many as -dst.seeds says")
)

// TestMain gives the collector less to do: a run makes much garbage and keeps
// nothing.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// whole is a run as its seed says.
var whole = options{events: -1}

func TestSeeds(t *testing.T) {
	if *one != 0 {
		r := run(t, newMachine(t), *one, whole)
		t.Log("\n" + traced(r))
		report(t, r)
		return
	}
	var next, charges atomic.Uint64
	next.Store(*from)
	seen := make(chan map[string]int, runtime.GOMAXPROCS(0))
	t.Run("all", func(t *testing.T) {
		for n := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				mini, marks := newMachine(t), map[string]int{}
				for seed := next.Add(1) - 1; seed < *from+uint64(*seeds) && !t.Failed(); seed = next.Add(1) - 1 {
					r := run(t, mini, seed, whole)
					report(t, r)
					charges.Add(uint64(r.charges))
					for what, times := range r.marks {
						marks[what] += times
					}
				}
				seen <- marks
			})
		}
	})
	close(seen)
	total := map[string]int{}
	for marks := range seen {
		for what, times := range marks {
			total[what] += times
		}
	}
	t.Logf("%d seeds, %d charges", *seeds, charges.Load())
	for _, what := range sorted(total) {
		t.Logf("%6d × %s", total[what], what)
	}
	if t.Failed() || *seeds < 300 {
		return
	}
	// A simulation that does not come by its faults proves nothing.
	for _, what := range []string{
		"a lease expired", "a process died", "a request was lost", "a request was refused", "a session was canceled",
		"a worker froze", "an answer was lost", "an item was retried", "an operator abandoned", "an operator adopted",
		"an operator resubmitted", "the fence held a request back", "a clip was continued by another item", "a clip was not found",
	} {
		if total[what] == 0 {
			t.Errorf("in %d seeds it never came to this: %s", *seeds, what)
		}
	}
}

// TestKeptSeeds runs the seeds that once failed.
func TestKeptSeeds(t *testing.T) {
	mini := newMachine(t)
	for _, seed := range kept(t) {
		report(t, run(t, mini, seed, options{events: -1, uploads: true}))
	}
}

// kept reads testdata/seeds.txt: a seed on each line, and after it what it found.
func kept(t *testing.T) []uint64 {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "seeds.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var found []uint64
	for line := range strings.Lines(string(body)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "" || word == "#" {
			continue
		}
		seed, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds.txt: %v", err)
		}
		found = append(found, seed)
	}
	return found
}

// TestSameSeedSameTrace runs seeds twice, on a server that is used already and on
// a new one.
func TestSameSeedSameTrace(t *testing.T) {
	used := newMachine(t)
	for seed := uint64(1); seed <= 20; seed++ {
		first, second := run(t, used, seed, whole), run(t, newMachine(t), seed, whole)
		if first.hash == second.hash {
			continue
		}
		for n := range first.trace {
			if n >= len(second.trace) || first.trace[n].String() != second.trace[n].String() {
				t.Fatalf("seed %d: two runs differ from line %d on:\n%s\n%s", seed, n, first.trace[n], second.trace[min(n, len(second.trace)-1)])
			}
		}
		t.Fatalf("seed %d: hashes %x and %x, and %d and %d lines", seed, first.hash, second.hash, len(first.trace), len(second.trace))
	}
}

// TestScriptsRunAsInMiniredis compares runs whose scripts are executed here with
// runs whose scripts miniredis executes.
func TestScriptsRunAsInMiniredis(t *testing.T) {
	ours, theirs := newMachine(t), newMachine(t)
	theirs.plain = true
	for seed := uint64(1); seed <= 10; seed++ {
		got, want := run(t, ours, seed, whole), run(t, theirs, seed, whole)
		if got.hash != want.hash {
			t.Errorf("seed %d: traces %x and %x, want the same", seed, got.hash, want.hash)
		}
	}
}

// report fails the test for a run that broke a promise, with what is needed to
// see it again.
func report(t *testing.T, r *result) {
	t.Helper()
	if len(r.violations) == 0 {
		return
	}
	shortest := shrink(t, r)
	t.Errorf("seed %d: %s\n\ngo test ./internal/dst -run 'TestSeeds$' -dst.seed=%d -v\n\nThe trace (%x), cut off after %d of %d events:\n%s",
		r.seed, strings.Join(shortest.violations, "\n"), r.seed, r.hash, shortest.events, r.events, traced(shortest))
}

// shrink looks for a run of the seed with fewer events that fails too: what happens
// up to there is the same, and then the faults stop.
func shrink(t *testing.T, r *result) *result {
	t.Helper()
	best, mini := r, newMachine(t)
	for step := max(1, r.events/2); step > 0; step /= 2 {
		for best.events >= step {
			shorter := run(t, mini, r.seed, options{events: best.events - step})
			if len(shorter.violations) == 0 {
				break
			}
			best = shorter
		}
	}
	return best
}

// traced writes a trace down: all of it up to the calm, and the end of the calm,
// which is long where it does not end.
func traced(r *result) string {
	const last = 80
	var text strings.Builder
	calm := slices.IndexFunc(r.trace, func(e entry) bool { return e.place == "calm" })
	for n, e := range r.trace {
		switch {
		case n == calm+last:
			fmt.Fprintln(&text, "  …")
		case n < calm+last || n > len(r.trace)-last:
			fmt.Fprintln(&text, e)
		}
	}
	return text.String()
}
