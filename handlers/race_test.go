//go:build race

package handlers_test

// underRace says that the race detector watches: virtual hours take minutes then, so
// that make test runs what needs many of them once more without it.
const underRace = true
