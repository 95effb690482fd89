//go:build !race

package handlers_test

// underRace says that the race detector watches.
const underRace = false
