//go:build ignore

// Command generate writes docs/providers-table.md: what the drivers state of
// their providers, as plans, checks and waits use it. `go generate` runs it in
// this folder, and `make generate-check` finds a page that was not regenerated.
package main

import (
	"bytes"
	"cmp"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/all"
)

const page = "../../../docs/providers-table.md"

const head = `<!-- Written by go generate ./internal/provider/all. Do not edit. -->
# Providers in numbers

What the drivers state of their providers: the facts that plans, checks and waits rest
on where the configuration says nothing else. Where they come from, and what is only
assumed, is in [providers.md](providers.md). "–" means that no limit is documented, and
that none is applied.

`

func main() {
	registry := all.Providers()
	infos := make([]provider.Info, 0, len(registry.Names()))
	for _, name := range registry.Names() {
		info, err := registry.Info(name)
		if err != nil {
			log.Fatal(err)
		}
		infos = append(infos, info)
	}
	var text bytes.Buffer
	text.WriteString(head)
	steps(&text, infos)
	uploads(&text, infos)
	models(&text, infos)
	if err := os.WriteFile(page, append(bytes.TrimRight(text.Bytes(), "\n"), '\n'), 0o644); err != nil {
		log.Fatal(err)
	}
}

// steps is what is called, what it costs, and how it is waited for.
func steps(text *bytes.Buffer, infos []provider.Info) {
	text.WriteString("## Prices and waits\n\nPrices are the provider's credits for one file.\n\n")
	row(text, "driver", "host", "upload", "extension", "prices are", "callbacks", "questions", "results kept")
	rule(text, 8)
	for _, i := range infos {
		source := "measured by others"
		if i.Prices.Assumed {
			source = "assumed"
		}
		row(
			text, code(i.Name), cmp.Or(i.BaseURL, "`base_url`"), credits(i.Prices.Upload, i.Uploads.Paid), credits(i.Prices.Extend, true), source,
			yes(i.Callbacks), fmt.Sprintf("every %s to %s", duration(i.Poll.Min), duration(i.Poll.Max)), duration(i.Retention),
		)
	}
}

// uploads is what audio may be.
func uploads(text *bytes.Buffer, infos []provider.Info) {
	text.WriteString("\n## Uploads\n\nA model may allow less, see below.\n\n")
	row(text, "driver", "audio travels", "ends with", "formats", "largest file", "longest audio")
	rule(text, 6)
	for _, i := range infos {
		way, end := "the provider fetches a URL", "a URL"
		if i.Uploads.By == provider.ByBytes {
			way = "Segue sends the bytes"
		}
		if i.Uploads.Clips {
			end = "a clip id"
		}
		size := "–"
		if i.Uploads.MaxBytes > 0 {
			size = fmt.Sprintf("%d bytes", i.Uploads.MaxBytes)
		}
		row(text, code(i.Name), way, end, strings.Join(i.Uploads.Formats, " "), size, duration(i.Uploads.MaxDuration))
	}
}

// models is what --model takes, and the lengths that go with it. Models that do
// not differ in these share a row.
func models(text *bytes.Buffer, infos []provider.Info) {
	text.WriteString("\n## Models\n\nThe first one of each driver is its default. Lengths are in characters.\n\n")
	row(text, "driver", "models", "prompt", "style", "title", "longest audio")
	rule(text, 6)
	for _, i := range infos {
		for at := 0; at < len(i.Models); {
			first, names := i.Models[at], []string(nil)
			for at < len(i.Models) && alike(first, i.Models[at]) {
				names = append(names, code(i.Models[at].Name))
				at++
			}
			longest := duration(cmp.Or(first.MaxUpload, i.Uploads.MaxDuration))
			row(text, code(i.Name), strings.Join(names, " "), length(first.MaxPrompt), length(first.MaxStyle), length(first.MaxTitle), longest)
		}
	}
}

func alike(a, b provider.Model) bool {
	a.Name = b.Name
	return a == b
}

func row(text *bytes.Buffer, cells ...string) {
	fmt.Fprintf(text, "| %s |\n", strings.Join(cells, " | "))
}

func rule(text *bytes.Buffer, columns int) {
	text.WriteString(strings.Repeat("| --- ", columns) + "|\n")
}

func code(s string) string { return "`" + s + "`" }

func credits(price float64, paid bool) string {
	if !paid {
		return "free"
	}
	return fmt.Sprintf("%g", price)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func length(n int) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprint(n)
}

// duration writes the largest unit that leaves a whole number.
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == 0:
		return "–"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%g s", d.Seconds())
}
