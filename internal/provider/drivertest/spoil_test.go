package drivertest

import (
	"context"
	"errors"
	"net/http"

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

// perjurer is a toy with books of its own.
type perjurer struct {
	*toy
	books func(context.Context, *provider.Question) (*provider.Books, error)
}

func (d perjurer) Books(ctx context.Context, q *provider.Question) (*provider.Books, error) {
	return d.books(ctx, q)
}

// testifying spoils Books alone.
func testifying(spoil func(ctx context.Context, d *toy, q *provider.Question) (*provider.Books, error)) func(provider.Driver) provider.Driver {
	return func(d provider.Driver) provider.Driver {
		honest, ok := d.(*toy)
		if !ok {
			panic("drivertest: only a toy's books can be spoiled")
		}
		return perjurer{honest, func(ctx context.Context, q *provider.Question) (*provider.Books, error) { return spoil(ctx, honest, q) }}
	}
}

// extending spoils Extend alone.
func extending(spoil func(ctx context.Context, d provider.Driver, r *provider.Extend) (*provider.Accepted, error)) func(provider.Driver) provider.Driver {
	return func(d provider.Driver) provider.Driver {
		return wrapped{Driver: d, extend: func(ctx context.Context, r *provider.Extend) (*provider.Accepted, error) {
			return spoil(ctx, d, r)
		}}
	}
}

// uploading spoils Upload alone.
func uploading(spoil func(ctx context.Context, d provider.Driver, r *provider.Upload) (*provider.Accepted, error)) func(provider.Driver) provider.Driver {
	return func(d provider.Driver) provider.Driver {
		return wrapped{Driver: d, upload: func(ctx context.Context, r *provider.Upload) (*provider.Accepted, error) {
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
