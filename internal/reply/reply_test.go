package reply_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/reply"
)

const op = "reply.test"

// onBoth runs a test against the in-process Redis and against a real one.
func onBoth(t *testing.T, test func(t *testing.T, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("miniredis", func(t *testing.T) {
		rdb, _ := redistest.Mini(t)
		test(t, rdb)
	})
	t.Run("redis-server", func(t *testing.T) {
		_, rdb := redistest.Server(t)
		test(t, rdb)
	})
}

func run(t *testing.T, rdb redis.UniversalClient, source string) *reply.List {
	t.Helper()
	l, err := reply.Run(t.Context(), rdb, op, redis.NewScript(source), []string{"k"}, "v")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAnAnswerIsReadInItsOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, rdb redis.UniversalClient) {
		l := run(t, rdb, `return {ARGV[1], 7, '8', 1, '0', 1500, 1000, {'a', 1}, {{'x', 1}, {'y', 2}}, {'p', 3}, {'q', 4}}`)
		if l.Left() != 11 {
			t.Errorf("Left() = %d, want 11", l.Left())
		}
		got := []any{l.Text(), l.Whole(), l.Whole(), l.Truth(), l.Truth(), l.Span(), l.Moment().UTC()}
		pair := func(l *reply.List) { got = append(got, l.Text(), l.Whole()) }
		l.In(pair)
		l.Each(pair)
		l.All(pair)
		want := []any{
			"v", int64(7), int64(8), true, false, 1500 * time.Millisecond, time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC),
			"a", int64(1), "x", int64(1), "y", int64(2), "p", int64(3), "q", int64(4),
		}
		if diff := cmp.Diff(want, got); diff != "" || l.End() != nil || l.Left() != 0 {
			t.Errorf("read, with %v and %d left (-want +got):\n%s", l.End(), l.Left(), diff)
		}
		one := run(t, rdb, `return 3`)
		if n := one.Whole(); n != 3 || one.End() != nil {
			t.Errorf("a single value reads %d, %v; want 3", n, one.End())
		}
		if got, want := run(t, rdb, `return {1, '2', -3}`).Wholes(), []int64{1, 2, -3}; !cmp.Equal(got, want) {
			t.Errorf("Wholes() = %v, want %v", got, want)
		}
	})
}

func TestDone(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	for source, want := range map[string]bool{"return 1": true, "return 0": false} {
		got, err := reply.Done(t.Context(), rdb, op, redis.NewScript(source), nil)
		if got != want || err != nil {
			t.Errorf("Done(%s) = %v, %v, want %v", source, got, err, want)
		}
	}
	if _, err := reply.Done(t.Context(), rdb, op, redis.NewScript("return 'x'"), nil); fault.CodeOf(err) != fault.Malformed {
		t.Errorf("Done of a text = %v, want malformed", err)
	}
}

// TestWhatIsWrongIsToldAtTheEnd: the first that was wrong, wherever it was.
func TestWhatIsWrongIsToldAtTheEnd(t *testing.T) {
	cases := []struct {
		name   string
		values []any
		read   func(*reply.List)
		want   string
	}{
		{"too short", nil, func(l *reply.List) { l.Whole() }, "the answer is too short"},
		{"no text", []any{int64(3)}, func(l *reply.List) { l.Text() }, "3 is no text"},
		{"no number", []any{"three"}, func(l *reply.List) { l.Whole() }, "three is no number"},
		{"nothing", []any{nil}, func(l *reply.List) { l.Whole() }, "<nil> is no number"},
		{"a part of a number", []any{"1.5"}, func(l *reply.List) { l.Span() }, "1.5 is no number"},
		{"no list", []any{"x"}, func(l *reply.List) { l.In(func(*reply.List) {}) }, "x is no list"},
		{"within a list", []any{[]any{"x"}}, func(l *reply.List) { l.In(func(l *reply.List) { l.Truth() }) }, "x is no number"},
		{
			"within a list of lists",
			[]any{[]any{[]any{"1"}, []any{"x"}, []any{"y"}}},
			func(l *reply.List) { l.Each(func(l *reply.List) { l.Whole() }) },
			"x is no number",
		},
		{"the first of two", []any{"x", "y"}, func(l *reply.List) { l.Wholes() }, "x is no number"},
		{"a caller's word", []any{"x"}, func(l *reply.List) { l.Fail("no answer"); l.Whole() }, "no answer"},
	}
	for _, c := range cases {
		l := reply.Of(op, c.values...)
		c.read(l)
		if err := l.End(); fault.CodeOf(err) != fault.Malformed || fault.Reason(err) != c.want {
			t.Errorf("%s: End() = %v, want malformed: %s", c.name, err, c.want)
		}
	}
}

func TestDown(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	rdb, mini := redistest.Mini(t)
	if _, err := reply.Run(canceled, rdb, op, redis.NewScript("return 1"), nil); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Run of who was canceled = %v, want canceled", err)
	}
	mini.Close()
	if _, err := reply.Run(t.Context(), rdb, op, redis.NewScript("return 1"), nil); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Run without Redis = %v, want unavailable", err)
	}
	if err := reply.Down(op, nil); err != nil {
		t.Errorf("Down(nil) = %v, want nil", err)
	}
	if err := reply.Down(op, errors.New("LOADING")); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("Down(LOADING) = %v, want unavailable", err)
	}
}
