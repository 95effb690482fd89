package enqueue

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// Session is a batch of items that share one provider account.
type Session struct {
	// Provider names a provider of the workers' configuration. Required.
	Provider string
	// Account names one of its accounts; empty means any: one with credit, free slots
	// and no pause. Everything the session does uses the account that it was bound to.
	Account string
	// Name is for people; it may be empty.
	Name string
	// Items are the audio files, in the order of the session's audioIds.
	Items []Item
	// Extend is how every item is continued that does not say otherwise; nil means
	// that the items are only uploaded.
	Extend *Extend
	// Key makes submitting idempotent: the same key is the same session. Using one
	// for a different request is ErrConflict.
	Key string
	// Open leaves the session open for Add; its items are worked on at once, and it
	// completes only after Seal.
	Open bool
	// OnUnknown says what happens to an item whose paid request got no answer and
	// whose outcome nothing else tells: "hold" (the default) leaves it to a person,
	// "resubmit" sends it again and may pay twice.
	OnUnknown string
	// Budget is the most credits that the session may spend, in the provider's
	// credits; nil is no limit of its own. Submitting again with another one changes it.
	Budget *float64
	// Limits are further budgets that its requests count in, together with those of
	// other sessions.
	Limits []Limit
	// Priority is low, normal (the default) or high: the session's share of what its
	// account may do while other sessions of it wait. Submitting again with another one
	// changes it.
	Priority string
	// Anew uploads every file. Otherwise a file that is to be continued, and whose audio
	// was uploaded to the same account before, is continued from what lies there.
	Anew bool
	// Archive is where results go, a directory or URL as the workers see it; empty
	// means their configured archive.
	Archive string
}

// Limit is a budget that several sessions share: what all of them spend under one
// scope and key, with one account, never passes it.
type Limit struct {
	// Scope and Key name it; neither has a bar or a control character.
	Scope, Key string
	// Credits is what may be spent; nil limits nothing, and is counted all the same.
	Credits *float64
}

// Item is one audio file.
type Item struct {
	// Source is a path that the workers can open, an http or https URL that the
	// provider can fetch, or s3://bucket/key, which the workers' credentials open. Required.
	Source string
	// Name is what people see instead of Source; empty means Source, without the
	// query of a URL, which may be a signature.
	Name string
	// Key makes adding the item idempotent within its session.
	Key string
	// Extend is how this item is continued where it differs from its session.
	Extend *Extend
	// UploadOnly keeps this item from being extended though its session is.
	UploadOnly bool
	// Known is what the producer knows of the file. Workers find out what is not
	// said, before anything is paid for.
	Known Audio
}

// Audio is what is known of a file without asking a provider.
type Audio struct {
	// Format is the container: wav, mp3, flac, ogg, m4a, aac, aiff.
	Format string
	// Size is in bytes.
	Size int64
	// ModTime is the file's modification time. With it, a file that is changed
	// between submitting and uploading is noticed.
	ModTime time.Time
	// SHA256 is the hex digest of the bytes.
	SHA256 string
	// ETag is what the bucket of an s3:// source says identifies the bytes; an object
	// that has another one by the time it is read is refused.
	ETag string
	// Duration is the playing time.
	Duration time.Duration
}

// Extend is how a piece is continued. Zero values mean "not said".
type Extend struct {
	// Model is the provider's name of a model; empty means its default.
	Model string
	// ContinueAt is where the continuation starts, in seconds from the beginning
	// or, when negative, from the end. Required.
	ContinueAt float64
	// Instrumental asks for music without singing.
	Instrumental bool
	// Prompt is the lyrics, or what the music should be like.
	Prompt string
	// Style is a list of genres and moods.
	Style string
	// Title names the result.
	Title string
	// NegativeTags is what to avoid.
	NegativeTags string
	// VocalGender is "m" or "f"; a tendency, not a guarantee.
	VocalGender string
	// StyleWeight, WeirdnessConstraint and AudioWeight are 0 to 1 in steps of 0.01.
	StyleWeight         *float64
	WeirdnessConstraint *float64
	AudioWeight         *float64
	// PersonaID applies a persona made earlier at the same account.
	PersonaID string
}

// maxBudget is far more than anybody has, and little enough to be counted exactly.
const maxBudget = 1e9

// defaultAccount is the account that every provider has whose accounts nobody named.
const defaultAccount = "main"

// Check says what is wrong with a session whatever its provider, without asking
// anybody: nil, or an *InvalidError with every finding. Submit begins with it.
func (s *Session) Check() error {
	if findings := s.check(); len(findings) > 0 {
		return &InvalidError{findings}
	}
	return nil
}

// check lists everything that is wrong with a session.
func (s *Session) check() []string {
	var findings []string
	if s.Provider == "" {
		findings = append(findings, "no provider is named")
	}
	if s.OnUnknown != "" && s.OnUnknown != session.Hold && s.OnUnknown != session.Resubmit {
		findings = append(findings, fmt.Sprintf("on-unknown is %q; it is hold or resubmit", s.OnUnknown))
	}
	if session.Priority(s.Priority).Weight() == 0 {
		findings = append(findings, fmt.Sprintf("priority is %q; it is low, normal or high", s.Priority))
	}
	if s.Budget != nil && !(*s.Budget >= 0 && *s.Budget <= maxBudget) { // written so that NaN is refused too
		findings = append(findings, fmt.Sprintf("budget is %g; it is 0 to %g credits", *s.Budget, maxBudget))
	}
	findings = append(findings, s.Extend.check("the session")...)
	return append(findings, checkItems(s.Items)...)
}

func checkItems(items []Item) []string {
	var findings []string
	keys := make(map[string]int)
	for n := range items {
		name := fmt.Sprintf("item %d", n)
		if reason := checkSource(items[n].Source); reason != "" {
			findings = append(findings, name+": "+reason)
		}
		findings = append(findings, items[n].Extend.check(name)...)
		key := items[n].Key
		if first, taken := keys[key]; taken && key != "" {
			findings = append(findings, fmt.Sprintf("%s has the key of item %d", name, first))
			continue
		}
		keys[key] = n
	}
	return findings
}

func checkSource(source string) string {
	scheme, _, isURL := strings.Cut(source, "://")
	switch {
	case source == "":
		return "no source"
	case !isURL:
		return ""
	case scheme != "http" && scheme != "https" && scheme != "s3":
		return fmt.Sprintf("source has scheme %q; it is a path, http, https or s3", scheme)
	}
	if u, err := url.Parse(source); err != nil || u.Host == "" {
		return "source is a malformed URL"
	}
	return ""
}

func (e *Extend) check(name string) []string {
	if e == nil {
		return nil
	}
	var findings []string
	switch {
	case e.ContinueAt == 0:
		findings = append(findings, name+": continue-at is 0; it is a number of seconds from the beginning, or negative from the end")
	case math.IsNaN(e.ContinueAt) || math.IsInf(e.ContinueAt, 0):
		findings = append(findings, name+": continue-at is no number")
	}
	for _, weight := range []struct {
		name  string
		value *float64
	}{
		{"style-weight", e.StyleWeight},
		{"weirdness-constraint", e.WeirdnessConstraint},
		{"audio-weight", e.AudioWeight},
	} {
		if v := weight.value; v != nil && (math.IsNaN(*v) || *v < 0 || *v > 1) {
			findings = append(findings, fmt.Sprintf("%s: %s is %v; it is 0 to 1", name, weight.name, *v))
		}
	}
	return findings
}

// params are the domain's own words for an Extend.
func (e *Extend) params() *provider.Params {
	if e == nil {
		return nil
	}
	return &provider.Params{
		Model: e.Model, ContinueAt: e.ContinueAt, Instrumental: e.Instrumental,
		Prompt: e.Prompt, Style: e.Style, Title: e.Title, NegativeTags: e.NegativeTags,
		VocalGender: e.VocalGender, StyleWeight: e.StyleWeight,
		WeirdnessConstraint: e.WeirdnessConstraint, AudioWeight: e.AudioWeight, PersonaID: e.PersonaID,
	}
}

// shown is a source as people may see it: a URL without what may be a signature.
func shown(source string) string {
	u, err := url.Parse(source)
	if err != nil || !strings.Contains(source, "://") {
		return source
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// item is the domain's item at the start of its plan.
func (i *Item) item(sessionExtends bool) (session.Item, error) {
	src := session.Source{
		Name: cmp.Or(i.Name, shown(i.Source)), Format: i.Known.Format, Size: i.Known.Size,
		SHA256: i.Known.SHA256, ETag: i.Known.ETag, Duration: i.Known.Duration.Seconds(),
	}
	if !i.Known.ModTime.IsZero() {
		src.ModTime = i.Known.ModTime.UnixNano()
	}
	if strings.Contains(i.Source, "://") {
		src.URL = i.Source
	} else {
		path, err := filepath.Abs(i.Source)
		if err != nil {
			return session.Item{}, err
		}
		src.Path = path
	}
	extend := (sessionExtends || i.Extend != nil) && !i.UploadOnly
	return session.NewItem(src, session.PlanFor(extend), i.Extend.params()), nil
}
