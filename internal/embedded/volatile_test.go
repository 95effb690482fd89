//go:build unix

package embedded

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// snapshotHolds says whether the stand-in's file names the key.
func snapshotHolds(dir, key string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "redis", "volatile.jsonl"))
	return err == nil && strings.Contains(string(text), base64.StdEncoding.EncodeToString([]byte(key)))
}

// fill writes one key of every kind that is kept.
func fill(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "string", "\x00\xff\r\n binary", 0)
		p.Set(ctx, "", "the empty key", 0)
		p.Set(ctx, "empty", "", 0)
		p.Set(ctx, "ends in an hour", "x", time.Hour)
		p.HSet(ctx, "hash", "a", "1", "\xfe", "\xff", "empty", "")
		p.Expire(ctx, "hash", 2*time.Hour)
		p.RPush(ctx, "list", "c", "a", "b", "a")
		p.SAdd(ctx, "set", "y", "x")
		p.ZAdd(ctx, "zset",
			redis.Z{Score: math.Inf(-1), Member: "least"}, redis.Z{Score: -2.5, Member: "\xff"},
			redis.Z{Score: 0.1, Member: "tenth"}, redis.Z{Score: 1795305600.123456, Member: "time"},
			redis.Z{Score: 9007199254740993, Member: "big"}, redis.Z{Score: math.Inf(1), Member: "most"})
		for i := range 2500 {
			p.RPush(ctx, "long list", i)
			p.ZAdd(ctx, "long zset", redis.Z{Score: float64(i) / 4, Member: i})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantFilled checks what fill wrote.
func wantFilled(t *testing.T, client *redis.Client) {
	t.Helper()
	ctx := t.Context()
	got := map[string]any{
		"string":    client.Get(ctx, "string").Val(),
		"":          client.Get(ctx, "").Val(),
		"empty":     client.Exists(ctx, "empty").Val(),
		"hour":      client.Get(ctx, "ends in an hour").Val(),
		"hash":      client.HGetAll(ctx, "hash").Val(),
		"list":      client.LRange(ctx, "list", 0, -1).Val(),
		"set":       client.SMembersMap(ctx, "set").Val(),
		"zset":      client.ZRangeWithScores(ctx, "zset", 0, -1).Val(),
		"long list": client.LRange(ctx, "long list", 999, 1001).Val(),
		"long zset": client.ZRangeWithScores(ctx, "long zset", 2499, -1).Val(),
		"keys":      client.DBSize(ctx).Val(),
	}
	want := map[string]any{
		"string": "\x00\xff\r\n binary",
		"":       "the empty key",
		"empty":  int64(1),
		"hour":   "x",
		"hash":   map[string]string{"a": "1", "\xfe": "\xff", "empty": ""},
		"list":   []string{"c", "a", "b", "a"},
		"set":    map[string]struct{}{"x": {}, "y": {}},
		"zset": []redis.Z{
			{Score: math.Inf(-1), Member: "least"},
			{Score: -2.5, Member: "\xff"},
			{Score: 0.1, Member: "tenth"},
			{Score: 1795305600.123456, Member: "time"},
			{Score: 9007199254740992, Member: "big"},
			{Score: math.Inf(1), Member: "most"},
		},
		"long list": []string{"999", "1000", "1001"},
		"long zset": []redis.Z{{Score: 624.75, Member: "2499"}},
		"keys":      int64(10),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was kept (-want +got):\n%s", diff)
	}
	for key, most := range map[string]time.Duration{"ends in an hour": time.Hour, "hash": 2 * time.Hour} {
		if left := client.PTTL(ctx, key).Val(); left > most || left < most-10*time.Minute {
			t.Errorf("PTTL %q = %v, want a little under %v", key, left, most)
		}
	}
	for _, key := range []string{"string", "list", "zset"} {
		if left := client.PTTL(ctx, key).Val(); left != -1 {
			t.Errorf("PTTL %q = %v, want none", key, left)
		}
	}
}

func TestVolatileKeepsEveryKind(t *testing.T) {
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	if r.Durable() || r.Version() != "miniredis" || r.Err() != nil {
		t.Errorf("Durable, Version, Err = %v, %q, %v, want false, miniredis, nil", r.Durable(), r.Version(), r.Err())
	}
	fill(t, connect(t, r.URL()))
	for range 2 { // what was loaded is written again as it was
		if err := r.Close(); err != nil {
			t.Fatalf("Close() = %v", err)
		}
		r = mustStart(t, Options{Dir: dir, RedisServer: None})
	}
	wantFilled(t, connect(t, r.URL()))
}

func TestVolatileSurvivesKilledOwnerButForItsLastSecond(t *testing.T) {
	dir := t.TempDir()
	o := startOwner(t, dir, ownerServer+"="+None)
	mustSet(t, o.url, "early", "kept")
	eventually(t, "the file holds the key", func() bool { return snapshotHolds(dir, "early") })
	o.kill()
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	wantValue(t, r.URL(), "early", "kept")
}

// Somebody tries Segue out and installs a redis-server afterwards.
func TestServerTakesOverWhatTheVolatileOneHeld(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	fill(t, connect(t, r.URL()))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = mustStart(t, Options{Dir: dir})
	wantFilled(t, connect(t, r.URL()))
	connect(t, r.URL()).Del(t.Context(), "string")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = mustStart(t, Options{Dir: dir})
	if n := connect(t, r.URL()).Exists(t.Context(), "string").Val(); n != 0 {
		t.Error("the take-over happened twice: a deleted key is back")
	}
}

func TestTakeOverThatWasCutShortBeginsAgain(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	fill(t, connect(t, r.URL()))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "redis", "volatile.jsonl")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r = mustStart(t, Options{Dir: dir})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil { // as if the rename had not been reached
		t.Fatal(err)
	}
	r = mustStart(t, Options{Dir: dir})
	wantFilled(t, connect(t, r.URL()))
}

// To begin empty beside an append-only file would forget what was paid for.
func TestVolatileRefusesToHideAServersData(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir, RedisServer: None})
	if fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "holds the data of a redis-server") {
		t.Errorf("Start() = %v, want it refused as invalid", err)
	}
}

// The file of the first version is read for ever.
func TestFirstFormatLoads(t *testing.T) {
	dir := t.TempDir()
	text, err := os.ReadFile("testdata/volatile.v1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "redis"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "redis", "volatile.jsonl"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := mustStart(t, Options{Dir: dir, RedisServer: None})
	client := connect(t, r.URL())
	wantValue(t, r.URL(), "name", "segue")
	if got := client.PExpireTime(t.Context(), "far").Val().Round(time.Minute); got != 4102444800*time.Second {
		t.Errorf("PEXPIRETIME far = %v, want the first of January 2100", got)
	}
	if got, want := client.ZScore(t.Context(), "scores", "half").Val(), 0.5; got != want {
		t.Errorf("ZSCORE = %v, want %v", got, want)
	}
	if n := client.Exists(t.Context(), "ended").Val(); n != 0 {
		t.Error("a key whose time was over came back")
	}
}

func TestDamagedFileIsRefusedAndKept(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"cut":           `{"format":"segue-redis-1","keys":2}` + "\n" + `{"key":"YQ==","kind":"string","values":["YQ=="]}` + "\n",
		"cut in a line": `{"format":"segue-redis-1","keys":1}` + "\n" + `{"key":"YQ==","kind":"str`,
		"of the future": `{"format":"segue-redis-2","keys":0}` + "\n",
		"not ours":      "REDIS0011\xfa",
		"unknown kind":  `{"format":"segue-redis-1","keys":1}` + "\n" + `{"key":"YQ==","kind":"stream","values":["YQ=="]}` + "\n",
		"no value":      `{"format":"segue-redis-1","keys":1}` + "\n" + `{"key":"YQ==","kind":"list","values":[]}` + "\n",
		"two strings":   `{"format":"segue-redis-1","keys":1}` + "\n" + `{"key":"YQ==","kind":"string","values":["YQ==","YQ=="]}` + "\n",
		"half a pair":   `{"format":"segue-redis-1","keys":1}` + "\n" + `{"key":"YQ==","kind":"hash","values":["YQ=="]}` + "\n",
		"no score":      `{"format":"segue-redis-1","keys":1}` + "\n" + `{"key":"YQ==","kind":"zset","values":["YQ==","YQ=="]}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "redis", "volatile.jsonl")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Start(t.Context(), Options{Dir: dir, RedisServer: None}); fault.CodeOf(err) != fault.Malformed {
				t.Errorf("Start() = %v, want malformed", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != text {
				t.Errorf("the file is now %q, %v, want it untouched", after, err)
			}
		})
	}
}

func TestTimeToLiveFollowsTheTimeOfDay(t *testing.T) {
	v := &volatile{mini: miniredis.NewMiniRedis()}
	for key, ttl := range map[string]time.Duration{"short": 9 * time.Second, "long": time.Hour} {
		if err := v.mini.Set(key, "x"); err != nil {
			t.Fatal(err)
		}
		v.mini.SetTTL(key, ttl)
	}
	v.lastTick = wallClock().Add(-10 * time.Second) // a laptop that was asleep
	for range 3 {
		v.tick() // takes away only what has passed since the one before
	}
	if v.mini.Exists("short") {
		t.Error("a key of 9 s lives after 10 s")
	}
	left := v.mini.TTL("long")
	if left > 59*time.Minute+50*time.Second || left < 59*time.Minute+45*time.Second {
		t.Errorf("TTL of an hour after 10 s = %v, want 59m50s", left)
	}
	v.lastTick = wallClock().Add(time.Hour) // a clock that was set back
	v.tick()
	if got := v.mini.TTL("long"); got != left {
		t.Errorf("TTL after the clock was set back = %v, want %v as before", got, left)
	}
}

func TestVolatileCountsTimeDown(t *testing.T) {
	r := mustStart(t, Options{Dir: t.TempDir(), RedisServer: None})
	client := connect(t, r.URL())
	if err := client.Set(t.Context(), "lease", "x", 50*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the key's end", func() bool { return client.Exists(t.Context(), "lease").Val() == 0 })
}

func TestUnchangedStateIsNotWrittenAgain(t *testing.T) {
	f := newSnapshotFile(home{dir: t.TempDir()})
	state := func(deadline int64, value string) []entry {
		return []entry{{Key: []byte("k"), Kind: "string", Deadline: deadline, Values: [][]byte{[]byte(value)}}}
	}
	steps := []struct {
		name    string
		entries []entry
		written bool
	}{
		{"the first", state(1_000_000, "a"), true},
		{"the same", state(1_000_000, "a"), false},
		{"a deadline within the clock's steps", state(1_001_400, "a"), false},
		{"the same deadline drifting the other way", state(998_600, "a"), false},
		{"another value", state(1_000_000, "b"), true},
		{"a renewed deadline", state(1_030_000, "b"), true},
		{"nothing", nil, true},
	}
	var before os.FileInfo
	for _, s := range steps {
		if err := f.write(s.entries); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(f.path)
		if err != nil {
			t.Fatal(err)
		}
		// A write puts another file in the place.
		if got := before == nil || !os.SameFile(before, after); got != s.written {
			t.Errorf("%s: written %v, want %v", s.name, got, s.written)
		}
		before = after
	}
}

func TestFailureToWriteIsToldOnceAndByClose(t *testing.T) {
	dir := t.TempDir()
	var logged bytes.Buffer
	r, err := Start(t.Context(), Options{Dir: dir, RedisServer: None, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	// A folder in the place of the file to write: fails for root too.
	if err := os.Mkdir(filepath.Join(dir, "redis", "volatile.jsonl.next"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustSet(t, r.URL(), "k", "v")
	if err := r.Close(); fault.CodeOf(err) != fault.Internal || !strings.Contains(err.Error(), "volatile.jsonl.next") {
		t.Errorf("Close() = %v, want internal and the file's name", err)
	}

	logged.Reset()
	v := r.engine.(*volatile)
	v.failing = false
	for _, err := range []error{errors.New("disk full"), errors.New("disk full"), nil, nil} {
		v.report(err)
	}
	if got := strings.Count(logged.String(), "\n"); got != 2 {
		t.Errorf("two failures and two successes made %d log lines, want 2:\n%s", got, &logged)
	}
}

func BenchmarkSave(b *testing.B) {
	for _, keys := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			v := &volatile{mini: miniredis.NewMiniRedis(), file: newSnapshotFile(home{dir: b.TempDir()}), lastTick: wallClock()}
			for i := range keys {
				v.mini.HSet(fmt.Sprintf("asynq:{extend}:t:audio:extend:%d", i), "msg", strings.Repeat("x", 500), "state", "pending")
			}
			for i := 0; b.Loop(); i++ {
				v.mini.HSet("counter", "n", fmt.Sprint(i))
				if err := v.save(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkDump is how long a save keeps commands waiting.
func BenchmarkDump(b *testing.B) {
	for _, keys := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			mini := miniredis.NewMiniRedis()
			for i := range keys {
				mini.HSet(fmt.Sprintf("asynq:{extend}:t:audio:extend:%d", i), "msg", strings.Repeat("x", 500), "state", "pending")
			}
			for b.Loop() {
				if _, err := dump(mini, time.Now()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkTick(b *testing.B) {
	for _, keys := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			v := &volatile{mini: miniredis.NewMiniRedis(), lastTick: wallClock()}
			for i := range keys {
				v.mini.HSet(fmt.Sprintf("asynq:{extend}:t:audio:extend:%d", i), "msg", "x")
			}
			for b.Loop() {
				v.tick()
			}
		})
	}
}
