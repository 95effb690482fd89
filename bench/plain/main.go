// Command plain puts handlers on bare asynq, as anyone would write them, to the same
// test as `segue certify`: the same provider, the same kills, the same judge.
//
//	go run ./bench/plain --kills 500
//
// Each song is a task that stages the file, submits the paid request, puts the
// operation on record and enqueues a task that polls it. A counter per session says
// when all songs are done. It runs twice: with asynq's retries, as they are by
// default, and with MaxRetry(0) for the paid task, which is how one keeps asynq from
// sending it twice.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/segue-audio/segue/internal/certify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "plain:", err)
		os.Exit(1)
	}
}

// run is the whole command, or one of its workers.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == workerCommand {
		return work(ctx, args[1:], stderr)
	}
	var o certify.Options
	var segue string
	var asJSON bool
	flags := flag.NewFlagSet("plain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.Kills, "kills", 50, "how many workers to kill, in each of the two modes")
	flags.DurationVar(&o.Every, "every", 1200*time.Millisecond, "mean time between two kills")
	flags.IntVar(&o.Workers, "workers", 4, "how many workers run at a time")
	flags.IntVar(&o.Items, "items", 10, "songs of each session")
	flags.IntVar(&o.InFlight, "in-flight", 48, "how many songs to keep on their way")
	flags.IntVar(&o.Accounts, "accounts", 8, "over how many of the provider's accounts to spread the sessions")
	flags.DurationVar(&o.Latency, "latency", time.Second, "the longest that a paid request is on its way, and its answer")
	flags.Uint64Var(&o.Seed, "seed", rand.Uint64()>>1+1, "seed of victims, moments and latencies")
	flags.DurationVar(&o.Patience, "patience", 6*time.Minute, "how long nothing may change before the rest is given up")
	flags.StringVar(&segue, "segue", "", "the segue binary that plays the provider (default: build it)")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o.Provider, o.Evidence = "kie", certify.EvidenceAll
	reports, err := both(ctx, o, segue, stderr)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(reports)
	}
	certify.Write(stdout, reports...)
	return nil
}

// both runs the two modes one after the other, each in a folder of its own.
func both(ctx context.Context, o certify.Options, segue string, stderr io.Writer) (reports []*certify.Report, err error) {
	dir, err := os.MkdirTemp("", "segue-plain-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if segue == "" {
		segue = filepath.Join(dir, "segue")
		build := exec.CommandContext(ctx, "go", "build", "-o", segue, "github.com/segue-audio/segue/cmd/segue")
		build.Stdout, build.Stderr = stderr, stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("the provider could not be built: %w", err)
		}
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + dir}
	o.Sim = certify.Command{Path: segue, Args: []string{"sim"}, Env: env}
	for number, retries := range []bool{true, false} {
		s := &plain{binary: self, env: env, retries: retries}
		o.Dir = filepath.Join(dir, fmt.Sprint(number))
		o.Progress = progress(stderr, s.Name())
		report, err := certify.Run(ctx, o, s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name(), err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// progress writes now and then how far a run is.
func progress(w io.Writer, name string) func(certify.Progress) {
	var last time.Time
	return func(p certify.Progress) {
		if time.Since(last) > 10*time.Second {
			last = time.Now()
			fmt.Fprintf(w, "%s: %s: %d kills, %d sessions, %d songs moving, %d stuck\n", name, p.Stage, p.Kills, p.Sessions, p.Load.Moving, p.Load.Doubtful)
		}
	}
}
