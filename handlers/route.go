package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/tasks"
)

// Mux routes every task type to its handler.
func (h *Handlers) Mux() *asynq.ServeMux {
	mux := asynq.NewServeMux()
	mux.Use(h.attempt)
	handle(mux, tasks.AudioUpload, h.Upload)
	handle(mux, tasks.AudioExtend, h.Extend)
	handle(mux, tasks.AudioPoll, h.Poll)
	handle(mux, tasks.AudioReconcile, h.Reconcile)
	handle(mux, tasks.AudioFetch, h.Fetch)
	handle(mux, tasks.SessionAdmit, h.Admit)
	handle(mux, tasks.SessionSettle, h.Settle)
	handle(mux, tasks.KeeperSweep, h.Sweep)
	handle(mux, tasks.BulkRun, h.Run)
	return mux
}

// handle registers a handler for one type. asynq's mux matches by prefix, so the
// type is checked again.
func handle[P tasks.Payload](mux *asynq.ServeMux, t tasks.Type[P], fn func(context.Context, P) error) {
	mux.HandleFunc(t.Name, func(ctx context.Context, task *asynq.Task) error {
		if task.Type() != t.Name {
			return final(fault.New(fault.Invalid, "handlers.route", fmt.Errorf("unknown task type %q", task.Type())))
		}
		payload, err := t.Decode(task.Payload())
		if err != nil {
			return final(fault.New(fault.Invalid, "handlers.route", err))
		}
		return fn(ctx, payload)
	})
}

// attempt writes the one log line of every attempt.
func (h *Handlers) attempt(next asynq.Handler) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		start := time.Now()
		err := next.ProcessTask(ctx, task)
		if !routine(task.Type()) && !errors.Is(err, context.Canceled) {
			h.at("returned") // what follows is asynq's acknowledgment
		}
		level := levelOf(task.Type(), err)
		if !h.Log.Enabled(ctx, level) {
			return err
		}
		id, _ := asynq.GetTaskID(ctx)
		retried, _ := asynq.GetRetryCount(ctx)
		attrs := []slog.Attr{
			slog.String("task_type", task.Type()), slog.String("task_id", id),
			slog.Int("attempt", retried+1), slog.Duration("duration", time.Since(start)),
		}
		if err != nil {
			attrs = append(attrs, slog.String("code", string(fault.CodeOf(err))), slog.String("reason", err.Error()))
		}
		h.Log.LogAttrs(ctx, level, "task attempt", attrs...)
		return err
	})
}

// routine says that a task runs all the time, whether or not there is work.
func routine(typeName string) bool {
	return typeName == tasks.KeeperSweep.Name || typeName == tasks.SessionAdmit.Name
}

// levelOf: what an operator must see at night is a warning, work that was done is
// info, and routine is debug.
func levelOf(typeName string, err error) slog.Level {
	switch {
	case fault.CodeOf(err) == fault.Pending:
		return slog.LevelDebug
	case err != nil && !errors.Is(err, context.Canceled):
		return slog.LevelWarn
	case routine(typeName):
		return slog.LevelDebug
	}
	return slog.LevelInfo
}
