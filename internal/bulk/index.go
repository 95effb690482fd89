package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// The keys. Each lies alone: an entry is read and written by itself.
//
//	segue:result:<key>  string  JSON of an Entry; Request.Key
//	segue:clip:<key>    string  JSON of a ClipEntry; ClipKey
//	segue:uploading:<key> string  the item that is being uploaded; ClipKey
//	segue:content:<key> string  JSON of a Content; digest of an object's address and state
const (
	prefixResult    = "segue:result:"
	prefixClip      = "segue:clip:"
	prefixUploading = "segue:uploading:"
	prefixContent   = "segue:content:"
)

// Entry is a result that was paid for. Fields are only ever added.
type Entry struct {
	// Session and Item are where it was made; Account is who paid.
	Session string `json:"session"`
	Item    string `json:"item"`
	Account string `json:"account,omitempty"`
	// AudioIDs are what the item gave its session: its tracks, or its clip.
	AudioIDs []string `json:"audioIds"`
	// Files are where the archive keeps the tracks, in the order of AudioIDs; empty
	// when nothing was archived.
	Files []string `json:"files,omitempty"`
	// Clip is what the upload ended with.
	Clip *provider.Clip `json:"clip,omitempty"`
	// Credits is what was spent on the item.
	Credits float64 `json:"credits"`
	// At is when it succeeded.
	At time.Time `json:"at,omitzero"`
	// Expires is when the provider deletes its copy; zero when it does not say.
	Expires time.Time `json:"expires,omitzero"`
}

// Archived says that the result does not depend on the provider any more.
func (e *Entry) Archived() bool { return len(e.Files) > 0 }

// Usable says that the result can still be had at a time.
func (e *Entry) Usable(at time.Time) bool {
	return e.Archived() || e.Expires.IsZero() || at.Before(e.Expires)
}

// ClipEntry is audio that lies at an account already. Fields are only ever added.
type ClipEntry struct {
	Clip    provider.Clip `json:"clip"`
	Session string        `json:"session"`
	Item    string        `json:"item"`
	At      time.Time     `json:"at,omitzero"`
	// Lost says that the provider did not find it any more.
	Lost bool `json:"lost,omitempty"`
}

// Usable says that the provider still has the clip at a time.
func (e *ClipEntry) Usable(at time.Time) bool {
	return !e.Lost && (e.Clip.Expires.IsZero() || at.Before(e.Clip.Expires))
}

// Content is what was found out about an object by reading all of it. Fields are
// only ever added.
type Content struct {
	SHA256  string  `json:"sha256"`
	Format  string  `json:"format"`
	Size    int64   `json:"size"`
	Seconds float64 `json:"seconds"`
}

// Index remembers what was paid for. It is safe for concurrent use, by any number
// of processes. Its errors are faults: invalid for keys that are none, malformed for
// entries that cannot be read (which are never taken for missing: that would be paid
// for again), canceled, and unavailable when Redis is.
type Index struct {
	rdb  redis.UniversalClient
	keep time.Duration
}

// NewIndex returns an index over a client that it does not own. Entries are kept
// for the given time after they were written, and forever when it is 0; what only
// the provider has is forgotten when the provider deletes it.
func NewIndex(rdb redis.UniversalClient, keep time.Duration) *Index {
	return &Index{rdb: rdb, keep: keep}
}

// Put remembers a result under its request's key. A later one takes its place.
func (x *Index) Put(ctx context.Context, key string, e Entry) error {
	var until time.Time
	if !e.Archived() {
		until = e.Expires
	}
	return x.put(ctx, "bulk.Index.Put", prefixResult, key, e, until, "")
}

// PutClip remembers a clip under its ClipKey. A later one takes its place.
func (x *Index) PutClip(ctx context.Context, key string, e ClipEntry) error {
	return x.put(ctx, "bulk.Index.PutClip", prefixClip, key, e, e.Clip.Expires, "")
}

// AddClip remembers a clip of which nothing is known under its key, not even that it was
// lost: who says so late does not take the place of who knows better.
func (x *Index) AddClip(ctx context.Context, key string, e ClipEntry) error {
	return x.put(ctx, "bulk.Index.AddClip", prefixClip, key, e, e.Clip.Expires, "NX")
}

// lostFor is how long it is remembered that a clip was lost: longer than any session
// lasts that may still speak of it.
const lostFor = 60 * 24 * time.Hour

// LoseClip notes that the provider has a key's clip no more, if it is still the one that
// an item uploaded.
func (x *Index) LoseClip(ctx context.Context, key, item string) error {
	const op = "bulk.Index.LoseClip"
	if err := checkKeys(op, key); err != nil {
		return err
	}
	text, err := x.rdb.Get(ctx, prefixClip+key).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return nil
	case err != nil:
		return broken(ctx, op, err)
	}
	var entry ClipEntry
	if err := json.Unmarshal([]byte(text), &entry); err != nil {
		return fault.Uncharged(fault.Malformed, op, fmt.Errorf("%s%s: %w", prefixClip, key, err))
	}
	if entry.Item != item || entry.Lost {
		return nil
	}
	entry.Lost = true
	lost, err := json.Marshal(entry)
	if err != nil {
		return fault.Uncharged(fault.Invalid, op, err)
	}
	if err := replaceScript.Run(ctx, x.rdb, []string{prefixClip + key}, text, lost, lostFor.Milliseconds()).Err(); err != nil {
		return broken(ctx, op, err)
	}
	return nil
}

// replaceScript puts another text in the place of one that is still there.
var replaceScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return 0
`)

// Get finds results by their keys; what there is none of is not in the answer. All
// are asked for at once: some hundred keys are a good number.
func (x *Index) Get(ctx context.Context, keys ...string) (map[string]Entry, error) {
	return get[Entry](ctx, x.rdb, "bulk.Index.Get", prefixResult, keys)
}

// Clips finds clips by their keys, as Get does results.
func (x *Index) Clips(ctx context.Context, keys ...string) (map[string]ClipEntry, error) {
	return get[ClipEntry](ctx, x.rdb, "bulk.Index.Clips", prefixClip, keys)
}

// Begin announces that an item is about to become the clip of a key, for as long as the
// lease, anew where it said so before. It gives the other item that was announced and is
// not over, or nothing.
func (x *Index) Begin(ctx context.Context, key, item string, lease time.Duration) (other string, err error) {
	const op = "bulk.Index.Begin"
	if err := checkKeys(op, key); err != nil {
		return "", err
	}
	other, err = beginScript.Run(ctx, x.rdb, []string{prefixUploading + key}, item, lease.Milliseconds()).Text()
	if err != nil {
		return "", broken(ctx, op, err)
	}
	return other, nil
}

var beginScript = redis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return holder
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ''
`)

// End takes an item's announcement back: its upload is over, or is not about to be.
func (x *Index) End(ctx context.Context, key, item string) error {
	const op = "bulk.Index.End"
	if err := checkKeys(op, key); err != nil {
		return err
	}
	if err := endScript.Run(ctx, x.rdb, []string{prefixUploading + key}, item).Err(); err != nil {
		return broken(ctx, op, err)
	}
	return nil
}

var endScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
`)

// Learn remembers what an object holds in the state that an ETag stands for, so that
// it need not be read again to be recognised. An object without an ETag has no state
// that could be named: nothing is remembered of it.
func (x *Index) Learn(ctx context.Context, address, etag string, c Content) error {
	if etag == "" {
		return nil
	}
	return x.put(ctx, "bulk.Index.Learn", prefixContent, contentKey(address, etag), c, time.Time{}, "")
}

// Recall is what Learn was told of an object in this state; ok is false when it was
// told nothing.
func (x *Index) Recall(ctx context.Context, address, etag string) (c Content, ok bool, err error) {
	if etag == "" {
		return Content{}, false, nil
	}
	key := contentKey(address, etag)
	found, err := get[Content](ctx, x.rdb, "bulk.Index.Recall", prefixContent, []string{key})
	c, ok = found[key]
	return c, ok, err
}

// contentKey is a digest: an address may be longer than a key should be, and is
// nobody's business.
func contentKey(address, etag string) string { return digest([]byte(address + "\x00" + etag)) }

// put writes one entry; until is when it is of no use any more.
// mode is Redis's own: NX leaves what is there.
func (x *Index) put(ctx context.Context, op, prefix, key string, entry any, until time.Time, mode string) error {
	if err := checkKeys(op, key); err != nil {
		return err
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return fault.Uncharged(fault.Invalid, op, err)
	}
	args := redis.SetArgs{TTL: x.keep, Mode: mode}
	if !until.IsZero() {
		// Whoever keeps less than the provider is not asked to keep more.
		if left := time.Until(until); x.keep == 0 || left < x.keep {
			args = redis.SetArgs{ExpireAt: until, Mode: mode}
		}
	}
	if err := x.rdb.SetArgs(ctx, prefix+key, text, args).Err(); err != nil && !errors.Is(err, redis.Nil) {
		return broken(ctx, op, err)
	}
	return nil
}

// get reads entries in one round trip, or one for each node of a cluster.
func get[E any](ctx context.Context, rdb redis.UniversalClient, op, prefix string, keys []string) (map[string]E, error) {
	if err := checkKeys(op, keys...); err != nil || len(keys) == 0 {
		return nil, err
	}
	answers := make([]*redis.StringCmd, len(keys))
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for n, key := range keys {
			answers[n] = p.Get(ctx, prefix+key)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, broken(ctx, op, err)
	}
	found := make(map[string]E, len(keys))
	for n, answer := range answers {
		text, err := answer.Bytes()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, broken(ctx, op, err)
		}
		var entry E
		if err := json.Unmarshal(text, &entry); err != nil {
			return nil, fault.Uncharged(fault.Malformed, op, fmt.Errorf("%s%s: %w", prefix, keys[n], err))
		}
		found[keys[n]] = entry
	}
	return found, nil
}

// checkKeys lets only keys of ours become part of a Redis key.
func checkKeys(op string, keys ...string) error {
	for _, key := range keys {
		if !sumForm.MatchString(key) {
			return fault.Uncharged(fault.Invalid, op, fmt.Errorf("%.80q is no key of the index", key))
		}
	}
	return nil
}

// broken classifies what Redis or the way to it failed with.
func broken(ctx context.Context, op string, err error) error {
	if ctx.Err() != nil {
		return fault.Uncharged(fault.CodeOf(ctx.Err()), op, ctx.Err())
	}
	return fault.Uncharged(fault.Unavailable, op, err)
}
