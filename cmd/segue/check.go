package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// check holds one item to what is known of the provider.
func check(info provider.Info, s *enqueue.Session, item *enqueue.Item, in source.Inspected) []source.Finding {
	reasons := info.CheckAudio(provider.Audio{Format: in.Probed.Format, Size: in.Probed.Size, Duration: in.Probed.Duration})
	reasons = append(reasons, sessionWide(in.Overrides)...)
	extend := item.Extend
	if extend == nil && !item.UploadOnly {
		extend = s.Extend
	}
	switch {
	case extend != nil:
		reasons = append(reasons, checkExtend(info, extend, in.Probed.Duration)...)
	case !info.Uploads.Clips:
		reasons = append(reasons, info.Name+" gives no clip for an upload alone; add --extend")
	}
	findings := make([]source.Finding, len(reasons))
	for n, reason := range reasons {
		findings[n] = source.Finding{Origin: in.Origin, Source: in.Source, Reason: reason, Code: fault.Invalid}
	}
	return findings
}

// checkExtend holds a continuation to what is known of the provider, and says
// where it begins in the words that it was given in.
func checkExtend(info provider.Info, e *enqueue.Extend, duration time.Duration) []string {
	params := paramsOf(e, duration)
	var reasons []string
	if e.ContinueAt < 0 && params.ContinueAt <= 0 && duration > 0 {
		reasons = append(reasons, fmt.Sprintf("continue-at is %g, but the audio is only %.1f s long", e.ContinueAt, duration.Seconds()))
	}
	if len(reasons) > 0 || e.ContinueAt == 0 {
		// Said above, or once for all items: here it may pass.
		params.ContinueAt = math.SmallestNonzeroFloat64
	}
	return append(reasons, info.CheckParams(params, duration)...)
}

// whereTo is what to do where nobody says where to continue.
const whereTo = ": give seconds from the beginning, or negative from the end"

// continuation says what is missing for the items that are to be extended. A row
// of a manifest may say it where the flags do not, and is named where it does not either.
// inspected are the inputs of the items, where there are any.
func (s *submission) continuation(session *enqueue.Session, inspected []source.Inspected) []source.Finding {
	var rows []source.Finding
	missing, extended := 0, 0
	for n := range session.Items {
		item := &session.Items[n]
		extend := item.Extend
		if extend == nil && !item.UploadOnly {
			extend = session.Extend
		}
		if extend == nil {
			continue
		}
		extended++
		switch {
		case extend.ContinueAt != 0:
		case n < len(inspected) && inspected[n].IsRow():
			in := &inspected[n]
			rows = append(rows, source.Finding{Origin: in.Origin, Source: in.Source, Reason: "continue-at is missing (or 0)" + whereTo, Code: fault.Invalid})
		default:
			missing++
		}
	}
	if missing > 0 {
		rows = append(rows, wrong("--continue-at", "it is missing (or 0) for "+plural(missing, "file")+whereTo))
	}
	switch {
	case len(rows) > 0:
		return rows
	case session.Extend != nil && session.Extend.ContinueAt == 0:
		session.Extend = nil // every row that is extended says so itself
	case !s.extend && extended == 0 && s.params != (enqueue.Extend{}):
		return []source.Finding{wrong("--extend", "it is missing, and without it the files are only uploaded: the other flags about the music would do nothing")}
	}
	return nil
}

// sessionWide are a row's columns that belong to a whole session: one session has
// one account (P4), one place for its results and one policy.
func sessionWide(o source.Overrides) []string {
	var reasons []string
	for column, given := range map[string]bool{
		"provider": o.Provider != nil, "account": o.Account != nil, "name": o.Name != nil, "out": o.Out != nil,
		"archive": o.Archive != nil, "on-unknown": o.OnUnknown != nil, "budget": o.Budget != nil, "notify": o.Notify != nil,
	} {
		if given {
			reasons = append(reasons, column+" holds for a whole session: give it as a flag, and submit rows that differ in it apart")
		}
	}
	slices.Sort(reasons)
	return reasons
}

// paramsOf are the parameters as the worker will see them.
func paramsOf(e *enqueue.Extend, duration time.Duration) provider.Params {
	params := provider.Params{
		Model: e.Model, ContinueAt: e.ContinueAt, Instrumental: e.Instrumental, Prompt: e.Prompt, Style: e.Style,
		Title: e.Title, NegativeTags: e.NegativeTags, VocalGender: e.VocalGender, StyleWeight: e.StyleWeight,
		WeirdnessConstraint: e.WeirdnessConstraint, AudioWeight: e.AudioWeight, PersonaID: e.PersonaID,
	}
	if params.ContinueAt < 0 {
		params.ContinueAt += duration.Seconds()
	}
	return params
}

// maxFindings is how many findings are printed; the rest is counted.
const maxFindings = 200

// report prints findings and says whether they forbid to go on.
func (a *app) report(findings []source.Finding) error {
	blocking := 0
	for n, finding := range findings {
		if !finding.Note {
			blocking++
		}
		if n < maxFindings {
			word := "error"
			if finding.Note {
				word = "note"
			}
			fmt.Fprintf(a.stderr, "%s: %s\n", word, inLine(finding.Error()))
		}
	}
	if more := len(findings) - maxFindings; more > 0 {
		fmt.Fprintf(a.stderr, "… and %d more\n", more)
	}
	if blocking == 0 {
		return nil
	}
	return &failure{exitUsage, errors.New(plural(blocking, "error") + "; nothing was sent"), "the same command, once that is put right"}
}
