// Package archtest holds the borders of this repository as a test: who may
// import whom, who may touch the process, what the producer library drags into
// the programs of others, and what a new provider must bring along.
//
// Everything in it runs as `make arch`, without a network, in a few seconds; on an
// empty build cache TestWalk, which adds a provider to a copy of the repository as
// CONTRIBUTING.md says, takes half a minute.
// (By hand, add -count=1: `go test` does not see that `go list` reads the whole
// module, and would show yesterday's result.) A rule reads a tree, which is either this module as
// `go list` and go/parser see it, or a few synthetic lines of source: every
// rule is shown to catch the violation it is there for.
package archtest
