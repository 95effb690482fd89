package tasks

import (
	"errors"
	"fmt"
	"time"
)

// Sweep is the payload of keeper:sweep.
type Sweep struct {
	V int `json:"v"`
	// Slot is the sweep's turn: Redis time divided by the sweep's interval. All
	// workers propose the same slot, so one sweep runs per interval.
	Slot int64 `json:"slot"`
}

// KeeperSweep finds what is stuck and wakes it.
var KeeperSweep = Type[Sweep]{
	Name:   "keeper:sweep",
	Policy: Policy{Queue: QueueControl, MaxRetry: 0, Timeout: time.Minute, Retention: time.Minute},
}

// TaskID is <type>:<slot>.
func (s Sweep) TaskID(typeName string) string { return fmt.Sprintf("%s:%d", typeName, s.Slot) }

// Check demands a version and a slot.
func (s Sweep) Check() error {
	switch {
	case s.V < 1:
		return errors.New("no version")
	case s.Slot < 1:
		return fmt.Errorf("slot %d", s.Slot)
	}
	return nil
}
