package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker; make build takes it from git.
var version = ""

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  nothing,
		RunE: func(*cobra.Command, []string) error {
			v := version
			if info, ok := debug.ReadBuildInfo(); v == "" && ok {
				v = info.Main.Version
			}
			if v == "" || v == "(devel)" {
				v = "development"
			}
			if a.json {
				return a.printJSON(map[string]string{"version": v, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			}
			fmt.Fprintf(a.stdout, "segue %s (%s, %s/%s)\n", v, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: subcommand, RunE: help, SuggestionsMinimumDistance: suggestWithin}
	cmd.AddCommand(&cobra.Command{
		Use:   "print",
		Short: "Print the whole configuration, secrets masked, with where each value comes from",
		Args:  nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(cfg.Values())
			}
			return cfg.Print(a.stdout)
		},
	}, &cobra.Command{
		Use:   "check",
		Short: "Say everything that is wrong with the configuration; exit code 2 if anything is",
		Args:  nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			if missing := cfg.Missing(); missing != nil {
				fmt.Fprintf(a.stderr, "warning: %s\n", sentence(missing))
			}
			from := cfg.File
			if from == "" {
				from = "no file, defaults"
			}
			fmt.Fprintf(a.stdout, "ok: %s\n", from)
			return nil
		},
	})
	return cmd
}
