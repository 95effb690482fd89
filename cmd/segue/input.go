package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// submission is what the flags of run and submit say.
type submission struct {
	provider, account, name string
	out, archive            string
	onUnknown, priority     string
	budget                  *float64
	credits                 float64
	extend                  bool
	again                   bool
	// skim says that remote inputs are not read to their end.
	skim bool
	// params are those of every input that has none of its own.
	params enqueue.Extend
	// The weights are flags that may be absent, which 0 is not.
	style, weirdness, audio float64
	// plan is the hash of the plan that must hold; encoding is what manifests are in.
	plan, encoding string
	// wrong is what settle found.
	wrong []source.Finding
	// inspected and target are what inputs found.
	inspected []source.Inspected
	target    target
}

// bind declares the flags.
func (s *submission) bind(f *pflag.FlagSet) {
	f.StringVar(&s.provider, "provider", "", "provider of the configuration, or the name of a driver; \"sim\" needs nothing")
	f.StringVar(&s.account, "account", "", "account of the provider (default: one that has credit, free slots and no pause)")
	f.StringVar(&s.name, "name", "", "a name for the session")
	f.StringVar(&s.out, "out", "", "directory for the results")
	f.StringVar(&s.archive, "archive", "", "archive for the results, instead of --out: file:///directory or s3://bucket/prefix")
	f.StringVar(&s.onUnknown, "on-unknown", session.Hold, "what to do when a paid request got no answer: hold, or resubmit (may pay twice)")
	f.StringVar(&s.priority, "priority", "", "share of the account while other sessions of it wait: low, normal or high (default: normal, or as it was)")
	f.Float64Var(&s.credits, "budget", 0, "the most credits that this session may spend (default: no limit of its own)")
	f.BoolVar(&s.again, "again", false, "submit anew, and pay anew, what was submitted or paid for before")
	f.StringVar(&s.encoding, "encoding", "", "what manifests are written in that do not say so: "+source.Encodings+" (default: utf-8)")
	f.BoolVar(&s.skim, "no-download", false, "do not read remote files to their end: what was paid for before is not recognised in them")
	f.BoolVar(&s.extend, "extend", false, "have every file extended; without it the files are only uploaded")
	f.Float64Var(&s.params.ContinueAt, "continue-at", 0, "where to continue, in seconds from the beginning or (-5) from the end")
	f.StringVar(&s.params.Model, "model", "", "model (default: the provider's)")
	f.BoolVar(&s.params.Instrumental, "instrumental", false, "music without singing")
	f.StringVar(&s.params.Prompt, "prompt", "", "lyrics, or what the music should be like")
	f.StringVar(&s.params.Style, "style", "", "genres and moods")
	f.StringVar(&s.params.Title, "title", "", "title of the results")
	f.StringVar(&s.params.NegativeTags, "negative-tags", "", "what to avoid")
	f.StringVar(&s.params.VocalGender, "vocal-gender", "", "m or f")
	f.StringVar(&s.params.PersonaID, "persona-id", "", "persona to apply")
	f.Float64Var(&s.style, "style-weight", 0, "0 to 1")
	f.Float64Var(&s.weirdness, "weirdness-constraint", 0, "0 to 1")
	f.Float64Var(&s.audio, "audio-weight", 0, "0 to 1")
}

// bindPlan declares what holds a submission to a plan.
func (s *submission) bindPlan(f *pflag.FlagSet) {
	f.StringVar(&s.plan, "plan", "", "the hash that segue plan printed: refuse when inputs, prices, balance, or what was paid for have moved")
}

// settle reads what only the set of given flags tells.
func (s *submission) settle(f *pflag.FlagSet) {
	for name, weight := range map[string]struct {
		given float64
		to    **float64
	}{
		"style-weight":         {s.style, &s.params.StyleWeight},
		"weirdness-constraint": {s.weirdness, &s.params.WeirdnessConstraint},
		"audio-weight":         {s.audio, &s.params.AudioWeight},
	} {
		if f.Changed(name) {
			*weight.to = &weight.given
		}
	}
	if f.Changed("budget") {
		s.budget = &s.credits
	}
	s.wrong = s.findings(f)
	s.archive = cmp.Or(absolute(s.out), archiveNamed(s.archive))
}

// absolute makes a directory mean the same to workers elsewhere on this machine.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil && dir != "" {
		return abs
	}
	return dir
}

// findings are what is wrong with the flags whatever the files are.
func (s *submission) findings(f *pflag.FlagSet) []source.Finding {
	var all []source.Finding
	if s.onUnknown != session.Hold && s.onUnknown != session.Resubmit {
		all = append(all, wrong("--on-unknown", fmt.Sprintf("it is hold or resubmit, not %q", s.onUnknown)))
	}
	if f.Changed("priority") && !isPriority(s.priority) {
		all = append(all, wrong("--priority", fmt.Sprintf("it is low, normal or high, not %q", s.priority)))
	}
	if f.Changed("plan") && !planHash.MatchString(s.plan) {
		all = append(all, wrong("--plan", fmt.Sprintf("%q is not the hash of a plan of this version; segue plan prints it", s.plan)))
	}
	if !source.IsEncoding(s.encoding) {
		all = append(all, wrong("--encoding", fmt.Sprintf("it is %s, not %q", source.Encodings, s.encoding)))
	}
	if !(s.credits >= 0 && s.credits <= 1e9) {
		all = append(all, wrong("--budget", fmt.Sprintf("it is 0 to 1e9 credits, not %g", s.credits)))
	}
	if f.Changed("out") && f.Changed("archive") {
		all = append(all, wrong("--archive", "it says the same thing as --out; give one"))
	}
	all = append(all, archiveFindings(s.archive)...)
	return all
}

// planHash is the form of a plan's hash.
var planHash = regexp.MustCompile(`^p1-[0-9a-f]{32}$`)

// wrong is a finding about a flag.
func wrong(flag, reason string) source.Finding {
	return source.Finding{Origin: flag, Reason: reason, Code: fault.Invalid}
}

// inputs turns the sources into a session that may be submitted, or explains
// everything that is wrong with them and with the flags. Nothing has been sent by
// then.
func (a *app) inputs(ctx context.Context, cfg *config.Config, sub *submission, args []string, watch func(done, total int)) (*enqueue.Session, config.Provider, error) {
	inspected, found, err := a.inspect(ctx, cfg, sub, args, watch)
	if err != nil {
		return nil, config.Provider{}, err
	}
	t, wrong := a.target(cfg, sub)
	findings := append(append(sub.wrong, wrong...), found...)
	s := &enqueue.Session{
		Provider: t.provider.Name, Account: t.account, Name: sub.name,
		OnUnknown: sub.onUnknown, Archive: sub.archive, Budget: sub.budget, Priority: sub.priority,
		Anew: sub.again,
	}
	if sub.extend {
		s.Extend = &sub.params
	}
	for _, in := range inspected {
		item := itemOf(in, sub)
		s.Items = append(s.Items, item)
		if in.Valid && len(wrong) == 0 {
			findings = append(findings, check(t.info, s, &item, in)...)
		}
	}
	findings = append(findings, sub.continuation(s, inspected)...)
	if err := a.report(findings); err != nil {
		return nil, t.provider, err
	}
	sub.inspected, sub.target = inspected, t
	if len(s.Items) == 0 {
		return nil, t.provider, usage("no audio files in %s", strings.Join(args, ", "))
	}
	if !sub.again {
		s.Key, err = keyOf(s, sub.account)
	}
	return s, t.provider, err
}

// target is where a session goes.
type target struct {
	provider config.Provider
	account  string
	info     provider.Info
}

// target finds the provider and the account that the flags name.
func (a *app) target(cfg *config.Config, sub *submission) (target, []source.Finding) {
	var t target
	var err error
	if t.provider, err = cfg.Provider(sub.provider); err != nil {
		return t, []source.Finding{wrong("--provider", sentence(err)+" (sim tries it without an account)")}
	}
	if usable, err := t.provider.Usable(); sub.account != "" || err != nil || len(usable) < 2 {
		acc, err := t.provider.Account(sub.account)
		if err != nil {
			return t, []source.Finding{wrong("--account", sentence(err))}
		}
		t.account = acc.Name
	}
	if t.info, err = a.info(t.provider); err != nil {
		return t, []source.Finding{wrong("--provider", sentence(err))}
	}
	return t, nil
}

// itemOf is one input as an item, with the overrides of its manifest row.
func itemOf(in source.Inspected, sub *submission) enqueue.Item {
	item := enqueue.Item{
		Source: in.Source,
		Known: enqueue.Audio{
			Format: in.Probed.Format, Size: in.Probed.Size, ModTime: in.Probed.ModTime,
			SHA256: in.Probed.SHA256, Duration: in.Probed.Duration,
		},
	}
	if isObject(in.URL) {
		// Of the web only the digest tells contents apart: servers that share the work
		// may each have an ETag of their own for the same bytes.
		item.Known.ETag = in.Probed.ETag
	}
	if in.Path != "" {
		item.Source, item.Name = in.Path, in.Source
	} else {
		item.Source, item.Name = in.URL, in.Source
	}
	extend := sub.extend
	set(&extend, in.Overrides.Extend)
	switch {
	case extend && (!sub.extend || !in.Overrides.IsZero()):
		item.Extend = overridden(sub.params, in.Overrides)
	case !extend:
		item.UploadOnly = true
	}
	return item
}

// overridden is a copy of the flags' parameters with a row's own.
func overridden(params enqueue.Extend, o source.Overrides) *enqueue.Extend {
	set(&params.Model, o.Model)
	set(&params.ContinueAt, o.ContinueAt)
	set(&params.Instrumental, o.Instrumental)
	set(&params.Prompt, o.Prompt)
	set(&params.Style, o.Style)
	set(&params.Title, o.Title)
	set(&params.NegativeTags, o.NegativeTags)
	set(&params.VocalGender, o.VocalGender)
	set(&params.PersonaID, o.PersonaID)
	if o.StyleWeight != nil {
		params.StyleWeight = o.StyleWeight
	}
	if o.WeirdnessConstraint != nil {
		params.WeirdnessConstraint = o.WeirdnessConstraint
	}
	if o.AudioWeight != nil {
		params.AudioWeight = o.AudioWeight
	}
	return &params
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// keyOf makes the same command the same session: it identifies the provider, the
// account that was asked for, what is asked for, and the files by their contents. Where
// results go and what happens to held items are no part of it: they are no reason to pay
// again. Nor is the account that a session was given which asked for none.
func keyOf(s *enqueue.Session, account string) (string, error) {
	sum := sha256.New()
	enc := json.NewEncoder(sum)
	err := enc.Encode([]any{s.Provider, account, s.Name, s.Extend})
	for n := range s.Items {
		item := &s.Items[n]
		err = errors.Join(err, enc.Encode([]any{item.Source, contentOf(item), item.Extend, item.UploadOnly}))
	}
	return "command:" + hex.EncodeToString(sum.Sum(nil)), err
}

// contentOf tells one content of an item from another as a command finds it before it
// has read all of it.
func contentOf(item *enqueue.Item) string {
	if item.Known.ETag != "" {
		return "etag:" + item.Known.ETag
	}
	return item.Known.SHA256
}

// sources are the arguments of run and submit.
func sources(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s needs a source: a file, a directory, a glob, a URL, an s3:// prefix, or a manifest", cmd.Name())
	}
	return nil
}
