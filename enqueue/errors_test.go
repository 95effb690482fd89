package enqueue_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/redistest"
	"github.com/segue-audio/segue/internal/session"
)

// calls are the calls that name a session.
var calls = map[string]func(ctx context.Context, p enqueue.Producer, id string) error{
	"Add": func(ctx context.Context, p enqueue.Producer, id string) error {
		_, err := p.Add(ctx, id, enqueue.Item{Source: "a.mp3"})
		return err
	},
	"Seal": func(ctx context.Context, p enqueue.Producer, id string) error { return p.Seal(ctx, id) },
	"Status": func(ctx context.Context, p enqueue.Producer, id string) error {
		_, err := p.Status(ctx, id)
		return err
	},
	"Progress": func(ctx context.Context, p enqueue.Producer, id string) error {
		_, err := p.Progress(ctx, id)
		return err
	},
	"Wait": func(ctx context.Context, p enqueue.Producer, id string) error {
		_, err := p.Wait(ctx, id)
		return err
	},
	"Cancel": func(ctx context.Context, p enqueue.Producer, id string) error {
		_, err := p.Cancel(ctx, id)
		return err
	},
}

func TestWrongIDIsNotFound(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(rdb)
	absent, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	there := submit(t, client, enqueue.Session{Provider: "sim", Items: songs(1)}).SessionID
	before := rdb.Keys(t.Context(), "*").Val()
	for name, call := range calls {
		for _, id := range []string{absent, there + ".0", there + " ", strings.ToUpper(there), "ses_", "*", "", "a}b{c", strings.Repeat("a", 5000)} {
			if err := call(t.Context(), client, id); !errors.Is(err, enqueue.ErrNotFound) {
				t.Errorf("%s(%.50q) = %v; want ErrNotFound", name, id, err)
			}
		}
	}
	if after := rdb.Keys(t.Context(), "*").Val(); len(after) != len(before) {
		t.Errorf("naming what is not there left %d keys where %d were", len(after), len(before))
	}
}

// TestOddIDNeverReachesRedis: only what has the form of an id becomes part of a key.
func TestOddIDNeverReachesRedis(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	client := enqueue.NewFromRedis(hooked(t, rdb, &ear{func(name string) { t.Errorf("%s was sent", name) }}))
	for name, call := range calls {
		if err := call(t.Context(), client, "a}b{c"); !errors.Is(err, enqueue.ErrNotFound) {
			t.Errorf("%s = %v; want ErrNotFound", name, err)
		}
	}
}

func TestRedisThatIsAwayIsUnavailable(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	id := submit(t, enqueue.NewFromRedis(rdb), enqueue.Session{Provider: "sim", Items: songs(1)}).SessionID
	away := fused(t, rdb, 0, false)
	for name, call := range calls {
		if err := call(t.Context(), away, id); !errors.Is(err, enqueue.ErrUnavailable) {
			t.Errorf("%s = %v; want ErrUnavailable", name, err)
		}
	}
	if _, err := away.Submit(t.Context(), enqueue.Session{Provider: "sim"}); !errors.Is(err, enqueue.ErrUnavailable) {
		t.Errorf("Submit = %v; want ErrUnavailable", err)
	}
}

func TestNew(t *testing.T) {
	_, mini := redistest.Mini(t)
	client, err := enqueue.New(t.Context(), "redis://"+mini.Addr()+"/0")
	if err != nil {
		t.Fatal(err)
	}
	id := submit(t, client, enqueue.Session{Provider: "sim"}).SessionID
	if err := client.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if _, err := client.Status(t.Context(), id); !errors.Is(err, enqueue.ErrUnavailable) {
		t.Errorf("Status after Close = %v; want ErrUnavailable", err)
	}
	address := mini.Addr()
	mini.Close()
	if _, err := enqueue.New(t.Context(), "redis://someone:secret@"+address); !errors.Is(err, enqueue.ErrUnavailable) || strings.Contains(err.Error(), "secret") {
		t.Errorf("New where nobody listens = %v; want ErrUnavailable without the password", err)
	}
	for _, address := range []string{"http://127.0.0.1", "", "redis://:secret@a:b:c/"} {
		if _, err := enqueue.New(t.Context(), address); !errors.Is(err, enqueue.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("New(%q) = %v; want ErrInvalid without the password", address, err)
		}
	}
}

func TestCloseLeavesACallersConnection(t *testing.T) {
	rdb, _ := redistest.Mini(t)
	if err := enqueue.NewFromRedis(rdb).Close(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("the caller's connection after Close: %v; want it open", err)
	}
}
