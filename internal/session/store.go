package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// Store keeps sessions in Redis. It is safe for concurrent use. Its errors are
// faults: not_found, conflict, canceled, invalid, or unavailable when Redis is.
type Store struct {
	rdb      redis.UniversalClient
	replicas atomic.Int32
}

// NewStore returns a store over a client that it does not own.
func NewStore(rdb redis.UniversalClient) *Store { return &Store{rdb: rdb} }

// New is an item to be added. Its Key, when there is one, makes adding it twice
// harmless.
type New struct {
	Key  string
	Item Item
}

// Added is the true answer for one added item.
type Added struct {
	Index int
	// Existed says that the index or the key was taken: nothing was changed.
	Existed bool
}

// Now is Redis's clock.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	now, err := s.rdb.Time(ctx).Result()
	return now, down("session.Now", err)
}

// Reserve gives the session id that a producer's key stands for: fresh when the
// key is new, the one of the first caller otherwise. A key is never forgotten
// while its session is kept.
func (s *Store) Reserve(ctx context.Context, key, fresh string) (string, error) {
	const op = "session.Reserve"
	err := s.rdb.SetArgs(ctx, keyOfProducer(key), fresh, redis.SetArgs{Mode: "NX"}).Err()
	if err == nil {
		return fresh, nil
	}
	if !errors.Is(err, redis.Nil) {
		return "", down(op, err)
	}
	id, err := s.rdb.Get(ctx, keyOfProducer(key)).Result()
	return id, down(op, err)
}

// Bound gives the account of the session that a producer's key stands for; empty when
// there is none.
func (s *Store) Bound(ctx context.Context, key string) (string, error) {
	id, err := s.rdb.Get(ctx, keyOfProducer(key)).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	if err != nil {
		return "", down("session.Bound", err)
	}
	current, err := s.Session(ctx, id)
	if fault.CodeOf(err) == fault.NotFound {
		return "", nil // its submission was cut off before it began
	}
	if err != nil {
		return "", err
	}
	return current.Account, nil
}

// Create writes a session. One that exists is left as it is, and its spec is
// returned with created false; a different digest under the same id is a
// conflict. Until it is sealed, or unless ready is said, nothing works on it.
func (s *Store) Create(ctx context.Context, spec Spec, ready bool) (kept Spec, created bool, err error) {
	const op = "session.Create"
	now, err := s.Now(ctx)
	if err != nil {
		return Spec{}, false, err
	}
	spec.Created = now.UnixMilli()
	// The indexes first: a pointer to nothing is harmless, a session that nobody
	// can find is not.
	member := redis.Z{Score: float64(spec.Created), Member: spec.ID}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAddNX(ctx, keySessions, member)
		p.ZAddNX(ctx, keyOpen, member)
		return nil
	})
	if err != nil {
		return Spec{}, false, down(op, err)
	}
	body, err := json.Marshal(spec)
	if err != nil {
		return Spec{}, false, fault.New(fault.Internal, op, err)
	}
	answer, err := createScript.Run(ctx, s.rdb, keysOf(spec.ID), body, flag(ready)).Slice()
	if err != nil {
		return Spec{}, false, down(op, err)
	}
	if err := json.Unmarshal([]byte(text(answer[1])), &kept); err != nil {
		return Spec{}, false, fault.New(fault.Malformed, op, err)
	}
	if kept.Digest != spec.Digest {
		return kept, false, fault.New(fault.Conflict, op, fmt.Errorf("session %s was submitted with other contents", spec.ID))
	}
	return kept, text(answer[0]) == "1", nil
}

// Add writes items: at the given index and those that follow it, or behind the
// last one when at is negative. look is when the sweep should look at them.
func (s *Store) Add(ctx context.Context, id string, at int, items []New, look time.Duration) ([]Added, error) {
	const op = "session.Add"
	args := make([]any, 0, 2+3*len(items))
	args = append(args, "", look.Milliseconds())
	if at >= 0 {
		args[0] = at
	}
	for n := range items {
		body, err := encode(&items[n].Item)
		if err != nil {
			return nil, fault.New(fault.Internal, op, err)
		}
		args = append(args, items[n].Key, items[n].Item.Label(), body)
	}
	answer, err := addScript.Run(ctx, s.rdb, keysOf(id), args...).Slice()
	if err != nil {
		return nil, down(op, err)
	}
	if err := refusal(op, id, text(answer[0])); err != nil {
		return nil, err
	}
	added := make([]Added, len(items))
	for n := range items {
		index, err := strconv.Atoi(text(answer[n+1]))
		if err != nil {
			return nil, fault.New(fault.Malformed, op, err)
		}
		if added[n] = (Added{Index: index}); index < 0 {
			added[n] = Added{Index: -index - 1, Existed: true}
		}
	}
	return added, nil
}

// Seal says that no more items will come and that they may be worked on. The
// answer is the number of the completion that sealing brought about, or 0.
func (s *Store) Seal(ctx context.Context, id string) (completion int, err error) {
	return s.ending(ctx, "session.Seal", sealScript, id)
}

// Begin says that the items of an open session may be worked on: all that its
// submission holds are in.
func (s *Store) Begin(ctx context.Context, id string) error {
	return down("session.Begin", s.rdb.HSet(ctx, keySession(id), "ready", 1).Err())
}

// Cancel seals the session and forbids every further claim, in one write.
// Queued items count as canceled from then on; EndCanceled writes them so.
func (s *Store) Cancel(ctx context.Context, id string) (completion int, err error) {
	return s.ending(ctx, "session.Cancel", cancelScript, id)
}

func (s *Store) ending(ctx context.Context, op string, script *redis.Script, id string) (int, error) {
	answer, err := script.Run(ctx, s.rdb, keysOf(id)).Slice()
	if err != nil {
		return 0, down(op, err)
	}
	if err := refusal(op, id, text(answer[0])); err != nil {
		return 0, err
	}
	return strconv.Atoi(text(answer[1]))
}

// SetBudget changes what a session may spend.
func (s *Store) SetBudget(ctx context.Context, id string, credits float64) error {
	return down("session.SetBudget", s.rdb.HSet(ctx, keySession(id), "budget", strconv.FormatFloat(credits, 'f', -1, 64)).Err())
}

// SetPriority changes how large a share a session has of what its account may do.
func (s *Store) SetPriority(ctx context.Context, id string, p Priority) error {
	return down("session.SetPriority", s.rdb.HSet(ctx, keySession(id), "priority", string(p)).Err())
}

// Reopen lets the items of a canceled session be claimed again.
func (s *Store) Reopen(ctx context.Context, spec *Spec) error {
	if err := s.Owe(ctx, spec.ID); err != nil {
		return err
	}
	return down("session.Reopen", s.rdb.HDel(ctx, keySession(spec.ID), "canceled").Err())
}

// Work is one item with what a handler must know of its session, as of Now.
type Work struct {
	Session Session
	Item    Item
	Now     time.Time
}

// Load reads an item and its session in one round trip. The session's counts
// are not read.
func (s *Store) Load(ctx context.Context, id string, index int) (*Work, error) {
	const op = "session.Load"
	if !ValidID(id) {
		return nil, missing(op, id)
	}
	pipe := s.rdb.Pipeline()
	stored := pipe.HGet(ctx, keyItems(id), strconv.Itoa(index))
	fields := pipe.HMGet(ctx, keySession(id), sessionFields...)
	now := pipe.Time(ctx)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, down(op, err)
	}
	if errors.Is(stored.Err(), redis.Nil) {
		return nil, missing(op, ItemID(id, index))
	}
	work := &Work{Now: now.Val()}
	if err := decodeSession(&work.Session, fields.Val()); err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	if err := decode(&work.Item, id, index, stored.Val()); err != nil {
		return nil, fault.New(fault.Malformed, op, err)
	}
	return work, nil
}

// Written is what a write brought about.
type Written struct {
	// Completion is the number of the completion that it was, or 0.
	Completion int
}

// Write stores an item by compare-and-set on its epoch, which it raises. look is
// when the sweep should look at it; an ended or held item is never looked at.
// A lost race is a conflict: load again and decide again.
func (s *Store) Write(ctx context.Context, it *Item, look time.Duration) (Written, error) {
	return s.write(ctx, s.rdb, it, look, false)
}

// WriteClaim is Write for a transition that claims a step. It is refused with
// canceled when the session was canceled before it. A claim to a paid step is
// confirmed by as many replicas as [Store.Replicate] demands: unavailable with
// [ErrUnconfirmed] means that it was written, and that too few have it.
func (s *Store) WriteClaim(ctx context.Context, it *Item, look time.Duration) error {
	replicas := int(s.replicas.Load())
	if it.State != Sending || replicas == 0 {
		_, err := s.write(ctx, s.rdb, it, look, true)
		return err
	}
	conn, err := s.connOf(ctx, it.Session)
	if err != nil {
		return down("session.WriteClaim", err)
	}
	defer func() { _ = conn.Close() }() // it goes back to its pool
	if _, err := s.write(ctx, conn, it, look, true); err != nil {
		return err
	}
	confirmed, err := conn.Wait(ctx, replicas, replicaPatience).Result()
	switch {
	case err != nil:
		return down("session.WriteClaim", fmt.Errorf("%w: %w", ErrUnconfirmed, err))
	case int(confirmed) < replicas:
		return down("session.WriteClaim", fmt.Errorf("%w: %d of %d replicas have it after %s", ErrUnconfirmed, confirmed, replicas, replicaPatience))
	}
	return nil
}

// ErrUnconfirmed says that an intent is in Redis, and might be forgotten when a
// replica takes over.
var ErrUnconfirmed = errors.New("the intent is not confirmed")

// replicaPatience is how long replicas may take to confirm an intent.
const replicaPatience = time.Second

// Replicate sets how many replicas must have an intent before its request leaves.
func (s *Store) Replicate(replicas int) { s.replicas.Store(int32(min(max(replicas, 0), 100))) }

// connOf is one connection to the node that holds a session: WAIT speaks of the
// writes of its own connection.
func (s *Store) connOf(ctx context.Context, id string) (*redis.Conn, error) {
	switch client := s.rdb.(type) {
	case *redis.Client:
		return client.Conn(), nil
	case *redis.ClusterClient:
		node, err := client.MasterForKey(ctx, keySession(id))
		if err != nil {
			return nil, err
		}
		return node.Conn(), nil
	}
	return nil, fmt.Errorf("a %T cannot wait for replicas", s.rdb)
}

func (s *Store) write(ctx context.Context, rdb redis.Scripter, it *Item, look time.Duration, claim bool) (Written, error) {
	const op = "session.Write"
	body, err := encode(it)
	if err != nil {
		return Written{}, fault.New(fault.Internal, op, err)
	}
	due, result := any(look.Milliseconds()), ""
	if it.State.Ended() || it.State == Held {
		due = ""
	}
	waits := it.Backlog && it.State == Queued
	if it.State.Ended() {
		if result, err = encodeResult(it); err != nil {
			return Written{}, fault.New(fault.Internal, op, err)
		}
	}
	answer, err := writeScript.Run(ctx, rdb, keysOf(it.Session), it.Index, it.Epoch, it.Label(), body, due, result, flag(claim), flag(waits)).Slice()
	if err != nil {
		return Written{}, down(op, err)
	}
	if text(answer[0]) == "conflict" && ours(it, text(answer[1]), body) {
		return Written{}, nil
	}
	if err := refusal(op, it.ID(), text(answer[0])); err != nil {
		return Written{}, err
	}
	completion, err := s.written(it, answer)
	if err != nil {
		return Written{}, fault.New(fault.Malformed, op, err)
	}
	return Written{Completion: completion}, nil
}

// ours says that what stands in Redis is this very write: it was made, its reply was
// lost, and the client sent it a second time. A completion that it brought about is
// in the outbox, where the sweep finds it.
func ours(it *Item, stored string, body []byte) bool {
	var there Item
	parts := strings.SplitN(stored, "|", 4)
	if len(parts) != 4 || parts[1] != it.Label() || parts[3] != string(body) {
		return false
	}
	if decode(&there, it.Session, it.Index, stored) != nil || there.Epoch != it.Epoch+1 {
		return false
	}
	it.Epoch, it.Updated = there.Epoch, there.Updated
	return true
}

func (s *Store) written(it *Item, answer []any) (completion int, err error) {
	var numbers [3]int64
	for n := range numbers {
		if numbers[n], err = strconv.ParseInt(text(answer[n+1]), 10, 64); err != nil {
			return 0, err
		}
	}
	it.Epoch, it.Updated = numbers[0], time.UnixMilli(numbers[1])
	return int(numbers[2]), nil
}

// Update loads an item, applies change, and writes it, again and again until no
// other write came between. change sees the item as it is and may refuse.
func (s *Store) Update(ctx context.Context, id string, index int, look time.Duration, change func(*Work) error) (*Work, Written, error) {
	for {
		work, err := s.Load(ctx, id, index)
		if err != nil {
			return nil, Written{}, err
		}
		if err := change(work); err != nil {
			return work, Written{}, err
		}
		written, err := s.Write(ctx, &work.Item, look)
		if fault.CodeOf(err) == fault.Conflict {
			continue
		}
		return work, written, err
	}
}

// Defer says when the sweep should look at items that it looks at anyway. It
// answers what was reported of the first of them; nil when nothing was.
func (s *Store) Defer(ctx context.Context, id string, look time.Duration, indexes ...int) (*Report, error) {
	const op = "session.Defer"
	args := make([]any, 0, 1+len(indexes))
	args = append(args, look.Milliseconds())
	for _, index := range indexes {
		args = append(args, index)
	}
	entry, err := deferScript.Run(ctx, s.rdb, keysOf(id), args...).Text()
	if err != nil {
		return nil, down(op, err)
	}
	return decodeReport(op, entry)
}

// SetRemote records the provider's own session id. The first one stays: the
// answer is the one to use, whoever set it.
func (s *Store) SetRemote(ctx context.Context, id, remote string) (string, error) {
	kept, err := remoteScript.Run(ctx, s.rdb, keysOf(id), remote).Text()
	return kept, down("session.SetRemote", err)
}

// Settle records that everything that follows a completion was done. Exactly one
// caller per completion is told that it was first.
func (s *Store) Settle(ctx context.Context, id string, completion int) (first bool, err error) {
	const op = "session.Settle"
	answer, err := settleScript.Run(ctx, s.rdb, keysOf(id), completion).Slice()
	if err != nil {
		return false, down(op, err)
	}
	return text(answer[0]) == "1", nil
}

// Owes says whether what follows a completion has yet to be done.
func (s *Store) Owes(ctx context.Context, id string, completion int) (bool, error) {
	owed, err := s.rdb.HExists(ctx, keyOutbox(id), strconv.Itoa(completion)).Result()
	return owed, down("session.Owes", err)
}

// missing is the fault of naming what is not there.
func missing(op, id string) error {
	return fault.New(fault.NotFound, op, fmt.Errorf("there is no %s", id))
}

// refusal turns a script's word into a fault; "ok" is none.
func refusal(op, id, word string) error {
	switch word {
	case "ok":
		return nil
	case "missing":
		return missing(op, id)
	case "canceled":
		return fault.New(fault.Canceled, op, errors.New("the session was canceled"))
	case "sealed":
		return fault.New(fault.Conflict, op, errors.New("the session is sealed: no more items can be added"))
	case "conflict":
		return fault.New(fault.Conflict, op, fmt.Errorf("%s was written by somebody else meanwhile", id))
	}
	return fault.New(fault.Malformed, op, fmt.Errorf("script answered %q", word))
}

// down classifies what Redis, or the way to it, said.
func down(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Canceled, op, err)
	case errors.Is(err, redis.Nil):
		return fault.New(fault.NotFound, op, err)
	}
	return fault.New(fault.Unavailable, op, err)
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return ""
}

// text reads a script's answer, which is a string or an integer.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return fmt.Sprint(v)
}

// encode writes the part of an item that is not in its header.
func encode(it *Item) ([]byte, error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	err := enc.Encode(it)
	return bytes.TrimRight(body.Bytes(), "\n"), err
}

// decode reads epoch|label|updated|JSON.
func decode(it *Item, id string, index int, stored string) error {
	parts := strings.SplitN(stored, "|", 4)
	if len(parts) != 4 {
		return fmt.Errorf("item %s is stored in an unknown form", ItemID(id, index))
	}
	epoch, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return err
	}
	updated, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(parts[3]), it); err != nil {
		return err
	}
	it.Session, it.Index, it.Epoch, it.Updated = id, index, epoch, time.UnixMilli(updated)
	return nil
}

// result is what an ended item adds to its session, kept by index.
type result struct {
	Status   State    `json:"status"`
	AudioIDs []string `json:"audioIds,omitempty"`
}

func encodeResult(it *Item) (string, error) {
	body, err := json.Marshal(result{it.State, it.AudioIDs()})
	return string(body), err
}
