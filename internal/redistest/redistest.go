// Package redistest gives tests a Redis of their own: an in-process one for what
// must be fast, and a real redis-server for what claims something about Redis.
package redistest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/redisconn"
)

// Mini returns a client of an in-process Redis that ends with the test.
func Mini(t testing.TB) (redis.UniversalClient, *miniredis.Miniredis) {
	t.Helper()
	m := miniredis.RunT(t)
	return open(t, "redis://"+m.Addr()), m
}

// Server starts a redis-server on a private socket and returns its URL and a
// client. It ends with the test. Where redis-server is not installed the test is
// skipped, except in CI, where it must be.
func Server(t testing.TB) (url string, rdb redis.UniversalClient) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal("redis-server is not installed, and CI must have it")
	}
	if err != nil {
		t.Skip("redis-server is not installed")
	}
	// A socket's path is at most 107 bytes long; the test's own directory may be longer.
	dir, err := os.MkdirTemp("", "segue")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--port", "0", "--unixsocket", socket, "--dir", dir,
		"--save", "", "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		var exit *exec.ExitError
		// A test may have ended the server itself: Wait then knows of cancel alone.
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	url = "unix://" + socket + "?db=0"
	rdb = open(t, url)
	awaitPing(t, rdb)
	return url, rdb
}

func open(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := redisconn.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
	})
	return rdb
}

// awaitPing waits until the server answers; a server has no other way to say so.
func awaitPing(t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for rdb.Ping(context.Background()).Err() != nil {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("redis-server did not answer within 20 s")
		}
	}
}
