package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

// making is what the flags of segue schedule add say beside those of run.
type making struct {
	sub                     submission
	cron, timezone, overlap string
	catchUp, jitter         time.Duration
	daily                   float64
	allFiles, paused        bool
	notify                  string
}

func (a *app) scheduleAddCommand() *cobra.Command {
	var m making
	cmd := &cobra.Command{
		Use:   "add NAME SOURCE",
		Short: "Make a schedule that is kept in Redis, or change one that was made so",
		Long: `Makes a schedule that is kept in Redis, beside those of the configuration, or changes
one that was made so. SOURCE is what segue run takes, as the workers see it: a directory,
a glob in quotes, an s3:// prefix, a manifest, a URL. --budget holds for each firing,
--daily-budget for all of one day of --timezone. What was paid for before, with the same
contents and parameters, is left out of every firing; --again carries it once, and
--all-files each time.`,
		Example: `  segue schedule add nightly '/inbox/**/*.mp3' --cron '0 2 * * *' --timezone Europe/Berlin \
    --provider kie --extend --continue-at -5 --budget 600`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("%s needs a name and one source (a glob in quotes), and was given %d arguments", cmd.CommandPath(), len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m.sub.settle(cmd.Flags())
			return a.addSchedule(cmd, &m, args[0], args[1])
		},
	}
	m.bind(cmd.Flags())
	return cmd
}

// notOfSchedules are the flags of run that say something about one run alone.
var notOfSchedules = []string{"name", "out", "encoding", "no-download", "plan"}

func (m *making) bind(f *pflag.FlagSet) {
	ofRun := pflag.NewFlagSet("run", pflag.ContinueOnError)
	m.sub.bind(ofRun)
	ofRun.VisitAll(func(flag *pflag.Flag) {
		if !slices.Contains(notOfSchedules, flag.Name) {
			f.AddFlag(flag)
		}
	})
	f.Lookup("budget").Usage = "the most credits that one firing may spend (default: no limit)"
	f.Lookup("account").Usage = "account of the provider (default: for each firing one that has credit, free slots and no pause)"
	f.Lookup("priority").Usage = "share of the account while other sessions of it wait: low, normal or high (default: normal)"
	f.Lookup("archive").Usage = "archive for the results: a directory, file:///directory or s3://bucket/prefix (default: the workers' own)"
	f.Lookup("again").Usage = "carry new files also when they were paid for before, by segue run or another schedule, and pay anew"
	f.StringVar(&m.cron, "cron", "", "when: five fields, or @hourly, @daily, @every 6h")
	f.StringVar(&m.timezone, "timezone", "UTC", "time zone of --cron, such as Europe/Berlin")
	f.StringVar(&m.overlap, "overlap", string(schedule.Skip), "while the firing before still runs: skip, queue or allow")
	f.DurationVar(&m.catchUp, "catch-up", 0, "how late a missed firing may still start")
	f.DurationVar(&m.jitter, "jitter", 0, "put each start off by up to this")
	f.Float64Var(&m.daily, "daily-budget", 0, "the most credits that the firings of one day may spend (default: no limit)")
	f.BoolVar(&m.allFiles, "all-files", false, "carry every file each time, not only what is new, and pay for it each time")
	f.BoolVar(&m.paused, "paused", false, "make it, and let it start nothing by the calendar")
	f.StringVar(&m.notify, "notify", "", "refused: there are no notifications yet")
}

func (a *app) addSchedule(cmd *cobra.Command, m *making, name, from string) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	e, err := a.entryOfFlags(cfg, m, cmd.Flags(), name, from)
	if err != nil {
		return err
	}
	if cfg.Redis.URL.Reveal() == "" {
		return &failure{
			exitUsage, errors.New("redis.url is not set, and the embedded Redis is of one process at a time"),
			"schedules." + name + " in the configuration, then segue up; or set redis.url",
		}
	}
	return a.withSchedules(cmd, []string{name}, func(ctx context.Context, sys *system, book *schedule.Store) error {
		if err := book.Put(ctx, e); err != nil {
			if fault.CodeOf(err) == fault.Conflict {
				return hinted(err, "another name, or schedules.%s in the configuration", name)
			}
			return err
		}
		if err := sys.noteAct(ctx, "add", name, ""); err != nil {
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
		return a.sayUnattended(ctx, book)
	})
}

// entryOfFlags is the schedule that the flags describe, or everything that is wrong
// with them.
func (a *app) entryOfFlags(cfg *config.Config, m *making, f *pflag.FlagSet, name, from string) (schedule.Entry, error) {
	if from != "" && from != "-" && !strings.Contains(from, "://") {
		from = absolute(from) // a worker is somewhere else
	}
	e := schedule.Entry{
		Name: name, Cron: m.cron, Timezone: m.timezone, Source: from, Provider: m.sub.provider, Account: m.sub.account,
		OnUnknown: m.sub.onUnknown, Priority: m.sub.priority, Overlap: schedule.Overlap(m.overlap), CatchUp: m.catchUp, Jitter: m.jitter,
		Budget: m.sub.budget, Paused: m.paused, AllFiles: m.allFiles,
		Again: m.sub.again, Archive: m.sub.archive,
	}
	if f.Changed("daily-budget") {
		e.DailyBudget = &m.daily
	}
	findings := m.sub.wrong
	if f.Changed("notify") {
		findings = append(findings, wrong("--notify", "Segue sends no notifications yet; segue schedule history tells how each firing ended"))
	}
	if from == "-" {
		findings = append(findings, wrong("SOURCE", "the standard input is not there by the time that a schedule fires"))
	}
	t, more := a.target(cfg, &m.sub)
	if findings = append(findings, more...); len(more) == 0 {
		e.Provider = t.provider.Name
	}
	findings = append(findings, m.continuation(&t, len(more) == 0, musical(f))...)
	if m.sub.extend {
		if err := extendWith(&e, &m.sub.params); err != nil {
			return e, err
		}
	}
	return e, a.report(append(findings, checked(e)...))
}

// continuation is what is wrong with how the files are to be continued. known says that
// the target is, music that a flag about the music was given.
func (m *making) continuation(t *target, known, music bool) []source.Finding {
	switch {
	case !m.sub.extend && music:
		return []source.Finding{wrong("--extend", "it is missing, and without it the files are only uploaded: the other flags about the music would do nothing")}
	case m.sub.extend && m.sub.params.ContinueAt == 0:
		return []source.Finding{wrong("--continue-at", "it is missing (or 0): give seconds from the beginning, or negative from the end")}
	case !known:
		return nil
	case !m.sub.extend && !t.info.Uploads.Clips:
		return []source.Finding{wrong("--extend", t.info.Name+" gives no clip for an upload alone; add --extend")}
	case !m.sub.extend:
		return nil
	}
	var findings []source.Finding
	for _, reason := range checkExtend(t.info, &m.sub.params, 0) {
		findings = append(findings, wrong("--extend", reason))
	}
	return findings
}

// checked is what is wrong with an entry whatever the provider.
func checked(e schedule.Entry) []source.Finding {
	e.Provider = cmp.Or(e.Provider, "any") // that it is missing was said
	err := e.Check()
	if err == nil {
		return nil
	}
	var findings []source.Finding
	for reason := range strings.SplitSeq(fault.Reason(err), "\n") {
		findings = append(findings, source.Finding{Origin: "schedule " + e.Name, Reason: reason, Code: fault.Invalid})
	}
	return findings
}

// musical says that a flag about the music was given.
func musical(f *pflag.FlagSet) bool {
	return slices.ContainsFunc([]string{
		"continue-at", "model", "instrumental", "prompt", "style", "title", "negative-tags", "vocal-gender", "persona-id",
		"style-weight", "weirdness-constraint", "audio-weight",
	}, f.Changed)
}
