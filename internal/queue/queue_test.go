package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/tasks"
)

// tune is the queue of the tasks in these tests; the mix of policies is theirs.
const tune = "tune"

func task(id string) tasks.Task {
	return tasks.Task{
		Type: "audio:tune", ID: id, Payload: []byte(`{"v":1}`),
		Policy: tasks.Policy{Queue: tune, MaxRetry: 7, Timeout: 90 * time.Second, Retention: time.Hour},
	}
}

// rig is a queue on a redis-server, and asynq's own view of it.
type rig struct {
	*queue.Queue
	t         *testing.T
	rdb       redis.UniversalClient
	inspector *asynq.Inspector
}

func newRig(t *testing.T) *rig {
	t.Helper()
	_, rdb := redistest.Server(t)
	return &rig{queue.New(rdb), t, rdb, asynq.NewInspectorFromRedisClient(rdb)}
}

func (r *rig) put(task tasks.Task, delay time.Duration) {
	r.t.Helper()
	if err := r.Put(r.t.Context(), task, delay); err != nil {
		r.t.Fatal(err)
	}
}

// await waits until the task is in the state.
func (r *rig) await(id string, want asynq.TaskState) {
	r.t.Helper()
	r.until(fmt.Sprintf("task %s is %v", id, want), func() bool {
		info, err := r.inspector.GetTaskInfo(tune, id)
		return err == nil && info.State == want
	})
}

// awaitServers waits until that many servers have announced themselves.
func (r *rig) awaitServers(want int) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d servers are there", want), func() bool {
		servers, err := r.inspector.Servers()
		return err == nil && len(servers) == want
	})
}

// until polls: asynq says what it did in no other way.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			r.t.Fatalf("20 s passed before %s", what)
		}
	}
}

// serve runs a handler for the tasks of some queues until the test ends.
func (r *rig) serve(queues []string, handle asynq.HandlerFunc) *asynq.Server {
	r.t.Helper()
	listed := map[string]int{}
	for _, name := range queues {
		listed[name] = 1
	}
	server := asynq.NewServerFromRedisClient(r.rdb, asynq.Config{
		Concurrency: 4, Queues: listed, LogLevel: asynq.FatalLevel, ShutdownTimeout: 100 * time.Millisecond,
		TaskCheckInterval: 5 * time.Millisecond, DelayedTaskCheckInterval: 50 * time.Millisecond,
		RetryDelayFunc: func(int, error, *asynq.Task) time.Duration { return time.Hour },
	})
	if err := server.Start(handle); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(server.Shutdown)
	return server
}

func TestPutCarriesTaskAndPolicy(t *testing.T) {
	r := newRig(t)
	r.put(task("one"), 0)
	got, err := r.inspector.GetTaskInfo(tune, "one")
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != "audio:tune" || string(got.Payload) != `{"v":1}` || got.State != asynq.TaskStatePending {
		t.Errorf("task %s %s %v; want a pending audio:tune with its payload", got.Type, got.Payload, got.State)
	}
	if got.MaxRetry != 7 || got.Timeout != 90*time.Second || got.Retention != time.Hour {
		t.Errorf("policy: %d retries, %v timeout, %v retention; want 7, 1m30s, 1h", got.MaxRetry, got.Timeout, got.Retention)
	}
}

func TestPuttingTwiceIsSuccessAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.put(task("one"), time.Hour)
	before, err := r.inspector.GetTaskInfo(tune, "one")
	if err != nil {
		t.Fatal(err)
	}
	again := task("one")
	again.Payload = []byte("other")
	r.put(again, 0)
	after, err := r.inspector.GetTaskInfo(tune, "one")
	if err != nil {
		t.Fatal(err)
	}
	if after.State != asynq.TaskStateScheduled || string(after.Payload) != `{"v":1}` || !after.NextProcessAt.Equal(before.NextProcessAt) {
		t.Errorf("after the second Put: %v %s at %v; want the first task as it was, at %v", after.State, after.Payload, after.NextProcessAt, before.NextProcessAt)
	}
	size, err := r.inspector.GetQueueInfo(tune)
	if err != nil || size.Size != 1 {
		t.Errorf("queue %+v, %v; want one task", size, err)
	}
}

// TestIDIsTakenWhileItsTaskIsKept: a task that completed and is retained still
// refuses its id, and one that is forgotten does not.
func TestIDIsTakenWhileItsTaskIsKept(t *testing.T) {
	r := newRig(t)
	done := make(chan string, 4)
	r.serve([]string{tune}, func(_ context.Context, task *asynq.Task) error {
		done <- string(task.Payload())
		return nil
	})
	r.put(task("kept"), 0)
	if got := <-done; got != `{"v":1}` {
		t.Fatalf("the task carried %s", got)
	}
	r.await("kept", asynq.TaskStateCompleted)
	r.put(task("kept"), 0)
	r.await("kept", asynq.TaskStateCompleted)
	if err := r.inspector.DeleteTask(tune, "kept"); err != nil {
		t.Fatal(err)
	}
	fresh := task("kept")
	fresh.Payload = []byte("fresh")
	r.put(fresh, 0)
	if got := <-done; got != "fresh" {
		t.Errorf("executed %s after it was forgotten; want fresh, and nothing between", got)
	}
}

func TestPutAllAnswersInOrder(t *testing.T) {
	r := newRig(t)
	all := make([]tasks.Task, 100)
	for n := range all {
		all[n] = task(fmt.Sprintf("task-%d", n))
	}
	all[40].ID = "" // asynq takes no empty id
	all[70].ID = all[3].ID
	answers := r.PutAll(t.Context(), all)
	for n, err := range answers {
		if (err != nil) != (n == 40) {
			t.Errorf("answer %d = %v; want an error for 40 alone", n, err)
		}
	}
	info, err := r.inspector.GetQueueInfo(tune)
	if err != nil || len(answers) != 100 || info.Pending != 98 {
		t.Errorf("%d answers, queue %+v, %v; want 100 and 98 pending", len(answers), info, err)
	}
	if none := r.PutAll(t.Context(), nil); len(none) != 0 {
		t.Errorf("PutAll of nothing = %v", none)
	}
}

func TestPutSaysWhyItFailed(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Put(ctx, task("one"), 0); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Put with a canceled context = %v; want canceled", err)
	}
	closed := redis.NewClient(&redis.Options{Addr: "127.0.0.1:0"})
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	away := queue.New(closed)
	if err := away.Put(t.Context(), task("one"), 0); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Put without Redis = %v; want unavailable", err)
	}
	if _, err := away.Find(task("one")); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Find without Redis = %v; want unavailable", err)
	}
	if err := away.Wake(task("one")); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Wake without Redis = %v; want unavailable", err)
	}
	if _, err := away.Served(); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Served without Redis = %v; want unavailable", err)
	}
}

func TestFindInEveryPlace(t *testing.T) {
	r := newRig(t)
	if got, err := r.Find(task("any")); got != queue.Gone || err != nil {
		t.Errorf("Find where no queue is = %v, %v; want gone", got, err)
	}
	r.put(task("pending"), 0)
	if got, err := r.Find(task("pending")); got != queue.Coming || err != nil {
		t.Errorf("Find of a pending task = %v, %v; want coming", got, err)
	}
	release := make(chan struct{})
	r.serve([]string{tune}, func(_ context.Context, task *asynq.Task) error {
		switch string(task.Payload()) {
		case "retry":
			return errors.New("not now")
		case "archived":
			return asynq.SkipRetry
		case "active":
			<-release
		}
		return nil
	})
	t.Cleanup(func() { close(release) }) // before the server stops
	states := []struct {
		id    string
		delay time.Duration
		state asynq.TaskState
		want  queue.Place
	}{
		{"scheduled", time.Hour, asynq.TaskStateScheduled, queue.Coming},
		{"retry", 0, asynq.TaskStateRetry, queue.Coming},
		{"active", 0, asynq.TaskStateActive, queue.Active},
		{"completed", 0, asynq.TaskStateCompleted, queue.Over},
		{"archived", 0, asynq.TaskStateArchived, queue.Over},
	}
	for _, s := range states {
		one := task(s.id)
		one.Payload = []byte(s.id)
		r.put(one, s.delay)
		r.await(s.id, s.state)
		if got, err := r.Find(one); got != s.want || err != nil {
			t.Errorf("Find of a task that is %v = %v, %v; want %v", s.state, got, err, s.want)
		}
	}
	if got, err := r.Find(task("gone")); got != queue.Gone || err != nil {
		t.Errorf("Find of an unknown task = %v, %v; want gone", got, err)
	}
}

// TestFoundAgainAfterItsQueueWasForgotten: asynq's client announces a queue once,
// and its inspector believes in no queue that was not announced.
func TestFoundAgainAfterItsQueueWasForgotten(t *testing.T) {
	r := newRig(t)
	r.put(task("before"), 0)
	if err := r.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Find(task("before")); got != queue.Gone || err != nil {
		t.Errorf("Find after the loss = %v, %v; want gone", got, err)
	}
	r.put(task("before"), 0)
	if got, err := r.Find(task("before")); got != queue.Coming || err != nil {
		t.Errorf("Find after Put = %v, %v; want coming", got, err)
	}
}

func TestWakeRunsWhatSleeps(t *testing.T) {
	r := newRig(t)
	ran := make(chan string, 8)
	release := make(chan struct{})
	r.serve([]string{tune}, func(_ context.Context, task *asynq.Task) error {
		ran <- string(task.Payload())
		switch string(task.Payload()) {
		case "retry":
			return errors.New("not now")
		case "active":
			<-release
		}
		return nil
	})
	t.Cleanup(func() { close(release) }) // before the server stops
	sleeping := func(id string, delay time.Duration) tasks.Task {
		one := task(id)
		one.Payload = []byte(id)
		r.put(one, delay)
		return one
	}
	wake := func(one tasks.Task) {
		t.Helper()
		if err := r.Wake(one); err != nil {
			t.Errorf("Wake of %s = %v; want success", one.ID, err)
		}
	}
	ranNext := func(want string) {
		t.Helper()
		if got := <-ran; got != want {
			t.Errorf("%s ran; want %s", got, want)
		}
	}

	scheduled := sleeping("scheduled", time.Hour)
	wake(scheduled)
	ranNext("scheduled")

	retry := sleeping("retry", 0)
	ranNext("retry")
	r.await("retry", asynq.TaskStateRetry)
	wake(retry)
	ranNext("retry")

	active := sleeping("active", 0)
	ranNext("active")
	wake(active)
	r.await("active", asynq.TaskStateActive)

	// One that is over is only kept to be seen, and one that is about to run needs
	// nobody.
	over := sleeping("over", 0)
	ranNext("over")
	r.await("over", asynq.TaskStateCompleted)
	wake(over)
	pending := task("pending")
	pending.Policy.Queue = "unserved"
	r.put(pending, 0)
	wake(pending)

	wake(task("gone"))
	elsewhere := task("gone")
	elsewhere.Policy.Queue = "nowhere"
	wake(elsewhere)
	select {
	case got := <-ran:
		t.Errorf("%s ran; want nothing more", got)
	default:
	}
}

func TestServed(t *testing.T) {
	r := newRig(t)
	served := func(want bool, when string) {
		t.Helper()
		if got, err := r.Served(); got != want || err != nil {
			t.Errorf("Served %s = %v, %v; want %v", when, got, err, want)
		}
	}
	nothing := func(context.Context, *asynq.Task) error { return nil }
	served(false, "without a server")
	all := tasks.Queues()
	r.serve(all[1:], nothing)
	r.awaitServers(1)
	served(false, "with a queue that nobody takes from")
	last := r.serve(all[:1], nothing)
	r.awaitServers(2)
	served(true, "by two servers")
	last.Shutdown()
	served(false, "after one of them left")
}
