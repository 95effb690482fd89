package bulk_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

func TestClips(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	clips := bulk.Clips{Index: bulk.NewIndex(rdb, 0)}
	ctx := t.Context()
	item := func(index int, content string) *session.Item {
		return &session.Item{Session: "ses_1", Index: index, Source: session.Source{SHA256: strings.Repeat(content, 64)}}
	}
	of := func(account string) *session.Session {
		return &session.Session{Spec: session.Spec{ID: "ses_1", Provider: "studio", Account: account}}
	}
	first, second, other := item(0, "a"), item(1, "a"), item(2, "b")
	first.Clip = &provider.Clip{ID: "clip-1"}

	begin := func(account string, it *session.Item, want string) {
		t.Helper()
		if got, err := clips.Begin(ctx, of(account), it, time.Minute); got != want || err != nil {
			t.Errorf("Begin of %s at %s = %q, %v; want %q", it.ID(), account, got, err, want)
		}
	}
	begin("main", first, "")
	begin("main", first, "") // a second time
	begin("main", second, "ses_1.0")
	begin("main", other, "")
	begin("backup", second, "")
	mini.FastForward(50 * time.Second)
	begin("main", first, "") // for another minute
	mini.FastForward(50 * time.Second)
	begin("main", second, "ses_1.0")
	mini.FastForward(10 * time.Second)
	begin("main", second, "")

	find := func(account string, it *session.Item, want *provider.Clip, wantOf string) {
		t.Helper()
		got, by, err := clips.Find(ctx, of(account), it)
		if diff := cmp.Diff(want, got); diff != "" || by != wantOf || err != nil {
			t.Errorf("Find of %s at %s: of %q, %v; want %q (-want +got):\n%s", it.ID(), account, by, err, wantOf, diff)
		}
	}
	find("main", second, nil, "")
	if err := clips.Keep(ctx, of("main"), first); err != nil {
		t.Fatal(err)
	}
	find("main", second, &provider.Clip{ID: "clip-1"}, "ses_1.0")
	find("backup", second, nil, "")
	find("main", other, nil, "")
	if err := clips.End(ctx, of("main"), first); err != nil { // which is not the one
		t.Fatal(err)
	}
	begin("main", first, "ses_1.1")
	if err := clips.End(ctx, of("main"), second); err != nil {
		t.Fatal(err)
	}
	begin("main", first, "")

	// A clip is lost once, and by its own name; and who uploaded it says nothing new.
	by := func(of string) *session.Item {
		it := item(3, "a")
		it.ClipOf = of
		return it
	}
	must(t, clips.Lose(ctx, of("main"), by("ses_1.9")))
	find("main", second, &provider.Clip{ID: "clip-1"}, "ses_1.0")
	must(t, clips.Lose(ctx, of("main"), by("ses_1.0")))
	find("main", second, nil, "")
	must(t, clips.Remember(ctx, of("main"), first))
	find("main", second, nil, "")
	second.Clip = &provider.Clip{ID: "clip-2"}
	must(t, clips.Keep(ctx, of("main"), second))
	must(t, clips.Lose(ctx, of("main"), by("ses_1.0"))) // late
	must(t, clips.Remember(ctx, of("main"), first))
	find("main", first, &provider.Clip{ID: "clip-2"}, "ses_1.1")
	must(t, clips.Remember(ctx, of("backup"), second))
	find("backup", first, &provider.Clip{ID: "clip-2"}, "ses_1.1")
	if _, _, err := clips.Find(ctx, of("main"), &session.Item{}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Find without a digest = %v, want it invalid", err)
	}
}
