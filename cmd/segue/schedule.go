package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/schedule"
)

func (a *app) scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Bulk runs by the calendar: list, show, run, pause, resume, preview, history, backfill, add, remove",
		Long: `A schedule is a cron entry over a source of files. Each time that it fires, the files
that no firing before has carried become a session. Schedules stand in the configuration
(schedules), or are made by segue schedule add and kept in Redis; segue scheduler, or
segue up, decides when they fire, each firing exactly once. Times are shown in the
schedule's own time zone.`,
		Args: subcommand,
		RunE: help,
	}
	cmd.SuggestionsMinimumDistance = suggestWithin
	cmd.AddCommand(
		a.scheduleListCommand(), a.scheduleShowCommand(), a.scheduleRunCommand(), a.schedulePauseCommand(), a.scheduleResumeCommand(),
		a.schedulePreviewCommand(), a.scheduleHistoryCommand(), a.scheduleBackfillCommand(), a.scheduleAddCommand(), a.scheduleRemoveCommand(),
	)
	return cmd
}

// aSchedule is what most of these commands take.
const aSchedule = "the name of a schedule (segue schedule list)"

// withSchedules runs a command over the schedules.
func (a *app) withSchedules(cmd *cobra.Command, args []string, do func(ctx context.Context, sys *system, book *schedule.Store) error) error {
	return a.with(cmd, args, func(ctx context.Context, sys *system) error { return do(ctx, sys, schedule.NewStore(sys.rdb)) })
}

// unknownSchedule says where to look for what does not exist, and what to start when
// the configuration has it and nobody has read that yet.
func (s *system) unknownSchedule(err error, name string) error {
	if fault.CodeOf(err) != fault.NotFound {
		return err
	}
	if _, configured := s.cfg.Schedules[name]; configured {
		return &failure{exitNotFound, fmt.Errorf("schedule %s stands in the configuration, and no scheduler has read it yet", name), "segue scheduler (or segue up), then the same command"}
	}
	return &failure{exitNotFound, fmt.Errorf("there is no schedule %q", name), "segue schedule list"}
}

func (a *app) scheduleListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "Show every schedule: when it fires next, and what its last firing came to",
		Args:  nothing,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSchedules(cmd, args, a.listSchedules)
		},
	}
}

func (a *app) listSchedules(ctx context.Context, sys *system, book *schedule.Store) error {
	all, err := book.List(ctx)
	if err != nil {
		return err
	}
	views := make([]scheduleView, 0, len(all))
	known := make(map[string]bool, len(all))
	for n := range all {
		known[all[n].Entry.Name] = true
		v := viewOf(&all[n])
		last, err := book.History(ctx, v.Name, 1, "")
		if err != nil {
			return err
		}
		if len(last) == 1 {
			shown := firingViewOf(&last[0])
			v.Last = &shown
		}
		views = append(views, v)
	}
	configured, err := entriesOf(sys.cfg)
	if err != nil {
		return err
	}
	for _, e := range configured {
		if !known[e.Name] {
			views = append(views, scheduleView{Name: e.Name, entry: e, entryView: entryViewOf(&e)})
		}
	}
	if a.json {
		return a.printJSON(views)
	}
	a.printSchedules(views)
	return a.sayUnattended(ctx, book)
}

// unattendedAfter is how late a look at the schedules may be: schedulers look every second.
const unattendedAfter = 10 * time.Second

// sayUnattended says that nobody decides about firings.
func (a *app) sayUnattended(ctx context.Context, book *schedule.Store) error {
	late, err := book.Unattended(ctx)
	if err == nil && late > unattendedAfter {
		fmt.Fprintf(a.stderr, "note: no scheduler has looked for %s; nothing starts before one runs (segue scheduler, or segue up)\n", late.Round(time.Second))
	}
	return err
}

func (a *app) scheduleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show one schedule, and what of it has not ended",
		Args:  one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
				return a.showSchedule(ctx, sys, book, args[0])
			})
		},
	}
}

func (a *app) showSchedule(ctx context.Context, sys *system, book *schedule.Store, name string) error {
	status, err := book.Get(ctx, name)
	if err != nil {
		return sys.unknownSchedule(err, name)
	}
	v := viewOf(&status)
	for n := range status.Open {
		v.Open = append(v.Open, firingViewOf(&status.Open[n]))
	}
	day := name + "/" + status.Now.In(zoneOf(&status.Entry)).Format(time.DateOnly)
	for key, to := range map[string]**float64{name: &v.Spent, day: &v.SpentToday} {
		spent, err := sys.spentOn(ctx, v.Provider, key)
		if err != nil {
			return err
		}
		*to = &spent
	}
	if a.json {
		return a.printJSON(v)
	}
	a.printSchedule(v)
	return a.sayUnattended(ctx, book)
}

// spentOn is what was spent, and is reserved, under a key of schedules, by all accounts
// of a provider that have books.
func (s *system) spentOn(ctx context.Context, providerName, key string) (float64, error) {
	accounts, err := s.ledger.Accounts(ctx)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, acc := range accounts {
		if acc.Provider != providerName {
			continue
		}
		t, err := s.ledger.Totals(ctx, acc, schedule.ScopeSchedule, key)
		if err != nil {
			return 0, err
		}
		sum += t.Spent + t.Reserved
	}
	return tidy(sum), nil
}

func (a *app) scheduleRunCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use:   "run NAME",
		Short: "Start a firing now, beside the calendar",
		Long: `Starts a firing beside the calendar, whatever runs and also while the schedule is
paused, and prints its name alone on stdout. It carries what is new, as any other. The
same --key is the same firing, for as long as the history knows it; without one every
call is another.`,
		Example: `  segue schedule run nightly --key release-7`,
		Args:    one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
				return a.fire(ctx, sys, book, args[0], key)
			})
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "a name of yours: calling again with it is the same firing")
	return cmd
}

func (a *app) fire(ctx context.Context, sys *system, book *schedule.Store, name, key string) error {
	f, err := book.RunNow(ctx, name, key)
	if err != nil {
		return sys.unknownSchedule(err, name)
	}
	if a.json {
		return a.printJSON(firingViewOf(&f))
	}
	fmt.Fprintln(a.stdout, f.ID())
	if err := a.sayUnattended(ctx, book); err != nil {
		return err
	}
	next := "segue schedule history " + name
	if f.Session != "" {
		next = "segue status --watch " + f.Session
	}
	fmt.Fprintf(a.stderr, "next:  %s\n", next)
	return nil
}

func (a *app) schedulePauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause NAME",
		Short: "Let the calendar start nothing until resume; what has started goes on",
		Args:  one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.turn(cmd, args, "pause", (*schedule.Store).Pause)
		},
	}
}

func (a *app) scheduleResumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume NAME",
		Short: "Let the calendar start firings again, from now on",
		Long: `Lets the calendar start firings again, from now on. Those whose time came while the
schedule was paused stay out; segue schedule backfill starts them.`,
		Args: one(aSchedule),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.turn(cmd, args, "resume", (*schedule.Store).Resume)
		},
	}
}

// turn pauses or resumes a schedule, writes down who did, and shows what is so by now.
func (a *app) turn(cmd *cobra.Command, args []string, verb string, change func(*schedule.Store, context.Context, string) error) error {
	return a.withSchedules(cmd, args, func(ctx context.Context, sys *system, book *schedule.Store) error {
		name := args[0]
		if err := change(book, ctx, name); err != nil {
			if fault.CodeOf(err) == fault.Conflict {
				return hinted(err, "paused: false in the configuration, under schedules.%s", name)
			}
			return sys.unknownSchedule(err, name)
		}
		if err := sys.noteAct(ctx, verb, name, ""); err != nil {
			return err
		}
		status, err := book.Get(ctx, name)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(viewOf(&status))
		}
		fmt.Fprintf(a.stdout, "%s: %s\n", name, firesNext(&status))
		return nil
	})
}

// noteAct writes down what an operator did with a schedule.
func (s *system) noteAct(ctx context.Context, verb, name, detail string) error {
	return s.ledger.Record(ctx, ledger.Act{
		Who: s.app.operator(), Verb: "schedule " + verb, Index: -1, Detail: cmp.Or(detail, name),
	})
}

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
other, unless overlap is allow; each carries what is new by then. Doing it again starts
none twice. Times are in the schedule's zone: 2026-11-22, 2026-11-22T02:00, or with an
offset of their own.`,
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
