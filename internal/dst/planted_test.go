package dst

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
)

// writesItem says whether a command is the script that writes an item, and gives
// the places of its arguments.
const (
	writeArgs  = 21 // EVALSHA, the digest, 10, 10 keys, 8 arguments
	writeItems = 4  // the second key
	writeIndex = 13
	writeEpoch = 14
	writeBody  = 16
)

// writes says that a command is that script: no other one of a session takes as many.
func writes(args []any) bool { return len(args) == writeArgs && args[2] == 10 }

// planted are defects that this simulation exists to find, and the promise that
// each of them breaks.
var planted = map[string]struct {
	breaks string
	plant  func(s *sim)
	seed   uint64 // where to begin to look, for one that is seldom met
}{
	"a driver that repeats what got no answer": {breaks: "P1: a second request for one generation", plant: func(s *sim) { s.vendor.sendsTwice = true }},
	// Its claim was given up by then, and so were the credits that it set aside.
	"a request that leaves after its deadline": {breaks: "P", plant: func(s *sim) { s.vendor.fence = false }},
	"evidence that is believed too early":      {breaks: "P", plant: func(s *sim) { s.vendor.hasty = true }},
	"a store that compares no epochs": {breaks: "P", plant: func(s *sim) {
		s.tamper = func(args []any) {
			if !writes(args) {
				return
			}
			items, index := args[writeItems].(string), args[writeIndex].(int)
			epoch, _, _ := strings.Cut(s.mini.HGet(items, strconv.Itoa(index)), "|")
			args[writeEpoch] = epoch
		}
	}},
	"a record without its operations": {breaks: "P2: request for", plant: func(s *sim) {
		s.tamper = func(args []any) {
			if writes(args) {
				args[writeBody] = bytes.ReplaceAll(args[writeBody].([]byte), []byte(`"ops":`), []byte(`"oops":`))
			}
		}
	}},
	"limits that are lower than told": {breaks: "limits: ", plant: func(s *sim) { s.vendor.narrow = true }},
	"results that are mixed up":       {breaks: "P3: item", plant: func(s *sim) { s.vendor.mixesUp = true }},
	"a budget that nobody is told of": {breaks: "P7: ", plant: func(s *sim) { s.hidesBudget = true }},
	"a sweep that never comes":        {breaks: "P2: it does not end", plant: func(s *sim) { s.sweepless = true }},
	"a completion that settles again": {breaks: "P3: settled", plant: func(s *sim) { s.owesAlways = true }},
	"a wait that counts as a failure": {breaks: "P6: ", plant: func(s *sim) { s.impatient = true }},
}

// TestPlantedDefectsAreFound: an oracle that finds nothing when there is something to
// be found says nothing when it is silent.
func TestPlantedDefectsAreFound(t *testing.T) {
	if underRace {
		t.Skip("it takes thousands of seeds: make test runs it without the race detector")
	}
	const atMost = 4000
	for name, defect := range planted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			first := max(1, defect.seed)
			for seed := first; seed < first+atMost; seed++ {
				r := run(t, m, seed, options{events: -1, sabotage: func(s *sim) {
					if !strings.HasPrefix(defect.breaks, "limits") {
						s.p.inFlight, s.p.rate = 0, 0 // whatever sends too much breaks them too
					}
					defect.plant(s)
				}})
				if len(r.violations) == 0 {
					continue
				}
				if got := r.violations[0]; !strings.HasPrefix(got, defect.breaks) {
					t.Fatalf("seed %d: found %q, want %s…", seed, got, defect.breaks)
				}
				t.Logf("found by seed %d", seed)
				return
			}
			t.Errorf("not found in %d seeds", atMost)
		})
	}
}

// errImpatient is what a handler must not return while it waits.
var errImpatient = fault.New(fault.Unavailable, "dst", errors.New("not ready"))
