package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/longjson"
	"github.com/segue-audio/segue/internal/session"
)

func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printEnd prints an object that has the items of a session and what it was submitted
// without. Both are written one by one: as text they are longer than as they are.
// head gives the object without them: its items empty, and reused nil where nothing was
// left out.
func (a *app) printEnd(status *sessionEnd, head func(s *enqueue.Status, reused *[]reused) any) error {
	empty := *status.Status
	empty.Items = []enqueue.ItemStatus{}
	lists := []longjson.List{{Name: "items", Elements: longjson.Of(status.Items)}}
	var left *[]reused
	if len(status.Reused) > 0 {
		left = &[]reused{}
		lists = append(lists, longjson.List{Name: "reused", Elements: longjson.Of(status.Reused)})
	}
	return longjson.Write(a.stdout, head(&empty, left), lists...)
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
	cells := make([]table.ColumnConfig, len(header))
	for n := range cells {
		cells[n] = table.ColumnConfig{Number: n + 1, Transformer: func(cell any) string { return printable(fmt.Sprint(cell)) }}
	}
	t.SetColumnConfigs(cells)
	return t
}

// printable is a text that may have come from outside, for a terminal: no name of a file
// moves its cursor, colours what follows, or turns the direction of reading. Lines stay
// lines.
func printable(words string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' || unicode.Is(unicode.Bidi_Control, r) {
			return unicode.ReplacementChar
		}
		return r
	}, words)
}

// inLine is printable for what belongs into one line.
func inLine(words string) string {
	return strings.ReplaceAll(printable(words), "\n", string(unicode.ReplacementChar))
}

// maxRows is how many items a person is shown at once.
const maxRows = 200

// printStatus shows a session to a person: a table, then the audioIds.
func (a *app) printStatus(s *enqueue.Status) {
	a.printSummary(s)
	a.printDetails(s)
}

// printDetails shows the items of a session.
func (a *app) printDetails(s *enqueue.Status) {
	fmt.Fprintln(a.stdout)
	a.printItems(s)
	a.printAudioIDs(s)
}

func (a *app) printAudioIDs(s *enqueue.Status) {
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
		name = " (" + inLine(s.Name) + ")"
	}
	fmt.Fprintf(a.stdout, "session %s%s on %s/%s: %s\n", s.SessionID, name, s.Provider, s.Account, s.Status)
	c := s.Counts
	parts := []string{plural(c.Total, "file")}
	for _, part := range []struct {
		n    int
		word string
	}{{c.Succeeded, "succeeded"}, {c.Failed, "failed"}, {c.Held, "held"}, {c.Canceled, "canceled"}, {c.Waiting, "on their way"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.word))
		}
	}
	fmt.Fprintf(a.stdout, "%s; %s credits spent\n", strings.Join(parts, ", "), number(s.CreditsSpent))
}

func (a *app) printItems(s *enqueue.Status) { a.printRows(s, nil) }

// printRows shows items, and between them in the order of the inputs what the session
// was submitted without.
func (a *app) printRows(s *enqueue.Status, left []reused) {
	from, dir := a.printPlaces(s, left)
	t := a.table("#", "file", "length", "status", "credits", "results")
	var notes []string
	rows := 0
	inOrder(len(s.Items), left, func(n int) {
		it := &s.Items[n]
		if rows++; rows <= maxRows {
			t.AppendRow(table.Row{it.Index, short(inLine(strings.TrimPrefix(it.Source, from)), 48), length(it.DurationSeconds), itemStatus(it), number(it.Credits), results(it, dir)})
		}
		if it.Error != nil && len(notes) < maxRows {
			notes = append(notes, fmt.Sprintf("  %s  %s: %s (%s, %s)", it.ItemID, inLine(it.Source), printable(it.Error.Reason), it.Error.Code, chargeWord(it)))
		}
	}, func(r *reused) {
		if rows++; rows <= maxRows {
			t.AppendRow(table.Row{"", short(inLine(strings.TrimPrefix(r.Source, from)), 48), "", string(r.Outcome), "0", reusedResults(r, dir)})
		}
	})
	t.Render()
	if more := rows - maxRows; more > 0 {
		fmt.Fprintf(a.stdout, "… and %d more (--json shows all)\n", more)
	}
	if len(notes) > 0 {
		fmt.Fprintf(a.stdout, "\nwhat went wrong:\n%s\n", strings.Join(notes, "\n"))
	}
}

// reusedResults are the files of what was paid for before, or its ids when there are
// none; of what is there twice, where it is done.
func reusedResults(r *reused, dir string) string {
	if r.SameAs != "" {
		return "the same as " + r.SameAs
	}
	files := make([]string, len(r.Files))
	for n, file := range r.Files {
		files[n] = strings.TrimPrefix(file, dir)
	}
	return cmp.Or(strings.Join(files, "\n"), strings.Join(r.AudioIDs, "\n"))
}

// printPlaces finds the directories that all files come from and all results lie
// in, and says which they are: they are long, and the same in every row.
func (a *app) printPlaces(s *enqueue.Status, left []reused) (from, to string) {
	names := make([]string, 0, len(s.Items))
	var files []string
	for n := range s.Items {
		names = append(names, s.Items[n].Source)
		for _, track := range s.Items[n].Tracks {
			if track.File != "" {
				files = append(files, track.File)
			}
		}
	}
	for n := range left {
		names, files = append(names, left[n].Source), append(files, left[n].Files...)
	}
	from, to = commonDir(names), commonDir(files)
	var places []string
	if from != "" {
		places = append(places, "files from "+inLine(strings.TrimSuffix(from, "/")))
	}
	if to != "" {
		places = append(places, "results in "+inLine(nearby(strings.TrimSuffix(to, "/"))))
	}
	if len(places) > 0 {
		fmt.Fprintf(a.stdout, "%s\n\n", strings.Join(places, "\n"))
	}
	return from, to
}

// commonDir is the longest directory that all names begin with, with the slash at
// its end; empty when there is none.
func commonDir(names []string) string {
	if len(names) == 0 {
		return ""
	}
	dir := names[0]
	for _, name := range names {
		dir = dir[:strings.LastIndexByte(dir, '/')+1]
		for !strings.HasPrefix(name, dir) {
			dir = dir[:strings.LastIndexByte(strings.TrimSuffix(dir, "/"), '/')+1]
		}
	}
	return dir
}

// nearby is a path as people would type it from here.
func nearby(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(relative) {
		return relative
	}
	return path
}

// printHeld says what to do about held items, for so many of them.
func (a *app) printHeld(s *enqueue.Status, limit int) {
	for n := range s.Items {
		it := &s.Items[n]
		if it.Status != string(session.Held) {
			continue
		}
		if limit--; limit < 0 {
			fmt.Fprintf(a.stdout, "\nmore items are held: segue items %s --status held\n", s.SessionID)
			return
		}
		price := number(it.CreditsInDoubt)
		fmt.Fprintf(a.stdout, "\n%s is held. What is known: %s.\n"+
			"Look at the provider's own list of operations, then one of:\n"+
			"  segue resolve %s --operation ID   it was accepted, as ID: the %s credits are spent, and it costs nothing more\n",
			inLine(it.Source), printable(reason(it)), it.ItemID, price)
		if it.Step == string(session.StepUpload) {
			fmt.Fprintf(a.stdout, "  segue resolve %s --clip ID        it was accepted, and has become the clip ID: the same\n", it.ItemID)
		}
		fmt.Fprintf(a.stdout, "  segue resolve %s --resubmit       it was not: sends it again, for %s credits; twice that if it was after all\n"+
			"  segue resolve %s --abandon        give it up: costs nothing more, and %s credits may be lost\n", it.ItemID, price, it.ItemID, price)
	}
}

// reason is what is known about an item in doubt.
func reason(it *enqueue.ItemStatus) string {
	if it.Error == nil {
		return "nothing"
	}
	return strings.TrimSuffix(it.Error.Reason, ".")
}

// itemStatus says where an item is, and at which step unless it has ended well.
func itemStatus(it *enqueue.ItemStatus) string {
	if it.Status == "succeeded" || it.Status == "canceled" {
		return it.Status
	}
	return it.Status + " at " + it.Step
}

// results are an item's files, without the directory that all have in common, or
// its ids when there are none.
func results(it *enqueue.ItemStatus, dir string) string {
	var files []string
	for _, track := range it.Tracks {
		if track.File != "" {
			files = append(files, strings.TrimPrefix(track.File, dir))
		}
	}
	if len(files) > 0 {
		return strings.Join(files, "\n")
	}
	return strings.Join(it.AudioIDs, "\n")
}

// chargeWord says what became of the credits of what went wrong. What an item has cost
// before it came to be fetched stands beside it.
func chargeWord(it *enqueue.ItemStatus) string {
	e := it.Error
	if e.Step == string(session.StepFetch) {
		return "fetching costs nothing"
	}
	if e.Charge == "" {
		return "charge unknown"
	}
	if e.Charge == "unknown" {
		return "perhaps charged"
	}
	return e.Charge
}

// number writes credits as people do, never as 1e+06.
func number(credits float64) string { return strconv.FormatFloat(credits, 'f', -1, 64) }

// length writes seconds as people read them.
func length(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}
