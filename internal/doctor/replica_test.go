//go:build unix

package doctor

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/redistest"
)

// freePort is a port that was free a moment ago; a server that takes its port as a
// setting cannot be told to take any.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually waits for what a server does in its own time.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	late := time.NewTimer(15 * time.Second)
	defer late.Stop()
	for !done() {
		select {
		case <-again.C:
		case <-late.C:
			t.Fatalf("%s: not within 15 s", what)
		}
	}
}

// startServer starts a redis-server that redistest does not have.
func startServer(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("redis-server is not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, append(args, "--dir", t.TempDir(), "--loglevel", "warning")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's context has ended, and with it the process.
		if exit := (*exec.ExitError)(nil); !errors.As(cmd.Wait(), &exit) {
			t.Error("the server ended by itself")
		}
	})
}

func infoOf(t *testing.T, rdb redis.UniversalClient) info {
	t.Helper()
	text, err := rdb.Info(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return parseInfo(text)
}

// signalServer sends a signal to the process behind a client.
func signalServer(t *testing.T, pid int64, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(int(pid), signal); err != nil {
		t.Fatal(err)
	}
}

// TestReplicas takes a replica through its life: in step, frozen while the master
// writes on, and gone.
func TestReplicas(t *testing.T) {
	_, master := durable(t)
	port := freePort(t)
	configure(t, master, "bind", "127.0.0.1", "port", port, "repl-diskless-sync-delay", "0")
	_, copying := redistest.Server(t)
	configure(t, copying, "repl-diskless-sync-delay", "0")
	if err := copying.ReplicaOf(t.Context(), "127.0.0.1", port).Err(); err != nil {
		t.Fatal(err)
	}
	var one replica
	eventually(t, "a replica in step", func() bool {
		about := infoOf(t, master)
		if all := about.replicas(); len(all) == 1 {
			one = all[0]
		}
		return one.state == "online" && about.number("master_repl_offset")-one.offset < behindBytes
	})
	look := func(rdb redis.UniversalClient) []Finding {
		return Redis{Client: rdb, Stakes: paying, WaitReplicas: -1}.Examine(t.Context())
	}
	findings := look(master)
	holds(t, findings)
	healthy(t, findings, "redis.role", "redis.replicas", "redis.failover")
	holds(t, Redis{Client: master, Stakes: paying, WaitReplicas: 0}.Examine(t.Context()),
		expected{Warning, "redis.failover", "do not wait for that", "redis.wait_replicas: 1"})
	holds(t, Redis{Client: master, Stakes: paying, WaitReplicas: 2}.Examine(t.Context()),
		expected{Error, "redis.failover", "nothing is paid for", "redis.wait_replicas lower"})

	// Its own point of view. It keeps no file of its own at every write.
	holds(t, look(copying), expected{Error, "redis.appendfsync", `"no"`, ""},
		expected{Error, "redis.role", "this is a replica (its link to the master is up)", "127.0.0.1:" + port})

	pid := infoOf(t, copying).number("process_id")
	signalServer(t, pid, syscall.SIGSTOP)
	thaw := func() { signalServer(t, pid, syscall.SIGCONT) }
	defer thaw()
	if err := master.Set(t.Context(), "filler", strings.Repeat("x", 2*behindBytes), 0).Err(); err != nil {
		t.Fatal(err)
	}
	holds(t, look(master), expected{Warning, "redis.replicas", "MB behind", "failover"})
	thaw()

	configure(t, master, setMinReplicas, "1")
	eventually(t, "a replica that keeps up", func() bool { return infoOf(t, master)["min_slaves_good_slaves"] == "1" })
	healthy(t, look(master), "redis.quorum")
	if err := copying.ReplicaOf(t.Context(), "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a replica that left", func() bool { return infoOf(t, master)["min_slaves_good_slaves"] == "0" })
	holds(t, look(master), expected{Error, "redis.quorum", "NOREPLICAS", "min-replicas-to-write 0"})
}

// TestCluster looks at a cluster of one, with a client that knows and with one that
// does not.
func TestCluster(t *testing.T) {
	port, bus := freePort(t), freePort(t)
	startServer(t, "--port", port, "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", bus,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	single := connect(t, "redis://127.0.0.1:"+port)
	eventually(t, "a server", func() bool { return single.Ping(t.Context()).Err() == nil })
	if err := single.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a cluster", func() bool {
		state, err := single.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(state, "cluster_state:ok")
	})
	holds(t, Redis{Client: single, Address: "redis://host", Stakes: paying}.Examine(t.Context()),
		expected{Error, "redis.kind", "one node of a cluster", "redis-cluster://"})

	address := "redis-cluster://127.0.0.1:" + port
	cluster := connect(t, address)
	findings := Redis{Client: cluster, Address: address, Stakes: paying}.Examine(t.Context())
	holds(t, findings)
	healthy(t, findings, "redis.kind", "redis.appendonly", "redis.clock")
	configure(t, single, setAppendOnly, "no")
	// A cluster of one does not know its own address, only its port.
	want := expected{Error, "redis.appendonly", ":" + port + ": redis would forget", "appendonly yes"}
	holds(t, Redis{Client: cluster, Address: address, Stakes: paying}.Examine(t.Context()), want)
	if why, forgets := Forgets(t.Context(), cluster); !forgets || why.Check != want.check {
		t.Errorf("Forgets says %+v, %t, want %s", why, forgets, want.check)
	}
	work := Work{Client: cluster}.Examine(t.Context())
	holds(t, work)
}
