package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/staging"
)

func (a *app) runCommand() *cobra.Command {
	var sub submission
	var acceptVolatile bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run SOURCE…",
		Short: "Submit files and see them through in this terminal",
		Long: `Submits audio files as one session and stays until it is over. Runs workers
itself when none serve the queue, which is always so on the embedded Redis.

SOURCE is a file, a directory, a glob ("**" too), an http(s) URL, or a manifest
(.csv, .jsonl; "-" is JSONL on stdin), or s3://bucket/prefix.

What was paid for before, with the same contents and parameters, is left out and
shown with its files; so is what is there twice. --again pays anew.

Ctrl-C stops cleanly. The same command later goes on where it was, and pays for
nothing twice.`,
		Example: `  segue run ./songs --provider mountsea --extend --continue-at -5
  segue run a.mp3 b.wav --provider sim --extend --continue-at 2`,
		Args: sources,
		RunE: func(cmd *cobra.Command, args []string) error {
			sub.settle(cmd.Flags())
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			return a.seeThrough(cmd.Context(), cfg, &sub, args, seeing{
				command: "segue run " + strings.Join(args, " "), volatile: acceptVolatile, timeout: timeout,
			})
		},
	}
	sub.bind(cmd.Flags())
	sub.bindPlan(cmd.Flags())
	cmd.Flags().BoolVar(&acceptVolatile, "accept-volatile", false, "spend real credits although no redis-server is installed")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "stop waiting after this long, with exit code 6 (0: never)")
	config.AddFlag(cmd.Flags(), "server.addr", "where to serve local files for the provider, when server.public_url is set")
	config.AddFlag(cmd.Flags(), "server.public_url", "what the provider can reach of this machine")
	return cmd
}

// seeing is how a session is seen through.
type seeing struct {
	command  string
	volatile bool
	timeout  time.Duration
	// simulated says that a simulator in this process stands in for the provider.
	simulated bool
	sub       *submission
}

// seeThrough submits, works if nobody else does, shows the progress, and reports.
func (a *app) seeThrough(ctx context.Context, cfg *config.Config, sub *submission, args []string, how seeing) error {
	screen := a.screen()
	defer screen.close()
	// What is submitted, and what came of it, is held whole; the work between is not.
	usual := collectOften()
	defer usual()
	s, p, err := a.inputs(ctx, cfg, sub, args, screen.probing)
	if err != nil {
		return err
	}
	screen.probed()
	how.sub = sub
	log := a.logger(cfg, screen, levelFor(cfg, slog.LevelError))
	sys, err := a.open(ctx, cfg, log, how.command)
	if err != nil {
		return err
	}
	id, err := a.start(ctx, sys, p, s, screen, how)
	if err != nil {
		return errors.Join(err, sys.close())
	}
	usual()
	unfinished := a.finish(ctx, sys, p, id, screen, how)
	collectOften() // until the end of the command
	status, needed, err := sys.outcome(context.WithoutCancel(ctx), id)
	err = errors.Join(err, sys.close())
	screen.close()
	switch {
	case unfinished != nil && err == nil && a.json:
		return errors.Join(unfinished, a.printEnd(status, endHead)) // how far it came
	case unfinished != nil:
		return errors.Join(unfinished, err)
	case err != nil:
		return err
	}
	return a.results(status, needed)
}

// outcome is how a session stands, what it was submitted without, and the budget that
// what failed for want of one needs.
func (s *system) outcome(ctx context.Context, id string) (status *sessionEnd, needed float64, err error) {
	status = &sessionEnd{}
	if status.Status, err = s.client.Status(ctx, id); err != nil {
		return nil, 0, err
	}
	if status.Reused, err = s.leftOut(ctx, id); err != nil {
		return nil, 0, err
	}
	needed, err = s.enough(ctx, status.Status)
	return status, needed, err
}

// start checks what can be checked for free, and submits.
func (a *app) start(ctx context.Context, sys *system, p config.Provider, s *enqueue.Session, screen *screen, how seeing) (id string, err error) {
	if err := sys.possible(ctx, p, s, how); err != nil {
		return "", err
	}
	credits, known, err := sys.preflight(ctx, s.Provider, s.Account)
	if err != nil {
		return "", err
	}
	left, err := sys.leaveOut(ctx, s, how.sub, balanceOf(credits, known))
	if err != nil {
		return "", err
	}
	submitted, err := sys.client.Submit(ctx, *s)
	if errors.Is(err, enqueue.ErrCanceled) && submitted != nil {
		screen.say("session %s was canceled: only what a provider had accepted goes on (segue retry takes up the rest)", submitted.SessionID)
		return submitted.SessionID, nil
	}
	if err != nil {
		return "", submittedOtherwise(err)
	}
	verb := "session"
	if submitted.Existed {
		verb = "going on with session"
	}
	screen.say("%s %s: %s on %s/%s", verb, submitted.SessionID, plural(len(s.Items), "file"), s.Provider, s.Account)
	if err := sys.spared(ctx, submitted.SessionID, s.Key, left); err != nil {
		return submitted.SessionID, err
	}
	if len(left) > 0 {
		screen.say("left out: %s", spareWords(left))
	}
	if known {
		screen.say("balance: %s credits", number(credits))
	}
	if submitted.Existed {
		if err := sys.resume(ctx, submitted.SessionID, credits, known); err != nil {
			return submitted.SessionID, err
		}
	}
	return submitted.SessionID, a.others(ctx, sys, submitted.SessionID, screen)
}

// possible is what stands against a session before anybody is asked about credits. It
// binds the session to its account.
func (s *system) possible(ctx context.Context, p config.Provider, asked *enqueue.Session, how seeing) error {
	if how.simulated || simulates(p) {
		if err := s.simulate(ctx, p); err != nil {
			return err
		}
	}
	if err := s.durable(ctx, p, how.volatile); err != nil {
		return err
	}
	if err := s.reachable(p, asked); err != nil {
		return err
	}
	if err := s.storable(ctx, asked); err != nil {
		return err
	}
	return s.bind(ctx, asked)
}

// reachable refuses local files that the provider could never fetch: they would
// wait for a day and then fail.
func (s *system) reachable(p config.Provider, asked *enqueue.Session) error {
	info, err := s.info(p)
	if err != nil {
		return err
	}
	base := cmp.Or(s.sims[p.Name].base, p.BaseURL)
	if info.Uploads.By != provider.ByURL || s.cfg.Server.PublicURL != "" || s.stagesInBucket() || onThisMachine(base) {
		return nil
	}
	for n := range asked.Items {
		if !strings.Contains(asked.Items[n].Source, "://") {
			return &failure{
				exitUsage, fmt.Errorf("provider %s fetches audio from a URL, and server.public_url does not say how it reaches this machine; nothing was sent", p.Name),
				"--server-public-url https://NAME with a tunnel or proxy to server.addr, staging.url s3://BUCKET/PREFIX, or sources that are URLs",
			}
		}
	}
	return nil
}

// others names the sessions that go on beside this one, since they may cost too.
func (a *app) others(ctx context.Context, sys *system, id string, screen *screen) error {
	if sys.embedded == nil {
		return nil
	}
	open, err := sys.store.Open(ctx)
	if err != nil {
		return err
	}
	for _, other := range open {
		current, err := sys.store.Session(ctx, other)
		if other == id || fault.CodeOf(err) == fault.NotFound || (err == nil && (!current.Ready || current.Status().Over())) {
			continue
		}
		if err != nil {
			return err
		}
		screen.say("session %s goes on too: %d of %s left (segue cancel %s stops it)", other, current.Tally().Waiting, plural(current.Total, "file"), other)
	}
	return nil
}

// finish works, if nobody else does, and waits until the session is over.
func (a *app) finish(ctx context.Context, sys *system, p config.Provider, id string, screen *screen, how seeing) error {
	served, err := sys.queue.Served()
	if err != nil {
		return err
	}
	watching, cancel := ctx, func() {}
	if how.timeout > 0 {
		watching, cancel = context.WithTimeout(ctx, how.timeout)
	}
	defer cancel()
	if served && sys.embedded == nil {
		screen.say("workers are serving the queues; this terminal only watches")
		return watched(a.watch(watching, sys, id, screen, true), id)
	}
	watching, release := sys.lifetime(watching)
	defer release()
	if !how.simulated { // the demo's configuration is in no file
		following, unfollow := sys.follow(watching)
		defer unfollow()
		watching = following
	}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	stage, err := sys.stageFor(ctx, p)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- sys.work(working, stage) }()
	err = a.watch(watching, sys, id, screen, true)
	if cause := context.Cause(watching); err != nil && fault.CodeOf(cause) == fault.Unavailable {
		err = cause
	}
	if err != nil {
		screen.say("stopping: letting running steps finish (at most %s)…", sys.cfg.Worker.Drain)
	}
	stop()
	left := <-ended
	if fault.CodeOf(left) == fault.Canceled {
		left = nil // stopped before it had quite begun: the session was over already
	}
	return errors.Join(worked(err, id), left)
}

// stageFor is the staging of a process that works and, when a public URL is
// configured, serves it too.
func (s *system) stageFor(ctx context.Context, p config.Provider) (stage *staging.Staging, err error) {
	stage, err = s.stage(ctx, p)
	if err != nil || s.cfg.Server.PublicURL == "" {
		return stage, err
	}
	l, err := listen(ctx, s.cfg.Server.Addr, "")
	if err != nil {
		// Some segue serve has it already, and serves what is staged here.
		s.log.Debug("not serving staged files", slog.String("cause", err.Error()))
		return stage, nil
	}
	s.serveOn(l, s.site(stage))
	return stage, nil
}

// worked is the end of a wait for a session that this process worked on.
func worked(err error, id string) error {
	goOn := "the same command again goes on where it was; segue cancel " + id + " gives it up"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{exitTimeout, errors.New("the time is up before the session is over; nothing is lost"), goOn}
	case errors.Is(err, context.Canceled):
		return &failure{exitInterrupted, errors.New("stopped; nothing is lost"), goOn}
	}
	return err
}

// watched is the end of a wait for a session that others work on.
func watched(err error, id string) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{exitTimeout, errors.New("the time is up before the session is over; its workers go on"), "segue status --watch " + id}
	case errors.Is(err, context.Canceled):
		return &failure{exitInterrupted, errors.New("stopped watching; the session goes on"), "segue status --watch " + id + ", or segue cancel " + id}
	}
	return err
}

func (a *app) submitCommand() *cobra.Command {
	var sub submission
	cmd := &cobra.Command{
		Use:   "submit SOURCE…",
		Short: "Submit files for workers elsewhere, and print the session id",
		Long: `Checks the files, writes the session, and prints its id alone on stdout. Workers
(segue worker) do the rest; they must be able to open local files by the same
path. The same command again is the same session. What was paid for before, with the
same contents and parameters, is left out; --again pays anew.`,
		Example: `  id=$(segue submit ./songs --provider mountsea --extend --continue-at 60) && segue status --watch $id`,
		Args:    sources,
		RunE: func(cmd *cobra.Command, args []string) error {
			sub.settle(cmd.Flags())
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			return a.submit(cmd.Context(), cfg, &sub, args)
		},
	}
	sub.bind(cmd.Flags())
	sub.bindPlan(cmd.Flags())
	return cmd
}

func (a *app) submit(ctx context.Context, cfg *config.Config, sub *submission, args []string) error {
	if cfg.Redis.URL.Reveal() == "" {
		return &failure{
			exitUsage, errors.New("redis.url is not set, and the embedded Redis lives only as long as its command"),
			"segue run with the same arguments, or --redis-url redis://127.0.0.1:6379/0",
		}
	}
	s, p, err := a.inputs(ctx, cfg, sub, args, func(int, int) {})
	if err != nil {
		return err
	}
	sys, err := a.open(ctx, cfg, a.logger(cfg, a.stderr, levelFor(cfg, slog.LevelWarn)), "segue submit")
	if err != nil {
		return err
	}
	submitted, left, err := a.submitTo(ctx, sys, p, s, sub)
	if err == nil && submitted.Existed {
		err = sys.resume(ctx, submitted.SessionID, 0, false)
	}
	if err := errors.Join(err, sys.close()); err != nil {
		return err
	}
	if submitted.Existed {
		fmt.Fprintf(a.stderr, "note: submitted before; this is that session (--again submits anew, and pays anew)\n")
	}
	if a.json {
		answer := map[string]any{"sessionId": submitted.SessionID, "existed": submitted.Existed, "items": len(submitted.Items)}
		if len(left) > 0 {
			answer["reused"] = left
		}
		return a.printJSON(answer)
	}
	if len(left) > 0 {
		fmt.Fprintf(a.stderr, "note: left out: %s\n", spareWords(left))
	}
	fmt.Fprintln(a.stdout, submitted.SessionID)
	return nil
}

// submitTo submits after asking for the balance where this process can.
func (a *app) submitTo(ctx context.Context, sys *system, p config.Provider, s *enqueue.Session, sub *submission) (*enqueue.Submitted, []reused, error) {
	if err := sys.bind(ctx, s); err != nil {
		return nil, nil, err
	}
	var balance *float64
	// A producer need not hold the key, nor know the account: its workers do.
	if acc, err := p.Account(s.Account); err == nil && acc.Err() == nil && !simulates(p) {
		credits, known, err := sys.preflight(ctx, s.Provider, s.Account)
		if err != nil {
			return nil, nil, err
		}
		balance = balanceOf(credits, known)
	}
	left, err := sys.leaveOut(ctx, s, sub, balance)
	if err != nil {
		return nil, nil, err
	}
	submitted, err := sys.client.Submit(ctx, *s)
	if errors.Is(err, enqueue.ErrCanceled) && submitted != nil {
		return nil, nil, &failure{exitOther, fmt.Errorf("session %s was canceled", submitted.SessionID), "segue retry " + submitted.SessionID + " takes it up again, --again is a new one"}
	}
	if err != nil {
		return nil, nil, submittedOtherwise(err)
	}
	return submitted, left, sys.spared(ctx, submitted.SessionID, s.Key, left)
}

// submittedOtherwise explains the one conflict that a command can meet: the same
// files, asked for in the same way, were submitted with another --out or policy.
func submittedOtherwise(err error) error {
	if !errors.Is(err, enqueue.ErrConflict) {
		return err
	}
	return hinted(err, "the same command with its first --out (or --archive) and --on-unknown, segue results SESSION --out DIR for a copy, or --again to pay anew")
}

// results prints how a session ended and gives the exit code that says so. needed is
// the budget that would do for what failed for want of one, or 0.
func (a *app) results(status *sessionEnd, needed float64) error {
	if a.json {
		if err := a.printEnd(status, endHead); err != nil {
			return err
		}
	} else {
		a.printStatus(status.Status)
		a.printReused(status.Reused)
		a.printHeld(status.Status, 3)
	}
	return a.verdict(status.Status, needed)
}

// verdict is the exit code of a session's status.
func (a *app) verdict(status *enqueue.Status, needed float64) error {
	counts := status.Counts
	switch {
	case counts.Held > 0:
		return &failure{
			exitHeld, fmt.Errorf("%d of %s held: nobody knows whether that was paid for", counts.Held, plural(counts.Total, "item")),
			"segue items " + status.SessionID + " --status held, then segue resolve for each",
		}
	case status.Status == string(session.StatusSucceeded):
		return nil
	case counts.Failed > 0:
		failed := fmt.Errorf("%d of %s failed", counts.Failed, plural(counts.Total, "item"))
		if needed > 0 {
			return &failure{
				exitFailedItems, fmt.Errorf("%w: the budget of the session is used up", failed),
				fmt.Sprintf("segue retry %s --code exhausted --budget %s", status.SessionID, number(needed)),
			}
		}
		if denied(status) {
			return &failure{exitDenied, failed, "put right the key or its permissions (segue config print shows where it comes from), then segue retry " + status.SessionID}
		}
		return &failure{exitFailedItems, failed, "segue retry " + status.SessionID}
	case counts.Canceled > 0:
		return &failure{exitFailedItems, fmt.Errorf("%d of %s canceled", counts.Canceled, plural(counts.Total, "item")), "segue retry " + status.SessionID}
	}
	return nil
}

// denied says that every failure was the account's.
func denied(status *enqueue.Status) bool {
	for _, it := range status.Items {
		if it.Status == string(session.Failed) && (it.Error == nil || it.Error.Code != string(fault.Denied)) {
			return false
		}
	}
	return true
}

// demoFolder is where the demo puts its files.
const demoFolder = "segue-demo"
