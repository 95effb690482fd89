package bulk

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

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
		page.table(p.accountRows(), table.Writer.RenderMarkdown)
	}
	for _, part := range p.parts() {
		page.line("\n### %s\n", strings.ToUpper(part.title[:1])+part.title[1:])
		page.table(part.rows, table.Writer.RenderMarkdown)
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
	rows := []table.Row{{"account", "inputs", "uploads", "extends", "credits", "balance", "budget", "time", "waits for"}}
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
	var all []part
	if len(p.Findings) > 0 {
		rows := []table.Row{{"where", "input", "what"}}
		for _, f := range p.Findings {
			reason := f.Reason
			if f.Code == "" {
				reason = "note: " + reason
			}
			rows = append(rows, table.Row{f.Origin, other(f.Source, f.Origin), reason})
		}
		all = append(all, part{"findings", rows, p.Inputs.Findings + p.Inputs.Notes - len(p.Findings)})
	}
	if len(p.Duplicates) > 0 {
		rows := []table.Row{{"input", "where", "the same as"}}
		for _, d := range p.Duplicates {
			rows = append(rows, table.Row{d.Source, other(d.Origin, d.Source), d.First})
		}
		all = append(all, part{"there twice, done once", rows, p.Inputs.Duplicates - len(p.Duplicates)})
	}
	if len(p.Reused) > 0 {
		rows := []table.Row{{"input", "item", "results"}}
		for _, r := range p.Reused {
			rows = append(rows, table.Row{r.Source, r.Item, strings.Join(results(r.Files, r.AudioIDs), "\n")})
		}
		all = append(all, part{"paid for already", rows, p.Inputs.Reused - len(p.Reused)})
	}
	return all
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

// escaped keeps a file's name from being read as Markdown.
func escaped(line string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`).Replace(line)
}
