package certify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/embedded"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/simulator"
)

// Rig is what every system under test is given: a Redis of its own, a provider, and
// the way to it. Nothing of it is ever killed.
type Rig struct {
	Options Options
	// RedisURL names a redis-server that answers nobody else; Redis is a client of it.
	RedisURL string
	Redis    redis.UniversalClient
	// ProviderURL is the provider itself: hosts that are not paid for their answers
	// (staging, storage, results) are reached there.
	ProviderURL string
	Gateway     *Gateway

	vendor  vendor
	book    *book
	nursery *nursery
	server  *embedded.Redis
	sim     *process
	kept    []*process
	// give ends the run with a cause.
	give context.CancelCauseFunc
}

// Credits is what each account begins with: more than a run can spend.
const Credits = 1_000_000_000

// The times that the provider takes; a run's length depends on them, and its result
// does not.
const (
	uploadTime = 150 * time.Millisecond
	extendTime = 600 * time.Millisecond
	trackScale = 0.0005
)

func openRig(ctx context.Context, o Options, v vendor) (*Rig, error) {
	r := &Rig{Options: o, vendor: v}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *Rig) open(ctx context.Context) error {
	logs := filepath.Join(r.Options.Dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	r.nursery = openNursery(logs)
	if err := r.openRedis(ctx); err != nil {
		return err
	}
	if err := r.openProvider(ctx); err != nil {
		return err
	}
	r.book = newBook(r.ProviderURL, r.vendor)
	faults := simulator.Faults{}
	if r.Options.Mild {
		faults = simulator.Mild()
	}
	if r.Options.Evidence == EvidenceNone {
		faults[simulator.CallbackLost] = 1
	}
	if err := r.book.faults(ctx, faults); err != nil {
		return err
	}
	var err error
	r.Gateway, err = openGateway(ctx, r.vendor, r.ProviderURL, &r.Options)
	return err
}

// openRedis refuses the stand-in: what is proven must not depend on how it forgets.
func (r *Rig) openRedis(ctx context.Context) error {
	server, err := embedded.Start(ctx, embedded.Options{
		Dir: filepath.Join(r.Options.Dir, "state"), Command: "segue certify", Log: r.Options.Log,
	})
	if err != nil {
		return err
	}
	r.server = server
	if !server.Durable() {
		return fault.New(fault.Invalid, "certify.Run", errors.New("no redis-server is installed, and a stand-in proves nothing"))
	}
	r.RedisURL = server.URL()
	if r.Redis, err = redisconn.Open(r.RedisURL); err != nil {
		return err
	}
	return redisconn.Ping(ctx, r.Redis)
}

func (r *Rig) openProvider(ctx context.Context) error {
	c := r.Options.Sim
	url := newSaid()
	c.Name, c.Dir = "provider", r.Options.Dir
	c.Args = append(append([]string(nil), c.Args...),
		"--addr", "127.0.0.1:0", "--faultless", "--seed", strconv.FormatInt(int64(r.Options.Seed>>1)+1, 10), "--credits", strconv.Itoa(Credits),
		"--upload-time", uploadTime.String(), "--extend-time", extendTime.String(), "--track-scale", fmt.Sprint(trackScale))
	c.Heard = func(line []byte) {
		if at, ok := bytes.CutPrefix(line, []byte("url ")); ok {
			url.be(string(at))
		}
	}
	var err error
	if r.sim, err = r.nursery.start(ctx, c); err != nil {
		return err
	}
	r.ProviderURL, err = url.await(ctx, r.sim)
	return err
}

// Keep starts a process that is never killed and ends with the rig; its end before
// that ends the run. It returns when the process has said what pattern finds in one
// of its lines, and gives that.
func (r *Rig) Keep(ctx context.Context, c Command, find func(line []byte) (string, bool)) (string, error) {
	ready := newSaid()
	c.Heard = func(line []byte) {
		if text, ok := find(line); ok {
			ready.be(text)
		}
	}
	p, err := r.nursery.start(ctx, c)
	if err != nil {
		return "", err
	}
	r.kept = append(r.kept, p)
	r.guardProcess(ctx, p)
	return ready.await(ctx, p)
}

// Do runs a process to its end. One that fails is an error with its last words.
func (r *Rig) Do(ctx context.Context, c Command) error {
	p, err := r.nursery.start(ctx, c)
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.stop()
		return ctx.Err()
	}
	if !p.cmd.ProcessState.Success() {
		return p.died()
	}
	return nil
}

// Key is the key of one of the provider's accounts.
func (r *Rig) Key(account string) string { return "certify-" + account }

// Account names the account of session n: they take turns.
func (r *Rig) Account(n int) string { return "a" + strconv.Itoa(n%r.Options.Accounts+1) }

// guard ends the run when something ends that must not.
func (r *Rig) guard(ctx context.Context, give context.CancelCauseFunc) {
	r.give = give
	go func() {
		select {
		case <-r.server.Done():
			give(r.server.Err())
		case <-ctx.Done():
		}
	}()
	r.guardProcess(ctx, r.sim)
}

func (r *Rig) guardProcess(ctx context.Context, p *process) {
	go func() {
		select {
		case <-ctx.Done():
		case <-p.ended:
			if ctx.Err() == nil {
				r.give(p.died())
			}
		}
	}()
}

// close ends everything, in the reverse order.
func (r *Rig) close() error {
	var all []error
	stopAll(r.kept)
	if r.Gateway != nil {
		all = append(all, r.Gateway.close())
	}
	if r.sim != nil {
		r.sim.stop()
	}
	if r.nursery != nil {
		r.nursery.close()
	}
	if r.Redis != nil {
		all = append(all, r.Redis.Close())
	}
	if r.server != nil {
		all = append(all, r.server.Close())
	}
	return errors.Join(all...)
}
