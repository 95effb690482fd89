package simulator

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Span is a time.Duration that travels as text, such as "2s".
type Span time.Duration

// String is that of the time.Duration.
func (s Span) String() string { return time.Duration(s).String() }

// MarshalText writes a Span as time.Duration does.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what time.ParseDuration does: a number alone is an error.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = Span(d)
	return err
}

// Limit is what a provider allows each of its accounts. The zero value allows
// everything.
type Limit struct {
	// Requests is how many operations may be started within any stretch of Per; 0
	// is any number.
	Requests int  `json:"requests"`
	Per      Span `json:"per"`
	// InFlight is how many operations may run at once; 0 is any number.
	InFlight int `json:"inFlight"`
}

func (l Limit) check() error {
	switch {
	case l.Requests < 0, l.InFlight < 0, l.Per < 0:
		return errors.New("requests, per and inFlight must not be negative")
	case l.Requests > 0 && l.Per == 0:
		return errors.New("requests without per: within which time?")
	}
	return nil
}

// limitable are the providers, by the names that limits go by.
var limitable = []string{"apikley", "kie", "kkiai", "mountsea", "sunoapi"}

func checkLimits(limits map[string]Limit) error {
	var findings []error
	for _, name := range slices.Sorted(maps.Keys(limits)) {
		if !slices.Contains(limitable, name) {
			findings = append(findings, fmt.Errorf("no limit belongs to provider %q", name))
			continue
		}
		if err := limits[name].check(); err != nil {
			findings = append(findings, fmt.Errorf("limit of %s: %w", name, err))
		}
	}
	return errors.Join(findings...)
}

// limits gives those of every provider that has any: KIE's family has what is
// documented, the others have none that anybody wrote down.
func (o Options) limits() map[string]Limit {
	documented := Limit{InFlight: max(o.KIE.InFlight, 0)}
	if o.KIE.Requests > 0 {
		documented.Requests, documented.Per = o.KIE.Requests, Span(o.KIE.Per)
	}
	all := map[string]Limit{}
	for name := range dialects {
		all[name] = documented
	}
	maps.Copy(all, o.Limits)
	return all
}

// SetLimits changes the limits of the named providers from here on. What runs
// counts, and what was started within the window of a rate that was in force
// before. A bad name or number is fault.Invalid, and then nothing changes.
func (s *Simulator) SetLimits(limits map[string]Limit) error {
	if err := checkLimits(limits); err != nil {
		return fault.New(fault.Invalid, "simulator.SetLimits", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.limits, limits)
	return nil
}

// Limits gives the limits in force, by provider.
func (s *Simulator) Limits() map[string]Limit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.limits)
}

func (s *Simulator) getLimits(w http.ResponseWriter, _ *http.Request) {
	write(w, answerJSON(http.StatusOK, s.Limits()))
}

func (s *Simulator) postLimits(w http.ResponseWriter, r *http.Request) {
	var wanted map[string]Limit
	if !decodeControl(w, r, &wanted) {
		return
	}
	err := s.SetLimits(wanted)
	if len(wanted) == 0 {
		err = fault.New(fault.Invalid, "simulator.limits", errors.New("no provider given"))
	}
	if err != nil {
		writeError(w, err)
		return
	}
	s.getLimits(w, r)
}

// windowSpan is the stretch over which the submissions to a provider without a
// rate are counted: that of the documented one.
const windowSpan = 10 * time.Second

func (l Limit) span() time.Duration { return cmp.Or(time.Duration(l.Per), windowSpan) }

// window remembers the latest admissions: an exact sliding window, so that a
// client that lets a burst through at a border is caught.
type window struct{ times []time.Time }

// admit says whether one more request is within most per span, and counts it if
// so. What was refused does not count.
func (w *window) admit(now time.Time, most int, span time.Duration) bool {
	for len(w.times) > 0 && now.Sub(w.times[0]) >= span {
		w.times = w.times[1:]
	}
	if len(w.times) >= most {
		return false
	}
	w.times = append(w.times, now)
	return true
}

// windowOf gives the window of an account for a purpose. The caller holds mu.
func (c *call) windowOf(purpose string) *window {
	name := c.provider() + "/" + purpose + "/" + c.account
	w := c.sim.state.windows[name]
	if w == nil {
		w = &window{}
		c.sim.state.windows[name] = w
	}
	return w
}

// room refuses an operation beyond the limits. It is asked in the moment of
// acceptance, so that no two requests share the last place. The caller holds mu.
func (c *call) room(now time.Time) *answer {
	s := c.sim
	limit := s.limits[c.provider()]
	full := limit.InFlight > 0 && s.state.running[c.provider()+"/"+c.account] >= limit.InFlight
	if !full && (limit.Requests == 0 || c.windowOf("submit").admit(now, limit.Requests, limit.span())) {
		return nil
	}
	s.conduct.OverLimit++
	refused := c.no(statusTooMany, "")
	return &refused
}
