//go:build unix

package embedded

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Values move between two lists by every way a client has: what is saved must
// never hold one twice, or not at all.
func TestSaveSeesAStateBetweenTwoCommands(t *testing.T) {
	r := mustStart(t, Options{Dir: t.TempDir(), RedisServer: None})
	v := r.engine.(*volatile)
	const total = 500
	client := connect(t, r.URL())
	for range total {
		if err := client.RPush(t.Context(), "a", "x").Err(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	script := redis.NewScript(`redis.call('RPUSH', 'a', redis.call('LPOP', 'b') or redis.call('LPOP', 'a'))`)
	ways := []func() error{
		func() error { return client.LMove(ctx, "a", "b", "right", "left").Err() },
		func() error { return script.Run(ctx, client, nil).Err() },
		func() error {
			_, err := client.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.LMove(ctx, "a", "b", "left", "left")
				p.LMove(ctx, "b", "a", "left", "left")
				return nil
			})
			return err
		},
	}
	var moves [3]atomic.Int64
	ended := make(chan error, len(ways))
	for i, move := range ways {
		go func() {
			for ctx.Err() == nil {
				if err := move(); err != nil && !errors.Is(err, redis.Nil) && ctx.Err() == nil {
					ended <- err
					return
				}
				moves[i].Add(1)
			}
			ended <- nil
		}()
	}
	for saves := 0; saves < 300 || moves[0].Load() < 100 || moves[1].Load() < 100 || moves[2].Load() < 100; saves++ {
		v.gate.close()
		entries, err := dump(v.mini, time.Now())
		v.gate.open()
		if err != nil {
			t.Fatal(err)
		}
		var got int
		for _, e := range entries {
			got += len(e.Values)
		}
		if got != total {
			t.Fatalf("a save saw %d values, want %d", got, total)
		}
	}
	cancel()
	for range ways {
		if err := <-ended; err != nil {
			t.Errorf("moving: %v", err)
		}
	}
}

// A command that waits for another one must not keep it, or a save, from
// happening.
func TestBlockingCommandKeepsNobodyWaiting(t *testing.T) {
	r := mustStart(t, Options{Dir: t.TempDir(), RedisServer: None})
	v := r.engine.(*volatile)
	waiting, client := connect(t, r.URL()), connect(t, r.URL())
	popped := make(chan string, 1)
	go func() {
		both, err := waiting.BLPop(context.WithoutCancel(t.Context()), 0, "list").Result()
		if err != nil {
			popped <- err.Error()
			return
		}
		popped <- both[1]
	}()
	eventually(t, "the command waits", func() bool {
		v.gate.mu.Lock()
		defer v.gate.mu.Unlock()
		for _, running := range v.gate.running {
			if running {
				return true
			}
		}
		return false
	})
	if err := v.save(); err != nil {
		t.Fatal(err)
	}
	if err := client.RPush(t.Context(), "list", "at last").Err(); err != nil {
		t.Fatal(err)
	}
	if got := <-popped; got != "at last" {
		t.Errorf("BLPOP = %q, want %q", got, "at last")
	}
}

func TestGateForgetsConnectionsThatAreGone(t *testing.T) {
	r := mustStart(t, Options{Dir: t.TempDir(), RedisServer: None})
	v := r.engine.(*volatile)
	client := connect(t, r.URL())
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the connection is forgotten", func() bool {
		v.gate.mu.Lock()
		defer v.gate.mu.Unlock()
		return len(v.gate.running) == 0
	})
}
