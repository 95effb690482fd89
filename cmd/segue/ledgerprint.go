package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

func (a *app) printSessionLedger(l *sessionLedger) {
	fmt.Fprintf(a.stdout, "session %s on %s/%s: %s\n\n", l.SessionID, l.Provider, l.Account, l.Status)
	a.printCharges(l.Charges, l.Omitted, l.SessionID)
	a.printOutcomes(l.Outcomes)
	fmt.Fprintf(a.stdout, "%s credits spent, %s reserved, %s refunded, %s presumed, %s in doubt\n",
		number(l.Books.Spent), number(l.Books.Reserved), number(l.Books.Refunded), number(l.Items.Presumed), number(l.Items.InDoubt))
	if l.Budget != nil {
		fmt.Fprintf(a.stdout, "budget %s, %s left\n", number(*l.Budget), number(*l.BudgetLeft))
	}
	if !l.Agree {
		a.printDifference(difference{l.SessionID, l.Items, l.Books})
	}
	a.printActs(l.Acts)
}

func (a *app) printAccountsLedger(l *accountsLedger) {
	for _, acc := range l.Accounts {
		fmt.Fprintf(a.stdout, "%s/%s: %s credits spent (%s today), %s reserved, %s refunded%s\n", acc.Provider, acc.Account,
			number(acc.Books.Spent), number(acc.Today.Spent), number(acc.Books.Reserved), number(acc.Books.Refunded), allowances(acc))
	}
	if len(l.Accounts) > 0 {
		fmt.Fprintln(a.stdout)
	}
	a.printCharges(l.Charges, l.Omitted, "")
	a.printOutcomes(l.Outcomes)
	if l.Older {
		fmt.Fprintf(a.stdout, "of the latest %s alone (segue ledger --session for one of the older ones)\n", plural(l.Sessions, "session"))
	}
	for _, d := range l.Differences {
		a.printDifference(d)
	}
	a.printActs(l.Acts)
}

// allowances are an account's budgets and what is left of them.
func allowances(acc accountLedger) string {
	text := ""
	if acc.Budget != nil {
		text += fmt.Sprintf("; budget %s, %s left", number(*acc.Budget), number(*acc.BudgetLeft))
	}
	if acc.DailyBudget != nil {
		text += fmt.Sprintf("; %s a day, %s left today", number(*acc.DailyBudget), number(*acc.DailyBudgetLeft))
	}
	return text
}

// printCharges shows charges. Those of one session leave its id out.
func (a *app) printCharges(all []charge, omitted int, id string) {
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "nothing was paid for")
		return
	}
	t := a.table("when", "item", "file", "step", "gen", "operation", "credits", "outcome")
	for _, c := range all {
		name := strings.TrimPrefix(c.ItemID, id+".")
		t.AppendRow(table.Row{moment(c.At), name, short(c.Source, 32), c.Step, c.Generation, c.OperationID, number(c.Credits), c.Outcome})
	}
	t.Render()
	if omitted > 0 {
		fmt.Fprintf(a.stdout, "… and %s before them (--limit shows more)\n", plural(omitted, "charge"))
	}
}

// printOutcomes says in one line what became of all charges, shown or not.
func (a *app) printOutcomes(s sums) {
	var parts []string
	for _, outcome := range outcomes {
		if of, some := s[outcome]; some {
			parts = append(parts, fmt.Sprintf("%d %s (%s credits)", of.Charges, outcome, number(of.Credits)))
		}
	}
	if len(parts) > 0 {
		fmt.Fprintf(a.stdout, "\n%s\n", strings.Join(parts, ", "))
	}
}

func (a *app) printDifference(d difference) {
	fmt.Fprintf(a.stdout, "the books of %s are behind: they say %s spent and %s reserved, its items %s and %s. They follow within a minute, or when the session ends\n",
		d.SessionID, number(d.Books.Spent), number(d.Books.Reserved), number(d.Items.Spent), number(d.Items.Open))
}

func (a *app) printActs(acts []act) {
	if len(acts) == 0 {
		return
	}
	fmt.Fprintln(a.stdout, "\nwho decided:")
	t := a.table("when", "who", "what", "about", "detail")
	for _, decided := range acts {
		t.AppendRow(table.Row{moment(decided.At), decided.Who, decided.Verb, cmp.Or(decided.ItemID, decided.SessionID), decided.Detail})
	}
	t.Render()
}

// moment is a time as people here read it.
func moment(t time.Time) string {
	if t.IsZero() || t.Unix() == 0 {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}
