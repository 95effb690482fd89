package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/staging"
)

// roles is which parts of Segue a process runs.
type roles struct {
	command       string
	worker, serve bool
	// schedule is the scheduler beside the others.
	schedule bool
}

func (a *app) workerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Execute tasks; run as many as you like",
		Long: `Executes tasks until it is stopped. On SIGTERM it takes no more, lets running steps
finish for at most worker.drain, and exits.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.play(cmd, roles{command: "segue worker", worker: true})
		},
	}
	for key, text := range map[string]string{
		"worker.drain":              "how long running steps may take to finish after a signal",
		"worker.concurrency.upload": "uploads at once",
		"worker.concurrency.fetch":  "downloads at once",
		"worker.concurrency.calls":  "small requests at once",
		"archive.url":               "where results are kept",
		"server.public_url":         "what the provider can reach of segue serve",
	} {
		config.AddFlag(cmd.Flags(), key, text)
	}
	return cmd
}

func (a *app) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve local files to providers, asynqmon, and health checks",
		Args:  nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.play(cmd, roles{command: "segue serve", serve: true})
		},
	}
	config.AddFlag(cmd.Flags(), "server.addr", "host:port to listen on; port 0 is any, and is printed")
	config.AddFlag(cmd.Flags(), "server.public_url", "what providers can reach of this server")
	return cmd
}

func (a *app) upCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Worker, server and scheduler in one process",
		Args:  nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.play(cmd, roles{command: "segue up", worker: true, serve: true, schedule: true})
		},
	}
	config.AddFlag(cmd.Flags(), "server.addr", "host:port to listen on; port 0 is any, and is printed")
	config.AddFlag(cmd.Flags(), "server.public_url", "what providers can reach of this server")
	return cmd
}

// play runs the roles until the process is told to stop.
func (a *app) play(cmd *cobra.Command, r roles) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	log := a.logger(cfg, a.stderr, cfg.Log.Leveled())
	if r.serve && !isLoopback(cfg.Server.Addr) && len(cfg.Server.Tokens) == 0 {
		return &failure{
			exitUsage, fmt.Errorf("server.addr %s can be reached from outside, and server.tokens names nobody who may", cfg.Server.Addr),
			"a loopback address, or a token with the scope operate",
		}
	}
	if cfg.Redis.URL.Reveal() == "" && !(r.worker && r.serve) {
		return &failure{exitUsage, errors.New("redis.url is not set, and the embedded Redis is of no use to one role alone"), "segue up, or set redis.url"}
	}
	sys, err := a.open(ctx, cfg, log, r.command)
	if err != nil {
		return err
	}
	return errors.Join(a.playOn(ctx, sys, r), sys.close())
}

func (a *app) playOn(ctx context.Context, sys *system, r roles) error {
	if err := sys.mayWork(ctx, r); err != nil {
		return err
	}
	ctx, release := sys.lifetime(ctx)
	defer release()
	ctx, stop := sys.follow(ctx)
	defer stop()
	stage, err := sys.sharedStage(ctx)
	if err != nil {
		return err
	}
	if r.serve {
		l, err := listen(ctx, sys.cfg.Server.Addr, "")
		if err != nil {
			return err
		}
		served := sys.serveOn(l, sys.site(stage))
		fmt.Fprintf(a.stderr, "serving on %s (queues at %s/queues/)\n", served.url, served.url)
	}
	if r.schedule {
		deciding, halt := context.WithCancel(ctx)
		ended, err := sys.schedule(deciding)
		defer func() { halt(); ended() }()
		if err != nil {
			return err
		}
	}
	if !r.worker {
		<-ctx.Done()
		sys.log.Info("server stopping")
		return nil
	}
	err = sys.work(ctx, stage)
	if cause := context.Cause(ctx); fault.CodeOf(cause) == fault.Unavailable {
		return errors.Join(cause, err)
	}
	return err
}

// mayWork checks what a worker needs before it takes its first task: it refuses
// to spend where Redis would forget, and simulates what only it could.
func (s *system) mayWork(ctx context.Context, r roles) error {
	if !r.worker {
		return nil
	}
	for _, name := range s.cfg.ProviderNames() {
		p, err := s.cfg.Provider(name)
		if err != nil {
			return err
		}
		if _, configured := s.cfg.Providers[name]; !configured {
			continue
		}
		if err := s.durable(ctx, p, false); err != nil {
			return err
		}
		if _, err := p.Usable(); err != nil {
			s.log.Warn("provider cannot be used", slog.String("provider", name), slog.String("reason", strings.ReplaceAll(sentence(err), "\n", "; ")))
		}
	}
	return nil
}

// sharedStage is the staging of a role: at the public URL, or for providers that
// all run on this machine, by this process itself.
func (s *system) sharedStage(ctx context.Context) (*staging.Staging, error) {
	local := config.Provider{}
	for _, p := range s.cfg.Providers {
		if !onThisMachine(p.BaseURL) {
			return s.stage(ctx, p)
		}
		local = p
	}
	return s.stage(ctx, local)
}
