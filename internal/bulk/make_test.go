package bulk_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// pair is what an Inspector gives.
type pair struct {
	in      source.Inspected
	finding *source.Finding
}

func seq(pairs ...pair) iter.Seq2[source.Inspected, *source.Finding] {
	return func(yield func(source.Inspected, *source.Finding) bool) {
		for _, p := range pairs {
			if !yield(p.in, p.finding) {
				return
			}
		}
	}
}

// good is a valid file whose content is known by a letter.
func good(name, content string) pair {
	return pair{in: source.Inspected{
		Input: source.Input{Source: name, Path: "/in/" + name, Origin: "rows.csv:" + name[:1]},
		Probed: source.Probed{
			Format: "mp3", Duration: 100 * time.Second, Size: 1_000_000, SHA256: strings.Repeat(content, 64),
		},
		Valid: true,
	}}
}

// planned are settings of one account where an upload is free and an extend 12 credits.
func planned() bulk.Settings {
	return bulk.Settings{
		Now: noon,
		Job: func(in source.Inspected) bulk.Job {
			job := bulk.Job{Provider: "kie", Account: "main", Params: &provider.Params{Model: "V5", ContinueAt: 60}, Clips: true, Staging: "provider"}
			if in.Overrides.Prompt != nil {
				job.Params.Prompt = *in.Overrides.Prompt
			}
			return job
		},
		Price:    func(bulk.Job) bulk.Price { return bulk.Price{Upload: 0.1, Extend: 12} },
		Accounts: []bulk.Account{{Provider: "kie", Name: "main", Balance: new(300.0)}},
	}
}

func plan(t *testing.T, s bulk.Settings, pairs ...pair) *bulk.Plan {
	t.Helper()
	p, err := bulk.Make(t.Context(), seq(pairs...), s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// paid is a request's key as planned makes it.
func paid(t *testing.T, content string) (result, clip string) {
	t.Helper()
	sum := strings.Repeat(content, 64)
	result, err := bulk.Request{SHA256: sum, Provider: "kie", Params: &provider.Params{Model: "V5", ContinueAt: 60}}.Key()
	must(t, err)
	clip, err = bulk.ClipKey(sum, "kie", "main")
	must(t, err)
	return result, clip
}

func TestMake(t *testing.T) {
	other := good("c.mp3", "a")
	other.in.Overrides.Prompt = new("other")
	broken := pair{
		in:      source.Inspected{Input: source.Input{Source: "d.txt", Path: "/in/d.txt", Origin: "rows.csv:d"}},
		finding: &source.Finding{Origin: "rows.csv:5", Source: "d.txt", Reason: "this is not audio", Code: fault.Invalid},
	}
	row := func(reason string) pair {
		return pair{finding: &source.Finding{Origin: "rows.csv:6", Reason: reason, Code: fault.Invalid}}
	}
	note := pair{finding: &source.Finding{Origin: "rows.csv:7", Source: "a.mp3", Reason: "the same as a.mp3", Note: true}}
	long := good("l.mp3", "d")
	long.in.Probed.Duration = time.Hour
	url := pair{in: source.Inspected{Input: source.Input{Source: "https://h/u.mp3", URL: "https://h/u.mp3?k=s3cr3t", Origin: "u"}, Probed: source.Probed{Size: -1}, Valid: true}}
	resultB, _ := paid(t, "b")
	_, clipC := paid(t, "c")
	entry := bulk.Entry{Session: "ses_1", Item: "ses_1.4", AudioIDs: []string{"x", "y"}, Credits: 12.1, Expires: noon.Add(time.Minute)}
	settings := planned()
	job := settings.Job
	settings.Job = func(in source.Inspected) bulk.Job {
		j := job(in)
		if in.Probed.Duration > time.Minute*8 {
			j.Reasons = []string{"3600 s long; kie takes at most 480 s", "and it is dull"}
		}
		return j
	}
	settings.Accounts[0].Submit, settings.Accounts[0].Per, settings.Accounts[0].Upload, settings.Accounts[0].Extend = 2, 10*time.Second, 5*time.Second, 2*time.Minute
	settings.Results = func(_ context.Context, keys ...string) (map[string]bulk.Entry, error) {
		if len(keys) != 5 {
			t.Errorf("%d results are looked up, want those of 5 inputs", len(keys))
		}
		return map[string]bulk.Entry{resultB: entry}, nil
	}
	settings.Clips = func(_ context.Context, keys ...string) (map[string]bulk.ClipEntry, error) {
		if len(keys) != 4 {
			t.Errorf("%d clips are looked up, want those of 4 inputs: one was paid for", len(keys))
		}
		return map[string]bulk.ClipEntry{clipC: {Clip: provider.Clip{ID: "k", Expires: noon.Add(time.Second)}}}, nil
	}
	var kinds []string
	settings.Each = func(o bulk.Outcome) error {
		kinds = append(kinds, fmt.Sprintf("%s %s %g %s", o.Input.Source, o.Kind, o.Credits, o.First))
		return nil
	}
	p := plan(t, settings, good("a.mp3", "a"), other, broken, good("b.mp3", "b"), row("one"), row("two"), note, good("e.mp3", "a"), good("f.mp3", "c"), long, url, good("g.mp3", "e"))
	want := &bulk.Plan{
		At: noon,
		Inputs: bulk.Inputs{
			Total: 10, Valid: 7, Invalid: 3, New: 5, Reused: 1, Duplicates: 1, Unread: 1, Findings: 5, Notes: 2, Bytes: 6_000_000, AudioSeconds: 600,
		},
		Credits: 60.3, CreditsSaved: 12.3, Seconds: 150,
		Accounts: []bulk.AccountPlan{{
			Provider: "kie", Account: "main", Items: 5, Uploads: 3, Extends: 5, ClipsReused: 2, Credits: 60.3, Balance: new(300.0), Fits: 5, Seconds: 150, Limit: "rate",
		}},
		Retention: bulk.Retention{Expiring: 1, Soonest: noon.Add(time.Minute), ClipsExpiring: 1},
		Staging:   []bulk.Staging{{How: "provider", Files: 3, Bytes: 2_000_000, Unsized: 1}},
		Warnings: []string{
			"paid for, in no archive, and deleted before this run is over: 1 result, from 2026-11-22 12:01 UTC on; archive them first",
			"deleted perhaps before their turn, and then uploaded and paid for again: 1 clip",
			"only parts were read of 1 remote input: what was paid for is not recognised there",
		},
		Findings: []bulk.Remark{
			{Origin: "rows.csv:5", Source: "d.txt", Reason: "this is not audio", Code: "invalid"},
			{Origin: "rows.csv:6", Reason: "one", Code: "invalid"},
			{Origin: "rows.csv:6", Reason: "two", Code: "invalid"},
			{Origin: "rows.csv:l", Source: "l.mp3", Reason: "3600 s long; kie takes at most 480 s", Code: "invalid"},
			{Origin: "rows.csv:l", Source: "l.mp3", Reason: "and it is dull", Code: "invalid"},
			{Origin: "rows.csv:7", Source: "a.mp3", Reason: "the same as a.mp3"},
		},
		Duplicates: []bulk.Duplicate{{Origin: "rows.csv:e", Source: "e.mp3", First: "a.mp3 (rows.csv:a)"}},
		Reused: []bulk.Reused{{
			Origin: "rows.csv:b", Source: "b.mp3", Session: "ses_1", Item: "ses_1.4", AudioIDs: []string{"x", "y"}, Files: []string{}, Expires: noon.Add(time.Minute),
		}},
	}
	want.Hash = p.Hash // TestHash looks at it
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if !p.Blocked() {
		t.Error("the plan is not blocked, and has invalid inputs")
	}
	wantKinds := []string{
		"a.mp3 new 12.1 ", "c.mp3 new 12 ", "d.txt invalid 0 ", "b.mp3 reused 0 ", " invalid 0 ", " invalid 0 ", " invalid 0 ",
		"e.mp3 duplicate 0 a.mp3 (rows.csv:a)", "f.mp3 new 12 ", "l.mp3 invalid 0 ", "https://h/u.mp3 new 12.1 ", "g.mp3 new 12.1 ",
	}
	if diff := cmp.Diff(wantKinds, kinds); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// The hash moves with what the run depends on, and with nothing else.
func TestHash(t *testing.T) {
	base := func(change func(s *bulk.Settings, pairs []pair)) string {
		s := planned()
		pairs := []pair{good("a.mp3", "a"), good("b.mp3", "b"), {in: source.Inspected{
			Input: source.Input{Source: "s3://b/u.mp3", URL: "s3://b/u.mp3", Origin: "u"}, Probed: source.Probed{ETag: "1", Size: 7}, Valid: true,
		}}}
		change(&s, pairs)
		p, err := bulk.Make(t.Context(), seq(pairs...), s)
		must(t, err)
		return p.Hash
	}
	itself := base(func(*bulk.Settings, []pair) {})
	if itself != "p1-ed98a90b204db0f952819b26e3c3726c" {
		t.Errorf("hash %s, want p1-ed98a90b204db0f952819b26e3c3726c: plans that people have kept would be refused", itself)
	}
	moves := map[string]func(s *bulk.Settings, pairs []pair){
		"content":         func(_ *bulk.Settings, pairs []pair) { pairs[1].in.Probed.SHA256 = strings.Repeat("c", 64) },
		"order":           func(_ *bulk.Settings, pairs []pair) { pairs[0], pairs[1] = pairs[1], pairs[0] },
		"parameters":      func(_ *bulk.Settings, pairs []pair) { pairs[0].in.Overrides.Prompt = new("x") },
		"an object":       func(_ *bulk.Settings, pairs []pair) { pairs[2].in.Probed.ETag = "2" },
		"an object's way": func(_ *bulk.Settings, pairs []pair) { pairs[2].in.URL = "s3://b/v.mp3" },
		"a fault": func(_ *bulk.Settings, pairs []pair) {
			pairs[0] = pair{finding: &source.Finding{Origin: "x", Reason: "r"}}
		},
		"price": func(s *bulk.Settings, _ []pair) {
			s.Price = func(bulk.Job) bulk.Price { return bulk.Price{Upload: 0.1, Extend: 13} }
		},
		"balance":    func(s *bulk.Settings, _ []pair) { s.Accounts[0].Balance = new(299.0) },
		"no balance": func(s *bulk.Settings, _ []pair) { s.Accounts[0].Balance = nil },
		"budget":     func(s *bulk.Settings, _ []pair) { s.Accounts[0].Budget = new(100.0) },
		"account":    func(s *bulk.Settings, _ []pair) { s.Job = in("kie", "second") },
		"provider":   func(s *bulk.Settings, _ []pair) { s.Job = in("kkiai", "main") },
		"what was paid for": func(s *bulk.Settings, _ []pair) {
			s.Results = func(_ context.Context, keys ...string) (map[string]bulk.Entry, error) {
				return map[string]bulk.Entry{keys[0]: {}}, nil
			}
		},
		"a clip": func(s *bulk.Settings, _ []pair) {
			s.Clips = func(_ context.Context, keys ...string) (map[string]bulk.ClipEntry, error) {
				return map[string]bulk.ClipEntry{keys[0]: {}}, nil
			}
		},
	}
	seen := map[string]string{itself: "itself"}
	for name, change := range moves {
		hash := base(change)
		if other, known := seen[hash]; known {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[hash] = name
	}
	for name, change := range map[string]func(s *bulk.Settings, pairs []pair){
		"a file's place": func(_ *bulk.Settings, pairs []pair) { pairs[0].in.Path, pairs[0].in.Source = "/elsewhere", "elsewhere" },
		"a row's line":   func(_ *bulk.Settings, pairs []pair) { pairs[0].in.Origin = "rows.csv:99" },
		"the time":       func(s *bulk.Settings, _ []pair) { s.Now = noon.Add(time.Hour) },
		"limits":         func(s *bulk.Settings, _ []pair) { s.Accounts[0].InFlight = 7 },
		"again":          func(s *bulk.Settings, _ []pair) { s.Again = true },
	} {
		if hash := base(change); hash != itself {
			t.Errorf("the hash moves with %s", name)
		}
	}
}

// in is a job at an account.
func in(providerName, account string) func(source.Inspected) bulk.Job {
	return func(source.Inspected) bulk.Job {
		return bulk.Job{Provider: providerName, Account: account, Params: &provider.Params{Model: "V5", ContinueAt: 60}, Clips: true, Staging: "provider"}
	}
}

func TestCredits(t *testing.T) {
	settings := planned()
	settings.Accounts[0].Balance, settings.Accounts[0].Budget = new(300.0), new(30.0)
	settings.Job = func(in source.Inspected) bulk.Job {
		job := bulk.Job{Provider: "kie", Account: "main"}
		switch in.Source[0] {
		case 'k':
			job.Account = "unlisted"
		case 'x':
			job.Params = &provider.Params{ContinueAt: 1}
		}
		return job
	}
	settings.Price = func(bulk.Job) bulk.Price { return bulk.Price{Upload: 0.1, Extend: 12, Assumed: true} }
	pairs := []pair{good("x1.mp3", "a"), good("x2.mp3", "b"), good("u1.mp3", "c"), good("x3.mp3", "d"), good("k1.mp3", "e")}
	p := plan(t, settings, pairs...)
	want := []bulk.AccountPlan{
		{
			Provider: "kie", Account: "main", Items: 4, Uploads: 4, Extends: 3, Credits: 36.4, Balance: new(300.0), Budget: new(30.0), Short: 6.4, Fits: 3,
			Limit: "operation",
		},
		{Provider: "kie", Account: "unlisted", Items: 1, Uploads: 1, Credits: 0.1, Fits: 1, Limit: "operation"},
	}
	if diff := cmp.Diff(want, p.Accounts); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	wantWarnings := []string{
		"kie/main is 6.4 credits short: there are enough for 3 of 4 inputs",
		"prices are assumed: the provider publishes none, and the configuration (credits) does not state them",
	}
	if diff := cmp.Diff(wantWarnings, p.Warnings); diff != "" || p.Credits != 36.5 {
		t.Errorf("%g credits, want 36.5; warnings (-want +got):\n%s", p.Credits, diff)
	}
}

// A million prices of a tenth are what they are.
func TestCreditsDoNotDrift(t *testing.T) {
	settings := planned()
	settings.Job = func(source.Inspected) bulk.Job { return bulk.Job{Provider: "kie", Account: "main"} }
	p, err := bulk.Make(t.Context(), func(yield func(source.Inspected, *source.Finding) bool) {
		one := source.Inspected{Input: source.Input{Source: "u", URL: "u"}, Valid: true}
		for range 20_000 {
			if !yield(one, nil) {
				return
			}
		}
	}, settings)
	if err != nil || p.Credits != 2000 {
		t.Errorf("20,000 times 0.1 credits are %v, %v; want 2000", p.Credits, err)
	}
}

func TestAgain(t *testing.T) {
	settings := planned()
	settings.Again = true
	settings.Results = func(context.Context, ...string) (map[string]bulk.Entry, error) {
		return nil, errors.New("nobody should ask")
	}
	p := plan(t, settings, good("a.mp3", "a"), good("b.mp3", "a"))
	if p.Inputs.New != 1 || p.Inputs.Duplicates != 1 || p.Credits != 12.1 {
		t.Errorf("inputs %+v for %g credits, want one of two done and paid anew", p.Inputs, p.Credits)
	}
}

func TestMakeStops(t *testing.T) {
	broken := errors.New("broken")
	many := func(yield func(source.Inspected, *source.Finding) bool) {
		for n := 0; yield(good(fmt.Sprintf("%d.mp3", n), "a").in, nil); n++ {
			continue
		}
	}
	for name, change := range map[string]func(s *bulk.Settings){
		"results": func(s *bulk.Settings) {
			s.Results = func(context.Context, ...string) (map[string]bulk.Entry, error) { return nil, broken }
		},
		"clips": func(s *bulk.Settings) {
			s.Clips = func(context.Context, ...string) (map[string]bulk.ClipEntry, error) { return nil, broken }
		},
		"each": func(s *bulk.Settings) { s.Each = func(bulk.Outcome) error { return broken } },
	} {
		settings := planned()
		change(&settings)
		if p, err := bulk.Make(t.Context(), many, settings); !errors.Is(err, broken) || p != nil {
			t.Errorf("%s that fail: %v, want the error", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	settings := planned()
	settings.Each = func(bulk.Outcome) error { cancel(); return nil }
	if p, err := bulk.Make(ctx, many, settings); fault.CodeOf(err) != fault.Canceled || p != nil {
		t.Errorf("a context that ends: %v, want canceled", err)
	}
}

// What is bound to an account is another result at another one.
func TestBound(t *testing.T) {
	for _, bound := range []bool{true, false} {
		settings := planned()
		settings.Job = func(in source.Inspected) bulk.Job {
			return bulk.Job{Provider: "kie", Account: in.Source[:1], Bound: bound}
		}
		p := plan(t, settings, good("a.mp3", "a"), good("b.mp3", "a"))
		if want := map[bool]int{true: 0, false: 1}[bound]; p.Inputs.Duplicates != want {
			t.Errorf("bound %t: %d duplicates at two accounts, want %d", bound, p.Inputs.Duplicates, want)
		}
	}
}
