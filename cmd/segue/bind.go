package main

import (
	"context"

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
// before, or one of those that could do most for it.
func (s *system) bind(ctx context.Context, asked *enqueue.Session) error {
	if asked.Account != "" {
		return nil
	}
	if err := s.gate.Announce(ctx, s.announced()); err != nil {
		return err
	}
	name, err := s.client.Choose(ctx, asked.Provider, asked.Key)
	asked.Account = name
	return err
}
