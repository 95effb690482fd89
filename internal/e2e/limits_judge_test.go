//go:build unix

package e2e_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/simulator"
)

// kept holds the provider's log to the limits: no answer of 429, no window with more
// than the rate, never more in flight, and every session on the one account that it
// was bound to.
func (c *crowd) kept() {
	c.t.Helper()
	traffic := c.provider.Traffic(0)
	if traffic.Forgotten > 0 || len(traffic.Accounts) != c.accounts {
		c.t.Fatalf("%d submissions are not known any more, and %d accounts sent some; want none, and %d", traffic.Forgotten, len(traffic.Accounts), c.accounts)
	}
	for _, a := range traffic.Accounts {
		if a.Limited > 0 || a.WorstWindow > c.limit.Requests || a.MostInFlight > c.limit.InFlight {
			c.t.Errorf("account %s: %d answers of 429, %d in the worst %s (from %s), %d in flight; want 0, at most %d, at most %d",
				a.Account, a.Limited, a.WorstWindow, a.Limit.Per, a.WorstWindowAt.Format(time.StampMilli), a.MostInFlight, c.limit.Requests, c.limit.InFlight)
		}
	}
	for account, most := range atOnce(c.provider.Submissions(0)) {
		if most > c.limit.InFlight {
			c.t.Errorf("account %s: %d operations at once by their beginnings and ends, want at most %d", account, most, c.limit.InFlight)
		}
	}
	c.bound(traffic)
}

// atOnce counts, from the beginnings and ends alone, how many operations of each
// account ran at the fullest instant.
func atOnce(log []simulator.Submission) map[string]int {
	type change struct {
		at time.Time
		by int
	}
	changes := map[string][]change{}
	for _, one := range log {
		if one.Outcome != http.StatusOK {
			continue
		}
		changes[one.Account] = append(changes[one.Account], change{one.Time, 1})
		if !one.Ended.IsZero() {
			changes[one.Account] = append(changes[one.Account], change{one.Ended, -1})
		}
	}
	most := map[string]int{}
	for account, all := range changes {
		// What ends in an instant makes room for what begins in it.
		slices.SortFunc(all, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), a.by-b.by) })
		running := 0
		for _, one := range all {
			running += one.by
			most[account] = max(most[account], running)
		}
	}
	return most
}

// bound holds every session to one account, and the accounts of the configuration to
// those of the provider: two of one are not two of the other.
func (c *crowd) bound(traffic simulator.Traffic) {
	c.t.Helper()
	seen := map[string]simulator.MarkerTraffic{}
	for _, m := range traffic.Markers {
		seen[m.Marker] = m
	}
	theirs, ours := map[string]string{}, map[string]string{}
	for _, b := range c.batches {
		m := seen[b.title]
		if len(m.Accounts) != 1 || m.Accepted != b.items {
			c.t.Errorf("%s: %d accepted, submissions by account %v; want %d, from one", b.title, m.Accepted, m.Accounts, b.items)
			continue
		}
		for account := range m.Accounts {
			own := b.status.Account
			if known, other := theirs[own], ours[account]; known != "" && known != account || other != "" && other != own {
				c.t.Errorf("%s is bound to %s and came from %s; that was %s, and %s was %s", b.title, own, account, known, account, other)
			}
			theirs[own], ours[account] = account, own
		}
		c.t.Logf("%s: %d items on %s, first seen by the provider %s after they were submitted, last %s, over after %s", b.title, b.items, b.status.Account,
			m.First.Sub(b.submitted).Round(time.Millisecond), m.Last.Sub(b.submitted).Round(time.Millisecond), b.took.Round(time.Millisecond))
	}
}

// steady is from how many windows on the rate that was used is judged: the burst that
// any beginning allows, and the one that any end cuts short, are then a small part.
const steady = 40

// used says how much of the rate was used while work was waiting, which the long form
// demands to be nearly all.
func (c *crowd) used(after int) {
	c.t.Helper()
	for _, a := range c.provider.Traffic(after).Accounts {
		c.t.Logf("account %s: %d operations at %.3f/s, %.1f %% of the rate; %d in the worst window, %d in flight",
			a.Account, a.Outcomes[http.StatusOK], a.PerSecond, 100*a.Used, a.WorstWindow, a.MostInFlight)
		if c.long && a.Last.Sub(a.First) >= steady*time.Duration(c.limit.Per) && a.Used < 0.95 {
			c.t.Errorf("account %s: %.1f %% of the rate was used from %s to %s, want at least 95", a.Account, 100*a.Used, a.First, a.Last)
		}
	}
}

// reopened holds what each account sent during the maintenance to what the provider
// asked for, and the way back to one item first. over is when the maintenance was. An
// account may have kept still because another one was refused.
func (c *crowd) reopened(over time.Time) {
	c.t.Helper()
	by := map[string][]simulator.Submission{}
	for _, one := range c.provider.Submissions(0) {
		by[one.Account] = append(by[one.Account], one)
	}
	met := 0
	for account, sent := range by {
		slices.SortStableFunc(sent, func(a, b simulator.Submission) int { return a.Time.Compare(b.Time) })
		first := slices.IndexFunc(sent, func(s simulator.Submission) bool { return s.Outcome == 455 })
		if first < 0 {
			c.t.Logf("account %s was told by others", account)
			continue
		}
		met++
		// What had been on its way when the first answer came.
		wave, rest := onTheirWay(sent[first:], sent[first].Time.Add(c.asks/2))
		open := slices.IndexFunc(rest, func(s simulator.Submission) bool { return s.Outcome == http.StatusOK })
		if open < 0 {
			c.t.Errorf("account %s: nothing was accepted after the maintenance", account)
			continue
		}
		c.oneByOne(account, wave, rest, open)
		c.t.Logf("account %s: %d refused at once, then %d one by one; open %s after the end", account, len(wave), open, rest[open].Time.Sub(over).Round(time.Millisecond))
		c.full(account, rest[open:], over)
	}
	if met == 0 {
		c.t.Error("no account met the maintenance: there was nothing to see")
	}
}

// onTheirWay divides what was refused into what arrived before a moment and the rest.
func onTheirWay(sent []simulator.Submission, until time.Time) (before, after []simulator.Submission) {
	n := slices.IndexFunc(sent, func(s simulator.Submission) bool { return s.Arrived.After(until) })
	if n < 0 {
		return sent, nil
	}
	return sent[:n], sent[n:]
}

// oneByOne checks the canaries: none sooner than the provider asked for, none beside
// another, and nothing beside the one that was accepted.
func (c *crowd) oneByOne(account string, wave, rest []simulator.Submission, open int) {
	c.t.Helper()
	last := wave[len(wave)-1]
	var soon, beside []string
	for n, one := range rest[:open+1] {
		if waited := one.Arrived.Sub(last.Time); waited < c.asks {
			soon = append(soon, fmt.Sprintf("submission %d, %s after the answer before it", one.Seq, waited))
		}
		for _, other := range rest[n+1:] {
			if other.Arrived.Before(one.Time) {
				beside = append(beside, fmt.Sprintf("submission %d, before %d was answered", other.Seq, one.Seq))
			}
		}
		last = one
	}
	if len(soon) > 0 {
		c.t.Errorf("account %s: %d came sooner than the %s that the provider asked for, such as %s", account, len(soon), c.asks, soon[0])
	}
	if len(beside) > 0 {
		c.t.Errorf("account %s: %d came beside the one that was to go first, such as %s", account, len(beside), beside[0])
	}
}

// full measures how soon after the end the rate was used in full again: when the first
// stretch began in which that was so. The long form allows 15 s.
func (c *crowd) full(account string, sent []simulator.Submission, over time.Time) {
	c.t.Helper()
	var recent []simulator.Submission
	for _, one := range sent {
		recent = append(recent, one)
		for one.Time.Sub(recent[0].Time) >= time.Duration(c.limit.Per) {
			recent = recent[1:]
		}
		if len(recent) == c.limit.Requests {
			took := recent[0].Time.Sub(over)
			c.t.Logf("account %s: the full rate %s after the end", account, took.Round(time.Millisecond))
			if c.long && took > 15*time.Second {
				c.t.Errorf("account %s: the full rate %s after the end, want at most 15s", account, took)
			}
			return
		}
	}
	c.t.Logf("account %s: the rate was not used in full after the end", account)
}

// spentNoRetry looks through asynq's queues for retries, and for tasks that were given
// up. Its counters also know of tasks that are long forgotten.
func spentNoRetry(ctx context.Context, t testing.TB, rdb redis.UniversalClient) {
	t.Helper()
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	queues, err := inspector.Queues()
	if err != nil {
		t.Fatal(err)
	}
	var retried []*asynq.TaskInfo
	for _, queue := range queues {
		info, err := inspector.GetQueueInfo(queue)
		if err != nil {
			t.Fatal(err)
		}
		if info.FailedTotal > 0 || info.Archived > 0 || info.Paused {
			t.Errorf("queue %s: %d attempts failed, %d tasks archived, paused %t; want 0, 0, false", queue, info.FailedTotal, info.Archived, info.Paused)
		}
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
			inspector.ListPendingTasks, inspector.ListActiveTasks, inspector.ListScheduledTasks, inspector.ListRetryTasks, inspector.ListCompletedTasks,
		} {
			for _, task := range listed(ctx, t, queue, list) {
				if task.Retried > 0 {
					retried = append(retried, task)
				}
			}
		}
	}
	for _, task := range retried[:min(len(retried), 3)] {
		t.Errorf("one of %d tasks that spent retries, and none should: %s spent %d (%s)", len(retried), task.ID, task.Retried, task.LastErr)
	}
}

// listed reads all pages of a list. Tasks that move meanwhile may be missing.
func listed(ctx context.Context, t testing.TB, queue string, list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error)) []*asynq.TaskInfo {
	t.Helper()
	const size = 1000
	var all []*asynq.TaskInfo
	for page := 1; ctx.Err() == nil; page++ {
		some, err := list(queue, asynq.PageSize(size), asynq.Page(page))
		if errors.Is(err, asynq.ErrQueueNotFound) {
			return nil
		}
		if err != nil {
			t.Errorf("list of %s: %v", queue, err)
			return all
		}
		all = append(all, some...)
		if len(some) < size {
			return all
		}
	}
	return all
}

// hurry forwards sleeping tasks as a worker does whose clock is fast by lead: what is
// due by that clock runs now. It ends with the test.
func hurry(t testing.TB, rdb redis.UniversalClient, lead time.Duration) {
	t.Helper()
	// As often as a forwarder of asynq's can be set to; KIE bears three questions a
	// second about an operation, and each round of this may cause one.
	ticker := time.NewTicker(time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	woken := 0
	go func() {
		defer close(ended)
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				woken += forward(ctx, t, inspector, time.Now().Add(lead))
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		ticker.Stop()
		<-ended
		if woken == 0 {
			t.Error("the fast clock woke nothing early: there was nothing to see")
		}
		t.Logf("the fast clock woke %d tasks", woken)
	})
}

// forward runs what is due by a time, and counts it.
func forward(ctx context.Context, t testing.TB, inspector *asynq.Inspector, due time.Time) (woken int) {
	queues, err := inspector.Queues()
	if err != nil && ctx.Err() == nil {
		t.Errorf("queues: %v", err)
	}
	for _, queue := range queues {
		for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){inspector.ListScheduledTasks, inspector.ListRetryTasks} {
			for _, task := range listed(ctx, t, queue, list) {
				if task.NextProcessAt.After(due) {
					continue
				}
				// One that has gone its way meanwhile is none to be woken.
				if inspector.RunTask(queue, task.ID) == nil {
					woken++
				}
			}
		}
	}
	return woken
}

// seedWhere finds a seed by which the simulator does what is wanted.
func seedWhere(t testing.TB, wanted func(*simulator.Simulator) bool) string {
	t.Helper()
	for seed := int64(1); seed < 100; seed++ {
		sim, err := simulator.New(simulator.Options{Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		found := wanted(sim)
		if err := sim.Close(); err != nil {
			t.Fatal(err)
		}
		if found {
			return strconv.FormatInt(seed, 10)
		}
	}
	t.Fatal("no seed does what is wanted")
	return ""
}

func answered(t testing.TB, sim *simulator.Simulator, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	sim.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody))
	return answer
}
