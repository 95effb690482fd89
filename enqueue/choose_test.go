package enqueue_test

import (
	"errors"
	"testing"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/redistest"
)

// bindings counts where sessions that name no account are bound to.
func bindings(t *testing.T, client *enqueue.Client, sessions int) map[string]int {
	t.Helper()
	bound := map[string]int{}
	for range sessions {
		id := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1)}).SessionID
		status, err := client.Progress(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		bound[status.Account]++
	}
	return bound
}

func TestSessionsAreBoundToAccountsThatCanDoSomething(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client, gate := enqueue.NewFromRedis(rdb), account.NewGate(rdb)
	if got := bindings(t, client, 3); got["main"] != 3 {
		t.Errorf("before any worker: %v, want all on main", got)
	}
	id := func(name string) account.ID { return account.ID{Provider: "sim", Name: name} }
	spent := 5.0
	known := []account.Known{
		{ID: id("a"), Endpoint: account.KindExtend},
		{ID: id("b"), Endpoint: account.KindExtend},
		{ID: id("dry"), Endpoint: account.KindExtend},
		{ID: id("paused"), Endpoint: account.KindExtend},
		{ID: id("drained"), Endpoint: account.KindExtend},
		{ID: id("spent"), Endpoint: account.KindExtend, Budget: &spent},
	}
	books := ledger.New(rdb)
	charged := ledger.Entry{Session: "ses_x", Step: "extend"}
	for _, err := range []error{
		gate.Announce(t.Context(), known),
		gate.Drain(t.Context(), id("drained"), true),
		gate.Close(t.Context(), id("paused"), account.KindExtend, account.Pause{For: time.Hour, Why: "455"}),
		books.RunDry(t.Context(), ledger.Account{Provider: "sim", Name: "dry"}, time.Hour, 1),
		books.Settle(t.Context(), ledger.Account{Provider: "sim", Name: "spent"}, charged, 5),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := bindings(t, client, 40); got["a"] == 0 || got["b"] == 0 || got["a"]+got["b"] != 40 {
		t.Errorf("bound to %v, want all of them at random to a and b", got)
	}
}

func TestNothingIsBoundToADrainedAccount(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client, gate, id := enqueue.NewFromRedis(rdb), account.NewGate(rdb), account.ID{Provider: "sim", Name: "main"}
	if err := errors.Join(gate.Announce(t.Context(), []account.Known{{ID: id, Endpoint: account.KindExtend}}), gate.Drain(t.Context(), id, true)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Submit(t.Context(), enqueue.Session{Provider: "sim", Items: songs(1)}); !errors.Is(err, enqueue.ErrConflict) {
		t.Errorf("Submit = %v, want ErrConflict", err)
	}
	if _, err := client.Submit(t.Context(), enqueue.Session{Provider: "sim", Account: "main", Items: songs(1)}); err != nil {
		t.Errorf("Submit to the account by its name = %v, want success: whoever names it knows", err)
	}
}

// A key stands for one session, wherever the first submission was bound to.
func TestAKeyKeepsItsAccount(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client, gate := enqueue.NewFromRedis(rdb), account.NewGate(rdb)
	var known []account.Known
	for _, name := range []string{"a", "b", "c", "d"} {
		known = append(known, account.Known{ID: account.ID{Provider: "sim", Name: name}, Endpoint: account.KindExtend})
	}
	if err := gate.Announce(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	order := enqueue.Session{Provider: "sim", Items: songs(1), Key: "order-1"}
	first := submit(t, client, order)
	for range 8 {
		if again := submit(t, client, order); again.SessionID != first.SessionID {
			t.Fatalf("session %s, want %s", again.SessionID, first.SessionID)
		}
	}
	status, err := client.Progress(t.Context(), first.SessionID)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := client.Choose(t.Context(), "sim", "order-1"); err != nil || name != status.Account {
		t.Errorf("Choose of its key = %s, %v; want %s", name, err, status.Account)
	}
}
