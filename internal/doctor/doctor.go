// Package doctor looks at everything that Segue depends on, and says of each
// thing what it found and what to do about it.
//
// It looks and changes nothing: no key of Redis is written, no credit is spent,
// and what it tries on a disk it takes away again. Nothing is printed here; a
// check returns a [Finding] also when all is well, so that a good report says
// what was looked at.
//
// What the doctor says about how Redis keeps its data ([Durability]) is also what
// decides whether real credits may be spent on it: there is one judgement, and a
// gate that read other facts than the report would contradict it some day.
package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/segue-audio/segue/internal/fault"
)

// Level says how grave a finding is.
type Level string

// The levels, in the order of their gravity.
const (
	// OK means that it was looked at and is as it should be.
	OK Level = "ok"
	// Note means that there is something to know and nothing to do.
	Note Level = "note"
	// Warning means that it works, and something is slow, late or at risk.
	Warning Level = "warning"
	// Error means that work stops, is lost, or must not be paid for as it is.
	Error Level = "error"
)

// gravity orders levels.
func (l Level) gravity() int { return slices.Index([]Level{OK, Note, Warning, Error}, l) }

// Finding is what one check found.
type Finding struct {
	// Check names what was looked at, as area.thing: "redis.appendfsync". Names
	// stay, so that scripts may rely on them; one check may find several things.
	Check string `json:"check"`
	Level Level  `json:"level"`
	// Text is one sentence for a person. It holds no secret.
	Text string `json:"text"`
	// Cure is what to type or to set; empty when there is nothing to do.
	Cure string `json:"cure,omitempty"`
	// Code is set where a program may want to tell errors apart: unavailable when
	// Redis does not answer, denied when a provider does not accept a key.
	Code fault.Code `json:"code,omitempty"`
}

// Worst gives the gravest of the findings, the first among equals; ok is false
// when there is none that is graver than a note.
func Worst(findings []Finding) (worst Finding, ok bool) {
	for _, f := range findings {
		if f.Level.gravity() > max(Note.gravity(), worst.Level.gravity()) {
			worst = f
		}
	}
	return worst, worst.Check != ""
}

// Count says how many findings have a level.
func Count(findings []Finding, level Level) int {
	n := 0
	for _, f := range findings {
		if f.Level == level {
			n++
		}
	}
	return n
}

// chart collects findings.
type chart struct{ findings []Finding }

func (c *chart) ok(check, format string, args ...any) {
	c.findings = append(c.findings, Finding{Check: check, Level: OK, Text: fmt.Sprintf(format, args...)})
}

func (c *chart) add(level Level, check, cure, format string, args ...any) {
	c.findings = append(c.findings, Finding{Check: check, Level: level, Text: fmt.Sprintf(format, args...), Cure: cure})
}

// unknown notes that something could not be looked at.
func (c *chart) unknown(check, what string, err error) {
	c.add(Warning, check, "", "%s could not be looked at: %s", what, fault.Reason(err))
}

// from notes findings about one node of several.
func (c *chart) from(node string, findings []Finding) {
	for _, f := range findings {
		if node != "" {
			f.Text = "node " + node + ": " + f.Text
		}
		c.findings = append(c.findings, f)
	}
}

// median gives the middle of some values; of an even number the greater one.
func median[T cmp.Ordered](values []T) T {
	ordered := slices.Sorted(slices.Values(values))
	return ordered[len(ordered)/2]
}

// count writes a number of things: 1 task, 2 tasks.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
