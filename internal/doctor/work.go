package doctor

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// Work is what is on its way: sessions, queues and workers.
type Work struct {
	Client redis.UniversalClient
	// Passing says that workers are only there while somebody runs one: on an
	// embedded Redis, nobody works between two commands.
	Passing bool
	// Rebuild is the command that makes lost tasks again; empty when there is none.
	Rebuild string
}

// sessionsRead is how many of the newest sessions are looked at; open ones are
// looked at whatever their number.
const sessionsRead = 1000

// openLong is the age from which a session that is not over is worth a look.
const openLong = 24 * time.Hour

// Examine looks at the state of sessions, at asynq's queues, and at who works.
func (w Work) Examine(ctx context.Context) []Finding {
	var c chart
	s, err := survey(ctx, w.Client)
	if err != nil {
		c.unknown("sessions.state", "the sessions", err)
		return c.findings
	}
	s.report(&c)
	workers, err := readWorkers(ctx, w.Client)
	if err != nil {
		c.unknown("workers.alive", "the workers' heartbeats", err)
		return c.findings
	}
	workers.report(s.owed, w.Passing, &c)
	queues, err := readQueues(w.Client)
	if err != nil {
		c.unknown("queues.state", "asynq's queues", err)
		return c.findings
	}
	queues.report(max(0, s.owed-s.backlog), len(workers.alive) > 0, w.Rebuild, &c)
	return c.findings
}

// surveyed is what was found of all sessions.
type surveyed struct {
	now time.Time
	// read is how many sessions were looked at.
	read int
	// absent are listed, and nothing else of them is there. torn have lost a part
	// of their keys.
	absent []string
	torn   []tear
	// held is the number of held items by session, in the order of reading.
	held []share
	// undecided is the number of items whose outcome is being found out.
	undecided []share
	// unsealed and running are not over, and older than openLong.
	unsealed []string
	running  []string
	// owed is how many items wait for a worker, backlog how many of them wait in their
	// session and need no task.
	owed, backlog int
}

// share is how many items of a session something is true of.
type share struct {
	id string
	n  int
}

// tear is what a session has lost.
type tear struct{ id, what string }

// survey reads the sessions: those that are open, and the newest others.
func survey(ctx context.Context, rdb redis.UniversalClient) (*surveyed, error) {
	store := session.NewStore(rdb)
	now, err := store.Now(ctx)
	if err != nil {
		return nil, err
	}
	open, err := store.Open(ctx)
	if err != nil {
		return nil, err
	}
	recent, err := store.Recent(ctx, sessionsRead)
	if err != nil {
		return nil, err
	}
	found := &surveyed{now: now}
	seen := map[string]bool{}
	for _, id := range slices.Concat(open, recent) {
		if seen[id] {
			continue
		}
		seen[id] = true
		if err := found.add(ctx, rdb, store, id); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (f *surveyed) add(ctx context.Context, rdb redis.UniversalClient, store *session.Store, id string) error {
	f.read++
	p, err := readParts(ctx, rdb, id)
	if err != nil {
		return err
	}
	s, err := store.Session(ctx, id)
	switch fault.CodeOf(err) {
	case "":
	case fault.NotFound:
		if p.any() {
			f.torn = append(f.torn, tear{id, "its own hash is gone"})
		} else {
			f.absent = append(f.absent, id)
		}
		return nil
	case fault.Malformed:
		f.torn = append(f.torn, tear{id, "its hash cannot be read: " + fault.Reason(err)})
		return nil
	default:
		return err
	}
	if what := p.torn(); what != "" {
		f.torn = append(f.torn, tear{id, what})
	}
	f.tally(s)
	if s.Ready && s.Canceled.IsZero() {
		f.backlog += int(p.uploads.Val() + p.extends.Val())
	}
	return nil
}

// tally counts what is held, what should be on a queue, and what is old.
func (f *surveyed) tally(s *session.Session) {
	held, undecided := 0, 0
	for label, n := range s.Counts {
		step, state, _ := strings.Cut(label, ".")
		switch session.State(state) {
		case session.Held:
			held += n
		case reconciling:
			undecided += n
		case session.Queued, session.Waiting:
			// Nothing is sent of what is canceled or was cut off while it was submitted.
			if s.Ready && (s.Canceled.IsZero() || state == string(session.Waiting) || step == string(session.StepFetch)) {
				f.owed += n
			}
		default: // somebody is at it, or it is over
		}
	}
	if held > 0 {
		f.held = append(f.held, share{s.ID, held})
	}
	if undecided > 0 {
		f.undecided = append(f.undecided, share{s.ID, undecided})
	}
	if f.now.Sub(time.UnixMilli(s.Created)) < openLong {
		return
	}
	switch s.Status() {
	case session.StatusOpen:
		f.unsealed = append(f.unsealed, s.ID)
	case session.StatusRunning:
		f.running = append(f.running, s.ID)
	default: // over, or held, which is said elsewhere
	}
}

// reconciling is the state of an item whose paid request is being looked for in a
// provider's own records.
const reconciling session.State = "reconciling"

// parts is what there is of a session, read in one transaction: every write of
// an item keeps all of it true in one script, so nothing but a loss makes parts
// contradict each other.
type parts struct {
	items, results, due, uploads, extends *redis.IntCmd
	counts                                *redis.MapStringStringCmd
}

// readParts measures a session's keys. Their names are those of the table in
// package session.
func readParts(ctx context.Context, rdb redis.UniversalClient, id string) (parts, error) {
	key := "segue:{" + id + "}:"
	pipe := rdb.TxPipeline()
	p := parts{
		items: pipe.HLen(ctx, key+"items"), results: pipe.HLen(ctx, key+"results"), due: pipe.ZCard(ctx, key+"due"),
		uploads: pipe.ZCard(ctx, key+"backlog:upload"), extends: pipe.ZCard(ctx, key+"backlog:extend"),
		counts: pipe.HGetAll(ctx, key+"counts"),
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return p, fault.New(fault.Unavailable, "doctor.readParts", err)
	}
	return p, nil
}

func (p parts) any() bool {
	return p.items.Val()+p.results.Val()+p.due.Val()+p.uploads.Val()+p.extends.Val() > 0 || len(p.counts.Val()) > 0
}

// torn says which part of a session is gone, by what the others say; empty when
// all is there.
func (p parts) torn() string {
	var counted, ended int64
	for label, text := range p.counts.Val() {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return "its counts cannot be read"
		}
		counted += n
		if session.State(label).Ended() {
			ended += n
		}
	}
	switch items, results := p.items.Val(), p.results.Val(); {
	case items == 0 && counted > 0:
		return "its items are gone"
	case counted == 0 && items > 0:
		return "its counts are gone"
	case items != counted:
		return fmt.Sprintf("%d items are there, and %d are counted", items, counted)
	case results != ended:
		return fmt.Sprintf("%d results are there, and %d items have ended", results, ended)
	}
	return ""
}
