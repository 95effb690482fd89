package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/redisconn"
)

// workerCommand is the argument that makes this program one of its own workers.
const workerCommand = "worker"

// started is what a worker says when it takes tasks.
const started = "worker started"

// The two task types.
const (
	submitTask = "song:submit"
	pollTask   = "song:poll"
)

// song is the payload of both.
type song struct {
	Session string `json:"session"`
	Index   int    `json:"index"`
	Total   int    `json:"total"`
	Path    string `json:"path"`
	Key     string `json:"key"`
	// Operation is what to poll.
	Operation string `json:"operation,omitempty"`
}

func (s song) task(typeName string) (*asynq.Task, error) {
	body, err := json.Marshal(s)
	return asynq.NewTask(typeName, body), err
}

// The keys.
func keyResults(session string) string    { return "plain:results:" + session }
func keyOperations(session string) string { return "plain:operations:" + session }
func keyDone(session string) string       { return "plain:done:" + session }
func keyEffects(session string) string    { return "plain:effects:" + session }

// keyHands says which worker has which task in hand: for the measurement alone.
const keyHands = "plain:hands"

// work is a worker until it is told to stop.
func work(ctx context.Context, args []string, stderr io.Writer) error {
	flags := flag.NewFlagSet(workerCommand, flag.ContinueOnError)
	url := flags.String("redis", "", "Redis")
	api := flags.String("api", "", "the provider's API")
	files := flags.String("files", "", "the provider's host for files")
	number := flags.Int("number", 0, "the worker's number")
	if err := flags.Parse(args); err != nil {
		return err
	}
	rdb, err := redisconn.Open(*url)
	if err != nil {
		return err
	}
	h := &handlers{rdb: rdb, client: asynq.NewClientFromRedisClient(rdb), vendor: newProvider(*api, *files), number: *number}
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: 4, LogLevel: asynq.WarnLevel, ShutdownTimeout: 10 * time.Second,
		RetryDelayFunc: func(n int, err error, task *asynq.Task) time.Duration {
			if task.Type() == pollTask {
				return time.Second
			}
			return asynq.DefaultRetryDelayFunc(n, err, task)
		},
	})
	mux := asynq.NewServeMux()
	mux.Use(h.inHand)
	mux.HandleFunc(submitTask, h.submit)
	mux.HandleFunc(pollTask, h.poll)
	if err := server.Start(mux); err != nil {
		return errors.Join(err, rdb.Close())
	}
	fmt.Fprintln(stderr, started)
	<-ctx.Done()
	server.Shutdown()
	return rdb.Close()
}

type handlers struct {
	rdb    redis.UniversalClient
	client *asynq.Client
	vendor *provider
	number int
}

// inHand notes which worker executes a task. Nothing depends on it but the figure of
// how long a dead worker's task waits.
func (h *handlers) inHand(next asynq.Handler) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, task *asynq.Task) error {
		id, _ := asynq.GetTaskID(ctx)
		if err := h.rdb.HSet(ctx, keyHands, id, h.number).Err(); err != nil {
			return err
		}
		err := next.ProcessTask(ctx, task)
		return errors.Join(err, h.rdb.HDel(ctx, keyHands, id).Err())
	})
}

// submit stages the file, sends the paid request, and hands over to a poll.
func (h *handlers) submit(ctx context.Context, task *asynq.Task) error {
	var s song
	if err := json.Unmarshal(task.Payload(), &s); err != nil {
		return err
	}
	file, err := os.ReadFile(s.Path)
	if err != nil {
		return err
	}
	address, err := h.vendor.stage(ctx, s.Key, s.Path, file)
	if err != nil {
		return err
	}
	if s.Operation, err = h.vendor.extend(ctx, s.Key, address); err != nil {
		return err
	}
	if err := h.rdb.RPush(ctx, keyOperations(s.Session), record(s.Index, s.Operation)).Err(); err != nil {
		return err
	}
	poll, err := s.task(pollTask)
	if err != nil {
		return err
	}
	_, err = h.client.EnqueueContext(ctx, poll, asynq.ProcessIn(time.Second), asynq.MaxRetry(10_000))
	return err
}

func record(index int, operation string) string { return fmt.Sprintf("%d %s", index, operation) }

// result is what became of a song.
type result struct {
	AudioIDs []string `json:"audioIds"`
	Reason   string   `json:"reason,omitempty"`
}

// effect is what follows a session's completion.
type effect struct {
	At       time.Time `json:"at"`
	AudioIDs []string  `json:"audioIds"`
}

// poll asks about an operation, and counts it when it is done. Who counts the last one
// does what follows.
func (h *handlers) poll(ctx context.Context, task *asynq.Task) error {
	var s song
	if err := json.Unmarshal(task.Payload(), &s); err != nil {
		return err
	}
	ids, reason, err := h.vendor.status(ctx, s.Key, s.Operation)
	if err != nil {
		return err
	}
	body, err := json.Marshal(result{ids, reason})
	if err != nil {
		return err
	}
	if err := h.rdb.HSet(ctx, keyResults(s.Session), s.Index, body).Err(); err != nil {
		return err
	}
	done, err := h.rdb.Incr(ctx, keyDone(s.Session)).Result()
	if err != nil || done != int64(s.Total) {
		return err
	}
	return h.settle(ctx, s)
}

// settle tells whoever waits for the session.
func (h *handlers) settle(ctx context.Context, s song) error {
	ids, err := aggregate(ctx, h.rdb, s.Session, s.Total)
	if err != nil {
		return err
	}
	body, err := json.Marshal(effect{time.Now(), ids})
	if err != nil {
		return err
	}
	return h.rdb.RPush(ctx, keyEffects(s.Session), body).Err()
}

// aggregate lists a session's clips in the order of its songs.
func aggregate(ctx context.Context, rdb redis.UniversalClient, session string, total int) ([]string, error) {
	stored, err := rdb.HGetAll(ctx, keyResults(session)).Result()
	if err != nil {
		return nil, err
	}
	ids := []string{}
	for n := range total {
		var r result
		if text, ok := stored[fmt.Sprint(n)]; ok {
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return nil, err
			}
		}
		ids = append(ids, r.AudioIDs...)
	}
	return ids, nil
}
