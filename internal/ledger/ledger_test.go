package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/redistest"
)

// onBoth runs a test against the in-process Redis and against a real one: the
// scripts must mean the same to both.
func onBoth(t *testing.T, test func(t *testing.T, b *ledger.Book)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		rdb, _ := redistest.Mini(t)
		test(t, ledger.New(rdb))
	})
	t.Run("redis-server", func(t *testing.T) {
		_, rdb := redistest.Server(t)
		test(t, ledger.New(rdb))
	})
}

var main = ledger.Account{Provider: "kie", Name: "main"}

func entry(index int) ledger.Entry {
	return ledger.Entry{Session: "ses_a", Index: index, Step: "extend"}
}

func reservation(index int, credits float64, limits ...ledger.Limit) ledger.Reservation {
	return ledger.Reservation{Account: main, Entry: entry(index), Credits: credits, Limits: limits}
}

func reserve(t *testing.T, b *ledger.Book, index int, credits float64, limits ...ledger.Limit) ledger.Reserved {
	t.Helper()
	reserved, err := b.Reserve(t.Context(), reservation(index, credits, limits...))
	if err != nil {
		t.Fatalf("Reserve(%v) = %v, want no error", entry(index), err)
	}
	return reserved
}

// twice does what a caller does whose first answer was lost.
func twice(t *testing.T, call func() error) {
	t.Helper()
	for range 2 {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
}

func checkTotals(t *testing.T, b *ledger.Book, scope, key string, want ledger.Totals) {
	t.Helper()
	got, err := b.Totals(t.Context(), main, scope, key)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("Totals(%s %s) = %+v, want %+v", scope, key, got, want)
	}
}

func state(t *testing.T, b *ledger.Book) *ledger.State {
	t.Helper()
	got, err := b.State(t.Context(), main)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestEntryText(t *testing.T) {
	e := ledger.Entry{Session: "ses_0192f0c1-aaaa-7bbb-8ccc-0123456789ab", Index: 41, Step: "extend", Generation: 2}
	const text = "ses_0192f0c1-aaaa-7bbb-8ccc-0123456789ab.41:extend:2"
	if got := e.String(); got != text {
		t.Errorf("String() = %q, want %q", got, text)
	}
	if got, err := ledger.ParseEntry(text); got != e || err != nil {
		t.Errorf("ParseEntry(%q) = %+v, %v, want %+v", text, got, err, e)
	}
	for _, wrong := range []string{"", "ses_a", "ses_a.1:extend", "ses_a.-1:extend:0", "ses_a.01:extend:0", "ses_{a}.1:extend:0", "ses_a.1:ex|tend:0", "ses_a.1:extend:0 ", "ses_a.1:extend:99999999999999999999"} {
		if got, err := ledger.ParseEntry(wrong); fault.CodeOf(err) != fault.Invalid {
			t.Errorf("ParseEntry(%q) = %+v, %v, want invalid", wrong, got, err)
		}
	}
}

func TestOneRequest(t *testing.T) {
	reserved := ledger.Totals{Reserved: 12}
	cases := []struct {
		name string
		then func(ctx context.Context, b *ledger.Book) error
		want ledger.Totals
		open int
	}{
		{"reserved", func(context.Context, *ledger.Book) error { return nil }, reserved, 1},
		{"kept", func(ctx context.Context, b *ledger.Book) error { return b.Keep(ctx, main, entry(0), time.Hour) }, reserved, 1},
		{"settled", func(ctx context.Context, b *ledger.Book) error { return b.Settle(ctx, main, entry(0), 12) }, ledger.Totals{Spent: 12}, 0},
		{"settled for more", func(ctx context.Context, b *ledger.Book) error { return b.Settle(ctx, main, entry(0), 12.5) }, ledger.Totals{Spent: 12.5}, 0},
		{"released", func(ctx context.Context, b *ledger.Book) error { return b.Release(ctx, main, entry(0)) }, ledger.Totals{}, 0},
		{"charged while open", func(ctx context.Context, b *ledger.Book) error { return b.Charge(ctx, main, entry(0), 12) }, ledger.Totals{Spent: 12, Reserved: 12}, 1},
		{"refunded while open", func(ctx context.Context, b *ledger.Book) error { return b.Refund(ctx, main, entry(0), 12) }, ledger.Totals{Refunded: 12}, 0},
		{"refunded", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Settle(ctx, main, entry(0), 12), b.Refund(ctx, main, entry(0), 12))
		}, ledger.Totals{Refunded: 12}, 0},
		{"refunded in part", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Settle(ctx, main, entry(0), 12), b.Refund(ctx, main, entry(0), 5))
		}, ledger.Totals{Spent: 7, Refunded: 5}, 0},
		{"refunded more than paid", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Settle(ctx, main, entry(0), 12), b.Refund(ctx, main, entry(0), 50))
		}, ledger.Totals{Refunded: 12}, 0},
		{"a stray", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Release(ctx, main, entry(0)), b.Charge(ctx, main, entry(0), 12))
		}, ledger.Totals{Spent: 12}, 0},
		{"settled after its release", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Release(ctx, main, entry(0)), b.Settle(ctx, main, entry(0), 12))
		}, ledger.Totals{Spent: 12}, 0},
		{"a stray after settling", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Settle(ctx, main, entry(0), 12), b.Charge(ctx, main, entry(0), 12))
		}, ledger.Totals{Spent: 12}, 0},
		{"a refunded stray", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Release(ctx, main, entry(0)), b.Charge(ctx, main, entry(0), 12), b.Refund(ctx, main, entry(0), 12))
		}, ledger.Totals{Refunded: 12}, 0},
		{"released after settling", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Settle(ctx, main, entry(0), 12), b.Release(ctx, main, entry(0)))
		}, ledger.Totals{Spent: 12}, 0},
		{"a refund of nothing", func(ctx context.Context, b *ledger.Book) error {
			return errors.Join(b.Release(ctx, main, entry(0)), b.Refund(ctx, main, entry(0), 12))
		}, ledger.Totals{}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, b *ledger.Book) {
				limit := ledger.Limit{Scope: "schedule", Key: "nightly", Credits: 100}
				if got := reserve(t, b, 0, 12, limit); got != (ledger.Reserved{Quiet: true, Moves: 1, Mark: 1}) {
					t.Errorf("Reserve() = %+v, want quiet after 1 move", got)
				}
				reserve(t, b, 0, 99, limit) // open already: another price changes nothing
				twice(t, func() error { return c.then(t.Context(), b) })
				for _, scope := range [][2]string{{"account", ""}, {"session", "ses_a"}, {"day", ""}, {"schedule", "nightly"}} {
					checkTotals(t, b, scope[0], scope[1], c.want)
				}
				checkTotals(t, b, "session", "ses_b", ledger.Totals{})
				got := state(t, b)
				if got.Totals != c.want || got.Today != c.want || got.Open != c.open {
					t.Errorf("State() = %+v, want %+v today and ever, %d open", got, c.want, c.open)
				}
			})
		})
	}
}

func TestChargedEntryIsNotReservedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, b *ledger.Book) {
		reserve(t, b, 0, 12)
		if err := b.Settle(t.Context(), main, entry(0), 12); err != nil {
			t.Fatal(err)
		}
		_, err := b.Reserve(t.Context(), reservation(0, 12))
		if fault.CodeOf(err) != fault.Conflict || fault.ChargeOf(err) != fault.ChargeNone {
			t.Errorf("Reserve() of a charged entry = %v, want a conflict that cost nothing", err)
		}
		if err := b.Refund(t.Context(), main, entry(0), 12); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Reserve(t.Context(), reservation(0, 12)); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("Reserve() of a refunded entry = %v, want a conflict", err)
		}
		checkTotals(t, b, "account", "", ledger.Totals{Refunded: 12})
	})
}

// A request that the provider refused is sent again in the same generation; if the
// refusal was a lie, both are paid for, and both count.
func TestStrayThenSecondRequest(t *testing.T) {
	onBoth(t, func(t *testing.T, b *ledger.Book) {
		reserve(t, b, 0, 12)
		if err := b.Release(t.Context(), main, entry(0)); err != nil {
			t.Fatal(err)
		}
		twice(t, func() error { return b.Charge(t.Context(), main, entry(0), 12) })
		reserve(t, b, 0, 12)
		twice(t, func() error { return b.Charge(t.Context(), main, entry(0), 12) })
		checkTotals(t, b, "account", "", ledger.Totals{Spent: 12, Reserved: 12})
		twice(t, func() error { return b.Settle(t.Context(), main, entry(0), 12) })
		twice(t, func() error { return b.Charge(t.Context(), main, entry(0), 12) })
		checkTotals(t, b, "account", "", ledger.Totals{Spent: 24})
	})
}

func TestBudgets(t *testing.T) {
	cases := []struct {
		name   string
		limits []ledger.Limit
		price  float64
		want   ledger.OverBudget // of the refusal; Price 0 when there is none
		waits  bool
	}{
		{"within", []ledger.Limit{{Scope: "account", Credits: 40}, {Scope: "session", Credits: 40}, {Scope: "day", Credits: 40}}, 10, ledger.OverBudget{}, false},
		{"to the last millionth", []ledger.Limit{{Scope: "account", Credits: 30.000001}}, 0.000001, ledger.OverBudget{}, false},
		{
			"a millionth over",
			[]ledger.Limit{{Scope: "account", Credits: 30.000001}},
			0.000002,
			ledger.OverBudget{Scope: "account", Key: "kie/main", Limit: 30.000001, Spent: 20, Reserved: 10, Price: 0.000002},
			true,
		},
		{
			"a release would help",
			[]ledger.Limit{{Scope: "session", Credits: 35}},
			10,
			ledger.OverBudget{Scope: "session", Key: "ses_a", Limit: 35, Spent: 20, Reserved: 10, Price: 10},
			true,
		},
		{
			"nothing helps",
			[]ledger.Limit{{Scope: "session", Credits: 25}},
			10,
			ledger.OverBudget{Scope: "session", Key: "ses_a", Limit: 25, Spent: 20, Reserved: 10, Price: 10, Final: true},
			false,
		},
		{
			"the final one is told",
			[]ledger.Limit{{Scope: "account", Credits: 35}, {Scope: "schedule", Key: "nightly", Credits: 25}, {Scope: "day", Credits: 25}},
			10,
			ledger.OverBudget{Scope: "schedule", Key: "nightly", Limit: 25, Spent: 20, Reserved: 10, Price: 10, Final: true},
			false,
		},
		{
			"tomorrow helps",
			[]ledger.Limit{{Scope: "account", Credits: 35}, {Scope: "day", Credits: 25}},
			10,
			ledger.OverBudget{Scope: "day", Key: "2026-11-22", Limit: 25, Spent: 20, Reserved: 10, Price: 10},
			true,
		},
		{
			"no day helps",
			[]ledger.Limit{{Scope: "day", Credits: 5}},
			10,
			ledger.OverBudget{Scope: "day", Key: "2026-11-22", Limit: 5, Spent: 20, Reserved: 10, Price: 10, Final: true},
			false,
		},
		{
			"nothing may be spent",
			[]ledger.Limit{{Scope: "schedule", Key: "other", Credits: 0}},
			10,
			ledger.OverBudget{Scope: "schedule", Key: "other", Price: 10, Final: true},
			false,
		},
		{"what is free passes", []ledger.Limit{{Scope: "session", Credits: 0}}, 0, ledger.OverBudget{}, false},
		{"counted without a limit", []ledger.Limit{{Scope: "schedule", Key: "nightly", Credits: math.Inf(1)}}, 1e6, ledger.OverBudget{}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rdb, clock := redistest.Mini(t)
			clock.SetTime(time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC))
			b := ledger.New(rdb)
			nightly := ledger.Limit{Scope: "schedule", Key: "nightly", Credits: 30}
			reserve(t, b, 0, 20, nightly)
			if err := b.Settle(t.Context(), main, entry(0), 20); err != nil {
				t.Fatal(err)
			}
			reserve(t, b, 1, 10, nightly)
			affords := b.Affords(t.Context(), reservation(2, c.price, c.limits...))
			if got := state(t, b); got.Open != 1 || got.Moves != 3 {
				t.Errorf("State() after Affords = %+v, want the 1 open entry of before, and no move", got)
			}
			_, err := b.Reserve(t.Context(), reservation(2, c.price, c.limits...))
			if fault.CodeOf(affords) != fault.CodeOf(err) || fault.Reason(affords) != fault.Reason(err) || fault.RetryAfter(affords) != fault.RetryAfter(err) {
				t.Errorf("Affords() = %v, want what Reserve answers: %v", affords, err)
			}
			if c.want == (ledger.OverBudget{}) {
				if err != nil {
					t.Errorf("Reserve() = %v, want no error", err)
				}
				return
			}
			var over *ledger.OverBudget
			if !errors.As(err, &over) || fault.CodeOf(err) != fault.Exhausted || fault.ChargeOf(err) != fault.ChargeNone {
				t.Fatalf("Reserve() = %v, want exhausted for a budget, uncharged", err)
			}
			if diff := cmp.Diff(c.want, *over); diff != "" {
				t.Errorf("refusal (-want +got):\n%s", diff)
			}
			if got := fault.RetryAfter(err) > 0; got != c.waits {
				t.Errorf("RetryAfter = %v, want a wait: %v", fault.RetryAfter(err), c.waits)
			}
			if got := state(t, b); got.Open != 1 || got.Reserved != 10 {
				t.Errorf("State() after a refusal = %+v, want the 1 open entry of before", got)
			}
		})
	}
}

func TestRefusalSaysWhatAndHowLong(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	clock.SetTime(time.Date(2026, 11, 22, 18, 0, 0, 0, time.UTC))
	b := ledger.New(rdb)
	reserve(t, b, 0, 95.5)
	_, err := b.Reserve(t.Context(), reservation(1, 12, ledger.Limit{Scope: "account", Credits: 100}))
	if got, want := err.Error(), "ledger.Reserve: exhausted: the budget of account kie/main is 100 credits: 0 spent, 95.5 reserved, 12 more asked for"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	if got, want := fault.RetryAfter(err), 30*time.Second; got != want {
		t.Errorf("RetryAfter = %v, want %v", got, want)
	}
	if err := b.Settle(t.Context(), main, entry(0), 95.5); err != nil {
		t.Fatal(err)
	}
	_, err = b.Reserve(t.Context(), reservation(1, 12, ledger.Limit{Scope: "day", Credits: 100}))
	if got, want := fault.RetryAfter(err), 6*time.Hour; got != want {
		t.Errorf("RetryAfter of a day's budget = %v, want %v: until midnight", got, want)
	}
}

// Every amount counts on the day its credits were reserved.
func TestDays(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	clock.SetTime(time.Date(2026, 11, 22, 23, 59, 59, 0, time.UTC))
	b := ledger.New(rdb)
	daily := ledger.Limit{Scope: "day", Credits: 30}
	for index := range 3 {
		reserve(t, b, index, 10, daily)
	}
	if _, err := b.Reserve(t.Context(), reservation(3, 10, daily)); fault.CodeOf(err) != fault.Exhausted {
		t.Errorf("Reserve() over the day's budget = %v, want exhausted", err)
	}
	clock.SetTime(time.Date(2026, 11, 23, 0, 0, 1, 0, time.UTC))
	reserve(t, b, 3, 10, daily)
	if err := errors.Join(
		b.Settle(t.Context(), main, entry(0), 10),
		b.Release(t.Context(), main, entry(1)),
		b.Charge(t.Context(), main, entry(1), 10),
		b.Settle(t.Context(), main, entry(2), 10),
		b.Refund(t.Context(), main, entry(2), 10),
	); err != nil {
		t.Fatal(err)
	}
	checkTotals(t, b, "day", "2026-11-22", ledger.Totals{Spent: 20, Refunded: 10})
	checkTotals(t, b, "day", "2026-11-23", ledger.Totals{Reserved: 10})
	checkTotals(t, b, "day", "", ledger.Totals{Reserved: 10})
	checkTotals(t, b, "account", "", ledger.Totals{Spent: 20, Reserved: 10, Refunded: 10})
}

// P7, at 200-way concurrency: of 200 reservations of price 1, each made twice, a
// budget of 100 admits exactly 100, whichever scope it is of.
func TestBudgetHoldsUnderConcurrency(t *testing.T) {
	for _, limit := range []ledger.Limit{
		{Scope: "account", Credits: 100},
		{Scope: "session", Credits: 100},
		{Scope: "day", Credits: 100},
		{Scope: "schedule", Key: "nightly", Credits: 100},
	} {
		t.Run(limit.Scope, func(t *testing.T) {
			_, rdb := redistest.Server(t)
			b := ledger.New(rdb)
			var admitted, refused atomic.Int64
			var all sync.WaitGroup
			for index := range 200 {
				all.Go(func() {
					var codes [2]fault.Code
					for n := range codes {
						_, err := b.Reserve(t.Context(), reservation(index, 1, limit))
						codes[n] = fault.CodeOf(err)
					}
					switch codes {
					case [2]fault.Code{"", ""}:
						admitted.Add(1)
					case [2]fault.Code{fault.Exhausted, fault.Exhausted}:
						refused.Add(1)
					default:
						t.Errorf("Reserve() twice = %q, want the same twice: nothing was released", codes)
					}
				})
			}
			all.Wait()
			if admitted.Load() != 100 || refused.Load() != 100 {
				t.Errorf("%d admitted, %d refused, want 100 and 100", admitted.Load(), refused.Load())
			}
			if got := state(t, b); got.Open != 100 || got.Reserved != 100 || got.Moves != 100 {
				t.Errorf("State() = %+v, want 100 open with 100 credits after 100 moves", got)
			}
		})
	}
}

// While 200 workers reserve, settle, release and refund, every moment that anybody
// can see is within the budget, and at the end the books are what was done.
func TestBudgetHoldsWhileWorkersCome(t *testing.T) {
	_, rdb := redistest.Server(t)
	b := ledger.New(rdb)
	limit := ledger.Limit{Scope: "account", Credits: 100}
	var spent, refunded atomic.Int64
	work := func(index int) {
		for round := range 5 {
			e := ledger.Entry{Session: fmt.Sprintf("ses_%d", index%7), Index: index, Step: "extend", Generation: round}
			_, err := b.Reserve(t.Context(), ledger.Reservation{Account: main, Entry: e, Credits: 3, Limits: []ledger.Limit{limit}})
			switch {
			case fault.CodeOf(err) == fault.Exhausted:
				continue
			case err != nil:
				t.Errorf("Reserve() = %v", err)
			case (index+round)%4 == 0:
				err = b.Settle(t.Context(), main, e, 3)
				spent.Add(3)
			case (index+round)%4 == 1:
				err = errors.Join(b.Settle(t.Context(), main, e, 3), b.Refund(t.Context(), main, e, 3))
				refunded.Add(3)
			default:
				err = b.Release(t.Context(), main, e)
			}
			if err != nil {
				t.Errorf("%v: %v", e, err)
			}
		}
	}
	var workers sync.WaitGroup
	for index := range 200 {
		workers.Go(func() { work(index) })
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	moments := 0
	for working := true; working; moments++ {
		select {
		case <-ended:
			working = false
		default:
		}
		if got := state(t, b); got.Spent+got.Reserved > 100 {
			t.Fatalf("at move %d: %v spent and %v reserved, want at most 100", got.Moves, got.Spent, got.Reserved)
		}
	}
	got := state(t, b)
	want := ledger.Totals{Spent: float64(spent.Load()), Refunded: float64(refunded.Load())}
	if got.Totals != want || got.Open != 0 || got.Today != want {
		t.Errorf("State() after %d moments = %+v, want %+v and nothing open", moments, got, want)
	}
	var sum float64
	for n := range 7 {
		one, err := b.Totals(t.Context(), main, "session", fmt.Sprintf("ses_%d", n))
		if err != nil {
			t.Fatal(err)
		}
		sum += one.Spent
	}
	if sum != want.Spent {
		t.Errorf("the sessions spent %v in all, want what the account spent: %v", sum, want.Spent)
	}
}

func TestInvalidArguments(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	b, ctx := ledger.New(rdb), t.Context()
	reserved := func(r ledger.Reservation) error { _, err := b.Reserve(ctx, r); return err }
	cases := map[string]error{
		"an account with a brace":   b.Release(ctx, ledger.Account{Provider: "kie", Name: "ma}in"}, entry(0)),
		"no account":                b.Keep(ctx, ledger.Account{}, entry(0), 0),
		"a session with a colon":    b.Settle(ctx, main, ledger.Entry{Session: "a:b", Step: "extend"}, 1),
		"no step":                   b.Charge(ctx, main, ledger.Entry{Session: "ses_a"}, 1),
		"a negative index":          b.Refund(ctx, main, ledger.Entry{Session: "ses_a", Index: -1, Step: "extend"}, 1),
		"a negative price":          reserved(reservation(0, -1)),
		"no number":                 reserved(reservation(0, math.NaN())),
		"a price that none affords": b.Affords(ctx, reservation(0, -1)),
		"more than all money":       b.Settle(ctx, main, entry(0), 1e10),
		"an infinite price":         reserved(reservation(0, math.Inf(1))),
		"a negative limit":          reserved(reservation(0, 1, ledger.Limit{Scope: "account", Credits: -1})),
		"another session's limit":   reserved(reservation(0, 1, ledger.Limit{Scope: "session", Key: "ses_b", Credits: 1})),
		"a day's limit's key":       reserved(reservation(0, 1, ledger.Limit{Scope: "day", Key: "2026-11-22", Credits: 1})),
		"a limit without a scope":   reserved(reservation(0, 1, ledger.Limit{Key: "x", Credits: 1})),
		"a key with a bar":          reserved(reservation(0, 1, ledger.Limit{Scope: "schedule", Key: "a|b", Credits: 1})),
		"a day that is none":        func() error { _, err := b.Totals(ctx, main, "day", "yesterday"); return err }(),
		"a balance that is none":    func() error { _, err := b.Reading(ctx, main, math.NaN(), nil); return err }(),
		"a turn without a time":     func() error { _, err := b.Turn(ctx, main, "balance", 0); return err }(),
		"an act without a verb":     b.Record(ctx, ledger.Act{Who: "ops"}),
		"a session with a brace":    func() error { _, err := b.TrueUp(ctx, main, "ses_{a}", 0, 1); return err }(),
		"a drought without amount":  b.RunDry(ctx, main, time.Hour, math.NaN()),
	}
	for name, err := range cases {
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if keys := rdb.Keys(ctx, "*").Val(); len(keys) > 0 {
		t.Errorf("invalid calls left the keys %q, want none", keys)
	}
}

func TestRedisIsDown(t *testing.T) {
	rdb, m := redistest.Mini(t)
	b := ledger.New(rdb)
	m.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.Reserve(ctx, reservation(0, 1)); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Reserve() without Redis = %v, want unavailable", err)
	}
	if _, err := b.State(ctx, main); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("State() without Redis = %v, want unavailable", err)
	}
	cancel()
	if err := b.Settle(ctx, main, entry(0), 1); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Settle() with a canceled context = %v, want canceled", err)
	}
}

// All keys that one script touches must be in one slot of a cluster.
func TestKeysOfAnAccountShareASlot(t *testing.T) {
	_, rdb := redistest.Server(t)
	b, ctx := ledger.New(rdb), t.Context()
	reserve(t, b, 0, 1)
	reserve(t, b, 1, 1)
	_, readErr := b.Reading(ctx, main, 5, nil)
	_, turnErr := b.Turn(ctx, main, "balance", time.Minute)
	if err := errors.Join(b.Settle(ctx, main, entry(0), 1), b.RunDry(ctx, main, time.Minute, 1), readErr, turnErr); err != nil {
		t.Fatal(err)
	}
	var tagged int
	for _, key := range rdb.Keys(ctx, "*").Val() {
		switch {
		case strings.HasPrefix(key, "segue:ledger:{kie/main}"):
			tagged++
		case key != "segue:ledger:accounts":
			t.Errorf("key %q has no tag of its account", key)
		}
	}
	if tagged != 6 {
		t.Errorf("%d keys of the account, want 6", tagged)
	}
}

// A script that is gone from Redis's cache, and a flushed index, mend themselves.
func TestScriptsAndIndexSurviveARestart(t *testing.T) {
	_, rdb := redistest.Server(t)
	b := ledger.New(rdb)
	reserve(t, b, 0, 1)
	if err := rdb.ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	reserve(t, b, 1, 1)
	if err := rdb.Del(t.Context(), "segue:ledger:accounts").Err(); err != nil {
		t.Fatal(err)
	}
	b = ledger.New(rdb)
	reserve(t, b, 2, 1)
	got, err := b.Accounts(t.Context())
	if want := []ledger.Account{main}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("Accounts() = %v, %v, want %v", got, err, want)
	}
}

func BenchmarkReserveSettle(b *testing.B) {
	_, rdb := redistest.Server(b)
	book := ledger.New(rdb)
	limits := []ledger.Limit{{Scope: "account", Credits: 1e9}, {Scope: "session", Credits: 1e9}, {Scope: "day", Credits: 1e9}}
	pair := func(ctx context.Context, index int64) error {
		e := ledger.Entry{Session: fmt.Sprintf("ses_%d", index/1000), Index: int(index % 1000), Step: "extend"}
		_, err := book.Reserve(ctx, ledger.Reservation{Account: main, Entry: e, Credits: 12, Limits: limits})
		return errors.Join(err, book.Settle(ctx, main, e, 12))
	}
	var next atomic.Int64
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if err := pair(b.Context(), next.Add(1)); err != nil {
				b.Fatal(err)
			}
		}
		perEntry(b, rdb, next.Load())
	})
	b.Run("many", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := pair(b.Context(), next.Add(1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

// perEntry reports what a paid entry costs Redis for as long as it is kept.
func perEntry(b *testing.B, rdb redis.UniversalClient, entries int64) {
	b.Helper()
	var bytes int64
	for _, key := range rdb.Keys(b.Context(), "segue:ledger:{kie/main}:of:*").Val() {
		bytes += rdb.MemoryUsage(b.Context(), key, 0).Val()
	}
	b.ReportMetric(float64(bytes)/float64(entries), "B/entry")
}
