//go:build unix

package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/e2e/proctest"
	"github.com/segue-audio/segue/internal/simulator"
)

var (
	limitsItems    = flag.Int("limits.items", 0, "the long form of TestLimits and TestMaintenance, at KIE's own limits: how many items (the evidence: 5000)")
	limitsWorkers  = flag.Int("limits.workers", 8, "how many workers the long form has")
	limitsAccounts = flag.Int("limits.accounts", 3, "how many accounts the long form has")
)

// scale is how much of everything there is.
type scale struct {
	// long forms measure; short ones hold no clock against anybody.
	long                     bool
	items, workers, accounts int
	limit                    simulator.Limit
	// extend is how long an operation takes.
	extend time.Duration
	// patience is how long a session may take.
	patience time.Duration
	// maintenance is how long the provider refuses everything, and asks is the
	// Retry-After of that.
	maintenance, asks time.Duration
}

func scaled() scale {
	if *limitsItems == 0 {
		return scale{
			// Operations so long that fewer may run than the rate would start, and that
			// nobody has to ask about one more often than KIE bears.
			items: 40, workers: 2, accounts: 2, limit: limit(5, 2*time.Second, 12), extend: 6 * time.Second,
			patience: 2 * time.Minute, maintenance: 12 * time.Second, asks: 3 * time.Second,
		}
	}
	return scale{
		long: true, items: *limitsItems, workers: *limitsWorkers, accounts: *limitsAccounts,
		limit: limit(20, 10*time.Second, 100), extend: 20 * time.Second,
		// Two operations a second and account, and half an hour for what nobody foresees.
		patience:    time.Duration(*limitsItems / *limitsAccounts / 2)*time.Second + 30*time.Minute,
		maintenance: time.Minute, asks: 10 * time.Second,
	}
}

func limit(requests int, span time.Duration, inFlight int) simulator.Limit {
	return simulator.Limit{Requests: requests, Per: simulator.Span(span), InFlight: inFlight}
}

// TestLimits has many sessions share a few accounts, and asks the provider what it
// saw of them: never an operation more than it allows, all of what it allows in the
// long form, and every session on one account. A small session does not wait for the
// large one before it.
//
// The second time over, one worker's clock is five minutes fast, as far as asynq's
// forwarding of sleeping tasks goes: that may wake work early, and nothing more.
func TestLimits(t *testing.T) {
	sc := scaled()
	for _, tt := range []struct {
		name string
		lead time.Duration
	}{{"clocks agree", 0}, {"a clock five minutes fast", 5 * time.Minute}} {
		t.Run(tt.name, func(t *testing.T) {
			if !sc.long {
				t.Parallel()
			}
			c := crowded(t, sc)
			if tt.lead > 0 {
				hurry(t, c.rdb, tt.lead)
			}
			alone := c.awaited(c.submit("alone", c.account(0), 3))
			before := len(c.provider.Submissions(0))
			each := sc.items / (2 * sc.accounts)
			for n := range sc.accounts {
				c.submit(fmt.Sprintf("large %d", n), c.account(n), each)
				c.submit(fmt.Sprintf("also large %d", n), c.account(n), each)
			}
			for n := range sc.accounts {
				c.submit(fmt.Sprintf("anywhere %d", n), "", 3)
			}
			behind := c.awaited(c.submit("behind", c.account(0), 3))
			t.Logf("a session of 3 took %s alone and %s behind %d items", alone.took, behind.took, 2*each)
			if sc.long && behind.took > 3*alone.took {
				t.Errorf("a session of 3 took %s behind others and %s alone; want at most 3 times as long", behind.took, alone.took)
			}
			c.finish()
			c.kept()
			c.used(before)
		})
	}
}

// TestMaintenance has the provider answer 455 for a while in the middle of the work.
// That fails no item and spends no retry. Nobody asks again sooner than the provider
// wants, then one item goes first, and when it was taken on the others follow.
func TestMaintenance(t *testing.T) {
	sc := scaled()
	if !sc.long {
		t.Parallel()
	}
	if sc.items = 15 * sc.accounts; sc.long {
		sc.items = 100 * sc.accounts
	}
	c := crowded(t, sc, "--seed", seedByStatus(t))
	for n := range sc.accounts {
		c.submit(fmt.Sprintf("maintained %d", n), c.account(n), sc.items/sc.accounts)
	}
	c.provider.AwaitCharges(3 * sc.accounts)
	c.provider.Cast(simulator.Spell{
		Endpoint: "kie.extend", Kind: simulator.Maintenance, For: simulator.Span(sc.maintenance), RetryAfter: simulator.Span(sc.asks),
	})
	over := time.Now().Add(sc.maintenance)
	c.finish()
	c.kept()
	c.reopened(over)
}

// seedByStatus finds a seed by which the simulator's KIE refuses with statuses of
// HTTP, which is where Retry-After counts.
func seedByStatus(t testing.TB) string {
	t.Helper()
	return seedWhere(t, func(sim *simulator.Simulator) bool {
		return answered(t, sim, http.MethodGet, "/kie/api/v1/chat/credit").Code == http.StatusUnauthorized
	})
}

// batch is a session of this test.
type batch struct {
	title, id string
	items     int
	songs     []song
	submitted time.Time
	// took is from before the submission to when the session was seen to be over.
	took   time.Duration
	status *status
}

// crowd is an installation with workers, several accounts and sessions.
type crowd struct {
	*system
	scale
	batches []*batch
	made    int // songs so far
}

// crowded starts everything: the provider, with its limits, and workers that are
// configured to keep to them.
func crowded(t testing.TB, sc scale, simulated ...string) *crowd {
	t.Helper()
	binary := program(t)
	if sc.long {
		shipped, err := asShipped()
		if err != nil {
			t.Fatal(err)
		}
		binary = shipped
	}
	c := &crowd{scale: sc, system: installed(t, binary, setup{
		poll: "2s", accounts: sc.accounts - 1,
		limits:    fmt.Sprintf("submit: %d/%s, in_flight: %d", sc.limit.Requests, sc.limit.Per, sc.limit.InFlight),
		simulator: append([]string{"--extend-time", sc.extend.String(), "--track-scale", "0.001"}, simulated...),
	})}
	c.provider.Limit("kie", sc.limit)
	for n := range sc.workers {
		c.worker(fmt.Sprintf("worker %d", n))
	}
	return c
}

// account names the n-th account.
func (c *crowd) account(n int) string {
	if n == 0 {
		return "main"
	}
	return fmt.Sprintf("account%d", n-1)
}

// submit enqueues songs that nobody has heard before, under a title of their own, by
// which the provider knows the session.
func (c *crowd) submit(title, account string, items int) *batch {
	c.t.Helper()
	b := &batch{title: title, items: items}
	dir := c.t.TempDir()
	for n := range items {
		c.made++
		b.songs = append(b.songs, proctest.Write(c.t, dir, fmt.Sprintf("%06d.wav", n), proctest.Tone(c.made, 2)))
	}
	wishes := []string{"--extend", "--continue-at", "-1", "--title", title, "--style", "ambient", "--instrumental"}
	if account != "" {
		wishes = append(wishes, "--account", account)
	}
	b.submitted = time.Now()
	b.id = c.submitTo("kie", wishes, []song{{Path: dir}})
	c.batches = append(c.batches, b)
	return b
}

// awaited stays until a session is over.
func (c *crowd) awaited(b *batch) *batch {
	c.t.Helper()
	out := c.run(c.patience+time.Minute, "status", "--watch", "--json", "--timeout", c.patience.String(), b.id)
	b.took = time.Since(b.submitted)
	if out.code != 0 {
		c.t.Fatalf("%s: status --watch: exit code %d, want 0\n%s\n%s", b.title, out.code, proctest.Tail(out.stdout, 60), out.stderr)
	}
	b.status = proctest.Decode(c.t, out.stdout)
	return b
}

// finish stays until all sessions are over, and holds them to what was promised:
// every item succeeded, was paid for once, and cost no retry.
func (c *crowd) finish() {
	c.t.Helper()
	total := 0
	results := map[string]bool{}
	for _, b := range c.batches {
		if b.status == nil {
			c.awaited(b)
		}
		total += b.items
		if n := b.status.Counts; b.status.Status != "succeeded" || n.Total != b.items || n.Succeeded != b.items {
			c.t.Errorf("%s: status %q, counts %+v; want all of %d succeeded", b.title, b.status.Status, n, b.items)
		}
		for _, id := range b.status.AudioIDs {
			results[id] = true
		}
	}
	if len(results) != 2*total {
		c.t.Errorf("%d different audioIds of %d items, want 2 each", len(results), total)
	}
	judged(c.t, c.provider.Verdict(), total)
	book := c.provider.Book()
	for _, b := range c.batches {
		for _, s := range b.songs {
			if n := len(book[job{SHA256: s.SHA256, Endpoint: "kie.extend"}]); n != 1 {
				c.t.Errorf("%s of %s was charged %d times, want once", s.Path, b.title, n)
			}
		}
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	spentNoRetry(ctx, c.t, c.rdb)
}
