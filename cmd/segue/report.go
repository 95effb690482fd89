package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/report"
)

// reporting is what the flags of report say.
type reporting struct{ since, until, format, out string }

func (a *app) reportCommand() *cobra.Command {
	var r reporting
	cmd := &cobra.Command{
		Use:   "report [SESSION]",
		Short: "Report a session, or a period: outcomes, times, credits, causes of failures",
		Long: `Reports one session, or with --since all that were submitted in a period: outcomes, times
by step, credits, and failures by their cause with what to do about them. The HTML page
stands alone: it loads nothing but the archived files, for its players.

  segue report ses_… --out report.html
  segue report --since 24h --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.check(args); err != nil {
				return err
			}
			return a.with(cmd, args, func(ctx context.Context, sys *system) error { return a.writeReport(ctx, sys, r, args) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.since, "since", "", "sessions submitted since: how long ago (24h), or a time (2026-11-22, 2026-11-22T08:00:00Z)")
	f.StringVar(&r.until, "until", "", "with --since: and until, in the same way (default: now)")
	f.StringVar(&r.format, "format", "html", "html, csv (the items) or json")
	f.StringVar(&r.out, "out", "", "write it into this file instead of to stdout")
	return cmd
}

func (r *reporting) check(args []string) error {
	switch {
	case r.format != "html" && r.format != "csv" && r.format != "json":
		return usage("--format is %q; it is html, csv or json", r.format)
	case (len(args) == 1) == (r.since != ""):
		return usage("segue report takes a session, or --since for a period")
	case r.until != "" && r.since == "":
		return usage("--until goes with --since")
	}
	for flag, text := range map[string]string{"--since": r.since, "--until": r.until} {
		if _, ok := instant(text, time.Now()); text != "" && !ok {
			return usage("%s is %q; it is how long ago (24h), a day (2026-11-22) or a time (2026-11-22T08:00:00Z)", flag, text)
		}
	}
	return nil
}

// instant reads how long ago something was, or when.
func instant(text string, now time.Time) (time.Time, bool) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), true
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

func (a *app) writeReport(ctx context.Context, sys *system, r reporting, args []string) error {
	about, err := sys.reportOn(ctx, r, args)
	if err != nil {
		return err
	}
	dir := ""
	if r.out != "" {
		dir = filepath.Dir(absolute(r.out))
	}
	var body bytes.Buffer
	switch {
	case a.json || r.format == "json":
		err = about.JSON(&body)
	case r.format == "csv":
		err = about.CSV(&body)
	default:
		err = about.HTML(&body, dir)
	}
	if err != nil {
		return err
	}
	if r.out == "" {
		_, err = body.WriteTo(a.stdout)
		return err
	}
	if err := writeWhole(r.out, &body); err != nil {
		return hinted(fmt.Errorf("write %s: %w", r.out, bare(err)), "--out with a file that can be written")
	}
	fmt.Fprintf(a.stderr, "written: %s\n", r.out)
	return nil
}

// reportOn reads what the report is about.
func (s *system) reportOn(ctx context.Context, r reporting, args []string) (*report.Report, error) {
	if len(args) == 1 {
		about := report.New("Segue: session " + args[0])
		about.Keeps = s.keeps
		if err := s.addTo(ctx, about, args[0]); err != nil {
			return nil, unknownSession(err, args[0])
		}
		about.Close()
		return about, nil
	}
	now, err := s.store.Now(ctx)
	if err != nil {
		return nil, err
	}
	about := report.New("Segue: sessions of a period")
	about.Keeps = s.keeps
	about.From, _ = instant(r.since, now)
	about.To = now
	if r.until != "" {
		about.To, _ = instant(r.until, now)
	}
	if !about.From.Before(about.To) {
		return nil, usage("--since is not before --until")
	}
	about.From, about.To = about.From.UTC(), about.To.UTC()
	ids, err := s.store.Recent(ctx, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		current, err := s.store.Session(ctx, id)
		if fault.CodeOf(err) == fault.NotFound {
			continue // a submission that was cut off before its session was written
		}
		if err != nil {
			return nil, err
		}
		created := time.UnixMilli(current.Created)
		if created.Before(about.From) {
			break // they are listed newest first
		}
		if created.After(about.To) {
			continue
		}
		if err := s.addTo(ctx, about, id); err != nil {
			return nil, errors.Join(fmt.Errorf("session %s", id), err)
		}
	}
	about.Close()
	return about, nil
}

// addTo reads a session into a report, with what it was submitted without.
func (s *system) addTo(ctx context.Context, about *report.Report, id string) error {
	left, err := s.leftOut(ctx, id)
	if err != nil {
		return err
	}
	spared := make([]report.Reused, len(left))
	for n, r := range left {
		spared[n] = report.Reused{
			SessionID: id, Source: r.Source, Outcome: string(r.Outcome), SameAs: r.SameAs, ItemID: r.ItemID, AudioIDs: r.AudioIDs, Files: r.Files,
		}
	}
	return about.Add(ctx, s.store, id, spared)
}

// keeps is how long a provider keeps results, as far as it is known here.
func (s *system) keeps(name string) time.Duration {
	p, err := s.config().Provider(name)
	if err != nil {
		return 0
	}
	info, err := s.info(p)
	if err != nil {
		return 0
	}
	return info.Retention
}

// writeWhole writes the whole file or nothing under its name.
func writeWhole(to string, from io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	part, err := os.CreateTemp(filepath.Dir(to), ".segue-*.part")
	if err != nil {
		return err
	}
	_, err = io.Copy(part, from)
	err = errors.Join(err, part.Chmod(0o644), part.Close())
	if err == nil {
		err = os.Rename(part.Name(), to)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return nil
}
