package tasks

import (
	"errors"
	"fmt"
	"time"
)

// Admit is the payload of session:admit.
type Admit struct {
	V int `json:"v"`
	// Provider and Account name the account whose sessions take turns.
	Provider string `json:"provider"`
	Account  string `json:"account"`
	// Seq is the number of the account's admission that this is: whatever happens
	// before it begins asks for the same one, whatever happens later for the next.
	Seq int64 `json:"seq,omitempty"`
	// Slot is set instead in one that is asked for at a time: Unix milliseconds, by
	// the clock of Redis.
	Slot int64 `json:"slot,omitempty"`
}

// SessionAdmit moves items that wait in their sessions onto the queue, as slots,
// credits and rate allow. No number is used again: one that was cut off is made up for
// by the next.
var SessionAdmit = Type[Admit]{
	Name:   "session:admit",
	Policy: Policy{Queue: QueueControl, MaxRetry: 0, Timeout: time.Minute, Retention: time.Minute},
}

// TaskID is <type>:<provider>/<account>:<seq>, or :s<slot> when the sweep asks.
func (a Admit) TaskID(typeName string) string {
	if a.Slot > 0 {
		return fmt.Sprintf("%s:%s/%s:s%d", typeName, a.Provider, a.Account, a.Slot)
	}
	return fmt.Sprintf("%s:%s/%s:%d", typeName, a.Provider, a.Account, a.Seq)
}

// Check demands a version, an account, and either a number or a slot.
func (a Admit) Check() error {
	switch {
	case a.V < 1:
		return errors.New("no version")
	case a.Provider == "" || a.Account == "":
		return errors.New("no account")
	case a.Seq < 0 || a.Slot < 0 || (a.Seq == 0) == (a.Slot == 0):
		return fmt.Errorf("seq %d and slot %d; one of them is set", a.Seq, a.Slot)
	}
	return nil
}
