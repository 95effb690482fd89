package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider/all"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/simulator"
)

// studio is a simulator and a real Redis, for processes that share both.
type studio struct {
	t     *testing.T
	sim   *simulator.Simulator
	base  string
	redis string
	rdb   redis.UniversalClient
}

func newStudio(t *testing.T) *studio {
	t.Helper()
	sim, err := simulator.New(simulator.Options{Seed: 1, NoFetch: true, UploadTime: simulator.Timing{Mean: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
	})
	url, rdb := redistest.Server(t)
	return &studio{t, sim, server.URL, url, rdb}
}

// open is one process's view of it, with more lines for its one account.
func (s *studio) open(account string) *system {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "segue.yaml")
	text := fmt.Sprintf("redis: {url: %q}\nstate_dir: %q\nworker: {concurrency: {upload: 50}}\n"+
		"providers: {studio: {driver: sim, base_url: %s/mountsea, poll: {min: 100ms, max: 300ms}, accounts: {main: {api_key: k%s}}}}\n",
		s.redis, s.t.TempDir(), s.base, account)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	a := &app{environment: environment{environ: []string{"HOME=" + s.t.TempDir()}, stdout: io.Discard, stderr: io.Discard}, providers: all.Providers()}
	root := a.root() // it sets the flags to their defaults
	a.configFile = file
	cfg, err := a.load(root)
	if err != nil {
		s.t.Fatal(err)
	}
	sys, err := a.open(s.t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := sys.close(); err != nil {
			s.t.Error(err)
		}
	})
	return sys
}

// work runs a process's workers until the returned function is called, or the test
// ends.
func (s *studio) work(account string) (stop func()) {
	sys := s.open(account)
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sys.work(ctx, nil) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// submit submits songs that are somewhere on the web.
func (s *studio) submit(sys *system, n int) string {
	s.t.Helper()
	items := make([]enqueue.Item, n)
	for i := range items {
		items[i] = enqueue.Item{
			Source: fmt.Sprintf("https://songs.example.com/%d.mp3", i),
			Known:  enqueue.Audio{Format: "mp3", Duration: time.Minute, SHA256: fmt.Sprintf("%064d", i)},
		}
	}
	submitted, err := sys.client.Submit(s.t.Context(), enqueue.Session{Provider: "studio", Account: "main", Items: items})
	if err != nil {
		s.t.Fatal(err)
	}
	return submitted.SessionID
}

// await waits until a session is as it should be.
func (s *studio) await(sys *system, id, what string, so func(current *session.Session, unpaid int) bool) {
	s.t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(60 * time.Second)
	for {
		current, err := sys.store.Session(s.t.Context(), id)
		if err != nil {
			s.t.Fatal(err)
		}
		waiting, trouble := 0, ""
		err = sys.store.Each(s.t.Context(), id, 0, 0, func(it *session.Item) error {
			waiting += count(unpaid(it))
			if it.Failure != nil {
				trouble = it.Failure.Reason
			}
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
		if so(current, waiting) {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			s.t.Fatalf("%s: not within a minute; it stands at %v with %d unpaid; %s", what, current.Counts, waiting, trouble)
		}
	}
}

// TestBudgetsHoldAtAnyConcurrency lets 200 workers in four processes have 300 songs
// and a budget for 100 of them (P7), and raises it afterwards.
func TestBudgetsHoldAtAnyConcurrency(t *testing.T) {
	const songs, price, budget = 300, 2.0, 200.0
	s := newStudio(t)
	sys := s.open(", budget: 200")
	id := s.submit(sys, songs)
	watching, watched := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for watching.Err() == nil {
			state, err := sys.ledger.State(watching, ledger.Account{Provider: "studio", Name: "main"})
			if err == nil && state.Spent+state.Reserved > budget {
				t.Errorf("%v spent and %v reserved, at most %v are allowed", state.Spent, state.Reserved, budget)
			}
		}
	})
	var stops []func()
	for range 4 {
		stops = append(stops, s.work(", budget: 200"))
	}
	// The session is parked with the first that is refused: the others are not tried.
	s.await(sys, id, "100 songs are paid for, and 200 wait", func(current *session.Session, unpaid int) bool {
		return current.Counts["succeeded"] == 100 && current.Counts["upload.queued"] == 200 && unpaid > 0
	})
	for _, stop := range stops {
		stop()
	}
	watched()
	wg.Wait()
	if verdict := s.sim.Verdict(); verdict.Charges != 100 || verdict.ExtraCharges != 0 {
		t.Errorf("%d charges, %d of them extra; want 100 and none", verdict.Charges, verdict.ExtraCharges)
	}
	state, err := sys.ledger.State(t.Context(), ledger.Account{Provider: "studio", Name: "main"})
	if err != nil || state.Spent != budget || state.Reserved != 0 {
		t.Errorf("the books say %+v, %v; want 200 spent, and nothing reserved", state, err)
	}

	// A higher budget and the command again: at once, not when the tasks wake.
	raised := s.open(", budget: 600")
	if err := raised.resume(t.Context(), id, 0, false); err != nil {
		t.Fatal(err)
	}
	stop := s.work(", budget: 600")
	s.await(sys, id, "all songs are paid for", func(current *session.Session, _ int) bool { return current.Counts["succeeded"] == songs })
	stop()
	if verdict := s.sim.Verdict(); verdict.Charges != songs || verdict.ExtraCharges != 0 {
		t.Errorf("%d charges, %d of them extra; want %d and none", verdict.Charges, verdict.ExtraCharges, songs)
	}
}

// calls is how often Redis was asked to do something since its counts were reset.
func calls(t *testing.T, rdb redis.UniversalClient, command string) string {
	t.Helper()
	info, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^cmdstat_` + command + `:calls=(\d+),`).FindStringSubmatch(info)
	if found == nil {
		return "0"
	}
	return found[1]
}

// many writes a session of so many items that wait, and nothing on the queue.
func (s *studio) many(sys *system, songs int) string {
	s.t.Helper()
	id, err := session.NewID()
	if err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := sys.store.Create(s.t.Context(), session.Spec{ID: id, Provider: "studio", Account: "main"}, false); err != nil {
		s.t.Fatal(err)
	}
	batch := make([]session.New, 500)
	for from := 0; from < songs; from += len(batch) {
		for n := range batch {
			name := fmt.Sprintf("songs/%d.mp3", from+n)
			batch[n].Item = session.NewItem(session.Source{Name: name, Path: "/srv/" + name, Format: "mp3", Duration: 180}, session.PlanFor(true), nil)
		}
		if _, err := sys.store.Add(s.t.Context(), id, from, batch, time.Minute); err != nil {
			s.t.Fatal(err)
		}
	}
	if _, err := sys.store.Seal(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// TestCancelingIsOneWrite stops 100,000 waiting items by what stops one.
func TestCancelingIsOneWrite(t *testing.T) {
	const songs = 100_000
	s := newStudio(t)
	sys := s.open("")
	id := s.many(sys, songs)
	if err := s.rdb.ConfigResetStat(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	// The script is not yet known to this server: the client first tries its digest.
	if err := sys.app.stop(t.Context(), sys, id); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, command := range []string{"eval", "evalsha", "hset", "hsetnx", "hget", "hmget", "hgetall", "zadd", "zrem", "hincrby"} {
		if n := calls(t, s.rdb, command); n != "0" {
			got[command] = n
		}
	}
	// evalsha and eval: the cancel, and the act for the audit; what they call is counted too.
	want := map[string]string{"evalsha": "2", "eval": "2", "hset": "1", "hsetnx": "2"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("canceling took %v, want %v", got, want)
	}
	current, err := sys.store.Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if tally := current.Tally(); tally != (session.Tally{Total: songs, Canceled: songs}) || current.Status() != session.StatusCanceled {
		t.Errorf("the session is %s with %+v, want all of its items canceled at once", current.Status(), tally)
	}
}

// TestSimWithoutBalances is a provider that does not say what is left.
func TestSimWithoutBalances(t *testing.T) {
	for flags, want := range map[string]int{"": http.StatusOK, "--no-balance": http.StatusNotFound} {
		ctx, stop := context.WithCancel(t.Context())
		out, in := io.Pipe()
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, environment{
				args: append([]string{"sim", "--addr", "127.0.0.1:0"}, strings.Fields(flags)...), stdout: in, stderr: io.Discard,
			})
			_ = in.Close() // ends the reading; it cannot fail
		}()
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatalf("sim %s printed nothing", flags)
		}
		url := strings.TrimPrefix(lines.Text(), "url ") + "/mountsea-credits/api-user/credits"
		go func() { _, _ = io.Copy(io.Discard, out) }() // what else it says
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Api-Key", "any")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		if answer.StatusCode != want {
			t.Errorf("with %q, %s answers %d, want %d", flags, url, answer.StatusCode, want)
		}
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("exit code %d, want 0", code)
		}
	}
}
