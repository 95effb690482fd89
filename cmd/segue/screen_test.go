package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

var (
	wholePlan  = []session.StepName{session.StepUpload, session.StepExtend, session.StepFetch}
	uploadPlan = []session.StepName{session.StepUpload}
)

func TestProgressOfAnItem(t *testing.T) {
	why := &session.Failure{Code: fault.Rejected, Reason: "the prompt was refused"}
	for name, test := range map[string]struct {
		item     session.Item
		quarters int
		words    string
	}{
		"at the start":      {session.Item{Plan: wholePlan, Step: session.StepUpload, State: session.Queued}, 0, "upload: waiting its turn"},
		"being uploaded":    {session.Item{Plan: wholePlan, Step: session.StepUpload, State: session.Sending}, 1, "upload: under way"},
		"at the provider":   {session.Item{Plan: wholePlan, Step: session.StepUpload, State: session.Waiting}, 2, "upload: the provider is at it"},
		"uploaded":          {session.Item{Plan: wholePlan, Step: session.StepExtend, State: session.Queued}, 4, "extend: waiting its turn"},
		"being extended":    {session.Item{Plan: wholePlan, Step: session.StepExtend, State: session.Waiting}, 6, "extend: the provider is at it"},
		"being fetched":     {session.Item{Plan: wholePlan, Step: session.StepFetch, State: session.Running}, 9, "fetch: under way"},
		"done":              {session.Item{Plan: wholePlan, Step: session.StepFetch, State: session.Succeeded}, 12, "done"},
		"done, upload only": {session.Item{Plan: uploadPlan, Step: session.StepUpload, State: session.Succeeded}, 4, "done"},
		"failed":            {session.Item{Plan: wholePlan, Step: session.StepExtend, State: session.Failed, Failure: why}, 4, "FAILED: the prompt was refused"},
		"held":              {session.Item{Plan: wholePlan, Step: session.StepExtend, State: session.Held, Failure: why}, 4, "HELD: the prompt was refused"},
		"canceled":          {session.Item{Plan: wholePlan, Step: session.StepUpload, State: session.Canceled}, 0, "canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := quarters(&test.item); got != test.quarters {
				t.Errorf("quarters = %d, want %d", got, test.quarters)
			}
			if got := words(&test.item); got != test.words {
				t.Errorf("words = %q, want %q", got, test.words)
			}
		})
	}
}

// lines is what a screen without a terminal says of a song that goes through states.
func lines(steps ...session.Item) string {
	var out bytes.Buffer
	a := &app{environment: environment{stderr: &out}}
	screen := a.screen()
	for n := range steps {
		steps[n].Source.Name, steps[n].Plan = "songs/a.mp3", wholePlan
		screen.showItems([]*session.Item{&steps[n]})
	}
	screen.close()
	return out.String()
}

func TestPlainLinesSayEachChangeOnce(t *testing.T) {
	at := func(step session.StepName, state session.State) session.Item {
		return session.Item{Step: step, State: state}
	}
	refused := at(session.StepExtend, session.Queued)
	refused.Failure = &session.Failure{Reason: "connection refused"}
	full := at(session.StepExtend, session.Queued)
	full.Failure = &session.Failure{Reason: "too many requests"}
	got := lines(
		at(session.StepUpload, session.Queued), at(session.StepUpload, session.Sending),
		at(session.StepUpload, session.Waiting), at(session.StepUpload, session.Waiting),
		refused, refused, full,
		at(session.StepExtend, session.Waiting), at(session.StepFetch, session.Running), at(session.StepFetch, session.Succeeded),
		at(session.StepFetch, session.Succeeded),
	)
	const want = `songs/a.mp3: upload: the provider is at it
songs/a.mp3: extend will be tried again by itself: connection refused
songs/a.mp3: extend will be tried again by itself: too many requests
songs/a.mp3: extend: the provider is at it
songs/a.mp3: done
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestManyFilesGetOneLineTogether(t *testing.T) {
	var out bytes.Buffer
	a := &app{environment: environment{stderr: &out}}
	screen := a.screen()
	current := &session.Session{Total: 100, Sealed: true, Counts: map[string]int{
		"upload.queued": 50, "extend.waiting": 20, "extend.queued": 5, "extend.held": 2, "succeeded": 20, "failed": 3,
	}}
	for range 2 {
		screen.line(current, current.Tally())
	}
	const want = "25 of 100 files done: 20 succeeded, 3 failed, 2 held, 0 canceled; 50 at upload; 25 at extend\n"
	if out.String() != want {
		t.Errorf("lines %q, want %q once", out.String(), want)
	}
}

func TestWayOfASession(t *testing.T) {
	for name, test := range map[string]struct {
		session   session.Session
		all, done int
	}{
		"nothing":     {session.Session{}, 1, 0},
		"upload only": {session.Session{Total: 3, Counts: map[string]int{"upload.queued": 1, "upload.waiting": 1, "succeeded": 1}}, 12, 6},
		"extended": {
			session.Session{Total: 4, Spec: session.Spec{Params: &provider.Params{}}, Counts: map[string]int{
				"upload.sending": 1, "extend.waiting": 1, "fetch.running": 1, "failed": 1,
			}},
			48, 1 + 6 + 9 + 12,
		},
		"rows extend, the flags do not": {session.Session{Total: 2, Counts: map[string]int{"extend.queued": 2}}, 24, 8},
		"over":                          {session.Session{Total: 2, Counts: map[string]int{"canceled": 1, "succeeded": 1}}, 8, 8},
	} {
		t.Run(name, func(t *testing.T) {
			if all, done := wayOf(&test.session); all != test.all || done != test.done {
				t.Errorf("wayOf = %d, %d, want %d, %d", all, done, test.all, test.done)
			}
		})
	}
}

func TestShort(t *testing.T) {
	for _, test := range []struct{ text, left, right string }{
		{"short.mp3", "short.mp3", "short.mp3"},
		{"12345678901", "…345678901", "123456789…"},
		{"äöüäöüäöüäöü", "…äöüäöüäöü", "äöüäöüäöü…"},
	} {
		if got := short(test.text, 10); got != test.left {
			t.Errorf("short(%q) = %q, want %q", test.text, got, test.left)
		}
		if got := shortEnd(test.text, 10); got != test.right {
			t.Errorf("shortEnd(%q) = %q, want %q", test.text, got, test.right)
		}
	}
}

func TestCommonDir(t *testing.T) {
	for want, names := range map[string][]string{
		"":                   {"a.mp3", "b.mp3"},
		"songs/":             {"songs/a.mp3", "songs/b.mp3", "songs/live/c.mp3"},
		"songs/live/":        {"songs/live/c.mp3"},
		"/":                  {"/a/x.mp3", "/b/x.mp3"},
		"https://h/x/":       {"https://h/x/1.mp3", "https://h/x/2.mp3"},
		"out/ses_1/":         {"out/ses_1/000-a-1.mp3", "out/ses_1/000-a-2.mp3"},
		"no/match/":          {"no/match/ab.mp3", "no/match/abc.mp3"},
		"a/b/c/d/e/f/g/h/i/": {"a/b/c/d/e/f/g/h/i/j"},
	} {
		if got := commonDir(names); got != want {
			t.Errorf("commonDir(%q) = %q, want %q", names, got, want)
		}
	}
	if got := commonDir([]string{"songs/a.mp3", "b.mp3"}); got != "" {
		t.Errorf("commonDir of nothing in common = %q", got)
	}
	if got := commonDir(nil); got != "" {
		t.Errorf("commonDir() = %q", got)
	}
}

func TestLength(t *testing.T) {
	for seconds, want := range map[float64]string{0: "", 0.4: "", 0.6: "0:01", 59.6: "1:00", 187.4: "3:07", 3725: "62:05"} {
		if got := length(seconds); got != want {
			t.Errorf("length(%v) = %q, want %q", seconds, got, want)
		}
	}
}
