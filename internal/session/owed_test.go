package session_test

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// TestAboutToBeReopened: who means to reopen an item says so first. No sweep takes the
// session off the list before the item is written, or before that was surely given up.
func TestAboutToBeReopened(t *testing.T) {
	rdb, mini := redistest.Mini(t)
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	mini.SetTime(noon)
	store := session.NewStore(rdb)
	ctx := t.Context()
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := store.Create(ctx, session.Spec{ID: id, Provider: "p", Account: "a"}, false); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Seal(ctx, id); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Settle(ctx, id, 1); err != nil { // a session without items is complete
		t.Fatal(err)
	}
	listed := func(what string, want bool) {
		t.Helper()
		if err := store.Close(ctx, id); err != nil {
			t.Fatal(err)
		}
		open, err := store.Open(ctx)
		if got := len(open) == 1; got != want || err != nil {
			t.Errorf("%s the list is %v, %v; want the session on it: %t", what, open, err, want)
		}
	}
	listed("after it was settled", false)
	if err := store.Owe(ctx, id); err != nil {
		t.Fatal(err)
	}
	listed("after an Owe", true)
	mini.SetTime(noon.Add(session.OwedFor - time.Millisecond))
	listed("shortly before its time is over", true)
	mini.SetTime(noon.Add(session.OwedFor + time.Millisecond))
	listed("after its time", false)
	listed("after it was closed", false)
}
