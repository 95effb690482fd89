package doctor

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/redistest"
)

// paying is a configuration that spends real credits.
var paying = Stakes{Real: true}

// configure changes a server's settings.
func configure(t *testing.T, rdb redis.UniversalClient, pairs ...string) {
	t.Helper()
	for n := 0; n < len(pairs); n += 2 {
		if err := rdb.ConfigSet(t.Context(), pairs[n], pairs[n+1]).Err(); err != nil {
			t.Fatalf("CONFIG SET %s %s: %v", pairs[n], pairs[n+1], err)
		}
	}
}

// durable is a real server that keeps what it answered.
func durable(t *testing.T) (url string, rdb redis.UniversalClient) {
	t.Helper()
	url, rdb = redistest.Server(t)
	configure(t, rdb, setFsync, "always")
	return url, rdb
}

func TestRedisThatIsAsItShouldBe(t *testing.T) {
	_, rdb := durable(t)
	findings := Redis{Client: rdb, Address: "redis://***@host", Stakes: paying}.Examine(t.Context())
	holds(t, findings)
	healthy(t, findings, "redis.reach", "redis.version", "redis.kind", "redis.appendonly", "redis.appendfsync", "redis.maxmemory-policy",
		"redis.memory", "redis.evicted", "redis.disk", "redis.role", "redis.replicas", "redis.clock", "redis.latency")
	if why, forgets := Forgets(t.Context(), rdb); forgets {
		t.Errorf("Forgets says %+v of a durable Redis", why)
	}
}

func TestRedisThatForgets(t *testing.T) {
	_, rdb := durable(t)
	for _, c := range []struct {
		name, value, back string
		want              expected
		forgets           bool
	}{
		{setAppendOnly, "no", "yes", expected{Error, "redis.appendonly", `appendonly is "no"`, "CONFIG SET appendonly yes"}, true},
		{setFsync, "everysec", "always", expected{Warning, "redis.appendfsync", "everysec", "CONFIG SET appendfsync always"}, false},
		{setFsync, "no", "always", expected{Error, "redis.appendfsync", `"no"`, "CONFIG SET appendfsync always"}, true},
		{setOnRewrite, "yes", "no", expected{Warning, "redis.appendfsync", "on-rewrite", "on-rewrite no"}, false},
		{setPolicy, "allkeys-lru", "noeviction", expected{Error, "redis.maxmemory-policy", "allkeys-lru", "noeviction"}, true},
	} {
		configure(t, rdb, c.name, c.value)
		holds(t, Redis{Client: rdb, Stakes: paying}.Examine(t.Context()), c.want)
		why, forgets := Forgets(t.Context(), rdb)
		if forgets != c.forgets || (forgets && why.Check != c.want.check) {
			t.Errorf("with %s %s Forgets says %+v, %t, want %s, %t", c.name, c.value, why, forgets, c.want.check, c.forgets)
		}
		configure(t, rdb, c.name, c.back)
	}
}

func TestRedisThatThrowsKeysAway(t *testing.T) {
	_, rdb := durable(t)
	configure(t, rdb, setPolicy, "allkeys-lru", "maxmemory", "3mb")
	for n := range 100 {
		if err := rdb.Set(t.Context(), "filler:"+strings.Repeat("x", n), strings.Repeat("y", 100_000), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	configure(t, rdb, setPolicy, "noeviction", "maxmemory", "0")
	holds(t, Redis{Client: rdb, Stakes: paying}.Examine(t.Context()),
		expected{Error, "redis.evicted", "state of Segue may be among them", "CONFIG RESETSTAT"})
}

func TestRedisWhoseMemoryIsFull(t *testing.T) {
	_, rdb := durable(t)
	if err := rdb.Set(t.Context(), "filler", strings.Repeat("y", 4<<20), 0).Err(); err != nil {
		t.Fatal(err)
	}
	configure(t, rdb, "maxmemory", "4mb")
	holds(t, Redis{Client: rdb, Stakes: paying}.Examine(t.Context()),
		expected{Error, "redis.memory", "writes are refused soon", "CONFIG SET maxmemory"})
}

func TestRedisThatDoesNotSay(t *testing.T) {
	_, rdb := durable(t)
	if err := rdb.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err(); err != nil {
		t.Fatal(err)
	}
	holds(t, Redis{Client: rdb, Stakes: paying}.Examine(t.Context()),
		expected{Error, "redis.settings", "NOPERM", "redis.require_durable: false"})
	holds(t, Redis{Client: rdb, Stakes: Stakes{Real: true, Vouched: true}}.Examine(t.Context()),
		expected{Note, "redis.settings", "redis.require_durable: false vouches for it", ""})
	if why, forgets := Forgets(t.Context(), rdb); !forgets || why.Check != "redis.settings" {
		t.Errorf("Forgets says %+v, %t of a Redis that forbids CONFIG, want redis.settings", why, forgets)
	}
	if err := rdb.Do(t.Context(), "ACL", "SETUSER", "default", "-info").Err(); err != nil {
		t.Fatal(err)
	}
	holds(t, Redis{Client: rdb, Stakes: paying}.Examine(t.Context()),
		expected{Warning, "redis.info", "INFO could not be looked at: NOPERM", ""})
}

func TestRedisThatCannotBeReached(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	rdb := connect(t, "redis://"+closed.Addr().String())
	findings := Redis{Client: rdb}.Examine(t.Context())
	holds(t, findings, expected{Error, "redis.reach", "does not answer", "start it"})
	why, forgets := Forgets(t.Context(), rdb)
	if !forgets || why.Code != fault.Unavailable || findings[0].Code != fault.Unavailable {
		t.Errorf("codes %q and %q, want unavailable", findings[0].Code, why.Code)
	}
}

func TestRedisThatRefusesUs(t *testing.T) {
	for says, cure := range map[string]string{
		"LOADING Redis is loading the dataset in memory": "wait",
		"NOAUTH Authentication required.":                "password",
		"ERR max number of clients reached":              "maxclients",
	} {
		rdb, mini := redistest.Mini(t)
		mini.SetError(says)
		holds(t, Redis{Client: rdb}.Examine(t.Context()), expected{Error, "redis.reach", says, cure})
	}
}

func TestRedisWithAnotherPassword(t *testing.T) {
	url, rdb := redistest.Server(t)
	configure(t, rdb, "requirepass", "hunter2")
	holds(t, Redis{Client: connect(t, url)}.Examine(t.Context()), expected{Error, "redis.reach", "NOAUTH", "password"})
}

func TestStandInHasNoSettings(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	findings := Redis{Client: rdb, Embedded: true, Stakes: paying}.Examine(t.Context())
	holds(t, findings, expected{Note, "redis.version", "stand-in", ""})
	healthy(t, findings, "redis.reach", "redis.clock", "redis.latency")
	// Elsewhere, what says neither its version nor its settings is suspicious.
	holds(t, Redis{Client: rdb, Stakes: paying}.Examine(t.Context()),
		expected{Warning, "redis.version", "does not say which version", ""},
		expected{Error, "redis.settings", "CONFIG", "require_durable"},
		expected{Warning, "redis.role", "does not say", ""})
}

func TestClockOfThisMachine(t *testing.T) {
	_, rdb := durable(t)
	for _, c := range []struct {
		now  func() time.Time
		want expected
	}{
		{func() time.Time { return time.Now().Add(45 * time.Second) }, expected{Error, "redis.clock", "45s ahead", "chrony"}},
		{func() time.Time { return time.Now().Add(-10 * time.Second) }, expected{Warning, "redis.clock", "10s behind", "chrony"}},
	} {
		holds(t, Redis{Client: rdb, Stakes: paying, Now: c.now}.Examine(t.Context()), c.want)
	}
	// A clock that runs ten milliseconds ahead with every look makes all trips long.
	began, looks := time.Now(), 0
	slow := func() time.Time {
		looks++
		return began.Add(time.Duration(looks) * 10 * time.Millisecond)
	}
	holds(t, Redis{Client: rdb, Stakes: paying, Now: slow}.Examine(t.Context()), expected{Warning, "redis.latency", "10ms (median of 20)", "SLOWLOG"})
}

func connect(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	rdb, err := redisconn.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rdb.Close(); err != nil {
			t.Error(err)
		}
	})
	return rdb
}
