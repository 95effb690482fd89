// Command segue carries audio files in bulk through Suno-style music APIs:
// upload, extend, collect. Every role of the system is one of its subcommands.
//
// This package is the wiring: only it reads the environment, listens for
// signals, and exits.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	// Schedules name time zones, and a container has no list of them.
	_ "time/tzdata"
)

func main() { os.Exit(realMain()) }

func realMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once, as people expect.
	context.AfterFunc(ctx, stop)
	return run(ctx, environment{
		args: os.Args[1:], environ: os.Environ(),
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: isTerminal(os.Stderr) && os.Getenv("TERM") != "dumb",
	})
}

// isTerminal says whether a person is watching.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && info.Name() != os.DevNull
}
