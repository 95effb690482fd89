package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// bug spoils a good driver.
type bug struct {
	name      string
	transport func(http.RoundTripper) http.RoundTripper
	driver    func(provider.Driver) provider.Driver
	info      func(*provider.Info)
	// caught names the check that must find it, and says is part of what that
	// check must say: a bug that is found for another reason is not found.
	caught string
	says   string
}

// wrapped is a driver whose methods can be replaced one by one.
type wrapped struct {
	provider.Driver
	upload  func(context.Context, *provider.Upload) (*provider.Accepted, error)
	extend  func(context.Context, *provider.Extend) (*provider.Accepted, error)
	poll    func(context.Context, *provider.Operation) (*provider.State, error)
	credits func(context.Context) (float64, error)
}

func (d wrapped) Upload(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
	if d.upload == nil {
		return d.Driver.Upload(ctx, r)
	}
	return d.upload(ctx, r)
}

func (d wrapped) Extend(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
	if d.extend == nil {
		return d.Driver.Extend(ctx, r)
	}
	return d.extend(ctx, r)
}

func (d wrapped) Poll(ctx context.Context, o *provider.Operation) (*provider.State, error) {
	if d.poll == nil {
		return d.Driver.Poll(ctx, o)
	}
	return d.poll(ctx, o)
}

func (d wrapped) Credits(ctx context.Context) (float64, error) {
	if d.credits == nil {
		return d.Driver.Credits(ctx)
	}
	return d.credits(ctx)
}

// oneSession opens the same session for everybody.
type oneSession struct{ wrapped }

func (oneSession) OpenSession(context.Context) (string, error) { return "s-1", nil }

// extending spoils Extend alone.
func extending(spoil func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error)) func(provider.Driver) provider.Driver {
	return func(d provider.Driver) provider.Driver {
		return wrapped{Driver: d, extend: func(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
			return spoil(ctx, d, r)
		}}
	}
}

// misjudging changes the errors of Extend.
func misjudging(change func(*fault.Error)) func(provider.Driver) provider.Driver {
	return extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
		accepted, err := d.Extend(ctx, r)
		if f, ok := errors.AsType[*fault.Error](err); ok {
			change(f)
		}
		return accepted, err
	})
}

// polling changes the answers of Poll.
func polling(change func(*provider.Operation, *provider.State, error) (*provider.State, error)) func(provider.Driver) provider.Driver {
	return func(d provider.Driver) provider.Driver {
		return wrapped{Driver: d, poll: func(ctx context.Context, o *provider.Operation) (*provider.State, error) {
			state, err := d.Poll(ctx, o)
			return change(o, state, err)
		}}
	}
}

// sender is a transport made of a function.
type sender func(*http.Request) (*http.Response, error)

func (f sender) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var bugs = []bug{
	{
		name: "sends again on a 500", caught: "submit is sent once", says: "Extend, billed, then 500: 2 requests arrived, want 1",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			accepted, err := d.Extend(ctx, r)
			if fault.CodeOf(err) == fault.Unavailable {
				return d.Extend(ctx, r)
			}
			return accepted, err
		}),
	},
	{
		name: "sends again when the connection closes", caught: "submit is sent once", says: "closed after it was billed: 2 requests arrived",
		transport: func(next http.RoundTripper) http.RoundTripper {
			return sender(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet {
					return next.RoundTrip(r)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				for range 2 {
					again := r.Clone(r.Context())
					again.GetBody = nil
					again.Body = io.NopCloser(strings.NewReader(string(body)))
					var resp *http.Response
					if resp, err = next.RoundTrip(again); err == nil {
						return resp, nil
					}
				}
				return nil, err
			})
		},
	},
	{
		name: "follows redirects of a paid request", caught: "submit is sent once", says: "Extend, billed, then sent elsewhere with 307: 10 requests arrived",
		transport: func(next http.RoundTripper) http.RoundTripper {
			return sender(func(r *http.Request) (*http.Response, error) {
				if r.Method == http.MethodGet {
					return next.RoundTrip(r)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					return nil, err
				}
				again := r.Clone(r.Context())
				again.Body, again.GetBody = io.NopCloser(strings.NewReader(string(body))), func() (io.ReadCloser, error) {
					return io.NopCloser(strings.NewReader(string(body))), nil
				}
				again.RequestURI = ""
				return (&http.Client{Transport: next}).Do(again)
			})
		},
	},
	{
		name: "claims that a lost request was not charged", caught: "submit tells its charge", says: "Extend, reset after it was billed: said to be not charged",
		driver: misjudging(func(f *fault.Error) {
			if f.Code == fault.Unavailable {
				f.Charge = fault.ChargeNone
			}
		}),
	},
	{
		name: "claims that a garbled answer was not charged", caught: "submit tells its charge", says: "Extend, billed, then half of the JSON: said to be not charged",
		driver: misjudging(func(f *fault.Error) {
			if f.Code == fault.Malformed {
				f.Charge = fault.ChargeNone
			}
		}),
	},
	{
		name: "does not say that a refusal is free", caught: "submit tells its charge", says: `Extend, 429: charge "unknown", want "not charged"`,
		driver: misjudging(func(f *fault.Error) {
			if f.Code == fault.Exhausted {
				f.Charge = fault.ChargeUnknown
			}
		}),
	},
	{
		name: "loses Retry-After", caught: "submit tells its code", says: "Extend, 429: scope 1, retry after 0s; want 1, 7s",
		driver: misjudging(func(f *fault.Error) { f.RetryAfter = 0 }),
	},
	{
		name: "takes empty credits for a mistake of ours", caught: "submit tells its code", says: `Extend, 402: code "invalid"`,
		driver: misjudging(func(f *fault.Error) {
			if f.Code == fault.Exhausted && f.Scope == fault.ScopeAccount {
				f.Code = fault.Invalid
			}
		}),
	},
	{
		name: "looks at the HTTP status alone", caught: "submit tells its code", says: "Extend, 402 in the body",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			accepted, err := d.Extend(ctx, r)
			if err != nil && strings.Contains(err.Error(), "HTTP 200, code") {
				return &provider.Accepted{OperationID: "undefined"}, nil
			}
			return accepted, err
		}),
	},
	{
		name: "returns plain errors", caught: "submit tells its code", says: "want a *fault.Error",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			accepted, err := d.Extend(ctx, r)
			if err != nil {
				return nil, errors.New(err.Error())
			}
			return accepted, nil
		}),
	},
	{
		name: "ignores the context", caught: "submit obeys its context", says: "Extend: does not return after its context has ended",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			if err := ctx.Err(); err != nil {
				return d.Extend(ctx, r)
			}
			return d.Extend(context.WithoutCancel(ctx), r)
		}),
	},
	{
		name: "sends although the context has ended", caught: "submit obeys its context", says: "Extend, canceled before: 1 requests arrived, want 0",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			before := ctx.Err()
			if before == nil {
				return d.Extend(ctx, r)
			}
			_, err := d.Extend(context.WithoutCancel(ctx), r)
			return nil, errors.Join(before, err)
		}),
	},
	{
		name: "takes an unknown word for success", caught: "poll knows no unknown word", says: "Poll of extend answered with the word wibble",
		driver: polling(func(o *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if o.Step == "extend" && err != nil && strings.Contains(err.Error(), "unknown word") {
				return &provider.State{Done: true, Word: "?", Tracks: []provider.Track{{AudioID: "a", AudioURL: "b"}}}, nil
			}
			return s, err
		}),
	},
	{
		name: "takes an unknown word for not yet", caught: "poll knows no unknown word", says: "Poll of upload answered with the word wibble",
		driver: polling(func(_ *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if err != nil && strings.Contains(err.Error(), "unknown word") {
				return &provider.State{Word: "?"}, nil
			}
			return s, err
		}),
	},
	{
		name: "succeeds without tracks", caught: "poll wants results", says: "Poll of extend answered with success and empty lists of results",
		driver: polling(func(_ *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if err != nil && strings.Contains(err.Error(), "no tracks") {
				return &provider.State{Done: true, Word: "ready"}, nil
			}
			return s, err
		}),
	},
	{
		name: "succeeds without a clip", caught: "poll wants results", says: "Poll of upload answered with success and empty ids",
		driver: polling(func(_ *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if err != nil && strings.Contains(err.Error(), "no clip") {
				return &provider.State{Done: true, Word: "ready"}, nil
			}
			return s, err
		}),
	},
	{
		name: "takes an unknown operation for a running one", caught: "poll of an unknown operation", says: "want a not_found error",
		driver: polling(func(_ *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if fault.CodeOf(err) == fault.NotFound {
				return &provider.State{Word: "?"}, nil
			}
			return s, err
		}),
	},
	{
		name: "returns a failure as an error", caught: "failed operation", says: "want an operation that ends",
		driver: polling(func(_ *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if s != nil && s.Failure != nil {
				return nil, s.Failure
			}
			return s, err
		}),
	},
	{
		name: "forgets what it was asked before", caught: "poll repeats", says: "question 2 about the same operation",
		driver: func(d provider.Driver) provider.Driver {
			var told sync.Map
			return wrapped{Driver: d, poll: func(ctx context.Context, o *provider.Operation) (*provider.State, error) {
				s, err := d.Poll(ctx, o)
				if err == nil && s.Done {
					if _, again := told.LoadOrStore(o.ID, true); again {
						return nil, fault.Uncharged(fault.NotFound, "toy.Poll", errors.New("already told"))
					}
				}
				return s, err
			}}
		},
	},
	{
		name: "takes a refused question for not yet", caught: "poll tells its code", says: "Poll of upload, 429: no error, want one",
		driver: polling(func(_ *provider.Operation, s *provider.State, err error) (*provider.State, error) {
			if fault.CodeOf(err) == fault.Exhausted {
				return &provider.State{Word: "?"}, nil
			}
			return s, err
		}),
	},
	{
		name: "cannot be stopped while it asks", caught: "poll obeys its context", says: "Poll of upload: does not return after its context has ended",
		driver: func(d provider.Driver) provider.Driver {
			return wrapped{Driver: d, poll: func(ctx context.Context, o *provider.Operation) (*provider.State, error) {
				if ctx.Err() != nil {
					return d.Poll(ctx, o)
				}
				return d.Poll(context.WithoutCancel(ctx), o)
			}}
		},
	},
	{
		name: "opens the same session twice", caught: "session", says: `sessions "s-1" and "s-1"`,
		driver: func(d provider.Driver) provider.Driver { return oneSession{wrapped{Driver: d}} },
	},
	{
		name: "has no wait between two questions", caught: "info", says: "polling from 0s to 1m0s",
		info: func(i *provider.Info) { i.Poll.Min = 0 },
	},
	{
		name: "tells the key in an error", caught: "secrets", says: "Extend, 401: the error tells the API key",
		driver: misjudging(func(f *fault.Error) { f.Err = fmt.Errorf("with Authorization: Bearer %s: %w", toyKey, f.Err) }),
	},
	{
		name: "repeats the answer in an error", caught: "secrets", says: "the error tells the query parameter sig of the audio's address",
		driver: func(d provider.Driver) provider.Driver {
			return wrapped{Driver: d, upload: func(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
				accepted, err := d.Upload(ctx, r)
				if f, ok := errors.AsType[*fault.Error](err); ok {
					f.Err = fmt.Errorf("posting %s: %w", r.Audio.URL, f.Err)
				}
				return accepted, err
			}}
		},
	},
	{
		name: "reads whatever comes", caught: "reading is bounded", says: "Upload, HTTP 500 with 10485760 bytes",
		transport: func(next http.RoundTripper) http.RoundTripper {
			return sender(func(r *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(r)
				if err != nil {
					return nil, err
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil {
					body = nil
				}
				_ = resp.Body.Close()
				resp.Body = io.NopCloser(bytes.NewReader(body))
				return resp, nil
			})
		},
	},
	{
		name: "mixes concurrent calls up", caught: "concurrent use", says: "is the result of two chains",
		driver: func(d provider.Driver) provider.Driver {
			var (
				mu    sync.Mutex
				first *provider.Accepted
			)
			return wrapped{Driver: d, extend: func(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
				accepted, err := d.Extend(ctx, r)
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					first = accepted
				}
				return first, err
			}}
		},
	},
	{
		name: "leaves a goroutine behind", caught: "goroutines", says: "after everything was closed: found unexpected goroutines",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			go func() { <-leaked }()
			return d.Extend(ctx, r)
		}),
	},
	{
		name: "goes its own way to the provider", caught: "chain", says: "through the client that it was given",
		transport: func(http.RoundTripper) http.RoundTripper {
			return &http.Transport{DisableKeepAlives: true}
		},
	},
	{
		name: "invents a balance", caught: "credits", says: "Credits, 401: no error, want one",
		driver: func(d provider.Driver) provider.Driver {
			return wrapped{Driver: d, credits: func(ctx context.Context) (float64, error) {
				credits, err := d.Credits(ctx)
				if err != nil {
					return 0, nil
				}
				return credits, nil
			}}
		},
	},
}

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
