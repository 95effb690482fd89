package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/simulator"
)

// simCredits is what a simulated account begins with: enough for 80,000 songs.
const simCredits = 1_000_000

func (a *app) simCommand() *cobra.Command {
	var address, journal, public, webhookKey string
	var seed, credits int64
	var faultless, fetchNothing, noBalance bool
	var upload, extend time.Duration
	var scale float64
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Serve fake providers, mildly faulty, with a charge log",
		Long: `Serves fake providers that behave as the real ones are documented to, with
simulated money: every key that does not begin with "wrong" is good and has --credits.
They are mildly faulty, as the real ones are; --faultless turns that off.

  GET  /_sim/charges   every charge, GET /_sim/verdict what the client did wrong
  POST /_sim/faults    what goes wrong from here on, POST /_sim/reset begin anew
  POST /_sim/credits   {"account", "credits"} sets a balance, {"account", "add"} adds to it`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o := simulator.Options{
				Seed: seed, Credits: credits, Journal: journal, PublicURL: public, NoFetch: fetchNothing, NoBalance: noBalance, TrackScale: scale,
				Log: slog.New(slog.DiscardHandler), Faults: simulator.Mild(),
			}
			if faultless {
				o.Faults = simulator.Faults{}
			}
			o.Callbacks.WebhookKey = webhookKey
			if upload > 0 {
				o.UploadTime = simulator.Timing{Mean: upload, Jitter: upload / 3}
			}
			if extend > 0 {
				o.ExtendTime = simulator.Timing{Mean: extend, Jitter: extend / 3}
			}
			return a.sim(cmd.Context(), address, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&address, "addr", "127.0.0.1:4100", "loopback host:port to listen on; port 0 is any, and is printed")
	f.Int64Var(&seed, "seed", 0, "seed of every choice and fault (0: a new one, printed)")
	f.Int64Var(&credits, "credits", simCredits, "credits that an account begins with")
	f.StringVar(&journal, "journal", "", "file that keeps operations and charges across restarts")
	f.StringVar(&webhookKey, "webhook-key", "", "key that signs the callbacks of providers that sign (kie)")
	f.StringVar(&public, "public-url", "", "what result URLs begin with (default: the host that was asked)")
	f.BoolVar(&faultless, "faultless", false, "no faults until some are set over the control API")
	f.BoolVar(&fetchNothing, "no-fetch", false, "believe every audio URL without downloading it")
	f.BoolVar(&noBalance, "no-balance", false, "answer no question about balances and deductions: lost answers are settled without them")
	f.DurationVar(&upload, "upload-time", 0, "mean time of an upload")
	f.DurationVar(&extend, "extend-time", 0, "mean time of an extension")
	f.Float64Var(&scale, "track-scale", 0, "length of results as a fraction of real ones (default 0.1)")
	return cmd
}

func (a *app) sim(ctx context.Context, address string, o simulator.Options) error {
	if !isLoopback(address) {
		return usage("--addr is %s; the simulator has no authentication and listens on loopback only", address)
	}
	sim, err := simulator.New(o)
	if err != nil {
		return &failure{exitUsage, err, "segue sim --help"}
	}
	l, err := listen(ctx, address, "")
	if err != nil {
		return errors.Join(err, sim.Close())
	}
	sys := &system{app: a, log: slog.New(slog.DiscardHandler)}
	sys.closers = append(sys.closers, sim.Close)
	served := sys.serveOn(l, sim.Handler())
	fmt.Fprintf(a.stdout, "url %s\nseed %d\n", served.url, sim.Seed())
	fmt.Fprintf(a.stderr, `
# segue.yaml for this simulator
providers:
  mountsea:
    base_url: %[1]s/mountsea
    credits_url: %[1]s/mountsea-credits
    accounts: {main: {api_key: any}}
  kie:
    base_url: %[1]s/kie
    staging_url: %[1]s/kie-staging
    accounts: {main: {api_key: any}}
  apikley:
    base_url: %[1]s/apikley
    accounts: {main: {api_key: any}}
  kkiai:
    base_url: %[1]s/kkiai
    accounts: {main: {api_key: any}}
security: {allow_private_hosts: ["%[2]s"]}

`, served.url, l.Addr())
	<-ctx.Done()
	return sys.close()
}
