package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/bulk"
)

// resulting is what the flags of results say.
type resulting struct {
	out, format string
	refetch     bool
}

func (a *app) resultsCommand() *cobra.Command {
	var r resulting
	cmd := &cobra.Command{
		Use:   "results SESSION",
		Short: "List a session's archived files and audioIds, or copy the files",
		Long: `Lists what a session has brought, with what it was submitted without because it was paid
for before. With --out it is copied out of the archive, be that a directory or a bucket,
under the names of archive.layout, with what lies beside it. The same again copies only
what is not there, and no file is ever written over.

What the provider has finished and nobody has archived yet, and what the archive has lost,
is downloaded from the provider instead, which costs nothing. The archive stays as it is;
--refetch brings back into it what it has lost.`,
		Args: one(aSession),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case r.format != "csv" && r.format != "json" && r.format != "":
				return usage("--format is %q; it is csv or json", r.format)
			case r.out != "" && r.refetch:
				return usage("--out and --refetch do not go together: one copies what there is, the other mends the archive")
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.sessionResults(ctx, sys, args[0], r) })
		},
	}
	cmd.Flags().StringVar(&r.out, "out", "", "copy the files into this directory")
	cmd.Flags().StringVar(&r.format, "format", "", "csv or json report instead of a table")
	cmd.Flags().BoolVar(&r.refetch, "refetch", false, "bring back into the archive what it has lost, from the provider")
	return cmd
}

// resultsView is what segue results --json prints.
type resultsView struct {
	*enqueue.Status
	// Reused is left out when nothing was. Its Files are the copies where there are any.
	Reused []reused `json:"reused,omitempty"`
	// Lost is what the archive does not have any more, as far as it was looked for.
	Lost []lostFile `json:"lost,omitempty"`
	// Written is what --out leads to: what was copied, and what was there already.
	Written []writtenFile `json:"written,omitempty"`
}

func (a *app) sessionResults(ctx context.Context, sys *system, id string, r resulting) error {
	status, err := sys.client.Status(ctx, id)
	if err != nil {
		return unknownSession(err, id)
	}
	view := &resultsView{Status: status}
	if view.Reused, err = sys.leftOut(ctx, id); err != nil {
		return err
	}
	var missed error
	switch {
	case r.out != "":
		missed = sys.copyResults(ctx, view, r.out)
	case r.refetch:
		missed = sys.refetch(ctx, view)
	default:
		view.Lost, err = sys.lost(ctx, view, false)
	}
	if err != nil || ctx.Err() != nil {
		return cmp.Or(err, missed, ctx.Err())
	}
	if err := a.printResults(view, r); err != nil {
		return err
	}
	return missed
}

func (a *app) printResults(view *resultsView, r resulting) error {
	defer a.printLost(view)
	switch {
	case a.json || r.format == "json":
		return a.printJSON(view)
	case r.format == "csv":
		return a.resultsCSV(view)
	}
	a.printSummary(view.Status)
	fmt.Fprintln(a.stdout)
	a.printRows(view.Status, view.Reused)
	a.printAudioIDs(view.Status)
	if len(view.Reused) > 0 {
		fmt.Fprintf(a.stdout, "\nleft out: %s\n", spareWords(view.Reused))
	}
	return nil
}

// inOrder calls one of two functions for each input of the command that submitted the
// session, in their order: what was left out has its place among them.
func inOrder(items int, left []reused, item func(n int), other func(r *reused)) {
	next := 0
	for place, n := 0, 0; n < items || next < len(left); place++ {
		// Items that were added to the session later follow all inputs.
		if next < len(left) && (left[next].Index <= place || n == items) {
			other(&left[next])
			next++
			continue
		}
		item(n)
		n++
	}
}

var resultColumns = []string{
	"index", "source", "sha256", "status", "clip_id", "audio_id", "title", "seconds", "file", "credits", "error_code", "error",
	"item_id", "cover", "sidecar", "source_file",
}

// resultsCSV lists results, one row each, and what was written beside them. What was
// left out has no index: that is an item's place in the session.
func (a *app) resultsCSV(view *resultsView) error {
	rows := [][]string{resultColumns}
	beside := besideOf(view.Written)
	inOrder(len(view.Items), view.Reused, func(n int) {
		rows = append(rows, itemRows(&view.Items[n], beside)...)
	}, func(r *reused) {
		rows = append(rows, reusedRows(r, beside)...)
	})
	for _, row := range rows {
		for n := range row {
			row[n] = unformula(row[n])
		}
	}
	return csv.NewWriter(a.stdout).WriteAll(rows)
}

// unformula keeps a spreadsheet from computing what somebody called a file.
func unformula(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

func itemRows(it *enqueue.ItemStatus, beside map[besideKey]string) [][]string {
	row := func(track enqueue.Track, seconds, credits string) []string {
		code, reason := "", ""
		if it.Error != nil {
			code, reason = it.Error.Code, it.Error.Reason
		}
		return append([]string{
			strconv.Itoa(it.Index), it.Source, it.SHA256, it.Status, it.ClipID, track.AudioID, track.Title, seconds, track.File, credits, code, reason,
		}, besideColumns(beside, it.ItemID, track.AudioID)...)
	}
	credits := strconv.FormatFloat(it.Credits, 'g', -1, 64)
	if len(it.Tracks) == 0 {
		return [][]string{row(enqueue.Track{}, "", credits)}
	}
	rows := make([][]string, 0, len(it.Tracks))
	for _, track := range it.Tracks {
		rows = append(rows, row(track, strconv.FormatFloat(track.DurationSeconds, 'f', -1, 64), credits))
		credits = "0" // an item's credits are counted once
	}
	return rows
}

// reusedRows are those of an input that was left out: its results cost nothing again.
func reusedRows(r *reused, beside map[besideKey]string) [][]string {
	row := func(id, file string) []string {
		reason := ""
		if r.Outcome == bulk.Twice {
			reason = "the same as " + r.SameAs
		}
		return append([]string{"", r.Source, r.SHA256, string(r.Outcome), "", id, "", "", file, "0", "", reason}, besideColumns(beside, r.ItemID, id)...)
	}
	rows := make([][]string, 0, max(len(r.AudioIDs), 1))
	for n, id := range r.AudioIDs {
		file := ""
		if n < len(r.Files) {
			file = r.Files[n]
		}
		rows = append(rows, row(id, file))
	}
	if len(rows) == 0 {
		rows = append(rows, row("", ""))
	}
	return rows
}

// besideKey finds what was written beside a track, or beside an item where audioID is
// empty.
type besideKey struct {
	item, audioID string
	kind          writtenKind
}

func besideOf(written []writtenFile) map[besideKey]string {
	beside := map[besideKey]string{}
	for _, w := range written {
		beside[besideKey{w.ItemID, w.AudioID, w.Kind}] = w.File
	}
	return beside
}

func besideColumns(beside map[besideKey]string, item, audioID string) []string {
	return []string{item, beside[besideKey{item, audioID, writtenCover}], beside[besideKey{item, "", writtenSidecar}], beside[besideKey{item, "", writtenSource}]}
}
