package drivertest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// leaked is what the leaking bug waits for.
var leaked chan struct{}

// TestBugsAreCaught proves the suite: every bug fails the check that is there for
// it, and for the reason that it is there for.
func TestBugsAreCaught(t *testing.T) {
	defer func(before time.Duration) { patience = before }(patience)
	patience = time.Second
	leaked = make(chan struct{})
	defer close(leaked)
	for _, b := range bugs {
		t.Run(b.name, func(t *testing.T) {
			at := slices.IndexFunc(checks(), func(c check) bool { return c.name == b.caught })
			if at < 0 {
				t.Fatalf("there is no check %q", b.caught)
			}
			said := record(t, func(tb testing.TB) { checks()[at].run(tb, openToy(b)) })
			if !slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, b.says) }) {
				t.Errorf("%q said %q, want a failure with %q", b.caught, said, b.says)
			}
		})
	}
}

// TestEveryCheckCatchesSomething keeps checks that cannot fail out of the suite.
func TestEveryCheckCatchesSomething(t *testing.T) {
	proven := map[string]bool{}
	for _, b := range bugs {
		proven[b.caught] = true
	}
	for _, c := range checks() {
		if !proven[c.name] {
			t.Errorf("no bug proves the check %q", c.name)
		}
	}
}

// recorder is a TB that keeps failures to itself.
type recorder struct {
	testing.TB
	mu   sync.Mutex
	said []string
	ends []func()
}

// record runs f as a test of its own and returns how it failed.
func record(t *testing.T, f func(testing.TB)) []string {
	t.Helper()
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(r)
	}()
	<-done
	for _, end := range slices.Backward(r.ends) {
		end()
	}
	return r.said
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Cleanup(f func()) { r.ends = append(r.ends, f) }
