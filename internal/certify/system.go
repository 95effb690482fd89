package certify

import (
	"context"
	"time"
)

// System is what is put to the test. Its methods are called from several goroutines
// at once.
type System interface {
	// Name heads its column.
	Name() string
	// Start brings up whatever is never killed. The rig is up by then.
	Start(ctx context.Context, r *Rig) error
	// Close ends what Start brought up, also when Start failed.
	Close() error
	// Worker is worker n, counted from 1; no number comes twice.
	Worker(n int) Worker
	// Submit hands in a session and gives its id.
	Submit(ctx context.Context, batch Batch) (id string, err error)
	// Load says what is on its way.
	Load(ctx context.Context) (Load, error)
	// InHand lists what worker n had in hand when it was killed a moment ago.
	InHand(ctx context.Context, n int) ([]Grip, error)
	// Look says what has become of a grip by now.
	Look(ctx context.Context, g Grip) (Sight, error)
	// Sessions says what became of every session that was submitted.
	Sessions(ctx context.Context) ([]Session, error)
	// Resolve decides about held items as an operator does who has looked at the
	// provider's log.
	Resolve(ctx context.Context, held []Held) error
}

// Worker is a process that may be killed at any moment.
type Worker struct {
	Command
	// Ready is closed when it takes tasks.
	Ready <-chan struct{}
}

// Load is what is on its way.
type Load struct {
	// Moving items are worked on, or wait for their turn or for the provider.
	Moving int `json:"moving"`
	// Doubtful items wait for evidence about a paid request.
	Doubtful int `json:"doubtful"`
	// Held items wait for a person.
	Held int `json:"held"`
	// Open sessions are not over and not held, or their completion has not taken effect.
	Open int `json:"open"`
}

// Grip is something that a worker had in hand when it was killed.
type Grip struct {
	// What it is, for the system alone.
	What any
	// Paid says that its paid request may have been on its way.
	Paid bool
}

// Sight is what became of a grip.
type Sight struct {
	// Moved is when somebody took it from the dead worker; zero means not yet.
	Moved time.Time
	// Settled is when its paid request was not in doubt any more; zero means not yet, or
	// that it never was.
	Settled time.Time
	// How says what settled it: Adopted or NotAccepted.
	How string
}

// The ways in which a doubt ends.
const (
	// Adopted means that evidence named the operation.
	Adopted = "adopted"
	// NotAccepted means that evidence says that nothing was charged.
	NotAccepted = "not accepted"
	// LeftHeld means that no evidence settled it.
	LeftHeld = "held"
)
