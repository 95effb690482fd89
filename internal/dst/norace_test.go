//go:build !race

package dst

// underRace says that the race detector watches.
const underRace = false
