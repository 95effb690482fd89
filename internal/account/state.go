package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/reply"
)

// State is how an account stands, at one moment of Redis's clock.
type State struct {
	Now time.Time
	// Slots and Stock are how many are held.
	Slots, Stock int
	// Endpoints are those that were used or closed, by name.
	Endpoints []EndpointState
	// Rings is how many sessions wait or are picked, by kind; kinds without any are
	// left out.
	Rings map[string]int
	// Parked is how many sessions cannot pay for what their items wait for. They are in
	// no ring.
	Parked int
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
	const op = "account.State"
	if err := errors.Join(check(op, id), l.check(op)); err != nil {
		return State{}, err
	}
	a, err := g.ask(ctx, op, stateScript, id, l.Rate.N, l.Rate.window())
	if err != nil {
		return State{}, err
	}
	s := State{Now: a.Moment(), Slots: int(a.Whole()), Stock: int(a.Whole()), Demand: demandIn(a)}
	a.Each(func(one *reply.List) { s.Endpoints = append(s.Endpoints, endpointIn(one)) })
	s.Rings = map[string]int{}
	a.Each(func(one *reply.List) { s.Rings[one.Text()] = int(one.Whole()) })
	s.Parked = int(a.Whole())
	if err := a.End(); err != nil {
		return State{}, err
	}
	slices.SortFunc(s.Endpoints, func(a, b EndpointState) int { return strings.Compare(a.Name, b.Name) })
	s.Draining, err = g.rdb.SIsMember(ctx, keyDraining, id.String()).Result()
	return s, reply.Down(op, err)
}

func endpointIn(a *reply.List) EndpointState {
	e := EndpointState{Name: a.Text(), Sent: a.Whole(), Requests: int(a.Whole()), Planned: int(a.Whole())}
	a.In(func(pause *reply.List) {
		if pause.Left() > 0 {
			e.Pause = &PauseState{Endpoint: e.Name, Since: pause.Moment(), Closed: *closedIn(pause)}
		}
	})
	return e
}
