package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/bulk"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

func TestWordsAreQuotedForAShell(t *testing.T) {
	for word, want := range map[string]string{
		"songs/a-1.mp3":       "songs/a-1.mp3",
		"s3://bucket/in":      "s3://bucket/in",
		"":                    "''",
		"two words":           "'two words'",
		"it's":                `'it'\''s'`,
		"**/*.mp3":            "'**/*.mp3'",
		"$HOME":               "'$HOME'",
		"https://x/a?b=c&d=e": "'https://x/a?b=c&d=e'",
		"größe.mp3":           "'größe.mp3'",
	} {
		if got := quotedWord(word); got != want {
			t.Errorf("quotedWord(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestNoSignatureIsPrinted(t *testing.T) {
	for arg, want := range map[string]string{
		"what?.mp3":                   "what?.mp3",
		"https://h/a.mp3":             "https://h/a.mp3",
		"https://h/a.mp3?signature=x": "https://h/a.mp3?…",
		"https://me:secret@h/a.mp3":   "…",
		"s3://songs/what?.mp3":        "s3://songs/what?.mp3",
	} {
		if got := shownWord(arg); got != want {
			t.Errorf("shownWord(%q) = %q, want %q", arg, got, want)
		}
	}
}

func TestWhatMovedIsSaid(t *testing.T) {
	account := func(name string, balance *float64) []bulk.AccountPlan {
		return []bulk.AccountPlan{{Provider: "kie", Account: name, Balance: balance}}
	}
	plan := func(change func(*bulk.Plan)) *bulk.Plan {
		p := &bulk.Plan{Inputs: bulk.Inputs{Total: 5, New: 3, Reused: 1, Duplicates: 1}, Credits: 36, Accounts: account("main", new(100.0))}
		change(p)
		return p
	}
	for name, c := range map[string]struct {
		change func(*bulk.Plan)
		want   []string
	}{
		"nothing that is counted": {func(*bulk.Plan) {}, []string{"the contents or the parameters of an input"}},
		"prices":                  {func(p *bulk.Plan) { p.Credits = 42 }, []string{"prices: 42 credits in all, and were 36 credits"}},
		"one input less": {
			func(p *bulk.Plan) { p.Inputs.Total, p.Inputs.New, p.Credits = 4, 2, 24 },
			[]string{"inputs: 4, and were 5", "inputs to be done: 2, and were 3"},
		},
		"paid for meanwhile": {
			func(p *bulk.Plan) { p.Inputs.Reused, p.Inputs.New, p.Credits = 2, 2, 24 },
			[]string{"inputs to be done: 2, and were 3", "inputs paid for already: 2, and were 1"},
		},
		"the balance":      {func(p *bulk.Plan) { p.Accounts = account("main", new(99.5)) }, []string{"the balance of kie/main: 99.5, and was 100"}},
		"a silent balance": {func(p *bulk.Plan) { p.Accounts = account("main", nil) }, []string{"the balance of kie/main: not known, and was 100"}},
		"a budget":         {func(p *bulk.Plan) { p.Accounts[0].Budget = new(7.0) }, []string{"what budgets leave to kie/main: 7, and was no limit"}},
		"the account":      {func(p *bulk.Plan) { p.Accounts = account("spare", new(100.0)) }, []string{"the account: kie/spare, and was kie/main"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, differences(plan(func(*bulk.Plan) {}), plan(c.change))); diff != "" {
				t.Errorf("differences (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnItemIsRememberedAsItIsPlanned: what a worker remembers has the very key that a
// plan looks for, or it would be paid for again.
func TestAnItemIsRememberedAsItIsPlanned(t *testing.T) {
	const sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	info := provider.Info{Name: "kie", Models: []provider.Model{{Name: "V5"}, {Name: "V4"}}, Retention: 24 * time.Hour}
	source := session.Source{Name: "a.mp3", Path: "/a.mp3", SHA256: sum, Duration: 187.4}
	spec := func(p *provider.Params) *session.Session {
		return &session.Session{Spec: session.Spec{ID: "ses_x", Provider: "kie", Account: "main", Params: p}}
	}
	for name, c := range map[string]struct {
		session *session.Session
		extend  bool
		params  *provider.Params
		want    bulk.Request
	}{
		"upload alone": {spec(nil), false, nil, bulk.Request{SHA256: sum, Provider: "kie", Account: "main"}},
		"the default model, from the end": {
			spec(&provider.Params{ContinueAt: -5}), true, nil,
			bulk.Request{SHA256: sum, Provider: "kie", Params: &provider.Params{Model: "V5", ContinueAt: 182.4}},
		},
		"an item's own": {
			spec(&provider.Params{ContinueAt: -5}), true, &provider.Params{Model: "V4", ContinueAt: 60, Title: "x"},
			bulk.Request{SHA256: sum, Provider: "kie", Params: &provider.Params{Model: "V4", ContinueAt: 60, Title: "x"}},
		},
		"a persona": {
			spec(&provider.Params{ContinueAt: 60, PersonaID: "p"}), true, nil,
			bulk.Request{SHA256: sum, Provider: "kie", Account: "main", Params: &provider.Params{Model: "V5", ContinueAt: 60, PersonaID: "p"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			it := session.NewItem(source, session.PlanFor(c.extend), c.params)
			got, err := requestOf(info, c.session, &it).Key()
			want, wantErr := c.want.Key()
			if err != nil || wantErr != nil || got != want {
				t.Errorf("key %s, %v; want that of %+v: %s, %v", got, err, c.want, want, wantErr)
			}
		})
	}
}

func TestWhatIsRememberedOfAnItem(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	info := provider.Info{Retention: 24 * time.Hour}
	current := &session.Session{Spec: session.Spec{ID: "ses_x", Provider: "kie", Account: "main"}}
	extended := session.NewItem(session.Source{}, session.PlanFor(true), nil)
	extended.Session, extended.Index, extended.State, extended.Updated = "ses_x", 2, session.Succeeded, at
	extended.Tracks = []session.Track{{Track: provider.Track{AudioID: "t1"}, File: "/archive/1.mp3"}, {Track: provider.Track{AudioID: "t2"}, File: "/archive/2.mp3"}}
	want := bulk.Entry{
		Session: "ses_x", Item: "ses_x.2", Account: "main", AudioIDs: []string{"t1", "t2"},
		Files: []string{"/archive/1.mp3", "/archive/2.mp3"}, At: at, Expires: at.Add(24 * time.Hour),
	}
	if diff := cmp.Diff(want, entryOf(info, current, &extended)); diff != "" {
		t.Errorf("an extended item (-want +got):\n%s", diff)
	}
	uploaded := session.NewItem(session.Source{}, session.PlanFor(false), nil)
	uploaded.Session, uploaded.State, uploaded.Updated = "ses_x", session.Succeeded, at
	uploaded.Clip = &provider.Clip{ID: "clip", Expires: at.Add(time.Hour)}
	want = bulk.Entry{
		Session: "ses_x", Item: "ses_x.0", Account: "main", AudioIDs: []string{"clip"}, Clip: uploaded.Clip, At: at, Expires: at.Add(time.Hour),
	}
	if diff := cmp.Diff(want, entryOf(info, current, &uploaded)); diff != "" {
		t.Errorf("an upload (-want +got):\n%s", diff)
	}
}
