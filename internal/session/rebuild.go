package session

import (
	"context"
	_ "embed"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

//go:embed lua/rebuild.lua
var rebuildSource string

var rebuildScript = redis.NewScript(prelude + rebuildSource)

// scanBatch is how many keys one step of a scan looks at.
const scanBatch = 1000

// Stored calls fn with the id of every session whose own hash is in Redis, also of
// those that no index knows, each once and in no order. It walks all keys of the
// database, a thousand at a time, on every node of a cluster. Sessions that are
// created meanwhile may be missed. It ends at the first error of fn.
func (s *Store) Stored(ctx context.Context, fn func(id string) error) error {
	const op = "session.Stored"
	cluster, many := s.rdb.(*redis.ClusterClient)
	if !many {
		return scan(ctx, op, s.rdb, fn)
	}
	// The nodes are walked at the same time; fn is called by one of them at a time.
	var one sync.Mutex
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return scan(ctx, op, node, func(id string) error {
			one.Lock()
			defer one.Unlock()
			return fn(id)
		})
	})
}

// scan walks the keys of one node, which may bring a key more than once.
func scan(ctx context.Context, op string, rdb redis.Cmdable, fn func(id string) error) error {
	seen := map[string]bool{}
	before, after, _ := strings.Cut(keySession("*"), "*")
	for cursor := uint64(0); ; {
		keys, next, err := rdb.Scan(ctx, cursor, before+idPrefix+"*"+after, scanBatch).Result()
		if err != nil {
			return down(op, err)
		}
		for _, key := range keys {
			id := strings.TrimSuffix(strings.TrimPrefix(key, before), after)
			if !ValidID(id) || seen[id] {
				continue
			}
			seen[id] = true
			if err := fn(id); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// Relist puts a session back on the list of all sessions, and on that of those that
// are owed work unless nothing is owed any more. It answers on which of them it was
// missing.
func (s *Store) Relist(ctx context.Context, spec *Spec) (listed, opened bool, err error) {
	const op = "session.Relist"
	overdue, err := s.Overdue(ctx, spec.ID, 0)
	if err != nil {
		return false, false, err
	}
	member := redis.Z{Score: float64(spec.Created), Member: spec.ID}
	added, err := s.rdb.ZAddNX(ctx, keySessions, member).Result()
	if err != nil || overdue.Over {
		return added == 1, false, down(op, err)
	}
	// Should it have come to its end meanwhile, the next sweep takes it off again.
	entered, err := s.rdb.ZAddNX(ctx, keyOpen, member).Result()
	return added == 1, entered == 1, down(op, err)
}

// Redue makes sure that the sweep will look at every item that has not ended and is
// not held: those that it would never look at, it looks at after look. fn is given
// the items, in index order and in batches of a few hundred, with the number of
// entries that were missing among them. It ends at the first error of fn.
func (s *Store) Redue(ctx context.Context, id string, look time.Duration, fn func(items []*Item, missing int) error) error {
	const op = "session.Redue"
	total, err := s.rdb.HLen(ctx, keyItems(id)).Result()
	if err != nil {
		return down(op, err)
	}
	for start := 0; start < int(total); start += readBatch {
		number := min(readBatch, int(total)-start)
		answer, err := rebuildScript.Run(ctx, s.rdb, keysOf(id), start, number, look.Milliseconds()).Slice()
		if err != nil {
			return down(op, err)
		}
		items, missing, err := rebuilt(id, start, answer)
		if err != nil {
			return fault.New(fault.Malformed, op, err)
		}
		if err := fn(items, missing); err != nil {
			return err
		}
	}
	return nil
}

// rebuilt reads the answer {number, items as stored}.
func rebuilt(id string, start int, answer []any) (items []*Item, missing int, err error) {
	stored, ok := answer[1].([]any)
	added, isNumber := answer[0].(int64)
	if !ok || !isNumber {
		return nil, 0, errors.New("the script answered in an unknown form")
	}
	waits, err := integers(answer[2])
	if err != nil {
		return nil, 0, err
	}
	items = make([]*Item, 0, len(stored))
	for n, value := range stored {
		body, ok := value.(string)
		if !ok {
			continue // an index that a cut-off submission has not reached
		}
		it := new(Item)
		if err := decode(it, id, start+n, body); err != nil {
			return nil, 0, err
		}
		it.Backlog = waits[n] == 1
		items = append(items, it)
	}
	return items, int(added), nil
}

// Owed lists the completions whose settling is owed, in no order.
func (s *Store) Owed(ctx context.Context, id string) ([]int, error) {
	const op = "session.Owed"
	fields, err := s.rdb.HKeys(ctx, keyOutbox(id)).Result()
	if err != nil {
		return nil, down(op, err)
	}
	list := make([]any, len(fields))
	for n, field := range fields {
		list[n] = field
	}
	owed, err := integers(list)
	if err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	return owed, nil
}
