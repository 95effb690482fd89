package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

func (a *app) schedulePreviewCommand() *cobra.Command {
	var n int
	cmd := &cobra.Command{
		Use:   "preview NAME",
		Short: "Show when a schedule will fire",
		Long: `Shows the next firings of a schedule in its time zone, with the times that its jitter
puts them off to. It also shows those of a schedule of the configuration that no
scheduler has read yet.`,
		Args: one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n < 1 || n > 1000 {
				return usage("-n is %d; it is 1 to 1000", n)
			}
			return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
				return a.preview(ctx, sys, book, args[0], n)
			})
		},
	}
	cmd.Flags().IntVarP(&n, "number", "n", 10, "how many firings")
	return cmd
}

func (a *app) preview(ctx context.Context, sys *system, book *schedule.Store, name string, n int) error {
	status, err := book.Get(ctx, name)
	if configured, ok := sys.cfg.Schedules[name]; fault.CodeOf(err) == fault.NotFound && ok {
		if status.Entry, err = entryFrom(configured); err == nil {
			status.Now, err = sys.store.Now(ctx)
		}
	}
	if err != nil {
		return sys.unknownSchedule(err, name)
	}
	upcoming, err := schedule.Preview(status.Entry, status.Now, n)
	if err != nil {
		return err
	}
	if a.json {
		views := make([]upcomingView, 0, len(upcoming))
		for _, u := range upcoming {
			views = append(views, upcomingView{At: u.At, Start: u.Start})
		}
		return a.printJSON(views)
	}
	a.printUpcoming(upcoming)
	return nil
}

func (a *app) scheduleHistoryCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Show what the firings of a schedule came to, the latest first",
		Long: `Shows firings, the latest first: what started each, what it came to, its session, and
what was found. Also of a schedule that was removed. The last 1,000 are kept, for 90 days.`,
		Args: one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usage("--limit is %d; it is 1 or more", limit)
			}
			return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
				return a.scheduleHistory(ctx, sys, book, args[0], limit)
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many firings at most")
	return cmd
}

func (a *app) scheduleHistory(ctx context.Context, sys *system, book *schedule.Store, name string, limit int) error {
	firings, err := book.History(ctx, name, limit, "")
	if err != nil {
		return sys.unknownSchedule(err, name)
	}
	status, err := book.Get(ctx, name)
	if err != nil && (fault.CodeOf(err) != fault.NotFound || len(firings) == 0) {
		return sys.unknownSchedule(err, name)
	}
	if a.json {
		return a.printJSON(firingViews(firings))
	}
	if len(firings) == 0 {
		fmt.Fprintf(a.stdout, "%s has not fired yet\n", name)
		return a.sayUnattended(ctx, book)
	}
	a.printFirings(firings, zoneOf(&status.Entry))
	return a.sayUnattended(ctx, book)
}

func (a *app) scheduleBackfillCommand() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use:   "backfill NAME",
		Short: "Start the firings of a window that never started",
		Long: `Starts the firings of the calendar in a window that never started: because they were
skipped, missed, paused, or came before the schedule was made. They start one after the
other, unless overlap is allow; each carries what is new by then, and no file that another
has carried or that was paid for before. Doing it again starts none twice. Times are in
the schedule's zone: 2026-11-22, 2026-11-22T02:00, or with an offset of their own.`,
		Example: `  segue schedule backfill nightly --from 2026-11-20 --to 2026-11-22T12:00`,
		Args:    one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from == "" {
				return usage("--from is missing: where the window begins, such as 2026-11-20")
			}
			return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
				return a.backfill(ctx, sys, book, args[0], [2]string{from, to})
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "where the window begins")
	cmd.Flags().StringVar(&to, "to", "", "where it ends (default: now)")
	return cmd
}

func (a *app) backfill(ctx context.Context, sys *system, book *schedule.Store, name string, window [2]string) error {
	status, err := book.Get(ctx, name)
	if err != nil {
		return sys.unknownSchedule(err, name)
	}
	zone := zoneOf(&status.Entry)
	from, err := pointIn(window[0], zone)
	if err != nil {
		return usage("--from: %s", err)
	}
	to := status.Now
	if window[1] != "" {
		if to, err = pointIn(window[1], zone); err != nil {
			return usage("--to: %s", err)
		}
		if to.Before(from) {
			return usage("--to is before --from")
		}
	}
	filled, err := book.Backfill(ctx, name, from, to)
	if err != nil {
		return err
	}
	if len(filled) > 0 {
		if err := sys.noteAct(ctx, "backfill", name, fmt.Sprintf("%s: %s", name, plural(len(filled), "firing"))); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(firingViews(filled))
	}
	if len(filled) == 0 {
		fmt.Fprintln(a.stdout, "nothing to start: every firing of the window has started, or there is none")
		return nil
	}
	a.printFirings(filled, zone)
	fmt.Fprintf(a.stderr, "next:  segue schedule history %s\n", name)
	return a.sayUnattended(ctx, book)
}

// pointIn reads a moment as people write it, in a zone unless it says one.
func pointIn(text string, zone *time.Location) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(form, text, zone); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time; write 2026-11-22, 2026-11-22T02:00 or 2026-11-22T02:00:00+01:00", text)
}

func (a *app) scheduleRemoveCommand() *cobra.Command {
	var forget bool
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "End a schedule that was made by segue schedule add",
		Long: `Ends a schedule that was made by segue schedule add. What of it has started goes on,
and its history is kept for 90 days. A schedule of the same name goes on where this one
was, and carries no file again, unless --forget is given.`,
		Args: one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
				return a.removeSchedule(ctx, sys, book, args[0], forget)
			})
		},
	}
	cmd.Flags().BoolVar(&forget, "forget", false, "also forget which files it has carried")
	return cmd
}

func (a *app) removeSchedule(ctx context.Context, sys *system, book *schedule.Store, name string, forget bool) error {
	err := book.Remove(ctx, name)
	switch {
	case fault.CodeOf(err) == fault.Conflict:
		return hinted(err, "take it out of schedules in the configuration; or segue schedule pause %s", name)
	case err != nil:
		return sys.unknownSchedule(err, name)
	}
	if forget {
		err = book.Forget(ctx, name)
	}
	if err := errors.Join(err, sys.noteAct(ctx, "remove", name, "")); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"name": name, "removed": true, "forgotten": forget})
	}
	fmt.Fprintf(a.stdout, "%s: removed\n", name)
	return nil
}
