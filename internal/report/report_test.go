package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

var update = flag.Bool("update", false, "write the golden files anew")

const hostile = `"><script>alert('x')</script>.mp3`

// sample is a report of three items: one that succeeded, one that failed, one that is held.
func sample() *Report {
	created := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	of := &session.Session{Spec: session.Spec{ID: "ses_1", Created: created.UnixMilli()}}
	ms := func(seconds int) int64 { return created.Add(time.Duration(seconds) * time.Second).UnixMilli() }
	items := []session.Item{
		{
			Source: session.Source{Name: hostile, Duration: 187.4}, Plan: session.PlanFor(true), Step: session.StepFetch, State: session.Succeeded,
			Since: ms(100), Updated: created.Add(103 * time.Second),
			Operations: []session.Operation{{ID: "op-1", Step: session.StepExtend, Credits: 12, At: ms(40)}},
			Tracks: []session.Track{
				{Track: provider.Track{AudioID: "a-1"}, File: "/srv/music/ses_1/000 #1?-1.mp3"},
				{Track: provider.Track{AudioID: "a-2"}, File: "s3://bucket/ses_1/000-2.mp3"},
			},
		},
		{
			Source: session.Source{Name: "=HYPERLINK(\"http://evil\")"}, Plan: session.PlanFor(true), Step: session.StepExtend, State: session.Failed,
			Operations: []session.Operation{{ID: "op-2", Step: session.StepExtend, Credits: 12, At: ms(50)}},
			Failure:    &session.Failure{Code: fault.Rejected, Step: session.StepExtend, Reason: "<b>copyright</b>"},
		},
		{
			Source: session.Source{Name: "c.mp3"}, Plan: session.PlanFor(true), Step: session.StepExtend, State: session.Held,
			Claim:   &session.Claim{Credits: 12},
			Failure: &session.Failure{Code: fault.Timeout, Step: session.StepExtend, Reason: "no answer"},
		},
	}
	r := New("Segue: " + hostile)
	for n := range items {
		items[n].Session, items[n].Index = "ses_1", n
		r.add(of, &items[n])
	}
	r.Counts = session.Tally{Total: 3, Succeeded: 1, Failed: 1, Held: 1}
	r.Credits = 24
	r.Sessions = append(r.Sessions, Session{
		ID: "ses_1", Name: hostile, Provider: "kie", Account: "main", Status: session.StatusHeld, Created: created, Counts: r.Counts, Credits: 24,
	})
	r.Close()
	return r
}

// TestGolden: what is written, byte for byte, in every format.
func TestGolden(t *testing.T) {
	r := sample()
	for name, write := range map[string]func(*bytes.Buffer) error{
		"report.json": func(b *bytes.Buffer) error { return r.JSON(b) },
		"report.csv":  func(b *bytes.Buffer) error { return r.CSV(b) },
		"report.html": func(b *bytes.Buffer) error { return r.HTML(b, "/srv/reports") },
	} {
		var got bytes.Buffer
		if err := write(&got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNothingEscapes: names are text wherever they stand, the page loads nothing from
// elsewhere, and a spreadsheet computes nothing.
func TestNothingEscapes(t *testing.T) {
	r := sample()
	var page, sheet bytes.Buffer
	if err := r.HTML(&page, "/srv/reports"); err != nil {
		t.Fatal(err)
	}
	if err := r.CSV(&sheet); err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"<script", "<b>copyright", "src=\"http", "ZgotmplZ"} {
		if strings.Contains(page.String(), never) {
			t.Errorf("the page contains %q", never)
		}
	}
	if want := `src="./../music/ses_1/000%20%231%3F-1.mp3"`; !strings.Contains(page.String(), want) {
		t.Errorf("the page lacks the player %s", want)
	}
	if n := strings.Count(page.String(), "<audio"); n != 1 {
		t.Errorf("%d players, want one: the other file is in a bucket", n)
	}
	if strings.Contains(sheet.String(), "\n\"=") || strings.Contains(sheet.String(), ",=") || !strings.Contains(sheet.String(), "'=HYPERLINK") {
		t.Errorf("the sheet holds a formula:\n%s", sheet.String())
	}
}

// TestTimes: a step is timed by those items alone that tell.
func TestTimes(t *testing.T) {
	want := []Step{
		{"wait, upload and turn", 2, 50, 50, 50},
		{"extend at the provider", 1, 60, 60, 60},
		{"fetch and archive", 1, 3, 3, 3},
	}
	if diff := cmp.Diff(want, sample().Steps); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

// TestFailuresAreGrouped: each cause once, with what to do about it.
func TestFailuresAreGrouped(t *testing.T) {
	got := sample().Failures
	if len(got) != 2 || got[0].Code != "rejected" || got[0].Credits != 12 || !strings.Contains(got[0].ToDo, "another file or prompt") ||
		got[1].Status != "held" || !strings.Contains(got[1].ToDo, "segue resolve") {
		t.Errorf("failures %+v, want rejected and what is held, with what to do", got)
	}
}
