package embedded

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// entry is one key of a snapshot.
type entry struct {
	Key  []byte `json:"key"`
	Kind string `json:"kind"`
	// Deadline is when the key ends, in Unix milliseconds; zero is never.
	Deadline int64 `json:"deadline,omitempty"`
	// Values are what the kind's own command takes: one value for a string,
	// field and value by turns for a hash, the elements of a list in their order
	// and of a set, member and score by turns for a sorted set.
	Values [][]byte `json:"values"`
}

// restoring names the command that writes each kind that is kept.
var restoring = map[string]string{"string": "SET", "hash": "HSET", "list": "RPUSH", "set": "SADD", "zset": "ZADD"}

// check says what keeps an entry from being restored.
func (e entry) check() error {
	_, known := restoring[e.Kind]
	pairs := e.Kind == "hash" || e.Kind == "zset"
	switch {
	case !known:
		return fmt.Errorf("key %q is of unknown kind %q", e.Key, e.Kind)
	case len(e.Values) == 0, pairs && len(e.Values)%2 != 0, e.Kind == "string" && len(e.Values) != 1:
		return fmt.Errorf("key %q of kind %s has %d values", e.Key, e.Kind, len(e.Values))
	case e.Kind != "zset":
		return nil
	}
	for i := 1; i < len(e.Values); i += 2 {
		if _, err := strconv.ParseFloat(string(e.Values[i]), 64); err != nil {
			return fmt.Errorf("key %q: %w", e.Key, err)
		}
	}
	return nil
}

// How much goes into one command and one pipeline: enough to be fast, little
// enough not to be one huge message. The first is even, for pairs.
const (
	valuesPerCommand = 1000
	entriesPerTrip   = 200
)

// restore writes checked entries. Doing it twice ends in the same state.
func restore(ctx context.Context, client *redis.Client, entries []entry) error {
	for batch := range slices.Chunk(entries, entriesPerTrip) {
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, e := range batch {
				e.restore(ctx, p)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e entry) restore(ctx context.Context, p redis.Pipeliner) {
	p.Do(ctx, "DEL", e.Key)
	for some := range slices.Chunk(e.Values, valuesPerCommand) {
		words := []any{restoring[e.Kind], e.Key}
		for i := range some {
			// ZADD wants the score before the member, ZRANGE gave it behind.
			if e.Kind == "zset" {
				words = append(words, some[i^1])
				continue
			}
			words = append(words, some[i])
		}
		p.Do(ctx, words...)
	}
	if e.Deadline != 0 {
		p.Do(ctx, "PEXPIREAT", e.Key, e.Deadline)
	}
}

// localClient is a client for moving whole states: one connection, nothing
// retried, no hurry.
func localClient(dial func(ctx context.Context, network, addr string) (net.Conn, error)) *redis.Client {
	const ample = 5 * time.Minute
	return redis.NewClient(&redis.Options{
		Dialer: dial, Protocol: 2, DisableIdentity: true,
		PoolSize: 1, MaxRetries: -1, ReadTimeout: ample, WriteTimeout: ample,
		ContextTimeoutEnabled: true,
	})
}
