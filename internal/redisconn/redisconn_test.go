package redisconn_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redisconn"
)

func TestOpenTakesEveryForm(t *testing.T) {
	cases := []struct{ url, kind string }{
		{"redis://127.0.0.1:6379/2", "single"},
		{"rediss://user:secret@redis.example:6380", "single"},
		{"unix:///run/redis.sock?db=1", "single"},
		{"redis-sentinel://a:26379,b:26379/mymaster?db=3", "single"},
		{"redis-cluster://a:7000,b:7001", "cluster"},
	}
	for _, c := range cases {
		rdb, err := redisconn.Open(c.url)
		if err != nil {
			t.Errorf("Open(%q): %v", c.url, err)
			continue
		}
		kind := "single"
		if _, ok := rdb.(*redis.ClusterClient); ok {
			kind = "cluster"
		}
		if kind != c.kind {
			t.Errorf("Open(%q) is a %s client, want %s", c.url, kind, c.kind)
		}
		if err := rdb.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestOpenRefusesWithoutRepeatingThePassword(t *testing.T) {
	for _, bad := range []string{
		"", "localhost:6379", "http://user:hunter2@host", "redis://user:hunter2@host:port:9/x",
		"redis-sentinel://user:hunter2@a,b", "redis-sentinel://:hunter2@a/m?db=x",
	} {
		_, err := redisconn.Open(bad)
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("Open(%q) = %v, want invalid", bad, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q) says the password: %v", bad, err)
		}
	}
}

func TestPingIsUnavailableSoon(t *testing.T) {
	// A listener that never answers, and a port that nobody listens on.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	defer silent.Close()
	for _, address := range []string{silent.Addr().String(), closed.Addr().String()} {
		rdb, err := redisconn.Open("redis://" + address)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		err = redisconn.Ping(t.Context(), rdb)
		if fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("Ping(%s) = %v after %v, want unavailable", address, err, time.Since(start))
		}
		rdb.Close()
	}
}
