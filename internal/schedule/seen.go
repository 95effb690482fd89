package schedule

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// FileKey identifies a file as it is now: one that was changed is another.
func FileKey(path string, size int64, modified time.Time) string {
	return "file\n" + path + "\n" + strconv.FormatInt(size, 10) + "\n" + strconv.FormatInt(modified.UnixNano(), 10)
}

// ObjectKey identifies what a URL (http, https, s3) leads to, as it is now. A URL
// that is signed anew each time must be given without its signature.
func ObjectKey(url, etag string) string { return "object\n" + url + "\n" + etag }

// ContentKey identifies bytes, wherever they are.
func ContentKey(sum [sha256.Size]byte) string { return "content\n" + string(sum[:]) }

// What a schedule has seen is kept in many small hashes, which Redis stores at some
// 20 bytes per source as long as each holds at most 128.
const (
	buckets = 8192
	// batch is how many sources one script looks at.
	batch = 500
)

// digest is where a source is kept: its bucket, and what it is called there. Among a
// million sources the chance that any two are taken for one is 1 in 300 million.
func digest(key string) (bucket int, field string) {
	sum := sha256.Sum256([]byte(key))
	return int(binary.BigEndian.Uint16(sum[:2]) % buckets), string(sum[2:10])
}

// mark stands for a firing, in 6 bytes.
func mark(fire string) string {
	sum := sha256.Sum256([]byte(fire))
	return string(sum[:6])
}

// Fresh says of each source, by its key, whether the schedule still has to carry it,
// and takes those that it has to for the firing: until it marks them or is over, no
// other firing is told that they are fresh, so that two that run at once never carry
// the same. A firing that is repeated after a crash is told the same again, also of
// what it has marked itself. With an empty fire it only answers.
func (s *Store) Fresh(ctx context.Context, name, fire string, keys []string) ([]bool, error) {
	const op = "schedule.Fresh"
	if err := checkNames(op, name, fire, true); err != nil {
		return nil, err
	}
	fresh := make([]bool, 0, len(keys))
	for len(keys) > 0 {
		part := keys[:min(batch, len(keys))]
		keys = keys[len(part):]
		places, args := placesOf(name, part, fire, mark(fire))
		answer, err := freshScript.Run(ctx, s.rdb, append([]string{keyOpen(name)}, places...), args...).Int64Slice()
		if err != nil {
			return nil, down(op, err)
		}
		for _, one := range answer {
			fresh = append(fresh, one == 1)
		}
	}
	return fresh, nil
}

// Mark remembers that a firing carries sources: their session was submitted. No
// firing but this one is told that they are fresh any more. It may be repeated.
func (s *Store) Mark(ctx context.Context, name, fire string, keys []string) error {
	const op = "schedule.Mark"
	if err := checkNames(op, name, fire, false); err != nil {
		return err
	}
	for len(keys) > 0 {
		part := keys[:min(batch, len(keys))]
		keys = keys[len(part):]
		places, args := placesOf(name, part, mark(fire))
		if err := markScript.Run(ctx, s.rdb, places, args...).Err(); err != nil {
			return down(op, err)
		}
	}
	return nil
}

// Carried says of each source, by its key, whether the firing has marked it, or any with
// an empty fire: what a firing that is repeated need not look at again.
func (s *Store) Carried(ctx context.Context, name, fire string, keys []string) ([]bool, error) {
	const op = "schedule.Carried"
	if err := checkNames(op, name, fire, true); err != nil {
		return nil, err
	}
	own, carried := mark(fire), make([]bool, 0, len(keys))
	for len(keys) > 0 {
		part := keys[:min(batch, len(keys))]
		keys = keys[len(part):]
		held := make([]*redis.StringCmd, len(part))
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for n, key := range part {
				bucket, field := digest(key)
				held[n] = pipe.HGet(ctx, keySeen(name, bucket), field)
			}
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, down(op, err)
		}
		for _, one := range held {
			carried = append(carried, one.Val() == own || fire == "" && len(one.Val()) == len(own))
		}
	}
	return carried, nil
}

// placesOf gives the bucket of each source, and the arguments with its name there.
func placesOf(name string, keys []string, first ...any) (places []string, args []any) {
	places = make([]string, 0, len(keys)+1)
	args = append(make([]any, 0, len(keys)+len(first)), first...)
	for _, key := range keys {
		bucket, field := digest(key)
		places = append(places, keySeen(name, bucket))
		args = append(args, field)
	}
	return places, args
}

// Forget makes everything fresh again for a schedule: the next firing carries every
// file of its source.
func (s *Store) Forget(ctx context.Context, name string) error {
	const op = "schedule.Forget"
	if err := checkNames(op, name, "", true); err != nil {
		return err
	}
	for first := 0; first < buckets; first += batch {
		var keys []string
		for bucket := first; bucket < min(first+batch, buckets); bucket++ {
			keys = append(keys, keySeen(name, bucket))
		}
		if err := s.rdb.Unlink(ctx, keys...).Err(); err != nil {
			return down(op, err)
		}
	}
	return nil
}

func checkNames(op, name, fire string, mayBeEmpty bool) error {
	if !nameForm.MatchString(name) {
		return fault.New(fault.NotFound, op, fmt.Errorf("there is no schedule %q", name))
	}
	if !validFire(fire) && (fire != "" || !mayBeEmpty) {
		return fault.New(fault.Invalid, op, fmt.Errorf("%q names no firing", fire))
	}
	return nil
}
