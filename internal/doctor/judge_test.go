package doctor

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// expected is a finding that a test waits for; its texts are parts of the real ones.
type expected struct {
	level             Level
	check, text, cure string
}

// holds compares all findings that are more than ok with the expected ones.
func holds(t *testing.T, findings []Finding, want ...expected) {
	t.Helper()
	var got []Finding
	for _, f := range findings {
		if f.Level != OK {
			got = append(got, f)
		}
		if f.Check == "" || f.Text == "" || f.Level.gravity() < 0 {
			t.Errorf("a finding lacks its check, its text or its level: %+v", f)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("findings above ok: %+v\nwant %d of them: %+v", got, len(want), want)
	}
	for n, w := range want {
		g := got[n]
		if g.Level != w.level || g.Check != w.check || !strings.Contains(g.Text, w.text) || !strings.Contains(g.Cure, w.cure) {
			t.Errorf("finding %d is %+v\nwant %+v", n, g, w)
		}
	}
}

// healthy says that a check was made and found nothing wrong.
func healthy(t *testing.T, findings []Finding, checks ...string) {
	t.Helper()
	fine := map[string]bool{}
	for _, f := range findings {
		fine[f.Check] = f.Level == OK
	}
	for _, check := range checks {
		if !fine[check] {
			t.Errorf("%s is not among what is ok: %+v", check, findings)
		}
	}
}

// captured is INFO as a real server gave it, with some fields changed.
func captured(t *testing.T, name string, changed map[string]string) info {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	fields := parseInfo(string(text))
	maps.Copy(fields, changed)
	return fields
}

func TestWhatInfoSays(t *testing.T) {
	const master, replica = "info-7.0-master.txt", "info-7.0-replica.txt"
	plain := settings{values: map[string]string{setMinReplicas: "1", setSave: "3600 1", setRefuse: "yes"}}
	loose := settings{values: map[string]string{setMinReplicas: "0", setSave: "", setRefuse: "yes"}}
	dumb := settings{refused: errors.New("NOPERM")}
	// min_slaves_good_slaves is there while the setting is not zero.
	good := map[string]string{"min_slaves_good_slaves": "1"}
	for name, c := range map[string]struct {
		from     string
		settings settings
		changed  map[string]string
		sentinel bool
		wait     *int // nil is the default, -1
		want     []expected
	}{
		"all well":                {from: master, settings: plain, changed: good},
		"nobody waits":            {from: master, settings: loose, wait: new(0), want: []expected{{Warning, "redis.failover", "forgets what had not reached it", "redis.wait_replicas: 1"}}},
		"too many are waited for": {from: master, settings: loose, wait: new(2), want: []expected{{Error, "redis.failover", "wait for 2 replicas (redis.wait_replicas), and 1 are connected", "wait_replicas lower"}}},
		"too old": {from: master, settings: plain, changed: map[string]string{"redis_version": "6.0.16", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.version", "redis 6.0.16 is older than 6.2", "upgrade"},
		}},
		"just new enough": {from: master, settings: plain, changed: map[string]string{"redis_version": "6.2.0", "min_slaves_good_slaves": "1"}},
		"no version": {from: master, settings: plain, changed: map[string]string{"redis_version": "unstable", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.version", `"unstable"`, ""},
		}},
		"a sentinel": {from: master, settings: plain, changed: map[string]string{"redis_mode": "sentinel", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.kind", "keeps no data", "redis-sentinel://"},
		}},
		"a cluster's node": {from: master, settings: plain, changed: map[string]string{"redis_mode": "cluster", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.kind", "one node of a cluster", "redis-cluster://"},
		}},
		"tight": {from: master, settings: plain, changed: map[string]string{"used_memory": "850", "maxmemory": "1000", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.memory", "850 B of 1000 B are used (85 % of maxmemory)", "CONFIG SET maxmemory"},
		}},
		"full": {from: master, settings: plain, changed: map[string]string{"used_memory": "960", "maxmemory": "1000", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.memory", "writes are refused soon", "CONFIG SET maxmemory"},
		}},
		"machine full": {from: master, settings: plain, changed: map[string]string{"used_memory": "21600000000", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.memory", "(85 % of the machine's memory; maxmemory is not set)", "CONFIG SET maxmemory"},
		}},
		"evicted": {from: master, settings: plain, changed: map[string]string{"evicted_keys": "7", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.evicted", "thrown away 7 keys", "CONFIG RESETSTAT"},
		}},
		"loading": {from: master, settings: plain, changed: map[string]string{"loading": "1", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.disk", "reading its data", "wait"},
		}},
		"aof write": {from: master, settings: plain, changed: map[string]string{"aof_last_write_status": "err", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.disk", "append-only file failed (err): it refuses writes", "df"},
		}},
		"aof rewrite": {from: master, settings: plain, changed: map[string]string{"aof_last_bgrewrite_status": "err", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.disk", "rewrite of the append-only file failed", "df"},
		}},
		"snapshot": {from: master, settings: plain, changed: map[string]string{"rdb_last_bgsave_status": "err", "min_slaves_good_slaves": "1"}, want: []expected{
			{Error, "redis.disk", "MISCONF", "df"},
		}},
		"snapshot that nobody asked for": {from: master, settings: loose, changed: map[string]string{"rdb_last_bgsave_status": "err"}, want: []expected{
			{Warning, "redis.disk", "snapshot failed (err)", "df"},
		}},
		"snapshot, and CONFIG is forbidden": {from: master, settings: dumb, changed: map[string]string{"rdb_last_bgsave_status": "err"}, want: []expected{
			{Error, "redis.disk", "MISCONF", "df"},
		}},
		"a replica": {from: replica, settings: plain, want: []expected{
			{Error, "redis.role", "this is a replica (its link to the master is up)", "127.0.0.1:17391"},
		}},
		"replica far behind": {from: master, settings: plain, changed: map[string]string{"master_repl_offset": "3145778", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.replicas", "replica 127.0.0.1:17392 is 3.0 MB behind", "failover"},
		}},
		"replica silent": {from: master, settings: plain, changed: map[string]string{"slave0": "ip=10.0.0.2,port=6379,state=online,offset=50,lag=11", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.replicas", "replica 10.0.0.2:6379 is 0 B behind, and was last heard of 11s ago", "failover"},
		}},
		"replica on its way": {from: master, settings: plain, changed: map[string]string{"slave0": "ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0", "min_slaves_good_slaves": "1"}, want: []expected{
			{Warning, "redis.replicas", "not in step yet (wait_bgsave)", "failover"},
		}},
		"too few replicas": {from: master, settings: plain, changed: map[string]string{"min_slaves_good_slaves": "0"}, want: []expected{
			{Error, "redis.quorum", "refuses writes (NOREPLICAS): min-replicas-to-write is 1, and 0 replicas keep up", "min-replicas-to-write 0"},
		}},
		"nobody to take over": {
			from: master, settings: loose, changed: map[string]string{"slave0": "", "connected_slaves": "0"}, sentinel: true, want: []expected{
				{Warning, "redis.replicas", "no replica is connected", "start a replica"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			about := captured(t, c.from, c.changed)
			if about["slave0"] == "" {
				delete(about, "slave0")
			}
			var found chart
			about.version(&found)
			about.kind(false, &found)
			about.memory(&found)
			about.disk(c.settings, &found)
			wait := -1
			if c.wait != nil {
				wait = *c.wait
			}
			about.replication(c.settings, c.sentinel, wait, &found)
			holds(t, found.findings, c.want...)
		})
	}
}

func TestWhatIsWellIsSaid(t *testing.T) {
	var found chart
	about := captured(t, "info-7.0-master.txt", map[string]string{"server_name": "valkey", "valkey_version": "8.0.1", "redis_version": "7.2.4", "redis_mode": "cluster"})
	delete(about, "slave0")
	about.version(&found)
	about.kind(true, &found)
	about.memory(&found)
	about.disk(settings{}, &found)
	about.replication(settings{}, false, -1, &found)
	want := []Finding{
		{Check: "redis.version", Level: OK, Text: "valkey 8.0.1, as redis 7.2.4 (6.2 is the oldest supported; Segue is tested with 7.0)"},
		{Check: "redis.kind", Level: OK, Text: "it is cluster"},
		{Check: "redis.memory", Level: OK, Text: "1.0 MB of 23.5 GB are used (0 % of the machine's memory; maxmemory is not set)"},
		{Check: "redis.evicted", Level: OK, Text: "it has thrown no keys away"},
		{Check: "redis.disk", Level: OK, Text: "its last writes to the disk went well"},
		{Check: "redis.role", Level: OK, Text: "it is a master"},
		{Check: "redis.replicas", Level: OK, Text: "nobody copies it"},
	}
	if diff := cmp.Diff(want, found.findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	found = chart{}
	info{"used_memory": "2048"}.memory(&found)
	holds(t, found.findings)
	if got, want := found.findings[0].Text, "2.0 KB are used"; got != want {
		t.Errorf("memory without a limit: %q, want %q", got, want)
	}
}

// redisSays is an answer of Redis that is an error.
type redisSays string

func (r redisSays) Error() string { return string(r) }
func (r redisSays) RedisError()   {}

var _ redis.Error = redisSays("")

func TestDurabilityAndStakes(t *testing.T) {
	durable := map[string]string{setAppendOnly: "yes", setFsync: "always", setOnRewrite: "no", setPolicy: "noeviction"}
	but := func(name, value string) settings {
		values := maps.Clone(durable)
		values[name] = value
		return settings{values: values}
	}
	const paid, vouched, simulated = 0, 1, 2
	for name, c := range map[string]struct {
		settings      settings
		want          expected
		levels        [3]Level // by stakes
		wellOtherwise []string
	}{
		"appendonly no":       {but(setAppendOnly, "no"), expected{Error, "redis.appendonly", `appendonly is "no", want "yes"`, "CONFIG SET appendonly yes"}, [3]Level{Error, Warning, Note}, []string{"redis.maxmemory-policy"}},
		"appendfsync no":      {but(setFsync, "no"), expected{Error, "redis.appendfsync", `appendfsync is "no"`, "CONFIG SET appendfsync always"}, [3]Level{Error, Warning, Note}, []string{"redis.appendonly"}},
		"everysec":            {but(setFsync, "everysec"), expected{Warning, "redis.appendfsync", "up to two seconds of paid requests", "CONFIG SET appendfsync always"}, [3]Level{Warning, Warning, Note}, []string{"redis.appendonly"}},
		"rewrite":             {but(setOnRewrite, "yes"), expected{Warning, "redis.appendfsync", "no-appendfsync-on-rewrite is yes", "no-appendfsync-on-rewrite no"}, [3]Level{Warning, Warning, Note}, []string{"redis.appendonly"}},
		"eviction":            {but(setPolicy, "allkeys-lru"), expected{Error, "redis.maxmemory-policy", `maxmemory-policy is "allkeys-lru", want "noeviction"`, "CONFIG SET maxmemory-policy noeviction"}, [3]Level{Error, Warning, Note}, []string{"redis.appendonly", "redis.appendfsync"}},
		"CONFIG is forbidden": {settings{refused: redisSays("NOPERM no")}, expected{Error, "redis.settings", "does not say whether it keeps what was paid for: CONFIG GET: NOPERM no", "redis.require_durable: false"}, [3]Level{Error, Note, Note}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			findings := c.settings.durability()
			holds(t, findings, c.want)
			healthy(t, findings, c.wellOtherwise...)
			for stakes, s := range map[int]Stakes{paid: {Real: true}, vouched: {Real: true, Vouched: true}, simulated: {}} {
				got, _ := gravest(s.weigh(findings))
				if got.Level != c.levels[stakes] {
					t.Errorf("with stakes %+v it is %q, want %q", s, got.Level, c.levels[stakes])
				}
			}
		})
	}
	holds(t, settings{values: durable}.durability())
	silent := Finding{Check: "redis.reach", Level: Error, Text: "silent", Code: fault.Unavailable}
	if got := (Stakes{}).weigh([]Finding{silent}); got[0].Level != Error {
		t.Errorf("a Redis that does not answer weighs %q where nothing is at stake, want error", got[0].Level)
	}
}

// gravest is Worst with notes.
func gravest(findings []Finding) (worst Finding, ok bool) {
	for _, f := range findings {
		if f.Level.gravity() > worst.Level.gravity() && f.Level != OK {
			worst, ok = f, true
		}
	}
	return worst, ok
}

func TestSkewAndLatency(t *testing.T) {
	for _, c := range []struct {
		ahead time.Duration
		want  []expected
	}{
		{1900 * time.Millisecond, nil},
		{-1900 * time.Millisecond, nil},
		{2100 * time.Millisecond, []expected{{Warning, "redis.clock", "2.1s ahead of that of redis", "chrony"}}},
		{-29 * time.Second, []expected{{Warning, "redis.clock", "29s behind that of redis", "chrony"}}},
		{31 * time.Second, []expected{{Error, "redis.clock", "31s ahead of that of redis", "chrony"}}},
		{-2 * time.Minute, []expected{{Error, "redis.clock", "2m0s behind that of redis", "chrony"}}},
	} {
		var found chart
		judgeSkew(c.ahead, &found)
		holds(t, found.findings, c.want...)
	}
	var found chart
	judgeLatency(4900*time.Microsecond, &found)
	judgeLatency(5100*time.Microsecond, &found)
	holds(t, found.findings, expected{Warning, "redis.latency", "5.1ms", "closer"})
}

func TestWorst(t *testing.T) {
	ok, note, warning, first, second := Finding{Check: "a", Level: OK}, Finding{Check: "b", Level: Note}, Finding{Check: "c", Level: Warning}, Finding{Check: "d", Level: Error}, Finding{Check: "e", Level: Error}
	for _, c := range []struct {
		all  []Finding
		want string
	}{
		{nil, ""}, {[]Finding{ok, note}, ""}, {[]Finding{note, warning, ok}, "c"}, {[]Finding{warning, first, second}, "d"},
	} {
		got, found := Worst(c.all)
		if got.Check != c.want || found != (c.want != "") {
			t.Errorf("Worst(%v) = %q, %t, want %q", c.all, got.Check, found, c.want)
		}
	}
	if got := Count([]Finding{ok, first, second}, Error); got != 2 {
		t.Errorf("Count = %d, want 2", got)
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 1536: "1.5 KB", 3 << 30: "3.0 GB", 5 << 50: "5.0 PB"} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
}

func TestVersionOfWhatIsInstalled(t *testing.T) {
	for said, want := range map[string]string{
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0\n": "7.0.15",
		"Valkey server v=8.0.1 sha=00000000:0 malloc=libc bits=64 build=1":                           "8.0.1",
		"": "unknown",
	} {
		if got := version(said); got != want {
			t.Errorf("version(%q) = %q, want %q", said, got, want)
		}
	}
}

func TestEmbedded(t *testing.T) {
	installed := Embedded{Dir: "/state/redis", Server: "/usr/bin/redis-server", Introduced: "Redis server v=7.0.15 sha=0"}
	with := func(change func(*Embedded)) Embedded {
		e := installed
		change(&e)
		return e
	}
	const none = "no redis-server is installed"
	for name, c := range map[string]struct {
		e    Embedded
		want []expected
	}{
		"works":            {installed, nil},
		"fresh":            {with(func(e *Embedded) { e.Fresh = true }), nil},
		"busy, and seen":   {with(func(e *Embedded) { e.Busy, e.Seen = errors.New("in use by process 1"), true }), nil},
		"busy":             {with(func(e *Embedded) { e.Busy = errors.New("in use by process 1") }), []expected{{Note, "embedded.start", "cannot be looked into: in use by process 1", "ask again"}}},
		"broken":           {with(func(e *Embedded) { e.Failed = errors.New("exit status 1") }), []expected{{Error, "embedded.start", "cannot be started: exit status 1", "redis.log in /state/redis"}}},
		"nothing, sim":     {Embedded{}, []expected{{Warning, "embedded.server", none, "install redis-server"}}},
		"nothing, real":    {Embedded{Stakes: Stakes{Real: true}}, []expected{{Error, "embedded.server", none, "install redis-server"}}},
		"nothing, vouched": {Embedded{Stakes: Stakes{Real: true, Vouched: true}}, []expected{{Warning, "embedded.server", none, "install redis-server"}}},
	} {
		t.Run(name, func(t *testing.T) { holds(t, c.e.Examine(), c.want...) })
	}
}
