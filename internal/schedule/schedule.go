// Package schedule fires bulk runs by the calendar, each firing exactly once,
// whatever number of schedulers runs and whenever they die.
//
// A schedule is an [Entry]: when, which files, and what to do with them. Its
// firings are written down in Redis before anything follows from them: a firing is
// named by its schedule and its time, so that two schedulers that see the same one
// due mean the same thing, and only the first write counts. What was decided to
// start is enqueued under that name as the task's id, and enqueued again by whoever
// looks next if the one that decided died in between.
//
//	due ──┬─> started   decided, then enqueued; open until its session is over
//	      ├─> queued    waits for the one before it (overlap: queue); then started
//	      ├─> skipped   the one before it still ran
//	      ├─> missed    nobody ran in time
//	      └─> paused    its time came while the schedule was paused
//	started ─> failed   it was started, and could not become a session
//
// The calendar is [Plan]; [Store] is all that a command or a handler needs;
// [Scheduler] is the role that decides and enqueues. Time is Redis's clock, and
// nobody else's.
package schedule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Overlap says what a firing does while one before it still runs.
type Overlap string

// The overlap policies.
const (
	// Skip leaves the firing out. Of several that were missed, the latest alone starts.
	Skip Overlap = "skip"
	// Queue lets the firing wait until nothing of its schedule runs. One waits; those
	// that come meanwhile are folded into it.
	Queue Overlap = "queue"
	// Allow starts it beside the other.
	Allow Overlap = "allow"
)

// Origin says who made a schedule.
type Origin string

// The origins.
const (
	// FromConfig means that the schedule follows the configuration: see Store.Sync.
	FromConfig Origin = "config"
	// FromCommand means that a person made it, and only a person ends it.
	FromCommand Origin = "command"
)

// OnTime is how late a firing may be and still be on time, whatever its catch-up:
// long enough for schedulers that are being replaced.
const OnTime = time.Minute

// Entry is one schedule. Its zero values are the careful ones, except that Name,
// Cron, Source and Provider must be given.
type Entry struct {
	// Name has lower-case letters, digits, - and _, 63 at most.
	Name string `json:"name"`
	// Cron has five fields, or is @yearly, @monthly, @weekly, @daily, @hourly or
	// @every with a duration. See Plan.
	Cron string `json:"cron"`
	// Timezone is a name of the time zone database; empty is UTC.
	Timezone string `json:"timezone,omitempty"`
	// Source is what Extend and the rest apply to: an absolute path, a glob, a URL.
	Source   string `json:"source"`
	Provider string `json:"provider"`
	// Account is empty when any account of the provider will do.
	Account string `json:"account,omitempty"`
	// Extend is how the files are continued: JSON that this package only keeps. Empty
	// when they are only uploaded.
	Extend json.RawMessage `json:"extend,omitempty"`
	// OnUnknown, Priority and Archive are the session's, kept for whoever submits it.
	OnUnknown string `json:"onUnknown,omitempty"`
	Priority  string `json:"priority,omitempty"`
	// Archive is where results go, a directory or URL as the workers see it; empty is
	// their own.
	Archive string `json:"archive,omitempty"`
	// Overlap is Skip when empty.
	Overlap Overlap `json:"overlap,omitempty"`
	// CatchUp is how late a missed firing may still start. Below OnTime it changes
	// nothing.
	CatchUp time.Duration `json:"catchUp,omitempty"`
	// Jitter is the most that a start is put off by, so that schedules of the same
	// minute do not start together. It never reaches the next firing.
	Jitter time.Duration `json:"jitter,omitempty"`
	// Budget is the most credits that one firing may spend, DailyBudget what the
	// firings of one day of the schedule's time zone may; nil is no limit. Both are
	// carried for the ledger: see Firing.Limits.
	Budget      *float64 `json:"budget,omitempty"`
	DailyBudget *float64 `json:"dailyBudget,omitempty"`
	// Paused is what the configuration says; see also Store.Pause.
	Paused bool `json:"paused,omitempty"`
	// AllFiles gives every firing all files of the source. Without it a firing carries
	// those that no firing before it has: see Store.Fresh.
	AllFiles bool `json:"allFiles,omitempty"`
	// Again carries a file also when somebody else had it made before, with the same
	// parameters, and uploads it also when its audio lies at the account. AllFiles
	// carries it in any case.
	Again bool `json:"again,omitempty"`
	// Origin is set by whoever stores the entry.
	Origin Origin `json:"origin,omitempty"`
}

// nameForm is what a name looks like: it appears in Redis keys and task ids.
var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Check says what is wrong with an entry, everything at once. Its errors are invalid.
func (e *Entry) Check() error {
	var findings []error
	fail := func(format string, args ...any) { findings = append(findings, fmt.Errorf(format, args...)) }
	if !nameForm.MatchString(e.Name) {
		fail("name %q: lower-case letters, digits, - and _, 63 at most", e.Name)
	}
	if _, err := NewPlan(e); err != nil {
		fail("%s", fault.Reason(err))
	}
	if e.Source == "" {
		fail("source is missing")
	}
	if e.Provider == "" {
		fail("provider is missing")
	}
	if len(e.Extend) > 0 && !json.Valid(e.Extend) {
		fail("extend is no JSON")
	}
	findings = append(findings, e.checkPolicy()...)
	if len(findings) == 0 {
		return nil
	}
	return fault.New(fault.Invalid, "schedule.Check", errors.Join(findings...))
}

func (e *Entry) checkPolicy() []error {
	var findings []error
	switch e.Overlap {
	case Skip, Queue, Allow, "":
	default:
		findings = append(findings, fmt.Errorf("overlap %q is not skip, queue or allow", e.Overlap))
	}
	switch e.Priority {
	case "", "low", "normal", "high":
	default:
		findings = append(findings, fmt.Errorf("priority %q is not low, normal or high", e.Priority))
	}
	if e.CatchUp < 0 || e.Jitter < 0 {
		findings = append(findings, errors.New("catch-up and jitter are not negative"))
	}
	for _, budget := range []*float64{e.Budget, e.DailyBudget} {
		// Written so that NaN is refused as well.
		if budget != nil && !(*budget >= 0) {
			findings = append(findings, fmt.Errorf("a budget of %v credits", *budget))
		}
	}
	return findings
}

// overlap is the policy, with its default.
func (e *Entry) overlap() Overlap {
	if e.Overlap == "" {
		return Skip
	}
	return e.Overlap
}

// tolerance is how late a firing may start.
func (e *Entry) tolerance() time.Duration { return max(e.CatchUp, OnTime) }

// same says that two entries say the same.
func same(a, b *Entry) bool {
	one, err1 := json.Marshal(a)
	two, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && bytes.Equal(one, two)
}
