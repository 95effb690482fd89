package account

import (
	"context"
	"time"
)

// State is how an account stands, at one moment of Redis's clock.
type State struct {
	Now time.Time
	// Slots and Stock are how many are held.
	Slots, Stock int
	// Endpoints are those that were used or closed, by name.
	Endpoints []EndpointState
	// Waiting is how many sessions wait, by kind; kinds without any are left out.
	Waiting map[string]int
	// Draining says that no new sessions are bound to the account.
	Draining bool
	Demand
}

// EndpointState is one endpoint of an account.
type EndpointState struct {
	Name string
	// Requests is how many went within the last Rate.Per + Guard; 0 without a rate.
	Requests int
	// Planned is how many have a turn and have not gone.
	Planned int
	// Sent is how many ever went.
	Sent int64
	// Pause is nil when the endpoint is open.
	Pause *PauseState
}

// State reads how an account stands.
func (g *Gate) State(ctx context.Context, id ID, l Limits) (State, error) {
	return State{}, errMissing
}
