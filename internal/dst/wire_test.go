package dst

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// wire is a connection to an in-process Redis that has no goroutine and no socket:
// what is written is executed before Write returns. The caller's own goroutine
// executes it, so that Redis's clock is the caller's bubble's.
type wire struct {
	machine *machine
	peer    *server.Peer
	asked   []byte
	answer  bytes.Buffer
	queues  bool // between MULTI and EXEC
}

func newWire(m *machine) *wire {
	w := &wire{machine: m}
	w.peer = server.NewPeer(bufio.NewWriter(&w.answer))
	return w
}

func (w *wire) Write(p []byte) (int, error) {
	w.asked = append(w.asked, p...)
	for {
		args, rest, err := command(w.asked)
		if err != nil {
			return 0, err
		}
		if args == nil {
			return len(p), nil
		}
		w.asked = append(w.asked[:0], rest...)
		w.execute(args)
		w.peer.Flush()
	}
}

func (w *wire) execute(args []string) {
	switch name := strings.ToUpper(args[0]); name {
	case "EVAL", "EVALSHA":
		if !w.queues && !w.machine.plain {
			w.machine.script(w.peer, name, args[1:])
			return
		}
	case "MULTI":
		w.queues = true
	case "EXEC", "DISCARD":
		w.queues = false
	}
	w.machine.mini.Server().Dispatch(w.peer, args)
}

// command reads one command; nil when it is not complete yet.
func command(b []byte) (args []string, rest []byte, err error) {
	n, rest, err := length(b, '*')
	if n < 0 || err != nil {
		return nil, b, err
	}
	args = make([]string, n)
	for i := range args {
		size, body, err := length(rest, '$')
		if size < 0 || len(body) < size+2 || err != nil {
			return nil, b, err
		}
		args[i], rest = string(body[:size]), body[size+2:]
	}
	return args, rest, nil
}

// length reads a line such as *3 or $12; -1 when it is not complete yet.
func length(b []byte, mark byte) (n int, rest []byte, err error) {
	line, rest, whole := bytes.Cut(b, []byte("\r\n"))
	if !whole {
		return -1, b, nil
	}
	if line[0] != mark {
		return 0, nil, errors.New("not RESP")
	}
	n, err = strconv.Atoi(string(line[1:]))
	return n, rest, err
}

// Read never waits: what was asked is answered by now.
func (w *wire) Read(p []byte) (int, error) {
	if w.answer.Len() == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return w.answer.Read(p)
}

func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// connect opens a client over wires. What a client may do by itself to keep its
// connections is off: it would do it in goroutines of its own.
func connect(m *machine) *redis.Client {
	return redis.NewClient(&redis.Options{
		Dialer:     func(context.Context, string, string) (net.Conn, error) { return newWire(m), nil },
		Protocol:   2,
		MaxRetries: -1, ConnMaxIdleTime: -1, PoolSize: 64, DisableIdentity: true, ContextTimeoutEnabled: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
