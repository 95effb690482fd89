package enqueuetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/enqueuetest"
	"github.com/segue-audio/segue/enqueue/internal/workertest"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// subject is a producer, and the hand that ends its items.
type subject interface {
	enqueue.Producer
	succeed(id string, index int, extended bool)
	fail(id string, index int)
	hold(id string, index int)
	disconnect()
}

// subjects are what must agree: the client on a Redis, and the recorder.
var subjects = map[string]func(t *testing.T) subject{
	"client":   newClient,
	"recorder": newRecorder,
}

// why is how items fail in these tests.
var why = enqueue.ItemError{Code: "rejected", Step: "upload", Reason: "copyright", Charge: "not charged"}

type recorder struct{ *enqueuetest.Recorder }

func newRecorder(t *testing.T) subject { return recorder{enqueuetest.New(t)} }

func (r recorder) succeed(id string, index int, _ bool) {
	r.Succeed(id, index, enqueuetest.Result{Credits: 3})
}
func (r recorder) fail(id string, index int) { r.Fail(id, index, why) }
func (r recorder) hold(id string, index int) {
	r.Hold(id, index, enqueue.ItemError{Code: "timeout", Reason: "no answer"})
}
func (r recorder) disconnect() { r.Disconnect() }

type client struct {
	*enqueue.Client
	worker *workertest.Worker
	cable  *cable
	// flush forgets everything.
	flush func()
}

func newClient(t *testing.T) subject {
	t.Helper()
	rdb, mini := redistest.Mini(t)
	worker := workertest.New(t, rdb)
	c := &cable{}
	o := rdb.(*redis.Client).Options()
	own := redis.NewClient(&redis.Options{Network: o.Network, Addr: o.Addr, ContextTimeoutEnabled: true})
	own.AddHook(c)
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Error(err)
		}
	})
	return &client{enqueue.NewFromRedis(own), worker, c, mini.FlushAll}
}

func (c *client) succeed(id string, index int, extended bool) {
	clip := fmt.Sprintf("clip-%d", index)
	if !extended {
		c.worker.Upload(id, index, clip, 3)
		return
	}
	c.worker.Upload(id, index, clip, 1)
	c.worker.Extend(id, index, fmt.Sprintf("extend-%d", index), 2,
		session.Track{Track: provider.Track{AudioID: fmt.Sprintf("audio-%d-a", index)}},
		session.Track{Track: provider.Track{AudioID: fmt.Sprintf("audio-%d-b", index)}})
}

func (c *client) fail(id string, index int) {
	c.worker.Fail(id, index, fault.Code(why.Code), why.Reason, why.Charge)
}
func (c *client) hold(id string, index int) { c.worker.Hold(id, index, "no answer") }
func (c *client) disconnect()               { c.cable.cut = true }

// cable is a way to Redis that can be cut.
type cable struct{ cut bool }

var errCut = errors.New("connection cut")

func (c *cable) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *cable) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c.cut {
			cmd.SetErr(errCut)
			return errCut
		}
		return next(ctx, cmd)
	}
}

func (c *cable) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.cut {
			return errCut
		}
		return next(ctx, cmds)
	}
}
