package drivertest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/segue-audio/segue/internal/fault"
)

func creditsCall(h *Harness) call {
	return call{"Credits", func(ctx context.Context) error {
		_, err := h.Driver.Credits(ctx)
		return err
	}}
}

// creditsCalls is the question for the balance where it is one.
func creditsCalls(h *Harness) []call {
	if h.NoBalance {
		return nil
	}
	return []call{creditsCall(h)}
}

func checkCredits(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	if h.NoBalance {
		checkNoBalance(tb, h, w)
		return
	}
	before, err1 := h.Driver.Credits(tb.Context())
	ready(tb, h)
	after, err2 := h.Driver.Credits(tb.Context())
	if err := errors.Join(err1, err2); err != nil || before <= 0 || after > before {
		tb.Fatalf("credits %v, and %v after a paid chain, %v; want them not to grow", before, after, err)
	}
	sweep(tb, h, w, []call{creditsCall(h)}, func(o outcome) {
		o.checkCode(tb)
		if o.billed != 0 {
			tb.Errorf("%s: billed %d times, want 0", o.name(), o.billed)
		}
	})
	checkContext(tb, w, creditsCall(h), fault.ChargeNone)
}

func checkNoBalance(tb testing.TB, h *Harness, w *Wire) {
	tb.Helper()
	f := asFault(tb, "Credits without a balance", creditsCall(h).make(tb.Context()))
	if f != nil && (f.Code != fault.NotFound || f.Charge != fault.ChargeNone) {
		tb.Errorf("Credits without a balance: %q, %q; want not_found, not charged", f.Code, f.Charge)
	}
	if got := w.counts().trips; got != 0 {
		tb.Errorf("Credits without a balance: %d requests, want 0", got)
	}
}

// checkSecrets looks for traces of the credential and of signed addresses in
// every error: most answers of the sweep repeat the request.
func checkSecrets(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	out := ready(tb, h)
	calls := append(paid(h, out.clip), creditsCalls(h)...)
	for _, e := range out.operations() {
		calls = append(calls, pollCall(h, e))
	}
	sweep(tb, h, w, calls, func(o outcome) { o.checkSecrets(tb, h) })
}

func (o outcome) checkSecrets(tb testing.TB, h *Harness) {
	tb.Helper()
	for _, leak := range h.leaks(o.err) {
		tb.Errorf("%s: the error tells %s", o.name(), leak)
	}
}

// leaks names the secrets that an error would tell, however it is printed and
// whatever it wraps. It returns names: a test's log is a log, too.
func (h *Harness) leaks(err error) []string {
	return h.leaksIn(strings.Join(tellings(err), "\n"))
}

func (h *Harness) leaksIn(said string) []string {
	secrets := map[string]string{
		"the API key":                    h.APIKey,
		"the first half of the API key":  h.APIKey[:len(h.APIKey)/2],
		"the second half of the API key": h.APIKey[len(h.APIKey)/2:],
	}
	if address, parseErr := url.Parse(h.Upload().Audio.URL); parseErr == nil {
		for name, values := range address.Query() {
			secrets["the query parameter "+name+" of the audio's address"] = values[0]
		}
	}
	for n, secret := range h.Secrets {
		secrets[fmt.Sprintf("the harness's secret %d", n)] = secret
	}
	var found []string
	for name, secret := range secrets {
		if secret == "" {
			continue
		}
		if strings.Contains(said, secret) || strings.Contains(said, url.QueryEscape(secret)) {
			found = append(found, name)
		}
	}
	return found
}

// tellings are all the texts of an error and of what it wraps.
func tellings(err error) []string {
	if err == nil {
		return nil
	}
	texts := []string{err.Error(), fmt.Sprintf("%+v", err)}
	switch wrapping := err.(type) { //nolint:errorlint // every link is visited
	case interface{ Unwrap() error }:
		texts = append(texts, tellings(wrapping.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, part := range wrapping.Unwrap() {
			texts = append(texts, tellings(part)...)
		}
	}
	return texts
}

// How much of an answer a driver may read, and how much it is offered.
const (
	errorLimit  = 1 << 20
	answerLimit = 8 << 20
	offered     = 10 << 20
)

func checkBoundedReading(tb testing.TB, open Open) {
	tb.Helper()
	h, w := start(tb, open)
	out := ready(tb, h)
	calls := slices.Concat(paid(h, out.clip), creditsCalls(h), booksCalls(tb, h))
	for _, e := range out.operations() {
		calls = append(calls, pollCall(h, e))
	}
	for _, c := range calls {
		for _, answer := range []struct{ status, limit int }{{500, errorLimit}, {200, answerLimit}} {
			before := w.counts().read
			var err error
			w.during(trouble{answer: endless(answer.status, offered)}, func() { err = c.make(tb.Context()) })
			what := fmt.Sprintf("%s, HTTP %d with %d bytes", c.name, answer.status, offered)
			got := w.counts().read - before
			if f := asFault(tb, what, err); f != nil && got > answer.limit {
				tb.Errorf("%s: %d bytes were read, want at most %d", what, got, answer.limit)
			}
		}
	}
}

// checkGoroutines runs a chain, every trouble, and calls whose context ends, and
// then takes everything down and looks for what is still running.
func checkGoroutines(tb testing.TB, open Open) {
	tb.Helper()
	there := goleak.IgnoreCurrent()
	s := &scope{TB: tb}
	func() {
		defer s.end()
		h, w := start(s, open)
		clip := ready(s, h).clip
		sweep(s, h, w, paid(h, clip), func(outcome) {})
		for _, c := range paid(h, clip) {
			checkContext(s, w, c, fault.ChargeUnknown)
		}
	}()
	if err := goleak.Find(there); err != nil {
		tb.Errorf("after everything was closed: %v", err)
	}
}

// scope is a TB that ends before the test does.
type scope struct {
	testing.TB
	ends []func()
}

// Cleanup keeps f for the end of the scope.
func (s *scope) Cleanup(f func()) { s.ends = append(s.ends, f) }

func (s *scope) end() {
	for _, end := range slices.Backward(s.ends) {
		end()
	}
}
