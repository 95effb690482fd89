package bulk

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/segue-audio/segue/internal/audio/source"
)

// Sheet writes a table in CSV with one row for each input, as a plan is made: its
// Add is a Settings.Each. Nothing is held.
//
// The columns are origin, source, outcome (new, reused, duplicate, invalid),
// provider, account, sha256, format, seconds, credits, same_as (of a duplicate),
// item and results (of what is reused), and remarks.
type Sheet struct {
	w   *csv.Writer
	err error
}

// NewSheet begins a table.
func NewSheet(w io.Writer) *Sheet {
	s := &Sheet{w: csv.NewWriter(w)}
	s.err = s.w.Write([]string{
		"origin", "source", "outcome", "provider", "account", "sha256", "format", "seconds", "credits", "same_as", "item", "results", "remarks",
	})
	return s
}

// Add writes one row. Its error is the writer's.
func (s *Sheet) Add(o Outcome) error {
	if s.err != nil {
		return s.err
	}
	row := []string{
		o.Input.Origin, o.Input.Source, string(o.Kind), o.Job.Provider, o.Job.Account, o.Input.Probed.SHA256, o.Input.Probed.Format,
		"", "", "", "", "", remarks(o.Findings),
	}
	if o.Input.Source == "" && len(o.Findings) > 0 {
		row[0], row[1] = o.Findings[0].Origin, o.Findings[0].Source
		if o.Findings[0].Note {
			row[2] = "note"
		}
	}
	if d := o.Input.Probed.Duration; d > 0 {
		row[7] = strconv.FormatFloat(d.Seconds(), 'f', 3, 64)
	}
	if o.Kind != Wrong {
		row[8] = strconv.FormatFloat(o.Credits, 'f', -1, 64)
	}
	if o.Kind == Twice {
		row[9] = o.First.String()
	}
	if o.Entry != nil {
		row[10] = o.Entry.Item
		row[11] = strings.Join(results(o.Entry.Files, o.Entry.AudioIDs), " ")
	}
	s.err = s.w.Write(row)
	return s.err
}

// Close writes what is left. It does not close the writer below.
func (s *Sheet) Close() error {
	s.w.Flush()
	if s.err == nil {
		s.err = s.w.Error()
	}
	return s.err
}

func remarks(findings []source.Finding) string {
	all := make([]string, len(findings))
	for n, f := range findings {
		all[n] = f.Reason
	}
	return strings.Join(all, "; ")
}

// Findings writes every finding and note as a line of JSON, as a plan is made: its
// result is a Settings.Each. Nothing is held.
func Findings(w io.Writer) func(Outcome) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return func(o Outcome) error {
		for _, f := range o.Findings {
			if err := encoder.Encode(remark(f)); err != nil {
				return err
			}
		}
		return nil
	}
}

// Tell is a Settings.Each that tells several.
func Tell(all ...func(Outcome) error) func(Outcome) error {
	return func(o Outcome) error {
		for _, each := range all {
			if err := each(o); err != nil {
				return err
			}
		}
		return nil
	}
}
