package doctor

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// balance answers with a balance, or with an error.
func balance(credits float64, err error) func(context.Context) (float64, error) {
	return func(context.Context) (float64, error) { return credits, err }
}

func TestAccounts(t *testing.T) {
	failed := func(code fault.Code, why string) error { return fault.Uncharged(code, "kie.Credits", errors.New(why)) }
	budget := 500.0
	for name, c := range map[string]struct {
		account Account
		want    []expected
		code    fault.Code
	}{
		"well":      {Account{Credits: balance(120, nil), Price: 12}, nil, ""},
		"simulated": {Account{}, nil, ""},
		"no key at all": {
			Account{Missing: errors.New("KIE_API_KEY is not set"), Alone: true, Credits: balance(1, nil)},
			[]expected{{Error, "provider.key", "kie/main has no key here: KIE_API_KEY is not set", "config print"}},
			fault.Denied,
		},
		"no key, and another account": {
			Account{Missing: errors.New("SECOND is not set"), Credits: balance(1, nil)},
			[]expected{{Warning, "provider.key", "SECOND is not set", "config print"}},
			"",
		},
		"wrong key": {
			Account{Credits: balance(0, failed(fault.Denied, "401"))},
			[]expected{{Error, "provider.key", "provider kie does not accept the key of account main", "config print"}},
			fault.Denied,
		},
		"down":      {Account{Credits: balance(0, failed(fault.Unavailable, "connection refused"))}, []expected{{Error, "provider.reach", "kie/main does not answer: connection refused", "firewall"}}, ""},
		"slow":      {Account{Credits: balance(0, context.DeadlineExceeded)}, []expected{{Error, "provider.reach", "does not answer", "firewall"}}, ""},
		"busy":      {Account{Credits: balance(0, failed(fault.Exhausted, "429"))}, []expected{{Warning, "provider.reach", "asked too much: 429", "wait"}}, ""},
		"unclear":   {Account{Credits: balance(0, failed(fault.Malformed, "no balance"))}, []expected{{Warning, "provider.balance", "not known: no balance", ""}}, ""},
		"empty":     {Account{Credits: balance(0, nil), Price: 12}, []expected{{Warning, "provider.balance", "no credits left (0)", "buy"}}, ""},
		"nearly so": {Account{Credits: balance(11, nil), Price: 12}, []expected{{Warning, "provider.balance", "has 11 credits, and one file costs 12", "buy"}}, ""},
		"budget":    {Account{Credits: balance(120, nil), Price: 12, Budget: &budget, Used: 100}, []expected{{Note, "provider.balance", "has 120 credits, and 400 are left of its budget", ""}}, ""},
		"used up":   {Account{Credits: balance(120, nil), Price: 12, Budget: &budget, Used: 500}, []expected{{Warning, "provider.budget", "the budget of kie/main is used up (500 of 500)", "providers.kie.accounts.main.budget"}}, ""},
		"parked":    {Account{Credits: balance(120, nil), Price: 12, Parked: 90 * time.Second}, []expected{{Warning, "provider.parked", "nothing is sent for 1m30s", "buy"}}, ""},
		"assumed": {
			Account{Credits: balance(120, nil), Assumed: []string{"providers.kie.credits.extend"}},
			[]expected{{Warning, "provider.prices", "the price of providers.kie.credits.extend is an assumption", "providers.kie.credits.extend: what your plan"}},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.account.Provider, c.account.Name = "kie", "main"
			findings := Accounts(t.Context(), []Account{c.account})
			holds(t, findings, c.want...)
			if got := findings[0].Code; got != c.code {
				t.Errorf("code %q, want %q", got, c.code)
			}
		})
	}
	holds(t, Accounts(t.Context(), nil), expected{Note, "provider.accounts", "no provider is configured", "KIE_API_KEY"})
}

// All accounts are asked at once: one that waits for the other would never end.
func TestAccountsAreAskedAtOnce(t *testing.T) {
	first, second := make(chan struct{}), make(chan struct{})
	ask := func(arrived, other chan struct{}) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) {
			close(arrived)
			select {
			case <-other:
				return 10, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	}
	findings := Accounts(t.Context(), []Account{
		{Provider: "b", Name: "main", Credits: ask(first, second)}, {Provider: "a", Name: "main", Credits: ask(second, first)},
	})
	holds(t, findings)
	if want := "b/main answers and accepts the key"; findings[0].Text != want {
		t.Errorf("the first finding is %q, want %q: their order is that of the accounts", findings[0].Text, want)
	}
}
