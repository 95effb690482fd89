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
	writeArgs  = 18 // EVALSHA, the digest, 8, 8 keys, 7 arguments
	writeItems = 4  // the second key
	writeIndex = 11
	writeEpoch = 12
	writeBody  = 14
)

// planted are defects that this simulation exists to find, and the promise that
// each of them breaks.
var planted = map[string]struct {
	breaks string
	plant  func(s *sim)
}{
	"a driver that repeats what got no answer": {"P1: a second request for one generation", func(s *sim) { s.vendor.sendsTwice = true }},
	"a request that leaves after its deadline": {"P1: ", func(s *sim) { s.vendor.fence = false }},
	"evidence that is believed too early":      {"P", func(s *sim) { s.vendor.hasty = true }},
	"a store that compares no epochs": {"P", func(s *sim) {
		s.tamper = func(args []any) {
			if len(args) != writeArgs {
				return
			}
			items, index := args[writeItems].(string), args[writeIndex].(int)
			epoch, _, _ := strings.Cut(s.mini.HGet(items, strconv.Itoa(index)), "|")
			args[writeEpoch] = epoch
		}
	}},
	"a record without its operations": {"P2: request for", func(s *sim) {
		s.tamper = func(args []any) {
			if len(args) == writeArgs {
				args[writeBody] = bytes.ReplaceAll(args[writeBody].([]byte), []byte(`"ops":`), []byte(`"oops":`))
			}
		}
	}},
	"results that are mixed up":       {"P3: item", func(s *sim) { s.vendor.mixesUp = true }},
	"a budget that nobody is told of": {"P7: ", func(s *sim) { s.hidesBudget = true }},
	"a sweep that never comes":        {"P2: it does not end", func(s *sim) { s.sweepless = true }},
	"a completion that settles again": {"P3: settled", func(s *sim) { s.owesAlways = true }},
	"a wait that counts as a failure": {"P6: ", func(s *sim) { s.impatient = true }},
}

// TestPlantedDefectsAreFound: an oracle that finds nothing when there is something to
// be found says nothing when it is silent.
func TestPlantedDefectsAreFound(t *testing.T) {
	const atMost = 4000
	for name, defect := range planted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			for seed := uint64(1); seed <= atMost; seed++ {
				r := run(t, m, seed, options{events: -1, sabotage: defect.plant})
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
