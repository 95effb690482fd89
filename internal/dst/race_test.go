//go:build race

package dst

// underRace says that the race detector watches: virtual hours take minutes then, so
// that make test runs what needs many of them once more without it.
const underRace = true
