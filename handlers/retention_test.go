package handlers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// vault is where a provider keeps its results: each for so long, and none can be had
// while it is closed. It keeps its own log.
type vault struct {
	shelf
	opens time.Time
	keeps time.Duration
	takes time.Duration // a download

	tape   sync.Mutex
	made   map[string]time.Time // by operation
	late   []string
	tried  int
	waited time.Duration // the longest between two attempts of one result, while closed
	last   map[string]time.Time
}

func (v *vault) Keep(ctx context.Context, w archive.Want) (*archive.Kept, error) {
	if err := v.ask(w); err != nil {
		return nil, err
	}
	time.Sleep(v.takes)
	return v.shelf.Keep(ctx, w)
}

func (v *vault) ask(w archive.Want) error {
	v.tape.Lock()
	defer v.tape.Unlock()
	now := time.Now()
	if before, ok := v.last[w.Key]; ok {
		v.waited = max(v.waited, now.Sub(before))
	}
	if now.Before(v.opens) {
		v.tried++
		v.last[w.Key] = now
		return fault.Uncharged(fault.Unavailable, "archive.Keep", errors.New("503"))
	}
	delete(v.last, w.Key)
	op := strings.TrimSuffix(w.Key, "-a")
	if made, ok := v.made[op]; !ok || now.Sub(made) > v.keeps {
		v.late = append(v.late, w.Key)
		return fault.Uncharged(fault.NotFound, "archive.Keep", errors.New("410"))
	}
	return nil
}

// taped notes when operations ended.
type taped struct {
	*strict
	vault *vault
}

func (d taped) Poll(ctx context.Context, op *provider.Operation) (*provider.State, error) {
	state, err := d.strict.Poll(ctx, op)
	if err == nil && state.Done {
		d.vault.tape.Lock()
		if _, ok := d.vault.made[op.ID]; !ok {
			d.vault.made[op.ID] = time.Now()
		}
		d.vault.tape.Unlock()
	}
	return state, err
}

// TestOutageOfDays plays the tape of an outage of 13.5 days at a provider that keeps its
// results for 14, 1,920 times as fast: what it made is three days' work to fetch, half of it
// is from the first two days, and the first of it has half a day left. All of them can be
// saved by who fetches first what is deleted first, and by nobody else.
func TestOutageOfDays(t *testing.T) {
	if underRace {
		t.Skip("two weeks take minutes under the race detector: make test runs it without")
	}
	synctest.Test(t, func(t *testing.T) {
		const (
			day   = 24 * time.Hour / 1920
			songs = 120
		)
		handlers.RetryFetches(t, 10*time.Second)
		start := time.Now()
		v := &vault{
			shelf: shelf{kept: map[string]string{}, files: map[string]string{}},
			opens: start.Add(27 * day / 2), keeps: 14 * day, takes: 3 * day * 8 / songs,
			made: map[string]time.Time{}, last: map[string]time.Time{},
		}
		vendor := &strict{limits: provider.Limits{Submit: provider.Rate{N: 100, Per: time.Second}, InFlight: 1000}, takes: 5 * time.Second}
		w := newTownOf(t, 2, vendor, func(h *handlers.Handlers, info provider.Info) {
			info.Retention = v.keeps
			h.Archive = func(string) (archive.Archive, error) { return v, nil }
			h.Accounts = account.NewPool(func(name, acc string) (*account.Account, error) {
				return &account.Account{Provider: name, Name: acc, Info: info, Driver: taped{vendor, v}}, nil
			})
		})
		defer w.stop()
		var ids []string
		for n := range 24 { // more come all the time
			many := 3
			if n < 4 {
				many = 15
			}
			ids = append(ids, w.submit(fmt.Sprint("tape-", n), many))
			time.Sleep(13 * day / 24)
		}
		for _, id := range ids {
			w.wait(id)
		}
		if len(v.late) != 0 {
			t.Errorf("%d results were asked for when they were deleted, the first %s: all could have been saved", len(v.late), v.late[0])
		}
		if len(v.kept) != songs {
			t.Errorf("%d results are archived, want %d", len(v.kept), songs)
		}
		if v.tried == 0 {
			t.Error("nobody tried while the provider was down")
		}
		t.Logf("%d attempts while it was down, at most %s apart", v.tried, v.waited)
	})
}

// TestAlarms: one line per session and level, an error when hardly any time is left, and
// none once the results are there.
func TestAlarms(t *testing.T) {
	r := newRig(t)
	var said bytes.Buffer
	r.make = quietly(r, r.make, &said)
	r.restart()
	id := r.submit(2, session.Spec{})
	for range 4 {
		for index := range 2 {
			if task, ok := r.next(id, index); ok {
				if err := r.deliver(task); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	look := func(days float64) string {
		t.Helper()
		said.Reset()
		r.pass(time.Duration(days * 24 * float64(time.Hour)))
		for range 2 {
			if err := r.h.Sweep(t.Context(), tasks.Sweep{V: 1, Slot: 30}); err != nil {
				t.Fatal(err)
			}
		}
		var lines []string
		for line := range strings.Lines(said.String()) {
			if strings.Contains(line, "results are not archived") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	for _, c := range []struct {
		days float64
		want string // what the only line says; empty is none
	}{
		{6.9, ""},
		{0.2, "level=WARN msg=\"results are not archived, and their provider will delete them\" session=" + id + " items=2 percent_of_retention=50"},
		{1, ""},
		{3.2, "percent_of_retention=80"},
		{2.1, "level=ERROR msg=\"results are not archived, and their provider will delete them\" session=" + id + " items=2 percent_of_retention=95"},
		{0.1, ""},
	} {
		got := look(c.days)
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) || strings.Count(got, "\n") > 1 {
			t.Errorf("after another %g days the log says %q, want one line with %q", c.days, got, c.want)
		}
	}
	late, err := r.h.Retention.Late(t.Context(), "vendor", r.info.Retention, r.clock)
	if err != nil || fmt.Sprint(late) != "[2 2 2]" {
		t.Errorf("late %v, %v; want 2 at every level", late, err)
	}
	r.carryOn(id)
	late, err = r.h.Retention.Late(t.Context(), "vendor", r.info.Retention, r.clock)
	if err != nil || fmt.Sprint(late) != "[0 0 0]" {
		t.Errorf("late %v, %v after they were archived; want none", late, err)
	}
}

// quietly gives workers a log, the book of deadlines, and an account to announce.
func quietly(r *rig, plain func() *handlers.Handlers, said *bytes.Buffer) func() *handlers.Handlers {
	return func() *handlers.Handlers {
		h := plain()
		h.Log = slog.New(slog.NewTextHandler(said, nil))
		h.Retention = retention.NewBook(r.rdb)
		h.Announced = func() []account.Known {
			return []account.Known{{ID: account.ID{Provider: "vendor", Name: "main"}, Endpoint: account.KindExtend}}
		}
		return h
	}
}

// TestRetriesDoNotMissTheEnd: whatever the other side asks for, the next attempt comes
// long before the results are deleted.
func TestRetriesDoNotMissTheEnd(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	for range 4 {
		task, _ := r.next(id, 0)
		if err := r.deliver(task); err != nil {
			t.Fatal(err)
		}
	}
	r.pass(14*24*time.Hour - 2*time.Hour)
	fetch, _ := r.next(id, 0)
	r.shelf.fails = []error{&fault.Error{Code: fault.Unavailable, Op: "archive.Keep", RetryAfter: 24 * time.Hour, Err: errors.New("503")}}
	err := r.deliver(fetch)
	if delay := handlers.RetryDelay(0, err, nil); delay > 7*time.Minute {
		t.Errorf("two hours before the end the next attempt is in %s, want 6 minutes at most", delay)
	}
}
