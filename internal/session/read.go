package session

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// sessionFields are read whenever a session is, in this order.
var sessionFields = []string{"spec", "ready", "sealed", "canceled", "remote", "completions", "settled", "budget", "priority"}

// decodeSession reads the values of sessionFields.
func decodeSession(s *Session, values []any) error {
	field := make([]string, len(sessionFields))
	for n, v := range values {
		field[n], _ = v.(string)
	}
	if err := json.Unmarshal([]byte(field[0]), &s.Spec); err != nil {
		return err
	}
	s.Ready, s.Sealed, s.Remote = field[1] != "", field[2] != "", field[4]
	if field[3] != "" {
		at, err := strconv.ParseInt(field[3], 10, 64)
		if err != nil {
			return err
		}
		s.Canceled = time.UnixMilli(at)
	}
	var err error
	if s.Completions, err = count(field[5]); err != nil {
		return err
	}
	if field[8] != "" {
		s.Priority = Priority(field[8])
	}
	if s.Settled, err = count(field[6]); err != nil || field[7] == "" {
		return err
	}
	budget, err := strconv.ParseFloat(field[7], 64)
	s.Budget = &budget
	return err
}

func count(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.Atoi(text)
}

// Session reads a session with its counts.
func (s *Store) Session(ctx context.Context, id string) (*Session, error) {
	const op = "session.Session"
	if !ValidID(id) {
		return nil, missing(op, id)
	}
	// One transaction, so that total and counts are of one moment.
	pipe := s.rdb.TxPipeline()
	fields := pipe.HMGet(ctx, keySession(id), sessionFields...)
	total := pipe.HLen(ctx, keyItems(id))
	counts := pipe.HGetAll(ctx, keyCounts(id))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, down(op, err)
	}
	if fields.Val()[0] == nil {
		return nil, missing(op, id)
	}
	session := &Session{Total: int(total.Val()), Counts: make(map[string]int, len(counts.Val()))}
	if err := decodeSession(session, fields.Val()); err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	for label, n := range counts.Val() {
		number, err := strconv.Atoi(n)
		if err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
		session.Counts[label] = number
	}
	return session, nil
}

// readBatch is how many items one round trip reads.
const readBatch = 500

// Each calls fn for the session's items in index order, from index from on, in
// flat memory. It ends at the first error of fn, or after limit items (0 means all).
func (s *Store) Each(ctx context.Context, id string, from, limit int, fn func(*Item) error) error {
	const op = "session.Each"
	total, err := s.rdb.HLen(ctx, keyItems(id)).Result()
	if err != nil {
		return down(op, err)
	}
	end := int(total)
	if limit > 0 {
		end = min(end, from+limit)
	}
	for start := from; start < end; start += readBatch {
		if err := s.eachOf(ctx, id, start, min(start+readBatch, end), fn); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachOf(ctx context.Context, id string, start, end int, fn func(*Item) error) error {
	const op = "session.Each"
	indexes := make([]string, 0, end-start)
	for index := start; index < end; index++ {
		indexes = append(indexes, strconv.Itoa(index))
	}
	stored, err := s.rdb.HMGet(ctx, keyItems(id), indexes...).Result()
	if err != nil {
		return down(op, err)
	}
	for n, value := range stored {
		body, ok := value.(string)
		if !ok {
			continue // an index that a cut-off submission has not reached yet
		}
		var it Item
		if err := decode(&it, id, start+n, body); err != nil {
			return fault.New(fault.Malformed, op, err)
		}
		if err := fn(&it); err != nil {
			return err
		}
	}
	return nil
}

// AudioIDs is the session's aggregate: the ids of every item that has succeeded, in
// input order (P3). It reads the results, not the items.
func (s *Store) AudioIDs(ctx context.Context, id string) ([]string, error) {
	const op = "session.AudioIDs"
	total, err := s.rdb.HLen(ctx, keyItems(id)).Result()
	if err != nil {
		return nil, down(op, err)
	}
	ids := []string{}
	for start := 0; start < int(total); start += readBatch {
		indexes := make([]string, 0, readBatch)
		for index := start; index < min(start+readBatch, int(total)); index++ {
			indexes = append(indexes, strconv.Itoa(index))
		}
		stored, err := s.rdb.HMGet(ctx, keyResults(id), indexes...).Result()
		if err != nil {
			return nil, down(op, err)
		}
		if ids, err = appendIDs(ids, stored); err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
	}
	return ids, nil
}

func appendIDs(ids []string, stored []any) ([]string, error) {
	for _, value := range stored {
		body, ok := value.(string)
		if !ok {
			continue // not ended yet
		}
		var r result
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			return nil, err
		}
		ids = append(ids, r.AudioIDs...)
	}
	return ids, nil
}

// Recent lists session ids, the newest first.
func (s *Store) Recent(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.rdb.ZRevRange(ctx, keySessions, 0, int64(limit)-1).Result()
	return ids, down("session.Recent", err)
}

// Beat records that a worker lives, by Redis's clock, and how far its own clock is from
// that. It answers by how much the fastest clock of those who live is ahead of the
// caller's: 0 when its own is.
func (s *Store) Beat(ctx context.Context, worker string) (lead time.Duration, err error) {
	const op = "session.Beat"
	asked := time.Now()
	now, err := s.Now(ctx)
	if err != nil {
		return 0, err
	}
	// The answer was given at some time in between; whole seconds are what matters.
	own := asked.Add(time.Since(asked) / 2).Round(0).Sub(now).Round(time.Second)
	pipe := s.rdb.Pipeline()
	pipe.ZAdd(ctx, keyWorkers, redis.Z{Score: float64(now.UnixMilli()), Member: worker})
	pipe.HSet(ctx, keyClocks, worker, own.Milliseconds())
	clocks := pipe.HGetAll(ctx, keyClocks)
	alive := pipe.ZRangeByScore(ctx, keyWorkers, &redis.ZRangeBy{
		Min: strconv.FormatInt(now.Add(-DeadAfter).UnixMilli(), 10), Max: "+inf",
	})
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, down(op, err)
	}
	for _, other := range alive.Val() {
		ms, err := strconv.ParseInt(clocks.Val()[other], 10, 64)
		if err != nil {
			continue // it beat before there were clocks
		}
		lead = max(lead, time.Duration(ms)*time.Millisecond-own)
	}
	return lead, nil
}

// Leave records that a worker has stopped in good order.
func (s *Store) Leave(ctx context.Context, worker string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZRem(ctx, keyWorkers, worker)
		p.HDel(ctx, keyClocks, worker)
		return nil
	})
	return down("session.Leave", err)
}

// ForgetWorkers says that no worker lives: for whoever starts a Redis that
// nobody else can use.
func (s *Store) ForgetWorkers(ctx context.Context) error {
	return down("session.ForgetWorkers", s.rdb.Del(ctx, keyWorkers, keyClocks).Err())
}

// DeadAfter is how long a worker may be silent before its claims are taken away.
// Workers beat three times as often.
const DeadAfter = 6 * time.Second

// Workers lists the workers that live. Those that have been dead for an hour are
// forgotten.
func (s *Store) Workers(ctx context.Context) (alive map[string]bool, err error) {
	const op = "session.Workers"
	now, err := s.Now(ctx)
	if err != nil {
		return nil, err
	}
	old := strconv.FormatInt(now.Add(-time.Hour).UnixMilli(), 10)
	gone, err := s.rdb.ZRangeByScore(ctx, keyWorkers, &redis.ZRangeBy{Min: "-inf", Max: "(" + old}).Result()
	if err != nil {
		return nil, down(op, err)
	}
	for _, id := range gone {
		if err := s.Leave(ctx, id); err != nil {
			return nil, err
		}
	}
	ids, err := s.rdb.ZRangeByScore(ctx, keyWorkers, &redis.ZRangeBy{
		Min: strconv.FormatInt(now.Add(-DeadAfter).UnixMilli(), 10), Max: "+inf",
	}).Result()
	if err != nil {
		return nil, down(op, err)
	}
	alive = make(map[string]bool, len(ids))
	for _, id := range ids {
		alive[id] = true
	}
	return alive, nil
}

// Open lists the sessions that are owed work, the oldest first.
func (s *Store) Open(ctx context.Context) ([]string, error) {
	ids, err := s.rdb.ZRange(ctx, keyOpen, 0, -1).Result()
	return ids, down("session.Open", err)
}

// Underway counts the paid requests of an account that are on the way or running at
// the provider, in all sessions that are owed work.
func (s *Store) Underway(ctx context.Context, provider, account string) (int, error) {
	const op = "session.Underway"
	open, err := s.Open(ctx)
	if err != nil || len(open) == 0 {
		return 0, err
	}
	specs := make([]*redis.SliceCmd, len(open))
	counts := make([]*redis.MapStringStringCmd, len(open))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, id := range open {
			specs[n] = p.HMGet(ctx, keySession(id), sessionFields...)
			counts[n] = p.HGetAll(ctx, keyCounts(id))
		}
		return nil
	})
	if err != nil {
		return 0, down(op, err)
	}
	underway := 0
	for n := range open {
		if specs[n].Val()[0] == nil {
			continue // listed, and never written
		}
		var session Session
		if err := decodeSession(&session, specs[n].Val()); err != nil {
			return 0, fault.New(fault.Malformed, op, err)
		}
		if session.Provider != provider || session.Account != account {
			continue
		}
		for label, number := range counts[n].Val() {
			if state := State(label[strings.IndexByte(label, '.')+1:]); state == Sending || state == Waiting {
				many, err := strconv.Atoi(number)
				if err != nil {
					return 0, fault.New(fault.Malformed, op, err)
				}
				underway += many
			}
		}
	}
	return underway, nil
}

// OwedFor is how long a session stays on the list of those that are owed work after an
// Owe, whatever is found meanwhile: whoever means to reopen an item of it writes that
// within this time, or not at all.
const OwedFor = 10 * time.Minute

// Close takes a session off the list of those that are owed work, unless it is owed
// some, or somebody is about to reopen it.
func (s *Store) Close(ctx context.Context, id string) error {
	const op = "session.Close"
	closed, err := closeScript.Run(ctx, s.rdb, []string{keyOpen}, id, OwedFor.Milliseconds()).Int()
	if err != nil || closed == 0 {
		return down(op, err)
	}
	overdue, err := s.Overdue(ctx, id, 0)
	if err != nil || overdue.Over {
		return err
	}
	return down(op, s.rdb.ZAddNX(ctx, keyOpen, redis.Z{Score: float64(overdue.Now.UnixMilli()), Member: id}).Err())
}

// Owe puts a session on the list of those that are owed work, and keeps it there for
// OwedFor. Whoever reopens an item does so before, so that dying right after loses
// nothing; and after, should it have been decided so before by somebody who did not.
func (s *Store) Owe(ctx context.Context, id string) error {
	now, err := s.Now(ctx)
	if err != nil {
		return err
	}
	return down("session.Owe", s.rdb.ZAdd(ctx, keyOpen, redis.Z{Score: float64(now.UnixMilli()) + 0.5, Member: id}).Err())
}

// Overdue is what the sweep should look at in one session.
type Overdue struct {
	Now      time.Time
	Ready    bool
	Canceled bool
	// Indexes are the items whose time to be looked at has come.
	Indexes []int
	// Completions are those whose settling has been owed for ten seconds.
	Completions []int
	// Backlog is how many items wait to be admitted, by the step that they wait for, and
	// Session is theirs: empty when none waits.
	Backlog map[StepName]int
	Session Session
	// Over says that nothing is owed: every item has ended and every completion
	// was settled.
	Over bool
}

// Overdue finds what is stuck in a session, at most limit items of it.
func (s *Store) Overdue(ctx context.Context, id string, limit int) (*Overdue, error) {
	const op = "session.Overdue"
	answer, err := overdueScript.Run(ctx, s.rdb, keysOf(id), limit).Slice()
	if err != nil {
		return nil, down(op, err)
	}
	ms, err := strconv.ParseInt(text(answer[0]), 10, 64)
	if err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	o := &Overdue{
		Now:   time.UnixMilli(ms),
		Ready: text(answer[1]) == "1", Canceled: text(answer[2]) == "1", Over: text(answer[5]) == "1",
	}
	var bad [2]error
	o.Indexes, bad[0] = integers(answer[3])
	o.Completions, bad[1] = integers(answer[4])
	waiting, err := integers([]any{answer[6], answer[7]})
	if err := errors.Join(bad[0], bad[1], err); err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	o.Backlog = map[StepName]int{StepUpload: waiting[0], StepExtend: waiting[1]}
	if body := text(answer[8]); body != "" {
		if err := json.Unmarshal([]byte(body), &o.Session.Spec); err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
		o.Session.Priority = cmp.Or(Priority(text(answer[9])), o.Session.Priority)
	}
	return o, nil
}

func integers(v any) ([]int, error) {
	list, _ := v.([]any)
	numbers := make([]int, 0, len(list))
	for _, entry := range list {
		n, err := strconv.Atoi(text(entry))
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}
