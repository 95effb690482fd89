package schedule

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
)

// State is where a firing is.
type State string

// The states.
const (
	// Due means that its time has come, and nothing is decided: its jitter is not over,
	// or no scheduler has looked.
	Due State = "due"
	// Queued means that it waits for others of its schedule.
	Queued State = "queued"
	// Started means that it was decided to start. It is open until Firing.Ended.
	Started State = "started"
	// Skipped means that it was left out because another one ran or waited.
	Skipped State = "skipped"
	// Missed means that its time passed while nobody ran.
	Missed State = "missed"
	// Paused means that its time came while the schedule was paused.
	Paused State = "paused"
	// Failed means that it was started, and for good could not become a session.
	Failed State = "failed"
)

// Cause says why there is a firing.
type Cause string

// The causes.
const (
	// ByCalendar is a firing whose time has come.
	ByCalendar Cause = "calendar"
	// ByHand is one that a person asked for: see Store.RunNow.
	ByHand Cause = "hand"
	// ByBackfill is one of the calendar that a person started afterwards.
	ByBackfill Cause = "backfill"
)

// Firing is one run of a schedule.
type Firing struct {
	// Schedule and Fire name it. Fire is At in Unix seconds, or manual-<uuid>.
	Schedule string
	Fire     string
	Cause    Cause
	State    State
	// Reason says why it did not start, or why it failed, or what it found.
	Reason string
	// At is the time that the calendar names, or when a person asked; Start adds jitter.
	At, Start time.Time
	// Decided is when it was written down, Enqueued when its task was last enqueued,
	// Ended when it was known to be over. Zero when not yet.
	Decided, Enqueued, Ended time.Time
	// Session is what it became; empty until then.
	Session string
	// Version is that of the entry it follows.
	Version int64
	// Entry is what it follows, also when the schedule was changed since. It is empty
	// of a firing that is over.
	Entry Entry
}

// ID is the firing's name among all: schedule@fire.
func (f *Firing) ID() string { return f.Schedule + "@" + f.Fire }

// Open says that something of it is still to come.
func (f *Firing) Open() bool {
	return f.State == Due || f.State == Queued || (f.State == Started && f.Ended.IsZero())
}

// ScopeSchedule is the ledger's scope of what schedules spend. Its key is the
// schedule's name, for all that it ever spent, and <name>/<date> for a day.
const ScopeSchedule = "schedule"

// Limits are the budgets of every paid request of the firing's session. What a
// firing spends counts for the day of At in the schedule's zone, also after midnight.
func (f *Firing) Limits() []ledger.Limit {
	limits := []ledger.Limit{
		{Scope: ScopeSchedule, Key: f.Schedule, Credits: math.Inf(1)},
		{Scope: ScopeSchedule, Key: f.Schedule + "/" + f.date(), Credits: limitOf(f.Entry.DailyBudget)},
	}
	if f.Entry.Budget != nil {
		limits = append(limits, ledger.Limit{Scope: ledger.ScopeSession, Credits: *f.Entry.Budget})
	}
	return limits
}

func limitOf(budget *float64) float64 {
	if budget == nil {
		return math.Inf(1)
	}
	return *budget
}

func (f *Firing) date() string {
	zone, err := zoneOf(f.Entry.Timezone)
	if err != nil {
		zone = time.UTC
	}
	return f.At.In(zone).Format(time.DateOnly)
}

// fireAt names a firing of the calendar.
func fireAt(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

const manual = "manual-"

// manualSpace makes the uuid of a firing by hand from its schedule and a caller's key.
var manualSpace = uuid.MustParse("5f0c2c1e-6f44-5d0b-9d5c-8a4f1f6f3b52")

// fireByHand names a firing that a person asked for: the same for the same key,
// another each time without one.
func fireByHand(schedule, key string) (string, error) {
	if key != "" {
		return manual + uuid.NewSHA1(manualSpace, []byte(schedule+"\n"+key)).String(), nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", fault.New(fault.Internal, "schedule.RunNow", err)
	}
	return manual + id.String(), nil
}

// validFire says that text may name a firing.
func validFire(text string) bool {
	if id, byHand := strings.CutPrefix(text, manual); byHand {
		return uuid.Validate(id) == nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return err == nil && strconv.FormatInt(seconds, 10) == text
}

// start is when a firing starts: put off by a share of the jitter that its name
// decides, so that every replica knows the same one, and by less than the time to
// the next firing, so that none overtakes another.
func (p *Plan) start(e *Entry, at time.Time) time.Time {
	most := e.Jitter
	if next := p.Next(at); !next.IsZero() {
		most = min(most, next.Sub(at))
	}
	if most < time.Millisecond {
		return at
	}
	h := fnv.New64a()
	// Writing to a hash does not fail.
	_, _ = h.Write([]byte(e.Name + "@" + fireAt(at)))
	return at.Add(time.Duration(mix(h.Sum64())%uint64(most.Milliseconds())) * time.Millisecond)
}

// mix spreads a hash of texts that differ in their last digits alone (the finalizer
// of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// record is a firing as Redis keeps it, a thousand of them for each schedule; times
// are Unix milliseconds. What names it is its place.
type record struct {
	State    State  `json:"s"`
	Cause    Cause  `json:"c"`
	Reason   string `json:"r,omitempty"`
	At       int64  `json:"a"`
	Start    int64  `json:"b"`
	Decided  int64  `json:"d"`
	Enqueued int64  `json:"q,omitempty"`
	Ended    int64  `json:"e,omitempty"`
	Session  string `json:"id,omitempty"`
	Version  int64  `json:"v"`
}

func encode(f *Firing) (string, error) {
	body, err := json.Marshal(record{
		State: f.State, Cause: f.Cause, Reason: f.Reason, Session: f.Session, Version: f.Version,
		At: toMillis(f.At), Start: toMillis(f.Start), Decided: toMillis(f.Decided),
		Enqueued: toMillis(f.Enqueued), Ended: toMillis(f.Ended),
	})
	return string(body), err
}

func decode(schedule, fire, text string) (Firing, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return Firing{}, fmt.Errorf("firing %s@%s: %w", schedule, fire, err)
	}
	return Firing{
		Schedule: schedule, Fire: fire,
		State: r.State, Cause: r.Cause, Reason: r.Reason, Session: r.Session, Version: r.Version,
		At: ofMillis(r.At), Start: ofMillis(r.Start), Decided: ofMillis(r.Decided),
		Enqueued: ofMillis(r.Enqueued), Ended: ofMillis(r.Ended),
	}, nil
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// ofMillis gives times in UTC, so that two of the same moment are equal.
func ofMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
