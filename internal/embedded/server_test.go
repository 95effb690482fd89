//go:build unix

package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

func TestServerIsSetUpNotToForget(t *testing.T) {
	needServer(t)
	r := mustStart(t, Options{Dir: t.TempDir()})
	client := connect(t, r.URL())
	for setting, want := range map[string]string{
		"appendonly":                "yes",
		"appendfsync":               "always",
		"no-appendfsync-on-rewrite": "no",
		"aof-load-truncated":        "yes",
		"maxmemory-policy":          "noeviction",
		"save":                      "",
		"port":                      "0",
		"unixsocketperm":            "700",
	} {
		got, err := client.ConfigGet(t.Context(), setting).Result()
		if err != nil || got[setting] != want {
			t.Errorf("CONFIG GET %s = %q, %v, want %q", setting, got[setting], err, want)
		}
	}
	if !r.Durable() {
		t.Error("Durable() = false, want true")
	}
	if v := r.Version(); strings.Count(v, ".") != 2 {
		t.Errorf("Version() = %q, want a version like 7.0.15", v)
	}
}

func TestCtrlCSparesTheServer(t *testing.T) {
	needServer(t)
	r := mustStart(t, Options{Dir: t.TempDir()})
	pid := serverPID(t, r.URL())
	// A terminal sends it to its whole foreground group.
	if group, err := syscall.Getpgid(pid); err != nil || group != pid {
		t.Errorf("the server's process group is %d, %v, want its own (%d)", group, err, pid)
	}
}

func TestServerLearnsNoneOfOurSecrets(t *testing.T) {
	t.Setenv("KIE_API_KEY", "sk-very-secret")
	seen := filepath.Join(t.TempDir(), "environment")
	_, err := Start(t.Context(), Options{Dir: t.TempDir(), RedisServer: script(t, "env >"+seen)})
	if fault.CodeOf(err) != fault.Internal {
		t.Errorf("Start() of what is no server = %v, want internal", err)
	}
	environment, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(environment), "LC_ALL=C") || strings.Contains(string(environment), "sk-very-secret") {
		t.Errorf("the server's environment is %q, %v, want one without our secrets", environment, err)
	}
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir})
	mustSet(t, r.URL(), "intent", "about to leave")
	pid := serverPID(t, r.URL())

	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatalf("Close() = %v, want nil, and again when repeated", err)
		}
	}
	if alive(pid) {
		t.Errorf("process %d lives after Close", pid)
	}
	if _, err := os.Lstat(filepath.Join(dir, "redis", "redis.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket after Close: %v, want it gone", err)
	}
	select {
	case <-r.Done():
		t.Error("Done() is closed by Close, want it kept for a server that dies")
	default:
	}
	again := mustStart(t, Options{Dir: dir})
	wantValue(t, again.URL(), "intent", "about to leave")
}

func TestDataSurvivesKilledServer(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir})
	if err := r.Err(); err != nil {
		t.Errorf("Err() = %v while the server lives, want nil", err)
	}
	mustSet(t, r.URL(), "intent", "about to leave")
	if err := syscall.Kill(serverPID(t, r.URL()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.Done()
	if got := fault.CodeOf(r.Err()); got != fault.Unavailable {
		t.Errorf("Err() = %v, want code unavailable", r.Err())
	}
	if err := r.Close(); err == nil || !strings.Contains(err.Error(), "signal: killed") {
		t.Errorf("Close() = %v, want it to say that the server was killed", err)
	}
	again := mustStart(t, Options{Dir: dir})
	wantValue(t, again.URL(), "intent", "about to leave")
}

func TestDataSurvivesKilledOwner(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	o := startOwner(t, dir)
	mustSet(t, o.url, "intent", "about to leave")
	pid := serverPID(t, o.url)
	t.Cleanup(func() { endOrphan(pid, dir) })
	o.kill()
	if runtime.GOOS == "linux" {
		// Nobody may ever call Start here again.
		eventually(t, "the server follows its owner", func() bool { return !alive(pid) })
	}

	r := mustStart(t, Options{Dir: dir})
	wantValue(t, r.URL(), "intent", "about to leave")
	if alive(pid) {
		t.Errorf("the killed owner's server, process %d, lives", pid)
	}
}

// An owner that is killed where nothing ties its server to it leaves a server
// that holds the append-only file.
func TestOrphanIsEnded(t *testing.T) {
	needServer(t)
	cases := []struct {
		name  string
		spoil func(t *testing.T, dir string, pid int)
	}{
		{"through its socket when its owner had no time to note its process", func(t *testing.T, dir string, _ int) {
			note, err := json.Marshal(record{Socket: filepath.Join(dir, "redis", "redis.sock")})
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "redis", "server.lock"), note, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"by a signal when the socket is gone", func(t *testing.T, dir string, _ int) {
			if err := os.Remove(filepath.Join(dir, "redis", "redis.sock")); err != nil {
				t.Fatal(err)
			}
		}},
		{"by SIGKILL when it is stuck", func(t *testing.T, _ string, pid int) {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			o := startOwner(t, dir, ownerUntied+"=1")
			mustSet(t, o.url, "intent", "about to leave")
			pid := serverPID(t, o.url)
			t.Cleanup(func() { endOrphan(pid, dir) })
			o.kill()
			if !alive(pid) {
				t.Fatal("the orphan ended with its owner: nothing is tested")
			}
			c.spoil(t, dir, pid)

			r, err := start(t.Context(), Options{Dir: dir}, tuning{attr: childAttributes(), patience: 300 * time.Millisecond})
			if err != nil {
				t.Fatalf("start() = %v, want the orphan out of the way", err)
			}
			defer func() { _ = r.Close() }()
			eventually(t, "the orphan's end", func() bool { return !alive(pid) })
			wantValue(t, r.URL(), "intent", "about to leave")
		})
	}
}

// endOrphan kills what a failed test left, if it is still what the test started.
func endOrphan(pid int, dir string) {
	title, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && strings.Contains(string(title), dir) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

func TestOrphanThatCannotBeNamedIsReported(t *testing.T) {
	dir := t.TempDir()
	h, err := openHome(dir)
	if err != nil {
		t.Fatal(err)
	}
	held, err := openLock(h.path("server.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.release() }()
	if err := held.tryLock(); err != nil {
		t.Fatal(err)
	}
	_, err = start(t.Context(), Options{Dir: dir, RedisServer: None}, tuning{patience: 20 * time.Millisecond})
	if fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("start() beside a server that does not end = %v, want unavailable", err)
	}
}

// A power cut leaves the last command half written.
func TestCutAppendOnlyFileLoads(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir})
	mustSet(t, r.URL(), "first", "kept")
	mustSet(t, r.URL(), "second", "cut in half")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	file := appendOnlyFile(t, dir)
	stat, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, stat.Size()-5); err != nil {
		t.Fatal(err)
	}
	again := mustStart(t, Options{Dir: dir})
	wantValue(t, again.URL(), "first", "kept")
}

func TestDamagedAppendOnlyFileIsReportedWithTheLog(t *testing.T) {
	needServer(t)
	dir := t.TempDir()
	r := mustStart(t, Options{Dir: dir})
	mustSet(t, r.URL(), "first", "kept")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(appendOnlyFile(t, dir), []byte("this is no append-only file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if fault.CodeOf(err) != fault.Internal || !strings.Contains(err.Error(), "Bad file format") {
		t.Errorf("Start() = %v, want internal and the server's own words", err)
	}
}

// appendOnlyFile finds the file that commands are appended to.
func appendOnlyFile(t *testing.T, dir string) string {
	t.Helper()
	for _, pattern := range []string{"appendonlydir/*.incr.aof", "appendonly.aof"} {
		found, err := filepath.Glob(filepath.Join(dir, "redis", pattern))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("no append-only file")
	return ""
}

// script writes an executable in the place of a server.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "redis-server")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestServerThatCannotBeStarted(t *testing.T) {
	cases := []struct {
		name, binary, words string
		code                fault.Code
	}{
		{"missing", "/nonexistent/redis-server", "no such file", fault.Invalid},
		{"ends at once", script(t, "echo FATAL CONFIG FILE ERROR; exit 7"), "exit status 7); its log ends: FATAL CONFIG FILE ERROR", fault.Internal},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := Start(t.Context(), Options{Dir: dir, RedisServer: c.binary})
			if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.words) {
				t.Errorf("Start() = %v, want %s with %q", err, c.code, c.words)
			}
			mustStart(t, Options{Dir: dir, RedisServer: None}) // a failed start holds nothing
		})
	}
}

func TestStartThatIsCanceledLeavesNothingBehind(t *testing.T) {
	dir, noted := t.TempDir(), filepath.Join(t.TempDir(), "pid")
	silent := script(t, "echo $$ >"+noted+"; exec sleep 600")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := make(chan error, 1)
	go func() {
		_, err := Start(ctx, Options{Dir: dir, RedisServer: silent})
		started <- err
	}()
	var pid int
	eventually(t, "the server that never answers runs", func() bool {
		text, err := os.ReadFile(noted)
		if err == nil {
			_, err = fmt.Sscanln(string(text), &pid)
		}
		return err == nil
	})
	cancel()
	if err := <-started; fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Start() = %v, want canceled", err)
	}
	if alive(pid) {
		t.Errorf("process %d lives after Start gave up", pid)
	}
	mustStart(t, Options{Dir: dir, RedisServer: None})
}
