package embedded

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// dump copies what the stand-in holds, in an order that depends on the content
// alone. The caller keeps commands out.
func dump(mini *miniredis.Miniredis, now time.Time) ([]entry, error) {
	keys := mini.Keys()
	entries := make([]entry, 0, len(keys))
	for _, key := range keys {
		kind := mini.Type(key)
		values, err := get(mini, key, kind)
		if err != nil {
			return nil, err
		}
		if len(values) == 0 {
			continue // of a kind that is not kept
		}
		e := entry{Key: []byte(key), Kind: kind, Values: make([][]byte, len(values))}
		for i := range values {
			e.Values[i] = []byte(values[i])
		}
		if left := mini.TTL(key); left > 0 {
			e.Deadline = now.Add(left).UnixMilli()
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// get gives a key's values as entry.Values has them.
func get(mini *miniredis.Miniredis, key, kind string) ([]string, error) {
	switch kind {
	case "string":
		value, err := mini.Get(key)
		return []string{value}, err
	case "hash":
		return getHash(mini, key)
	case "list":
		shared, err := mini.List(key)
		mini.Lock()
		defer mini.Unlock()
		return slices.Clone(shared), err
	case "set":
		return mini.Members(key)
	case "zset":
		return getScores(mini, key)
	}
	return nil, nil
}

func getHash(mini *miniredis.Miniredis, key string) ([]string, error) {
	fields, err := mini.HKeys(key)
	pairs := make([]string, 0, 2*len(fields))
	for _, field := range fields {
		pairs = append(pairs, field, mini.HGet(key, field))
	}
	return pairs, err
}

func getScores(mini *miniredis.Miniredis, key string) ([]string, error) {
	shared, err := mini.SortedSet(key)
	if err != nil {
		return nil, err
	}
	// The map is the stand-in's own, and a blocking command may yet change it.
	mini.Lock()
	defer mini.Unlock()
	pairs := make([]string, 0, 2*len(shared))
	for _, member := range slices.Sorted(maps.Keys(shared)) {
		pairs = append(pairs, member, strconv.FormatFloat(shared[member], 'g', -1, 64))
	}
	return pairs, nil
}

// put writes one checked entry.
func put(mini *miniredis.Miniredis, e entry, now time.Time) error {
	key, values := string(e.Key), make([]string, len(e.Values))
	for i := range e.Values {
		values[i] = string(e.Values[i])
	}
	var err error
	switch e.Kind {
	case "string":
		err = mini.Set(key, values[0])
	case "hash":
		mini.HSet(key, values...)
	case "list":
		_, err = mini.Push(key, values...)
	case "set":
		_, err = mini.SAdd(key, values...)
	case "zset":
		err = putScores(mini, key, values)
	}
	if err == nil && e.Deadline != 0 {
		mini.SetTTL(key, time.UnixMilli(e.Deadline).Sub(now))
	}
	return err
}

func putScores(mini *miniredis.Miniredis, key string, values []string) error {
	for pair := range slices.Chunk(values, 2) {
		score, err := strconv.ParseFloat(pair[1], 64)
		if err != nil {
			return err
		}
		if _, err := mini.ZAdd(key, score, pair[0]); err != nil {
			return err
		}
	}
	return nil
}
