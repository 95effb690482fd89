package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
)

// with opens the system for a command that only reads or decides.
func (a *app) with(cmd *cobra.Command, args []string, do func(ctx context.Context, sys *system) error) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	sys, err := a.open(ctx, cfg, a.logger(cfg, a.stderr, levelFor(cfg, slog.LevelError)), strings.TrimSpace(cmd.CommandPath()+" "+strings.Join(args, " ")))
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, sys), sys.close())
}

// unknownSession says where to look for what does not exist.
func unknownSession(err error, id string) error {
	if exitCode(err) == exitNotFound {
		return &failure{exitNotFound, fmt.Errorf("there is no session %s", id), "segue sessions lists those that there are"}
	}
	return err
}

func (a *app) statusCommand() *cobra.Command {
	var watch bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "status SESSION",
		Short: "Show where a session is, and what it waits for",
		Args:  one(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.status(ctx, sys, args[0], watch, timeout) })
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "stay until it is over; the exit code is that of run")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "with --watch: stop waiting after this long, with exit code 6 (0: never)")
	return cmd
}

func (a *app) status(ctx context.Context, sys *system, id string, watch bool, timeout time.Duration) error {
	if watch {
		screen := a.screen()
		defer screen.close()
		watching, cancel := ctx, func() {}
		if timeout > 0 {
			watching, cancel = context.WithTimeout(ctx, timeout)
		}
		defer cancel()
		err := a.watch(watching, sys, id, screen, false)
		if err != nil {
			return unknownSession(watched(err, id), id)
		}
		screen.close()
	}
	status, needed, err := sys.outcome(ctx, id)
	if err != nil {
		return unknownSession(err, id)
	}
	if watch {
		return a.results(status, needed)
	}
	current, err := sys.store.Session(ctx, id)
	if err != nil {
		return unknownSession(err, id)
	}
	found, err := sys.turnsOf(ctx, current)
	if err != nil {
		return err
	}
	risk, err := sys.atRisk(ctx, current)
	if err != nil {
		return err
	}
	if a.json {
		return a.printEnd(status, func(s *enqueue.Status, left *[]reused) any {
			return struct {
				statusView
				Reused *[]reused `json:"reused,omitempty"`
			}{statusView{s, found.priority, found.waits, found.draining, risk}, left}
		})
	}
	a.printSummary(status.Status)
	a.printRisk(risk, id)
	a.printTurns(found, status.Provider+"/"+status.Account)
	a.printDetails(status.Status)
	a.printReused(status.Reused)
	return nil
}

func (a *app) sessionsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "sessions",
		Short: "List sessions, the newest first",
		Args:  nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.sessions(ctx, sys, limit) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "how many at most")
	return cmd
}

// sessionRow is a session as a list of them has it: without what is summed over its
// items, which are not read.
type sessionRow struct {
	SessionID string         `json:"sessionId"`
	Name      string         `json:"name"`
	Provider  string         `json:"provider"`
	Account   string         `json:"account"`
	Status    string         `json:"status"`
	Counts    enqueue.Counts `json:"counts"`
}

func (a *app) sessions(ctx context.Context, sys *system, limit int) error {
	if limit < 1 {
		return usage("--limit is %d; it is 1 or more", limit)
	}
	ids, err := sys.store.Recent(ctx, limit)
	if err != nil {
		return err
	}
	all := make([]sessionRow, 0, len(ids))
	for _, id := range ids {
		status, err := sys.client.Progress(ctx, id)
		if errors.Is(err, enqueue.ErrNotFound) {
			continue // a submission that was cut off before its session was written
		}
		if err != nil {
			return err
		}
		all = append(all, sessionRow{status.SessionID, status.Name, status.Provider, status.Account, status.Status, status.Counts})
	}
	if a.json {
		return a.printJSON(all)
	}
	t := a.table("session", "name", "account", "status", "files", "done", "failed", "held")
	for _, s := range all {
		done := s.Counts.Total - s.Counts.Waiting
		t.AppendRow(table.Row{s.SessionID, s.Name, s.Provider + "/" + s.Account, s.Status, s.Counts.Total, done, s.Counts.Failed, s.Counts.Held})
	}
	t.Render()
	return nil
}

// statuses are those of an item, as items --status takes them.
var statuses = []string{"queued", "sending", "running", "waiting", "reconciling", "held", "succeeded", "failed", "canceled"}

func (a *app) itemsCommand() *cobra.Command {
	var only string
	cmd := &cobra.Command{
		Use:   "items SESSION",
		Short: "List a session's items, with what is known of each and what to do",
		Args:  one(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			if only != "" && !slices.Contains(statuses, only) {
				return usage("--status is %q; it is one of %s", only, strings.Join(statuses, ", "))
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.items(ctx, sys, args[0], only) })
		},
	}
	cmd.Flags().StringVar(&only, "status", "", "only items with this status: "+strings.Join(statuses, ", "))
	return cmd
}

func (a *app) items(ctx context.Context, sys *system, id, only string) error {
	status, err := sys.client.Status(ctx, id)
	if err != nil {
		return unknownSession(err, id)
	}
	kept := status.Items[:0]
	for _, it := range status.Items {
		if only == "" || it.Status == only {
			kept = append(kept, it)
		}
	}
	status.Items = kept
	if a.json {
		return a.printJSON(kept)
	}
	a.printItems(status)
	a.printHeld(status, maxRows)
	return nil
}
