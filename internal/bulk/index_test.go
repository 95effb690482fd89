package bulk_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/redistest"
)

// key is a key of the index.
func key(digit string) string { return strings.Repeat(digit, 64) }

// noon is when the tests of this package happen, where they say so.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestIndex(t *testing.T) {
	_, rdb := redistest.Server(t)
	x := bulk.NewIndex(rdb, 0)
	ctx := t.Context()
	soon := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	archived := bulk.Entry{
		Session: "ses_1", Item: "ses_1.0", Account: "main", AudioIDs: []string{"a", "b"}, Files: []string{"/x/a.mp3", "/x/b.mp3"},
		Clip: &provider.Clip{ID: "c", Expires: soon}, Credits: 12, At: noon, Expires: soon,
	}
	remote := bulk.Entry{Session: "ses_1", Item: "ses_1.1", AudioIDs: []string{"c"}, Credits: 12, Expires: soon}
	must(t, x.Put(ctx, key("1"), bulk.Entry{Session: "ses_0", Item: "ses_0.0"}))
	must(t, x.Put(ctx, key("1"), archived))
	must(t, x.Put(ctx, key("2"), remote))
	must(t, x.Put(ctx, key("3"), bulk.Entry{Session: "ses_1", Item: "ses_1.2", Expires: noon.AddDate(-1, 0, 0)}))
	found, err := x.Get(ctx, key("1"), key("2"), key("3"), key("4"))
	if diff := cmp.Diff(map[string]bulk.Entry{key("1"): archived, key("2"): remote}, found); err != nil || diff != "" {
		t.Errorf("Get: %v (-want +got):\n%s", err, diff)
	}
	clip := bulk.ClipEntry{Clip: provider.Clip{ID: "c", Expires: soon}, Session: "ses_1", Item: "ses_1.0", At: noon}
	must(t, x.PutClip(ctx, key("1"), clip))
	clips, err := x.Clips(ctx, key("1"), key("2"))
	if diff := cmp.Diff(map[string]bulk.ClipEntry{key("1"): clip}, clips); err != nil || diff != "" {
		t.Errorf("Clips: %v (-want +got):\n%s", err, diff)
	}
	for name, until := range map[string]time.Time{"segue:result:" + key("1"): {}, "segue:result:" + key("2"): soon, "segue:clip:" + key("1"): soon} {
		if got := expiry(t, rdb, name); !got.Equal(until) {
			t.Errorf("%.16s… is kept until %v, want %v", name, got, until)
		}
	}
}

// expiry is when Redis drops a key; zero when it never does.
func expiry(t *testing.T, rdb redis.UniversalClient, name string) time.Time {
	t.Helper()
	at, err := rdb.ExpireTime(t.Context(), name).Result()
	must(t, err)
	if at < 0 {
		return time.Time{}
	}
	return time.Unix(int64(at/time.Second), 0).UTC()
}

func TestIndexThatForgets(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	x := bulk.NewIndex(rdb, 24*time.Hour)
	ctx := t.Context()
	must(t, x.Put(ctx, key("1"), bulk.Entry{Session: "ses_1", Files: []string{"/x"}}))
	must(t, x.Put(ctx, key("2"), bulk.Entry{Session: "ses_1", Expires: time.Now().AddDate(1, 0, 0)}))
	must(t, x.PutClip(ctx, key("1"), bulk.ClipEntry{Session: "ses_1"}))
	mini.FastForward(23 * time.Hour)
	if found, err := x.Get(ctx, key("1"), key("2")); len(found) != 2 || err != nil {
		t.Errorf("after 23 hours: %v, %v; want both", found, err)
	}
	mini.FastForward(2 * time.Hour)
	if found, err := x.Get(ctx, key("1"), key("2")); len(found) != 0 || err != nil {
		t.Errorf("after 25 hours: %v, %v; want none", found, err)
	}
	if clips, err := x.Clips(ctx, key("1")); len(clips) != 0 || err != nil {
		t.Errorf("after 25 hours: %v, %v; want no clip", clips, err)
	}
}

func TestContents(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	x := bulk.NewIndex(rdb, 0)
	ctx := t.Context()
	want := bulk.Content{SHA256: song, Format: "mp3", Size: 7, Seconds: 1.5}
	must(t, x.Learn(ctx, "s3://b/a.mp3", "1", want))
	must(t, x.Learn(ctx, "s3://b/b.mp3", "", want))
	for _, c := range []struct {
		address, etag string
		known         bool
	}{{"s3://b/a.mp3", "1", true}, {"s3://b/a.mp3", "2", false}, {"s3://b/a.mp", "31", false}, {"s3://b/b.mp3", "", false}} {
		got, known, err := x.Recall(ctx, c.address, c.etag)
		if err != nil || known != c.known || known && got != want {
			t.Errorf("Recall(%s, %s) = %+v, %t, %v; want %t", c.address, c.etag, got, known, err, c.known)
		}
	}
	for _, name := range mini.Keys() {
		if strings.Contains(name, "s3://") {
			t.Errorf("the key %s tells an address", name)
		}
	}
}

func TestIndexFailures(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	x := bulk.NewIndex(rdb, 0)
	ctx := t.Context()
	must(t, mini.Set("segue:result:"+key("1"), "{"))
	if _, err := x.Get(ctx, key("2"), key("1")); fault.CodeOf(err) != fault.Malformed {
		t.Errorf("an entry that cannot be read: %v, want malformed: what is paid for is not missing", err)
	}
	for name, err := range map[string]error{
		"Put": x.Put(ctx, "x", bulk.Entry{}), "PutClip": x.PutClip(ctx, "", bulk.ClipEntry{}),
		"LoseClip": x.LoseClip(ctx, "{ses_1}", "i"), "AddClip": x.AddClip(ctx, "*", bulk.ClipEntry{}), "End": x.End(ctx, "", "i"), "Get": second(x.Get(ctx, "x")), "Clips": second(x.Clips(ctx, strings.ToUpper(key("a")))),
	} {
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s of what is no key: %v, want invalid", name, err)
		}
	}
	if found, err := x.Get(ctx); found != nil || err != nil {
		t.Errorf("Get of nothing = %v, %v; want nothing", found, err)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := x.Get(canceled, key("1")); fault.CodeOf(err) != fault.Canceled {
		t.Errorf("Get of a canceled context: %v, want canceled", err)
	}
	mini.Close()
	if _, err := x.Get(ctx, key("1")); fault.CodeOf(err) != fault.Unavailable || fault.ChargeOf(err) != fault.ChargeNone {
		t.Errorf("Get without Redis: %v, want unavailable", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestUsable(t *testing.T) {
	cases := []struct {
		name  string
		entry bulk.Entry
		want  bool
	}{
		{"archived", bulk.Entry{Files: []string{"/x"}, Expires: noon.Add(-time.Hour)}, true},
		{"kept forever", bulk.Entry{}, true},
		{"kept for now", bulk.Entry{Expires: noon.Add(time.Second)}, true},
		{"deleted", bulk.Entry{Expires: noon}, false},
	}
	for _, c := range cases {
		if got := c.entry.Usable(noon); got != c.want {
			t.Errorf("%s: Usable = %t, want %t", c.name, got, c.want)
		}
	}
	forever, gone := bulk.ClipEntry{}, bulk.ClipEntry{Clip: provider.Clip{Expires: noon}}
	if !forever.Usable(noon) || gone.Usable(noon) {
		t.Error("a clip that has no end is usable, and one that has ended is not")
	}
}
