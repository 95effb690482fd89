package account_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/segue-audio/segue/internal/account"
)

func TestPoolOpensEachAccountOnce(t *testing.T) {
	var opened atomic.Int32
	pool := account.NewPool(func(provider, name string) (*account.Account, error) {
		opened.Add(1)
		return &account.Account{Provider: provider, Name: name}, nil
	})
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			want := []string{"main", "second"}[n%2]
			got, err := pool.Get("kie", want)
			if err != nil || got.Provider != "kie" || got.Name != want {
				t.Errorf("Get(kie, %s) = %+v, %v", want, got, err)
			}
		})
	}
	wg.Wait()
	if opened.Load() != 2 {
		t.Errorf("%d accounts were opened, want 2", opened.Load())
	}
}

func TestPoolAsksAgainForWhatCouldNotBeOpened(t *testing.T) {
	missing := errors.New("the key is missing")
	answers := []error{missing, missing, nil}
	pool := account.NewPool(func(string, string) (*account.Account, error) {
		err := answers[0]
		answers = answers[1:]
		if err != nil {
			return nil, err
		}
		return &account.Account{Name: "main"}, nil
	})
	for n, want := range []error{missing, missing, nil, nil} {
		if _, err := pool.Get("kie", "main"); !errors.Is(err, want) {
			t.Errorf("Get number %d: %v, want %v", n+1, err, want)
		}
	}
}

func TestPoolOpensAnewAfterAReset(t *testing.T) {
	keys := []string{"old", "new"}
	pool := account.NewPool(func(string, string) (*account.Account, error) {
		opened := &account.Account{Name: keys[0]}
		keys = keys[1:]
		return opened, nil
	})
	before, err := pool.Get("kie", "main")
	if err != nil || before.Name != "old" {
		t.Fatalf("Get() = %+v, %v, want the old one", before, err)
	}
	pool.Reset()
	for range 2 {
		if after, err := pool.Get("kie", "main"); err != nil || after.Name != "new" {
			t.Errorf("Get() after Reset = %+v, %v, want the new one", after, err)
		}
	}
	if before.Name != "old" {
		t.Errorf("the account that somebody holds has become %q", before.Name)
	}
}
