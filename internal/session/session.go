// Package session is Segue's domain: sessions, their items, the steps that an
// item goes through, and the store that keeps them in Redis.
//
// What may happen to an item is written once, as pure functions on [Item] (file
// item.go); what follows from an item's state is one pure function, [Next]. The
// [Store] adds only durability: it writes an item by compare-and-set on its
// epoch, in one script that also keeps the counts, the results and the outbox of
// the session true.
package session

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/segue-audio/segue/internal/provider"
)

// Spec is what a session was created with. It never changes.
type Spec struct {
	// ID is "ses_" and a UUIDv7.
	ID string `json:"id"`
	// Name is the producer's own name for it; it may be empty.
	Name string `json:"name,omitempty"`
	// Provider names a provider of the configuration, Account one of its accounts.
	// Everything the session does uses that account (P4).
	Provider string `json:"provider"`
	Account  string `json:"account"`
	// Created is when, by Redis's clock, in Unix milliseconds.
	Created int64 `json:"created"`
	// Params is how items are continued that do not say otherwise; nil means
	// that they are only uploaded.
	Params *provider.Params `json:"params,omitempty"`
	// OnUnknown is what happens when the outcome of a paid request is unknown and
	// no evidence settles it: "hold" (or empty) or "resubmit".
	OnUnknown string `json:"onUnknown,omitempty"`
	// Budget is the most credits that the session may spend; nil means no limit of
	// its own. An operator may have changed it since: see [Store.SetBudget].
	Budget *float64 `json:"budget,omitempty"`
	// Limits are further budgets that its requests count in, such as a schedule's.
	Limits []Limit `json:"limits,omitempty"`
	// Priority is how large its share is of what its account may do; empty is normal.
	// An operator may have changed it since: see [Store.SetPriority].
	Priority Priority `json:"priority,omitempty"`
	// Anew says that every file is uploaded, whatever lies at the account already.
	Anew bool `json:"anew,omitempty"`
	// Archive is the directory or URL where results go; empty means the worker's
	// configured archive.
	Archive string `json:"archive,omitempty"`
	// Digest identifies the request that was submitted, so that one key cannot
	// stand for two different requests.
	Digest string `json:"digest,omitempty"`
}

// Session is a session as it stands.
type Session struct {
	Spec
	// Sealed says that no more items will come.
	Sealed bool
	// Ready says that its items may be worked on. A submission that was cut off
	// half way is not, so nothing of it is paid for.
	Ready bool
	// Canceled is when it was canceled; zero when it was not.
	Canceled time.Time
	// Remote is the provider's own session id; empty when there is none.
	Remote string
	// Total is the number of items.
	Total int
	// Completions counts how often the session became complete, Settled how often
	// what follows a completion was done. They are equal when nothing is owed.
	Completions int
	Settled     int
	// Counts is the number of items by label (see Item.Label).
	Counts map[string]int
}

// Limit is a budget that several sessions share; the ledger counts by scope and key.
type Limit struct {
	Scope string `json:"scope"`
	Key   string `json:"key"`
	// Credits is what may be spent; nil limits nothing, and is counted all the same.
	Credits *float64 `json:"credits,omitempty"`
}

// Priority is a session's share of its account, where several sessions wait: a
// session of high priority is given sixteen turns for each one of low priority.
type Priority string

// The priorities. No session starves, whatever the others are.
const (
	Low    Priority = "low"
	Normal Priority = "normal"
	High   Priority = "high"
)

// Weight is the priority as a number of turns; 0 means that it is none.
func (p Priority) Weight() int {
	switch p {
	case Low:
		return 1
	case Normal, "":
		return 4
	case High:
		return 16
	}
	return 0
}

// OnUnknown policies.
const (
	Hold     = "hold"
	Resubmit = "resubmit"
)

// Status is where a session is.
type Status string

// The statuses of a session.
const (
	// StatusOpen means that more items may come.
	StatusOpen Status = "open"
	// StatusRunning means that items are on their way.
	StatusRunning Status = "running"
	// StatusSucceeded means that every item succeeded.
	StatusSucceeded Status = "succeeded"
	// StatusPartial means that it is over, and some items succeeded.
	StatusPartial Status = "partial"
	// StatusFailed means that it is over, and none succeeded.
	StatusFailed Status = "failed"
	// StatusHeld means that nothing moves until a person decides about held items.
	StatusHeld Status = "held"
	// StatusCanceled means that it is over because somebody canceled it.
	StatusCanceled Status = "canceled"
)

// Tally is the number of items by outcome.
type Tally struct {
	Total     int `json:"total"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Held      int `json:"held"`
	Canceled  int `json:"canceled"`
	Waiting   int `json:"waiting"`
}

// Tally counts the items by outcome; what is neither ended nor held waits.
func (s *Session) Tally() Tally {
	t := Tally{Total: s.Total}
	for label, n := range s.Counts {
		step, _, _ := strings.Cut(label, ".")
		switch state := State(label[strings.IndexByte(label, '.')+1:]); state {
		case Succeeded:
			t.Succeeded += n
		case Failed:
			t.Failed += n
		case Canceled:
			t.Canceled += n
		case Held:
			t.Held += n
		case Queued:
			// Nobody claims a paid step of a canceled session any more.
			if !s.Canceled.IsZero() && StepName(step) != StepFetch {
				t.Canceled += n
			}
		case Sending, Running, Reconciling, Waiting:
		}
	}
	t.Waiting = t.Total - t.Succeeded - t.Failed - t.Canceled - t.Held
	return t
}

// Status says where the session is.
func (s *Session) Status() Status {
	t := s.Tally()
	switch {
	case !s.Sealed && s.Canceled.IsZero():
		return StatusOpen
	case t.Waiting > 0:
		return StatusRunning
	case t.Held > 0:
		return StatusHeld
	case t.Succeeded == t.Total:
		return StatusSucceeded
	case t.Succeeded > 0:
		return StatusPartial
	case t.Failed > 0:
		return StatusFailed
	}
	return StatusCanceled
}

// Over says that the status is one that only an operator changes.
func (s Status) Over() bool { return s != StatusOpen && s != StatusRunning }

// idPrefix starts every session id.
const idPrefix = "ses_"

// NewID returns a new session id.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("session: %w", err)
	}
	return idPrefix + id.String(), nil
}

// ValidID says whether text has the form of a session id. Only such text ever
// becomes part of a key.
func ValidID(text string) bool {
	rest, ok := strings.CutPrefix(text, idPrefix)
	return ok && uuid.Validate(rest) == nil && len(rest) == 36
}

// ItemID is the id of a session's item: deterministic, so that submitting twice
// is harmless.
func ItemID(session string, index int) string {
	return session + "." + strconv.Itoa(index)
}

// ParseItemID takes an item id apart; ok is false when it is none.
func ParseItemID(id string) (session string, index int, ok bool) {
	session, number, found := strings.Cut(id, ".")
	index, err := strconv.Atoi(number)
	return session, index, found && err == nil && index >= 0 && ValidID(session) && strconv.Itoa(index) == number
}
