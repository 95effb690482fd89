package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

func (a *app) accountsCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "Show every account: balance, what was spent, budgets, limits, pauses; drain and remove accounts",
		Long: `Shows every account that is configured, or that something was spent with: its money, and
below what it may do at once. running is how many of its operations run, of how many that
may; stock, how many files are uploaded ahead of their extend; upload and extend, how many
requests went in the window of its rate; waiting, how many sessions wait for their turn.
Balances are asked for, which is free; with --offline they are what was last known.`,
		Args: subcommand,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.accounts(ctx, sys, offline) })
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "do not ask for balances")
	cmd.SuggestionsMinimumDistance = suggestWithin
	cmd.AddCommand(a.drainCommand(), a.undrainCommand(), a.removeCommand())
	return cmd
}

// holding is an account that is configured, or that has books.
type holding struct {
	ledger.Account
	configured bool
	// simulated says that only the command that uses it could answer for it.
	simulated     bool
	missing       error
	budget, daily *float64
	// cheapest is what the cheapest step that costs anything does.
	cheapest float64
}

// silent says why an account is not asked for its balance; empty when it may be.
func (h *holding) silent() string {
	switch {
	case !h.configured:
		return "it is not configured here"
	case h.simulated:
		return "it is simulated by the command that uses it"
	case h.missing != nil:
		return "it has no key here"
	}
	return ""
}

// holdings lists the accounts that are asked about, by name; none is not_found, unless
// no particular one was asked about.
func (s *system) holdings(ctx context.Context, q asking) ([]holding, error) {
	all := s.configured()
	known := make(map[ledger.Account]bool, len(all))
	for _, h := range all {
		known[h.Account] = true
	}
	books, err := s.ledger.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, acc := range books {
		if !known[acc] {
			all = append(all, s.holding(acc))
		}
	}
	all = slices.DeleteFunc(all, func(h holding) bool { return !q.has(h.Account) })
	slices.SortFunc(all, func(a, b holding) int { return strings.Compare(a.String(), b.String()) })
	if len(all) == 0 && (q.provider != "" || q.account != "") {
		return nil, noAccount(q)
	}
	return all, nil
}

// configured lists the accounts of the configuration, and of drivers that nobody
// configured but whose key is there.
func (s *system) configured() []holding {
	var all []holding
	for _, name := range s.config().ProviderNames() {
		p, err := s.config().Provider(name)
		if _, chosen := s.config().Providers[name]; err != nil || !(chosen || keyed(p)) {
			continue
		}
		for account := range p.Accounts {
			all = append(all, s.holding(ledger.Account{Provider: name, Name: account}))
		}
	}
	return all
}

// holding is what the configuration says of an account, which may be nothing.
func (s *system) holding(name ledger.Account) holding {
	h := holding{Account: name}
	p, err := s.config().Provider(name.Provider)
	if err != nil {
		return h
	}
	acc, err := p.Account(name.Name)
	if err != nil {
		return h
	}
	h.configured, h.simulated, h.missing = true, simulates(p), acc.Err()
	h.budget, h.daily = acc.Budget, acc.DailyBudget
	h.cheapest = p.Credits.Extend
	if p.Credits.Upload > 0 {
		h.cheapest = min(h.cheapest, p.Credits.Upload)
	}
	return h
}

// accountView is one account of what segue accounts --json prints.
type accountView struct {
	Provider   string `json:"provider"`
	Account    string `json:"account"`
	Configured bool   `json:"configured"`
	// Balance is nil when it is not known; BalanceAt is when the provider said it.
	Balance   *float64   `json:"balance"`
	BalanceAt *time.Time `json:"balanceAt"`
	// BalanceError is why the provider did not say it now.
	BalanceError    string   `json:"balanceError,omitempty"`
	Spent           float64  `json:"spent"`
	SpentToday      float64  `json:"spentToday"`
	Reserved        float64  `json:"reserved"`
	Refunded        float64  `json:"refunded"`
	InDoubt         float64  `json:"inDoubt"`
	InDoubtItems    int      `json:"inDoubtItems"`
	Budget          *float64 `json:"budget"`
	BudgetLeft      *float64 `json:"budgetLeft"`
	DailyBudget     *float64 `json:"dailyBudget"`
	DailyBudgetLeft *float64 `json:"dailyBudgetLeft"`
	// Dry says that the provider refused it for want of credits, and that no balance
	// has shown since that there are some; DryUntil is when it is tried all the same.
	Dry      bool       `json:"dry"`
	DryUntil *time.Time `json:"dryUntil"`
	// QueuedItems are those that wait for their turn at a step that may cost; while the
	// account is dry, they wait for credits.
	QueuedItems  int `json:"queuedItems"`
	OpenSessions int `json:"openSessions"`
	limitsView

	cheapest float64
}

func (a *app) accounts(ctx context.Context, sys *system, offline bool) error {
	holdings, err := sys.holdings(ctx, asking{})
	if err != nil {
		return err
	}
	views := make([]accountView, len(holdings))
	byName := make(map[ledger.Account]*accountView, len(holdings))
	dry, err := sys.ledger.DryAccounts(ctx)
	if err != nil {
		return err
	}
	known, err := sys.gate.Known(ctx, "")
	if err != nil {
		return err
	}
	for n, h := range holdings {
		if views[n], err = sys.account(ctx, h, slices.Contains(dry, h.Account)); err != nil {
			return err
		}
		if views[n].limitsView, err = sys.limits(ctx, account.ID(h.Account), known); err != nil {
			return err
		}
		byName[h.Account] = &views[n]
	}
	if err := sys.openWork(ctx, byName); err != nil {
		return err
	}
	if !offline {
		sys.askAll(ctx, holdings, views)
	}
	if a.json {
		return a.printJSON(views)
	}
	a.printAccounts(views)
	if offline && len(views) > 0 {
		fmt.Fprintln(a.stdout, "balances are what was last known")
	}
	return nil
}

// account is what the books say of an account.
func (s *system) account(ctx context.Context, h holding, dry bool) (accountView, error) {
	state, err := s.ledger.State(ctx, h.Account)
	if err != nil {
		return accountView{}, err
	}
	v := accountView{
		Provider: h.Provider, Account: h.Name, Configured: h.configured,
		Spent: state.Spent, SpentToday: state.Today.Spent, Reserved: state.Reserved, Refunded: state.Refunded,
		Budget: h.budget, BudgetLeft: left(h.budget, totals(state.Totals)),
		DailyBudget: h.daily, DailyBudgetLeft: left(h.daily, totals(state.Today)), Dry: dry,
		BalanceError: h.silent(), cheapest: h.cheapest,
	}
	if !state.BalanceAt.IsZero() {
		at := state.BalanceAt.UTC()
		v.Balance, v.BalanceAt = &state.Balance, &at
	}
	if !state.DryUntil.IsZero() {
		until := state.DryUntil.UTC()
		v.DryUntil = &until
	}
	return v, nil
}

// openWork adds what open sessions have under way to their accounts.
func (s *system) openWork(ctx context.Context, views map[ledger.Account]*accountView) error {
	open, err := s.store.Open(ctx)
	if err != nil {
		return err
	}
	for _, id := range open {
		current, err := s.store.Session(ctx, id)
		if fault.CodeOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return err
		}
		v := views[ledger.Account{Provider: current.Provider, Name: current.Account}]
		if v == nil || current.Status().Over() && current.Status() != session.StatusHeld {
			continue
		}
		v.OpenSessions++
		if current.Canceled.IsZero() {
			v.QueuedItems += current.Counts["upload.queued"] + current.Counts["extend.queued"]
		}
		if err := s.doubts(ctx, current, v); err != nil {
			return err
		}
	}
	return nil
}

// errEnough ends a walk through items that has found all it looks for.
var errEnough = errors.New("enough")

// doubts adds up what requests in doubt may have cost. Items are read only where there
// are some, and until all are found.
func (s *system) doubts(ctx context.Context, current *session.Session, v *accountView) error {
	expected := 0
	for label, n := range current.Counts {
		if _, state, _ := strings.Cut(label, "."); session.State(state).InDoubt() {
			expected += n
		}
	}
	if expected == 0 {
		return nil
	}
	found := 0
	err := s.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		if !it.State.InDoubt() {
			return nil
		}
		v.InDoubtItems++
		v.InDoubt += it.Claim.Credits
		if found++; found == expected {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// askAll asks all accounts for their balances at once.
func (s *system) askAll(ctx context.Context, holdings []holding, views []accountView) {
	var wg sync.WaitGroup
	for n := range holdings {
		if holdings[n].silent() != "" {
			continue
		}
		wg.Go(func() {
			balance, err := s.balanceOf(ctx, holdings[n].Account)
			if err != nil {
				views[n].BalanceError = unanswered(err)
				return
			}
			at := time.Now().UTC().Truncate(time.Second)
			views[n].Balance, views[n].BalanceAt = &balance, &at
		})
	}
	wg.Wait()
}

// unanswered says why a balance is not known.
func unanswered(err error) string {
	if fault.CodeOf(err) == fault.Denied {
		return "the provider does not accept its key"
	}
	return sentence(err)
}

func (a *app) printAccounts(views []accountView) {
	if len(views) == 0 {
		fmt.Fprintln(a.stdout, "no account is configured, and nothing was ever spent")
		return
	}
	t := a.table("account", "balance", "spent", "today", "reserved", "in doubt", "budget left", "left today", "sessions", "")
	for _, v := range views {
		t.AppendRow(table.Row{
			v.Provider + "/" + v.Account, orDash(v.Balance), number(v.Spent), number(v.SpentToday), number(v.Reserved), number(v.InDoubt),
			orDash(v.BudgetLeft), orDash(v.DailyBudgetLeft), v.OpenSessions, v.remark(),
		})
	}
	t.Render()
	a.printLimits(views)
	for _, v := range views {
		if v.Balance == nil && v.BalanceError != "" {
			fmt.Fprintf(a.stdout, "the balance of %s/%s is not known: %s\n", v.Provider, v.Account, v.BalanceError)
		}
	}
}

// remark says what is unusual about an account.
func (v *accountView) remark() string {
	switch {
	case v.Dry:
		return fmt.Sprintf("out of credits: %s, and on by itself when there are some", plural(v.QueuedItems, "file")+" parked")
	case v.BudgetLeft != nil && *v.BudgetLeft < v.cheapest:
		return "its budget is used up"
	case v.DailyBudgetLeft != nil && *v.DailyBudgetLeft < v.cheapest:
		return "its budget of today is used up"
	case !v.Configured:
		return "not configured here"
	}
	return ""
}

// orDash is an amount that may not be known, or not be limited.
func orDash(amount *float64) string {
	if amount == nil {
		return "-"
	}
	return number(*amount)
}

// tidy removes what binary fractions add below a millionth of a credit.
func tidy(amount float64) float64 { return math.Round(amount*1e6) / 1e6 }
