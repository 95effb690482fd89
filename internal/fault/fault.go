// Package fault defines the one error type that crosses package borders in
// Segue, and the closed set of codes that code reacts to.
//
// Drivers classify, handlers decide: a driver turns whatever a provider said
// into a Code, a Charge and a Scope, and nothing above it ever looks at error
// text again. The package imports nothing of ours.
package fault

import (
	"context"
	"errors"
	"time"
)

// Code says what kind of thing went wrong. The set is closed: see Codes.
type Code string

// The codes. Each comment says what a caller may conclude.
const (
	// Invalid means the request can never succeed as it is: a bad parameter, a
	// broken file, a wrong configuration. Repeating it is pointless.
	Invalid Code = "invalid"
	// Denied means the credential is missing, wrong or lacks a permission.
	Denied Code = "denied"
	// NotFound means the thing named does not exist, or no longer does.
	NotFound Code = "not_found"
	// Rejected means the other side understood and refuses on its merits: a
	// copyright match, a moderation decision. Repeating it is pointless.
	Rejected Code = "rejected"
	// Conflict means somebody else got there first: a lost compare-and-set, a
	// key used for two different requests.
	Conflict Code = "conflict"
	// Exhausted means a limit was reached: a rate, a quota, credits. It ends by
	// waiting or by paying; RetryAfter says how long when that is known.
	Exhausted Code = "exhausted"
	// Unavailable means the other side is down, or cannot be reached.
	Unavailable Code = "unavailable"
	// Timeout means no answer came in time.
	Timeout Code = "timeout"
	// Malformed means an answer came and does not say what it must.
	Malformed Code = "malformed"
	// Pending means not yet: nothing failed, ask again after RetryAfter.
	Pending Code = "pending"
	// Canceled means somebody decided to stop it.
	Canceled Code = "canceled"
	// Internal means a defect or an environment that Segue cannot work in.
	Internal Code = "internal"
)

// Codes lists every code, for tables and tests.
func Codes() []Code {
	return []Code{Invalid, Denied, NotFound, Rejected, Conflict, Exhausted, Unavailable, Timeout, Malformed, Pending, Canceled, Internal}
}

// Charge says whether the request that failed cost credits. Its zero value is
// the careful one: whoever does not know, does not claim to.
type Charge uint8

const (
	// ChargeUnknown means the request may have been accepted and billed. A paid
	// step that ends so is never sent again without evidence.
	ChargeUnknown Charge = iota
	// ChargeNone means the request was surely not billed: it never left, was
	// refused by a typed answer, or the provider said that it refunded it.
	ChargeNone
	// ChargeMade means the request was billed, although it failed.
	ChargeMade
)

// String names the billing class as documents and logs do.
func (c Charge) String() string {
	switch c {
	case ChargeNone:
		return "not charged"
	case ChargeMade:
		return "charged"
	case ChargeUnknown:
	}
	return "unknown"
}

// Scope says how far a fault reaches: what else should stop for a while.
type Scope uint8

const (
	// ScopeItem is the one item; nothing else is concerned.
	ScopeItem Scope = iota
	// ScopeEndpoint is every request of this account to this endpoint (429).
	ScopeEndpoint
	// ScopeAccount is everything this account does (401, 402).
	ScopeAccount
	// ScopeProvider is everything sent to this provider (455, an outage).
	ScopeProvider
)

// Error is a classified failure. Its text never contains a secret: whoever
// wraps an error vouches for that.
type Error struct {
	Code Code
	// Op is the place, as package.Method.
	Op string
	// Charge is meaningful for requests to a provider.
	Charge Charge
	// Scope is how far the failure reaches.
	Scope Scope
	// RetryAfter is the wait the other side asked for; zero when it did not.
	RetryAfter time.Duration
	// Err is the cause; it may be nil.
	Err error
}

// New returns an Error of unknown charge.
func New(code Code, op string, err error) *Error {
	return &Error{Code: code, Op: op, Err: err}
}

// Uncharged returns an Error that surely cost nothing.
func Uncharged(code Code, op string, err error) *Error {
	return &Error{Code: code, Op: op, Err: err, Charge: ChargeNone}
}

// Error gives op, code and cause on one line.
func (e *Error) Error() string {
	text := e.Op + ": " + string(e.Code)
	if e.Op == "" {
		text = string(e.Code)
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf gives the code of err: empty for nil, the outermost Error's code, or
// what the context package's own errors mean. Anything else is Internal.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return Internal
}

// ChargeOf gives the billing class of err: ChargeUnknown unless an Error says
// otherwise.
func ChargeOf(err error) Charge {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Charge
	}
	return ChargeUnknown
}

// RetryAfter gives the wait that err asks for, or zero.
func RetryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// Reason gives what a person should read: the cause without op and code.
func Reason(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	if err == nil {
		return ""
	}
	return err.Error()
}
