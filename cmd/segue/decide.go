package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel SESSION",
		Short: "Stop a session: nothing more of it is paid for, and what was is kept",
		Args:  one(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error {
				if _, err := sys.client.Cancel(ctx, args[0]); err != nil {
					return unknownSession(err, args[0])
				}
				status, err := sys.client.Status(ctx, args[0])
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(status)
				}
				a.printSummary(status)
				if status.Counts.Waiting > 0 {
					fmt.Fprintf(a.stderr, "note: %s accepted already: what was paid for is followed to its end and kept\n", plural(status.Counts.Waiting, "file"))
				}
				return nil
			})
		},
	}
}

func (a *app) resolveCommand() *cobra.Command {
	var operation string
	var resubmit, abandon bool
	cmd := &cobra.Command{
		Use:   "resolve ITEM",
		Short: "Decide about a held item, whose paid request got no answer",
		Long: `An item is held when a paid request was sent and nobody knows whether the provider
took it on: the answer was lost, or the worker died. Segue never sends it again by
itself. Look at the provider's own list of operations, then say which it was.`,
		Args: one(anItem),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, index, ok := session.ParseItemID(args[0])
			if !ok {
				return usage("%q is no item id; it is a session id, a dot, and an index", args[0])
			}
			if given := count(operation != "", resubmit, abandon); given != 1 {
				return &failure{exitUsage, fmt.Errorf("say what became of it: exactly one of --operation ID, --resubmit and --abandon (%d given)", given), "segue resolve --help"}
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error {
				return a.decide(ctx, sys, id, []int{index}, func(it *session.Item, now time.Time) error {
					switch {
					case it.State != session.Held && (operation == "" || it.Operation != operation):
						return fault.New(fault.Conflict, "segue.resolve", fmt.Errorf("%s is %s; only a held item can be resolved", it.ID(), standing(it)))
					case resubmit:
						return it.Resubmit(now)
					case abandon:
						return it.Abandon()
					}
					return it.Adopt(operation, now)
				})
			})
		},
	}
	cmd.Flags().StringVar(&operation, "operation", "", "it was accepted, as this operation: go on with it, at no further cost")
	cmd.Flags().BoolVar(&resubmit, "resubmit", false, "it was not: send it again; if it was after all, that pays twice")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "give the item up")
	return cmd
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
	var step string
	var yes bool
	cmd := &cobra.Command{
		Use:   "retry SESSION",
		Short: "Run a session's failed and canceled items again, after saying what it will cost",
		Args:  one(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch session.StepName(step) {
			case "", session.StepUpload, session.StepExtend, session.StepFetch:
			default:
				return usage("--step is %q; it is upload, extend or fetch", step)
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error {
				return a.retry(ctx, sys, args[0], session.StepName(step), yes)
			})
		},
	}
	cmd.Flags().StringVar(&step, "step", "", "step to run again from (default: the one each item failed at)")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

// retry shows the price, asks, and runs items again.
func (a *app) retry(ctx context.Context, sys *system, id string, step session.StepName, yes bool) error {
	current, err := sys.store.Session(ctx, id)
	if err != nil {
		return unknownSession(err, id)
	}
	p, err := sys.cfg.Provider(current.Provider)
	if err != nil {
		return err
	}
	info, err := sys.info(p)
	if err != nil {
		return err
	}
	var indexes []int
	var price float64
	err = sys.store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		if it.State == session.Failed || it.State == session.Canceled {
			indexes = append(indexes, it.Index)
			price += priceFrom(it, step, info.Prices.Upload, info.Prices.Extend)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(indexes) == 0:
		fmt.Fprintln(a.stderr, "nothing to retry: no item failed or was canceled")
		return nil
	}
	fmt.Fprintf(a.stderr, "%s will run again and cost about %s credits on %s/%s\n", plural(len(indexes), "item"), number(price), current.Provider, current.Account)
	if !yes {
		if err := a.confirm(); err != nil {
			return err
		}
	}
	if err := sys.store.Reopen(ctx, &current.Spec); err != nil {
		return err
	}
	return a.decide(ctx, sys, id, indexes, func(it *session.Item, now time.Time) error { return it.Retry(step, now) })
}

// priceFrom is what an item costs from a step on.
func priceFrom(it *session.Item, step session.StepName, upload, extend float64) float64 {
	if step == "" {
		step = it.Step
	}
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

// decide applies an operator's decision to items and puts on the queue what
// follows. What cannot be applied to one item does not keep it from the others.
func (a *app) decide(ctx context.Context, sys *system, id string, indexes []int, change func(*session.Item, time.Time) error) error {
	const look = 5 * time.Second
	type decision struct {
		ItemID string `json:"itemId"`
		Status string `json:"status"`
		Step   string `json:"step"`
		Error  string `json:"error,omitempty"`
	}
	decisions := make([]decision, 0, len(indexes))
	var first error
	queued := 0
	for _, index := range indexes {
		work, written, err := sys.store.Update(ctx, id, index, look, func(w *session.Work) error { return change(&w.Item, w.Now) })
		if err == nil {
			err = sys.queue.Follow(ctx, &work.Item, written.Completion, 0)
		}
		d := decision{ItemID: session.ItemID(id, index)}
		if work != nil {
			d.Status, d.Step = string(work.Item.State), string(work.Item.Step)
			queued += count(work.Item.State == session.Queued)
		}
		if err != nil {
			d.Error = sentence(err)
			first = errors.Join(first, err)
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
		}
	}
	switch fault.CodeOf(first) {
	case fault.NotFound:
		return &failure{exitNotFound, fmt.Errorf("there is no item %s", session.ItemID(id, indexes[0])), "segue items " + id}
	case fault.Conflict, fault.Invalid:
		return hinted(first, "segue items %s", id)
	case "":
		if queued > 0 {
			fmt.Fprintf(a.stderr, "next:  %s\n", sys.goingOn(id))
		}
	}
	return first
}

// goingOn is the command that sees a session through which waits for a worker.
func (s *system) goingOn(id string) string {
	if s.embedded != nil {
		return "the command that submitted it, again: it goes on (or segue up)"
	}
	return "segue status --watch " + id
}
