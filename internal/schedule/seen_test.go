package schedule_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

func TestKeysOfSources(t *testing.T) {
	now := time.Unix(1795341600, 5)
	keys := []string{
		schedule.FileKey("/a", 1, now), schedule.FileKey("/a", 2, now), schedule.FileKey("/a", 1, now.Add(1)), schedule.FileKey("/a\n1", 1, now), schedule.FileKey("/b", 1, now),
		schedule.ObjectKey("/a", ""), schedule.ObjectKey("/a", "x"), schedule.ContentKey(sha256.Sum256([]byte("a"))), schedule.ContentKey(sha256.Sum256([]byte("b"))),
	}
	slices.Sort(keys)
	if distinct := len(slices.Compact(slices.Clone(keys))); distinct != 9 {
		t.Errorf("nine sources have %d keys: %q", distinct, keys)
	}
}

func TestNewFilesOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.sync(entry("x", "@yearly"), entry("y", "@yearly"))
		run := func(name string) string {
			f, err := w.RunNow(ctx, name, "")
			w.ok(err)
			return f.Fire
		}
		fresh := func(name, fire string, want ...bool) {
			t.Helper()
			got, err := w.Fresh(ctx, name, fire, []string{"a", "b", "c"})
			w.ok(err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Fresh(%s, %s) (-want +got):\n%s", name, fire, diff)
			}
		}
		first := run("x")
		fresh("x", "", true, true, true)
		fresh("x", first, true, true, true)
		fresh("x", "", false, false, false) // somebody is about to carry them
		second := run("x")
		fresh("x", second, false, false, false)
		for range 2 {
			w.ok(w.Mark(ctx, "x", first, []string{"a", "b"}))
		}
		carried, err := w.Carried(ctx, "x", first, []string{"a", "b", "c", "d"})
		w.ok(err)
		if diff := cmp.Diff([]bool{true, true, false, false}, carried); diff != "" {
			t.Errorf("Carried() (-want +got):\n%s", diff)
		}
		carried, err = w.Carried(ctx, "x", "", []string{"a", "b", "c", "d"})
		w.ok(err)
		if diff := cmp.Diff([]bool{true, true, false, false}, carried); diff != "" {
			t.Errorf("Carried() by any (-want +got):\n%s", diff)
		}
		carried, err = w.Carried(ctx, "x", second, []string{"a", "c"})
		w.ok(err)
		if diff := cmp.Diff([]bool{false, false}, carried); diff != "" {
			t.Errorf("Carried() by another (-want +got):\n%s", diff)
		}
		w.ok(w.Submitted(ctx, "x", first, "ses_a", ""))
		w.look() // the session is over
		// c was taken and never marked: the next one carries it.
		fresh("x", second, false, false, true)
		// Also after a crash of its task.
		fresh("x", second, false, false, true)
		// A firing that is repeated is told again what it has marked itself.
		fresh("x", first, true, true, false)
		w.ok(w.Fail(ctx, "x", second, "no credits"))
		third := run("x")
		fresh("x", third, false, false, true)
		fresh("y", run("y"), true, true, true) // another schedule
		w.ok(w.Mark(ctx, "x", third, []string{"a", "c"}))
		fresh("x", first, true, true, false) // a stays whose it was
		w.ok(w.Forget(ctx, "x"))
		fresh("x", "", true, true, true)
	})
}

func TestManySources(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.sync(entry("x", "@yearly"))
		f, err := w.RunNow(ctx, "x", "")
		w.ok(err)
		keys := make([]string, 0, 5000)
		for n := range 5000 {
			keys = append(keys, fmt.Sprintf("file %d", n))
		}
		w.ok(w.Mark(ctx, "x", f.Fire, keys[:3000]))
		got, err := w.Fresh(ctx, "x", "", keys)
		w.ok(err)
		if len(got) != 5000 || slices.Contains(got[:3000], true) || slices.Contains(got[3000:], false) {
			t.Errorf("of 5000 sources, the first 3000 marked, Fresh() answers otherwise")
		}
		got, err = w.Fresh(ctx, "x", f.Fire, nil)
		if err != nil || len(got) != 0 {
			t.Errorf("Fresh() of no source = %v, %v, want none", got, err)
		}
	})
}

func TestSeenRefuses(t *testing.T) {
	w := newWorld(t, "2026-11-22T10:00:00Z")
	ctx := t.Context()
	for _, fire := range []string{"x", "01", "-", "1.5", "manual-", "manual-x"} {
		_, err := w.Fresh(ctx, "x", fire, []string{"a"})
		wantCode(t, fmt.Sprintf("Fresh() for %q", fire), err, fault.Invalid)
	}
	_, err := w.Carried(ctx, "x", "yesterday", []string{"a"})
	wantCode(t, "Carried() by what is no firing", err, fault.Invalid)
	wantCode(t, "Mark() for nobody", w.Mark(ctx, "x", "", []string{"a"}), fault.Invalid)
	wantCode(t, "Forget() of what cannot be", w.Forget(ctx, "no name"), fault.NotFound)
}
