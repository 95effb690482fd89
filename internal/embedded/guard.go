package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// guard is the second lock, which says whether a server lives. The server
// inherits the open file, so the kernel keeps the lock for as long as the
// server does, also when the process that started it was killed: two servers
// on one append-only file would ruin it, and process ids alone cannot tell.
type guard struct{ lock *lockFile }

// record is the content of the guard's file: how to reach the server.
type record struct {
	// PID is zero until the server runs.
	PID int `json:"pid,omitempty"`
	// Socket is written before the server starts, so that no server is ever
	// without a way to reach it.
	Socket string `json:"socket"`
}

// takeGuard locks the guard, after ending the server of an earlier process if
// one is still there. Each of its means gets the given patience.
func takeGuard(ctx context.Context, h home, log *slog.Logger, patience time.Duration) (*guard, error) {
	const op = "embedded.Start"
	lock, err := openLock(h.path("server.lock"))
	if err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	if err := retire(ctx, lock, log, patience); err != nil {
		return nil, errors.Join(err, lock.file.Close())
	}
	var left record
	if lock.read(&left) == nil && left.Socket != "" {
		err = h.removeSocket(left.Socket)
	}
	if err != nil {
		return nil, fault.New(fault.Internal, op, errors.Join(err, lock.file.Close()))
	}
	return &guard{lock: lock}, nil
}

// retire returns once the lock is held. The means grow harsher: a request
// through the socket, two signals. None loses an answered write, because every
// one of them was flushed before its answer.
func retire(ctx context.Context, lock *lockFile, log *slog.Logger, patience time.Duration) error {
	const op = "embedded.Start"
	err := lock.tryLock()
	if err == nil {
		return nil
	}
	var left record
	if errors.Is(err, errBusy) && lock.read(&left) == nil {
		log.LogAttrs(ctx, slog.LevelWarn, "ending the redis-server of an earlier process", slog.Int("pid", left.PID))
	}
	for _, ask := range []func() error{
		func() error { return shutdown(ctx, left.Socket, patience) },
		func() error { return signal(left.PID, syscall.SIGTERM) },
		func() error { return signal(left.PID, syscall.SIGKILL) },
	} {
		if !errors.Is(err, errBusy) {
			break
		}
		// Whether asking worked is seen by the lock; a server that is ending
		// already cannot be asked.
		_ = ask()
		err = awaitLock(ctx, lock, patience)
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fault.New(fault.CodeOf(ctx.Err()), op, ctx.Err())
	case errors.Is(err, errBusy):
		return fault.New(fault.Unavailable, op, fmt.Errorf("the redis-server of an earlier process (pid %d) does not end: stop it by hand", left.PID))
	}
	return fault.New(fault.Internal, op, err)
}

// awaitLock tries until the lock is free, and returns errBusy when patience or
// the context ends first.
func awaitLock(ctx context.Context, lock *lockFile, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if err := lock.tryLock(); !errors.Is(err, errBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return errBusy
		case <-again.C:
		}
	}
}

// signal does nothing without a process id: zero and negative ones address
// whole process groups, and 1 is nobody's server.
func signal(pid int, sig os.Signal) error {
	if pid <= 1 {
		return os.ErrProcessDone
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Signal(sig)
}

func (g *guard) write(r record) error {
	if err := g.lock.write(r); err != nil {
		return fault.New(fault.Internal, "embedded.Start", err)
	}
	return nil
}

func (g *guard) release() error { return g.lock.release() }
