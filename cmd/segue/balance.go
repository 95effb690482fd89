package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/segue-audio/segue/internal/ledger"
)

// balanceWithin is how long a provider may take to say a balance.
const balanceWithin = 10 * time.Second

// reading is a balance beside the books, as JSON shows it, with what changed since
// the one before.
type reading struct {
	At       time.Time `json:"at"`
	Balance  float64   `json:"balance"`
	Spent    float64   `json:"spent"`
	Reserved float64   `json:"reserved"`
	// Drift is nil for the oldest reading that is shown.
	Drift *drift `json:"drift"`
}

// drift is what happened between two readings.
type drift struct {
	// Moved is by how much the balance fell; negative when it rose. Explained is what
	// the books say was spent meanwhile.
	Moved     float64 `json:"moved"`
	Explained float64 `json:"explained"`
	// Unexplained is what timing cannot explain, Uncertain how much may be timing.
	Unexplained float64 `json:"unexplained"`
	Uncertain   float64 `json:"uncertain"`
	Seconds     float64 `json:"seconds"`
}

// balanced is one account's part of what segue ledger --balance --json prints.
type balanced struct {
	Provider string    `json:"provider"`
	Account  string    `json:"account"`
	Balance  float64   `json:"balance"`
	Readings []reading `json:"readings"`
	// Whole is from the oldest reading that is shown to the newest; nil for one alone.
	Whole *drift `json:"whole"`
}

// keptBeside is how many readings are compared.
const keptBeside = 10

// balances asks for balances, keeps them, and compares them with the books.
func (a *app) balances(ctx context.Context, sys *system, q asking) error {
	holdings, err := sys.holdings(ctx, q)
	if err != nil {
		return err
	}
	all := []balanced{}
	var failed error
	for _, h := range holdings {
		if reason := h.silent(); reason != "" {
			fmt.Fprintf(a.stderr, "note: %s is not asked: %s\n", h.Account, reason)
			continue
		}
		b, err := sys.read(ctx, h, cmp.Or(q.limit, keptBeside))
		if err != nil {
			failed = errors.Join(failed, err)
			fmt.Fprintf(a.stderr, "note: the balance of %s is not known: %s\n", h.Account, unanswered(err))
			continue
		}
		all = append(all, *b)
	}
	switch {
	case len(all) == 0 && failed != nil:
		return hinted(failed, "segue doctor, which looks at every account")
	case len(all) == 0:
		return &failure{exitNotFound, errors.New("there is no account whose balance can be asked for from here"), "segue accounts, which says why for each"}
	case a.json:
		return a.printJSON(all)
	}
	for n := range all {
		if n > 0 {
			fmt.Fprintln(a.stdout)
		}
		a.printBalanced(sys, &all[n])
	}
	return nil
}

// read asks one account for its balance and puts it beside the books.
func (s *system) read(ctx context.Context, h holding, most int) (*balanced, error) {
	before, err := s.ledger.State(ctx, h.Account)
	if err != nil {
		return nil, err
	}
	balance, err := s.balanceOf(ctx, h.Account)
	if err != nil {
		return nil, err
	}
	if _, err := s.ledger.Reading(ctx, h.Account, balance, before); err != nil {
		return nil, err
	}
	kept, err := s.ledger.Readings(ctx, h.Account, most)
	if err != nil {
		return nil, err
	}
	b := &balanced{Provider: h.Provider, Account: h.Name, Balance: balance, Readings: make([]reading, len(kept))}
	for n, r := range kept {
		b.Readings[n] = reading{At: r.At.UTC(), Balance: r.Balance, Spent: r.Spent, Reserved: r.Reserved}
		if n > 0 {
			b.Readings[n].Drift = driftOf(kept[n-1], r)
		}
	}
	if len(kept) > 1 {
		b.Whole = driftOf(kept[0], kept[len(kept)-1])
	}
	return b, nil
}

// balanceOf asks a provider for a balance, which is free.
func (s *system) balanceOf(ctx context.Context, name ledger.Account) (float64, error) {
	acc, err := s.accounts.Get(name.Provider, name.Name)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, balanceWithin)
	defer cancel()
	return acc.Driver.Credits(ctx)
}

func driftOf(before, after ledger.Reading) *drift {
	d := ledger.DriftOf(before, after)
	return &drift{
		Moved: tidy(before.Balance - after.Balance), Explained: tidy(after.Spent - before.Spent),
		Unexplained: d.Unexplained, Uncertain: d.Uncertain, Seconds: d.Span.Seconds(),
	}
}

func (a *app) printBalanced(sys *system, b *balanced) {
	fmt.Fprintf(a.stdout, "%s/%s has %s credits\n", b.Provider, b.Account, number(b.Balance))
	if b.Whole == nil {
		fmt.Fprintln(a.stdout, "this is its first reading: the next one can be compared with it")
		return
	}
	t := a.table("when", "balance", "moved", "by the books", "unexplained", "uncertain")
	for _, r := range b.Readings {
		row := table.Row{moment(r.At), number(r.Balance)}
		if d := r.Drift; d != nil {
			row = append(row, number(d.Moved), number(d.Explained), number(d.Unexplained), number(d.Uncertain))
		}
		t.AppendRow(row)
	}
	t.Render()
	for _, line := range explained(sys, b) {
		fmt.Fprintln(a.stdout, line)
	}
}

// explained says what drift may mean, and which setting to look at.
func explained(sys *system, b *balanced) []string {
	d := b.Whole
	span := time.Duration(d.Seconds * float64(time.Second)).Round(time.Second)
	switch {
	case d.Unexplained > 0:
		lines := []string{
			fmt.Sprintf("in %s, %s more were taken than the books know of. It may be that", span, credits(d.Unexplained)),
			"  somebody else uses the key: give Segue one of its own",
		}
		if p, err := sys.config().Provider(b.Provider); err == nil {
			lines = append(lines, fmt.Sprintf("  prices are higher than configured: providers.%s.credits.upload is %s, .extend %s",
				b.Provider, number(p.Credits.Upload), number(p.Credits.Extend)))
		}
		return append(lines, "  requests in doubt were charged: segue ledger shows them as presumed or in doubt")
	case d.Unexplained < 0:
		return []string{
			fmt.Sprintf("in %s, %s came that the books do not know of. It may be that", span, credits(-d.Unexplained)),
			"  credits were bought, or a plan was renewed",
			"  the provider refunded something without saying so",
			fmt.Sprintf("  prices are lower than configured: providers.%s.credits", b.Provider),
		}
	case d.Uncertain > 0:
		return []string{fmt.Sprintf("in %s nothing is unexplained, as far as can be told: %s were on the way while a balance was read", span, credits(d.Uncertain))}
	}
	return []string{fmt.Sprintf("in %s the books explain everything", span)}
}

// credits is an amount with its unit.
func credits(amount float64) string {
	if amount == 1 {
		return "1 credit"
	}
	return number(amount) + " credits"
}
