package doctor

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// desk is a Redis with sessions in it.
type desk struct {
	t     *testing.T
	rdb   redis.UniversalClient
	mini  *miniredis.Miniredis
	store *session.Store
	queue *queue.Queue
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	rdb, mini := redistest.Mini(t)
	return &desk{t, rdb, mini, session.NewStore(rdb), queue.New(rdb)}
}

func (d *desk) check(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// submit makes a session of so many items, all queued, each with its task.
func (d *desk) submit(items int) string {
	d.t.Helper()
	id, err := session.NewID()
	d.check(err)
	_, _, err = d.store.Create(d.t.Context(), session.Spec{ID: id, Provider: "p", Account: "a"}, true)
	d.check(err)
	fresh := make([]session.New, items)
	for n := range fresh {
		fresh[n].Item = session.NewItem(session.Source{Name: "a.mp3"}, session.PlanFor(true), nil)
	}
	if items > 0 {
		_, err = d.store.Add(d.t.Context(), id, 0, fresh, time.Minute)
		d.check(err)
	}
	_, _, err = d.store.Admit(d.t.Context(), id, session.StepUpload, items)
	d.check(err)
	for n := range items {
		d.follow(id, n)
	}
	return id
}

func (d *desk) follow(id string, index int) {
	d.t.Helper()
	work, err := d.store.Load(d.t.Context(), id, index)
	d.check(err)
	work.Item.Backlog = false // it was admitted
	d.check(d.queue.Follow(d.t.Context(), &work.Item, 0, 0))
}

func (d *desk) seal(id string) {
	d.t.Helper()
	_, err := d.store.Seal(d.t.Context(), id)
	d.check(err)
}

// move changes an item by a transition.
func (d *desk) move(id string, index int, change func(*session.Item) error) {
	d.t.Helper()
	_, _, err := d.store.Update(d.t.Context(), id, index, time.Minute, func(w *session.Work) error { return change(&w.Item) })
	d.check(err)
}

// put brings an item into a state.
func (d *desk) put(id string, index int, state session.State) {
	d.t.Helper()
	d.move(id, index, func(it *session.Item) error {
		it.State = state
		return nil
	})
}

func (d *desk) hold(id string, index int) {
	d.t.Helper()
	d.put(id, index, session.Held)
}

// cancel ends an item without its being done.
func (d *desk) cancel(id string, index int) {
	d.t.Helper()
	d.move(id, index, func(it *session.Item) error { return it.Cancel() })
}

// beat leaves a worker's heartbeat.
func (d *desk) beat(worker string) {
	d.t.Helper()
	_, err := d.store.Beat(d.t.Context(), worker)
	d.check(err)
}

func (d *desk) del(key string) {
	d.t.Helper()
	gone, err := d.rdb.Del(d.t.Context(), key).Result()
	d.check(err)
	if gone != 1 {
		d.t.Fatalf("there was no %s to lose", key)
	}
}

func (d *desk) examine() []Finding { return Work{Client: d.rdb}.Examine(d.t.Context()) }

func TestWorkThatIsInOrder(t *testing.T) {
	d := newDesk(t)
	empty := d.examine()
	holds(t, empty)
	healthy(t, empty, "sessions.state", "sessions.held", "sessions.old", "workers.alive", "queues.tasks", "queues.paused", "queues.archived")

	id := d.submit(3)
	d.cancel(id, 0) // an item that has ended has its result
	d.seal(id)
	d.seal(d.submit(0))
	d.beat("worker-1")
	d.serve(tasks.Queues()...)
	findings := d.examine()
	holds(t, findings)
	healthy(t, findings, "sessions.state", "workers.alive", "queues.tasks", "queues.served", "queues.latency")
}

func TestSessionsThatHaveLostParts(t *testing.T) {
	for key, want := range map[string]string{
		"":         "its own hash is gone",
		":items":   "its items are gone",
		":counts":  "its counts are gone",
		":results": "0 results are there, and 1 items have ended",
	} {
		t.Run("lost"+key, func(t *testing.T) {
			d := newDesk(t)
			id := d.submit(2)
			d.cancel(id, 0)
			d.seal(id)
			d.beat("worker-1")
			d.serve(tasks.Queues()...)
			d.del("segue:{" + id + "}" + key)
			holds(t, d.examine(), expected{Error, "sessions.state", "session " + id + " has lost a part of its state: " + want, "Backups"})
		})
	}
}

func TestItemThatIsGone(t *testing.T) {
	d := newDesk(t)
	id := d.submit(2)
	d.seal(id)
	d.beat("worker-1")
	d.serve(tasks.Queues()...)
	d.check(d.rdb.HDel(t.Context(), "segue:{"+id+"}:items", "1").Err())
	holds(t, d.examine(), expected{Error, "sessions.state", "1 items are there, and 2 are counted", "Backups"})
	d.check(d.rdb.HSet(t.Context(), "segue:{"+id+"}:counts", "upload.queued", "many").Err())
	holds(t, d.examine(), expected{Error, "sessions.state", "its hash cannot be read", "Backups"})
}

func TestManyTornSessionsAreCounted(t *testing.T) {
	d := newDesk(t)
	for range 5 {
		id := d.submit(1)
		d.seal(id)
		d.del("segue:{" + id + "}")
	}
	torn := expected{Error, "sessions.state", "has lost a part of its state", "Backups"}
	holds(t, d.examine(), torn, torn, torn, expected{Error, "sessions.state", "2 sessions more have lost", "Backups"})
}

func TestSessionOfWhichNothingIsThere(t *testing.T) {
	d := newDesk(t)
	id := d.submit(0)
	d.del("segue:{" + id + "}")
	holds(t, d.examine(), expected{Warning, "sessions.state", "1 session is listed and nothing else of them is there (" + id + ")", "the same command"})
}

func TestHeldItems(t *testing.T) {
	d := newDesk(t)
	id := d.submit(2)
	d.hold(id, 0)
	d.hold(id, 1)
	d.seal(id)
	holds(t, d.examine(), expected{Warning, "sessions.held", "2 items of " + id + " held", "segue items " + id + " --status held, then segue resolve"})
	for range 4 {
		other := d.submit(1)
		d.hold(other, 0)
		d.seal(other)
	}
	findings := d.examine()
	one := expected{Warning, "sessions.held", "held: nobody knows", "segue items"}
	holds(t, findings, one, one, one, expected{Warning, "sessions.held", "2 sessions more have held items", "segue sessions"})
}

func TestItemsBeingReconciled(t *testing.T) {
	d := newDesk(t)
	id := d.submit(3)
	for n := range 2 {
		d.put(id, n, "reconciling")
	}
	d.hold(id, 2)
	d.seal(id)
	holds(t, d.examine(),
		expected{Warning, "sessions.held", "1 item of " + id + " held", "segue resolve"},
		expected{Note, "sessions.reconciling", "2 items (" + id + "): the provider's records are asked", ""})
}

func TestOldSessions(t *testing.T) {
	d := newDesk(t)
	now := time.Now()
	d.mini.SetTime(now.Add(-25 * time.Hour))
	unsealed := d.submit(0)
	running := d.submit(1)
	d.seal(running)
	done := d.submit(1)
	d.cancel(done, 0)
	d.seal(done)
	d.mini.SetTime(now)
	d.seal(d.submit(1))
	d.beat("worker-1")
	d.serve(tasks.Queues()...)
	holds(t, d.examine(),
		expected{Warning, "sessions.old", "1 session has been open for more than a day", "segue cancel " + unsealed},
		expected{Warning, "sessions.old", "1 session has been running for more than a day", "segue items " + running})
}

func TestNobodyWorks(t *testing.T) {
	d := newDesk(t)
	d.seal(d.submit(2))
	now := time.Now()
	d.mini.SetTime(now.Add(-3 * time.Minute))
	d.beat("died-first")
	d.mini.SetTime(now.Add(-10 * time.Second))
	d.beat("died-last")
	d.mini.SetTime(now)
	dead := expected{Note, "workers.dead", "2 workers died within the last hour: died-last, 10s ago; died-first, 3m0s ago", "log"}
	holds(t, d.examine(), expected{Error, "workers.alive", "2 items on their way, and no worker is alive", "segue worker"}, dead)
	holds(t, Work{Client: d.rdb, Passing: true}.Examine(t.Context()), expected{Note, "workers.alive", "nobody works", "segue up"}, dead)
	// Nothing is forgotten by looking.
	if n, err := d.rdb.ZCard(t.Context(), "segue:workers").Result(); n != 2 || err != nil {
		t.Errorf("%d heartbeats are left (%v), want 2", n, err)
	}
}

func TestAsynqHasLostItsKeys(t *testing.T) {
	d := newDesk(t)
	id := d.submit(2)
	d.seal(id)
	keys, err := d.rdb.Keys(t.Context(), "asynq:*").Result()
	d.check(err)
	d.check(d.rdb.Del(t.Context(), keys...).Err())
	nobody := expected{Error, "workers.alive", "no worker is alive", ""}
	const lost = "2 items on their way, and not one task is on the queues"
	holds(t, d.examine(), nobody, expected{Error, "queues.tasks", lost, "start a worker"})
	holds(t, Work{Client: d.rdb, Rebuild: "segue rebuild"}.Examine(t.Context()), nobody, expected{Error, "queues.tasks", lost, "segue rebuild"})
	d.beat("worker-1")
	d.serve(tasks.Queues()...)
	holds(t, d.examine(), expected{Warning, "queues.tasks", lost, "wait"})
	// What was canceled needs no task.
	_, err = d.store.Cancel(t.Context(), id)
	d.check(err)
	holds(t, d.examine())
}

func TestQueuesThatDoNotMove(t *testing.T) {
	d := newDesk(t)
	id := d.submit(2)
	d.seal(id)
	d.beat("worker-1")
	d.serve(tasks.QueueControl, tasks.QueueFetch)
	inspector := asynq.NewInspectorFromRedisClient(d.rdb)
	d.check(inspector.PauseQueue(tasks.QueueUpload))
	held := expected{Warning, "queues.paused", "paused: upload", "/queues/"}
	unserved := expected{Warning, "queues.served", "extend, poll, upload", "restart the workers"}
	holds(t, d.examine(), held, unserved)

	d.check(inspector.UnpauseQueue(tasks.QueueUpload))
	pending, err := inspector.ListPendingTasks(tasks.QueueUpload)
	d.check(err)
	// asynq notes on each task since when it has been pending, in nanoseconds.
	since := strconv.FormatInt(time.Now().Add(-5*time.Minute).UnixNano(), 10)
	d.check(d.rdb.HSet(t.Context(), "asynq:{upload}:t:"+pending[0].ID, "pending_since", since).Err())
	d.check(d.rdb.HSet(t.Context(), "asynq:{upload}:t:"+pending[1].ID, "pending_since", since).Err())
	holds(t, d.examine(), unserved, expected{Warning, "queues.latency", "the oldest task of upload has waited 5m", "worker.concurrency"})

	d.check(inspector.ArchiveTask(tasks.QueueUpload, pending[0].ID))
	d.check(d.rdb.HSet(t.Context(), "asynq:{upload}:t:"+pending[1].ID, "pending_since", strconv.FormatInt(time.Now().UnixNano(), 10)).Err())
	holds(t, d.examine(), expected{Note, "queues.archived", "asynq has given 1 task up", "/queues/"}, unserved)
}

// serve runs a server of asynq that finishes no task before the test is over.
func (d *desk) serve(names ...string) {
	d.t.Helper()
	served := map[string]int{}
	for _, name := range names {
		served[name] = 1
	}
	over := make(chan struct{})
	server := asynq.NewServerFromRedisClient(d.rdb, asynq.Config{
		Concurrency: 1, Queues: served, LogLevel: asynq.FatalLevel, TaskCheckInterval: 10 * time.Millisecond,
	})
	d.check(server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		<-over
		return nil
	})))
	d.t.Cleanup(func() {
		close(over)
		server.Shutdown()
	})
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	inspector := asynq.NewInspectorFromRedisClient(d.rdb)
	for {
		servers, err := inspector.Servers()
		d.check(err)
		if len(servers) > 0 {
			return
		}
		<-again.C
	}
}

func TestStateThatCannotBeRead(t *testing.T) {
	d := newDesk(t)
	d.mini.SetError("ERR out of order")
	holds(t, d.examine(), expected{Warning, "sessions.state", "could not be looked at", ""})
}

// What waits in its session to be admitted needs no task.
func TestWaitingInASessionNeedsNoTask(t *testing.T) {
	d := newDesk(t)
	id := d.submit(2)
	d.seal(id)
	d.check(d.store.Readmit(t.Context(), id, session.StepUpload, 0, 1))
	keys, err := d.rdb.Keys(t.Context(), "asynq:*").Result()
	d.check(err)
	d.check(d.rdb.Del(t.Context(), keys...).Err())
	d.beat("worker-1")
	d.serve(tasks.Queues()...)
	holds(t, d.examine())
}
