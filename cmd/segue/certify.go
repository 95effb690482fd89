package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/certify"
	"github.com/segue-audio/segue/internal/config"
)

// certification is what segue certify was asked for.
type certification struct {
	certify.Options
	evidence  string
	noResolve bool
	keep      bool
}

func (a *app) certifyCommand() *cobra.Command {
	var c certification
	cmd := &cobra.Command{
		Use:   "certify",
		Short: "Kill workers at random, and prove that nothing is paid twice or lost",
		Long: `Starts a redis-server, a fake provider, segue serve and some workers of its own,
submits sessions, and ends workers with SIGKILL at random moments, while paid
requests are on their way. Then it judges by the provider's own charge log: what
was charged twice, what was paid for and is on no record, what was left to a person
and why, and whether each session completed once, with its audioIds in order.

Nothing leaves this machine and nothing is paid. Exit code 1 means that a promise
was broken; the output says which.`,
		Example: `  segue certify --kills 500
  segue certify --kills 200 --provider mountsea --evidence none
  segue certify --kills 250 --provider mountsea --upload-only --sessions 10000 --items 1`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.certify(cmd, &c) },
	}
	f := cmd.Flags()
	f.IntVar(&c.Kills, "kills", 50, "how many workers to kill")
	f.DurationVar(&c.Every, "every", 1200*time.Millisecond, "mean time between two kills")
	f.IntVar(&c.Workers, "workers", 4, "how many workers run at a time")
	f.StringVar(&c.Provider, "provider", "kie", "whose driver and whose simulation: kie, apikley, sunoapi, mountsea or kkiai")
	f.IntVar(&c.Sessions, "sessions", 0, "submit at least so many sessions (more for as long as kills are left)")
	f.IntVar(&c.Items, "items", 10, "songs of each session")
	f.BoolVar(&c.UploadOnly, "upload-only", false, "upload without a continuation (mountsea, where an upload is paid)")
	f.IntVar(&c.InFlight, "in-flight", 48, "how many songs to keep on their way")
	f.IntVar(&c.Accounts, "accounts", 8, "over how many of the provider's accounts to spread the sessions")
	f.StringVar(&c.evidence, "evidence", string(certify.EvidenceAll), "all, or none: no callbacks, and neither lists nor the balance can be read")
	f.DurationVar(&c.Horizon, "horizon", 15*time.Second, "how long to look for evidence before an item is held (0: as long as the driver says)")
	f.BoolVar(&c.Mild, "faults", false, "let the provider fail too, as segue sim does by default")
	f.DurationVar(&c.Latency, "latency", time.Second, "the longest that a paid request is on its way, and its answer")
	f.Uint64Var(&c.Seed, "seed", 0, "seed of victims, moments, latencies and faults (0: a new one, printed)")
	f.DurationVar(&c.Patience, "patience", 6*time.Minute, "how long nothing may change before the rest is given up")
	f.BoolVar(&c.noResolve, "no-resolve", false, "leave held items as they are in the end")
	f.BoolVar(&c.keep, "keep", false, "keep the folder with everything that was written, logs included")
	return cmd
}

func (a *app) certify(cmd *cobra.Command, c *certification) (err error) {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	// A socket's path is short, and a folder of the user's own may be long.
	if c.Dir, err = os.MkdirTemp("", "segue-certify-"); err != nil {
		return err
	}
	defer func() {
		if c.keep {
			fmt.Fprintf(a.stderr, "kept:  %s\n", c.Dir)
			return
		}
		err = errors.Join(err, os.RemoveAll(c.Dir))
	}()
	env := []string{"PATH=" + a.lookup("PATH"), "TMPDIR=" + os.TempDir(), "TZ=UTC"}
	c.Evidence, c.Resolve = certify.Evidence(c.evidence), !c.noResolve
	c.Sim = certify.Command{Path: binary, Args: []string{"sim"}, Env: slices.Concat(env, []string{"HOME=" + c.Dir})}
	c.Log = a.logger(new(config.Config), a.stderr, slog.LevelWarn)
	if c.Seed == 0 {
		c.Seed = rand.Uint64()>>1 + 1
	}
	c.Progress = a.certifyProgress()
	report, err := certify.Run(cmd.Context(), c.Options, &certify.Segue{Binary: binary, Env: env})
	if cmd.Context().Err() != nil {
		return &failure{exitInterrupted, errors.New("stopped; nothing is proven"), "the same command again"}
	}
	if err != nil {
		return hinted(err, "the same command with --seed %d --keep, and look into the logs", c.Seed)
	}
	if a.json {
		err = a.printJSON(report)
	} else {
		certify.Write(a.stdout, report)
	}
	if err != nil || report.Pass() {
		return err
	}
	return &failure{
		exitOther, fmt.Errorf("a promise was broken: %s", report.Breaches[0].Promise),
		fmt.Sprintf("the same command with --seed %d --keep, and look into the logs", c.Seed),
	}
}

// certifyProgress writes how far the run is, now and then.
func (a *app) certifyProgress() func(certify.Progress) {
	const often, seldom = 500 * time.Millisecond, 10 * time.Second
	every := seldom
	if a.terminal {
		every = often
	}
	var last time.Time
	var stage string
	return func(p certify.Progress) {
		if p.Stage == stage && time.Since(last) < every {
			return
		}
		last, stage = time.Now(), p.Stage
		end := "\n"
		if a.terminal {
			end = "\x1b[K\r"
		}
		fmt.Fprintf(a.stderr, "%s: %d kills, %s; songs: %d moving, %d in doubt, %d held%s",
			p.Stage, p.Kills, plural(p.Sessions, "session"), p.Load.Moving, p.Load.Doubtful, p.Load.Held, end)
	}
}
