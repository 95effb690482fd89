package retention_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
)

const day = 24 * time.Hour

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestLevel(t *testing.T) {
	for _, c := range []struct {
		passed time.Duration
		want   int
	}{
		{0, 0}, {7*day - 1, 0}, {7 * day, 50}, {11*day + 4*time.Hour, 50}, {11*day + 5*time.Hour, 80}, {13*day + 7*time.Hour + 12*time.Minute, 95}, {20 * day, 95},
	} {
		if got := retention.Level(start.Add(14*day), start.Add(c.passed), 14*day); got != c.want {
			t.Errorf("after %s of 14 days: level %d, want %d", c.passed, got, c.want)
		}
	}
}

// TestDeadline counts from the last extend that was accepted, whenever its end was noticed.
func TestDeadline(t *testing.T) {
	it := session.Item{Since: start.Add(3 * day).UnixMilli(), Operations: []session.Operation{
		{Step: session.StepUpload, At: start.Add(-day).UnixMilli()},
		{Step: session.StepExtend, At: start.Add(-time.Hour).UnixMilli()},
		{Step: session.StepExtend, At: start.UnixMilli()},
	}}
	if got := retention.Deadline(&it, 14*day); !got.Equal(start.Add(14 * day)) {
		t.Errorf("deleted at %s, want 14 days after %s", got, start)
	}
	if got := retention.Deadline(&it, 0); !got.IsZero() {
		t.Errorf("deleted at %s by a provider that deletes nothing, want never", got)
	}
	it.Operations = nil
	if got := retention.Deadline(&it, day); !got.Equal(start.Add(4 * day)) {
		t.Errorf("without a record of the extend: deleted at %s, want a day after its end was noticed", got)
	}
}

// TestBook: what is deleted first is first, one worker takes it, and a level is reported
// once.
func TestBook(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	book, ctx := retention.NewBook(rdb), t.Context()
	for item, left := range map[string]time.Duration{"b": 2 * day, "a": 10 * time.Hour, "c": 9 * day} {
		if err := book.Expect(ctx, retention.Waiting{Provider: "kie", Item: item, Deadline: start.Add(left)}); err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	for range 3 {
		first, err := book.First(ctx, []string{"kie", "other"})
		if err != nil || len(first) != 1 {
			t.Fatalf("first %v, %v; want one item", first, err)
		}
		order = append(order, first[0].Item)
		for _, want := range []bool{true, false} {
			if mine, err := book.Take(ctx, "kie", first[0].Item); err != nil || mine != want {
				t.Errorf("take %s: %v, %v; want %v", first[0].Item, mine, err, want)
			}
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	late, err := book.Late(ctx, "kie", 14*day, start)
	if diff := cmp.Diff([]int{2, 2, 1}, late); err != nil || diff != "" {
		t.Errorf("late, %v (-want +got):\n%s", err, diff)
	}
	for _, c := range []struct {
		level int
		want  bool
	}{{50, true}, {50, false}, {95, true}, {80, false}} {
		if first, err := book.Alarm(ctx, "ses_1", c.level, 14*day); err != nil || first != c.want {
			t.Errorf("alarm at %d: %v, %v; want %v", c.level, first, err, c.want)
		}
	}
}
