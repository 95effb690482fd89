package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/spf13/cobra"

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

// noAccount says where to look for accounts that do not exist.
func noAccount(q asking) error {
	return &failure{
		exitNotFound, errors.New("there is no account " + cmp.Or(q.provider, "*") + "/" + cmp.Or(q.account, "*") + ", configured or on the books"),
		"segue accounts lists those that there are",
	}
}
