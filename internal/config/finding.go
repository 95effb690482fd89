package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// Finding is one thing that is wrong with the configuration.
type Finding struct {
	// Where is "segue.yaml:12", "SEGUE_WORKER_DRAIN", "--worker-drain", or empty
	// when the trouble is with something that nobody wrote.
	Where string
	// Key is the key concerned; empty when there is none.
	Key string
	// Reason says what is wrong and what to write instead. It contains no secret.
	Reason string
}

// Error is the finding on one line. A variable or flag names its key already.
func (f Finding) Error() string {
	inFile := strings.Contains(f.Where, ":")
	switch {
	case f.Where == "" && f.Key == "":
		return f.Reason
	case f.Where == "":
		return f.Key + ": " + f.Reason
	case f.Key == "" || !inFile:
		return f.Where + ": " + f.Reason
	}
	return f.Where + ": " + f.Key + ": " + f.Reason
}

// Findings is everything that is wrong, as one error. Load returns it inside a
// fault of code invalid; errors.As gives it back.
type Findings []Finding

// Error has one finding per line.
func (f Findings) Error() string {
	lines := make([]string, len(f))
	for i, finding := range f {
		lines[i] = finding.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the findings as errors of their own.
func (f Findings) Unwrap() []error {
	errs := make([]error, len(f))
	for i, finding := range f {
		errs[i] = finding
	}
	return errs
}

// fault makes an error of the findings; none is no error.
func (f Findings) fault(code fault.Code, op string) error {
	if len(f) == 0 {
		return nil
	}
	return fault.Uncharged(code, op, f)
}

// layer is a place that values come from; a later one wins over an earlier one.
type layer uint8

const (
	layerDefault layer = iota
	layerFile
	layerEnviron
	layerFlag
)

// origin is where one value came from.
type origin struct {
	layer layer
	// name is the file, the variable, the flag with its dashes, or what set the
	// default when it was not this package.
	name string
	line int
}

// where is the origin as a finding names it.
func (o origin) where() string {
	switch o.layer {
	case layerFile:
		return fmt.Sprintf("%s:%d", o.name, o.line)
	case layerEnviron, layerFlag:
		return o.name
	case layerDefault:
	}
	return ""
}

// String is the origin as Print names it.
func (o origin) String() string {
	switch o.layer {
	case layerFile:
		return o.where()
	case layerEnviron:
		return "env " + o.name
	case layerFlag:
		return "flag " + o.name
	case layerDefault:
	}
	if o.name != "" {
		return "default of " + o.name
	}
	return "default"
}

// report is a finding with its origin, so that findings can be put in order.
type report struct {
	origin  origin
	finding Finding
}

// sorted gives the findings as a reader would fix them: the file from top to
// bottom, then variables, then flags.
func sorted(reports []report) Findings {
	ordered := slices.Clone(reports)
	slices.SortStableFunc(ordered, func(a, b report) int {
		return cmp.Or(cmp.Compare(a.origin.layer, b.origin.layer),
			cmp.Compare(a.origin.line, b.origin.line), cmp.Compare(a.origin.name, b.origin.name))
	})
	findings := make(Findings, len(ordered))
	for i, r := range ordered {
		findings[i] = r.finding
	}
	return findings
}
