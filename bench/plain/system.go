package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/segue-audio/segue/internal/certify"
)

// plain is the system under test: asynq, and the handlers of worker.go.
type plain struct {
	binary  string
	env     []string
	retries bool

	rig       *certify.Rig
	client    *asynq.Client
	inspector *asynq.Inspector

	mu       sync.Mutex
	sessions []string
	totals   map[string]int
	dead     map[string]bool
}

// The column heads.
const (
	withRetries    = "plain asynq, retries"
	withoutRetries = "plain asynq, MaxRetry(0)"
)

// queueName is asynq's default.
const queueName = "default"

// Name says which of the two modes it is.
func (p *plain) Name() string {
	if p.retries {
		return withRetries
	}
	return withoutRetries
}

// Start has nothing to bring up beside the rig.
func (p *plain) Start(_ context.Context, r *certify.Rig) error {
	p.rig, p.totals, p.dead = r, map[string]int{}, map[string]bool{}
	p.client = asynq.NewClientFromRedisClient(r.Redis)
	p.inspector = asynq.NewInspectorFromRedisClient(r.Redis)
	return nil
}

// Close has nothing to end.
func (p *plain) Close() error { return nil }

// Worker is this program as a worker.
func (p *plain) Worker(n int) certify.Worker {
	ready := make(chan struct{})
	return certify.Worker{Ready: ready, Command: certify.Command{
		Path: p.binary, Dir: p.rig.Options.Dir, Env: p.env,
		Args: []string{
			workerCommand, "--redis", p.rig.RedisURL, "--api", p.rig.Gateway.URL(n) + "/kie",
			"--files", p.rig.ProviderURL + "/kie-staging", "--number", strconv.Itoa(n),
		},
		Heard: func(line []byte) {
			if bytes.Equal(line, []byte(started)) {
				close(ready)
			}
		},
	}}
}

// Submit enqueues one task per song.
func (p *plain) Submit(ctx context.Context, batch certify.Batch) (string, error) {
	p.mu.Lock()
	id := fmt.Sprintf("session-%d", len(p.sessions))
	p.sessions, p.totals[id] = append(p.sessions, id), len(batch.Songs)
	p.mu.Unlock()
	for n, s := range batch.Songs {
		task, err := song{Session: id, Index: n, Total: len(batch.Songs), Path: s.Path, Key: p.rig.Key(batch.Account)}.task(submitTask)
		if err != nil {
			return "", err
		}
		var options []asynq.Option
		if !p.retries {
			options = append(options, asynq.MaxRetry(0))
		}
		if _, err := p.client.EnqueueContext(ctx, task, options...); err != nil {
			return "", err
		}
	}
	return id, nil
}

// Load counts tasks: what is in the hands of the dead, or waits to be tried again,
// does not count as moving.
func (p *plain) Load(ctx context.Context) (certify.Load, error) {
	var load certify.Load
	if len(p.sessions) == 0 {
		return load, nil // asynq does not know the queue yet
	}
	info, err := p.inspector.GetQueueInfo(queueName)
	if err != nil {
		return load, err
	}
	hands, err := p.rig.Redis.HVals(ctx, keyHands).Result()
	if err != nil {
		return load, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, number := range hands {
		if p.dead[number] {
			load.Doubtful++
		}
	}
	load.Doubtful = min(load.Doubtful, info.Active) + info.Retry
	load.Open = info.Pending + info.Active + info.Scheduled + info.Retry
	load.Moving = load.Open - load.Doubtful
	return load, nil
}

// grip is a task in the hand of a dead worker.
type grip struct{ task, number string }

// InHand lists the tasks that a worker had in hand.
func (p *plain) InHand(ctx context.Context, n int) ([]certify.Grip, error) {
	number := strconv.Itoa(n)
	p.mu.Lock()
	p.dead[number] = true
	p.mu.Unlock()
	hands, err := p.rig.Redis.HGetAll(ctx, keyHands).Result()
	if err != nil {
		return nil, err
	}
	var grips []certify.Grip
	for task, by := range hands {
		if by == number {
			grips = append(grips, certify.Grip{What: grip{task, by}})
		}
	}
	return grips, nil
}

// Look says whether another worker took the task.
func (p *plain) Look(ctx context.Context, g certify.Grip) (certify.Sight, error) {
	held, ok := g.What.(grip)
	if !ok {
		return certify.Sight{}, fmt.Errorf("%T is no grip", g.What)
	}
	by, err := p.rig.Redis.HMGet(ctx, keyHands, held.task).Result()
	if err != nil {
		return certify.Sight{}, err
	}
	if by[0] == held.number {
		return certify.Sight{}, nil
	}
	return certify.Sight{Moved: time.Now()}, nil
}

// Resolve is never asked for: nothing is held.
func (p *plain) Resolve(context.Context, []certify.Held) error {
	return errors.New("plain handlers hold nothing")
}

// Sessions reads what the handlers left behind, and what asynq archived.
func (p *plain) Sessions(ctx context.Context) ([]certify.Session, error) {
	archived, err := p.archived()
	if err != nil {
		return nil, err
	}
	sessions := make([]certify.Session, 0, len(p.sessions))
	for _, id := range p.sessions {
		one, err := p.session(ctx, id, archived)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, one)
	}
	return sessions, nil
}

// archived gives the last error of every song whose task asynq gave up.
func (p *plain) archived() (map[string]string, error) {
	reasons := map[string]string{}
	for page := 1; ; page++ {
		tasks, err := p.inspector.ListArchivedTasks(queueName, asynq.Page(page), asynq.PageSize(500))
		if err != nil {
			return nil, err
		}
		for _, task := range tasks {
			var s song
			if err := json.Unmarshal(task.Payload, &s); err != nil {
				return nil, err
			}
			reasons[itemID(s.Session, s.Index)] = task.LastErr
		}
		if len(tasks) == 0 {
			return reasons, nil
		}
	}
}

func itemID(session string, index int) string { return session + "." + strconv.Itoa(index) }

func (p *plain) session(ctx context.Context, id string, archived map[string]string) (certify.Session, error) {
	total, rdb := p.totals[id], p.rig.Redis
	out := certify.Session{ID: id, Items: make([]certify.Item, total)}
	results, err := rdb.HGetAll(ctx, keyResults(id)).Result()
	if err != nil {
		return out, err
	}
	for n := range out.Items {
		it := &out.Items[n]
		it.ID, it.Step, it.State = itemID(id, n), "extend", "failed"
		var r result
		if text, ok := results[strconv.Itoa(n)]; ok {
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				return out, err
			}
		}
		switch reason, gone := archived[it.ID]; {
		case len(r.AudioIDs) > 0:
			it.State = "succeeded"
		case r.Reason != "":
			it.Reason = r.Reason
		case gone:
			it.Reason = reason
		default:
			it.State = "unknown" // it is on no queue and has no result
		}
	}
	if out.AudioIDs, err = aggregate(ctx, rdb, id, total); err != nil {
		return out, err
	}
	if err := p.operations(ctx, &out); err != nil {
		return out, err
	}
	err = p.effects(ctx, &out)
	return out, err
}

func (p *plain) operations(ctx context.Context, s *certify.Session) error {
	lines, err := p.rig.Redis.LRange(ctx, keyOperations(s.ID), 0, -1).Result()
	if err != nil {
		return err
	}
	for _, line := range slices.Compact(lines) {
		number, operation, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return err
		}
		s.Items[n].Operations = append(s.Items[n].Operations, operation)
	}
	return nil
}

func (p *plain) effects(ctx context.Context, s *certify.Session) error {
	lines, err := p.rig.Redis.LRange(ctx, keyEffects(s.ID), 0, -1).Result()
	if err != nil {
		return err
	}
	for _, line := range lines {
		var e effect
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return err
		}
		s.Settled++
		s.Effects, s.Told = append(s.Effects, e.At), e.AudioIDs
	}
	return nil
}
