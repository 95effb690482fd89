package tasks

import (
	"errors"
	"fmt"
	"time"
)

// Run is the payload of bulk:run.
type Run struct {
	V int `json:"v"`
	// Schedule is the name of the schedule, Fire its firing: the time that its calendar
	// names, in Unix seconds, or manual-<uuid>.
	Schedule string `json:"schedule"`
	Fire     string `json:"fire"`
}

// BulkRun expands one firing of a schedule into a session.
var BulkRun = Type[Run]{
	Name:   "bulk:run",
	Policy: Policy{Queue: QueueControl, MaxRetry: manyRetries, Timeout: 30 * time.Minute, Retention: 24 * time.Hour},
}

// TaskID is <type>:<schedule>:<fire>.
func (r Run) TaskID(typeName string) string {
	return fmt.Sprintf("%s:%s:%s", typeName, r.Schedule, r.Fire)
}

// Check demands a version, a schedule and a firing.
func (r Run) Check() error {
	switch {
	case r.V < 1:
		return errors.New("no version")
	case r.Schedule == "":
		return errors.New("no schedule")
	case r.Fire == "":
		return errors.New("no firing")
	}
	return nil
}
