package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
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

// sample is a report of six items: one that succeeded, two that failed, of which one was
// paid for, one that is held, one that was canceled, one that is on its way; and of two
// inputs that were left out.
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
		{
			Source: session.Source{Name: "d.mp3"}, Plan: session.PlanFor(true), Step: session.StepFetch, State: session.Failed,
			Operations: []session.Operation{{ID: "op-4", Step: session.StepExtend, Credits: 12, At: ms(60)}},
			Tracks:     []session.Track{{Track: provider.Track{AudioID: "a-4", AudioURL: "https://cdn.example.com/a-4.mp3?Signature=s3cret"}}},
			Failure:    &session.Failure{Code: fault.NotFound, Step: session.StepFetch, Reason: "cdn.example.com answered 404"},
		},
		{Source: session.Source{Name: "https://songs.example.com/e.mp3"}, Plan: session.PlanFor(true), Step: session.StepUpload, State: session.Canceled},
		{Source: session.Source{Name: "f.mp3"}, Plan: session.PlanFor(true), Step: session.StepUpload, State: session.Queued},
	}
	r := New("Segue: " + hostile)
	r.Keeps = func(string) time.Duration { return 14 * 24 * time.Hour }
	r.Reused = append(r.Reused,
		Reused{SessionID: "ses_1", Source: hostile, Outcome: "reused", ItemID: "ses_0.3", AudioIDs: []string{"a-9"}, Files: []string{"/srv/music/ses_0/003-g-1.mp3"}},
		Reused{SessionID: "ses_1", Source: "=h.mp3", Outcome: "duplicate", SameAs: "c.mp3", AudioIDs: []string{}, Files: []string{}},
	)
	for n := range items {
		items[n].Session, items[n].Index = "ses_1", n
		r.add(of, &items[n])
	}
	r.Counts = session.Tally{Total: 6, Succeeded: 1, Failed: 2, Held: 1, Canceled: 1, Waiting: 1}
	r.Credits, r.CreditsInDoubt = 36, 12
	r.Sessions = append(r.Sessions, Session{
		ID: "ses_1", Name: hostile, Provider: "kie", Account: "main", Status: session.StatusHeld, Created: created, Counts: r.Counts, Credits: 36,
		CreditsInDoubt: 12, Reused: 2,
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
	for _, never := range []string{"<script", "<b>copyright", "src=\"http", "ZgotmplZ", "s3cret"} {
		if strings.Contains(page.String(), never) {
			t.Errorf("the page contains %q", never)
		}
	}
	if want := `src="./../music/ses_1/000%20%231%3F-1.mp3"`; !strings.Contains(page.String(), want) {
		t.Errorf("the page lacks the player %s", want)
	}
	if n := strings.Count(page.String(), "<audio"); n != 2 {
		t.Errorf("%d players, want two: the third file is in a bucket", n)
	}
	if strings.Contains(sheet.String(), "\n\"=") || strings.Contains(sheet.String(), ",=") || !strings.Contains(sheet.String(), "'=HYPERLINK") {
		t.Errorf("the sheet holds a formula:\n%s", sheet.String())
	}
}

// TestTimes: a step is timed by those items alone that tell.
func TestTimes(t *testing.T) {
	want := []Step{
		{"wait, upload and turn", 3, 50, 60, 60},
		{"extend at the provider", 1, 60, 60, 60},
		{"fetch and archive", 1, 3, 3, 3},
	}
	if diff := cmp.Diff(want, sample().Steps); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

// TestFailuresAreGrouped: each cause once, with what it cost and what to do about it.
func TestFailuresAreGrouped(t *testing.T) {
	want := []Failure{
		{
			Code: "not_found", Step: "fetch", Status: "failed", Items: 1, Credits: 12, Sessions: []string{"ses_1"},
			KeptUntil: time.Date(2026, 12, 6, 8, 1, 0, 0, time.UTC), Example: "cdn.example.com answered 404",
			ToDo: "segue retry ses_1 --step fetch, or segue results ses_1 --out DIR, which cost nothing: the provider deletes the first on " +
				"2026-12-06 08:01 UTC; what it has deleted, segue retry ses_1 --step extend pays for anew, and asks first",
		},
		{
			Code: "rejected", Step: "extend", Status: "failed", Items: 1, Credits: 12, Sessions: []string{"ses_1"}, Example: "<b>copyright</b>",
			ToDo: "the provider refuses the content: another file or prompt; trying again brings nothing",
		},
		{
			Code: "timeout", Step: "extend", Status: "held", Items: 1, InDoubt: 12, Sessions: []string{"ses_1"}, Example: "no answer",
			ToDo: "segue items ses_1 --status held says what is known of each; segue resolve ITEM decides",
		},
	}
	if diff := cmp.Diff(want, sample().Failures); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
}

// TestACauseInSeveralSessions: what is to be done names no session then.
func TestACauseInSeveralSessions(t *testing.T) {
	r := New("two")
	for _, id := range []string{"ses_1", "ses_2", "ses_2"} {
		it := session.Item{Session: id, Step: session.StepUpload, State: session.Failed, Failure: &session.Failure{Code: fault.Denied, Step: session.StepUpload}}
		r.add(&session.Session{Spec: session.Spec{ID: id}}, &it)
	}
	r.Close()
	got := r.Failures
	if len(got) != 1 || got[0].Items != 3 || !cmp.Equal(got[0].Sessions, []string{"ses_1", "ses_2"}) || !strings.HasSuffix(got[0].ToDo, "then segue retry SESSION") {
		t.Errorf("failures %+v, want one of 3 items in two sessions, and no session in what to do", got)
	}
}

// TestThePageStandsAlone reads the page as a browser would: it is well formed, every
// address in it is that of a file, and the charts are as wide as the numbers say.
func TestThePageStandsAlone(t *testing.T) {
	var page bytes.Buffer
	if err := sample().HTML(&page, "/srv/reports"); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&page)
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	seen, bars := map[string]int{}, 0.0
	var inOutcomes bool
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		if end, ok := token.(xml.EndElement); ok && end.Name.Local == "svg" {
			inOutcomes = false
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		seen[start.Name.Local]++
		for _, a := range start.Attr {
			inOutcomes = inOutcomes || a.Value == "outcomes"
			switch a.Name.Local {
			case "src", "href", "data", "action", "srcset", "poster":
				if at, err := url.Parse(a.Value); err != nil || at.Host != "" || (at.Scheme != "" && at.Scheme != "file") {
					t.Errorf("<%s %s=%q> leads elsewhere", start.Name.Local, a.Name.Local, a.Value)
				}
			case "onclick", "onload", "onerror":
				t.Errorf("<%s> does something", start.Name.Local)
			case "width":
				if width, err := strconv.ParseFloat(strings.TrimSuffix(a.Value, "%"), 64); err == nil && inOutcomes {
					bars += width
				}
			}
		}
	}
	for element, want := range map[string]int{"audio": 2, "svg": 4, "script": 0, "link": 0, "img": 0, "iframe": 0, "h2": 5} {
		if seen[element] != want {
			t.Errorf("%d <%s>, want %d", seen[element], element, want)
		}
	}
	if bars < 99.9 || bars > 100.1 {
		t.Errorf("the outcomes fill %.2f %% of their chart, want all of it", bars)
	}
}
