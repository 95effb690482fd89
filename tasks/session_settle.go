package tasks

import (
	"errors"
	"fmt"
	"time"
)

// manyRetries is a retry limit that only our own deadlines reach first: asynq
// archives a task at its limit even when the attempt only said "not ready".
const manyRetries = 1 << 20

// Settle is the payload of session:settle.
type Settle struct {
	V       int    `json:"v"`
	Session string `json:"session"`
	// Completion counts how often the session became complete: 1, and more when
	// an operator's retry reopened it.
	Completion int `json:"completion"`
	// Rescue counts the times the sweep replaced this task.
	Rescue int `json:"rescue,omitempty"`
}

// SessionSettle does everything that follows a session's completion.
var SessionSettle = Type[Settle]{
	Name:   "session:settle",
	Policy: Policy{Queue: QueueControl, MaxRetry: manyRetries, Timeout: 5 * time.Minute, Retention: time.Hour},
}

// TaskID is <type>:<session>:<completion>, with :r<n> when rescued.
func (s Settle) TaskID(typeName string) string {
	id := fmt.Sprintf("%s:%s:%d", typeName, s.Session, s.Completion)
	if s.Rescue > 0 {
		id += fmt.Sprintf(":r%d", s.Rescue)
	}
	return id
}

// Check demands a version, a session and a completion.
func (s Settle) Check() error {
	switch {
	case s.V < 1:
		return errors.New("no version")
	case s.Session == "":
		return errors.New("no session")
	case s.Completion < 1:
		return fmt.Errorf("completion %d", s.Completion)
	}
	return nil
}
