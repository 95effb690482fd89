//go:build unix

package embedded

import (
	"context"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// What all of it is for: the queue works on either engine, and a task that
// waits outlives a restart.
func TestAsynqRunsOnBoth(t *testing.T) {
	for name, binary := range engines(t) {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := mustStart(t, Options{Dir: dir, RedisServer: binary})
			enqueueOne(t, connect(t, r.URL()))
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}

			r = mustStart(t, Options{Dir: dir, RedisServer: binary})
			if got := workOne(t, connect(t, r.URL())); got != "\x00item 7" {
				t.Errorf("the task carried %q, want %q", got, "\x00item 7")
			}
		})
	}
}

func enqueueOne(t *testing.T, client *redis.Client) {
	t.Helper()
	task := asynq.NewTask("audio:extend", []byte("\x00item 7"))
	info, err := asynq.NewClientFromRedisClient(client).EnqueueContext(t.Context(), task,
		asynq.TaskID("audio:extend:7:1"), asynq.Queue("extend"), asynq.Timeout(time.Minute), asynq.Retention(time.Hour))
	if err != nil || info.State != asynq.TaskStatePending {
		t.Fatalf("EnqueueContext() = %+v, %v, want a pending task", info, err)
	}
}

// workOne runs a server until one task has been done and recorded, and gives
// its payload.
func workOne(t *testing.T, client *redis.Client) string {
	t.Helper()
	server := asynq.NewServerFromRedisClient(client, asynq.Config{
		Concurrency: 2, Queues: map[string]int{"extend": 1}, TaskCheckInterval: 10 * time.Millisecond, LogLevel: asynq.FatalLevel,
	})
	carried := make(chan string, 1)
	if err := server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		carried <- string(task.Payload())
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	defer server.Shutdown()
	payload := <-carried
	inspector := asynq.NewInspectorFromRedisClient(client)
	eventually(t, "the task's completion", func() bool {
		info, err := inspector.GetTaskInfo("extend", "audio:extend:7:1")
		return err == nil && info.State == asynq.TaskStateCompleted
	})
	return payload
}
