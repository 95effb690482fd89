package handlers

import (
	"testing"
	"time"
)

// SlowServers lets servers ask for tasks so seldom that hours of virtual time pass in
// seconds, until the test ends.
func SlowServers(t testing.TB) {
	before := checkEvery
	checkEvery = time.Second
	t.Cleanup(func() { checkEvery = before })
}

// RetryFetches bounds the wait between two attempts of a fetch until the test ends.
func RetryFetches(t testing.TB, longest time.Duration) {
	before := longestPause
	longestPause = longest
	t.Cleanup(func() { longestPause = before })
}

// LookAtClaims says how long a claim is taken to hold without a look at it, until the
// test ends.
func LookAtClaims(t testing.TB, after time.Duration) {
	before := ownedFor
	ownedFor = after
	t.Cleanup(func() { ownedFor = before })
}
