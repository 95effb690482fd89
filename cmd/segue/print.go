package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/segue-audio/segue/enqueue"
)

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// table makes a table that fits what reads stdout.
func (a *app) table(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.stdout)
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(header)
	return t
}

// maxRows is how many items a person is shown at once.
const maxRows = 200

// printStatus shows a session to a person: a table, then the audioIds.
func (a *app) printStatus(s *enqueue.Status) {
	a.printSummary(s)
	fmt.Fprintln(a.stdout)
	a.printItems(s)
	if len(s.AudioIDs) > 0 && len(s.AudioIDs) <= 2*maxRows {
		fmt.Fprintf(a.stdout, "\naudioIds:\n")
		for _, id := range s.AudioIDs {
			fmt.Fprintf(a.stdout, "  %s\n", id)
		}
	}
}

func (a *app) printSummary(s *enqueue.Status) {
	name := ""
	if s.Name != "" {
		name = " (" + s.Name + ")"
	}
	fmt.Fprintf(a.stdout, "session %s%s on %s/%s: %s\n", s.SessionID, name, s.Provider, s.Account, s.Status)
	c := s.Counts
	parts := []string{fmt.Sprintf("%d files", c.Total)}
	for _, part := range []struct {
		n    int
		word string
	}{{c.Succeeded, "succeeded"}, {c.Failed, "failed"}, {c.Held, "held"}, {c.Canceled, "canceled"}, {c.Waiting, "on their way"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	fmt.Fprintf(a.stdout, "%s; %g credits spent\n", strings.Join(parts, ", "), s.CreditsSpent)
}

func (a *app) printItems(s *enqueue.Status) {
	t := a.table("#", "file", "length", "status", "results", "credits")
	var notes []string
	for n := range s.Items {
		it := &s.Items[n]
		if n < maxRows {
			t.AppendRow(table.Row{it.Index, short(it.Source, 48), length(it.DurationSeconds), itemStatus(it), results(it), fmt.Sprintf("%g", it.Credits)})
		}
		if it.Error != nil && len(notes) < maxRows {
			notes = append(notes, fmt.Sprintf("  %s  %s: %s (%s, %s)", it.ItemID, it.Source, it.Error.Reason, it.Error.Code, chargeWord(it.Error)))
		}
	}
	t.Render()
	if more := len(s.Items) - maxRows; more > 0 {
		fmt.Fprintf(a.stdout, "… and %d more (--json shows all)\n", more)
	}
	if len(notes) > 0 {
		fmt.Fprintf(a.stdout, "\nwhat went wrong:\n%s\n", strings.Join(notes, "\n"))
	}
}

// itemStatus says where an item is, and at which step unless it has ended well.
func itemStatus(it *enqueue.ItemStatus) string {
	if it.Status == "succeeded" || it.Status == "canceled" {
		return it.Status
	}
	return it.Status + " at " + it.Step
}

// results are an item's files, or ids when there are none.
func results(it *enqueue.ItemStatus) string {
	var files []string
	for _, track := range it.Tracks {
		if track.File != "" {
			files = append(files, track.File)
		}
	}
	if len(files) > 0 {
		return strings.Join(files, "\n")
	}
	return strings.Join(it.AudioIDs, "\n")
}

func chargeWord(e *enqueue.ItemError) string {
	if e.Charge == "" {
		return "charge unknown"
	}
	if e.Charge == "unknown" {
		return "perhaps charged"
	}
	return e.Charge
}

// length writes seconds as people read them.
func length(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
