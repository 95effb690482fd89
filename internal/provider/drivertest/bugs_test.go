package drivertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// bugs are the ways to get a driver wrong that the suite must find.
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
		name: "sends when it wakes up too late", caught: "submit obeys its context", says: "Extend, frozen until after its deadline: billed 1 times",
		driver: extending(func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error) {
			if deadline, ends := ctx.Deadline(); ends && time.Now().After(deadline) && ctx.Err() == nil {
				_, err := d.Extend(context.WithoutCancel(ctx), r)
				return nil, fault.Uncharged(fault.Timeout, "toy.Extend", err)
			}
			return d.Extend(ctx, r)
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
		name: "does not know that its upload is free", caught: "free upload", info: free,
		says: `Upload, billed, then 500: charge "unknown" of a free upload, want "not charged"`,
	},
	{
		name: "believes a checkpoint that promises too much", caught: "free upload", info: free,
		says: "request 1 of Upload, closed before it was seen: the next attempt, from the checkpoint",
		driver: uploading(func(ctx context.Context, d provider.Driver, r *provider.Upload) (*provider.Accepted, error) {
			if len(r.Checkpoint) > 0 {
				return &provider.Accepted{OperationID: "op-99"}, nil
			}
			if r.Save != nil {
				if err := r.Save(ctx, []byte(`{"done":true}`)); err != nil {
					return nil, err
				}
			}
			accepted, err := d.Upload(ctx, r)
			return accepted, rest.Free(err)
		}),
	},
	{
		name: "saves the address with its signature", caught: "free upload", info: free,
		says: "the checkpoint holds the query parameter sig of the audio's address",
		driver: uploading(func(ctx context.Context, d provider.Driver, r *provider.Upload) (*provider.Accepted, error) {
			if r.Save != nil {
				if err := r.Save(ctx, []byte(`{"url":"`+r.Audio.URL+`"}`)); err != nil {
					return nil, err
				}
			}
			accepted, err := d.Upload(ctx, r)
			return accepted, rest.Free(err)
		}),
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
		name: "promises callbacks that nobody can read", caught: "info", says: "callbacks true, and the driver can read one: false",
		info: func(i *provider.Info) { i.Callbacks, i.Evidence.Callback = true, time.Minute },
	},
	{
		name: "waits for callbacks that never come", caught: "info", says: "the horizon of callbacks is 1m0s, and there are callbacks: false",
		info: func(i *provider.Info) { i.Evidence.Callback = time.Minute },
	},
	{
		name: "says that its balance is true before it is asked for", caught: "info", says: "the balance is evidence after -1s",
		info: func(i *provider.Info) { i.Evidence.Balance = -time.Second },
	},
	{
		name: "does not say how soon its books are true", caught: "info", says: "the books are evidence after 0s, and there are books: true",
		info: func(i *provider.Info) { i.Evidence.Books = 0 },
	},
	{
		name: "takes books that cannot be read for empty ones", caught: "books", says: "request 2 of Books of upload, billed, then 500: no error, want one",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if fault.CodeOf(err) == fault.Unavailable {
				return &provider.Books{Clips: []string{}}, nil
			}
			return books, err
		}),
	},
	{
		name: "gives what it has of the books with its error", caught: "books", says: "want a result or an error, and not both",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if err != nil {
				return &provider.Books{Charges: -1}, err
			}
			return books, nil
		}),
	},
	{
		name: "takes an answer without a list for an empty list", caught: "books", says: "Books of extend, request 1 answered without its lists",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if err != nil && strings.Contains(err.Error(), "no list of bills") {
				return &provider.Books{}, nil
			}
			return books, err
		}),
	},
	{
		name: "counts what was billed at any time", caught: "books", says: "Books of extend for another time and session",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			always := *q
			always.From, always.Until = time.UnixMilli(0), q.Until.Add(1000*time.Hour)
			return d.Books(ctx, &always)
		}),
	},
	{
		name: "counts nothing", caught: "books", says: "Books of extend: 0 charges, want the 1 there was",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if err != nil {
				return nil, err
			}
			books.Charges = 0
			return books, nil
		}),
	},
	{
		name: "lists the clips of another session", caught: "books", says: `Books of upload: clips ["clip-op-7"]`,
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if err == nil && books.Clips != nil {
				books.Clips = []string{"clip-op-7"}
			}
			return books, err
		}),
	},
	{
		name: "cannot be stopped while it reads the books", caught: "books", says: "Books of upload: does not return after its context has ended",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			if ctx.Err() != nil {
				return d.Books(ctx, q)
			}
			return d.Books(context.WithoutCancel(ctx), q)
		}),
	},
	{
		name: "believes that a question costs something", caught: "books", says: `charge "unknown" of a question`,
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if f, ok := errors.AsType[*fault.Error](err); ok {
				f.Charge = fault.ChargeUnknown
			}
			return books, err
		}),
	},
	{
		name: "tells the key when it cannot read the books", caught: "books", says: "Books of upload, 401: the error tells the API key",
		driver: testifying(func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error) {
			books, err := d.Books(ctx, q)
			if f, ok := errors.AsType[*fault.Error](err); ok {
				f.Err = fmt.Errorf("with Authorization: Bearer %s: %w", toyKey, f.Err)
			}
			return books, err
		}),
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
