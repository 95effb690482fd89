package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

func (a *app) priorityCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "priority SESSION... low|normal|high",
		Short: "Change how large a share sessions have of what their account may do",
		Long: `While several sessions of an account wait, they take turns. A session of normal
priority is given four turns for each one of low priority, and one of high priority
sixteen; none of them starves. What waits already follows at once. Giving the same
priority again changes nothing.`,
		Example: `  segue priority ses_… high`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return fmt.Errorf("%s needs %s, and behind it low, normal or high", cmd.CommandPath(), aSession)
			}
			if last := args[len(args)-1]; !isPriority(last) {
				return fmt.Errorf("priority is %q; it is low, normal or high, and comes last", last)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, p := args[:len(args)-1], session.Priority(args[len(args)-1])
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.priority(ctx, sys, ids, p) })
		},
	}
}

// isPriority says that a word names a priority.
func isPriority(word string) bool { return word != "" && session.Priority(word).Weight() > 0 }

// prioritized is what became of one session.
type prioritized struct {
	SessionID string           `json:"sessionId"`
	Priority  session.Priority `json:"priority"`
	Before    session.Priority `json:"before"`
	// Backlog is how many of its items wait for their turn, and are given it by the new
	// priority.
	Backlog int `json:"backlog"`
}

// priority changes sessions one after another: one that does not exist keeps nothing
// from the others.
func (a *app) priority(ctx context.Context, sys *system, ids []string, p session.Priority) error {
	var first error
	all := make([]prioritized, 0, len(ids))
	for _, id := range ids {
		done, err := sys.prioritize(ctx, id, p)
		if err == nil {
			all = append(all, done)
			continue
		}
		err = unknownSession(err, id)
		first = cmp.Or(first, err)
		if len(ids) > 1 {
			fmt.Fprintf(a.stderr, "%s: %s\n", id, sentence(err))
		}
	}
	if a.json {
		return errors.Join(first, a.printJSON(all))
	}
	for _, done := range all {
		fmt.Fprintln(a.stdout, done.String())
	}
	return first
}

func (p prioritized) String() string {
	waits := "nothing of it waits for its turn"
	if p.Backlog > 0 {
		waits = plural(p.Backlog, "file") + " of it wait for their turn"
	}
	if p.Backlog == 1 {
		waits = "1 file of it waits for its turn"
	}
	if p.Before == p.Priority {
		return fmt.Sprintf("%s: %s, as it was; %s", p.SessionID, p.Priority, waits)
	}
	return fmt.Sprintf("%s: %s, was %s; %s", p.SessionID, p.Priority, p.Before, waits)
}

// prioritize records a session's priority, who changed it, and tells the turns of its
// account. Should the last not come about, the workers' sweep does it.
func (s *system) prioritize(ctx context.Context, id string, p session.Priority) (prioritized, error) {
	current, err := s.store.Session(ctx, id)
	if err != nil {
		return prioritized{}, err
	}
	done := prioritized{SessionID: id, Priority: p, Before: cmp.Or(current.Priority, session.Normal)}
	if done.Before != p {
		err := errors.Join(
			s.store.SetPriority(ctx, id, p),
			s.ledger.Record(ctx, ledger.Act{
				Who: s.app.operator(), Verb: "priority", Session: id, Index: -1, Detail: fmt.Sprintf("%s → %s", done.Before, p),
			}),
		)
		if err != nil {
			return done, err
		}
	}
	overdue, err := s.store.Overdue(ctx, id, 1)
	if err != nil {
		return done, err
	}
	acc := account.ID{Provider: current.Provider, Name: current.Account}
	for step, waiting := range overdue.Backlog {
		if done.Backlog += waiting; waiting == 0 || !current.Canceled.IsZero() {
			continue
		}
		if _, err := s.gate.Join(ctx, acc, string(step), id, p.Weight()); err != nil {
			return done, err
		}
	}
	return done, nil
}
