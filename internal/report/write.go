package report

import (
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/segue-audio/segue/internal/session"
)

//go:embed page.html
var page string

// JSON writes the report as one object.
func (r *Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// CSV writes the items, and after them what the sessions were submitted without. What a spreadsheet would take for a formula is given an
// apostrophe.
func (r *Report) CSV(w io.Writer) error {
	rows := make([][]string, 1, 1+len(r.Items)+len(r.Reused))
	rows[0] = []string{"item", "source", "status", "seconds", "credits", "audio_ids", "files", "error_code", "error"}
	for _, it := range r.Items {
		rows = append(rows, []string{
			it.ID, plain(it.Source), it.Status, number(it.Seconds), number(it.Credits),
			plain(strings.Join(it.AudioIDs, " ")), plain(strings.Join(it.Files, "\n")), it.Code, plain(it.Error),
		})
	}
	for _, l := range r.Reused {
		why := ""
		if l.SameAs != "" {
			why = "the same as " + l.SameAs
		}
		rows = append(rows, []string{
			l.ItemID, plain(l.Source), l.Outcome, "", "0", plain(strings.Join(l.AudioIDs, " ")), plain(strings.Join(l.Files, "\n")), "", why,
		})
	}
	return csv.NewWriter(w).WriteAll(rows)
}

func plain(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// HTML writes a page that loads nothing but the archived files, from where they lie as
// seen from dir, which is where the page will be.
func (r *Report) HTML(w io.Writer, dir string) error {
	t, err := template.New("page").Funcs(template.FuncMap{
		"number": number, "player": func(file string) template.URL { return player(dir, file) },
		"bars": bars, "width": r.width, "seconds": func(s float64) string { return strconv.FormatFloat(s, 'f', 1, 64) + " s" },
		"bad": func(status string) bool { return status == string(session.Failed) || status == string(session.Held) },
	}).Parse(page)
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

// player is where a page in dir finds an archived file; empty for one that no browser
// can be given, such as one in a bucket.
func player(dir, file string) template.URL {
	if !filepath.IsAbs(file) {
		return ""
	}
	where := (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
	if near, err := filepath.Rel(dir, file); err == nil && dir != "" {
		where = (&url.URL{Path: "./" + filepath.ToSlash(near)}).String()
	}
	return template.URL(where) //nolint:gosec // G203: it is a path, and escaped as one
}

// bar is a piece of the chart of outcomes, in percent of its width.
type bar struct {
	Word, Colour string
	Items        int
	From, Width  string
}

// bars are the outcomes side by side.
func bars(t session.Tally) []bar {
	var all []bar
	done := 0
	for _, b := range []bar{
		{Word: "succeeded", Colour: "#2e7d32", Items: t.Succeeded},
		{Word: "failed", Colour: "#c62828", Items: t.Failed},
		{Word: "held", Colour: "#ef6c00", Items: t.Held},
		{Word: "canceled", Colour: "#757575", Items: t.Canceled},
		{Word: "on their way", Colour: "#1565c0", Items: t.Waiting},
	} {
		if b.Items == 0 {
			continue
		}
		b.From = percent(done, t.Total)
		done += b.Items
		b.Width = percent(b.Items, t.Total)
		all = append(all, b)
	}
	return all
}

func percent(part, whole int) string {
	return fmt.Sprintf("%.2f", 100*float64(part)/float64(max(whole, 1)))
}

// width is a time in percent of the longest one of the report.
func (r *Report) width(seconds float64) string {
	longest := 0.0
	for _, s := range r.Steps {
		longest = max(longest, s.Max)
	}
	if longest == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f", 100*seconds/longest)
}
