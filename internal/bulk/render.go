package bulk

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// JSON writes the plan as one object, indented.
func (p *Plan) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(p)
}

// Table writes the plan for a terminal.
func (p *Plan) Table(w io.Writer) error {
	page := &page{}
	page.line("plan %s", p.Hash)
	for _, line := range p.summary() {
		page.line("%s", line)
	}
	if len(p.Accounts) > 0 {
		page.line("")
		page.table(p.accountRows(), table.Writer.Render)
	}
	for _, part := range p.parts() {
		page.line("\n%s:", part.title)
		page.table(part.rows, table.Writer.Render)
		if part.more > 0 {
			page.line("… and %s more", count(part.more))
		}
	}
	for _, warning := range p.Warnings {
		page.line("\nwarning: %s", warning)
	}
	return page.to(w)
}

// Markdown writes the plan for a page, a ticket or a pull request.
func (p *Plan) Markdown(w io.Writer) error {
	page := &page{}
	page.line("## Plan `%s`\n", p.Hash)
	for _, line := range p.summary() {
		page.line("- %s", escaped(line))
	}
	for _, warning := range p.Warnings {
		page.line("- **Warning:** %s", escaped(warning))
	}
	if len(p.Accounts) > 0 {
		page.line("\n### Accounts\n")
		page.table(quoted(p.accountRows()), table.Writer.RenderMarkdown)
	}
	for _, part := range p.parts() {
		page.line("\n### %s\n", strings.ToUpper(part.title[:1])+part.title[1:])
		page.table(quoted(part.rows), table.Writer.RenderMarkdown)
		if part.more > 0 {
			page.line("\n… and %s more", count(part.more))
		}
	}
	return page.to(w)
}

// page collects what is written at once.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// table adds rows, of which the first names the columns.
func (p *page) table(rows []table.Row, render func(table.Writer) string) {
	t := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.AppendHeader(rows[0])
	for _, row := range rows[1:] {
		t.AppendRow(row)
	}
	p.line("%s", render(t))
}

func (p *page) to(w io.Writer) error {
	_, err := io.WriteString(w, p.String())
	return err
}

// summary says what there is, a line each.
func (p *Plan) summary() []string {
	in := p.Inputs
	lines := []string{fmt.Sprintf("%s: %s to do, %s paid for already, %s there twice, %s invalid",
		plural(in.Total, "input"), count(in.New), count(in.Reused), count(in.Duplicates), count(in.Invalid))}
	if in.AudioSeconds > 0 {
		lines = append(lines, fmt.Sprintf("%s of audio, %s", span(in.AudioSeconds), size(in.Bytes)))
	}
	cost := number(p.Credits) + " credits"
	if p.CreditsSaved > 0 {
		cost += ", " + number(p.CreditsSaved) + " saved"
	}
	lines = append(lines, cost)
	if p.Seconds > 0 {
		lines = append(lines, span(p.Seconds)+" at the least")
	}
	for _, s := range p.Staging {
		line := fmt.Sprintf("%s through %s", plural(s.Files, "file"), s.How)
		if s.Bytes > 0 {
			line += ", " + size(s.Bytes)
		}
		if s.Unsized > 0 {
			line += fmt.Sprintf(" and %s of unknown size", count(s.Unsized))
		}
		lines = append(lines, line)
	}
	return lines
}

func (p *Plan) accountRows() []table.Row {
	rows := make([]table.Row, 0, 1+len(p.Accounts))
	rows = append(rows, table.Row{"account", "inputs", "uploads", "extends", "credits", "balance", "budget", "time", "waits for"})
	for _, a := range p.Accounts {
		rows = append(rows, table.Row{
			a.Provider + "/" + a.Account, count(a.Items), count(a.Uploads), count(a.Extends), number(a.Credits),
			amount(a.Balance, "unknown"), amount(a.Budget, "none"), span(a.Seconds), a.Limit,
		})
	}
	return rows
}

// part is a list of a plan.
type part struct {
	title string
	rows  []table.Row
	more  int
}

// parts are the lists that are not empty.
func (p *Plan) parts() []part {
	all := []part{
		list("findings", row("where", "input", "what"), p.Findings, p.Inputs.Findings+p.Inputs.Notes-p.Inputs.Duplicates, func(r Remark) table.Row {
			reason := r.Reason
			if r.Code == "" {
				reason = "note: " + reason
			}
			return row(r.Origin, other(r.Source, r.Origin), reason)
		}),
		list("there twice, done once", row("input", "where", "the same as"), p.Duplicates, p.Inputs.Duplicates, func(d Duplicate) table.Row {
			return row(d.Source, other(d.Origin, d.Source), d.First)
		}),
		list("paid for already", row("input", "item", "results"), p.Reused, p.Inputs.Reused, func(r Reused) table.Row {
			return row(r.Source, r.Item, strings.Join(results(r.Files, r.AudioIDs), ", "))
		}),
	}
	return slices.DeleteFunc(all, func(p part) bool { return len(p.rows) == 1 })
}

// list makes a part of examples, of which there are so many in all.
func list[E any](title string, header table.Row, examples []E, total int, line func(E) table.Row) part {
	rows := make([]table.Row, 0, 1+len(examples))
	rows = append(rows, header)
	for _, e := range examples {
		rows = append(rows, line(e))
	}
	return part{title, rows, total - len(examples)}
}

// results are the files, or the ids where nothing was archived.
func results(files, ids []string) []string {
	if len(files) > 0 {
		return files
	}
	return ids
}

// other is a name where it says more than the one beside it.
func other(name, beside string) string {
	if name == beside {
		return ""
	}
	return name
}

// row makes a row of texts that come from outside: no file's name moves the cursor
// of a terminal.
func row(cells ...string) table.Row {
	r := make(table.Row, len(cells))
	for n, cell := range cells {
		r[n] = strings.Map(printable, cell)
	}
	return r
}

func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return unicode.ReplacementChar
}

// quoted is rows whose texts are read as they stand.
func quoted(rows []table.Row) []table.Row {
	all := make([]table.Row, len(rows))
	for n, row := range rows {
		all[n] = make(table.Row, len(row))
		for i, cell := range row {
			all[n][i] = escaped(fmt.Sprint(cell))
		}
	}
	return all
}

// escaped keeps a file's name from being read as Markdown.
func escaped(line string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`).Replace(line)
}
