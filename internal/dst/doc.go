// Package dst simulates Segue deterministically: the real handlers and the real
// store, an in-process Redis, a provider in memory, and a seeded scheduler that
// decides everything else.
//
// The word is FoundationDB's and TigerBeetle's. A run is one seed. Its workers are
// goroutines of which one runs at a time: each stops at every command to Redis,
// at every named place of a handler, and around every request to the provider, and
// the scheduler says who goes on, and what befalls it there. A worker dies between
// any two commands, freezes and wakes after its claim was taken away, loses the
// reply of a command that took effect; a task is delivered twice, late, or never;
// the provider bills and its answer is lost; callbacks come early, doubled or not
// at all; an operator cancels, retries and resolves meanwhile. Time is that of a
// testing/synctest bubble: it moves when the scheduler says so, and hours cost
// nothing.
//
// What must hold is said in oracle_test.go and is asked of the provider's own log
// of charges, which Segue does not control. When the faults stop, everything must
// end, or be held for a person, within a bounded number of rounds.
//
// A seed always gives the same run. A failure prints its seed, the command that
// repeats it, and the trace, cut off as early as it still fails. Seeds that once
// failed are kept in testdata/seeds.txt and run every time.
//
//	go test ./internal/dst -run TestSeeds -dst.seeds=10000
//	go test ./internal/dst -run TestSeeds -dst.seed=4711 -v
//
// There is no code here but tests.
package dst
