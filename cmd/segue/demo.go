package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/config"
)

func (a *app) demoCommand() *cobra.Command {
	var dir, as string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Carry five real audio files through a simulated provider",
		Long: `Carries five short audio files through upload, poll, extend, poll and fetch, as
tasks in an embedded Redis, against a simulated provider in this process. Nothing
leaves this machine and nothing is paid. The results are real audio files.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd, dir, as) },
	}
	cmd.Flags().StringVar(&dir, "dir", demoFolder, "where to put the files")
	cmd.Flags().StringVar(&as, "provider", simDriver, "whose driver and whose simulation to show: mountsea, kie, apikley, sunoapi or kkiai")
	return cmd
}

func (a *app) demo(cmd *cobra.Command, dir, as string) (err error) {
	if _, err := a.providers.Info(as); err != nil {
		return &failure{exitUsage, err, "segue demo --help"}
	}
	songs := filepath.Join(dir, "songs")
	if err := os.MkdirAll(songs, 0o755); err != nil {
		return err
	}
	for _, sample := range samples.Files() {
		if err := os.WriteFile(filepath.Join(songs, sample.Name), sample.Data, 0o644); err != nil {
			return err
		}
	}
	// Redis and the simulator begin anew each time: the demo shows the whole way.
	state, err := os.MkdirTemp("", "segue-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(state)) }()
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	cfg.Redis.URL, cfg.StateDir, cfg.Server.PublicURL = config.URL{}, state, ""
	sub := &submission{
		provider: as, name: "demo", out: filepath.Join(dir, "results"), onUnknown: "hold", extend: true,
		params: enqueue.Extend{ContinueAt: -2, Title: "Segue", Style: "warm, unhurried", Prompt: "hum along until the tape runs out"},
	}
	sub.settle(cmd.Flags())
	// Nothing of the user's own account takes part: the driver as it is built in, and
	// the simulator in place of its hosts.
	cfg.Providers = nil
	if err := a.seeThrough(cmd.Context(), cfg, sub, []string{songs}, seeing{command: "segue demo", simulated: true}); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "\nlisten:  %s\nnext:    segue run FOLDER --provider mountsea --extend --continue-at -5\n", filepath.Join(dir, "results"))
	return nil
}
