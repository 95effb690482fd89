package handlers

import (
	"testing"
	"time"
)

// SlowServers lets servers ask for tasks so seldom that hours of virtual time pass in
// seconds, until the test ends.
func SlowServers(t testing.TB) {
	before := checkEvery
	checkEvery = time.Second / 4
	t.Cleanup(func() { checkEvery = before })
}
