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
