package doctor

import (
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/tasks"
)

// pendingLong is how long a task may wait for a free worker.
const pendingLong = time.Minute

// queues is what asynq says of Segue's queues.
type queues struct {
	all []*asynq.QueueInfo
	// served are the queues that a living server of asynq takes tasks from.
	served map[string]bool
}

func readQueues(rdb redis.UniversalClient) (*queues, error) {
	const op = "doctor.readQueues"
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	q := &queues{served: map[string]bool{}}
	known, err := inspector.Queues()
	if err != nil {
		return nil, fault.New(fault.Unavailable, op, err)
	}
	for _, name := range tasks.Queues() {
		if !slices.Contains(known, name) {
			continue // nothing was ever put there, or asynq's keys are gone
		}
		about, err := inspector.GetQueueInfo(name)
		if err != nil {
			return nil, fault.New(fault.Unavailable, op, err)
		}
		q.all = append(q.all, about)
	}
	servers, err := inspector.Servers()
	if err != nil {
		return nil, fault.New(fault.Unavailable, op, err)
	}
	for _, server := range servers {
		for name := range server.Queues {
			q.served[name] = q.served[name] || server.Status == "active"
		}
	}
	return q, nil
}

// report judges them. owed is how many items should have a task.
func (q *queues) report(owed int, working bool, rebuild string, c *chart) {
	coming, archived, slowest := 0, 0, &asynq.QueueInfo{}
	var paused []string
	for _, about := range q.all {
		coming += about.Pending + about.Active + about.Scheduled + about.Retry
		archived += about.Archived
		if about.Latency > slowest.Latency {
			slowest = about
		}
		if about.Paused {
			paused = append(paused, about.Queue)
		}
	}
	q.lost(owed, coming, working, rebuild, c)
	if len(paused) > 0 {
		c.add(Warning, "queues.paused", "unpause on the page /queues/ of segue serve", "paused: %s; nothing on it moves", strings.Join(paused, ", "))
	} else {
		c.ok("queues.paused", "no queue is paused")
	}
	if archived > 0 {
		c.add(Note, "queues.archived", "/queues/ of segue serve shows each with its error; Segue's own state does not need them",
			"asynq has given %s up; the workers' sweep makes a new one where an item still needs it", count(archived, "task"))
	} else {
		c.ok("queues.archived", "asynq has given no task up")
	}
	if working {
		q.pace(slowest, c)
	}
}

// lost says whether the tasks are there that the items' state calls for.
func (q *queues) lost(owed, coming int, working bool, rebuild string, c *chart) {
	switch {
	case owed == 0 || coming > 0:
		c.ok("queues.tasks", "%s on their way, %s on the queues", count(owed, "item"), count(coming, "task"))
	case rebuild != "":
		c.add(Error, "queues.tasks", rebuild, "%s on their way, and not one task is on the queues: asynq's keys are lost", count(owed, "item"))
	case working:
		c.add(Warning, "queues.tasks", "wait: the workers' sweep makes the tasks again within minutes", "%s on their way, and not one task is on the queues: asynq's keys are lost", count(owed, "item"))
	default:
		c.add(Error, "queues.tasks", "start a worker: its sweep makes the tasks again within minutes", "%s on their way, and not one task is on the queues: asynq's keys are lost", count(owed, "item"))
	}
}

// pace judges how workers keep up.
func (q *queues) pace(slowest *asynq.QueueInfo, c *chart) {
	var unserved []string
	for _, name := range tasks.Queues() {
		if !q.served[name] {
			unserved = append(unserved, name)
		}
	}
	if len(unserved) > 0 {
		c.add(Warning, "queues.served", "restart the workers: each serves every queue", "workers are alive, and no server takes tasks from %s", strings.Join(slices.Sorted(slices.Values(unserved)), ", "))
	} else {
		c.ok("queues.served", "every queue is served")
	}
	if slowest.Latency > pendingLong {
		c.add(Warning, "queues.latency", "start more workers, or raise worker.concurrency",
			"the oldest task of %s has waited %s for a free worker (%d are waiting)", slowest.Queue, slowest.Latency.Round(time.Second), slowest.Pending)
		return
	}
	c.ok("queues.latency", "no task has waited longer than %s for a free worker", pendingLong)
}
