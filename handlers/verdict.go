package handlers

import (
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"github.com/segue-audio/segue/internal/fault"
)

// This file is the only one that knows how asynq is told what became of an
// attempt: done, wait, try again, or give up.

// retry is an attempt that failed for the time being.
type retry struct {
	after time.Duration
	cause error
}

func (r *retry) Error() string { return r.cause.Error() }
func (r *retry) Unwrap() error { return r.cause }

// wait is "not ready": no failure, ask again later.
func wait(after time.Duration, cause error) error {
	return &fault.Error{Code: fault.Pending, RetryAfter: after, Charge: fault.ChargeNone, Err: cause}
}

// again is a failure that the queue retries after a while.
func again(after time.Duration, cause error) error { return &retry{after, cause} }

// final is a failure that is on record: the queue archives the task, where
// asynqmon shows it with its reason.
func final(cause error) error { return fmt.Errorf("%w: %w", cause, asynq.SkipRetry) }

// IsFailure tells asynq what spends a retry. Waiting does not, nor does a lease
// that ran out because a worker was killed.
func IsFailure(err error) bool {
	return fault.CodeOf(err) != fault.Pending && !errors.Is(err, asynq.ErrLeaseExpired)
}

// RetryDelay tells asynq when to deliver a task again. A wait carries its delay
// with it, since asynq's own count stays 0 while nothing fails. asynq keeps whole
// seconds only.
func RetryDelay(n int, err error, _ *asynq.Task) time.Duration {
	if r, ok := errors.AsType[*retry](err); ok {
		return r.after
	}
	if after := fault.RetryAfter(err); after > 0 {
		return after
	}
	return backoff(n, err)
}
