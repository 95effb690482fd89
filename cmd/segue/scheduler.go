package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/schedule"
	"github.com/segue-audio/segue/tasks"
)

func (a *app) schedulerCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "scheduler",
		Short: "Start bulk runs by the calendar; run as many as you like",
		Long: `Decides which firings of the schedules are due and enqueues them for the workers, each
exactly once, whatever number of schedulers runs and whichever dies. The schedules are
those of the configuration, which it follows while it runs, and those made by segue
schedule add. It reads no audio and needs no keys; workers find and carry the files.

Keep the configuration of all schedulers the same: two that differ undo each other's
schedules.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.scheduler(cmd)
		},
	}
}

// scheduler is the role alone. A server and a worker have it beside them in segue up.
func (a *app) scheduler(cmd *cobra.Command) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	if cfg.Redis.URL.Reveal() == "" {
		return &failure{exitUsage, errors.New("redis.url is not set, and the embedded Redis is of no use to one role alone"), "segue up, or set redis.url"}
	}
	ctx := cmd.Context()
	sys, err := a.open(ctx, cfg, a.logger(cfg, a.stderr, cfg.Log.Leveled()), "segue scheduler")
	if err != nil {
		return err
	}
	ctx, stop := sys.follow(ctx)
	defer stop()
	ended, err := sys.schedule(ctx)
	if err == nil {
		<-ctx.Done()
		ended()
	}
	return errors.Join(err, sys.close())
}

// schedule begins to decide about firings. It goes on until the context ends; ended
// waits for that.
func (s *system) schedule(ctx context.Context) (ended func(), err error) {
	book := schedule.NewStore(s.rdb)
	cfg := s.config()
	if err := s.syncSchedules(ctx, book, cfg); err != nil {
		return func() {}, err
	}
	role := schedule.Scheduler{Store: book, Enqueue: s.enqueueFiring, Active: s.stillRuns, Log: s.log}
	s.log.InfoContext(ctx, "scheduler started", slog.Int("schedules", len(cfg.Schedules)))
	var wg sync.WaitGroup
	wg.Go(func() { _ = role.Run(ctx) }) // it fails with nothing: what does is logged and tried again
	wg.Go(func() { s.followSchedules(ctx, book, cfg) })
	return func() {
		wg.Wait()
		s.log.Info("scheduler stopped")
	}, nil
}

// followSchedules makes the schedules what the configuration says whenever another one
// is in force.
func (s *system) followSchedules(ctx context.Context, book *schedule.Store, synced *config.Config) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		next := s.config()
		if next == synced {
			continue
		}
		if err := s.syncSchedules(ctx, book, next); err != nil {
			if ctx.Err() == nil {
				s.log.ErrorContext(ctx, "schedules not taken from the configuration", slog.String("cause", err.Error()))
			}
			continue
		}
		synced = next
	}
}

// syncSchedules makes the schedules what a configuration says.
func (s *system) syncSchedules(ctx context.Context, book *schedule.Store, cfg *config.Config) error {
	entries, err := entriesOf(cfg)
	if err != nil {
		return err
	}
	changes, err := book.Sync(ctx, entries)
	if err != nil {
		return err
	}
	for _, change := range changes {
		s.log.InfoContext(ctx, "schedule follows the configuration", slog.String("schedule", change.Name),
			slog.String("now", string(change.Kind)), slog.String("finding", change.Finding))
	}
	return nil
}

// enqueueFiring puts a firing's task on its queue, under an id that the firing decides.
func (s *system) enqueueFiring(ctx context.Context, f schedule.Firing) error {
	task, err := tasks.BulkRun.New(tasks.Run{V: tasks.Version, Schedule: f.Schedule, Fire: f.Fire})
	if err != nil {
		return fault.New(fault.Invalid, "segue.schedule", err)
	}
	return s.queue.Put(ctx, task, 0)
}

// stillRuns says whether a firing's session keeps the next one waiting: while something
// of it moves by itself. One that is held waits for a person, who may take days: it
// keeps nothing waiting. Nor does one that is no more.
func (s *system) stillRuns(ctx context.Context, id string) (bool, error) {
	current, err := s.store.Session(ctx, id)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return false, nil
	case err != nil:
		return false, err
	}
	return !current.Status().Over(), nil
}

// entriesOf are the schedules of a configuration, by name.
func entriesOf(cfg *config.Config) ([]schedule.Entry, error) {
	entries := make([]schedule.Entry, 0, len(cfg.Schedules))
	for _, s := range cfg.Schedules {
		e, err := entryFrom(s)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b schedule.Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// entryFrom is one schedule of a configuration.
func entryFrom(s config.Schedule) (schedule.Entry, error) {
	e := schedule.Entry{
		Name: s.Name, Cron: s.Cron, Timezone: s.Timezone, Source: s.Source, Provider: s.Provider, Account: s.Account,
		OnUnknown: s.OnUnknown, Priority: s.Priority, Archive: s.Archive, Overlap: schedule.Overlap(s.Overlap),
		CatchUp: s.CatchUp, Jitter: s.Jitter, Budget: s.Budget, DailyBudget: s.DailyBudget, Paused: s.Paused, AllFiles: s.AllFiles, Again: s.Again,
		Origin: schedule.FromConfig,
	}
	if s.Extend == nil {
		return e, nil
	}
	x := s.Extend
	params := enqueue.Extend{
		Model: x.Model, Instrumental: x.Instrumental, Prompt: x.Prompt, Style: x.Style, Title: x.Title, NegativeTags: x.NegativeTags,
		VocalGender: x.VocalGender, StyleWeight: x.StyleWeight, WeirdnessConstraint: x.WeirdnessConstraint, AudioWeight: x.AudioWeight,
		PersonaID: x.PersonaID,
	}
	set(&params.ContinueAt, x.ContinueAt)
	err := extendWith(&e, &params)
	return e, err
}

// extendWith has a schedule's files extended.
func extendWith(e *schedule.Entry, params *enqueue.Extend) error {
	kept, err := json.Marshal(paramsOf(params, 0))
	if err != nil {
		return fault.New(fault.Internal, "segue.schedule", err)
	}
	e.Extend = kept
	return nil
}

// extendOf is how a schedule's files are extended; nil when they are only uploaded.
func extendOf(e *schedule.Entry) (*enqueue.Extend, error) {
	if len(e.Extend) == 0 {
		return nil, nil //nolint:nilnil // not to extend is no error
	}
	var p provider.Params
	if err := json.Unmarshal(e.Extend, &p); err != nil {
		return nil, fmt.Errorf("extend of schedule %s: %w", e.Name, err)
	}
	return &enqueue.Extend{
		Model: p.Model, ContinueAt: p.ContinueAt, Instrumental: p.Instrumental, Prompt: p.Prompt, Style: p.Style, Title: p.Title,
		NegativeTags: p.NegativeTags, VocalGender: p.VocalGender, StyleWeight: p.StyleWeight,
		WeirdnessConstraint: p.WeirdnessConstraint, AudioWeight: p.AudioWeight, PersonaID: p.PersonaID,
	}, nil
}

// zoneOf is a schedule's time zone; UTC when this machine does not know it.
func zoneOf(e *schedule.Entry) *time.Location {
	zone, err := time.LoadLocation(e.Timezone)
	if err != nil {
		return time.UTC
	}
	return zone
}
