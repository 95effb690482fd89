package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redisconn"
)

// Redis is the Redis to look at.
type Redis struct {
	Client redis.UniversalClient
	// Address is how to call it, without a password.
	Address string
	Stakes  Stakes
	// Embedded says that Segue runs it. It may then be the in-process stand-in,
	// which has no settings to look at.
	Embedded bool
	// WaitReplicas is how many replicas must have the intent of a paid request before
	// it leaves; negative means one, if there are any.
	WaitReplicas int
	// Now is this machine's clock; nil is time.Now.
	Now func() time.Time
}

// Examine looks at the server: whether it answers, its version and kind, what it
// keeps, its memory, its disk, its replicas, its clock and how far away it is.
// Every master of a cluster is looked at. When it does not answer that is the only
// finding, an Error with code unavailable.
func (r Redis) Examine(ctx context.Context) []Finding {
	if err := redisconn.Ping(ctx, r.Client); err != nil {
		return []Finding{unreachable(err)}
	}
	all, err := nodesOf(ctx, r.Client)
	if err != nil {
		return []Finding{unreachable(err)}
	}
	var c chart
	c.ok("redis.reach", "%s answers", r.Address)
	if len(all) > 1 {
		c.ok("redis.reach", "it is a cluster of %d masters, and all of them answer", len(all))
	}
	for _, n := range all {
		c.from(n.name, r.examineNode(ctx, n.client))
	}
	return c.findings
}

func (r Redis) examineNode(ctx context.Context, client *redis.Client) []Finding {
	var c chart
	r.examineServer(ctx, client, &c)
	now := r.Now
	if now == nil {
		now = time.Now
	}
	examineClock(ctx, client, now, &c)
	return c.findings
}

// examineServer judges what a server says of itself.
func (r Redis) examineServer(ctx context.Context, client *redis.Client, c *chart) {
	text, err := client.Info(ctx).Result()
	if err != nil {
		c.unknown("redis.info", "INFO", err)
		return
	}
	info := parseInfo(text)
	if _, versioned := info["redis_version"]; !versioned && r.Embedded {
		c.add(Note, "redis.version", "", "it is the stand-in within a process of Segue, which has no settings to look at")
		return
	}
	s, err := readSettings(ctx, client)
	if err != nil {
		c.unknown(checkSettings, "CONFIG", err)
		return
	}
	info.version(c)
	info.kind(strings.HasPrefix(r.Address, "redis-cluster:") || strings.HasPrefix(r.Address, "rediss-cluster:"), c)
	c.from("", r.Stakes.weigh(s.durability()))
	info.memory(c)
	info.disk(s, c)
	info.replication(s, strings.HasPrefix(r.Address, "redis-sentinel:"), r.WaitReplicas, c)
}

// unreachable says that Redis does not answer, and why as far as it says.
func unreachable(err error) Finding {
	f := Finding{Check: "redis.reach", Level: Error, Text: fault.Reason(err), Code: fault.Unavailable}
	switch {
	case redis.IsLoadingError(err):
		f.Cure = "wait: it is reading its data after a start, and answers when it has"
	case redis.IsAuthError(err), redis.IsPermissionError(err):
		f.Cure = "put the user and password into redis.url (redis://user:password@host:port/0), or SEGUE_REDIS_URL"
	case redis.IsMaxClientsError(err):
		f.Cure = "raise its maxclients, or end what holds so many connections (redis-cli CLIENT LIST)"
	default:
		f.Cure = "start it, or put redis.url right (segue config print shows where it comes from)"
	}
	return f
}

// node is one server; a name tells it from others when there are several.
type node struct {
	name   string
	client *redis.Client
}

// nodesOf lists the servers that hold data: the one, or a cluster's masters.
func nodesOf(ctx context.Context, rdb redis.UniversalClient) ([]node, error) {
	const op = "doctor.nodesOf"
	switch rdb := rdb.(type) {
	case *redis.Client:
		return []node{{"", rdb}}, nil
	case *redis.ClusterClient:
		var mu sync.Mutex
		var all []node
		err := rdb.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
			mu.Lock()
			defer mu.Unlock()
			all = append(all, node{master.Options().Addr, master})
			return nil
		})
		if err != nil {
			return nil, fault.New(fault.Unavailable, op, err)
		}
		slices.SortFunc(all, func(a, b node) int { return strings.Compare(a.name, b.name) })
		return all, nil
	}
	return nil, fault.New(fault.Internal, op, fmt.Errorf("a client of type %T is neither of a server nor of a cluster", rdb))
}

// info is what INFO says, by field.
type info map[string]string

func parseInfo(text string) info {
	fields := info{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && !strings.HasPrefix(name, "#") {
			fields[name] = value
		}
	}
	return fields
}

// number gives a field that counts; 0 when this server does not have it.
func (i info) number(field string) int64 {
	n, err := strconv.ParseInt(i[field], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// oldest is the oldest version that Segue supports. Its tests run against 7.0.
var oldest = [2]int{6, 2}

func (i info) version(c *chart) {
	name, version := "redis", i["redis_version"]
	if i["server_name"] == "valkey" {
		// Valkey says of itself which Redis it is compatible with.
		name = "valkey " + i["valkey_version"] + ", as redis"
	}
	var found [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &found[0], &found[1]); err != nil {
		c.add(Warning, "redis.version", "", "it does not say which version it is (%q)", version)
		return
	}
	if slices.Compare(found[:], oldest[:]) < 0 {
		c.add(Error, "redis.version", "upgrade it, to 7.0 or newer", "%s %s is older than %d.%d, the oldest that is supported", name, version, oldest[0], oldest[1])
		return
	}
	c.ok("redis.version", "%s %s (%d.%d is the oldest supported; Segue is tested with 7.0)", name, version, oldest[0], oldest[1])
}

// kind holds what the server is against how redis.url calls it.
func (i info) kind(cluster bool, c *chart) {
	switch mode := i["redis_mode"]; {
	case mode == "sentinel":
		c.add(Error, "redis.kind", "redis.url: redis-sentinel://host1,host2,host3/MASTER", "this is a sentinel, which keeps no data")
	case mode == "cluster" && !cluster:
		c.add(Error, "redis.kind", "redis.url: redis-cluster://host1,host2", "this is one node of a cluster, and redis.url does not say so: most keys are elsewhere")
	default:
		c.ok("redis.kind", "it is %s", mode)
	}
}
