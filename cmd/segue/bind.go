package main

import (
	"context"
	"maps"
	"slices"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/session"
)

// announced lists the accounts that this process can use, for producers that know
// none: those of the configuration, and those of drivers that nobody configured and
// whose key is there.
func (s *system) announced() []account.Known {
	var all []account.Known
	cfg := s.config()
	for _, name := range cfg.ProviderNames() {
		p, err := cfg.Provider(name)
		if err != nil {
			continue // a name that was listed has its provider
		}
		_, simulated := s.sims[name]
		for _, acc := range p.Accounts {
			if acc.Err() != nil && !simulated {
				continue
			}
			all = append(all, s.known(p, acc))
		}
	}
	return all
}

// known is what producers are told of an account.
func (s *system) known(p config.Provider, acc config.Account) account.Known {
	return account.Known{
		ID:     account.ID{Provider: p.Name, Name: acc.Name},
		Limits: account.Limits{Rate: account.Rate(p.Limits.Submit), InFlight: p.Limits.InFlight},
		Budget: acc.Budget, DailyBudget: acc.DailyBudget, Endpoint: string(session.StepExtend),
	}
}

// bind gives a session that names no account the one that it had, if it was submitted
// before, or one of those that could do most for it. An account that is being drained
// takes none that is new.
func (s *system) bind(ctx context.Context, asked *enqueue.Session) error {
	if before, err := s.submittedBefore(ctx, asked); before || err != nil {
		return err
	}
	if asked.Account == "" {
		if err := s.gate.Announce(ctx, s.announced()); err != nil {
			return err
		}
		name, err := s.client.Choose(ctx, asked.Provider, asked.Key)
		if err != nil {
			return err
		}
		asked.Account = name
	}
	return s.refuseDraining(ctx, asked)
}

// submittedBefore finds the session that the same command has made already, and asks for
// it. An account may have been named then and not now, or now and not then: it is the
// same command as long as the session is bound to an account that this one may have.
func (s *system) submittedBefore(ctx context.Context, asked *enqueue.Session) (bool, error) {
	if asked.Key == "" {
		return false, nil // it is to be paid anew
	}
	named, err := keyOf(asked, asked.Account)
	if err != nil {
		return false, err
	}
	// Where the command named none, the only account there is was filled in.
	free := asked.Account == "" || named != asked.Key
	names := []string{"", asked.Account}
	if p, err := s.config().Provider(asked.Provider); err == nil && free {
		names = append(names, slices.Sorted(maps.Keys(p.Accounts))...)
	}
	for _, name := range names {
		key, err := keyOf(asked, name)
		if err != nil {
			return false, err
		}
		bound, err := s.store.Bound(ctx, key)
		if err != nil {
			return false, err
		}
		if bound != "" && (free || bound == asked.Account) {
			asked.Key, asked.Account = key, bound
			return true, nil
		}
	}
	return false, nil
}
