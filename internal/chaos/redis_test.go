//go:build unix

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/redisconn"
)

// server is a redis-server that can be killed and started again on its data.
type server struct {
	t testing.TB
	// dir has its append-only file; the address stays the same for its whole life.
	dir, address string
	port         int
	process      *proctest.Process
	// rdb goes to the server itself, past every fault of the way.
	rdb redis.UniversalClient
}

// startRedis starts a redis-server that forgets nothing it has answered.
func startRedis(t testing.TB) *server {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("redis-server is not installed, and CI must have it")
	}
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	s := &server{t: t, dir: t.TempDir(), port: freePort(t)}
	s.address = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
	if s.rdb, err = redisconn.Open(s.url()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.rdb.Close(); err != nil {
			t.Error(err)
		}
	})
	s.start()
	return s
}

// freePort is one that nobody listens on. Somebody else may take it in the moment
// until the server does; the server then does not start, and the test says so.
func freePort(t testing.TB) int {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *server) url() string { return "redis://" + s.address + "/0" }

// start starts the server on the data that it has.
func (s *server) start() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal(err)
	}
	s.process = proctest.Start(s.t, proctest.Launch{
		Name: "redis-server", Binary: path, Dir: s.dir, Env: proctest.Environment(s.dir),
		Args: []string{
			"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
			"--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction",
			"--repl-diskless-sync-delay", "0", "--loglevel", "notice",
		},
	})
	proctest.Eventually(s.t, 20*time.Second, "redis-server answers", func() bool { return s.ping() == nil })
}

func (s *server) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if !s.process.Running() {
		s.t.Fatalf("redis-server ended: %s", proctest.Tail(s.process.Stdout.String(), 20))
	}
	return s.rdb.Ping(ctx).Err()
}

// kill ends the server as a crash would.
func (s *server) kill() { s.process.Kill() }

// do sends commands to the server itself.
func (s *server) do(args ...any) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.rdb.Do(ctx, args...).Err(); err != nil {
		s.t.Fatalf("redis %v: %v", args, err)
	}
}

// wipe deletes every key of a prefix at once, as somebody might who takes a queue for
// a cache.
func (s *server) wipe(prefix string) {
	s.t.Helper()
	s.do("EVAL", "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end return 1", "0", prefix+"*")
}

// field reads a field of a session's own record; "" where there is none.
func (s *server) field(id, name string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	value, err := s.rdb.HGet(ctx, fmt.Sprintf("segue:{%s}", id), name).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("HGET segue:{%s} %s: %v", id, name, err)
	}
	return value
}

// claimed counts a session's items whose paid request is about to leave or unanswered.
func (s *server) claimed(id string) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	counts, err := s.rdb.HGetAll(ctx, fmt.Sprintf("segue:{%s}:counts", id)).Result()
	if err != nil {
		s.t.Fatalf("counts of %s: %v", id, err)
	}
	total := 0
	for label, text := range counts {
		if n, err := strconv.Atoi(text); err == nil && strings.HasSuffix(label, ".sending") {
			total += n
		}
	}
	return total
}

// silent counts a session's items whose paid request a process has claimed.
func (s *server) silent(id string, pid int) int {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	items, err := s.rdb.HVals(ctx, fmt.Sprintf("segue:{%s}:items", id)).Result()
	if err != nil {
		s.t.Fatalf("items of %s: %v", id, err)
	}
	total := 0
	for _, item := range items {
		if strings.Contains(item, `"state":"sending"`) && strings.Contains(item, fmt.Sprintf("-%d-", pid)) {
			total++
		}
	}
	return total
}

func number(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
