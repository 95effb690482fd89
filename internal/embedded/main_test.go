//go:build unix

package embedded

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// The test binary also plays the process that owns an embedded Redis and is
// killed: these name its directory, its binary and its child's ties.
const (
	ownerDir    = "EMBEDDED_TEST_OWNER_DIR"
	ownerServer = "EMBEDDED_TEST_OWNER_SERVER"
	ownerUntied = "EMBEDDED_TEST_OWNER_UNTIED"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerDir); dir != "" {
		own(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// own starts a Redis, prints its URL and lives until it is killed.
func own(dir string) {
	t := tuning{attr: childAttributes(), patience: 5 * time.Second}
	if os.Getenv(ownerUntied) != "" {
		// What every system but Linux gives: nothing ends the child with us.
		t.attr = &syscall.SysProcAttr{Setpgid: true}
	}
	r, err := start(context.Background(), Options{
		Dir: dir, Command: "segue run ./songs", RedisServer: os.Getenv(ownerServer),
	}, t)
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(r.URL())
	select {}
}

// owner is another process that owns a Redis.
type owner struct {
	cmd *exec.Cmd
	url string
}

func startOwner(t *testing.T, dir string, env ...string) *owner {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(append(os.Environ(), ownerDir+"="+dir), env...)
	cmd.Stderr = os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := &owner{cmd: cmd}
	t.Cleanup(o.kill)
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "unix://") {
		t.Fatalf("the owner said %q (%v), want its URL", line, err)
	}
	o.url = strings.TrimSpace(line)
	return o
}

// kill ends the owner with SIGKILL and reaps it.
func (o *owner) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

// engines are the settings that every promise common to both is tested under.
func engines(t *testing.T) map[string]string {
	t.Helper()
	both := map[string]string{"volatile": None}
	if haveServer(t) {
		both["redis-server"] = ""
	}
	return both
}

func haveServer(t *testing.T) bool {
	t.Helper()
	path, err := findServer("")
	if err != nil {
		t.Fatal(err)
	}
	if path == "" && os.Getenv("CI") == "true" {
		t.Fatal("no redis-server on PATH, and in CI there must be one")
	}
	return path != ""
}

func needServer(t *testing.T) {
	t.Helper()
	if !haveServer(t) {
		t.Skip("no redis-server on PATH")
	}
}

// mustStart starts a Redis that the test's end closes.
func mustStart(t *testing.T, o Options) *Redis {
	t.Helper()
	if o.Command == "" {
		o.Command = "the test"
	}
	o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	r, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("Start() = %v, want a running Redis", err)
	}
	t.Cleanup(func() { _ = r.Close() }) // for tests that fail before their own
	return r
}

func connect(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatalf("ParseURL(%q) = %v", url, err)
	}
	o.MaxRetries = -1
	client := redis.NewClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func mustSet(t *testing.T, url, key, value string) {
	t.Helper()
	if err := connect(t, url).Set(t.Context(), key, value, 0).Err(); err != nil {
		t.Fatalf("SET %s = %v", key, err)
	}
}

func wantValue(t *testing.T, url, key, want string) {
	t.Helper()
	got, err := connect(t, url).Get(t.Context(), key).Result()
	if err != nil || got != want {
		t.Errorf("GET %s = %q, %v, want %q", key, got, err, want)
	}
}

// serverPID asks the server at url for its process id.
func serverPID(t *testing.T, url string) int {
	t.Helper()
	info, err := connect(t, url).Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(info) {
		if text, found := strings.CutPrefix(line, "process_id:"); found {
			pid, err := strconv.Atoi(strings.TrimSpace(text))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("INFO names no process")
	return 0
}

// alive says whether a process runs. One that has ended and waits for its
// parent to notice does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err) || !haveProc()
	}
	_, behind, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(behind, "Z")
}

func haveProc() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

// eventually polls for what another process does in its own time.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	again := time.NewTicker(5 * time.Millisecond)
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
