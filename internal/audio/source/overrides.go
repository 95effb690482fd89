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
	if _, exact := columns[heading]; exact || heading == sourceColumn {
		return heading, true
	}
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

// noColumn says that a heading is none, and which one was probably meant.
func noColumn(heading string) string {
	if near, ok := nearest(bareName(heading)); ok {
		return fmt.Sprintf("there is no column %q, did you mean %s?", heading, near)
	}
	return fmt.Sprintf("there is no column %q", heading)
}

// otherNames are what people call the source.
var otherNames = []string{"audio", "audiofile", "audiourl", "file", "filename", "filepath", "input", "path", "song", "track", "uri", "url"}

// nearest finds the column with the fewest slips in it, up to a third of the word;
// the first by name among equals.
func nearest(word string) (column string, ok bool) {
	if slices.Contains(otherNames, word) {
		return sourceColumn, true
	}
	fewest := min(max(1, len(word)/3), 4) + 1
	for name := range strings.SplitSeq(columnNames(), ", ") {
		if d := slips(word, bareName(name)); d < fewest {
			column, fewest = name, d
		}
	}
	return column, column != ""
}

// slips counts insertions, deletions, replacements and swaps of neighbours.
func slips(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
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
