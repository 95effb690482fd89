package provider

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// By says how a provider takes audio.
type By uint8

const (
	// ByURL means the provider fetches the audio from a URL that we name.
	ByURL By = iota
	// ByBytes means that the driver transfers the bytes.
	ByBytes
)

// Info is what is known of a provider before anything is sent: the documented
// facts that planning, validation and waiting rest on.
type Info struct {
	// Name is the driver's name in the configuration.
	Name string
	// BaseURL is the documented host.
	BaseURL string
	// Uploads describes the upload step.
	Uploads Uploads
	// Models lists the models for a continuation; the first is the default.
	Models []Model
	// Prices is what the steps cost where the configuration says nothing else.
	Prices Prices
	// Limits is what it allows one account.
	Limits Limits
	// Poll is the documented polling advice.
	Poll Polling
	// Retention is how long results stay downloadable.
	Retention time.Duration
	// Callbacks says that the provider reports to a URL.
	Callbacks bool
	// Evidence is what can settle a paid request whose answer was lost.
	Evidence Evidence
	// Rules are the provider's own demands on a continuation beyond limits and
	// ranges, one sentence for each that is not met; nil means that there are
	// none. CheckParams applies them.
	Rules func(p Params) []string
}

// Uploads describes how a provider takes audio.
type Uploads struct {
	// By says whether it fetches or is given the audio.
	By By
	// Paid says that an accepted upload is billed.
	Paid bool
	// Clips says that an upload ends with a clip id, so that uploading alone is
	// a useful session. Such an upload is an operation like an extend: the limits
	// count it.
	Clips bool
	// Formats lists the containers it takes, as package audio names them.
	Formats []string
	// MaxBytes is the largest file; 0 means no limit is documented.
	MaxBytes int64
	// MaxDuration is the longest audio; 0 means no limit is documented.
	MaxDuration time.Duration
}

// Model is one model's name and limits, in runes; 0 means no limit is documented.
type Model struct {
	// Name is the provider's name of it. A name that ends in "*" stands for a
	// family whose members the provider makes up: "chirp-custom:*".
	Name      string
	MaxPrompt int
	MaxStyle  int
	MaxTitle  int
	// MaxUpload is the longest audio the model continues; 0 means Uploads.MaxDuration.
	MaxUpload time.Duration
}

// Prices is what a provider takes for a step, in its credits.
type Prices struct {
	Upload float64
	Extend float64
	// Assumed says that the provider publishes no prices and these are a guess on
	// the high side: a budget that counts them holds, but a plan's total is no
	// quotation. The account's configuration should state the real ones.
	Assumed bool
}

// Limits is what a provider allows one account. Zero values limit nothing.
type Limits struct {
	// Submit is the rate at which operations may be started, by endpoint.
	Submit Rate
	// InFlight is how many of its operations may run at once.
	InFlight int
}

// Rate is at most N in any stretch of time Per; N is 0 where there is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// Polling is how often to ask about an operation.
type Polling struct {
	// Min is the wait before the first question and between close ones.
	Min time.Duration
	// Max is the longest wait between two questions.
	Max time.Duration
	// Deadline is the age at which an operation that is not done counts as lost.
	Deadline time.Duration
}

// Model finds a model by name; the empty name is the default model. A member of
// a family ("chirp-custom:0b5c…" of "chirp-custom:*") has the family's limits and
// its own name.
func (i Info) Model(name string) (Model, bool) {
	if name == "" && len(i.Models) > 0 {
		return i.Models[0], true
	}
	for _, m := range i.Models {
		if m.has(name) {
			m.Name = name
			return m, true
		}
	}
	return Model{}, false
}

// ModelName is the name of the model that a name means: the default's own for an empty
// one, and the name itself where no model of that name is known.
func (i Info) ModelName(name string) string {
	if m, ok := i.Model(name); ok {
		return m.Name
	}
	return name
}

// has says whether name is this model or a member of this family. The family's
// own name is nobody's: no provider has a model called "*".
func (m Model) has(name string) bool {
	family, many := strings.CutSuffix(m.Name, "*")
	if !many {
		return m.Name == name
	}
	member, in := strings.CutPrefix(name, family)
	return in && member != "" && !strings.Contains(member, "*")
}

// ModelNames lists the models for a message.
func (i Info) ModelNames() string {
	names := make([]string, len(i.Models))
	for n, m := range i.Models {
		names[n] = m.Name
	}
	return strings.Join(names, ", ")
}

// CheckAudio says everything that is wrong with giving this audio to the
// provider, one sentence each; none means that it may be sent.
func (i Info) CheckAudio(a Audio) []string {
	var findings []string
	if len(i.Uploads.Formats) > 0 && !slices.Contains(i.Uploads.Formats, a.Format) {
		findings = append(findings, fmt.Sprintf("%s does not take %s (it takes %s)", i.Name, a.Format, strings.Join(i.Uploads.Formats, ", ")))
	}
	if i.Uploads.MaxBytes > 0 && a.Size > i.Uploads.MaxBytes {
		findings = append(findings, fmt.Sprintf("%d bytes; %s takes at most %d", a.Size, i.Name, i.Uploads.MaxBytes))
	}
	if i.Uploads.MaxDuration > 0 && a.Duration > i.Uploads.MaxDuration {
		findings = append(findings, fmt.Sprintf("%s long; %s takes at most %s", seconds(a.Duration), i.Name, seconds(i.Uploads.MaxDuration)))
	}
	return findings
}

// CheckParams says everything that is wrong with continuing audio of the given
// duration in this way. A duration of 0 means that it is not known yet.
func (i Info) CheckParams(p Params, duration time.Duration) []string {
	var findings []string
	add := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	model, known := i.Model(p.Model)
	if !known {
		add("%s has no model %q (it has %s)", i.Name, p.Model, i.ModelNames())
	}
	if p.ContinueAt <= 0 || math.IsNaN(p.ContinueAt) || math.IsInf(p.ContinueAt, 0) {
		add("continue-at is %g; it must be greater than 0", p.ContinueAt)
	}
	if duration > 0 && p.ContinueAt >= duration.Seconds() {
		add("continue-at is %g s, but the audio ends at %s", p.ContinueAt, seconds(duration))
	}
	if model.MaxUpload > 0 && duration > model.MaxUpload {
		add("%s long; model %s continues at most %s", seconds(duration), model.Name, seconds(model.MaxUpload))
	}
	for _, text := range []struct {
		name, value string
		limit       int
	}{{"prompt", p.Prompt, model.MaxPrompt}, {"style", p.Style, model.MaxStyle}, {"title", p.Title, model.MaxTitle}} {
		if n := utf8.RuneCountInString(text.value); text.limit > 0 && n > text.limit {
			add("%s has %d characters; model %s takes %d", text.name, n, model.Name, text.limit)
		}
	}
	for _, weight := range []struct {
		name  string
		value *float64
	}{{"style-weight", p.StyleWeight}, {"weirdness-constraint", p.WeirdnessConstraint}, {"audio-weight", p.AudioWeight}} {
		if reason := checkWeight(weight.value); reason != "" {
			add("%s is %g; %s", weight.name, *weight.value, reason)
		}
	}
	if p.VocalGender != "" && p.VocalGender != "m" && p.VocalGender != "f" {
		add("vocal-gender is %q; it is m or f", p.VocalGender)
	}
	if i.Rules != nil {
		findings = append(findings, i.Rules(p)...)
	}
	return findings
}

// checkWeight holds a weight to the range and the two decimals that the
// Apikley contract states (multipleOf 0.01).
func checkWeight(w *float64) string {
	if w == nil {
		return ""
	}
	if !(*w >= 0 && *w <= 1) {
		return "it must be from 0 to 1"
	}
	if hundredths := *w * 100; math.Abs(hundredths-math.Round(hundredths)) > 1e-6 {
		return "it may have two decimals at most"
	}
	return ""
}

// seconds writes a duration as people say it: 12.3 s.
func seconds(d time.Duration) string {
	return fmt.Sprintf("%.4g s", math.Round(d.Seconds()*10)/10)
}
