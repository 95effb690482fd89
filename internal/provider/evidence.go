package provider

import (
	"context"
	"time"
)

// Evidence is what is known of how a provider's own records can settle the
// outcome of a paid request whose answer was lost. A zero duration means that the
// record is no evidence: it does not exist, or nobody says how soon it is true.
type Evidence struct {
	// Callback is the horizon of callbacks: how long after a request the provider
	// may still make its last attempt to report it.
	Callback time.Duration
	// Balance is how long after an acceptance the balance surely shows its charge.
	Balance time.Duration
	// Books is how long after an acceptance the lists that a [Witness] reads surely
	// hold it.
	Books time.Duration
	// Horizon is how long evidence is looked for at most before a person is asked; 0
	// is as long as any of the above may still bring some.
	Horizon time.Duration
}

// Witness is implemented by drivers whose provider keeps lists that can be asked
// what became of a paid request. Asking is free and may be repeated.
type Witness interface {
	// Books reads what the provider's lists say about the time in which the request
	// may have been accepted. It reports facts and judges nothing. A list that
	// cannot be read, or does not have the documented form, is an error, never an
	// empty list. Errors are those of [Driver.Poll].
	Books(ctx context.Context, q *Question) (*Books, error)
}

// Question is a paid request whose outcome is unknown.
type Question struct {
	// Step is what was asked for: "upload" or "extend".
	Step string
	// Session is the provider's own session id, as in Upload.
	Session string
	// From is when the request cannot have left yet, Until when it cannot have been
	// accepted any more; both by our clock.
	From, Until time.Time
}

// Books is what a provider's lists say.
type Books struct {
	// Clips are the clips that the provider's session holds; nil when there is no
	// such list for this step.
	Clips []string
	// Charges is how many requests to the step's endpoint the provider billed to the
	// account between From and Until, widened by what its clock may be off; -1 when
	// there is no such list. What cannot be told from one of them counts: it may be
	// too many and must not be too few. It is true of a request that may have been
	// accepted at Until when it was asked for at Until + Evidence.Books or later.
	Charges int
}
