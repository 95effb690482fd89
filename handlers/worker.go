package handlers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// Concurrency is how many tasks a worker executes at once, by what they need:
// uploads and fetches need bandwidth, calls need a connection.
type Concurrency struct {
	Upload int
	Fetch  int
	// Calls is for extend and poll, each.
	Calls int
}

// of gives a queue's share.
func (c Concurrency) of(name string) int {
	switch name {
	case tasks.QueueUpload:
		return c.Upload
	case tasks.QueueFetch:
		return c.Fetch
	case tasks.QueueControl:
		return max(4, c.Calls/8)
	}
	return c.Calls
}

const (
	// beatEvery is the heartbeat: three may be missed before a worker counts as dead.
	beatEvery = session.DeadAfter / 3
	// announceEvery is how often producers are told which accounts there are.
	announceEvery = time.Minute
	// delayedEvery is how often sleeping tasks are looked at. asynq keeps whole
	// seconds, so more often than this brings nothing.
	delayedEvery = 500 * time.Millisecond
)

// checkEvery is how often an idle queue is asked for a task: it bounds how long a new
// task waits, at 40 empty questions a second and queue. Tests in virtual time ask less.
var checkEvery = 25 * time.Millisecond

// Work executes tasks until the context ends, then lets what runs finish for at
// most drain, and returns. Each queue has a server of its own: asynq's fetch loop
// is serial, and one that lists several queues asks the empty ones first.
func (h *Handlers) Work(ctx context.Context, rdb redis.UniversalClient, c Concurrency, drain time.Duration) error {
	h.Uploads = c.Upload
	lead, err := h.Store.Beat(ctx, h.Worker)
	if err != nil {
		return err
	}
	h.Queue.SetLead(lead)
	// Handlers outlive the signal: what was sent must be recorded.
	base := context.WithoutCancel(ctx)
	var servers []*asynq.Server
	stop := func() {
		var wg sync.WaitGroup
		for _, server := range servers {
			wg.Go(server.Shutdown)
		}
		wg.Wait()
	}
	h.announce(ctx)
	mux := h.Mux()
	for _, name := range tasks.Queues() {
		server := h.server(base, rdb, name, c.of(name), drain)
		if err := server.Start(mux); err != nil {
			stop()
			return fault.New(fault.Unavailable, "handlers.Work", fmt.Errorf("queue %s: %w", name, err))
		}
		servers = append(servers, server)
	}
	h.Log.InfoContext(ctx, "worker started", slog.String("worker", h.Worker))
	beating, silence := context.WithCancel(base)
	var wg sync.WaitGroup
	wg.Go(func() { h.beat(beating) })
	wg.Go(func() { h.proposeSweeps(ctx) })
	wg.Go(func() { each(ctx, announceEvery, func() { h.announce(ctx) }) })
	<-ctx.Done()
	h.Log.InfoContext(base, "worker draining", slog.String("worker", h.Worker), slog.Duration("at_most", drain))
	stop()
	silence()
	wg.Wait()
	// A claim that outlived the drain belongs to a dead worker from here on.
	leaving, cancel := context.WithTimeout(base, 5*time.Second)
	defer cancel()
	if err := h.Store.Leave(leaving, h.Worker); err != nil {
		h.Log.WarnContext(leaving, "worker could not sign off", slog.String("cause", err.Error()))
	}
	h.Log.InfoContext(leaving, "worker stopped", slog.String("worker", h.Worker))
	return nil
}

// server makes the asynq server of one queue.
func (h *Handlers) server(base context.Context, rdb redis.UniversalClient, name string, concurrency int, drain time.Duration) *asynq.Server {
	return asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency:              concurrency,
		Queues:                   map[string]int{name: 1},
		BaseContext:              func() context.Context { return base },
		TaskCheckInterval:        checkEvery,
		DelayedTaskCheckInterval: delayedEvery,
		RetryDelayFunc: func(n int, err error, task *asynq.Task) time.Duration {
			return RetryDelay(n, err, task) + h.Queue.Lead()
		},
		IsFailure:       IsFailure,
		ShutdownTimeout: drain,
		Logger:          asynqLog{h.Log},
		LogLevel:        asynq.WarnLevel,
	})
}

// beat says that this worker lives until the context ends.
func (h *Handlers) beat(ctx context.Context) {
	each(ctx, beatEvery, func() {
		lead, err := h.Store.Beat(ctx, h.Worker)
		if err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "heartbeat failed", slog.String("cause", err.Error()))
		}
		if err == nil {
			h.Queue.SetLead(lead)
		}
	})
}

// announce tells producers which accounts there are.
func (h *Handlers) announce(ctx context.Context) {
	if err := h.Gate.Announce(ctx, h.announced()); err != nil && ctx.Err() == nil {
		h.Log.WarnContext(ctx, "accounts could not be announced", slog.String("cause", err.Error()))
	}
}

// proposeSweeps enqueues the sweep of each interval. All workers propose the same
// id, so one of them runs.
func (h *Handlers) proposeSweeps(ctx context.Context) {
	each(ctx, sweepEvery, func() {
		err := h.proposeSweep(ctx)
		if err != nil && ctx.Err() == nil {
			h.Log.WarnContext(ctx, "sweep could not be proposed", slog.String("cause", err.Error()))
		}
	})
}

func (h *Handlers) proposeSweep(ctx context.Context) error {
	now, err := h.Store.Now(ctx)
	if err != nil {
		return err
	}
	task, err := tasks.KeeperSweep.New(tasks.Sweep{V: tasks.Version, Slot: now.UnixMilli() / sweepEvery.Milliseconds()})
	if err != nil {
		return fault.New(fault.Internal, "handlers.proposeSweep", err)
	}
	return h.Queue.Put(ctx, task, 0)
}

// each calls fn at once and then at every interval until the context ends.
func each(ctx context.Context, interval time.Duration, fn func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		fn()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// asynqLog sends asynq's own log lines to ours.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...), slog.String("from", "asynq")) }

func (l asynqLog) Info(args ...any) { l.log.Info(fmt.Sprint(args...), slog.String("from", "asynq")) }

func (l asynqLog) Warn(args ...any) { l.log.Warn(fmt.Sprint(args...), slog.String("from", "asynq")) }

func (l asynqLog) Error(args ...any) { l.log.Error(fmt.Sprint(args...), slog.String("from", "asynq")) }

// Fatal is asynq's word for a server that cannot go on. Only cmd ends a process.
func (l asynqLog) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...), slog.String("from", "asynq")) }
