package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"code.dny.dev/ssrf"

	"github.com/segue-audio/segue/internal/fault"
)

// Fault classifies what went wrong while a request was made or its body read.
//
//	canceled     the context was canceled
//	timeout      the context's deadline passed, or nothing answered in time
//	invalid      the address is private and not allowed
//	malformed    more than 10 redirects
//	unavailable  everything else
//
// The text is made anew from what is known to be harmless: the errors of
// net/http quote URLs, redirect targets and bytes of the answer, and any of
// these may carry a signature. For the same reason the original error is not
// wrapped. host is named in the text; it must be the URL's host alone.
func Fault(op, host string, err error) *fault.Error {
	code, reason := classify(err)
	cause := fmt.Errorf("%s: %s", host, reason)
	switch code {
	case fault.Canceled:
		cause = fmt.Errorf("%s: %w", host, context.Canceled)
	case fault.Timeout:
		cause = fmt.Errorf("%s: %s: %w", host, reason, context.DeadlineExceeded)
	}
	return fault.Uncharged(code, op, cause)
}

func classify(err error) (fault.Code, string) {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Canceled, "canceled"
	case refused(err):
		return fault.Invalid, "its address is private or reserved, and security.allow_private_hosts does not name it"
	case errors.Is(err, errRedirects):
		return fault.Malformed, "redirects without end"
	case errors.As(err, &network) && network.Timeout():
		return fault.Timeout, "no answer in time"
	}
	return fault.Unavailable, reason(err)
}

func refused(err error) bool {
	return errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

// reason says in our own words what kind of failure err is.
func reason(err error) string {
	var (
		lookup      *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		operation   *net.OpError
	)
	switch {
	case errors.As(err, &lookup) && lookup.IsNotFound:
		return "no such host"
	case errors.As(err, &lookup):
		return "its name cannot be looked up"
	case errors.As(err, &certificate):
		return "its certificate cannot be verified"
	case errors.As(err, &record):
		return "it does not speak TLS"
	case errors.As(err, &operation) && operation.Op == "dial":
		return "it cannot be reached"
	case errors.As(err, &operation), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was cut"
	}
	return "the exchange failed"
}

// maxRetryAfter bounds what a server can make us wait.
const maxRetryAfter = time.Hour

// RetryAfter reads the header of that name: seconds, or a date compared with
// the answer's own Date so that the two clocks need not agree. It is 0 when the
// header is missing or senseless, and at most an hour.
func RetryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		if seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return max(0, time.Duration(seconds)*time.Second)
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(0, until.Sub(now)), maxRetryAfter)
}
