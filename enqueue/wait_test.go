package enqueue_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
	"github.com/segue-audio/segue/internal/redistest"
)

// asking gives a client that says once that it has read a session.
func asking(t *testing.T, rdb redis.UniversalClient) (*enqueue.Client, <-chan struct{}) {
	t.Helper()
	asked := make(chan struct{})
	var once sync.Once
	hook := &ear{func(string) { once.Do(func() { close(asked) }) }}
	return enqueue.NewFromRedis(hooked(t, rdb, hook)), asked
}

// silence is a Redis that lets every deadline pass, which go-redis reports as its
// connection's own.
type silence struct{ ear }

func (s *silence) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, _ []redis.Cmder) error {
		<-ctx.Done()
		return os.ErrDeadlineExceeded
	}
}

func TestWaitReturnsWhenNothingMovesByItself(t *testing.T) {
	ends := map[string]func(w *workertest.Worker, id string){
		"succeeded": func(w *workertest.Worker, id string) { w.Upload(id, 0, "a", 0); w.Upload(id, 1, "b", 0) },
		"partial":   func(w *workertest.Worker, id string) { w.Upload(id, 0, "a", 0); w.Fail(id, 1, "rejected", "no", "") },
		"failed": func(w *workertest.Worker, id string) {
			w.Fail(id, 0, "denied", "", "")
			w.Fail(id, 1, "denied", "", "")
		},
		"held": func(w *workertest.Worker, id string) { w.Upload(id, 0, "a", 0); w.Hold(id, 1, "no answer") },
	}
	for want, end := range ends {
		t.Run(want, func(t *testing.T) {
			rdb, _ := redistest.Mini(t)
			id := submit(t, enqueue.NewFromRedis(rdb), enqueue.Session{Provider: "sim", Items: songs(2)}).SessionID
			client, asked := asking(t, rdb)
			go func() {
				<-asked
				end(workertest.New(t, rdb), id)
			}()
			status, err := client.Wait(t.Context(), id)
			if err != nil || status.Status != want || len(status.Items) != 2 || !status.Over() {
				t.Errorf("Wait = %+v, %v; want %s with 2 items", status, err, want)
			}
		})
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	id := submit(t, enqueue.NewFromRedis(rdb), enqueue.Session{Provider: "sim", Items: songs(1)}).SessionID
	t.Run("between two questions", func(t *testing.T) {
		client, asked := asking(t, rdb)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-asked
			cancel()
		}()
		if _, err := client.Wait(ctx, id); !errors.Is(err, context.Canceled) || errors.Is(err, enqueue.ErrCanceled) {
			t.Errorf("Wait = %v; want context.Canceled and not ErrCanceled", err)
		}
	})
	t.Run("while Redis is asked", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hook := &ear{func(string) { cancel() }}
		if _, err := enqueue.NewFromRedis(hooked(t, rdb, hook)).Wait(ctx, id); !errors.Is(err, context.Canceled) {
			t.Errorf("Wait = %v; want context.Canceled", err)
		}
	})
	t.Run("by its deadline while Redis is silent", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := enqueue.NewFromRedis(hooked(t, rdb, &silence{})).Wait(ctx, id); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, enqueue.ErrUnavailable) {
			t.Errorf("Wait = %v; want context.DeadlineExceeded and not ErrUnavailable", err)
		}
	})
	t.Run("by its deadline", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		if _, err := enqueue.NewFromRedis(rdb).Wait(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait = %v; want context.DeadlineExceeded", err)
		}
	})
}
