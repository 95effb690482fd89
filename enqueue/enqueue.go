// Package enqueue is how a Go service gives work to Segue. It is what Segue's own
// command line submits with.
//
// A producer submits a [Session] of items, one per audio file. Workers (segue
// worker) upload each file to the session's provider, have it extended if that
// was asked for, archive the results, and aggregate the session's audioIds in
// input order. A producer needs nothing but the address of the same Redis.
//
//	client, err := enqueue.New(ctx, "redis://127.0.0.1:6379/0")
//	session, err := client.Submit(ctx, enqueue.Session{
//		Provider: "mountsea",
//		Items:    []enqueue.Item{{Source: "https://example.com/a.mp3"}},
//		Extend:   &enqueue.Extend{Model: "chirp-v50", ContinueAt: 60},
//		Key:      "order-1234",
//	})
//
// Submitting costs nothing until a worker acts, and a session whose submission
// was cut off is never acted on. With a Key, submitting again is harmless: it is
// the same session, completed if need be. Use one whenever a submission might be
// repeated.
//
// Services test against [Producer] with the recorder in package enqueuetest.
package enqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/session"
)

// The kinds of failure. Use errors.Is.
var (
	// ErrInvalid means that the request can never be accepted as it is. An
	// [InvalidError] in the chain lists every finding.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound means that there is no such session.
	ErrNotFound = errors.New("not found")
	// ErrConflict means that the session does not allow it: it is sealed, or its
	// key was used for a different request.
	ErrConflict = errors.New("conflict")
	// ErrCanceled means that the session was canceled.
	ErrCanceled = errors.New("canceled")
	// ErrUnavailable means that Redis could not be reached, or did not answer.
	ErrUnavailable = errors.New("unavailable")
)

// InvalidError lists everything that is wrong with a request. It is ErrInvalid.
type InvalidError struct {
	// Findings are sentences, each naming the item or field it is about.
	Findings []string
}

// Error joins the findings.
func (e *InvalidError) Error() string { return strings.Join(e.Findings, "; ") }

// Is makes it an ErrInvalid.
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// Producer is everything that a producer does. *Client implements it against
// Redis, enqueuetest.Recorder in memory.
type Producer interface {
	Submit(ctx context.Context, s Session) (*Submitted, error)
	Add(ctx context.Context, id string, items ...Item) ([]Answer, error)
	Seal(ctx context.Context, id string) error
	Status(ctx context.Context, id string) (*Status, error)
	Progress(ctx context.Context, id string) (*Status, error)
	Wait(ctx context.Context, id string) (*Status, error)
	Cancel(ctx context.Context, id string) (*Status, error)
}

var _ Producer = (*Client)(nil)

// Client submits to the workers of one Redis. It is safe for concurrent use.
type Client struct {
	rdb   redis.UniversalClient
	owned bool
	store *session.Store
	queue *queue.Queue
	gate  *account.Gate
	books *ledger.Book
}

// New connects to the Redis that the workers use. The forms of the address are
// redis://, rediss://, unix://, redis-sentinel://host1,host2/master and
// redis-cluster://host1,host2. A Redis that does not answer within five seconds
// is ErrUnavailable. Close the client when done.
func New(ctx context.Context, address string) (*Client, error) {
	rdb, err := redisconn.Open(address)
	if err != nil {
		return nil, translate(err)
	}
	if err := redisconn.Ping(ctx, rdb); err != nil {
		return nil, translate(errors.Join(err, rdb.Close()))
	}
	client := NewFromRedis(rdb)
	client.owned = true
	return client, nil
}

// NewFromRedis uses a connection that the caller keeps and closes.
func NewFromRedis(rdb redis.UniversalClient) *Client {
	return &Client{rdb: rdb, store: session.NewStore(rdb), queue: queue.New(rdb), gate: account.NewGate(rdb), books: ledger.New(rdb)}
}

// Close closes the connection that New opened.
func (c *Client) Close() error {
	if !c.owned {
		return nil
	}
	return c.rdb.Close()
}

// Seal says that no more items will come. A session completes only when it is
// sealed; sealing one twice is harmless. Submit seals what it was not told to
// leave open: a session whose submission was cut off is ErrConflict.
func (c *Client) Seal(ctx context.Context, id string) error {
	current, err := c.store.Session(ctx, id)
	if err != nil {
		return translate(err)
	}
	if !current.Ready {
		return cutOff(id)
	}
	return translate(c.seal(ctx, id))
}

func (c *Client) seal(ctx context.Context, id string) error {
	completion, err := c.store.Seal(ctx, id)
	if err != nil {
		return err
	}
	return c.queue.Settle(ctx, id, completion)
}

// The bounds of Wait's questions to Redis.
const (
	minWatch = 50 * time.Millisecond
	maxWatch = time.Second
)

// Wait returns when nothing of the session moves by itself any more: it is over,
// or only held items are left. It returns the context's error when that ends first.
func (c *Client) Wait(ctx context.Context, id string) (*Status, error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for pause := minWatch; ; pause = min(pause*5/4, maxWatch) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
		}
		current, err := c.store.Session(ctx, id)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, translate(err)
		case current.Status().Over():
			return c.Status(ctx, id)
		}
		timer.Reset(pause)
	}
}

// cancelBatch is how many items Cancel ends at once.
const cancelBatch = 16

// Cancel stops a session: from this call on, nothing more of it is paid for. What
// a provider has already accepted is followed to its end and kept. Canceling
// twice is harmless.
func (c *Client) Cancel(ctx context.Context, id string) (*Status, error) {
	if !session.ValidID(id) {
		return nil, fmt.Errorf("%w: there is no session %q", ErrNotFound, id)
	}
	completion, err := c.store.Cancel(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	if err := c.queue.Settle(ctx, id, completion); err != nil {
		return nil, translate(err)
	}
	if err := c.endQueued(ctx, id); err != nil {
		return nil, translate(err)
	}
	return c.Progress(ctx, id)
}

// endQueued writes down that the queued items of a canceled session have ended.
// They count as canceled already; should this be cut off, the sweep goes on.
func (c *Client) endQueued(ctx context.Context, id string) error {
	var queued []int
	err := c.store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		if it.State == session.Queued {
			queued = append(queued, it.Index)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return inParallel(cancelBatch, len(queued), func(n int) error {
		_, written, err := c.store.Update(ctx, id, queued[n], 0, func(w *session.Work) error { return w.Item.Cancel() })
		if fault.CodeOf(err) == fault.Conflict {
			return nil // it moved meanwhile: its worker sees the cancel
		}
		if err != nil {
			return err
		}
		return c.queue.Settle(ctx, id, written.Completion)
	})
}

// translate gives an error its public kind. A caller who ended its own context
// learns just that: it did not cancel a session.
func translate(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	kind := error(nil)
	switch fault.CodeOf(err) {
	case "":
		return nil
	case fault.Invalid:
		kind = ErrInvalid
	case fault.NotFound:
		kind = ErrNotFound
	case fault.Conflict:
		kind = ErrConflict
	case fault.Canceled:
		kind = ErrCanceled
	case fault.Unavailable, fault.Timeout:
		kind = ErrUnavailable
	case fault.Denied, fault.Rejected, fault.Exhausted, fault.Malformed, fault.Pending, fault.Internal:
		return err
	}
	if errors.Is(err, kind) {
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}
