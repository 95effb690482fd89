package redisconn

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Replicas says how many replicas are connected to a Redis; of a cluster, to the
// master that has the fewest.
func Replicas(ctx context.Context, rdb redis.UniversalClient) (int, error) {
	const op = "redisconn.Replicas"
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		n, err := replicasOf(ctx, rdb)
		if err != nil {
			return 0, fault.New(fault.Unavailable, op, err)
		}
		return n, nil
	}
	var mu sync.Mutex
	fewest := -1
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		n, err := replicasOf(ctx, node)
		mu.Lock()
		defer mu.Unlock()
		if fewest < 0 || n < fewest {
			fewest = n
		}
		return err
	})
	if err != nil {
		return 0, fault.New(fault.Unavailable, op, err)
	}
	return max(fewest, 0), nil
}

func replicasOf(ctx context.Context, rdb redis.Cmdable) (int, error) {
	text, err := rdb.Info(ctx, "replication").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if number, ok := strings.CutPrefix(strings.TrimSpace(line), "connected_slaves:"); ok {
			return strconv.Atoi(number)
		}
	}
	return 0, nil
}
