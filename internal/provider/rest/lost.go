package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"github.com/segue-audio/segue/internal/fault"
)

// lost classifies a request that got no answer.
func (x *exchange) lost(ctx context.Context, err error) error {
	if x.body != nil {
		if refused := x.body.denied(); refused != nil {
			return refused
		}
	}
	code, cause := classify(ctx, err)
	return x.fail(code, cause)
}

// brokenOff classifies an answer that began well and did not end.
func (x *exchange) brokenOff(ctx context.Context, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil {
		return x.fail(fault.Malformed, errors.New("the answer breaks off"))
	}
	return x.lost(ctx, err)
}

// classify gives the code and a cause that is safe to print. The context is
// asked first: what a transport returns after a cancellation is often only the
// noise of tearing the connection down, or whatever cause the canceler gave.
func classify(ctx context.Context, err error) (fault.Code, error) {
	var timeout net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fault.Canceled, context.Canceled
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fault.Timeout, context.DeadlineExceeded
	case errors.As(err, &timeout) && timeout.Timeout():
		return fault.Timeout, errors.New("the network timed out")
	}
	return fault.Unavailable, safe(err)
}

// safe rebuilds a transport's error from the parts that are known to hold no
// secret. The rest may quote anything: net/http repeats the line that it could
// not parse, and a url.Error the whole address.
func safe(err error) error {
	var (
		name    *net.DNSError
		cert    *tls.CertificateVerificationError
		errno   syscall.Errno
		network *net.OpError
		alert   tls.AlertError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, errReplay):
		return errReplay
	case errors.As(err, &name):
		return errors.New("the host's name cannot be resolved")
	case errors.As(err, &cert):
		return errors.New("the host's certificate is not trusted")
	case errors.As(err, &errno) && errors.As(err, &network):
		return fmt.Errorf("%s: %w", network.Op, errno)
	case errors.As(err, &errno):
		return errno
	case errors.As(err, &alert), errors.As(err, &record):
		return errors.New("the TLS handshake failed")
	case errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("the host speaks http, not https")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection closed before an answer came")
	}
	return errors.New("the exchange failed")
}
