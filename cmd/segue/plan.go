package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/ledger"
)

// planFormats are what a plan can be written as.
var planFormats = []string{"table", "csv", "json", "markdown"}

// planned is how a plan is asked for.
type planned struct {
	format  string
	offline bool
}

func (a *app) planCommand() *cobra.Command {
	var sub submission
	var how planned
	cmd := &cobra.Command{
		Use:   "plan SOURCE…",
		Short: "Show what a run would do and cost, and send nothing",
		Long: `Looks at every input as run does, and shows what a run would do: which inputs are
good, which are wrong and in which line, which are there twice, which were paid for
before, what the rest costs, and how long it takes at the limits. Nothing is sent;
balances are asked for, which is free (--offline does not).

The plan has a hash, and segue run --plan HASH with the same arguments does what was
planned or refuses: when inputs, prices, balance, or what was paid for have moved.

What is wrong goes to stderr, a line each, and makes the exit code 2. --format csv has a
row for every input, and json every number of the plan.`,
		Example: `  segue plan ./songs --provider mountsea --extend --continue-at -5
  segue plan list.csv --provider kie --extend --continue-at 60 --format csv > plan.csv`,
		Args: sources,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := how.check(a, cmd.Flags()); err != nil {
				return err
			}
			sub.settle(cmd.Flags())
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			return a.plan(cmd, cfg, &sub, args, how)
		},
	}
	sub.bind(cmd.Flags())
	cmd.Flags().StringVar(&how.format, "format", "table", strings.Join(planFormats, ", "))
	cmd.Flags().BoolVar(&how.offline, "offline", false, "do not ask providers for balances")
	config.AddFlag(cmd.Flags(), "server.public_url", "what the provider can reach of this machine")
	return cmd
}

func (p *planned) check(a *app, f *pflag.FlagSet) error {
	switch {
	case !slices.Contains(planFormats, p.format):
		return usage("--format is %q; it is one of %s", p.format, strings.Join(planFormats, ", "))
	case a.json && f.Changed("format") && p.format != "json":
		return usage("--json and --format %s contradict each other; give one", p.format)
	case a.json:
		p.format = "json"
	}
	return nil
}

// plan makes a plan and prints it.
func (a *app) plan(cmd *cobra.Command, cfg *config.Config, sub *submission, args []string, how planned) error {
	ctx := cmd.Context()
	t, wrong := a.target(cfg, sub)
	if err := a.report(append(sub.wrong, wrong...)); err != nil {
		return err
	}
	sub.target = t
	sys, err := a.open(ctx, cfg, a.logger(cfg, a.stderr, levelFor(cfg, slog.LevelError)), "segue plan "+strings.Join(args, " "))
	if err != nil {
		return err
	}
	frugal := collectOften()
	plan, refused, err := a.makePlan(ctx, sys, sub, args, how)
	frugal()
	if err == nil {
		err = sys.note(ctx, plan)
	}
	if err := errors.Join(err, sys.close()); err != nil {
		return err
	}
	switch how.format {
	case "json":
		err = plan.JSON(a.stdout)
	case "markdown":
		err = plan.Markdown(a.stdout)
	case "table":
		err = plan.Table(a.stdout)
	}
	if err != nil || refused != nil {
		return errors.Join(err, refused)
	}
	if plan.Blocked() {
		return &failure{exitUsage, errors.New(plural(plan.Inputs.Invalid, "input") + " cannot be sent; nothing was sent"), "the same command, once that is put right"}
	}
	fmt.Fprintf(a.stderr, "next:  %s\n", runOf(cmd.Flags(), plan, sub, args))
	return nil
}

// oftener is how much memory may be garbage for each byte that is in use, in percent.
const oftener = 30

// collectOften has the collector keep less for later, until the returned function is
// called. What a plan of a million rows holds is sums and bytes, which cost nothing to
// look at: to leave as much again to garbage, as is usual, would buy no time. Whoever
// said how often (GOGC) is heard.
func collectOften() (restore func()) {
	const usual = 100
	before := debug.SetGCPercent(oftener)
	if before != usual {
		debug.SetGCPercent(before)
	}
	return func() { debug.SetGCPercent(before) }
}

// makePlan goes through the inputs once, and holds none of them. refused is why a run
// would be refused whatever each input is.
func (a *app) makePlan(ctx context.Context, sys *system, sub *submission, args []string, how planned) (plan *bulk.Plan, refused, err error) {
	if sub.target.account == "" {
		if sub.target.account, err = sys.chosen(ctx, sub.target.provider.Name); err != nil {
			return nil, nil, err
		}
	}
	settings, err := sys.planning(ctx, sub, sub.target.account, a.free(ctx, sys, sub.target, how))
	if err != nil {
		return nil, nil, err
	}
	inspector, err := a.inspector(sys.cfg)
	if err != nil {
		return nil, nil, err
	}
	if !sub.skim {
		inspector.Object, inspector.URL = sys.recognised, patiently(sys.recognisedAddress)
	}
	looked := &looking{job: settings.Job}
	settings.Job = looked.at
	told := &teller{app: a}
	settings.Each = told.tell
	var sheet *bulk.Sheet
	if how.format == "csv" {
		sheet = bulk.NewSheet(a.stdout)
		settings.Each = bulk.Tell(told.tell, sheet.Add)
	}
	plan, err = bulk.Make(ctx, inspector.All(ctx, source.All(ctx, args, a.expansion(sys.cfg, sub))), settings)
	switch {
	case ctx.Err() != nil:
		return nil, nil, notSent(ctx)
	case err != nil:
		return nil, nil, err
	case plan.Inputs.Total == 0:
		return nil, nil, usage("no audio files in %s", strings.Join(args, ", "))
	}
	told.close()
	if sheet != nil {
		if err := sheet.Close(); err != nil {
			return nil, nil, err
		}
	}
	return plan, looked.judge(a, sys, sub), nil
}

// chosen is an account for a command that names none.
func (s *system) chosen(ctx context.Context, providerName string) (string, error) {
	if err := s.gate.Announce(ctx, s.announced()); err != nil {
		return "", err
	}
	return s.client.Choose(ctx, providerName, "")
}

// free asks for the balance of an account, where that is possible; nil where it is
// not known.
func (a *app) free(ctx context.Context, sys *system, t target, how planned) *float64 {
	if how.offline || simulates(t.provider) {
		return nil
	}
	name := ledger.Account{Provider: t.provider.Name, Name: t.account}
	balance, err := sys.balanceOf(ctx, name)
	if err != nil {
		fmt.Fprintf(a.stderr, "note: the balance of %s is not known: %s\n", name, unanswered(err))
		return nil
	}
	return &balance
}

// looking notices what is only known of all inputs together.
type looking struct {
	job             func(source.Inspected) bulk.Job
	extended, local bool
}

func (l *looking) at(in source.Inspected) bulk.Job {
	j := l.job(in)
	l.extended = l.extended || j.Params != nil
	l.local = l.local || in.Path != ""
	return j
}

// judge says what a run would refuse whatever each input is.
func (l *looking) judge(a *app, sys *system, sub *submission) error {
	if !l.extended && !sub.extend && sub.params != (enqueue.Extend{}) {
		return a.report((&submission{params: sub.params}).continuation(&enqueue.Session{}, nil))
	}
	if !l.local || simulates(sub.target.provider) {
		return nil
	}
	return sys.reachable(sub.target.provider, &enqueue.Session{Items: []enqueue.Item{{Source: "a file"}}})
}

// teller prints what there is to say about inputs: all that is wrong, and some notes.
type teller struct {
	app         *app
	notes, more int
}

func (t *teller) tell(o bulk.Outcome) error {
	for _, finding := range o.Findings {
		switch {
		case !finding.Note:
			fmt.Fprintf(t.app.stderr, "error: %s\n", inLine(finding.Error()))
		case t.notes < maxFindings:
			t.notes++
			fmt.Fprintf(t.app.stderr, "note: %s\n", inLine(finding.Error()))
		default:
			t.more++
		}
	}
	return nil
}

func (t *teller) close() {
	if t.more > 0 {
		fmt.Fprintf(t.app.stderr, "… and %s\n", plural(t.more, "more note"))
	}
}

// runOf is the command that does what was planned, and nothing else.
func runOf(f *pflag.FlagSet, plan *bulk.Plan, sub *submission, args []string) string {
	words := []string{"segue run --plan", plan.Hash}
	f.Visit(func(flag *pflag.Flag) {
		value := flag.Value.String()
		switch {
		case slices.Contains([]string{"format", "offline", "json", "account", "plan"}, flag.Name):
		case strings.Contains(value, "@") && strings.Contains(value, "://"):
			words = append(words, "--"+flag.Name+" …") // it may hold a password
		case flag.Value.Type() == "bool":
			words = append(words, "--"+flag.Name+map[string]string{"true": "", "false": "=false"}[value])
		default:
			words = append(words, "--"+flag.Name, quotedWord(value))
		}
	})
	words = append(words, "--account", quotedWord(sub.target.account))
	for _, arg := range args {
		words = append(words, quotedWord(shownWord(arg)))
	}
	return strings.Join(words, " ")
}

// shownWord is an argument without what may be a signature or a password: what a
// command prints may end in somebody's log.
func shownWord(arg string) string {
	address, _, signed := strings.Cut(arg, "?")
	switch {
	case !strings.Contains(arg, "://"):
		return arg
	case strings.Contains(address, "@"):
		return "…"
	case signed && !isObject(arg):
		return address + "?…"
	}
	return arg
}

// quotedWord is a word as a shell takes it.
func quotedWord(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-:+,=@%", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
