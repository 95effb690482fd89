// Package certify measures, with real processes, what becomes of paid requests
// when workers are killed: the figures of docs/reliability.md, for anybody to
// repeat.
//
// A run has a redis-server of its own, a fake provider in a process of its own,
// and worker processes that are ended with SIGKILL at random moments while
// sessions go on being submitted. Between the workers and the provider stands a
// [Gateway] in this process: it makes paid requests take as long as they do over
// a network, on both ways, and knows exactly which worker had one on its way
// when it was killed.
//
// What counts is judged by [Judge] alone, from the provider's own charge log and
// its own answers about each operation. What the system under test says of itself
// is held against them and never believed.
//
// The rig is the same for every [System]: [Segue] is one, the plain asynq handlers
// of bench/plain are another.
package certify
