package ledger_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/redistest"
)

// model is the books as a person would keep them: one line per entry, and sums
// only when somebody asks. Amounts are whole credits.
type model struct {
	lines map[ledger.Entry]*line
	// corrected is what TrueUp added to a session.
	corrected map[string]int
	dryUntil  time.Time
	dryNeed   int
	dry       bool
	moves     int64
}

// line is what is known of one entry.
type line struct {
	open                  bool
	price                 int
	fate                  string // "", "paid", "back", "stray" or "void"
	openDay, day          string
	openSchedule          string
	schedule              string // what the last charge or release counted in
	spent, refund, latest int
	// spentOn and refundOn are the amounts by day and by schedule.
	spentOn, refundOn map[string]int
}

func newModel() *model {
	return &model{lines: map[ledger.Entry]*line{}, corrected: map[string]int{}}
}

func (m *model) line(e ledger.Entry) *line {
	if m.lines[e] == nil {
		m.lines[e] = &line{spentOn: map[string]int{}, refundOn: map[string]int{}}
	}
	return m.lines[e]
}

// sums adds up one scope.
func (m *model) sums(scope, key string) ledger.Totals {
	var spent, reserved, refunded int
	for e, l := range m.lines {
		in := map[string]bool{"account": true, "session": key == e.Session}[scope]
		switch {
		case in:
			spent, refunded = spent+l.spent, refunded+l.refund
		case scope == "day" || scope == "schedule":
			spent, refunded = spent+l.spentOn[scope+key], refunded+l.refundOn[scope+key]
		}
		if l.open && (in || scope == "day" && key == l.openDay || scope == "schedule" && key == l.openSchedule && key != "") {
			reserved += l.price
		}
	}
	for session, credits := range m.corrected {
		if scope == "account" || scope == "session" && key == session {
			spent += credits
		}
	}
	return ledger.Totals{Spent: float64(spent), Reserved: float64(reserved), Refunded: float64(refunded)}
}

func (m *model) open() (n int) {
	for _, l := range m.lines {
		if l.open {
			n++
		}
	}
	return n
}

// reserve gives the code that Reserve answers.
func (m *model) reserve(r ledger.Reservation, now time.Time) fault.Code {
	l, today := m.line(r.Entry), now.UTC().Format(time.DateOnly)
	switch {
	case l.open:
		return ""
	case l.fate == "paid" || l.fate == "back":
		return fault.Conflict
	}
	schedule := ""
	for _, limit := range r.Limits {
		key := map[string]string{"session": r.Entry.Session, "day": today, "schedule": limit.Key}[limit.Scope]
		now := m.sums(limit.Scope, key)
		if r.Credits > 0 && now.Spent+now.Reserved+r.Credits > limit.Credits {
			return fault.Exhausted
		}
		if limit.Scope == "schedule" {
			schedule = limit.Key
		}
	}
	if r.Credits > 0 && m.dry && m.dryUntil.After(now) {
		return fault.Exhausted
	}
	l.open, l.price, l.openDay, l.openSchedule = true, int(r.Credits), today, schedule
	m.moves++
	return ""
}

// end closes what is open and remembers what it counted in; without a reservation
// what was remembered stays, and a first charge counts today.
func (l *line) end(today string) {
	switch {
	case l.open:
		l.day, l.schedule = l.openDay, l.openSchedule
	case l.day == "":
		l.day = today
	}
	l.open = false
}

func (l *line) add(credits int) {
	l.spent += credits
	l.spentOn["day"+l.day] += credits
	if l.schedule != "" {
		l.spentOn["schedule"+l.schedule] += credits
	}
}

func (l *line) giveBack(credits int) {
	l.refund += credits
	l.refundOn["day"+l.day] += credits
	if l.schedule != "" {
		l.refundOn["schedule"+l.schedule] += credits
	}
}

func (m *model) charge(e ledger.Entry, credits int, stray bool, today string) {
	l := m.line(e)
	switch {
	case l.open && !stray:
		l.end(today)
		l.fate = "paid"
	case l.fate != "" || credits == 0:
		return
	default:
		switch {
		case l.day != "":
		case l.open:
			l.day, l.schedule = l.openDay, l.openSchedule
		default:
			l.day = today
		}
		l.fate = "stray"
	}
	l.add(credits)
	l.latest = credits
	m.moves++
}

func (m *model) refund(e ledger.Entry, credits int, today string) {
	l := m.line(e)
	switch {
	case l.fate == "paid" || l.fate == "stray":
		back := min(credits, l.latest)
		short := back - int(m.sums("session", e.Session).Spent)
		l.add(-back)
		l.giveBack(back)
		m.corrected[e.Session] += max(0, short) // a correction had taken it off before
		l.fate = map[string]string{"paid": "back", "stray": "void"}[l.fate]
	case l.fate == "" && l.open:
		l.end(today)
		l.giveBack(credits)
		l.fate = "back"
	default:
		return
	}
	m.moves++
}

func (m *model) release(e ledger.Entry) {
	l := m.line(e)
	if !l.open {
		return
	}
	if l.fate == "" {
		l.end("")
	}
	l.open = false
	m.moves++
}

func (m *model) trueUp(session string, was, total int) bool {
	spent := int(m.sums("session", session).Spent)
	if spent == total {
		return true
	}
	if spent != was {
		return false
	}
	for e, l := range m.lines {
		if e.Session == session && l.open {
			return false
		}
	}
	m.corrected[session] += total - was
	m.moves++
	return true
}

// machine drives the ledger and the model through the same calls.
type machine struct {
	t     *testing.T
	book  *ledger.Book
	model *model
	now   time.Time
	// marks are reservations that a sweep has been given, and may act upon late.
	marks []ledger.Open
}

var (
	anEntry = rapid.Custom(func(t *rapid.T) ledger.Entry {
		return ledger.Entry{
			Session: rapid.SampledFrom([]string{"ses_a", "ses_b"}).Draw(t, "session"), Step: "extend",
			Index: rapid.IntRange(0, 1).Draw(t, "index"), Generation: rapid.IntRange(0, 1).Draw(t, "generation"),
		}
	})
	amounts = rapid.IntRange(0, 15)
	aLimit  = rapid.Custom(func(t *rapid.T) ledger.Limit {
		limit := ledger.Limit{Scope: rapid.SampledFrom([]string{"account", "session", "day", "schedule"}).Draw(t, "scope")}
		if limit.Credits = float64(rapid.IntRange(0, 60).Draw(t, "limit")); limit.Credits == 60 {
			limit.Credits = math.Inf(1)
		}
		return limit
	})
)

// limits draws some, of one schedule at most.
func limits(t *rapid.T) []ledger.Limit {
	list := rapid.SliceOfN(aLimit, 0, 3).Draw(t, "limits")
	schedule := rapid.SampledFrom([]string{"nightly", "weekly"}).Draw(t, "schedule")
	for n := range list {
		if list[n].Scope == "schedule" {
			list[n].Key = schedule
		}
	}
	return list
}

// repeat makes a call once, or again as after a lost reply, and gives its last error.
func repeat(t *rapid.T, call func() error) error {
	err := call()
	for range rapid.IntRange(0, 2).Draw(t, "repeats") {
		err = call()
	}
	return err
}

func (m *machine) must(t *rapid.T, call func() error) {
	if err := repeat(t, call); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) today() string { return m.now.Format(time.DateOnly) }

func (m *machine) Reserve(t *rapid.T) {
	r := ledger.Reservation{Account: main, Entry: anEntry.Draw(t, "entry"), Credits: float64(amounts.Draw(t, "price")), Limits: limits(t)}
	fresh := !m.model.line(r.Entry).open
	affords := m.book.Affords(t.Context(), r)
	want := m.model.reserve(r, m.now)
	if fresh && want != fault.Conflict && fault.CodeOf(affords) != want {
		t.Fatalf("Affords(%+v) = %v, want %q", r, affords, want)
	}
	var got ledger.Reserved
	err := repeat(t, func() (err error) { got, err = m.book.Reserve(t.Context(), r); return err })
	if fault.CodeOf(err) != want {
		t.Fatalf("Reserve(%+v) = %v, want %q", r, err, want)
	}
	if state := (ledger.Reserved{Quiet: m.model.open() == 1, Moves: m.model.moves, Mark: got.Mark}); want == "" && (got != state || got.Mark == 0) {
		t.Fatalf("Reserve(%+v) = %+v, want %+v", r, got, state)
	}
	if over, ok := asOver(err); ok && over.Final == (over.Spent+over.Price <= over.Limit) && over.Scope != "day" {
		t.Fatalf("refusal %+v: final is wrong", over)
	}
	// A renewed reservation is none of those that sweeps were given before.
	if want == "" && !fresh {
		m.forget(r.Entry)
	}
}

func (m *machine) forget(e ledger.Entry) {
	for n := range m.marks {
		if m.marks[n].Entry == e {
			m.marks[n].Credits = -1 // acting upon it must do nothing
		}
	}
}

func (m *machine) Settle(t *rapid.T) {
	e, credits := anEntry.Draw(t, "entry"), amounts.Draw(t, "credits")
	m.model.charge(e, credits, false, m.today())
	m.must(t, func() error { return m.book.Settle(t.Context(), main, e, float64(credits)) })
}

func (m *machine) Charge(t *rapid.T) {
	e, credits := anEntry.Draw(t, "entry"), amounts.Draw(t, "credits")
	m.model.charge(e, credits, true, m.today())
	m.must(t, func() error { return m.book.Charge(t.Context(), main, e, float64(credits)) })
}

func (m *machine) Refund(t *rapid.T) {
	e, credits := anEntry.Draw(t, "entry"), amounts.Draw(t, "credits")
	m.model.refund(e, credits, m.today())
	m.must(t, func() error { return m.book.Refund(t.Context(), main, e, float64(credits)) })
}

func (m *machine) Release(t *rapid.T) {
	e := anEntry.Draw(t, "entry")
	m.model.release(e)
	m.must(t, func() error { return m.book.Release(t.Context(), main, e) })
}

func (m *machine) Keep(t *rapid.T) {
	e := anEntry.Draw(t, "entry")
	m.must(t, func() error { return m.book.Keep(t.Context(), main, e, time.Minute) })
}

func (m *machine) TrueUp(t *rapid.T) {
	session := rapid.SampledFrom([]string{"ses_a", "ses_b"}).Draw(t, "session")
	was, total := int(m.model.sums("session", session).Spent), amounts.Draw(t, "total")
	if rapid.IntRange(0, 3).Draw(t, "late") == 0 {
		was++
	}
	want := m.model.trueUp(session, was, total)
	var got bool
	m.must(t, func() (err error) {
		got, err = m.book.TrueUp(t.Context(), main, session, float64(was), float64(total))
		return err
	})
	if got != want {
		t.Fatalf("TrueUp(%s, %d, %d) = %v, want %v", session, was, total, got, want)
	}
}

func (m *machine) RunDry(t *rapid.T) {
	m.model.dry, m.model.dryUntil, m.model.dryNeed = true, m.now.Add(time.Hour), amounts.Draw(t, "need")
	m.must(t, func() error { return m.book.RunDry(t.Context(), main, time.Hour, float64(m.model.dryNeed)) })
}

func (m *machine) Refill(t *rapid.T) {
	balance := amounts.Draw(t, "balance")
	want := m.model.dry && balance > 0 && balance >= m.model.dryNeed
	if want {
		m.model.dry = false
	}
	got, err := m.book.Refill(t.Context(), main, float64(balance))
	if got != want || err != nil {
		t.Fatalf("Refill(%d) = %v, %v, want %v", balance, got, err, want)
	}
}

func (m *machine) Look(t *rapid.T) {
	list, err := m.book.Stale(t.Context(), main, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if l := m.model.line(o.Entry); !l.open || o.Credits != float64(l.price) {
			t.Fatalf("Stale() gave %+v, want %+v", o, *l)
		}
	}
	m.marks = append(m.marks, list...)
}

func (m *machine) Lapse(t *rapid.T) {
	if len(m.marks) == 0 {
		t.Skip("no sweep was given anything")
	}
	o := rapid.SampledFrom(m.marks).Draw(t, "open")
	if o.Credits >= 0 {
		m.model.release(o.Entry)
		m.forget(o.Entry)
	}
	m.must(t, func() error { return m.book.Lapse(t.Context(), main, o) })
}

// readable are the scopes that a run counts in.
var readable = [][2]string{
	{"account", ""},
	{"session", "ses_a"},
	{"session", "ses_b"},
	{"schedule", "nightly"},
	{"schedule", "weekly"},
	{"day", "2026-11-22"},
	{"day", "2026-11-23"},
	{"day", "2026-11-24"},
}

// glance compares what the account says, and two scopes.
func (m *machine) glance(t *rapid.T) {
	m.check(t, rapid.SampledFrom(readable).Draw(t, "one"), rapid.SampledFrom(readable).Draw(t, "other"))
}

func (m *machine) check(t *rapid.T, scopes ...[2]string) {
	for _, scope := range scopes {
		got, err := m.book.Totals(t.Context(), main, scope[0], scope[1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.model.sums(scope[0], scope[1]), got); diff != "" {
			t.Fatalf("Totals(%s %s) (-want +got):\n%s", scope[0], scope[1], diff)
		}
	}
	got, err := m.book.State(t.Context(), main)
	if err != nil {
		t.Fatal(err)
	}
	if got.Open != m.model.open() || got.Moves != m.model.moves || got.Totals != m.model.sums("account", "") || got.Today != m.model.sums("day", m.today()) {
		t.Fatalf("State() = %+v, want %d open at move %d", got, m.model.open(), m.model.moves)
	}
	if want := m.model.dry && m.model.dryUntil.After(m.now); got.DryUntil.IsZero() == want {
		t.Fatalf("State() = %+v, want dry: %v", got, want)
	}
}

// TestModel holds the ledger against the model: whatever is called in whatever
// order, however often it is repeated, the two say the same.
func TestModel(t *testing.T) {
	rdb, clock := redistest.Mini(t)
	rapid.Check(t, func(rt *rapid.T) {
		clock.FlushAll()
		m := &machine{t: t, book: ledger.New(rdb), model: newModel(), now: noon}
		clock.SetTime(m.now)
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": m.Reserve, "reserve too": m.Reserve, "settle": m.Settle, "charge": m.Charge, "refund": m.Refund,
			"release": m.Release, "keep": m.Keep, "true up": m.TrueUp,
			"run dry": m.RunDry, "refill": m.Refill, "look": m.Look, "lapse": m.Lapse,
			"sleep": func(t *rapid.T) {
				if next := m.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute); next.Before(noon.Add(60 * time.Hour)) {
					m.now = next
				}
				clock.SetTime(m.now)
			},
			"": m.glance,
		})
		m.check(rt, readable...)
	})
}

func asOver(err error) (*ledger.OverBudget, bool) {
	var over *ledger.OverBudget
	found := errors.As(err, &over)
	return over, found
}
