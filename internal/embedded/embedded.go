package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// None as Options.RedisServer asks for the volatile stand-in even where a
// redis-server is installed.
const None = "none"

// Options says where and how to run.
type Options struct {
	// Dir is the state directory. It is created with mode 0700 if missing; all
	// files go to its subfolder redis, which is kept at 0700.
	Dir string
	// Command is what this process is, in the words its user typed ("segue run
	// ./songs"). It is shown to whoever finds the directory in use, so it must
	// hold no secret.
	Command string
	// RedisServer is the path of the server's binary. Empty means to look on
	// PATH for redis-server, then valkey-server, and to fall back to the
	// volatile stand-in when there is neither; None means to use the stand-in.
	RedisServer string
	// Log receives what an operator should know; nil discards it.
	Log *slog.Logger
}

// engine is one of the two things that can answer on the socket.
type engine interface {
	version() string
	durable() bool
	// died is closed when the engine ended without stop having been called.
	died() <-chan struct{}
	// cause says why it died; meaningful once died is closed.
	cause() error
	stop() error
}

// Redis is a running embedded server and the lock on its directory. Its
// methods may be called from any goroutine.
type Redis struct {
	home   home
	owner  *lockFile
	guard  *guard
	engine engine
	socket string

	closing  sync.Once
	closeErr error
}

// tuning is what tests vary.
type tuning struct {
	attr     *syscall.SysProcAttr
	patience time.Duration
}

// Start takes the directory's lock and starts a server in it. When it returns
// without an error the server has loaded its data and answers. The context
// bounds the start alone: the server runs until Close.
//
// One process at a time may use a directory: fault.Conflict means that another
// one does, and the message names it. fault.Invalid means that the options
// cannot work: no directory, no such binary, or an append-only file and no
// server to read it. fault.Malformed means that the stand-in's file is damaged;
// it is left as it is. fault.Unavailable means that a server of an earlier
// process would not end. fault.Internal covers what the system refused; when
// the server itself gave up, the last lines of its log are in the message.
func Start(ctx context.Context, o Options) (*Redis, error) {
	return start(ctx, o, tuning{attr: childAttributes(), patience: 5 * time.Second})
}

func start(ctx context.Context, o Options, t tuning) (*Redis, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	binary, err := findServer(o.RedisServer)
	if err != nil {
		return nil, err
	}
	h, err := openHome(o.Dir)
	if err != nil {
		return nil, err
	}
	owner, err := lockOwner(h, o.Command)
	if err != nil {
		return nil, err
	}
	r := &Redis{home: h, owner: owner}
	if err := r.open(ctx, binary, o.Log, t); err != nil {
		return nil, errors.Join(err, r.release())
	}
	o.Log.LogAttrs(ctx, slog.LevelInfo, "embedded redis started",
		slog.String("dir", h.dir), slog.String("version", r.Version()), slog.Bool("durable", r.Durable()))
	return r, nil
}

// open starts the engine under the owner's lock. After an error, release
// cleans up whatever it had got to.
func (r *Redis) open(ctx context.Context, binary string, log *slog.Logger, t tuning) error {
	var err error
	if r.guard, err = takeGuard(ctx, r.home, log, t.patience); err != nil {
		return err
	}
	if r.socket, err = r.home.socket(); err != nil {
		return err
	}
	if err := r.guard.write(record{Socket: r.socket}); err != nil {
		return err
	}
	if binary == "" {
		return r.openVolatile(ctx, log)
	}
	return r.openServer(ctx, binary, log, t)
}

func (r *Redis) openVolatile(ctx context.Context, log *slog.Logger) error {
	if r.home.hasAppendOnly() {
		return fault.New(fault.Invalid, "embedded.Start", fmt.Errorf(
			"%s holds the data of a redis-server, and none is installed now: install it, or name its path, or move that folder away to begin anew", r.home.dir))
	}
	v, err := startVolatile(ctx, r.home, r.socket, log)
	if err != nil {
		return err
	}
	r.engine = v
	return nil
}

func (r *Redis) openServer(ctx context.Context, binary string, log *slog.Logger, t tuning) error {
	s, err := startServer(ctx, launch{binary: binary, home: r.home, socket: r.socket, guard: r.guard, tuning: t})
	if err != nil {
		return err
	}
	r.engine = s
	if err := importSnapshot(ctx, r.home, r.socket, log); err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// findServer gives the absolute path of the binary to run, or nothing when the
// stand-in is to be used.
func findServer(setting string) (string, error) {
	if setting == None {
		return "", nil
	}
	names := []string{"redis-server", "valkey-server"}
	if setting != "" {
		names = []string{setting}
	}
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err == nil {
			return filepath.Abs(path)
		}
		if setting != "" {
			return "", fault.New(fault.Invalid, "embedded.Start", err)
		}
	}
	return "", nil
}

// URL is where to connect: unix:///…/redis.sock?db=0, for both engines, so
// that the folder's permissions guard it from other users of the machine.
// redis.ParseURL reads it.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "unix", Path: r.socket, RawQuery: "db=0"}
	return u.String()
}

// Durable says whether an answered write survives a crash and a power cut. It
// is false for the stand-in.
func (r *Redis) Durable() bool { return r.engine.durable() }

// Version is the server's own (as in "7.0.15"), or "miniredis".
func (r *Redis) Version() string { return r.engine.version() }

// Done is closed when the server ends without having been asked to; Err then
// says why. Close does not close it. A full disk is such an end: a server that
// cannot flush its file stops rather than answer.
func (r *Redis) Done() <-chan struct{} { return r.engine.died() }

// Err is nil until Done is closed, and then a fault.Unavailable with the last
// lines of the server's log.
func (r *Redis) Err() error {
	select {
	case <-r.engine.died():
		return r.engine.cause()
	default:
		return nil
	}
}

// Close stops the server, waits for its end and gives the directory free. No
// process is left behind, whatever it returns: a server that does not stop
// within ten seconds is killed, which loses nothing that was answered. Later
// calls return what the first did. It returns Err when the server had died
// before, and an error when the stand-in's last second could not be written.
func (r *Redis) Close() error {
	r.closing.Do(func() {
		r.closeErr = errors.Join(r.engine.stop(), r.release())
	})
	return r.closeErr
}

// release gives up the locks and what they protect, in the reverse order of
// their taking.
func (r *Redis) release() error {
	var problems []error
	if r.socket != "" {
		problems = append(problems, r.home.removeSocket(r.socket))
	}
	if r.guard != nil {
		problems = append(problems, r.guard.release())
	}
	problems = append(problems, r.owner.release())
	if err := errors.Join(problems...); err != nil {
		return fault.New(fault.Internal, "embedded.Close", err)
	}
	return nil
}
