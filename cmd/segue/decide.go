package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

func (a *app) resolveCommand() *cobra.Command {
	var operation, clip string
	var resubmit, abandon bool
	cmd := &cobra.Command{
		Use:   "resolve ITEM...",
		Short: "Decide about items in doubt, whose paid request got no answer",
		Long: `An item is held when a paid request was sent and nothing tells whether the provider
took it on: the answer was lost, or the worker died. Segue never sends it again by
itself. Look at the provider's own list of operations, then say which it was. An item
that is still reconciling (evidence is being looked for) may be decided about too.
Deciding the same a second time changes nothing.`,
		Args: some(anItem),
		RunE: func(cmd *cobra.Command, args []string) error {
			if given := count(operation != "", clip != "", resubmit, abandon); given != 1 {
				return &failure{exitUsage, fmt.Errorf("say what became of it: exactly one of --operation ID, --clip ID, --resubmit and --abandon (%d given)", given), "segue resolve --help"}
			}
			if len(args) > 1 && (operation != "" || clip != "") {
				return usage("--operation and --clip name what one item became, and %d items are given", len(args))
			}
			items, err := itemsOf(args)
			if err != nil {
				return err
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error {
				act := decision{verb: "resolve", only: "only an item in doubt can be resolved", detail: described(operation, clip, resubmit, abandon)}
				act.change = func(it *session.Item, now time.Time) error {
					switch {
					case resubmit:
						return it.Resubmit(now)
					case abandon:
						return it.Abandon(now)
					case clip != "":
						return it.AdoptClip(provider.Clip{ID: clip}, now)
					}
					return it.Adopt(operation, now)
				}
				return a.decide(ctx, sys, items, act)
			})
		},
	}
	cmd.Flags().StringVar(&operation, "operation", "", "it was accepted, as this operation: go on with it, at no further cost")
	cmd.Flags().StringVar(&clip, "clip", "", "the upload was accepted, and has become this clip: go on with it, at no further cost")
	cmd.Flags().BoolVar(&resubmit, "resubmit", false, "it was not: send it again; if it was after all, that pays twice")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "give the item up")
	return cmd
}

// described is an operator's word about an item in doubt.
func described(operation, clip string, resubmit, abandon bool) string {
	switch {
	case resubmit:
		return "not accepted: send it again"
	case abandon:
		return "abandoned"
	case clip != "":
		return "accepted, clip " + clip
	case operation != "":
		return "accepted, operation " + operation
	}
	return ""
}

// itemsOf reads item ids.
func itemsOf(ids []string) ([]session.Ref, error) {
	items := make([]session.Ref, len(ids))
	for n, text := range ids {
		id, index, ok := session.ParseItemID(text)
		if !ok {
			return nil, usage("%q is no item id; it is a session id, a dot, and an index", text)
		}
		items[n] = session.Ref{Session: id, Index: index}
	}
	return items, nil
}

// count counts what is so.
func count(conditions ...bool) int {
	n := 0
	for _, so := range conditions {
		if so {
			n++
		}
	}
	return n
}

// standing says where an item is: "queued at extend", or "succeeded".
func standing(it *session.Item) string {
	if it.State.Ended() {
		return string(it.State)
	}
	return string(it.State) + " at " + string(it.Step)
}

func (a *app) retryCommand() *cobra.Command {
	var step, code string
	var budget float64
	var yes bool
	cmd := &cobra.Command{
		Use:   "retry SESSION...",
		Short: "Run failed and canceled items of sessions again, after saying what it will cost",
		Args:  some(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch session.StepName(step) {
			case "", session.StepUpload, session.StepExtend, session.StepFetch:
			default:
				return usage("--step is %q; it is upload, extend or fetch", step)
			}
			if code != "" && !slices.Contains(fault.Codes(), fault.Code(code)) {
				return usage("--code is %q; it is one of %v", code, fault.Codes())
			}
			if cmd.Flags().Changed("budget") && (budget < 0 || math.IsNaN(budget)) {
				return usage("--budget is %g; it is 0 or more credits", budget)
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error {
				r := retrying{step: session.StepName(step), code: fault.Code(code), yes: yes}
				if cmd.Flags().Changed("budget") {
					r.budget = &budget
				}
				return a.retry(ctx, sys, args, r)
			})
		},
	}
	cmd.Flags().StringVar(&step, "step", "", "step to run again from (default: the one each item failed at)")
	cmd.Flags().StringVar(&code, "code", "", "only items that failed with this code, such as exhausted")
	cmd.Flags().Float64Var(&budget, "budget", 0, "the most credits each of the sessions may spend from now on, in total")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// retrying is which items run again, and how.
type retrying struct {
	step   session.StepName
	code   fault.Code
	budget *float64
	yes    bool
}

// has says whether an item is to run again.
func (r *retrying) has(it *session.Item) bool {
	if it.State != session.Failed && it.State != session.Canceled {
		return false
	}
	return r.code == "" || (it.Failure != nil && it.Failure.Code == r.code)
}

// retry shows the price, asks, and runs items again.
func (a *app) retry(ctx context.Context, sys *system, ids []string, r retrying) error {
	var items []session.Ref
	var all []*session.Session
	for _, id := range ids {
		current, err := sys.store.Session(ctx, id)
		if err != nil {
			return unknownSession(err, id)
		}
		found, price, err := sys.priceOf(ctx, current, r)
		if err != nil {
			return err
		}
		which := ""
		if len(ids) > 1 {
			which = id + ": "
		}
		if len(found) == 0 {
			fmt.Fprintf(a.stderr, "%snothing to retry: no item failed%s or was canceled\n", which, with(" with ", string(r.code)))
			continue
		}
		fmt.Fprintf(a.stderr, "%s%s will run again and cost about %s credits on %s/%s\n", which, plural(len(found), "item"), number(price), current.Provider, current.Account)
		items, all = append(items, found...), append(all, current)
	}
	if len(items) == 0 {
		return nil
	}
	if !r.yes {
		if err := a.confirm(); err != nil {
			return err
		}
	}
	for _, current := range all {
		if r.budget != nil {
			if err := sys.store.SetBudget(ctx, current.ID, *r.budget); err != nil {
				return err
			}
		}
		if err := sys.store.Reopen(ctx, &current.Spec); err != nil {
			return err
		}
	}
	act := decision{verb: "retry", only: "only an item that has failed or was canceled can be retried", detail: "from " + cmp.Or(string(r.step), "where it ended")}
	if r.budget != nil {
		// The command's own --budget would set it again.
		act.next = ", with --budget " + number(*r.budget)
	}
	act.change = func(it *session.Item, now time.Time) error { return it.Retry(r.step, now) }
	return a.decide(ctx, sys, items, act)
}

// with is a text and what belongs before it, or nothing.
func with(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// priceOf finds the items of a session that are to run again, and what that costs.
func (s *system) priceOf(ctx context.Context, current *session.Session, r retrying) ([]session.Ref, float64, error) {
	p, err := s.config().Provider(current.Provider)
	if err != nil {
		return nil, 0, err
	}
	info, err := s.info(p)
	if err != nil {
		return nil, 0, err
	}
	var items []session.Ref
	var price float64
	err = s.store.Each(ctx, current.ID, 0, 0, func(it *session.Item) error {
		if r.has(it) {
			items = append(items, it.Ref())
			price += priceFrom(it, r.step, info.Prices.Upload, info.Prices.Extend)
		}
		return nil
	})
	return items, price, err
}

// priceFrom is what an item costs from a step on.
func priceFrom(it *session.Item, step session.StepName, upload, extend float64) float64 {
	step = it.RetriedFrom(step)
	price, reached := 0.0, false
	for _, planned := range it.Plan {
		reached = reached || planned == step
		switch {
		case reached && planned == session.StepUpload:
			price += upload
		case reached && planned == session.StepExtend:
			price += extend
		}
	}
	return price
}

// confirm asks the person at the terminal.
func (a *app) confirm() error {
	fmt.Fprint(a.stderr, "go on? [y/N] ")
	answer, err := bufio.NewReader(a.stdin).ReadString('\n')
	if word := strings.ToLower(strings.TrimSpace(answer)); word == "y" || word == "yes" {
		return nil
	}
	if err != nil {
		fmt.Fprintln(a.stderr)
	}
	return &failure{exitOther, errors.New("nothing was done"), "the same command with --yes"}
}

// decision is what an operator does to items.
type decision struct {
	verb, detail string
	// only says which items can be decided about so.
	only string
	// next is what must be added to the command that goes on.
	next   string
	change func(*session.Item, time.Time) error
}

// decided is what became of one item.
type decided struct {
	ItemID string `json:"itemId"`
	Status string `json:"status"`
	Step   string `json:"step"`
	Error  string `json:"error,omitempty"`
}

// decide applies an operator's decision to items, puts on the queue what follows,
// and writes down who decided. What cannot be applied to one item does not keep it
// from the others.
func (a *app) decide(ctx context.Context, sys *system, items []session.Ref, act decision) error {
	decisions := make([]decided, 0, len(items))
	var first error
	queued := 0
	for _, ref := range items {
		it, err := sys.apply(ctx, ref, act)
		d := decided{ItemID: session.ItemID(ref.Session, ref.Index)}
		if it != nil {
			d.Status, d.Step = string(it.State), string(it.Step)
			queued += count(it.State == session.Queued)
		}
		if err != nil {
			d.Error = sentence(err)
			first = cmp.Or(first, err)
		}
		decisions = append(decisions, d)
		if fault.CodeOf(err) == fault.Unavailable {
			break
		}
	}
	if a.json {
		return errors.Join(a.printJSON(decisions), first)
	}
	for _, d := range decisions {
		if d.Error == "" {
			fmt.Fprintf(a.stdout, "%s: %s at %s\n", d.ItemID, d.Status, d.Step)
		} else if len(decisions) > 1 {
			fmt.Fprintf(a.stderr, "%s: %s\n", d.ItemID, d.Error)
		}
	}
	id := items[0].Session
	switch fault.CodeOf(first) {
	case fault.NotFound:
		return &failure{exitNotFound, first, "segue items " + id}
	case fault.Conflict, fault.Invalid:
		return hinted(first, "segue items %s", id)
	case "":
		if queued > 0 {
			fmt.Fprintf(a.stderr, "next:  %s\n", sys.goingOn(id, act.next))
		}
	}
	return first
}

// apply carries out a decision about one item.
func (s *system) apply(ctx context.Context, ref session.Ref, act decision) (*session.Item, error) {
	const look = 5 * time.Second
	missing := fault.New(fault.NotFound, "segue."+act.verb, fmt.Errorf("there is no item %s", session.ItemID(ref.Session, ref.Index)))
	if _, err := s.store.Load(ctx, ref.Session, ref.Index); fault.CodeOf(err) == fault.NotFound {
		return nil, missing
	} else if err != nil {
		return nil, err
	}
	if err := s.store.Owe(ctx, ref.Session); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, session.OwedFor/2)
	defer cancel()
	var before session.Item
	work, written, err := s.store.Update(ctx, ref.Session, ref.Index, look, func(w *session.Work) error {
		before = w.Item
		if err := act.change(&w.Item, w.Now); fault.CodeOf(err) == fault.Conflict {
			return fault.New(fault.Conflict, "segue."+act.verb, fmt.Errorf("%s is %s; %s", w.Item.ID(), standing(&before), act.only))
		} else if err != nil {
			return err
		}
		return nil
	})
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return nil, missing
	case fault.CodeOf(err) == fault.Conflict:
		// It may have been decided so before, by a command that did not come to its end.
		return nil, errors.Join(err, s.store.Owe(ctx, ref.Session))
	case err != nil:
		return nil, err
	}
	it := &work.Item
	account := ledger.Account{Provider: work.Session.Provider, Name: work.Session.Account}
	err = errors.Join(
		s.store.Owe(ctx, it.Session),
		s.ledger.Follow(ctx, account, &before, it, 0),
		s.ledger.Record(ctx, ledger.Act{
			Who: s.app.operator(), Verb: act.verb, Session: it.Session, Index: it.Index,
			Detail: fmt.Sprintf("%s: %s → %s", act.detail, before.Label(), it.Label()),
		}),
	)
	return it, errors.Join(err, s.queue.Follow(ctx, it, written.Completion, 0))
}

// operator is who types the commands, as far as this machine knows.
func (a *app) operator() string {
	who := cmp.Or(a.lookup("SUDO_USER"), a.lookup("USER"), a.lookup("LOGNAME"), "somebody")
	host, err := os.Hostname()
	if err != nil {
		return who
	}
	return who + "@" + host
}

// goingOn is the command that sees a session through which waits for a worker.
func (s *system) goingOn(id, with string) string {
	if s.embedded != nil {
		return "the command that submitted it, again" + with + ": it goes on (or segue up)"
	}
	return "segue status --watch " + id
}
