package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with what a person has looked at.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		must(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// everything is a plan in which there is something of all.
func everything(t *testing.T, each func(bulk.Outcome) error) *bulk.Plan {
	t.Helper()
	resultB, _ := paid(t, "b")
	_, clipC := paid(t, "c")
	settings := planned()
	settings.Examples, settings.Each = 2, each
	settings.Accounts = []bulk.Account{{
		Provider: "kie", Name: "main", Balance: new(20.5), Submit: 1, Per: time.Hour, Extend: 3 * time.Minute, InFlight: 5, Retention: time.Minute,
	}}
	settings.Fetching = bulk.Fetching{AtOnce: 1, Each: 30 * time.Hour}
	settings.Price = func(bulk.Job) bulk.Price { return bulk.Price{Upload: 0.5, Extend: 1200, Assumed: true} }
	settings.Results = func(context.Context, ...string) (map[string]bulk.Entry, error) {
		return map[string]bulk.Entry{resultB: {
			Session: "ses_1", Item: "ses_1.0", AudioIDs: []string{"x", "y"}, Files: []string{"out/0-b-1.mp3", "out/0-b-2.mp3"}, Credits: 1200.5,
		}}, nil
	}
	settings.Clips = func(context.Context, ...string) (map[string]bulk.ClipEntry, error) {
		return map[string]bulk.ClipEntry{clipC: {Clip: provider.Clip{ID: "k"}}}, nil
	}
	pairs := []pair{
		good("a *live*.mp3", "a"), good("b.mp3", "b"), good("c_c.mp3", "c"), good("d|<d>.mp3", "a"), good("e\x1b[2J.mp3", "e"), good("f.mp3", "f"),
		{finding: &source.Finding{Origin: "rows.csv:17", Reason: `continue-at is "soon"; it must be a number`, Code: fault.Invalid}},
		{finding: &source.Finding{Origin: "rows.csv:18", Source: "gone\x1b[2J.mp3", Reason: "there is no such file or directory", Code: fault.Invalid}},
		{finding: &source.Finding{Origin: "rows.csv:19", Source: "a.mp3", Reason: "the same as a.mp3, named before; taken once", Note: true}},
	}
	return plan(t, settings, pairs...)
}

func TestRenderings(t *testing.T) {
	p := everything(t, nil)
	for name, render := range map[string]func(io.Writer) error{"plan.txt": p.Table, "plan.md": p.Markdown, "plan.json": p.JSON} {
		var out bytes.Buffer
		must(t, render(&out))
		golden(t, name, out.Bytes())
		if err := render(broken{}); !errors.Is(err, errBroken) {
			t.Errorf("%s into what breaks: %v, want its error", name, err)
		}
	}
}

func TestSheetAndFindings(t *testing.T) {
	var sheet, findings bytes.Buffer
	rows := bulk.NewSheet(&sheet)
	everything(t, bulk.Tell(rows.Add, bulk.Findings(&findings)))
	must(t, rows.Close())
	golden(t, "inputs.csv", sheet.Bytes())
	golden(t, "findings.jsonl", findings.Bytes())
	rows = bulk.NewSheet(broken{})
	for range 200 {
		_ = rows.Add(bulk.Outcome{Kind: bulk.Wrong, Findings: []source.Finding{{Reason: strings.Repeat("x", 100)}}})
	}
	if err := rows.Close(); !errors.Is(err, errBroken) {
		t.Errorf("a sheet into what breaks: %v, want its error", err)
	}
	if err := bulk.Findings(broken{})(bulk.Outcome{Findings: []source.Finding{{}}}); !errors.Is(err, errBroken) {
		t.Errorf("findings into what breaks: %v, want its error", err)
	}
}

var errBroken = errors.New("the pipe broke")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// A plan of nothing is a plan.
func TestRenderingsOfNothing(t *testing.T) {
	p := plan(t, planned())
	var text, page, object bytes.Buffer
	must(t, errors.Join(p.Table(&text), p.Markdown(&page), p.JSON(&object)))
	if got, want := text.String(), "plan "+p.Hash+"\n0 inputs: 0 to do, 0 paid for already, 0 there twice, 0 invalid\n0 credits\n"; got != want {
		t.Errorf("table %q, want %q", got, want)
	}
	if strings.Contains(object.String(), "null") {
		t.Errorf("there is a null in %s", object.String())
	}
}
