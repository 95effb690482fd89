// Package account holds the accounts that sessions are bound to: one credential
// at one provider, its driver, and what is known about both.
package account

import (
	"sync"

	"github.com/segue-audio/segue/internal/provider"
)

// Account is one credential at one provider, ready to use.
type Account struct {
	// Provider and Name are those of the configuration.
	Provider, Name string
	// Info is what is known of the provider, with the configuration's overrides.
	Info provider.Info
	// Driver speaks to it.
	Driver provider.Driver
	// Budget is the most credits that may ever be spent with it, DailyBudget the most
	// in one day (UTC); nil is no limit.
	Budget, DailyBudget *float64
}

// Pool opens accounts when they are first asked for and keeps them. It is safe
// for concurrent use.
type Pool struct {
	open func(provider, account string) (*Account, error)

	mu   sync.Mutex
	kept map[[2]string]*Account
}

// NewPool returns a pool that opens accounts with the given function.
func NewPool(open func(provider, account string) (*Account, error)) *Pool {
	return &Pool{open: open, kept: map[[2]string]*Account{}}
}

// Get gives an account. One that cannot be opened (it is not configured, its key
// is missing) is asked for again the next time: the error is open's.
func (p *Pool) Get(providerName, name string) (*Account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := [2]string{providerName, name}
	if known := p.kept[key]; known != nil {
		return known, nil
	}
	opened, err := p.open(providerName, name)
	if err != nil {
		return nil, err
	}
	p.kept[key] = opened
	return opened, nil
}
