package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

// asking is which part of the ledger is shown.
type asking struct {
	session, provider, account string
	since                      time.Duration
	limit                      int
	balance                    bool
}

func (a *app) ledgerCommand() *cobra.Command {
	var q asking
	cmd := &cobra.Command{
		Use:   "ledger",
		Short: "Show every charge and what became of it, what is left of budgets, and who decided what",
		Long: `Shows paid requests with their outcomes: kept, running, failed, refunded, presumed
(nobody knows whether it was charged, and somebody went on), in doubt, or stray (it was
accepted after its step had been given up). Items are the truth about charges; the books
of an account are the truth about totals and budgets, and follow the items.

With --balance it asks the providers for their balances, which is free, keeps them, and
shows what moved between two of them, and how much of that the books explain.`,
		Example: `  segue ledger --session ses_…
  segue ledger --since 24h --provider kie
  segue ledger --balance`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := q.check(cmd); err != nil {
				return err
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error {
				switch {
				case q.balance:
					return a.balances(ctx, sys, q)
				case q.session != "":
					return a.ledgerOf(ctx, sys, q)
				}
				return a.ledgers(ctx, sys, q)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.session, "session", "", "only this session, with every charge of it")
	f.StringVar(&q.provider, "provider", "", "only accounts of this provider")
	f.StringVar(&q.account, "account", "", "only accounts of this name")
	f.DurationVar(&q.since, "since", 0, "only what is younger than this, such as 24h (0: anything)")
	f.IntVar(&q.limit, "limit", 0, "how many charges at most, the newest (default 50; with --session 200, or all as JSON; with --balance 10 readings)")
	f.BoolVar(&q.balance, "balance", false, "ask for the balances, and compare them with the books")
	return cmd
}

func (q *asking) check(cmd *cobra.Command) error {
	switch {
	case cmd.Flags().Changed("limit") && q.limit < 1:
		return usage("--limit is %d; it is 1 or more", q.limit)
	case q.since < 0:
		return usage("--since is %s; it is a time that has passed, such as 24h", q.since)
	case q.session != "" && (q.provider != "" || q.account != "" || q.balance):
		return usage("--session names one session of one account: --provider, --account and --balance say nothing more")
	case q.balance && q.since != 0:
		return usage("--balance compares the latest readings: --limit says how many, --since does not apply")
	}
	return nil
}

// has says whether an account is asked about.
func (q *asking) has(acc ledger.Account) bool {
	return (q.provider == "" || q.provider == acc.Provider) && (q.account == "" || q.account == acc.Name)
}

// after is the time before which nothing is asked about.
func (q *asking) after(now time.Time) time.Time {
	if q.since == 0 {
		return time.Time{}
	}
	return now.Add(-q.since)
}

// totals are what the books say of something.
type totals struct {
	Spent    float64 `json:"spent"`
	Reserved float64 `json:"reserved"`
	Refunded float64 `json:"refunded"`
}

// committed is what the items say of the same thing.
type committed struct {
	// Spent is what budgets count: with what is presumed, without what was refunded.
	Spent    float64 `json:"spent"`
	Presumed float64 `json:"presumed"`
	InDoubt  float64 `json:"inDoubt"`
	// Open is what requests on the way and in doubt may cost.
	Open     float64 `json:"open"`
	Refunded float64 `json:"refunded"`
}

func (c *committed) add(it *session.Item) {
	c.Spent += it.Committed()
	for _, op := range it.Operations {
		switch {
		case op.Refunded:
			c.Refunded += op.Credits
		case op.Presumed:
			c.Presumed += op.Credits
		}
	}
	if standing, credits := it.Standing(it.Step, it.Generation); standing == session.Open {
		c.Open += credits
		if it.State.InDoubt() {
			c.InDoubt += credits
		}
	}
}

// agrees says whether the books say the same, to a millionth of a credit.
func (c *committed) agrees(books totals) bool {
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
	return near(c.Spent, books.Spent) && near(c.Open, books.Reserved)
}

// act is an operator's decision, as JSON shows it.
type act struct {
	At        time.Time `json:"at"`
	Who       string    `json:"who"`
	Verb      string    `json:"verb"`
	SessionID string    `json:"sessionId"`
	// ItemID is empty for what concerned a whole session.
	ItemID string `json:"itemId,omitempty"`
	Detail string `json:"detail"`
}

// sessionLedger is what segue ledger --session --json prints.
type sessionLedger struct {
	SessionID  string    `json:"sessionId"`
	Provider   string    `json:"provider"`
	Account    string    `json:"account"`
	Status     string    `json:"status"`
	Budget     *float64  `json:"budget"`
	BudgetLeft *float64  `json:"budgetLeft"`
	Charges    []charge  `json:"charges"`
	Omitted    int       `json:"omitted"`
	Outcomes   sums      `json:"outcomes"`
	Items      committed `json:"items"`
	Books      totals    `json:"books"`
	// Agree says that books and items say the same.
	Agree bool  `json:"agree"`
	Acts  []act `json:"acts"`
}

// ledgerOf shows one session.
func (a *app) ledgerOf(ctx context.Context, sys *system, q asking) error {
	current, err := sys.store.Session(ctx, q.session)
	if err != nil {
		return unknownSession(err, q.session)
	}
	now, err := sys.store.Now(ctx)
	if err != nil {
		return err
	}
	l := sessionLedger{
		SessionID: current.ID, Provider: current.Provider, Account: current.Account,
		Status: string(current.Status()), Budget: current.Budget, Outcomes: sums{},
	}
	most := q.limit
	if most == 0 && !a.json {
		most = maxRows
	}
	newest := newest{most: most, after: q.after(now)}
	err = sys.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		l.Items.add(it)
		newest.add(chargesOf(it), l.Outcomes)
		return nil
	})
	if err != nil {
		return err
	}
	if l.Books, err = sys.books(ctx, current); err != nil {
		return err
	}
	l.Agree = l.Items.agrees(l.Books)
	l.BudgetLeft = left(current.Budget, l.Books)
	l.Charges, l.Omitted = newest.list()
	if l.Acts, err = sys.acts(ctx, current.ID, q.after(now), maxRows); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(l)
	}
	a.printSessionLedger(&l)
	return nil
}

// books are what the ledger says of a session.
func (s *system) books(ctx context.Context, current *session.Session) (totals, error) {
	acc := ledger.Account{Provider: current.Provider, Name: current.Account}
	t, err := s.ledger.Totals(ctx, acc, ledger.ScopeSession, current.ID)
	return totals(t), err
}

// left is what a budget still allows; nil when there is none.
func left(budget *float64, books totals) *float64 {
	if budget == nil {
		return nil
	}
	rest := max(0, tidy(*budget-books.Spent-books.Reserved))
	return &rest
}

// acts are the latest decisions about a session, or about anything.
func (s *system) acts(ctx context.Context, id string, after time.Time, most int) ([]act, error) {
	found, err := s.ledger.Acts(ctx, id, most)
	all := make([]act, 0, len(found))
	for _, f := range found {
		if f.At.Before(after) {
			break // the newest come first
		}
		decided := act{At: f.At.UTC(), Who: f.Who, Verb: f.Verb, SessionID: f.Session, Detail: f.Detail}
		if f.Index >= 0 {
			decided.ItemID = session.ItemID(f.Session, f.Index)
		}
		all = append(all, decided)
	}
	return all, err
}

// newest keeps the newest of many charges; 0 keeps all.
type newest struct {
	most  int
	after time.Time
	kept  []charge
	seen  int
}

// add keeps and counts those that are young enough.
func (n *newest) add(all []charge, into sums) {
	all = slices.DeleteFunc(all, func(c charge) bool { return c.At.Before(n.after) })
	into.add(all)
	n.seen += len(all)
	n.kept = append(n.kept, all...)
	// Now and then, so that sorting costs little however many come.
	if n.most > 0 && len(n.kept) > 4*n.most+1000 {
		n.cut()
	}
}

func (n *newest) cut() {
	slices.SortStableFunc(n.kept, func(a, b charge) int { return b.At.Compare(a.At) })
	if n.most > 0 && len(n.kept) > n.most {
		n.kept = slices.Clone(n.kept[:n.most])
	}
}

// list gives the charges, the newest first, and how many were left out.
func (n *newest) list() (all []charge, omitted int) {
	n.cut()
	return append([]charge{}, n.kept...), n.seen - len(n.kept)
}

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

// noAccount says where to look for accounts that do not exist.
func noAccount(q asking) error {
	return &failure{
		exitNotFound, errors.New("there is no account " + cmp.Or(q.provider, "*") + "/" + cmp.Or(q.account, "*") + ", configured or on the books"),
		"segue accounts lists those that there are",
	}
}
