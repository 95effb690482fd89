package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/internal/doctor"
	"github.com/segue-audio/segue/internal/fault"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that Segue depends on, and say what to do about it",
		Long: `Looks at Redis, at sessions, queues and workers, at every configured account, at
server.public_url and at the directories, and prints what it found with the cure. It
changes nothing and spends nothing.

Exit code 0 when nothing is an error (there may be warnings), 7 when Redis does not
answer, 5 when a key is missing or not accepted, 1 for any other error.`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd) },
	}
}

func (a *app) doctor(cmd *cobra.Command) error {
	// What load warns of is among the findings.
	quiet := *a
	quiet.stderr = io.Discard
	cfg, err := quiet.load(cmd)
	if err != nil {
		return err
	}
	e := a.examination(cfg, cmd.Root())
	findings, err := e.examine(cmd.Context())
	if err != nil {
		return err
	}
	if err := a.printFindings(findings); err != nil {
		return err
	}
	return diagnosis(findings)
}

// diagnosis is the error that the findings amount to, with the cure of the one
// that decides its exit code.
func diagnosis(findings []doctor.Finding) error {
	wrong := slices.DeleteFunc(slices.Clone(findings), func(f doctor.Finding) bool { return f.Level != doctor.Error })
	if len(wrong) == 0 {
		return nil
	}
	decides, code := wrong[0], exitOther
	for _, c := range []struct {
		code fault.Code
		exit int
	}{{fault.Unavailable, exitUnreachable}, {fault.Denied, exitDenied}} {
		if n := slices.IndexFunc(wrong, func(f doctor.Finding) bool { return f.Code == c.code }); n >= 0 {
			decides, code = wrong[n], c.exit
			break
		}
	}
	text := decides.Text
	if more := len(wrong) - 1; more > 0 {
		text += " (and " + plural(more, "other error") + ")"
	}
	return &failure{code, errors.New(text), cmp.Or(decides.Cure, "segue doctor again, when that is put right")}
}

// printFindings shows the findings on stdout: every one of them, so that a good
// report says what was looked at.
func (a *app) printFindings(findings []doctor.Finding) error {
	failed, warned := doctor.Count(findings, doctor.Error), doctor.Count(findings, doctor.Warning)
	if a.json {
		return a.printJSON(struct {
			Errors   int              `json:"errors"`
			Warnings int              `json:"warnings"`
			Findings []doctor.Finding `json:"findings"`
		}{failed, warned, findings})
	}
	wide := 0
	for _, f := range findings {
		wide = max(wide, len(f.Check))
	}
	for _, f := range findings {
		fmt.Fprintf(a.stdout, "%-7s  %-*s  %s\n", f.Level, wide, f.Check, f.Text)
		if f.Cure != "" {
			fmt.Fprintf(a.stdout, "%-7s  %-*s  try: %s\n", "", wide, "", f.Cure)
		}
	}
	fmt.Fprintf(a.stdout, "\n%s: %s, %s\n", plural(len(findings), "finding"), plural(failed, "error"), plural(warned, "warning"))
	return nil
}
