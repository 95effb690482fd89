package embedded

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/segue-audio/segue/internal/fault"
)

// How often the stand-in counts time down and writes its file. Both hold its
// one lock, and both take longer the more keys there are, so each then rests
// for a multiple of what it took.
const (
	tickEvery  = 100 * time.Millisecond
	tickAtMost = time.Second // between two ticks, however long one takes
	saveEvery  = time.Second
	tickRest   = 20
	saveRest   = 10
)

// volatile is the in-process stand-in for a server.
type volatile struct {
	mini     *miniredis.Miniredis
	gate     gate
	file     *snapshotFile
	listener net.Listener
	log      *slog.Logger

	quit     chan struct{} // closed by stop
	kept     chan struct{} // closed when keep has returned
	accepted chan struct{} // closed when accept has returned
	lastTick time.Time
	failing  bool
}

// startVolatile loads the file and serves the socket.
func startVolatile(ctx context.Context, h home, socket string, log *slog.Logger) (*volatile, error) {
	const op = "embedded.Start"
	v := &volatile{
		mini: miniredis.NewMiniRedis(), file: newSnapshotFile(h), log: log, lastTick: wallClock(),
		quit: make(chan struct{}), kept: make(chan struct{}), accepted: make(chan struct{}),
	}
	if err := v.load(); err != nil {
		return nil, err
	}
	err := v.open()
	if err == nil {
		var listen net.ListenConfig
		v.listener, err = listen.Listen(ctx, "unix", socket)
	}
	if err != nil {
		v.mini.Close()
		return nil, fault.New(fault.Internal, op, err)
	}
	log.LogAttrs(ctx, slog.LevelWarn, "no redis-server: up to a second of work is lost if this process is killed",
		slog.String("file", v.file.path))
	go v.accept(v.mini.Server())
	go v.keep()
	return v, nil
}

// load fills the stand-in from the file, if there is one.
func (v *volatile) load() error {
	now := time.Now()
	entries, err := v.file.read(now)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if err := put(v.mini, e, now); err != nil {
			return fault.New(fault.Internal, "embedded.Start", err)
		}
	}
	return nil
}

// open makes the stand-in serve connections that others accept, which takes a
// first one from within.
func (v *volatile) open() error {
	conn, err := v.mini.Dial()
	if err != nil {
		return err
	}
	v.mini.Server().SetPreHook(v.gate.hook(v.mini.Server()))
	return conn.Close()
}

func (v *volatile) accept(server interface{ ServeConn(conn net.Conn) }) {
	defer close(v.accepted)
	for {
		conn, err := v.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors: they come back as others are closed.
			select {
			case <-v.quit:
				return
			case <-time.After(tickEvery):
				continue
			}
		}
		server.ServeConn(conn)
	}
}

// keep counts time down and writes the file until stop.
func (v *volatile) keep() {
	defer close(v.kept)
	tick := time.NewTimer(tickEvery)
	defer tick.Stop()
	save := time.NewTimer(saveEvery)
	defer save.Stop()
	for {
		select {
		case <-v.quit:
			return
		case <-tick.C:
			began := time.Now()
			v.tick()
			tick.Reset(min(max(tickEvery, tickRest*time.Since(began)), tickAtMost))
		case <-save.C:
			began := time.Now()
			v.report(v.save())
			save.Reset(max(saveEvery, saveRest*time.Since(began)))
		}
	}
}

// tick shortens every key's life by the time since the last one. ClockTTL
// would do that before every command, at the cost of a walk over all keys.
func (v *volatile) tick() {
	now := wallClock()
	// A clock that was set back takes nothing away.
	if elapsed := now.Sub(v.lastTick); elapsed > 0 {
		v.mini.FastForward(elapsed)
	}
	v.lastTick = now
}

// wallClock leaves out the monotonic reading, which stands still while a
// laptop sleeps; lives are meant in the time of day, as Redis counts them.
func wallClock() time.Time { return time.Now().Round(0) }

// save writes a state that existed at one moment: only such a one keeps a task
// and the list it is in together. Commands wait while it is copied, and no
// longer.
func (v *volatile) save() error {
	v.gate.close()
	entries, err := dump(v.mini, time.Now())
	v.gate.open()
	if err != nil {
		return err
	}
	return v.file.write(entries)
}

// report tells of the first failure and of its end, not of every second in
// between.
func (v *volatile) report(err error) {
	switch {
	case err != nil && !v.failing:
		v.log.Error("the embedded Redis cannot write its file", slog.String("file", v.file.path), slog.Any("error", err))
	case err == nil && v.failing:
		v.log.Info("the embedded Redis writes its file again", slog.String("file", v.file.path))
	}
	v.failing = err != nil
}

func (v *volatile) version() string       { return "miniredis" }
func (v *volatile) durable() bool         { return false }
func (v *volatile) died() <-chan struct{} { return nil }
func (v *volatile) cause() error          { return nil }

// stop ends every connection first, so that no write is answered after the
// last one that reaches the file.
func (v *volatile) stop() error {
	close(v.quit)
	err := v.listener.Close()
	<-v.accepted
	<-v.kept
	v.mini.Close()
	v.tick()
	if err = errors.Join(err, v.save()); err != nil {
		return fault.New(fault.Internal, "embedded.Close", err)
	}
	return nil
}
