package enqueue_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// bulk is how many items one submission of the benchmark has.
const bulk = 100_000

// BenchmarkSubmit submits a session of 100,000 items, state and tasks, to a
// redis-server that appends to its file; and beside it, on the same server and in
// turns, has asynq's own client enqueue as many bare tasks, by one goroutine and
// by 32. It reports items/s of the submission, how many times as many that is as
// each of the others, and the processor time that Redis spent on an item and on a
// bare task, which is the figure that a busy machine changes least.
// docs/performance.md says what to make of it.
func BenchmarkSubmit(b *testing.B) {
	_, rdb := redistest.Server(b)
	client := enqueue.NewFromRedis(rdb)
	order := enqueue.Session{Provider: "sim", Items: make([]enqueue.Item, bulk), Extend: &enqueue.Extend{ContinueAt: -5}}
	for n := range order.Items {
		order.Items[n] = enqueue.Item{
			Source: fmt.Sprintf("/home/musician/music/album/%06d some title.mp3", n),
			Known:  enqueue.Audio{Format: "mp3", Size: 4_812_331, Duration: 187_432 * time.Millisecond, SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
		}
	}
	var segue, one, many cost
	for b.Loop() {
		segue.measure(b, rdb, func(ctx context.Context) error {
			_, err := client.Submit(ctx, order)
			return err
		})
		one.measure(b, rdb, func(ctx context.Context) error { return bare(ctx, rdb, 1) })
		many.measure(b, rdb, func(ctx context.Context) error { return bare(ctx, rdb, 32) })
	}
	all := float64(bulk) * float64(b.N)
	b.ReportMetric(all/segue.wall.Seconds(), "items/s")
	b.ReportMetric(one.wall.Seconds()/segue.wall.Seconds(), "×asynq-1")
	b.ReportMetric(many.wall.Seconds()/segue.wall.Seconds(), "×asynq-32")
	b.ReportMetric(segue.redis*1e6/all, "redis-µs/item")
	b.ReportMetric(many.redis*1e6/all, "redis-µs/bare-task")
}

// cost is what something took: time, and seconds of Redis's processor.
type cost struct {
	wall  time.Duration
	redis float64
}

// measure adds what something costs on an empty Redis.
func (c *cost) measure(b *testing.B, rdb redis.UniversalClient, do func(context.Context) error) {
	b.Helper()
	if err := rdb.FlushDB(b.Context()).Err(); err != nil {
		b.Fatal(err)
	}
	before, start := processor(b, rdb), time.Now()
	if err := do(b.Context()); err != nil {
		b.Fatal(err)
	}
	c.wall += time.Since(start)
	c.redis += processor(b, rdb) - before
}

// processor is how many seconds of processor time Redis has used.
func processor(b *testing.B, rdb redis.UniversalClient) float64 {
	b.Helper()
	info, err := rdb.InfoMap(b.Context(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for _, name := range []string{"used_cpu_user", "used_cpu_sys"} {
		seconds, err := strconv.ParseFloat(info["CPU"][name], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += seconds
	}
	return sum
}

// bare enqueues tasks like those of a submission, and keeps no state.
func bare(ctx context.Context, rdb redis.UniversalClient, goroutines int) error {
	id, err := session.NewID()
	if err != nil {
		return err
	}
	client := asynq.NewClientFromRedisClient(rdb)
	var next, failed atomic.Int64
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < bulk; n = next.Add(1) - 1 {
				if err := bareTask(ctx, client, id, int(n)); err != nil {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		return fmt.Errorf("%d tasks were not enqueued", failed.Load())
	}
	return nil
}

func bareTask(ctx context.Context, client *asynq.Client, id string, n int) error {
	task, err := tasks.AudioUpload.New(tasks.Upload{Step: tasks.Step{V: tasks.Version, Session: id, Index: n, Name: "upload"}})
	if err != nil {
		return err
	}
	_, err = client.EnqueueContext(ctx, asynq.NewTask(task.Type, task.Payload), asynq.TaskID(task.ID), asynq.Queue(task.Policy.Queue),
		asynq.MaxRetry(task.Policy.MaxRetry), asynq.Timeout(task.Policy.Timeout), asynq.Retention(task.Policy.Retention))
	return err
}
