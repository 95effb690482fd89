package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

const (
	// pausedLong is how long a pause may last before somebody should look. What opens by
	// itself usually does so within minutes.
	pausedLong = 10 * time.Minute
	// silentLong is how long nobody may have announced an account that workers announce
	// every minute.
	silentLong = 3 * time.Minute
)

// turns looks at the accounts that workers share: which are paused for long, and which
// have sessions and no worker any more.
func (e *examination) turns(ctx context.Context, rdb redis.UniversalClient) []doctor.Finding {
	gate, store := account.NewGate(rdb), session.NewStore(rdb)
	findings, err := pausedFindings(ctx, gate)
	if err == nil && !e.cfg.Redis.URL.IsZero() { // on the embedded Redis workers come and go with their command
		var silent []doctor.Finding
		silent, err = silentFindings(ctx, gate, store)
		findings = append(findings, silent...)
	}
	if err != nil {
		findings = append(findings, doctor.Finding{Check: "accounts.turns", Level: doctor.Warning, Text: "the accounts that workers share cannot be read: " + sentence(err)})
	}
	if len(findings) == 0 {
		findings = []doctor.Finding{{Check: "accounts.turns", Level: doctor.OK, Text: "no account is paused for long, and none has lost its workers"}}
	}
	return findings
}

// pausedFindings names the endpoints that have been closed for long, without a success
// between.
func pausedFindings(ctx context.Context, gate *account.Gate) ([]doctor.Finding, error) {
	known, err := gate.Known(ctx, "")
	if err != nil {
		return nil, err
	}
	var findings []doctor.Finding
	for _, k := range known {
		state, err := gate.State(ctx, k.ID, k.Limits)
		if err != nil {
			return nil, err
		}
		for _, endpoint := range state.Endpoints {
			if endpoint.Pause == nil || state.Now.Sub(endpoint.Pause.Since) <= pausedLong {
				continue
			}
			findings = append(findings, doctor.Finding{
				Check: "accounts.paused", Level: doctor.Warning,
				Text: fmt.Sprintf("%s takes no %s for %s now: %s", k.ID, endpoint.Name, state.Now.Sub(endpoint.Pause.Since).Round(time.Minute), endpoint.Pause.Why),
				Cure: "the provider's status page, the account's plan and credits there; it is tried again by itself",
			})
		}
	}
	return findings, nil
}

// silentFindings names the accounts that open sessions are bound to and that no worker
// has announced of late.
func silentFindings(ctx context.Context, gate *account.Gate, store *session.Store) ([]doctor.Finding, error) {
	now, err := store.Now(ctx)
	if err != nil {
		return nil, err
	}
	alive, err := store.Workers(ctx)
	if err != nil || len(alive) == 0 {
		return nil, err // without workers every account is silent, which is a finding of its own
	}
	known, err := gate.Known(ctx, "")
	if err != nil {
		return nil, err
	}
	seen := map[account.ID]time.Time{}
	for _, k := range known {
		seen[k.ID] = k.Seen
	}
	bound, err := boundTo(ctx, store)
	if err != nil {
		return nil, err
	}
	var findings []doctor.Finding
	byName := func(a, b account.ID) int { return strings.Compare(a.String(), b.String()) }
	for _, id := range slices.SortedFunc(maps.Keys(bound), byName) {
		at, listed := seen[id]
		if listed && now.Sub(at) <= silentLong {
			continue
		}
		since := "for over an hour"
		if listed {
			since = "for " + now.Sub(at).Round(time.Minute).String()
		}
		findings = append(findings, doctor.Finding{
			Check: "accounts.workers", Level: doctor.Warning,
			Text: fmt.Sprintf("%s of %s %s open, and no worker has had that account %s: %s", plural(len(bound[id]), "session"), id, isAre(len(bound[id])), since, fewOf(bound[id])),
			Cure: "give the account and its key back to a worker's configuration, or segue cancel " + strings.Join(bound[id][:min(len(bound[id]), 5)], " "),
		})
	}
	return findings, nil
}

// boundTo lists the open sessions in which something still moves, by their account.
func boundTo(ctx context.Context, store *session.Store) (map[account.ID][]string, error) {
	open, err := store.Open(ctx)
	if err != nil {
		return nil, err
	}
	bound := map[account.ID][]string{}
	for _, id := range open {
		current, err := store.Session(ctx, id)
		if fault.CodeOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if !current.Status().Over() && current.Ready {
			of := account.ID{Provider: current.Provider, Name: current.Account}
			bound[of] = append(bound[of], id)
		}
	}
	return bound, nil
}
