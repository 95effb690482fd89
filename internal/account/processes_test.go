package account_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/redisconn"
	"github.com/segue-audio/segue/internal/redistest"
)

// processes gives gates that share a real Redis and nothing else.
func processes(t *testing.T) (gates [2]*account.Gate, rdb redis.UniversalClient) {
	t.Helper()
	url, rdb := redistest.Server(t)
	for n := range gates {
		own, err := redisconn.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := own.Close(); err != nil {
				t.Error(err)
			}
		})
		gates[n] = account.NewGate(own)
	}
	return gates, rdb
}

// all calls f at once for each of n.
func all(n int, f func(n int)) {
	var callers sync.WaitGroup
	for k := range n {
		callers.Go(func() { f(k) })
	}
	callers.Wait()
}

// Of 64 that come at once to both processes, each twice, as many get in as there are
// slots, and each slot is given back once, however many say so.
func TestSlotsOfTwoProcesses(t *testing.T) {
	gates, _ := processes(t)
	limits := account.Limits{InFlight: 7, Stock: 5}
	var slots, freed, places, emptied atomic.Int64
	all(64, func(n int) {
		entry := fmt.Sprintf("ses_a.%d:extend:0", n)
		var in [2]int
		for k, g := range gates {
			got, err := g.Enter(t.Context(), main, "extend", limits, account.Request{Entries: []string{entry}})
			if err != nil {
				t.Errorf("Enter() = %v", err)
			}
			in[k] = len(got.Turns)
		}
		if in[0] != in[1] {
			t.Errorf("%s got in %d and %d times, want the same twice: nobody left", entry, in[0], in[1])
		}
		slots.Add(int64(in[0]))
		got, err := gates[n%2].Stocked(t.Context(), main, []string{entry}, limits)
		if err != nil {
			t.Errorf("Stocked() = %v", err)
		}
		places.Add(int64(got))
	})
	all(128, func(n int) {
		entry := fmt.Sprintf("ses_a.%d:extend:0", n%64)
		left, err := gates[n/64].Leave(t.Context(), main, entry)
		if err != nil {
			t.Errorf("Leave() = %v", err)
		}
		if left.Held {
			freed.Add(1)
		}
		left, err = gates[n/64].Unstock(t.Context(), main, entry)
		if err != nil {
			t.Errorf("Unstock() = %v", err)
		}
		if left.Held {
			emptied.Add(1)
		}
	})
	if slots.Load() != 7 || freed.Load() != 7 || places.Load() != 5 || emptied.Load() != 5 {
		t.Errorf("%d slots taken, %d given back, %d places taken, %d given back; want 7, 7, 5, 5", slots.Load(), freed.Load(), places.Load(), emptied.Load())
	}
}

func TestCanaryOfTwoProcesses(t *testing.T) {
	gates, _ := processes(t)
	limits := account.Limits{InFlight: 40}
	waiting := entries("ses_a", 16)
	if got, err := gates[0].Enter(t.Context(), main, "extend", limits, account.Request{Entries: waiting}); err != nil || len(got.Turns) != 16 {
		t.Fatalf("Enter() = %+v, %v, want 16 in", got, err)
	}
	if err := gates[0].Close(t.Context(), main, "extend", account.Pause{For: time.Hour, Code: "c"}); err != nil {
		t.Fatal(err)
	}
	if ended, err := gates[1].Expire(t.Context(), main, "extend", "c"); !ended || err != nil {
		t.Fatalf("Expire() = %v, %v, want it to end", ended, err)
	}
	var canaries atomic.Int64
	all(32, func(n int) {
		entry, g := fmt.Sprintf("ses_b.%d:extend:0", n), gates[n%2]
		if n < 16 {
			entry = waiting[n]
		} else if got, err := g.Enter(t.Context(), main, "extend", limits, account.Request{Entries: []string{entry}}); err != nil || len(got.Turns) == 0 && got.Closed == nil {
			t.Errorf("Enter() = %+v, %v, want in or closed", got, err)
		}
		for range 2 {
			got, err := g.Go(t.Context(), main, "extend", limits, entry)
			switch {
			case err != nil:
				t.Errorf("Go() = %v", err)
			case got.Canary:
				canaries.Add(1)
			case got.Closed == nil && !got.Missing:
				t.Errorf("Go() = %+v, want canary, closed or missing", got)
			}
		}
	})
	if canaries.Load() != 2 {
		t.Errorf("%d answers let a canary go, want the two of one entry", canaries.Load())
	}
}

// What Redis's clock said before and after a call bounds the true stamp: six requests
// surely within a window of five are a violation.
func TestRateOfTwoProcesses(t *testing.T) {
	gates, rdb := processes(t)
	const n, requests = 5, 32
	limits := account.Limits{Rate: account.Rate{N: n, Per: 50 * time.Millisecond}}
	clock := func() time.Time {
		now, err := rdb.Time(t.Context()).Result()
		if err != nil {
			t.Error(err)
		}
		return now
	}
	var before, after [requests]time.Time
	all(requests, func(k int) {
		g, entry := gates[k%2], fmt.Sprintf("ses_a.%d:extend:0", k)
		if got, err := g.Enter(t.Context(), main, "extend", limits, account.Request{Entries: []string{entry}, Ahead: far}); err != nil || len(got.Turns) != 1 {
			t.Errorf("Enter() = %+v, %v, want in", got, err)
		}
		for {
			before[k] = clock()
			got, err := g.Go(t.Context(), main, "extend", limits, entry)
			after[k] = clock()
			if err != nil || got.Missing || got.Closed != nil {
				t.Errorf("Go() = %+v, %v, want it to go or to wait", got, err)
				return
			}
			if got.Wait == 0 {
				return
			}
			<-time.After(got.Wait)
		}
	})
	for k := range before {
		within, end := 0, before[k].Add(limits.Rate.Per+account.Guard)
		for other := range before {
			if !before[other].Before(before[k]) && after[other].Before(end) {
				within++
			}
		}
		if within > n {
			t.Errorf("%d requests surely went between %v and %v, want at most %d", within, before[k], end, n)
		}
	}
}

// The number of commands that a paid request costs does not depend on how many wait.
func TestCostDoesNotGrow(t *testing.T) {
	var costs [2]map[string]int
	for n, waiting := range []int{1000, 20_000} {
		costs[n] = costsWith(t, waiting)
	}
	same(t, "commands of each call, with 1,000 and with 20,000 waiting", costs[1], costs[0])
	for call, commands := range costs[0] {
		if commands < 1 || commands > 24 {
			t.Errorf("%s took %d commands, want 24 at most", call, commands)
		}
	}
	t.Log(costs[0])
}

func costsWith(t *testing.T, waiting int) map[string]int {
	t.Helper()
	_, rdb := redistest.Server(t)
	g, ctx := account.NewGate(rdb), t.Context()
	limits := account.Limits{Rate: account.Rate{N: 20, Per: 10 * time.Second}, InFlight: 30_000}
	request := func(entries ...string) account.Request {
		return account.Request{Entries: entries, Ahead: 24 * time.Hour}
	}
	if got, err := g.Enter(ctx, main, "extend", limits, request(entries("ses_a", waiting)...)); err != nil || len(got.Turns) != waiting {
		t.Fatalf("Enter() = %d turns, %v, want %d", len(got.Turns), err, waiting)
	}
	all(8, func(w int) {
		for n := w; n < waiting; n += 8 {
			if _, err := g.Join(ctx, main, "extend", fmt.Sprintf("ses_%d", n), 1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var picked account.Picked
	costs := map[string]int{}
	for _, call := range []struct {
		name string
		do   func() error
	}{
		{"Enter", func() error { _, err := g.Enter(ctx, main, "extend", limits, request("ses_b.0:extend:0")); return err }},
		{"Go that waits", func() error { _, err := g.Go(ctx, main, "extend", limits, "ses_b.0:extend:0"); return err }},
		{"Go", func() error { _, err := g.Go(ctx, main, "extend", limits, "ses_a.0:extend:0"); return err }},
		{"Leave", func() error { _, err := g.Leave(ctx, main, "ses_b.0:extend:0"); return err }},
		{"Join", func() error { _, err := g.Join(ctx, main, "extend", "ses_late", 1); return err }},
		{"Pick", func() (err error) {
			picked, _, err = g.Pick(ctx, main, "extend", limits, account.Picking{Ahead: 24 * time.Hour, Limited: true})
			return err
		}},
		{"Return", func() error { return g.Return(ctx, main, "extend", picked.Session, picked.Weight, 1, true) }},
		{"Park", func() error { return g.Park(ctx, main, "ses_late", time.Minute) }},
		{"Join of what is parked", func() error { _, err := g.Join(ctx, main, "extend", "ses_late", 1); return err }},
		{"Unpark", func() error { return g.Unpark(ctx, main, "ses_late") }},
	} {
		if _, err := rdb.ScriptLoad(ctx, "return 1").Result(); err != nil { // the connection has said hello
			t.Fatal(err)
		}
		before := commands(t, rdb)
		if err := call.do(); err != nil {
			t.Fatalf("%s: %v", call.name, err)
		}
		costs[call.name] = commands(t, rdb) - before
	}
	if picked.Allowed < 1 {
		t.Errorf("Pick() = %+v, want somebody", picked)
	}
	return costs
}

// commands is how many commands Redis has executed, those of scripts included, and
// those that only a first call of a script needs left out.
func commands(t *testing.T, rdb redis.UniversalClient) int {
	t.Helper()
	info, err := rdb.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for line := range strings.SplitSeq(info, "\r\n") {
		name, rest, found := strings.Cut(line, ":calls=")
		if !found || strings.HasPrefix(name, "cmdstat_eval") || name == "cmdstat_info" {
			continue
		}
		calls, _, _ := strings.Cut(rest, ",")
		n, err := strconv.Atoi(calls)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
