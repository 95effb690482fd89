package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// Provider finds a provider by name: a configured one, or else the driver of
// that name with its defaults and the account main, whose key comes from
// <DRIVER>_API_KEY. The empty name is the only provider there is to choose: the
// one that is configured, or else the one whose variable is set. An unknown name
// is invalid, and so is a choice that is not obvious.
func (c *Config) Provider(name string) (Provider, error) {
	if name == "" {
		return c.onlyProvider()
	}
	if p, ok := c.Providers[name]; ok {
		return p, nil
	}
	if p, ok := c.builtin[name]; ok {
		return p, nil
	}
	return Provider{}, fault.Uncharged(fault.Invalid, "config.Provider",
		fmt.Errorf("there is no provider %q; %s", name, didYouMean(name, c.ProviderNames())))
}

// ProviderNames lists what Provider knows, sorted: the configured providers and
// the other drivers.
func (c *Config) ProviderNames() []string {
	names := append(slices.Collect(maps.Keys(c.Providers)), slices.Collect(maps.Keys(c.builtin))...)
	slices.Sort(names)
	return names
}

func (c *Config) onlyProvider() (Provider, error) {
	candidates := ordered(c.Providers)
	if len(candidates) == 0 {
		candidates = slices.DeleteFunc(ordered(c.builtin), func(p Provider) bool {
			return p.Accounts[mainAccount].missing != nil || p.Accounts[mainAccount].APIKey.IsZero()
		})
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	names, reason := c.ProviderNames(), "no provider is named, and none is configured; name one of"
	if len(candidates) > 1 {
		names, reason = nil, "no provider is named, and there are several; name one of"
		for _, p := range candidates {
			names = append(names, p.Name)
		}
	}
	return Provider{}, fault.Uncharged(fault.Invalid, "config.Provider", fmt.Errorf("%s %s", reason, strings.Join(names, ", ")))
}

// Account finds an account by name; the empty name is the only one, or main. An
// unknown name is invalid. The account may lack its key: see Account.Err.
func (p Provider) Account(name string) (Account, error) {
	if name == "" {
		if len(p.Accounts) == 1 {
			return ordered(p.Accounts)[0], nil
		}
		name = mainAccount
	}
	if a, ok := p.Accounts[name]; ok {
		return a, nil
	}
	return Account{}, fault.Uncharged(fault.Invalid, "config.Account",
		fmt.Errorf("provider %s has no account %q; %s", p.Name, name, didYouMean(name, sortedKeys(p.Accounts))))
}

// Usable lists the accounts that have their keys, by name. When there is none
// the error is denied and says for each account what is missing.
func (p Provider) Usable() ([]Account, error) {
	var reasons []error
	usable := slices.DeleteFunc(ordered(p.Accounts), func(a Account) bool {
		if a.missing != nil {
			reasons = append(reasons, a.missing)
		}
		return a.missing != nil
	})
	if len(usable) == 0 {
		return nil, fault.Uncharged(fault.Denied, "config.Usable", errors.Join(reasons...))
	}
	return usable, nil
}

// Err says why the account cannot be used: denied, when a credential that it
// needs or names is not there. Nil means that it can.
func (a Account) Err() error { return denied("config.Account", a.missing) }

// Err says why nobody can use the token: denied, when it is not there.
func (t Token) Err() error { return denied("config.Token", t.missing) }

// Err says why the object store cannot be used: denied, when a credential that
// the configuration names is not there.
func (s S3) Err() error { return denied("config.S3", s.missing) }

func denied(op string, missing error) error {
	if missing == nil {
		return nil
	}
	return fault.Uncharged(fault.Denied, op, missing)
}

// ordered gives the values of a map in the order of their names.
func ordered[V any](m map[string]V) []V {
	values := make([]V, 0, len(m))
	for _, name := range sortedKeys(m) {
		values = append(values, m[name])
	}
	return values
}

// sortedKeys lists the names of a map.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// isZero says that a value is its type's zero value, or an empty list.
func isZero(value any) bool {
	v := reflect.ValueOf(value)
	return !v.IsValid() || v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0
}
