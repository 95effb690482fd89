package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// inspect finds and probes the inputs.
func (a *app) inspect(ctx context.Context, cfg *config.Config, sub *submission, args []string, watch func(done, total int)) ([]source.Inspected, []source.Finding, error) {
	inputs, findings := source.Expand(ctx, args, a.expansion(cfg, sub))
	inspector, err := a.inspector(cfg)
	if err != nil {
		return nil, nil, err
	}
	done := 0
	inspector.Workers = min(inspector.Workers, max(len(inputs), 1))
	inspector.Done = func(source.Inspected) { done++; watch(done, len(inputs)) }
	inspected := make([]source.Inspected, 0, len(inputs))
	for in, finding := range inspector.All(ctx, eachOf(inputs)) {
		in.Skimmed = sub.skim
		inspected = append(inspected, in)
		if finding != nil {
			findings = append(findings, *finding)
		}
	}
	if ctx.Err() != nil {
		return nil, nil, notSent(ctx)
	}
	return inspected, findings, nil
}

// notSent is the end of a command that was stopped before anything was sent.
func notSent(ctx context.Context) error {
	if code := fault.CodeOf(ctx.Err()); code != fault.Canceled {
		return fault.Uncharged(code, "segue.inspect", ctx.Err())
	}
	return &failure{exitInterrupted, errors.New("stopped; nothing was sent"), "the same command again"}
}

// expansion is how the sources of a command are found.
func (a *app) expansion(cfg *config.Config, sub *submission) source.Options {
	o := source.Options{Stdin: a.stdin, Exclude: []string{cfg.StateDir}, Encoding: sub.encoding}
	for _, results := range []string{strings.TrimPrefix(sub.archive, "file://"), strings.TrimPrefix(cfg.Archive.URL, "file://")} {
		if results != "" && (isObject(results) || !strings.Contains(results, "://")) {
			o.Exclude = append(o.Exclude, results)
		}
	}
	o.Bucket = func(name string) (source.Bucket, error) { return a.buckets.open(cfg.S3, name) }
	return o
}

// inspector probes inputs: files whole, what is remote by the parts that say what
// it is.
func (a *app) inspector(cfg *config.Config) (source.Inspector, error) {
	client, err := egress.Client(cfg.Security.AllowPrivateHosts)
	if err != nil {
		return source.Inspector{}, err
	}
	return source.Inspector{
		Workers: 2 * runtime.NumCPU(),
		File:    probeFile,
		URL: patiently(func(ctx context.Context, url string) (source.Probed, error) {
			return lookAtAddress(ctx, client, url)
		}),
		Object: a.probeObject(cfg),
	}, nil
}

// eachOf gives inputs as source.All does.
func eachOf(inputs []source.Input) iter.Seq2[source.Input, *source.Finding] {
	return func(yield func(source.Input, *source.Finding) bool) {
		for _, in := range inputs {
			if !yield(in, nil) {
				return
			}
		}
	}
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
	var err error
	switch {
	case src.Path != "":
		found, err = probeFile(ctx, src.Path)
	case isObject(src.URL):
		found, err = s.probeSubmitted(ctx, src)
	default:
		found, err = s.probeAddress(ctx, src.URL)
	}
	if err != nil {
		return src, err
	}
	if found.Problem != "" {
		return src, fault.Uncharged(fault.Invalid, "segue.probe", errors.New(found.Problem))
	}
	if src.SHA256 != "" && found.SHA256 != "" && src.SHA256 != found.SHA256 {
		return src, fault.Uncharged(fault.Invalid, "segue.probe", fmt.Errorf("%s is not the file that was submitted", src.Name))
	}
	src.Format, src.Size, src.SHA256, src.Duration = found.Format, found.Size, cmp.Or(found.SHA256, src.SHA256), found.Duration.Seconds()
	src.ETag = cmp.Or(src.ETag, found.ETag)
	if !found.ModTime.IsZero() {
		src.ModTime = found.ModTime.UnixNano()
	}
	return src, nil
}

// probeAddress looks at what lies on the web.
func (s *system) probeAddress(ctx context.Context, address string) (source.Probed, error) {
	client, err := s.egressClient()
	if err != nil {
		return source.Probed{}, err
	}
	return lookAtAddress(ctx, client, address)
}

// lookAtAddress probes what lies on the web by ranges, where its server has them.
func lookAtAddress(ctx context.Context, client *http.Client, address string) (source.Probed, error) {
	look, err := remote.Address{Client: client, URL: address}.Look(ctx)
	if err != nil {
		return source.Probed{}, err
	}
	defer look.Close()
	info, err := look.Probe()
	p := probed(info, time.Time{})
	p.ETag = look.State.ETag
	return p, err
}
