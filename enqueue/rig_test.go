package enqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// onBoth runs a test against the in-process Redis and against a real one.
func onBoth(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		rdb, _ := redistest.Mini(t)
		test(t, rdb)
	})
	t.Run("redis-server", func(t *testing.T) {
		_, rdb := redistest.Server(t)
		test(t, rdb)
	})
}

// songs are n items that differ.
func songs(n int) []enqueue.Item {
	items := make([]enqueue.Item, n)
	for i := range items {
		items[i].Source = fmt.Sprintf("https://example.com/%d.mp3", i)
	}
	return items
}

// submit submits what must be accepted.
func submit(t *testing.T, p enqueue.Producer, s enqueue.Session) *enqueue.Submitted {
	t.Helper()
	submitted, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return submitted
}

// startable is the number of items whose uploads an admission would begin, of the
// sessions that take turns.
func startable(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	return startableOf(t, rdb, "sim") + startableOf(t, rdb, "mountsea")
}

func startableOf(t *testing.T, rdb redis.UniversalClient, provider string) int {
	t.Helper()
	gate, store, id := account.NewGate(rdb), session.NewStore(rdb), account.ID{Provider: provider, Name: "main"}
	picked := map[string][]int{}
	total := 0
	for {
		next, ok, err := gate.Pick(t.Context(), id, account.KindUpload, account.Limits{}, account.Picking{})
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		picked[next.Session] = []int{}
		for left := 1; left > 0; {
			var items []*session.Item
			if items, left, err = store.Admit(t.Context(), next.Session, session.StepUpload, 500); err != nil {
				t.Fatal(err)
			}
			for _, it := range items {
				picked[next.Session] = append(picked[next.Session], it.Index)
			}
			total += len(items)
		}
	}
	for name, indexes := range picked {
		err := gate.Return(t.Context(), id, account.KindUpload, name, 4, 0, true)
		if len(indexes) > 0 {
			err = errors.Join(err, store.Readmit(t.Context(), name, session.StepUpload, indexes...))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return total
}

// settling is the number of tasks that do what follows a session's end.
func settling(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "asynq:{control}:t:session:settle:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return len(keys)
}

// stored reads a session behind the producer's back.
func stored(t *testing.T, rdb redis.UniversalClient, id string) *session.Session {
	t.Helper()
	current, err := session.NewStore(rdb).Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return current
}

// errCut is what a cut connection answers.
var errCut = errors.New("connection cut")

// fuse is a way to Redis that is cut after a number of commands; a pipeline is one.
type fuse struct {
	left atomic.Int64
	// deaf lets the command at which it blows be executed, and loses the answer.
	deaf bool
}

// fused gives a client of its own whose way to Redis is cut after n commands.
func fused(t *testing.T, rdb redis.UniversalClient, n int64, deaf bool) *enqueue.Client {
	t.Helper()
	f := &fuse{deaf: deaf}
	f.left.Store(n)
	return enqueue.NewFromRedis(hooked(t, rdb, f))
}

// hooked is a second client of the same Redis, with a hook.
func hooked(t *testing.T, rdb redis.UniversalClient, hook redis.Hook) redis.UniversalClient {
	t.Helper()
	o := rdb.(*redis.Client).Options()
	own := redis.NewClient(&redis.Options{Network: o.Network, Addr: o.Addr, DB: o.DB, PoolSize: o.PoolSize, ContextTimeoutEnabled: true})
	own.AddHook(hook)
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	return own
}

func (f *fuse) DialHook(next redis.DialHook) redis.DialHook { return next }

func (f *fuse) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if greeting(cmd) {
			return next(ctx, cmd)
		}
		err := f.pass(func() error { return next(ctx, cmd) })
		if errors.Is(err, errCut) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (f *fuse) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if greeting(cmds[0]) {
			return next(ctx, cmds)
		}
		err := f.pass(func() error { return next(ctx, cmds) })
		if errors.Is(err, errCut) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

// greeting says whether a command is one that go-redis opens a connection with.
func greeting(cmd redis.Cmder) bool { return cmd.Name() == "hello" || cmd.Name() == "client" }

func (f *fuse) pass(next func() error) error {
	left := f.left.Add(-1)
	if left >= 0 {
		return next()
	}
	if left == -1 && f.deaf {
		return errors.Join(errCut, next())
	}
	return errCut
}

// ear calls heard after every command that was answered. The name of a pipeline
// is that of its first command.
type ear struct{ heard func(name string) }

func (e *ear) DialHook(next redis.DialHook) redis.DialHook { return next }

func (e *ear) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && !greeting(cmd) {
			e.heard(cmd.Name())
		}
		return err
	}
}

func (e *ear) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil && !greeting(cmds[0]) {
			e.heard(cmds[0].Name())
		}
		return err
	}
}
