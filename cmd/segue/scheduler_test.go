package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/schedule"
	"github.com/segue-audio/segue/internal/session"
)

// TestTwoSchedulersOneKilled lets two schedulers decide about a schedule of every
// second, kills one of them, and starts it again and kills it again. Every second of the
// calendar is one firing, and every firing one session of the same two files.
func TestTwoSchedulersOneKilled(t *testing.T) {
	url, rdb := redistest.Server(t)
	r := newCrashRig(t)
	for n, name := range []string{"one.mp3", "two.wav"} {
		if err := place(filepath.Join(r.dir, "inbox", name), samples.Files()[n].Data); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.ReadFile(filepath.Join(r.dir, "segue.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ticking := "schedules: {tick: {cron: '@every 1s', source: %q, provider: studio, overlap: allow, all_files: true}}\n"
	if err := place(filepath.Join(r.dir, "segue.yaml"), fmt.Appendf(before, ticking, filepath.Join(r.dir, "inbox"))); err != nil {
		t.Fatal(err)
	}
	start := func(role string) *exec.Cmd { return r.start(role, "SEGUE_REDIS_URL="+url) }
	worker, survivor := start("worker"), start("scheduler")
	book, store := schedule.NewStore(rdb), session.NewStore(rdb)
	fired := func(n int) []schedule.Firing {
		var all []schedule.Firing
		eventually(t, fmt.Sprintf("%d firings are sessions", n), func() bool {
			// The schedule is not there before a scheduler has read it.
			if all, err = book.History(t.Context(), "tick", 1000, ""); err != nil {
				t.Fatal(err)
			}
			sessions := 0
			for _, f := range all {
				if f.Session != "" {
					sessions++
				}
			}
			return sessions >= n
		})
		return all
	}
	for n := range 3 {
		victim := start("scheduler")
		fired(2 * (n + 1))
		kill(t, victim)
	}
	kill(t, survivor) // in the middle of whatever it does
	survivor = start("scheduler")
	fired(10)
	if err := book.Pause(t.Context(), "tick"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing is open", func() bool {
		status, err := book.Get(t.Context(), "tick")
		if err != nil {
			t.Fatal(err)
		}
		return len(status.Open) == 0
	})
	stop(t, survivor)
	stop(t, worker)

	firings, err := book.History(t.Context(), "tick", 1000, "")
	if err != nil {
		t.Fatal(err)
	}
	seconds, of := map[int64]bool{}, map[string]string{}
	first, last := int64(1<<62), int64(0)
	for _, f := range firings {
		if f.State == schedule.Paused {
			continue
		}
		at, err := strconv.ParseInt(f.Fire, 10, 64)
		if err != nil || f.State != schedule.Started || f.Session == "" {
			t.Fatalf("firing %+v, %v: want it a session", f, err)
		}
		if other, taken := of[f.Session]; taken {
			t.Errorf("%s is the session of %s and of %s", f.Session, f.Fire, other)
		}
		seconds[at], of[f.Session] = true, f.Fire
		first, last = min(first, at), max(last, at)
		current, err := store.Session(t.Context(), f.Session)
		if err != nil || current.Total != 2 || current.Status() != session.StatusSucceeded {
			t.Errorf("session of %s: %+v, %v; want two files, succeeded", f.Fire, current, err)
		}
	}
	if len(seconds) < 10 || int64(len(seconds)) != last-first+1 {
		t.Errorf("%d firings of %d seconds, want one for each", len(seconds), last-first+1)
	}
	ids, err := store.Recent(t.Context(), 1000)
	if err != nil || len(ids) != len(of) {
		t.Errorf("%d sessions, %v; want one for each of %d firings", len(ids), err, len(of))
	}
	if verdict := r.sim.Verdict(); verdict.Charges != 2*len(of) {
		t.Errorf("%d charges, want one for each of two files of %d firings", verdict.Charges, len(of))
	}
}

// start runs a role until it is killed or stopped, or the test ends.
func (r *crashRig) start(role string, env ...string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.Command("segue", role)
	cmd.Dir = r.dir
	cmd.Env = append([]string{
		"HOME=" + r.dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "STUDIO_KEY=" + secretKey,
		"SEGUE_STATE_DIR=" + filepath.Join(r.dir, "state"),
	}, env...)
	log := r.file(role)
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			kill(r.t, cmd)
		}
		if said := r.content(log); r.t.Failed() {
			r.t.Logf("segue %s:\n%s", role, said)
		}
	})
	return cmd
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // it was killed
}

func stop(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v, want it to stop when told", err)
	}
}

// eventually asks until it is so.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.After(time.Minute); !holds(); {
		select {
		case <-deadline:
			t.Fatalf("a minute passed before %s", what)
		case <-ticker.C:
		}
	}
}

// TestScheduleKeepsWhatIsAsked: what is kept of a configuration's extend is what the
// files are extended with.
func TestScheduleKeepsWhatIsAsked(t *testing.T) {
	for _, c := range []struct{ name, extend, want string }{
		{"nothing", ``, `null`},
		{
			"from the end", `, extend: {continue_at: -5, model: V5, style_weight: 0, vocal_gender: f}`,
			`{"Model":"V5","ContinueAt":-5,"Instrumental":false,"Prompt":"","Style":"","Title":"","NegativeTags":"","VocalGender":"f",` +
				`"StyleWeight":0,"WeirdnessConstraint":null,"AudioWeight":null,"PersonaID":""}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "segue.yaml")
			text := "schedules: {x: {cron: '@daily', source: /x, provider: sim, timezone: Europe/Berlin" + c.extend + "}}"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			entries, err := entriesOf(loadedFrom(t, file))
			if err != nil || len(entries) != 1 {
				t.Fatalf("%d schedules, %v", len(entries), err)
			}
			asked, err := extendOf(&entries[0])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := json.Marshal(asked); err != nil || string(got) != c.want {
				t.Errorf("extend %s, %v; want %s", got, err, c.want)
			}
			if e := entries[0]; e.Name != "x" || e.Timezone != "Europe/Berlin" || e.Priority != "normal" || e.Origin != schedule.FromConfig {
				t.Errorf("schedule %+v", e)
			}
		})
	}
}

func TestUnsigned(t *testing.T) {
	for address, want := range map[string]string{
		"https://a.test/x.mp3":     "https://a.test/x.mp3",
		"https://a.test/song?id=7": "https://a.test/song?id=7",
		"https://a.test/x.mp3?X-Amz-Date=1&X-Amz-Signature=2&versionId=3":          "https://a.test/x.mp3?versionId=3",
		"https://a.test/x.mp3?Expires=1&Signature=2&Key-Pair-Id=3":                 "https://a.test/x.mp3",
		"https://a.test/x.mp3?sv=2020&sig=abc&se=2026":                             "https://a.test/x.mp3",
		"https://storage.test/x.mp3?X-Goog-Signature=1&X-Goog-Expires=2&alt=media": "https://storage.test/x.mp3?alt=media",
	} {
		if got := unsigned(address); got != want {
			t.Errorf("unsigned(%s) = %s, want %s", address, got, want)
		}
	}
}

func TestPointIn(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2026-11-22":                "2026-11-21T23:00:00Z",
		"2026-07-22T02:00":          "2026-07-22T00:00:00Z",
		"2026-11-22 02:00:30":       "2026-11-22T01:00:30Z",
		"2026-11-22T02:00:00-05:00": "2026-11-22T07:00:00Z",
	} {
		if got, err := pointIn(text, zone); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("pointIn(%s) = %s, %v, want %s", text, got, err, want)
		}
	}
}

// loadedFrom is the configuration of a file.
func loadedFrom(t *testing.T, file string) *config.Config {
	t.Helper()
	a := &app{providers: all.Providers()}
	cfg, err := config.Load(config.Options{File: file, Home: t.TempDir(), Drivers: a.drivers()})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}
