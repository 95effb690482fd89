package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// setMinReplicas is how many replicas must keep up for a write to be taken.
const setMinReplicas = "min-replicas-to-write"

// How far behind a replica may be.
const (
	behindBytes = 1 << 20
	behindTime  = 10 * time.Second
)

// replication judges the server's role and those who copy it. sentinel says that
// it is reached through sentinels, which promote a replica when it is gone; wait is
// Redis.WaitReplicas.
func (i info) replication(s settings, sentinel bool, wait int, c *chart) {
	switch i["role"] {
	case "master":
		c.ok("redis.role", "it is a master")
	case "slave":
		c.add(Error, "redis.role", "redis.url: the master's address ("+i["master_host"]+":"+i["master_port"]+"), or redis-sentinel://host1,host2/MASTER",
			"this is a replica (its link to the master is %s): it takes no writes", i["master_link_status"])
		return
	default:
		c.add(Warning, "redis.role", "", "it does not say whether it is a master (%q)", i["role"])
		return
	}
	replicas := i.replicas()
	i.quorum(s, c)
	if len(replicas) == 0 && sentinel {
		c.add(Warning, "redis.replicas", "start a replica, or see why it has gone (redis-cli INFO replication)", "sentinels watch it, and no replica is connected that could take over")
	} else if len(replicas) == 0 {
		c.ok("redis.replicas", "nobody copies it")
	}
	offset := i.number("master_repl_offset")
	for _, r := range replicas {
		r.judge(offset, c)
	}
	failover(len(replicas), wait, c)
}

// failover judges what a replica that takes over would know of what was paid for.
func failover(replicas, wait int, c *chart) {
	switch {
	case wait > replicas:
		c.add(Error, "redis.failover", "bring the replicas back, or set redis.wait_replicas lower",
			"paid requests wait for %s (redis.wait_replicas), and %d are connected: nothing is paid for", count(wait, "replica"), replicas)
	case wait == 0 && replicas > 0:
		c.add(Warning, "redis.failover", "redis.wait_replicas: 1 (or -1, the default)",
			"a replica that takes over forgets what had not reached it, and paid requests do not wait for that")
	case replicas > 0:
		c.ok("redis.failover", "a paid request leaves when %s its intent", theyHave(max(wait, 1)))
	}
}

func theyHave(n int) string {
	if n == 1 {
		return "a replica has"
	}
	return fmt.Sprintf("%d replicas have", n)
}

// quorum judges whether there are enough replicas for a write to be taken.
func (i info) quorum(s settings, c *chart) {
	needed, err := strconv.ParseInt(s.values[setMinReplicas], 10, 64)
	if err != nil || needed == 0 {
		return // it does not say, or does not care
	}
	// The field is only there while the setting is not zero.
	if good := i.number("min_slaves_good_slaves"); good < needed {
		c.add(Error, "redis.quorum", "bring the replicas back, or redis-cli CONFIG SET min-replicas-to-write 0 for the time being",
			"it refuses writes (NOREPLICAS): min-replicas-to-write is %d, and %s up", needed, keep(int(good)))
		return
	}
	c.ok("redis.quorum", "min-replicas-to-write is %d, and as many keep up", needed)
}

func keep(n int) string {
	if n == 1 {
		return "1 replica keeps"
	}
	return fmt.Sprintf("%d replicas keep", n)
}

// replica is one that copies the server.
type replica struct {
	name, state string
	offset      int64
	lag         time.Duration
}

// replicas reads slave0, slave1, … as in
//
//	slave0:ip=10.0.0.2,port=6379,state=online,offset=1234,lag=0
func (i info) replicas() []replica {
	var all []replica
	for n := 0; ; n++ {
		line, ok := i["slave"+strconv.Itoa(n)]
		if !ok {
			return all
		}
		fields := info{}
		for field := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(field, "=")
			fields[name] = value
		}
		all = append(all, replica{
			name: fields["ip"] + ":" + fields["port"], state: fields["state"],
			offset: fields.number("offset"), lag: time.Duration(fields.number("lag")) * time.Second,
		})
	}
}

func (r replica) judge(offset int64, c *chart) {
	const cure = "see its log and the network between the two; until it has caught up, a failover to it forgets what was paid for"
	behind := max(0, offset-r.offset)
	switch {
	case r.state != "online":
		c.add(Warning, "redis.replicas", cure, "replica %s is not in step yet (%s)", r.name, r.state)
	case behind > behindBytes || r.lag > behindTime:
		c.add(Warning, "redis.replicas", cure, "replica %s is %s behind, and was last heard of %s ago", r.name, size(behind), r.lag)
	default:
		c.ok("redis.replicas", "replica %s is %s behind", r.name, size(behind))
	}
}
