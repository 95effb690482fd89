package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// How long to wait, and for what.
const (
	// answerPatience is for a server that does not answer at all. One that
	// answers that it is loading may take as long as it needs.
	answerPatience = 30 * time.Second
	stopPatience   = 10 * time.Second
)

// launch is what startServer needs to know.
type launch struct {
	binary string
	home   home
	socket string
	guard  *guard
	tuning tuning
}

// server is a redis-server that is our child.
type server struct {
	launch
	cmd      *exec.Cmd
	ver      string
	stopping atomic.Bool
	// exited is closed when the process has ended and been waited for; exit is
	// what Wait said.
	exited chan struct{}
	exit   error
	// lost is closed after exited, unless stop had been called.
	lost chan struct{}
}

// arguments are the whole configuration: no file is read, so nothing that the
// system's packager set can reach us.
func (l launch) arguments() []string {
	return []string{
		"--port", "0",
		"--unixsocket", l.socket,
		"--unixsocketperm", "700",
		"--dir", l.home.dir,
		"--appendonly", "yes",
		"--appendfsync", "always", // the package comment says why
		"--no-appendfsync-on-rewrite", "no",
		"--aof-load-truncated", "yes", // a power cut may end the file in mid-command
		"--save", "",
		"--maxmemory", "0",
		"--maxmemory-policy", "noeviction",
		"--daemonize", "no",
		"--loglevel", "warning",
	}
}

// startServer returns once the server has loaded its data and answers.
func startServer(ctx context.Context, l launch) (*server, error) {
	const op = "embedded.Start"
	s := &server{launch: l, exited: make(chan struct{}), lost: make(chan struct{})}
	if err := s.spawn(ctx); err != nil {
		return nil, fault.New(fault.Internal, op, err)
	}
	err := l.guard.write(record{PID: s.cmd.Process.Pid, Socket: l.socket})
	if err == nil {
		err = s.await(ctx)
	}
	if err == nil {
		return s, nil
	}
	// It did not become what was asked for: how it ends adds nothing.
	_ = s.stop()
	if code := fault.CodeOf(ctx.Err()); code != "" {
		return nil, fault.New(code, op, ctx.Err())
	}
	return nil, fault.New(fault.Internal, op, fmt.Errorf("%w%s", err, s.lastWords()))
}

// spawn starts the process, and a goroutine that waits for its end.
func (s *server) spawn(ctx context.Context) error {
	output, err := s.openLog()
	if err != nil {
		return err
	}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), s.binary, s.arguments()...)
	s.cmd.Dir = s.home.dir
	s.cmd.Stdout, s.cmd.Stderr = output, output
	// Our environment holds API keys, which are none of the server's business.
	s.cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	s.cmd.ExtraFiles = []*os.File{s.guard.lock.file}
	s.cmd.SysProcAttr = s.tuning.attr
	started := make(chan error, 1)
	go s.mind(started)
	err = <-started
	// The child has its own copy of the file, so closing ours can lose nothing.
	_ = output.Close()
	return err
}

// mind starts the process and waits for it on one system thread, which it
// keeps to itself: Linux ties the signal that a parent's death sends to the
// thread that forked, and would send it when Go retired that thread.
func (s *server) mind(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := s.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	s.exit = s.cmd.Wait()
	close(s.exited)
	if !s.stopping.Load() {
		close(s.lost)
	}
}

// await returns when the server answers and has loaded its data.
func (s *server) await(ctx context.Context) error {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	silence := time.NewTimer(answerPatience)
	defer silence.Stop()
	for {
		answer, err := ask(ctx, s.socket, "PING", time.Second)
		if answer == "+PONG" {
			return s.introduce(ctx)
		}
		if err == nil {
			silence.Reset(answerPatience)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.exited:
			return fmt.Errorf("redis-server ended at once (%w)", s.end())
		case <-silence.C:
			return fmt.Errorf("redis-server did not answer within %s", answerPatience)
		case <-again.C:
		}
	}
}

func (s *server) introduce(ctx context.Context) error {
	info, err := ask(ctx, s.socket, "INFO server", answerPatience)
	if err != nil {
		return err
	}
	s.ver = serverVersion(info)
	return nil
}

func (s *server) version() string       { return s.ver }
func (s *server) durable() bool         { return true }
func (s *server) died() <-chan struct{} { return s.lost }

func (s *server) cause() error {
	return fault.New(fault.Unavailable, "embedded.Redis", fmt.Errorf("redis-server ended (%w)%s", s.end(), s.lastWords()))
}

// end says how the process ended; Wait says nothing about an orderly end.
func (s *server) end() error {
	if s.exit == nil {
		return errors.New("exit status 0")
	}
	return s.exit
}

// stop ends the process, gently if it lets us, and returns when it is gone.
func (s *server) stop() error {
	const op = "embedded.Close"
	s.stopping.Store(true)
	select {
	case <-s.exited:
		return s.cause()
	default:
	}
	ctx := context.Background()
	if shutdown(ctx, s.socket, stopPatience) != nil {
		// Too late, or the socket's file is gone. The process has not been
		// waited for, so the signal cannot reach another one.
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
	}
	kill := time.NewTimer(stopPatience)
	defer kill.Stop()
	select {
	case <-s.exited:
	case <-kill.C:
		_ = s.cmd.Process.Kill() // fails only for a process that has ended
		<-s.exited
		return fault.New(fault.Timeout, op, fmt.Errorf("redis-server did not stop within %s and was killed%s", stopPatience, s.lastWords()))
	}
	if s.exit != nil {
		return fault.New(fault.Internal, op, fmt.Errorf("redis-server: %w%s", s.exit, s.lastWords()))
	}
	return nil
}

// openLog starts the server's log anew and keeps the one before.
func (s *server) openLog() (*os.File, error) {
	path := s.home.path("redis.log")
	if err := os.Rename(path, path+".1"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

// lastWords gives the end of the server's log, to be put behind an error; it
// is empty when there is none.
func (s *server) lastWords() string {
	const most, lines = 4096, 6
	file, err := os.Open(s.home.path("redis.log"))
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if size, err := file.Seek(0, io.SeekEnd); err == nil {
		_, _ = file.Seek(max(0, size-most), io.SeekStart)
	}
	content, err := io.ReadAll(io.LimitReader(file, most))
	text := strings.TrimSpace(string(content))
	if err != nil || text == "" {
		return ""
	}
	tail := strings.Split(text, "\n")
	return "; its log ends: " + strings.Join(tail[max(0, len(tail)-lines):], " | ")
}
