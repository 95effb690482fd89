package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

func TestPriceFrom(t *testing.T) {
	whole := []session.StepName{session.StepUpload, session.StepExtend, session.StepFetch}
	only := []session.StepName{session.StepUpload}
	for name, test := range map[string]struct {
		plan     []session.StepName
		at, from session.StepName
		want     float64
	}{
		"failed at upload":                  {whole, session.StepUpload, "", 12.5},
		"failed at extend":                  {whole, session.StepExtend, "", 10},
		"failed at fetch":                   {whole, session.StepFetch, "", 0},
		"failed at extend, from upload":     {whole, session.StepExtend, session.StepUpload, 12.5},
		"failed at fetch, from extend":      {whole, session.StepFetch, session.StepExtend, 10},
		"upload only":                       {only, session.StepUpload, "", 2.5},
		"upload only, from a step it lacks": {only, session.StepUpload, session.StepExtend, 0},
	} {
		t.Run(name, func(t *testing.T) {
			it := &session.Item{Plan: test.plan, Step: test.at, State: session.Failed}
			if got := priceFrom(it, test.from, 2.5, 10); got != test.want {
				t.Errorf("priceFrom(%q) = %g, want %g", test.from, got, test.want)
			}
		})
	}
}

func TestConfirm(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "Y\n": true, "yes\n": true, " yes \r\n": true, "y": true,
		"n\n": false, "\n": false, "": false, "yy\n": false, "no\ny\n": false,
	} {
		var asked bytes.Buffer
		a := &app{environment: environment{stdin: strings.NewReader(answer), stderr: &asked}}
		err := a.confirm()
		if (err == nil) != want {
			t.Errorf("confirm(%q) = %v, want agreement %v", answer, err, want)
		}
		if err != nil && exitCode(err) != exitOther {
			t.Errorf("confirm(%q) has exit code %d, want %d", answer, exitCode(err), exitOther)
		}
		if !strings.HasPrefix(asked.String(), "go on? [y/N] ") {
			t.Errorf("confirm(%q) asked %q", answer, asked.String())
		}
	}
}

func TestExitCode(t *testing.T) {
	cause := errors.New("cause")
	for _, test := range []struct {
		err  error
		want int
	}{
		{cause, 1},
		{usage("what"), 2},
		{fault.New(fault.Invalid, "x.Y", cause), 2},
		{fault.New(fault.NotFound, "x.Y", cause), 4},
		{fault.New(fault.Denied, "x.Y", cause), 5},
		{fault.New(fault.Exhausted, "x.Y", cause), 5},
		{fault.New(fault.Timeout, "x.Y", cause), 6},
		{fault.New(fault.Unavailable, "x.Y", cause), 7},
		{fault.New(fault.Canceled, "x.Y", cause), 130},
		{fault.New(fault.Conflict, "x.Y", cause), 1},
		{fault.New(fault.Internal, "x.Y", cause), 1},
		{hinted(fault.New(fault.Denied, "x.Y", cause), "a hint"), 5},
		{&failure{exitHeld, cause, ""}, 8},
		{errors.Join(cause, &failure{exitFailedItems, cause, ""}), 3},
	} {
		if got := exitCode(test.err); got != test.want {
			t.Errorf("exitCode(%v) = %d, want %d", test.err, got, test.want)
		}
	}
}

func TestEveryErrorEndsWithSomethingToTry(t *testing.T) {
	cause := errors.New("cause")
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"with a hint":       {&failure{exitOther, cause, "this"}, "segue: cause\ntry:   this\n"},
		"usage":             {usage("what"), "segue: what\ntry:   segue run --help\n"},
		"classified":        {fault.New(fault.Conflict, "x.Y", cause), "segue: cause\ntry:   segue config check, or the same command with --log-level debug\n"},
		"interrupted":       {fault.New(fault.Canceled, "x.Y", cause), "segue: stopped\ntry:   segue config check, or the same command with --log-level debug\n"},
		"joined, the first": {errors.Join(&failure{exitOther, cause, "this"}, fault.New(fault.Internal, "x.Y", cause)), "segue: cause\ntry:   this\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			a := &app{environment: environment{stderr: &out}}
			a.explain(test.err, "segue run")
			if out.String() != test.want {
				t.Errorf("explain wrote %q, want %q", out.String(), test.want)
			}
		})
	}
}
