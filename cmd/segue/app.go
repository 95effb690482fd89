package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/all"
)

// environment is everything that a process is given from outside, so that tests
// can give something else.
type environment struct {
	args     []string
	environ  []string
	stdin    io.Reader
	stdout   io.Writer
	stderr   io.Writer
	terminal bool
}

// lookup finds a variable.
func (e *environment) lookup(name string) string {
	for _, entry := range e.environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// app is one run of the program.
type app struct {
	environment
	providers  *provider.Registry
	configFile string
	json       bool
	buckets    *buckets
}

// The exit codes, which scripts rely on.
const (
	exitOK          = 0
	exitOther       = 1
	exitUsage       = 2
	exitFailedItems = 3
	exitNotFound    = 4
	exitDenied      = 5
	exitTimeout     = 6
	exitUnreachable = 7
	exitHeld        = 8
	exitInterrupted = 130
)

// failure is an error with its exit code and the next command to try.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usage is a failure to say what is wanted.
func usage(format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), ""}
}

// hinted adds the next command to try.
func hinted(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &failure{exitCode(err), err, fmt.Sprintf(format, args...)}
}

func run(ctx context.Context, env environment) int {
	a := &app{environment: env, providers: all.Providers(), buckets: &buckets{}}
	root := a.root()
	root.SetArgs(env.args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	a.explain(err, cmd.CommandPath())
	return exitCode(err)
}

// explain says what went wrong, and always what to try.
func (a *app) explain(err error, command string) {
	fmt.Fprintf(a.stderr, "segue: %s\n", a.headline(err))
	hint := a.configCheck() + ", or the same command with --log-level debug"
	if exitCode(err) == exitUsage {
		hint = command + " --help"
	}
	if f, ok := errors.AsType[*failure](err); ok {
		hint = cmp.Or(f.hint, hint)
	}
	fmt.Fprintf(a.stderr, "try:   %s\n", hint)
}

// headline is an error on one line. What is wrong with the configuration comes
// before it, one line each, as everything else that is found at once.
func (a *app) headline(err error) string {
	if findings, ok := errors.AsType[config.Findings](err); ok {
		for _, finding := range findings {
			fmt.Fprintf(a.stderr, "error: %s\n", finding.Error())
		}
		return plural(len(findings), "error") + " in the configuration"
	}
	var f *failure
	if exitCode(err) == exitInterrupted && !errors.As(err, &f) {
		return "stopped"
	}
	return sentence(err)
}

// plural counts things: 1 file, 2 files.
func plural(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// sentence is an error as a person should read it.
func sentence(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Err != nil {
		return f.Err.Error()
	}
	return err.Error()
}

// exitCode maps an error to the exit code that scripts rely on.
func exitCode(err error) int {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	switch { // the producer library's own kinds
	case errors.Is(err, enqueue.ErrInvalid):
		return exitUsage
	case errors.Is(err, enqueue.ErrNotFound):
		return exitNotFound
	case errors.Is(err, enqueue.ErrUnavailable):
		return exitUnreachable
	}
	switch fault.CodeOf(err) {
	case fault.Invalid:
		return exitUsage
	case fault.NotFound:
		return exitNotFound
	case fault.Denied, fault.Exhausted:
		return exitDenied
	case fault.Timeout:
		return exitTimeout
	case fault.Unavailable:
		return exitUnreachable
	case fault.Canceled:
		return exitInterrupted
	case "", fault.Rejected, fault.Conflict, fault.Malformed, fault.Pending, fault.Internal:
	}
	return exitOther
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "segue",
		Short: "Carry audio files in bulk through Suno-style music APIs, and pay for nothing twice",
		Long: `Segue uploads audio files to a music API, has them extended, and collects the
results. It never pays twice for the same song, and never loses one that was paid
for, whatever crashes.

  segue demo                                   the whole thing, on a fake provider
  segue run ./songs --provider mountsea --extend --continue-at -5

Exit codes: 0 all succeeded, 1 other, 2 invalid input (nothing was sent), 3 finished
with failed items, 4 not found, 5 denied, 6 timed out, 7 Redis unreachable, 8 items
held, 130 interrupted.`,
		SilenceErrors: true, SilenceUsage: true, SuggestionsMinimumDistance: suggestWithin,
		Args: subcommand,
		RunE: help,
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &failure{exitUsage, err, cmd.CommandPath() + " --help"}
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration file (default ./segue.yaml, then $XDG_CONFIG_HOME/segue/segue.yaml)")
	flags.BoolVar(&a.json, "json", false, "print JSON on stdout")
	for key, text := range map[string]string{
		"redis.url": "Redis to use; empty is the embedded one",
		"state_dir": "where the embedded Redis and the default archive live",
		"log.level": "debug, info, warn or error",
	} {
		config.AddFlag(flags, key, text)
	}
	root.AddCommand(
		a.demoCommand(), a.planCommand(), a.runCommand(), a.submitCommand(),
		a.statusCommand(), a.sessionsCommand(), a.itemsCommand(), a.resultsCommand(),
		a.cancelCommand(), a.retryCommand(), a.resolveCommand(), a.priorityCommand(),
		a.accountsCommand(), a.ledgerCommand(), a.reportCommand(), a.rebuildCommand(),
		a.workerCommand(), a.serveCommand(), a.upCommand(), a.simCommand(),
		a.schedulerCommand(), a.scheduleCommand(),
		a.certifyCommand(),
		a.configCommand(), a.doctorCommand(), a.versionCommand(),
	)
	// cobra would add its completion command later, out of wrapArgs' sight; it keeps
	// the output that it finds.
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Args, cmd.RunE = subcommand, help
		}
	}
	wrapArgs(root)
	return root
}

// wrapArgs gives every complaint about arguments the exit code of a usage error.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return &failure{exitUsage, err, cmd.CommandPath() + " --help"}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

// suggestWithin is how many letters a misspelt command may be off to be suggested.
const suggestWithin = 2

// help is what a command does that does nothing by itself.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// subcommand is the Args of a command that does nothing by itself.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", cmd.CommandPath()+" "+args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text)
}

// nothing is the Args of a command that takes none.
func nothing(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, and was given %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// one is the Args of a command that takes exactly one, and says what it is.
func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("%s needs %s", cmd.CommandPath(), what)
		case 1:
			return nil
		}
		return fmt.Errorf("%s takes %s and nothing else, and was given %d arguments", cmd.CommandPath(), what, len(args))
	}
}

// some is the Args of a command that takes one or more, and says what they are.
func some(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s needs %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// What a command's one argument is.
const (
	aSession = "a session id (segue sessions lists them)"
	anItem   = "an item id (segue items SESSION lists them)"
)

// load reads the configuration for a command.
func (a *app) load(cmd *cobra.Command) (*config.Config, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	home := a.lookup("HOME")
	configHome := a.lookup("XDG_CONFIG_HOME")
	if configHome == "" {
		configHome = filepath.Join(home, ".config")
	}
	cfg, err := config.Load(config.Options{
		File:        a.configFile,
		SearchPaths: []string{"segue.yaml", filepath.Join(configHome, "segue", "segue.yaml")},
		Environ:     a.environ,
		Flags:       cmd.Flags(),
		Drivers:     a.drivers(),
		Dir:         dir, Home: home, StateHome: a.lookup("XDG_STATE_HOME"),
	})
	if err != nil {
		return nil, hinted(err, "%s, once that is put right", a.configCheck())
	}
	for _, warning := range cfg.Warnings {
		fmt.Fprintf(a.stderr, "warning: %s\n", warning.Error())
	}
	return cfg, nil
}

// configCheck is the command that looks at the same configuration.
func (a *app) configCheck() string {
	if a.configFile == "" {
		return "segue config check"
	}
	return "segue config check --config " + a.configFile
}

// drivers is what the configuration must know of the drivers.
func (a *app) drivers() []config.Driver {
	names := a.providers.Names()
	drivers := make([]config.Driver, 0, len(names))
	for _, name := range names {
		info, err := a.providers.Info(name)
		if err != nil {
			continue // a registered name has its info
		}
		drivers = append(drivers, config.Driver{
			Name: name, Keyless: name == simDriver, BaseURL: info.BaseURL,
			Credits: config.Credits{Upload: info.Prices.Upload, Extend: info.Prices.Extend},
			Limits: config.Limits{
				Submit: config.Rate(info.Limits.Submit), InFlight: info.Limits.InFlight,
			},
			Poll: config.Poll{Min: info.Poll.Min, Max: info.Poll.Max, Deadline: info.Poll.Deadline},
		})
	}
	return drivers
}

// logger writes to stderr, or above the progress bars when there are some.
func (a *app) logger(cfg *config.Config, to io.Writer, level slog.Level) *slog.Logger {
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(tint.NewTextHandler(to, &tint.Options{Level: level, NoColor: !a.terminal, TimeFormat: "15:04:05.000"}))
}

// levelFor is the configured level where somebody configured one, and otherwise
// what fits the command: one that shows progress does not also log it.
func levelFor(cfg *config.Config, otherwise slog.Level) slog.Level {
	for _, value := range cfg.Values() {
		if value.Key == "log.level" && value.From == "default" {
			return otherwise
		}
	}
	return cfg.Log.Leveled()
}
