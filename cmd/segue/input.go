package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/egress"
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
	params                  enqueue.Extend
	// The weights are flags that may be absent, which 0 is not.
	style, weirdness, audio float64
	// wrong is what settle found.
	wrong []source.Finding
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
	f.BoolVar(&s.again, "again", false, "submit anew, and pay anew, what was submitted before")
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
	if !(s.credits >= 0 && s.credits <= 1e9) {
		all = append(all, wrong("--budget", fmt.Sprintf("it is 0 to 1e9 credits, not %g", s.credits)))
	}
	if f.Changed("out") && f.Changed("archive") {
		all = append(all, wrong("--archive", "it says the same thing as --out; give one"))
	}
	all = append(all, archiveFindings(s.archive)...)
	return all
}

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
	findings = append(findings, sub.continuation(s)...)
	if err := a.report(findings); err != nil {
		return nil, t.provider, err
	}
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

// inspect finds and probes the inputs.
func (a *app) inspect(ctx context.Context, cfg *config.Config, sub *submission, args []string, watch func(done, total int)) ([]source.Inspected, []source.Finding, error) {
	exclude := []string{cfg.StateDir}
	if sub.archive != "" && !strings.Contains(sub.archive, "://") {
		exclude = append(exclude, sub.archive)
	}
	inputs, findings := source.Expand(ctx, args, source.Options{Stdin: a.stdin, Exclude: exclude})
	client, err := egress.Client(cfg.Security.AllowPrivateHosts)
	if err != nil {
		return nil, nil, err
	}
	done := 0
	inspector := source.Inspector{
		Workers: 2 * runtime.NumCPU(),
		File:    probeFile,
		URL: func(ctx context.Context, url string) (source.Probed, error) {
			info, err := remote.Probe(ctx, client, url)
			return probed(info, time.Time{}), err
		},
		Done: func(source.Inspected) { done++; watch(done, len(inputs)) },
	}
	inspected, more, err := inspector.Inspect(ctx, inputs)
	if fault.CodeOf(err) == fault.Canceled {
		err = &failure{exitInterrupted, errors.New("stopped; nothing was sent"), "the same command again"}
	}
	return inspected, append(findings, more...), err
}

func probeFile(ctx context.Context, path string) (source.Probed, error) {
	// The time before: a change from here on is noticed when the file is staged.
	before, err := os.Stat(path)
	if err != nil {
		return source.Probed{}, fault.Uncharged(fault.NotFound, "segue.probe", bare(err))
	}
	info, err := audio.ProbeFile(ctx, path)
	if err != nil {
		return source.Probed{}, err
	}
	return probed(info, before.ModTime()), nil
}

func probed(info *audio.Info, modified time.Time) source.Probed {
	if info == nil {
		return source.Probed{}
	}
	return source.Probed{
		Format: string(info.Format), Duration: info.Duration, Size: info.Size,
		ModTime: modified, SHA256: info.SHA256, Problem: info.Problem,
	}
}

// probeSource is the same for workers: a producer may have submitted a source
// that it did not look at.
func (s *system) probeSource(ctx context.Context, src session.Source) (session.Source, error) {
	var found source.Probed
	if src.Path != "" {
		var err error
		if found, err = probeFile(ctx, src.Path); err != nil {
			return src, err
		}
	} else {
		client, err := s.egressClient()
		if err != nil {
			return src, err
		}
		info, err := remote.Probe(ctx, client, src.URL)
		if err != nil {
			return src, err
		}
		found = probed(info, time.Time{})
	}
	if found.Problem != "" {
		return src, fault.Uncharged(fault.Invalid, "segue.probe", errors.New(found.Problem))
	}
	if src.SHA256 != "" && found.SHA256 != "" && src.SHA256 != found.SHA256 {
		return src, fault.Uncharged(fault.Invalid, "segue.probe", fmt.Errorf("%s is not the file that was submitted", src.Name))
	}
	src.Format, src.Size, src.SHA256, src.Duration = found.Format, found.Size, found.SHA256, found.Duration.Seconds()
	if !found.ModTime.IsZero() {
		src.ModTime = found.ModTime.UnixNano()
	}
	return src, nil
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
		err = errors.Join(err, enc.Encode([]any{item.Source, item.Known.SHA256, item.Extend, item.UploadOnly}))
	}
	return "command:" + hex.EncodeToString(sum.Sum(nil)), err
}

// sources are the arguments of run and submit.
func sources(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s needs a source: a file, a directory, a glob, a URL, or a manifest", cmd.Name())
	}
	return nil
}
