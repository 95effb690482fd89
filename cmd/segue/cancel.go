package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cancel SESSION...",
		Short: "Stop sessions: nothing more of them is paid for, and what was is kept",
		Long: `Stops sessions. From one write on, nothing more of a session is paid for, however many
items it has: what waits counts as canceled. What a provider has accepted is followed
to its end, and kept.`,
		Args: some(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.cancel(ctx, sys, args) })
		},
	}
}

// cancel stops sessions, all of them before any of their items are looked at: those
// of one may take a while to be written down, and the others would go on paying.
func (a *app) cancel(ctx context.Context, sys *system, ids []string) error {
	var first error
	stopped := make([]string, 0, len(ids))
	for _, id := range ids {
		if err := a.stop(ctx, sys, id); err != nil {
			first = cmp.Or(first, unknownSession(err, id))
			if len(ids) > 1 {
				fmt.Fprintf(a.stderr, "%s: %s\n", id, sentence(unknownSession(err, id)))
			}
			continue
		}
		stopped = append(stopped, id)
	}
	ends := make([]*sessionEnd, 0, len(stopped))
	for _, id := range stopped {
		status, err := sys.client.Cancel(ctx, id)
		if err == nil {
			status, err = sys.client.Status(ctx, id)
		}
		if err != nil {
			return err
		}
		left, err := sys.leftOut(ctx, id)
		if err != nil {
			return err
		}
		ends = append(ends, &sessionEnd{status, left})
	}
	if err := a.printCanceled(ends, len(ids) == 1); err != nil {
		return err
	}
	return first
}

// stop forbids every further claim of a session, in one write, and puts on record who
// did so.
func (a *app) stop(ctx context.Context, sys *system, id string) error {
	if !session.ValidID(id) {
		return fault.New(fault.NotFound, "segue.cancel", fmt.Errorf("there is no session %s", id))
	}
	completion, err := sys.store.Cancel(ctx, id)
	if err != nil {
		return err
	}
	return errors.Join(
		sys.queue.Settle(ctx, id, completion),
		sys.ledger.Record(ctx, ledger.Act{Who: a.operator(), Verb: "cancel", Session: id, Index: -1}),
	)
}

// printCanceled shows what was stopped: one session as itself, several as a list.
func (a *app) printCanceled(ends []*sessionEnd, alone bool) error {
	switch {
	case a.json && alone && len(ends) == 1:
		return a.printJSON(ends[0])
	case a.json && !alone:
		return a.printJSON(ends)
	case a.json:
		return nil
	}
	for _, end := range ends {
		a.printSummary(end.Status)
		if end.Counts.Waiting > 0 {
			fmt.Fprintf(a.stderr, "note: %s accepted already: what was paid for is followed to its end and kept\n", plural(end.Counts.Waiting, "file"))
		}
	}
	return nil
}
