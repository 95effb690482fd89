package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// album is what a command would submit.
func album() *enqueue.Session {
	weight := 0.5
	return &enqueue.Session{
		Provider: "studio", Account: "main", OnUnknown: "hold",
		Extend: &enqueue.Extend{ContinueAt: -5, Model: "V5", StyleWeight: &weight},
		Items: []enqueue.Item{
			{Source: "/songs/a.mp3", Name: "songs/a.mp3", Known: enqueue.Audio{SHA256: "aa", Size: 1, ModTime: time.Unix(1, 0)}},
			{Source: "/songs/b.mp3", Name: "songs/b.mp3", Known: enqueue.Audio{SHA256: "bb", Size: 2, ModTime: time.Unix(2, 0)}},
		},
	}
}

func keyFor(t *testing.T, change func(*enqueue.Session)) string {
	t.Helper()
	s := album()
	change(s)
	key, err := keyOf(s, s.Account)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestKeyOfIsTheSameForTheSameCommand(t *testing.T) {
	// The SHA-256 of the request as JSON lines, worked out by hand: another version
	// that made another key would pay again for what this one has paid for.
	const want = "command:df7b23a5ff8652c86f070bb2193d95d248d36e9388ae4fa3690a48d32e9f64c1"
	first := keyFor(t, func(*enqueue.Session) {})
	if first != want {
		t.Errorf("keyOf = %q, want %q", first, want)
	}
	for name, change := range map[string]func(*enqueue.Session){
		"unchanged":                 func(*enqueue.Session) {},
		"other policy":              func(s *enqueue.Session) { s.OnUnknown = "resubmit" },
		"other archive":             func(s *enqueue.Session) { s.Archive = "/elsewhere" },
		"files touched":             func(s *enqueue.Session) { s.Items[0].Known.ModTime = time.Unix(9, 0) },
		"another weight's pointer":  func(s *enqueue.Session) { w := *s.Extend.StyleWeight; s.Extend.StyleWeight = &w },
		"named from another folder": func(s *enqueue.Session) { s.Items[0].Name = "../songs/a.mp3" },
	} {
		if got := keyFor(t, change); got != first {
			t.Errorf("%s: key %q, want %q", name, got, first)
		}
	}
}

func TestKeyOfDiffersForAnythingElse(t *testing.T) {
	seen := map[string]string{keyFor(t, func(*enqueue.Session) {}): "unchanged"}
	for name, change := range map[string]func(*enqueue.Session){
		"provider":        func(s *enqueue.Session) { s.Provider = "other" },
		"account":         func(s *enqueue.Session) { s.Account = "other" },
		"name":            func(s *enqueue.Session) { s.Name = "other" },
		"upload only":     func(s *enqueue.Session) { s.Extend = nil },
		"continue-at":     func(s *enqueue.Session) { s.Extend.ContinueAt = -6 },
		"weight":          func(s *enqueue.Session) { w := 0.51; s.Extend.StyleWeight = &w },
		"no weight":       func(s *enqueue.Session) { s.Extend.StyleWeight = nil },
		"contents":        func(s *enqueue.Session) { s.Items[1].Known.SHA256 = "cc" },
		"path":            func(s *enqueue.Session) { s.Items[1].Source = "/songs/c.mp3" },
		"order":           func(s *enqueue.Session) { s.Items[0], s.Items[1] = s.Items[1], s.Items[0] },
		"fewer":           func(s *enqueue.Session) { s.Items = s.Items[:1] },
		"twice":           func(s *enqueue.Session) { s.Items = append(s.Items, s.Items[1]) },
		"a row's own":     func(s *enqueue.Session) { s.Items[0].Extend = &enqueue.Extend{ContinueAt: 3} },
		"a row's refusal": func(s *enqueue.Session) { s.Items[0].UploadOnly = true },
	} {
		key := keyFor(t, change)
		if before, taken := seen[key]; taken {
			t.Errorf("a different %s has the key of %s", name, before)
		}
		seen[key] = name
	}
}

// reasons are what check says of a song of ten seconds.
func reasons(e *enqueue.Extend, item enqueue.Item) []string {
	info := provider.Info{
		Name: "studio", Models: []provider.Model{{Name: "V5"}},
		Uploads: provider.Uploads{Clips: true, Formats: []string{"mp3"}},
	}
	in := source.Inspected{
		Input:  source.Input{Source: "a.mp3", Origin: "songs"},
		Probed: source.Probed{Format: "mp3", Duration: 10 * time.Second}, Valid: true,
	}
	var all []string
	for _, finding := range check(info, &enqueue.Session{Extend: e}, &item, in) {
		all = append(all, finding.Error())
	}
	return all
}

func TestCheckContinueAt(t *testing.T) {
	for name, test := range map[string]struct {
		at   float64
		want []string
	}{
		"inside":                {4, nil},
		"from the end":          {-4, nil},
		"just inside":           {9.999, nil},
		"at the end":            {10, []string{"a.mp3: continue-at is 10 s, but the audio ends at 10 s"}},
		"past the end":          {60, []string{"a.mp3: continue-at is 60 s, but the audio ends at 10 s"}},
		"at the beginning":      {-10, []string{"a.mp3: continue-at is -10, but the audio is only 10.0 s long"}},
		"before the beginning":  {-500, []string{"a.mp3: continue-at is -500, but the audio is only 10.0 s long"}},
		"missing, said for all": {0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, reasons(&enqueue.Extend{ContinueAt: test.at}, enqueue.Item{})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckUsesARowsOwnParameters(t *testing.T) {
	whole := &enqueue.Extend{ContinueAt: 60}
	if got := reasons(whole, enqueue.Item{Extend: &enqueue.Extend{ContinueAt: 4}}); got != nil {
		t.Errorf("a row with a place of its own: %v, want none", got)
	}
	if got := reasons(whole, enqueue.Item{UploadOnly: true}); got != nil {
		t.Errorf("a row that is not extended: %v, want none", got)
	}
}

func TestContinuation(t *testing.T) {
	at := func(seconds float64) *enqueue.Extend { return &enqueue.Extend{ContinueAt: seconds} }
	for name, test := range map[string]struct {
		sub     submission
		session enqueue.Session
		want    string
		extends bool
	}{
		"flags say it": {submission{extend: true}, enqueue.Session{Extend: at(4), Items: make([]enqueue.Item, 2)}, "", true},
		"nobody says it": {
			submission{extend: true},
			enqueue.Session{Extend: at(0), Items: make([]enqueue.Item, 2)},
			"--continue-at: it is missing (or 0) for 2 files: give seconds from the beginning, or negative from the end", true,
		},
		"every row says it": {submission{extend: true}, enqueue.Session{Extend: at(0), Items: []enqueue.Item{{Extend: at(3)}}}, "", false},
		"one row does not": {
			submission{extend: true},
			enqueue.Session{Extend: at(0), Items: []enqueue.Item{{Extend: at(3)}, {}}},
			"--continue-at: it is missing (or 0) for 1 file: give seconds from the beginning, or negative from the end", true,
		},
		"a row that is not extended needs none": {
			submission{extend: true}, enqueue.Session{Extend: at(0), Items: []enqueue.Item{{Extend: at(3)}, {UploadOnly: true}}}, "", false,
		},
		"upload only": {submission{}, enqueue.Session{Items: []enqueue.Item{{UploadOnly: true}}}, "", false},
		"music without --extend": {
			submission{params: *at(4)},
			enqueue.Session{Items: []enqueue.Item{{UploadOnly: true}}},
			"--extend: it is missing, and without it the files are only uploaded: the other flags about the music would do nothing", false,
		},
		"a row extends": {submission{params: *at(4)}, enqueue.Session{Items: []enqueue.Item{{Extend: at(4)}}}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			for _, finding := range test.sub.continuation(&test.session, nil) {
				got += finding.Error()
			}
			if got != test.want {
				t.Errorf("finding %q, want %q", got, test.want)
			}
			if extends := test.session.Extend != nil; extends != test.extends {
				t.Errorf("the session extends: %v, want %v", extends, test.extends)
			}
		})
	}
}

func TestRowsThatDoNotSayWhereToContinueAreNamed(t *testing.T) {
	sub := submission{extend: true}
	asked := enqueue.Session{Extend: &enqueue.Extend{}, Items: []enqueue.Item{{}, {Extend: &enqueue.Extend{ContinueAt: 3}}, {Extend: &enqueue.Extend{Title: "T"}}, {}}}
	var got []string
	for _, finding := range sub.continuation(&asked, []source.Inspected{
		{Input: source.Input{Source: "a.mp3", Origin: "songs"}},
		{Input: source.Input{Source: "b.mp3", Origin: "list.csv:2"}},
		{Input: source.Input{Source: "c.mp3", Origin: "list.csv:3"}},
		{Input: source.Input{Source: "d.mp3", Origin: "songs"}},
	}) {
		got = append(got, finding.Error())
	}
	want := []string{
		"list.csv:3: c.mp3: continue-at is missing (or 0): give seconds from the beginning, or negative from the end",
		"--continue-at: it is missing (or 0) for 2 files: give seconds from the beginning, or negative from the end",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	a := &app{environment: environment{stderr: &out}}
	note := source.Finding{Origin: "a.mp3", Reason: "the same as b.mp3", Note: true}
	if err := a.report([]source.Finding{note}); err != nil {
		t.Errorf("a mere note: %v, want no error", err)
	}
	bad := source.Finding{Origin: "list.csv:3", Source: "a.mp3", Reason: "the file is empty", Code: fault.Invalid}
	err := a.report([]source.Finding{note, bad, bad})
	if exitCode(err) != exitUsage || err.Error() != "2 errors; nothing was sent" {
		t.Errorf("report = %v with exit code %d, want 2 errors and %d", err, exitCode(err), exitUsage)
	}
	const want = "note: a.mp3: the same as b.mp3\n" +
		"note: a.mp3: the same as b.mp3\n" +
		"error: list.csv:3: a.mp3: the file is empty\n" +
		"error: list.csv:3: a.mp3: the file is empty\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("stderr (-want +got):\n%s", diff)
	}
	out.Reset()
	many := make([]source.Finding, 250)
	for n := range many {
		many[n] = bad
	}
	if err := a.report(many); err.Error() != "250 errors; nothing was sent" {
		t.Errorf("report of 250 = %v", err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 201 || !strings.HasSuffix(out.String(), "… and 50 more\n") {
		t.Errorf("report of 250 printed %d lines, want 200 and a count of the rest", lines)
	}
}
