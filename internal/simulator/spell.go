package simulator

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Spell is a fault that strikes every request of an endpoint for a time, as
// maintenance does. Such a request meets no other fault, unless one is scripted.
type Spell struct {
	// Endpoint is a name such as "kie.extend"; see Endpoints.
	Endpoint string `json:"endpoint"`
	Kind     Kind   `json:"kind"`
	// In is how long from now it begins, For how long it lasts.
	In  Span `json:"in,omitempty"`
	For Span `json:"for"`
	// Account is whose requests meet it; empty is everybody's.
	Account string `json:"account,omitempty"`
	// RetryAfter is as in Next.
	RetryAfter Span `json:"retryAfter,omitempty"`
}

// spell is a Spell by the clock.
type spell struct {
	Spell
	from, until time.Time
}

// Cast adds spells. What Script would refuse, or one that lasts no time, is
// fault.Invalid, and then nothing is added.
func (s *Simulator) Cast(spells ...Spell) error {
	if err := s.checkSpells(spells); err != nil {
		return fault.New(fault.Invalid, "simulator.Cast", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for _, sp := range spells {
		from := now.Add(time.Duration(sp.In))
		s.spells = append(s.spells, spell{sp, from, from.Add(time.Duration(sp.For))})
	}
	return nil
}

func (s *Simulator) checkSpells(spells []Spell) error {
	var findings []error
	for _, sp := range spells {
		if err := s.checkStrike(sp.Endpoint, sp.Kind, sp.RetryAfter); err != nil {
			findings = append(findings, err)
			continue
		}
		if sp.In < 0 || sp.For <= 0 {
			findings = append(findings, fmt.Errorf("fault %q at %q begins in %v and lasts %v, want 0 or more, and more than 0", sp.Kind, sp.Endpoint, sp.In, sp.For))
		}
	}
	return errors.Join(findings...)
}

// spelled gives the spell that a request is under, and forgets those that are
// over. The caller holds s.mu.
func (s *Simulator) spelled(endpoint, account string) (Kind, time.Duration) {
	if len(s.spells) == 0 {
		return "", 0
	}
	now := s.now()
	s.spells = slices.DeleteFunc(s.spells, func(sp spell) bool { return !now.Before(sp.until) })
	for _, sp := range s.spells {
		if sp.Endpoint == endpoint && !now.Before(sp.from) && (sp.Account == "" || sp.Account == account) {
			return sp.Kind, time.Duration(sp.RetryAfter)
		}
	}
	return "", 0
}

// spellsInForce are those that are under way or still to come, with the times that
// are left. The caller holds s.mu.
func (s *Simulator) spellsInForce(now time.Time) []Spell {
	var left []Spell
	for _, sp := range s.spells {
		if !now.Before(sp.until) {
			continue
		}
		begins := sp.from
		if begins.Before(now) {
			begins = now
		}
		sp.In, sp.For = Span(begins.Sub(now)), Span(sp.until.Sub(begins))
		left = append(left, sp.Spell)
	}
	return left
}
