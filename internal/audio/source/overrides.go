package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Overrides is what a manifest says about one input instead of the flags. Nil
// is not said. Values have their types; whether they fit the provider is for the
// plan to check.
type Overrides struct {
	Provider            *string  `json:"provider,omitempty"`
	Account             *string  `json:"account,omitempty"`
	Extend              *bool    `json:"extend,omitempty"`
	ContinueAt          *float64 `json:"continueAt,omitempty"`
	Model               *string  `json:"model,omitempty"`
	Instrumental        *bool    `json:"instrumental,omitempty"`
	Prompt              *string  `json:"prompt,omitempty"`
	Style               *string  `json:"style,omitempty"`
	Title               *string  `json:"title,omitempty"`
	NegativeTags        *string  `json:"negativeTags,omitempty"`
	VocalGender         *string  `json:"vocalGender,omitempty"`
	StyleWeight         *float64 `json:"styleWeight,omitempty"`
	WeirdnessConstraint *float64 `json:"weirdnessConstraint,omitempty"`
	AudioWeight         *float64 `json:"audioWeight,omitempty"`
	PersonaID           *string  `json:"personaId,omitempty"`
	Budget              *float64 `json:"budget,omitempty"`
	Name                *string  `json:"name,omitempty"`
	Out                 *string  `json:"out,omitempty"`
	Archive             *string  `json:"archive,omitempty"`
	Notify              *string  `json:"notify,omitempty"`
	OnUnknown           *string  `json:"onUnknown,omitempty"`
}

// IsZero says that nothing is overridden.
func (o Overrides) IsZero() bool { return o == Overrides{} }

// identity is equal for equal overrides: one song with two prompts is two items.
func (o Overrides) identity() string {
	if o.IsZero() {
		return ""
	}
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Sprintf("%p", &o) // no value of these types fails to marshal
	}
	return string(text)
}

// sourceColumn is the one column that every row must have.
const sourceColumn = "source"

// columns are the others, named as the flags are, each with its place.
var columns = map[string]func(o *Overrides) any{
	"provider":             func(o *Overrides) any { return &o.Provider },
	"account":              func(o *Overrides) any { return &o.Account },
	"extend":               func(o *Overrides) any { return &o.Extend },
	"continue-at":          func(o *Overrides) any { return &o.ContinueAt },
	"model":                func(o *Overrides) any { return &o.Model },
	"instrumental":         func(o *Overrides) any { return &o.Instrumental },
	"prompt":               func(o *Overrides) any { return &o.Prompt },
	"style":                func(o *Overrides) any { return &o.Style },
	"title":                func(o *Overrides) any { return &o.Title },
	"negative-tags":        func(o *Overrides) any { return &o.NegativeTags },
	"vocal-gender":         func(o *Overrides) any { return &o.VocalGender },
	"style-weight":         func(o *Overrides) any { return &o.StyleWeight },
	"weirdness-constraint": func(o *Overrides) any { return &o.WeirdnessConstraint },
	"audio-weight":         func(o *Overrides) any { return &o.AudioWeight },
	"persona-id":           func(o *Overrides) any { return &o.PersonaID },
	"budget":               func(o *Overrides) any { return &o.Budget },
	"name":                 func(o *Overrides) any { return &o.Name },
	"out":                  func(o *Overrides) any { return &o.Out },
	"archive":              func(o *Overrides) any { return &o.Archive },
	"notify":               func(o *Overrides) any { return &o.Notify },
	"on-unknown":           func(o *Overrides) any { return &o.OnUnknown },
}

// canonical finds the column that a heading means: continue-at, continue_at and
// continueAt are one.
func canonical(heading string) (string, bool) {
	bare := bareName(heading)
	if bare == sourceColumn {
		return sourceColumn, true
	}
	for name := range columns {
		if bareName(name) == bare {
			return name, true
		}
	}
	return "", false
}

func bareName(heading string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(heading))
}

// columnNames lists the columns for a message.
func columnNames() string {
	names := make([]string, 0, len(columns))
	for name := range columns {
		names = append(names, name)
	}
	slices.Sort(names)
	return sourceColumn + ", " + strings.Join(names, ", ")
}

// set reads one cell into its place.
func (o *Overrides) set(column, text string) error {
	switch place := columns[column](o).(type) {
	case **string:
		*place = &text
	case **float64:
		number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
			return fmt.Errorf("%s is %q; it must be a number", column, text)
		}
		*place = &number
	case **bool:
		value, err := parseBool(text)
		if err != nil {
			return fmt.Errorf("%s is %q; %w", column, text, err)
		}
		*place = &value
	}
	return nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "true", "yes", "1":
		return true, nil
	case "false", "no", "0":
		return false, nil
	}
	return false, errors.New("it must be true or false")
}
