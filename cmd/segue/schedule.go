package main

import (
	"cmp"
	"context"
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
that no firing before has carried, and that nobody has paid for before, become a session.
Schedules stand in the configuration (schedules), or are made by segue schedule add and
kept in Redis; segue scheduler, or segue up, decides when they fire, each firing exactly
once. Times are shown in the schedule's own time zone.`,
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
paused, and prints its name alone on stdout. It carries what any other firing would: what
is new and was not paid for before. The same --key is the same firing, for as long as the
history knows it; without one every call is another.`,
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
