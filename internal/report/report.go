// Package report tells what became of sessions: outcomes, times by step, credits, and
// failures by their cause, as one HTML page, as CSV, or as JSON.
//
// It reads what items carry. That is not everything: see Unknown.
package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
)

// MaxItems is how many items a report lists; it counts all of them.
const MaxItems = 5000

// Unknown says what the times by step do not tell, for people.
const Unknown = "What an item carries tells when its extend was accepted, when its end was noticed, and when its files were archived. " +
	"Waiting for a turn and the upload are not told apart, nor is a step that an operator began anew."

// Report is what is known of some sessions.
type Report struct {
	Title string `json:"title"`
	// From and To bound when the sessions were created; both are zero for a report of
	// one session.
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`

	Counts  session.Tally `json:"counts"`
	Credits float64       `json:"credits"`
	// CreditsInDoubt is what requests without an answer may have cost besides.
	CreditsInDoubt float64 `json:"creditsInDoubt"`
	// Reused is what the sessions were submitted without. It counts in nothing else.
	Reused   []Reused  `json:"reused"`
	Sessions []Session `json:"sessions"`
	Steps    []Step    `json:"steps"`
	Unknown  string    `json:"unknown"`
	Failures []Failure `json:"failures"`
	Items    []Item    `json:"items"`
	// Unlisted is how many items are counted and not listed.
	Unlisted int `json:"unlistedItems,omitempty"`

	// Keeps is how long a provider keeps results; nil, and 0, is not known.
	Keeps func(provider string) time.Duration `json:"-"`

	times  map[string][]time.Duration
	causes map[cause]*Failure
}

// Session is one session's line.
type Session struct {
	ID       string         `json:"sessionId"`
	Name     string         `json:"name,omitempty"`
	Provider string         `json:"provider"`
	Account  string         `json:"account"`
	Status   session.Status `json:"status"`
	Created  time.Time      `json:"created"`
	Counts   session.Tally  `json:"counts"`
	Credits  float64        `json:"credits"`
	// CreditsInDoubt is what requests without an answer may have cost besides.
	CreditsInDoubt float64 `json:"creditsInDoubt"`
	// Reused is how many inputs it was submitted without.
	Reused int `json:"reused"`
}

// Reused is an input that a session was submitted without: because it was paid for
// before, or because it is there twice.
type Reused struct {
	// SessionID is the session that was submitted without it.
	SessionID string `json:"sessionId"`
	Source    string `json:"source"`
	// Outcome is reused or duplicate.
	Outcome string `json:"outcome"`
	// SameAs is the input that a duplicate is done as, ItemID the item that was paid for.
	SameAs   string   `json:"sameAs,omitempty"`
	ItemID   string   `json:"itemId,omitempty"`
	AudioIDs []string `json:"audioIds"`
	Files    []string `json:"files"`
}

// Step is how long a part of the way took, of those items that tell.
type Step struct {
	Name   string  `json:"name"`
	Items  int     `json:"items"`
	Median float64 `json:"medianSeconds"`
	P95    float64 `json:"p95Seconds"`
	Max    float64 `json:"maxSeconds"`
}

// Failure is a cause, and what to do about it.
type Failure struct {
	Code   string `json:"code"`
	Step   string `json:"step"`
	Status string `json:"status"`
	Items  int    `json:"items"`
	// Credits is what they cost all the same, as far as it is known.
	Credits float64 `json:"credits"`
	// InDoubt is what they may have cost besides.
	InDoubt float64 `json:"creditsInDoubt"`
	// Sessions are those that have such items.
	Sessions []string `json:"sessions"`
	// KeptUntil is when the provider deletes the first result of them that was paid for
	// and not archived.
	KeptUntil time.Time `json:"keptUntil,omitzero"`
	// Example is what one of them says.
	Example string `json:"example"`
	ToDo    string `json:"toDo"`
}

type cause struct{ code, step, status string }

// Item is one item's line.
type Item struct {
	ID       string   `json:"itemId"`
	Source   string   `json:"source"`
	Status   string   `json:"status"`
	Seconds  float64  `json:"durationSeconds"`
	Credits  float64  `json:"credits"`
	InDoubt  float64  `json:"creditsInDoubt,omitempty"`
	AudioIDs []string `json:"audioIds"`
	Files    []string `json:"files"`
	Code     string   `json:"errorCode,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// New is an empty report.
func New(title string) *Report {
	return &Report{
		Title: title, Unknown: Unknown, Reused: []Reused{}, Sessions: []Session{}, Steps: []Step{}, Failures: []Failure{}, Items: []Item{},
		times: map[string][]time.Duration{}, causes: map[cause]*Failure{},
	}
}

// Add reads a session into the report, with what it was submitted without. Its items
// pass one by one.
func (r *Report) Add(ctx context.Context, store *session.Store, id string, left []Reused) error {
	current, err := store.Session(ctx, id)
	if err != nil {
		return err
	}
	line := Session{
		ID: current.ID, Name: current.Name, Provider: current.Provider, Account: current.Account,
		Status: current.Status(), Created: time.UnixMilli(current.Created).UTC(), Counts: current.Tally(), Reused: len(left),
	}
	err = store.Each(ctx, id, 0, 0, func(it *session.Item) error {
		line.Credits += it.Credits()
		line.CreditsInDoubt += it.View().CreditsInDoubt
		r.add(current, it)
		return nil
	})
	if err != nil {
		return err
	}
	r.Sessions = append(r.Sessions, line)
	r.Reused = append(r.Reused, left[:min(len(left), max(MaxItems-len(r.Reused), 0))]...)
	r.Credits += line.Credits
	r.CreditsInDoubt += line.CreditsInDoubt
	for _, n := range []struct {
		to   *int
		from int
	}{
		{&r.Counts.Total, line.Counts.Total},
		{&r.Counts.Succeeded, line.Counts.Succeeded},
		{&r.Counts.Failed, line.Counts.Failed},
		{&r.Counts.Held, line.Counts.Held},
		{&r.Counts.Canceled, line.Counts.Canceled},
		{&r.Counts.Waiting, line.Counts.Waiting},
	} {
		*n.to += n.from
	}
	return nil
}

func (r *Report) add(of *session.Session, it *session.Item) {
	r.clock(of, it)
	if it.Failure != nil && (it.State == session.Failed || it.State == session.Held) {
		r.blame(of, it)
	}
	if len(r.Items) == MaxItems {
		r.Unlisted++
		return
	}
	view := it.View()
	line := Item{
		ID: view.ItemID, Source: view.Source, Status: string(view.Status), Seconds: view.DurationSeconds,
		Credits: view.Credits, InDoubt: view.CreditsInDoubt,
		AudioIDs: view.AudioIDs, Files: []string{},
	}
	for _, t := range view.Tracks {
		if t.File != "" {
			line.Files = append(line.Files, t.File)
		}
	}
	if view.Error != nil {
		line.Code, line.Error = view.Error.Code, view.Error.Reason
	}
	r.Items = append(r.Items, line)
}

// blame counts an item under its cause.
func (r *Report) blame(of *session.Session, it *session.Item) {
	key := cause{string(it.Failure.Code), string(it.Failure.Step), string(it.State)}
	f := r.causes[key]
	if f == nil {
		f = &Failure{Code: key.code, Step: key.step, Status: key.status, Example: it.Failure.Reason, Sessions: []string{}}
		r.causes[key] = f
	}
	f.Items++
	f.Credits += it.Credits()
	f.InDoubt += it.View().CreditsInDoubt
	if len(f.Sessions) == 0 || f.Sessions[len(f.Sessions)-1] != of.ID {
		f.Sessions = append(f.Sessions, of.ID)
	}
	if it.Step != session.StepFetch || r.Keeps == nil {
		return
	}
	until := retention.Deadline(it, r.Keeps(of.Provider)).UTC()
	if f.KeptUntil.IsZero() || (!until.IsZero() && until.Before(f.KeptUntil)) {
		f.KeptUntil = until
	}
}

// The parts of the way that items tell apart.
const (
	untilAccepted = "wait, upload and turn"
	atProvider    = "extend at the provider"
	archiving     = "fetch and archive"
)

// clock adds the times that an item tells.
func (r *Report) clock(of *session.Session, it *session.Item) {
	var accepted int64
	for _, op := range it.Operations {
		if op.Step == session.StepExtend && op.Generation == 0 {
			accepted = op.At
		}
	}
	if accepted == 0 {
		return
	}
	r.took(untilAccepted, accepted-of.Created)
	if it.Step != session.StepFetch || it.Generation > 0 || it.Since == 0 {
		return
	}
	r.took(atProvider, it.Since-accepted)
	if it.State == session.Succeeded {
		r.took(archiving, it.Updated.UnixMilli()-it.Since)
	}
}

func (r *Report) took(part string, ms int64) {
	if ms >= 0 {
		r.times[part] = append(r.times[part], time.Duration(ms)*time.Millisecond)
	}
}

// Close computes what follows from all that was added.
func (r *Report) Close() {
	for _, part := range []string{untilAccepted, atProvider, archiving} {
		times := r.times[part]
		if len(times) == 0 {
			continue
		}
		slices.Sort(times)
		at := func(share float64) float64 { return times[min(len(times)-1, int(share*float64(len(times))))].Seconds() }
		r.Steps = append(r.Steps, Step{part, len(times), at(0.5), at(0.95), times[len(times)-1].Seconds()})
	}
	for _, f := range slices.SortedFunc(maps.Values(r.causes), func(a, b *Failure) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Status, b.Status))
	}) {
		f.ToDo = todo(f)
		r.Failures = append(r.Failures, *f)
	}
}

// todo is what a person does about a cause.
func todo(f *Failure) string {
	text := advice(f)
	if len(f.Sessions) == 1 {
		text = strings.ReplaceAll(text, "SESSION", f.Sessions[0])
	}
	return text
}

func advice(f *Failure) string {
	if f.Status == string(session.Held) {
		return "segue items SESSION --status held says what is known of each; segue resolve ITEM decides"
	}
	if f.Step == string(session.StepFetch) {
		return kept(f)
	}
	switch f.Code {
	case "invalid":
		return "put the file or the parameters right, and submit it again"
	case "denied":
		return "set the account's key right (segue config print), then segue retry SESSION"
	case "rejected":
		return "the provider refuses the content: another file or prompt; trying again brings nothing"
	case "exhausted":
		return "credits or a budget are used up: segue ledger, then segue retry SESSION"
	case "not_found":
		return "the provider does not have it any more; segue retry SESSION pays for a step again where that is what it takes, and asks first"
	case "unavailable", "timeout":
		return "the provider or the way to it was down for too long: segue doctor, then segue retry SESSION"
	}
	return "segue retry SESSION --step " + f.Step + ", which says what it will cost and asks"
}

// kept is the advice about what was paid for and is not archived.
func kept(f *Failure) string {
	again := "segue retry SESSION --step fetch, or segue results SESSION --out DIR, which cost nothing"
	if !f.KeptUntil.IsZero() {
		again += ": the provider deletes the first on " + f.KeptUntil.Format("2006-01-02 15:04") + " UTC"
	}
	return again + "; what it has deleted, segue retry SESSION --step extend pays for anew, and asks first"
}
