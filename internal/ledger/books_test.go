package ledger_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/redistest"
)

var other = ledger.Account{Provider: "kkiai", Name: "second"}

// noon is the time of tests that move the clock themselves.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func stale(t *testing.T, b *ledger.Book, limit int) []string {
	t.Helper()
	list, err := b.Stale(t.Context(), main, limit)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(list))
	for n, o := range list {
		names[n] = fmt.Sprintf("%v %v", o.Entry, o.Credits)
	}
	return names
}

func TestStale(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	b := ledger.New(rdb)
	steps := []struct {
		after time.Duration
		do    func() error
		limit int
		want  []string
	}{
		{0, nil, 10, []string{}},
		{29 * time.Second, nil, 10, []string{}},
		{30 * time.Second, nil, 2, []string{"ses_a.0:extend:0 12", "ses_a.1:extend:0 13"}},
		{31 * time.Second, nil, 10, []string{"ses_a.2:extend:0 14", "ses_a.3:extend:0 15"}},
		{32 * time.Second, nil, 10, []string{}}, // another sweep has them
		{33 * time.Second, func() error {
			return errors.Join(
				b.Settle(t.Context(), main, entry(0), 12),
				b.Release(t.Context(), main, entry(1)),
				b.Keep(t.Context(), main, entry(2), time.Hour),
				b.Keep(t.Context(), main, entry(9), time.Second), // not open: kept nowhere
			)
		}, 10, []string{}},
		{2 * time.Minute, nil, 10, []string{"ses_a.3:extend:0 15"}},
		{2 * time.Hour, nil, 10, []string{"ses_a.3:extend:0 15", "ses_a.2:extend:0 14"}},
	}
	clock.SetTime(noon)
	for index := range 4 {
		reserve(t, b, index, float64(12+index))
	}
	for _, step := range steps {
		clock.SetTime(noon.Add(step.after))
		if step.do != nil {
			if err := step.do(); err != nil {
				t.Fatal(err)
			}
		}
		if diff := gocmp.Diff(step.want, stale(t, b, step.limit)); diff != "" {
			t.Errorf("after %v (-want +got):\n%s", step.after, diff)
		}
	}
}

// A sweep read the item before a worker claimed it, and acts after: what the worker
// has reserved meanwhile stays.
func TestLapseYieldsToReserve(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	b := ledger.New(rdb)
	clock.SetTime(noon)
	reserve(t, b, 0, 12)
	reserve(t, b, 1, 12)
	clock.SetTime(noon.Add(time.Minute))
	list, err := b.Stale(t.Context(), main, 10)
	if err != nil || len(list) != 2 {
		t.Fatalf("Stale() = %v, %v, want 2 entries", list, err)
	}
	reserve(t, b, 1, 12)
	for _, o := range list {
		twice(t, func() error { return b.Lapse(t.Context(), main, o) })
	}
	got := state(t, b)
	if got.Open != 1 || got.Reserved != 12 || got.Moves != 3 {
		t.Errorf("State() = %+v, want entry 1 alone open, after 2 reservations and 1 release", got)
	}
	clock.SetTime(noon.Add(89 * time.Second))
	if got := stale(t, b, 10); len(got) != 0 {
		t.Errorf("Stale() 29 s after the second Reserve = %v, want nothing", got)
	}
}

func TestTrueUp(t *testing.T) {
	onBoth(t, func(t *testing.T, b *ledger.Book) {
		reserve(t, b, 0, 12)
		trueUp := func(was, total float64, want bool) {
			t.Helper()
			for range 2 {
				if got, err := b.TrueUp(t.Context(), main, "ses_a", was, total); got != want || err != nil {
					t.Errorf("TrueUp(%v, %v) = %v, %v, want %v", was, total, got, err, want)
				}
			}
		}
		trueUp(0, 5, false) // something is open
		if err := b.Settle(t.Context(), main, entry(0), 12); err != nil {
			t.Fatal(err)
		}
		trueUp(11, 5, false) // the books have moved
		trueUp(12, 36.5, true)
		checkTotals(t, b, "account", "", ledger.Totals{Spent: 36.5})
		checkTotals(t, b, "session", "ses_a", ledger.Totals{Spent: 36.5})
		checkTotals(t, b, "day", "", ledger.Totals{Spent: 12})
		trueUp(36.5, 0, true)
		checkTotals(t, b, "account", "", ledger.Totals{})
		if got := state(t, b).Moves; got != 4 {
			t.Errorf("%d moves, want 4: reserved, settled, corrected twice", got)
		}
	})
}

func TestReadings(t *testing.T) {
	onBoth(t, func(t *testing.T, b *ledger.Book) {
		if got, err := b.Readings(t.Context(), main, 10); len(got) != 0 || err != nil {
			t.Errorf("Readings() of no books = %v, %v, want none", got, err)
		}
		read := func(balance float64, before *ledger.State) ledger.Reading {
			t.Helper()
			reading, err := b.Reading(t.Context(), main, balance, before)
			if err != nil {
				t.Fatal(err)
			}
			return *reading
		}
		first := read(500, nil)
		reserve(t, b, 0, 12)
		before := state(t, b)
		reserve(t, b, 1, 10)
		if err := b.Settle(t.Context(), main, entry(0), 12); err != nil {
			t.Fatal(err)
		}
		second := read(488.5, before)
		third := read(-3, nil)
		want := []ledger.Reading{
			{Balance: 500},
			{Balance: 488.5, Spent: 12, Reserved: 10},
			{Balance: -3, Spent: 12, Reserved: 10, Floor: 12},
		}
		got := []ledger.Reading{first, second, third}
		kept, err := b.Readings(t.Context(), main, 10)
		if err != nil || !gocmp.Equal(got, kept) {
			t.Errorf("Readings() = %+v, %v, want what was recorded: %+v", kept, err, got)
		}
		for n := range got {
			if got[n].At.IsZero() {
				t.Errorf("reading %d has no time", n)
			}
			got[n].At = time.Time{}
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("readings (-want +got):\n%s", diff)
		}
		if kept, err := b.Readings(t.Context(), main, 1); err != nil || len(kept) != 1 || kept[0].Balance != -3 {
			t.Errorf("Readings(1) = %+v, %v, want the latest", kept, err)
		}
		if got := state(t, b); got.Balance != -3 || got.BalanceAt.IsZero() {
			t.Errorf("State() = %+v, want the latest balance and its time", got)
		}
	})
}

func TestDrift(t *testing.T) {
	start := ledger.Reading{At: noon, Balance: 500, Spent: 100, Floor: 100}
	cases := []struct {
		name          string
		before, after ledger.Reading
		want          ledger.Drift
	}{
		{"nothing happened", start, ledger.Reading{At: noon.Add(time.Hour), Balance: 500, Spent: 100, Floor: 100}, ledger.Drift{Span: time.Hour}},
		{"as the books say", start, ledger.Reading{At: noon, Balance: 463.9, Spent: 136.1, Floor: 136.1}, ledger.Drift{}},
		{"one charge too many", start, ledger.Reading{At: noon, Balance: 452, Spent: 136, Floor: 136}, ledger.Drift{Credits: 12, Unexplained: 12}},
		{"what is open was charged", start, ledger.Reading{At: noon, Balance: 452, Spent: 136, Reserved: 24, Floor: 136}, ledger.Drift{Credits: 12, Uncertain: 24}},
		{"more than what is open", start, ledger.Reading{At: noon, Balance: 430, Spent: 136, Reserved: 24, Floor: 136}, ledger.Drift{Credits: 34, Uncertain: 24, Unexplained: 10}},
		{
			"settled while it was read", start,
			ledger.Reading{At: noon, Balance: 488, Spent: 136, Floor: 112},
			ledger.Drift{Credits: -24, Uncertain: 24},
		},
		{
			"what was open had been charged",
			ledger.Reading{At: noon, Balance: 488, Spent: 100, Reserved: 12, Floor: 100},
			ledger.Reading{At: noon, Balance: 488, Spent: 112, Floor: 112},
			ledger.Drift{Credits: -12, Uncertain: 12},
		},
		{"credits were bought", start, ledger.Reading{At: noon, Balance: 1464, Spent: 136, Reserved: 12, Floor: 136}, ledger.Drift{Credits: -1000, Uncertain: 12, Unexplained: -1000}},
	}
	for _, c := range cases {
		if diff := gocmp.Diff(c.want, ledger.DriftOf(c.before, c.after)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestDrought(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	b, ctx := ledger.New(rdb), t.Context()
	clock.SetTime(noon)
	refill := func(balance float64, want bool) {
		t.Helper()
		if got, err := b.Refill(ctx, main, balance); got != want || err != nil {
			t.Errorf("Refill(%v) = %v, %v, want %v", balance, got, err, want)
		}
	}
	dry := func(want ...ledger.Account) {
		t.Helper()
		if got, err := b.DryAccounts(ctx); err != nil || !gocmp.Equal(got, want) {
			t.Errorf("DryAccounts() = %v, %v, want %v", got, err, want)
		}
	}
	dry()
	refill(100, false)
	reserve(t, b, 0, 12)
	if _, err := b.Reserve(ctx, ledger.Reservation{Account: other, Entry: entry(0)}); err != nil {
		t.Fatal(err)
	}
	twice(t, func() error { return b.RunDry(ctx, main, time.Hour, 12) })
	dry(main)
	_, err := b.Reserve(ctx, reservation(1, 12))
	var reason *ledger.Dry
	var refusal *fault.Error
	if !errors.As(err, &reason) || !errors.As(err, &refusal) {
		t.Fatalf("Reserve() of a dry account = %v, want a Dry fault", err)
	}
	if want := noon.Add(time.Hour); !reason.Until.Equal(want) || refusal.RetryAfter != time.Hour {
		t.Errorf("dry until %v, again after %v, want %v and an hour", reason.Until, refusal.RetryAfter, want)
	}
	if refusal.Code != fault.Exhausted || refusal.Charge != fault.ChargeNone || refusal.Scope != fault.ScopeAccount {
		t.Errorf("refusal = %+v, want exhausted, uncharged, of the account", refusal)
	}
	reserve(t, b, 0, 12) // open before
	reserve(t, b, 2, 0)  // free
	if got := state(t, b); !got.DryUntil.Equal(noon.Add(time.Hour)) || got.DryNeed != 12 {
		t.Errorf("State() = %+v, want dry for an hour or until 12 credits", got)
	}
	refill(11.999999, false)
	refill(12, true)
	refill(12, false)
	dry()
	reserve(t, b, 1, 12)

	if err := b.RunDry(ctx, main, time.Hour, 0); err != nil {
		t.Fatal(err)
	}
	refill(0, false)
	clock.SetTime(noon.Add(61 * time.Minute))
	reserve(t, b, 3, 12) // its time has passed
	if got := state(t, b); !got.DryUntil.IsZero() {
		t.Errorf("State() = %+v, want not dry any more", got)
	}
	dry(main) // nobody knows whether it was refilled
	refill(0.5, true)
	dry()
}

func TestTurn(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	b := ledger.New(rdb)
	var got atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			mine, err := b.Turn(t.Context(), main, "balance", time.Minute)
			if err != nil {
				t.Error(err)
			}
			if mine {
				got.Add(1)
			}
		})
	}
	all.Wait()
	if got.Load() != 1 {
		t.Errorf("%d of 20 got the turn, want 1", got.Load())
	}
	for _, c := range []struct {
		account ledger.Account
		name    string
		after   time.Duration
		want    bool
	}{{main, "balance", 0, false}, {main, "logs", 0, true}, {other, "balance", 0, true}, {main, "balance", 59 * time.Second, false}, {main, "balance", 2 * time.Second, true}} {
		clock.FastForward(c.after)
		if mine, err := b.Turn(t.Context(), c.account, c.name, time.Minute); mine != c.want || err != nil {
			t.Errorf("Turn(%v, %s) = %v, %v, want %v", c.account, c.name, mine, err, c.want)
		}
	}
}

func TestActs(t *testing.T) {
	onBoth(t, func(t *testing.T, b *ledger.Book) {
		ctx := t.Context()
		if got, err := b.Acts(ctx, "", 10); len(got) != 0 || err != nil {
			t.Errorf("Acts() = %v, %v, want none", got, err)
		}
		acts := []ledger.Act{
			{ID: "1", Who: "ada", Verb: "adopt", Session: "ses_a", Index: 3, Detail: "operation op_1", Credits: 12},
			{ID: "2", Who: "ada", Verb: "pause", Index: -1},
			{ID: "3", Who: "bob", Verb: "abandon", Session: "ses_a", Index: 0, Credits: -1.5},
			{ID: "4", Who: "bob", Verb: "resubmit", Session: "ses_b"},
		}
		for _, act := range acts {
			twice(t, func() error { return b.Record(ctx, act) })
		}
		for _, c := range []struct {
			session string
			limit   int
			want    []string
		}{{"", 10, []string{"4", "3", "2", "1"}}, {"", 2, []string{"4", "3"}}, {"ses_a", 10, []string{"3", "1"}}, {"ses_a", 1, []string{"3"}}, {"ses_c", 10, []string{}}, {"", 0, []string{}}} {
			got, err := b.Acts(ctx, c.session, c.limit)
			ids := make([]string, len(got))
			for n, act := range got {
				ids[n] = act.ID
			}
			if diff := gocmp.Diff(c.want, ids); diff != "" || err != nil {
				t.Errorf("Acts(%q, %d), %v (-want +got):\n%s", c.session, c.limit, err, diff)
			}
		}
		got, err := b.Acts(ctx, "ses_a", 2)
		if err != nil || len(got) != 2 {
			t.Fatalf("Acts(ses_a) = %v, %v, want 2", got, err)
		}
		for n, want := range []ledger.Act{acts[2], acts[0]} {
			if got[n].At.IsZero() {
				t.Errorf("act %s has no time", got[n].ID)
			}
			want.At = got[n].At
			if diff := gocmp.Diff(want, got[n]); diff != "" {
				t.Errorf("act (-want +got):\n%s", diff)
			}
		}
		// Two acts that nobody named are two, however alike.
		for range 2 {
			if err := b.Record(ctx, ledger.Act{Who: "eve", Verb: "adopt", Session: "ses_c"}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := b.Acts(ctx, "ses_c", 10); len(got) != 2 || err != nil {
			t.Errorf("Acts(ses_c) = %v, %v, want 2", got, err)
		}
	})
}

// What a session decided long ago is found behind thousands of others' acts.
func TestActsReadsOn(t *testing.T) {
	_, rdb := redistest.Server(t)
	b := ledger.New(rdb)
	record := func(session string) {
		t.Helper()
		if err := b.Record(t.Context(), ledger.Act{Verb: "adopt", Session: session}); err != nil {
			t.Fatal(err)
		}
	}
	record("ses_old")
	for range 2000 {
		record("ses_new")
	}
	got, err := b.Acts(t.Context(), "ses_old", 5)
	if err != nil || len(got) != 1 || got[0].Session != "ses_old" {
		t.Errorf("Acts(ses_old) = %v, %v, want 1", got, err)
	}
	all, err := b.Acts(t.Context(), "ses_new", 5000)
	if err != nil || len(all) != 2000 {
		t.Errorf("Acts(ses_new) gave %d, %v, want 2000", len(all), err)
	}
}

func TestAccounts(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	b := ledger.New(rdb)
	for _, a := range []ledger.Account{other, main, other} {
		if _, err := b.Reserve(t.Context(), ledger.Reservation{Account: a, Entry: entry(0), Credits: 1}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Accounts(t.Context())
	if want := []ledger.Account{main, other}; err != nil || !gocmp.Equal(got, want) {
		t.Errorf("Accounts() = %v, %v, want %v", got, err, want)
	}
	for _, a := range []ledger.Account{main, other} {
		one, err := b.State(t.Context(), a)
		if err != nil || one.Reserved != 1 || one.Open != 1 {
			t.Errorf("State(%v) = %+v, %v, want 1 credit reserved by 1 entry", a, one, err)
		}
	}
}
