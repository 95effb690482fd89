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
	mini.FastForward(time.Minute)
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
	if err := clips.Forget(ctx, of("main"), second); err != nil {
		t.Fatal(err)
	}
	find("main", second, nil, "")
	if _, _, err := clips.Find(ctx, of("main"), &session.Item{}); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Find without a digest = %v, want it invalid", err)
	}
}
