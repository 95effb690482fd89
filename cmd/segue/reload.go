package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
)

// lookEvery is how often the configuration's files are looked at.
const lookEvery = 10 * time.Second

// fixed are the keys, or what they begin with, that a running process has built itself
// upon: they change with a restart.
var fixed = []string{
	"redis.", "state_dir", "server.addr", "server.public_url", "staging.", "log.",
	"worker.concurrency.", "worker.drain", "worker.give_up",
}

// readings is the configuration of a running process, which may be read again.
type readings struct {
	// newest is nil until it was.
	newest atomic.Pointer[config.Config]
	// following says that it is read again at all.
	following atomic.Bool

	mu sync.Mutex
	// seen is what the files looked like when they were read last, well or not.
	seen string
}

// config is the configuration as it is now.
func (s *system) config() *config.Config {
	if newest := s.readings.newest.Load(); newest != nil {
		return newest
	}
	return s.cfg
}

// follow reads the configuration again when its files change, and on SIGHUP, until the
// context that it returns ends. stop must be called.
func (s *system) follow(ctx context.Context) (following context.Context, stop func()) {
	following, cancel := context.WithCancel(ctx)
	s.readings.seen = s.cfg.ReadFrom()
	s.readings.following.Store(true)
	hangups := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // nohup's word is not taken back
		signal.Notify(hangups, syscall.SIGHUP)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-following.Done():
				return
			case <-hangups:
				if s.app.terminal && terminalGone() {
					cancel()
					return
				}
				s.refresh(following, true)
			case <-ticker.C:
				s.refresh(following, false)
			}
		}
	})
	return following, func() {
		s.readings.following.Store(false)
		signal.Stop(hangups)
		cancel()
		wg.Wait()
	}
}

// terminalGone tells the two meanings of SIGHUP apart: somebody asks for the
// configuration to be read, or has closed the window that this process ran in.
func terminalGone() bool {
	terminal, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return true
	}
	return terminal.Close() != nil
}

// refresh reads the configuration again, and tells producers of new accounts at once.
func (s *system) refresh(ctx context.Context, asked bool) {
	if !s.reread(ctx, asked) {
		return
	}
	s.accounts.Reset()
	if err := s.gate.Announce(ctx, s.announced()); err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "accounts could not be announced", slog.String("cause", err.Error()))
	}
}

// reread reads the configuration again, if its files changed or somebody asks for it.
// It answers whether there is another one now. Accounts that are open are another
// matter: the pool may be what asks.
func (s *system) reread(ctx context.Context, asked bool) bool {
	s.readings.mu.Lock()
	defer s.readings.mu.Unlock()
	before := s.config()
	looks := before.Looks()
	if !s.readings.following.Load() || (looks == s.readings.seen && !asked) {
		return false
	}
	next, err := before.Again()
	if err != nil {
		s.readings.seen = looks
		s.log.ErrorContext(ctx, "configuration refused: the one from before stays in force", slog.String("cause", oneLine(err)))
		return false
	}
	s.readings.seen = next.ReadFrom()
	s.adopt(ctx, before, next)
	return true
}

// adopt makes a configuration the one in force, and says what is new about it.
func (s *system) adopt(ctx context.Context, before, next *config.Config) {
	s.readings.newest.Store(next)
	s.upload.Set(int64(next.Worker.Bandwidth.Upload))
	s.fetch.Set(int64(next.Worker.Bandwidth.Fetch))
	s.mu.Lock()
	// Both are made anew when they are needed next.
	s.outside = nil
	clear(s.archives)
	s.mu.Unlock()
	changed := before.Changes(next)
	s.log.InfoContext(ctx, "configuration read again", slog.String("changed", strings.Join(changed, ", ")))
	if late := s.late(next); len(late) > 0 && !slices.Equal(late, s.late(before)) {
		s.log.WarnContext(ctx, "the configuration has changes that take a restart", slog.String("keys", strings.Join(late, ", ")))
	}
	for _, warning := range next.Warnings {
		if !slices.Contains(before.Warnings, warning) {
			s.log.WarnContext(ctx, "configuration", slog.String("warning", warning.Error()))
		}
	}
}

// late are the keys of a configuration that wait for a restart.
func (s *system) late(c *config.Config) []string {
	return slices.DeleteFunc(s.cfg.Changes(c), func(key string) bool { return !isFixed(key) })
}

func isFixed(key string) bool {
	return slices.ContainsFunc(fixed, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
}

// unheardOf says that what was asked for is not configured, or has no key here: both may
// have changed since the configuration was read.
func unheardOf(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Invalid || code == fault.Denied
}

// oneLine is everything that is wrong with a configuration, for a log.
func oneLine(err error) string {
	findings, ok := errors.AsType[config.Findings](err)
	if !ok {
		return sentence(err)
	}
	return strings.ReplaceAll(findings.Error(), "\n", "; ")
}
