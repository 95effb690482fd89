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
	"github.com/segue-audio/segue/internal/simulator"
)

func (a *app) demoCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Carry five real audio files through a simulated provider",
		Long: `Carries five short audio files through upload, poll, extend, poll and fetch, as
tasks in an embedded Redis, against a simulated provider in this process. Nothing
leaves this machine and nothing is paid. The results are real audio files.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd, dir) },
	}
	cmd.Flags().StringVar(&dir, "dir", demoFolder, "where to put the files")
	return cmd
}

func (a *app) demo(cmd *cobra.Command, dir string) (err error) {
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
		provider: simDriver, name: "demo", out: filepath.Join(dir, "results"), onUnknown: "hold", extend: true,
		params: enqueue.Extend{ContinueAt: -2, Style: "warm, unhurried"},
	}
	sub.settle(cmd.Flags())
	delete(cfg.Providers, simDriver) // the demo's provider is always the built-in one
	if err := a.seeThrough(cmd.Context(), cfg, sub, []string{songs}, seeing{command: "segue demo", sim: simulator.Options{}}); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "\nlisten:  %s\nnext:    segue run FOLDER --provider mountsea --extend --continue-at -5\n", filepath.Join(dir, "results"))
	return nil
}
