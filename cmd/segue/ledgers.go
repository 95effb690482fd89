package main

import (
	"cmp"
	"context"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

// accountLedger is one account of accountsLedger.
type accountLedger struct {
	Provider        string   `json:"provider"`
	Account         string   `json:"account"`
	Books           totals   `json:"books"`
	Today           totals   `json:"today"`
	Budget          *float64 `json:"budget"`
	BudgetLeft      *float64 `json:"budgetLeft"`
	DailyBudget     *float64 `json:"dailyBudget"`
	DailyBudgetLeft *float64 `json:"dailyBudgetLeft"`
}

// difference is a session of which books and items do not say the same yet.
type difference struct {
	SessionID string    `json:"sessionId"`
	Items     committed `json:"items"`
	Books     totals    `json:"books"`
}

// accountsLedger is what segue ledger --json prints.
type accountsLedger struct {
	Accounts []accountLedger `json:"accounts"`
	Charges  []charge        `json:"charges"`
	Omitted  int             `json:"omitted"`
	Outcomes sums            `json:"outcomes"`
	// Sessions and Items are how many were looked at; Older says that there are older
	// sessions, which were not.
	Sessions    int          `json:"sessions"`
	Items       int          `json:"items"`
	Older       bool         `json:"older"`
	Differences []difference `json:"differences"`
	Acts        []act        `json:"acts"`
}

const (
	// ledgerSessions and ledgerItems bound what is looked at for the newest charges.
	ledgerSessions = 500
	ledgerItems    = 200_000
	// ledgerRows is how many charges are shown.
	ledgerRows = 50
)

// ledgers shows accounts, and the newest charges of their recent sessions.
func (a *app) ledgers(ctx context.Context, sys *system, q asking) error {
	holdings, err := sys.holdings(ctx, q)
	if err != nil {
		return err
	}
	l := accountsLedger{Accounts: make([]accountLedger, len(holdings)), Outcomes: sums{}, Differences: []difference{}}
	for n, h := range holdings {
		state, err := sys.ledger.State(ctx, h.Account)
		if err != nil {
			return err
		}
		books, today := totals(state.Totals), totals(state.Today)
		l.Accounts[n] = accountLedger{
			Provider: h.Provider, Account: h.Name, Books: books, Today: today,
			Budget: h.budget, BudgetLeft: left(h.budget, books), DailyBudget: h.daily, DailyBudgetLeft: left(h.daily, today),
		}
	}
	now, err := sys.store.Now(ctx)
	if err != nil {
		return err
	}
	newest := newest{most: cmp.Or(q.limit, ledgerRows), after: q.after(now)}
	if err := l.look(ctx, sys, q, &newest); err != nil {
		return err
	}
	l.Charges, l.Omitted = newest.list()
	if l.Acts, err = sys.acts(ctx, "", q.after(now), newest.most); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(l)
	}
	a.printAccountsLedger(&l)
	return nil
}

// look goes through recent sessions, the newest first.
func (l *accountsLedger) look(ctx context.Context, sys *system, q asking, newest *newest) error {
	ids, err := sys.store.Recent(ctx, ledgerSessions+1)
	if err != nil {
		return err
	}
	for n, id := range ids {
		current, err := sys.store.Session(ctx, id)
		if fault.CodeOf(err) == fault.NotFound {
			continue // a submission that was cut off before its session was written
		}
		if err != nil {
			return err
		}
		if !q.has(ledger.Account{Provider: current.Provider, Name: current.Account}) {
			continue
		}
		if n == ledgerSessions || (l.Items > 0 && l.Items+current.Total > ledgerItems) {
			l.Older = true
			return nil
		}
		if err := l.session(ctx, sys, current, newest); err != nil {
			return err
		}
	}
	return nil
}

func (l *accountsLedger) session(ctx context.Context, sys *system, current *session.Session, newest *newest) error {
	var said committed
	l.Sessions++
	l.Items += current.Total
	err := sys.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		said.add(it)
		newest.add(chargesOf(it), l.Outcomes)
		return nil
	})
	if err != nil {
		return err
	}
	books, err := sys.books(ctx, current)
	if err == nil && !said.agrees(books) {
		l.Differences = append(l.Differences, difference{current.ID, said, books})
	}
	return err
}
