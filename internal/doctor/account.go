package doctor

import (
	"context"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// answerWithin is how long a provider may take to say a balance.
const answerWithin = 10 * time.Second

// Account is one configured credential at one provider.
type Account struct {
	Provider, Name string
	// Missing is why there is no key to use; nil when there is one.
	Missing error
	// Alone says that the provider has no other account whose key is there.
	Alone bool
	// Credits asks for the balance, which is free; nil when the provider is
	// simulated by the processes that use it.
	Credits func(ctx context.Context) (float64, error)
	// Budget is the most the account may ever spend; nil is no limit. Used is how
	// much of it the books count as spent or reserved; 0 where they do not know.
	Budget *float64
	Used   float64
	// Parked is for how long nothing more is sent, because the provider refused for
	// want of credits; 0 when it did not.
	Parked time.Duration
	// Price is what one file costs, in the provider's credits.
	Price float64
	// Assumed are the settings whose values are guesses on the high side, because
	// the provider publishes no prices.
	Assumed []string
}

// Accounts asks every account for its balance, all at once, and judges what it
// finds: whether the key is there and accepted, and what the balance is good for.
// A key that is not there, or not accepted, is an Error with code denied.
func Accounts(ctx context.Context, all []Account) []Finding {
	found := make([]chart, len(all))
	var wg sync.WaitGroup
	for n := range all {
		wg.Go(func() { all[n].examine(ctx, &found[n]) })
	}
	wg.Wait()
	var c chart
	for n := range found {
		c.from("", found[n].findings)
	}
	if len(all) == 0 {
		c.add(Note, "provider.accounts", "KIE_API_KEY, MOUNTSEA_API_KEY, … in the environment, or providers in the configuration (segue config print)",
			"no provider is configured")
	}
	return c.findings
}

func (a Account) name() string { return a.Provider + "/" + a.Name }

func (a Account) examine(ctx context.Context, c *chart) {
	switch {
	case a.Missing != nil && a.Alone:
		c.findings = append(c.findings, Finding{
			"provider.key", Error, a.name() + " has no key here: " + fault.Reason(a.Missing),
			"set it (segue config print shows where each key comes from); a machine that only submits needs none", fault.Denied,
		})
		return
	case a.Missing != nil:
		c.add(Warning, "provider.key", "set it (segue config print shows where each key comes from)", "%s has no key here: %s", a.name(), fault.Reason(a.Missing))
		return
	case a.Credits == nil:
		c.ok("provider.key", "%s is simulated, and needs no key", a.name())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	balance, err := a.Credits(ctx)
	if err != nil {
		a.refused(err, c)
	} else {
		a.judge(balance, c)
	}
	a.limited(c)
	for _, setting := range a.Assumed {
		c.add(Warning, "provider.prices", setting+": what your plan is charged", "the price of %s is an assumption: plans and budgets count with it", setting)
	}
}

// refused judges an account whose balance did not come.
func (a Account) refused(err error, c *chart) {
	switch fault.CodeOf(err) {
	case fault.Denied:
		c.findings = append(c.findings, Finding{
			"provider.key", Error, "provider " + a.Provider + " does not accept the key of account " + a.Name,
			"set the right key (segue config print shows where it comes from)", fault.Denied,
		})
	case fault.Unavailable, fault.Timeout:
		c.add(Error, "provider.reach", "see its status page and this machine's way to it (proxy, firewall, DNS); work waits, and goes on by itself",
			"%s does not answer: %s", a.name(), fault.Reason(err))
	case fault.Exhausted:
		c.add(Warning, "provider.reach", "wait a little; nothing is lost", "%s answers that it is asked too much: %s", a.name(), fault.Reason(err))
	default:
		c.add(Warning, "provider.balance", "", "the balance of %s is not known: %s", a.name(), fault.Reason(err))
	}
}

// judge says what a balance is good for.
func (a Account) judge(balance float64, c *chart) {
	c.ok("provider.key", "%s answers and accepts the key", a.name())
	switch {
	case balance <= 0:
		c.add(Warning, "provider.balance", "buy credits; what waits goes on by itself", "%s has no credits left (%g)", a.name(), balance)
	case balance < a.Price:
		c.add(Warning, "provider.balance", "buy credits; what waits goes on by itself", "%s has %g credits, and one file costs %g", a.name(), balance, a.Price)
	case a.Budget != nil && *a.Budget-a.Used > balance:
		c.add(Note, "provider.balance", "", "%s has %g credits, and %g are left of its budget: the credits end first", a.name(), balance, *a.Budget-a.Used)
	default:
		c.ok("provider.balance", "%s has %g credits", a.name(), balance)
	}
}

// limited says what keeps the account from spending.
func (a Account) limited(c *chart) {
	if a.Budget != nil && a.Used >= *a.Budget {
		setting := "providers." + a.Provider + ".accounts." + a.Name + ".budget"
		c.add(Warning, "provider.budget", setting+": more than what was spent", "the budget of %s is used up (%g of %g): nothing more is paid for", a.name(), a.Used, *a.Budget)
	}
	if a.Parked > 0 {
		c.add(Warning, "provider.parked", "buy credits; it goes on by itself when the balance is enough", "%s ran out of credits: nothing is sent for %s, or until the balance is enough", a.name(), a.Parked.Round(time.Second))
	}
}
