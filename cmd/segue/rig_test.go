package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/simulator"
)

// rig is what one script works against.
type rig struct {
	sim     *simulator.Simulator
	handler http.Handler
	address string
	server  *http.Server
	redis   *databases
	rdb     *redis.Client
	web     *web
}

// databases hands out the numbered databases of one redis-server.
type databases struct {
	url  string // empty where redis-server is not installed
	next atomic.Int64
}

func newDatabases(t *testing.T) *databases {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil && os.Getenv("CI") != "true" {
		return &databases{}
	}
	url, _ := redistest.Server(t)
	return &databases{url: strings.TrimSuffix(url, "?db=0")}
}

const rigKey = "rig"

func rigOf(ts *testscript.TestScript, neg bool) *rig {
	if neg {
		ts.Fatalf("this command cannot be negated")
	}
	return ts.Value(rigKey).(*rig)
}

// providersYAML is the configuration that every script finds in its home.
const providersYAML = `
providers:
  # What the scripts use: the simulated provider needs no durable Redis.
  studio:
    driver: sim
    base_url: http://%[1]s/mountsea
    poll: {min: 100ms, max: 300ms}
    evidence: {horizon: 200ms}
    accounts:
      main: {api_key_env: STUDIO_KEY}
  gallery:
    driver: sim
    base_url: http://%[1]s/mountsea
    accounts:
      other: {api_key_env: WRONG_KEY}
  real:
    driver: mountsea
    base_url: http://%[1]s/mountsea
    credits_url: http://%[1]s/mountsea-credits
    accounts:
      main: {api_key_env: WRONG_KEY}
      keyless: {api_key_env: NO_SUCH_KEY}
security: {allow_private_hosts: ["%[1]s"]}
`

// secretKey is the key that must not appear anywhere.
const secretKey = "sk-never-to-be-seen-4711"

// setUp gives a script its simulator, its configuration, a home, two songs, and an
// album of five.
func setUp(env *testscript.Env, dbs *databases) error {
	sim, err := simulator.New(simulator.Options{
		Seed: 1, TrackScale: 0.05, PollAdvice: time.Millisecond, FaultDelay: time.Millisecond,
		UploadTime: simulator.Timing{Mean: 20 * time.Millisecond}, ExtendTime: simulator.Timing{Mean: 40 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", sim.Handler())
	// Songs on the web, as somebody else's server has them.
	mux.Handle("/web/", http.StripPrefix("/web/", http.FileServer(http.Dir(filepath.Join(env.WorkDir, "songs")))))
	songs := &web{dir: filepath.Join(env.WorkDir, "songs")}
	for _, kind := range []string{"/tagged/", "/weak/", "/plain/", "/moved/"} {
		mux.Handle(kind, songs)
	}
	r := &rig{sim: sim, handler: mux, redis: dbs, web: songs}
	if err := r.start(); err != nil {
		return err
	}
	env.Defer(func() {
		if err := r.close(); err != nil {
			env.T().Fatal(err)
		}
	})
	env.Values[rigKey] = r
	home := filepath.Join(env.WorkDir, "home")
	for name, value := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, "conf"), "XDG_STATE_HOME": filepath.Join(home, "state"),
		"SIM": "http://" + r.address, "STUDIO_KEY": secretKey, "WRONG_KEY": "wrong-" + secretKey,
	} {
		env.Setenv(name, value)
	}
	for _, song := range samples.Files() {
		if err := place(filepath.Join(env.WorkDir, "album", song.Name), song.Data); err != nil {
			return err
		}
	}
	return errors.Join(
		place(filepath.Join(home, "conf", "segue", "segue.yaml"), fmt.Appendf(nil, providersYAML, r.address)),
		place(filepath.Join(env.WorkDir, "songs", "tape.mp3"), samples.Files()[0].Data),
		place(filepath.Join(env.WorkDir, "songs", "box.wav"), samples.Files()[1].Data),
	)
}

func place(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// start listens, where it did before if it did before.
func (r *rig) start() error {
	address := r.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	r.address, r.server = l.Addr().String(), &http.Server{Handler: r.handler}
	go func(server *http.Server) { _ = server.Serve(l) }(r.server) // ends with stop
	return nil
}

func (r *rig) stop() error { return r.server.Close() }

func (r *rig) close() error {
	err := errors.Join(r.stop(), r.sim.Close())
	if r.rdb != nil {
		err = errors.Join(err, r.rdb.Close())
	}
	return err
}

// useRedis gives the script a database of its own.
func useRedis(ts *testscript.TestScript, neg bool, _ []string) {
	r := rigOf(ts, neg)
	n := r.redis.next.Add(1)
	if r.redis.url == "" || n > 15 {
		ts.Fatalf("no redis-server, or no database is left (%d)", n)
	}
	url := fmt.Sprintf("%s?db=%d", r.redis.url, n)
	o, err := redis.ParseURL(url)
	ts.Check(err)
	r.rdb = redis.NewClient(o)
	ts.Setenv("SEGUE_REDIS_URL", url)
}

// forget deletes every key that matches a pattern, and ends the script when none does.
func forget(ts *testscript.TestScript, neg bool, args []string) {
	r := rigOf(ts, neg)
	want(ts, len(args) == 1 && r.rdb != nil, "redis, then forget PATTERN")
	ctx := context.Background()
	gone := 0
	keys := r.rdb.Scan(ctx, 0, args[0], 1000).Iterator()
	for keys.Next(ctx) {
		ts.Check(r.rdb.Del(ctx, keys.Val()).Err())
		gone++
	}
	ts.Check(keys.Err())
	if gone == 0 {
		ts.Fatalf("no key matches %s", args[0])
	}
}

// dumpRedis writes every key and value of the script's database.
func dumpRedis(ts *testscript.TestScript, neg bool, args []string) {
	r := rigOf(ts, neg)
	want(ts, len(args) == 1 && r.rdb != nil, "redis, then dumpredis FILE")
	ctx := context.Background()
	var all []any
	keys := r.rdb.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		value, err := valueOf(ctx, r.rdb, keys.Val())
		ts.Check(err)
		all = append(all, keys.Val(), value)
	}
	ts.Check(keys.Err())
	if len(all) == 0 {
		ts.Fatalf("redis is empty")
	}
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, entry := range all {
		_, err = fmt.Fprintf(file, "%+v\n", entry)
		ts.Check(err)
	}
	ts.Check(file.Close())
}

// valueOf reads a key of any type.
func valueOf(ctx context.Context, rdb *redis.Client, key string) (any, error) {
	kind, err := rdb.Type(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "string":
		return rdb.Get(ctx, key).Result()
	case "hash":
		return rdb.HGetAll(ctx, key).Result()
	case "list":
		return rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		return rdb.SMembers(ctx, key).Result()
	case "zset":
		return rdb.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "stream":
		return rdb.XRange(ctx, key, "-", "+").Result()
	case "none":
		return "expired meanwhile", nil
	}
	return nil, fmt.Errorf("key %s has type %s", key, kind)
}

// extension is the operation that extends a file.
func (r *rig) extension(ts *testscript.TestScript, file string) string {
	sum := sha256.Sum256([]byte(ts.ReadFile(file)))
	for _, c := range r.sim.Charges() {
		if c.Endpoint == "mountsea.generate" && c.AudioSHA256 == hex.EncodeToString(sum[:]) {
			return c.OperationID
		}
	}
	ts.Fatalf("nothing extends %s", file)
	return ""
}

// account is the one that the script's key belongs to.
func (r *rig) account(ts *testscript.TestScript) string {
	charges := r.sim.Charges()
	if len(charges) == 0 {
		ts.Fatalf("nothing was charged yet: the simulator knows no account")
	}
	return charges[0].Account
}

// uploads are the addresses that audio was fetched from.
func (r *rig) uploads(ts *testscript.TestScript) []string {
	var urls []string
	for _, c := range r.sim.Charges() {
		if c.AudioURL != "" {
			urls = append(urls, c.AudioURL)
		}
	}
	if len(urls) == 0 {
		ts.Fatalf("nothing was uploaded")
	}
	return urls
}

// tokenOf is the unguessable part of a staged file's address: its longest.
func tokenOf(ts *testscript.TestScript, urls []string) string {
	longest := ""
	for part := range strings.SplitSeq(urls[len(urls)-1], "/") {
		if len(part) > len(longest) {
			longest = part
		}
	}
	if len(longest) < 22 {
		ts.Fatalf("no secret in the address of an upload")
	}
	return longest
}

// sessionJSON is the object of interface.md, and what was added to it: step.
type sessionJSON struct {
	SessionID    string         `json:"sessionId"`
	Name         string         `json:"name"`
	Provider     string         `json:"provider"`
	Account      string         `json:"account"`
	Status       string         `json:"status"`
	Counts       map[string]int `json:"counts"`
	AudioIDs     []string       `json:"audioIds"`
	CreditsSpent float64        `json:"creditsSpent"`
	Items        []itemJSON     `json:"items"`
	// Reused is there only when something was left out.
	Reused []reusedJSON `json:"reused"`
}

type reusedJSON struct {
	Index     int      `json:"index"`
	Source    string   `json:"source"`
	SHA256    string   `json:"sha256"`
	Outcome   string   `json:"outcome"`
	SameAs    string   `json:"sameAs"`
	SessionID string   `json:"sessionId"`
	ItemID    string   `json:"itemId"`
	AudioIDs  []string `json:"audioIds"`
	Files     []string `json:"files"`
	Expires   string   `json:"expires"`
}

type itemJSON struct {
	ItemID          string      `json:"itemId"`
	Index           int         `json:"index"`
	Source          string      `json:"source"`
	SHA256          string      `json:"sha256"`
	DurationSeconds float64     `json:"durationSeconds"`
	Status          string      `json:"status"`
	Step            string      `json:"step"`
	ClipID          string      `json:"clipId"`
	ClipOf          string      `json:"clipOf"` // only where another item was uploaded
	OperationIDs    []string    `json:"operationIds"`
	AudioIDs        []string    `json:"audioIds"`
	Tracks          []trackJSON `json:"tracks"`
	Credits         float64     `json:"credits"`
	Error           *errorJSON  `json:"error"`
}

type trackJSON struct {
	AudioID         string  `json:"audioId"`
	AudioURL        string  `json:"audioUrl"`
	DurationSeconds float64 `json:"durationSeconds"`
	Title           string  `json:"title"`
	File            string  `json:"file"`
}

type errorJSON struct {
	Code   string `json:"code"`
	Step   string `json:"step"`
	Reason string `json:"reason"`
	Charge string `json:"charge"`
}

// The keys that interface.md shows, which must always be there.
var (
	sessionKeys = []string{"sessionId", "name", "provider", "account", "status", "counts", "audioIds", "creditsSpent", "items"}
	countKeys   = []string{"total", "succeeded", "failed", "held", "canceled", "waiting"}
	itemKeys    = []string{
		"itemId", "index", "source", "sha256", "durationSeconds", "status", "clipId",
		"operationIds", "audioIds", "tracks", "credits", "error",
	}
	trackKeys = []string{"audioId", "audioUrl", "durationSeconds", "title", "file"}
)

// shape holds a session's JSON to the promise: one object, every key, no other.
func shape(ts *testscript.TestScript, neg bool, args []string) {
	want(ts, !neg && len(args) == 1, "shape FILE")
	text := ts.ReadFile(args[0])
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	var typed sessionJSON
	ts.Check(decoder.Decode(&typed))
	if decoder.More() {
		ts.Fatalf("there is more than one object")
	}
	var loose map[string]any
	ts.Check(json.Unmarshal([]byte(text), &loose))
	has(ts, loose, sessionKeys)
	has(ts, loose["counts"], countKeys)
	if len(typed.Counts) != len(countKeys) {
		ts.Fatalf("counts has %d keys, want %d", len(typed.Counts), len(countKeys))
	}
	list(ts, loose["audioIds"])
	if diff := cmp.Diff(typed.AudioIDs, audioIDsOf(typed.Items)); diff != "" {
		ts.Fatalf("the session's audioIds are not its items' (-session +items):\n%s", diff)
	}
	for _, item := range list(ts, loose["items"]) {
		has(ts, item, itemKeys)
		fields := item.(map[string]any)
		list(ts, fields["operationIds"])
		list(ts, fields["audioIds"])
		for _, track := range list(ts, fields["tracks"]) {
			has(ts, track, trackKeys)
		}
	}
}

// audioIDsOf is what a session's audioIds must be: of each item that succeeded,
// in input order, its tracks, or its clip when it has none.
func audioIDsOf(items []itemJSON) []string {
	ids := []string{}
	for _, it := range items {
		switch {
		case it.Status != "succeeded":
		case len(it.Tracks) == 0:
			ids = append(ids, it.ClipID)
		}
		for _, track := range it.Tracks {
			if it.Status == "succeeded" {
				ids = append(ids, track.AudioID)
			}
		}
	}
	return ids
}

func has(ts *testscript.TestScript, object any, keys []string) {
	fields, ok := object.(map[string]any)
	if !ok {
		ts.Fatalf("%v is no object", object)
	}
	for _, key := range keys {
		if _, ok := fields[key]; !ok {
			ts.Fatalf("an object has no %q", key)
		}
	}
}

// list is an array, which is never null.
func list(ts *testscript.TestScript, value any) []any {
	all, ok := value.([]any)
	if !ok {
		ts.Fatalf("%v is no array", value)
	}
	return all
}
