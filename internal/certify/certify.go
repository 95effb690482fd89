package certify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/segue-audio/segue/internal/fault"
)

// Evidence is what the system under test may learn beside the answers to its
// requests.
type Evidence string

// The kinds of evidence.
const (
	// EvidenceAll is what the provider documents: callbacks, lists, the balance.
	EvidenceAll Evidence = "all"
	// EvidenceNone leaves polling alone: no callback is sent, and whoever asks for
	// the balance or a list is told to come back later.
	EvidenceNone Evidence = "none"
)

// Options sets up a run. Every field must be set but those that say otherwise.
type Options struct {
	// Kills is how many workers are ended with SIGKILL, Every the mean time between
	// two of them.
	Kills int
	Every time.Duration
	// Workers is how many run at a time.
	Workers int
	// Sessions is the least number of sessions, Items how many songs each of them
	// has. New ones are submitted for as long as kills are left.
	Sessions int
	Items    int
	// UploadOnly leaves out the continuation: only where an upload costs something.
	UploadOnly bool
	// InFlight is how many items are kept on their way; Accounts is over how many of
	// the provider's accounts the sessions are spread.
	InFlight int
	Accounts int
	// Provider is one of the simulator's.
	Provider string
	Evidence Evidence
	// Horizon is how long Segue looks for evidence before it holds an item; 0 is as
	// long as its drivers say.
	Horizon time.Duration
	// Mild lets the provider fail as `segue sim` does by default: lost answers, limits,
	// failed operations. Otherwise only the kills disturb.
	Mild bool
	// Latency is the longest that a paid request or its answer is on its way.
	Latency time.Duration
	// Seed chooses the victims, the moments, the latencies and the provider's faults.
	// The order of events is the machine's all the same.
	Seed uint64
	// Resolve decides about held items in the end, as an operator does.
	Resolve bool
	// Patience is how long nothing may change before the rest is given up.
	Patience time.Duration
	// Dir is a new folder for everything that the run writes.
	Dir string
	// Sim is the simulator's command, without its arguments.
	Sim Command
	// Progress is told how far the run is; nil is not.
	Progress func(Progress)
	// Log gets what an operator of the run should know; nil discards it.
	Log *slog.Logger
}

// Progress is how far a run is.
type Progress struct {
	// Stage is what it does: "killing", "coming to rest", "judging", "resolving".
	Stage    string
	Kills    int
	Sessions int
	Load     Load
}

// withDefaults fills in what may be left out, and says what is wrong.
func (o Options) withDefaults() (Options, vendor, error) {
	const op = "certify.Run"
	v, err := vendorNamed(o.Provider)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	var wrong []error
	if err != nil {
		wrong = append(wrong, err)
	}
	for _, number := range []struct {
		name         string
		value, least int
	}{
		{"kills", o.Kills, 0},
		{"workers", o.Workers, 1},
		{"sessions", o.Sessions, 0},
		{"items", o.Items, 1},
		{"items in flight", o.InFlight, 1},
		{"accounts", o.Accounts, 1},
	} {
		if number.value < number.least {
			wrong = append(wrong, fmt.Errorf("%s is %d, want at least %d", number.name, number.value, number.least))
		}
	}
	if o.Kills == 0 && o.Sessions == 0 {
		wrong = append(wrong, errors.New("neither a kill nor a session is asked for"))
	}
	if o.Every <= 0 || o.Patience <= 0 || o.Latency < 0 {
		wrong = append(wrong, errors.New("the time between kills and the patience must be above 0, the latency not below"))
	}
	if o.Evidence != EvidenceAll && o.Evidence != EvidenceNone {
		wrong = append(wrong, fmt.Errorf("evidence is %q; it is all or none", o.Evidence))
	}
	if err == nil && o.UploadOnly && v.paid[stepUpload] == "" {
		wrong = append(wrong, fmt.Errorf("uploads cost nothing at %s: there is nothing to certify without a continuation", v.name))
	}
	if len(wrong) > 0 {
		return o, v, fault.New(fault.Invalid, op, errors.Join(wrong...))
	}
	return o, v, nil
}

// Run puts a system to the test and reports what became of it. Broken promises are
// in the report; an error means that the run itself could not be done. Whatever it
// started has ended when it returns.
func Run(ctx context.Context, o Options, s System) (report *Report, err error) {
	o, v, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	rig, err := openRig(ctx, o, v)
	if err != nil {
		return nil, err
	}
	r := &run{Rig: rig, system: s, tally: newTally()}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.whole(ctx); err != nil {
		return nil, err
	}
	return r.report(time.Since(began)), nil
}

// run is one run under way.
type run struct {
	*Rig
	system  System
	crew    crew
	batches map[string]Batch
	made    map[string][]string
	tally   *tally

	atRest, final *Judgement
	resolutions   Resolutions
}

// close ends the workers, then what they work with.
func (r *run) close() error {
	stopAll(r.crew.all())
	return errors.Join(r.system.Close(), r.Rig.close())
}

// whole is the run from beginning to end.
func (r *run) whole(ctx context.Context) error {
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	r.guard(ctx, give)
	if err := r.act(ctx); err != nil {
		if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
			return cause
		}
		return err
	}
	return nil
}

func (r *run) act(ctx context.Context) error {
	if err := r.system.Start(ctx, r.Rig); err != nil {
		return err
	}
	for range r.Options.Workers {
		if err := r.hire(ctx); err != nil {
			return err
		}
	}
	if err := r.disturb(ctx); err != nil {
		return err
	}
	var err error
	if r.atRest, err = r.judge(ctx); err != nil {
		return err
	}
	r.final = r.atRest
	for round := 0; r.Options.Resolve && len(r.final.Held) > 0 && round < rounds; round++ {
		if err := r.resolve(ctx); err != nil {
			return err
		}
	}
	if r.Options.Resolve {
		for _, h := range r.final.Held {
			r.final.Breaches = append(r.final.Breaches, Breach{allOver, "item " + h.Item + " is held whenever it was resolved: " + h.Reason})
		}
	}
	return nil
}

// rounds is how often what is held is resolved: with a provider that fails, a request
// that is sent again may be in doubt again.
const rounds = 5

// disturb kills and feeds until nothing moves any more.
func (r *run) disturb(ctx context.Context) error {
	together, ctx := errgroup.WithContext(ctx)
	killed, rested := make(chan struct{}), make(chan struct{})
	together.Go(func() error {
		defer close(killed)
		return r.kill(ctx)
	})
	together.Go(func() error {
		defer close(rested)
		return r.feed(ctx, killed)
	})
	together.Go(func() error { return r.watch(ctx, rested) })
	return together.Wait()
}

// resolve decides about held items by the provider's log, and sees them through.
func (r *run) resolve(ctx context.Context) error {
	held := r.final.Held
	r.tell(Progress{Stage: "resolving", Load: Load{Held: len(held)}})
	for _, h := range held {
		if h.Charged {
			r.resolutions.Adopted++
		} else {
			r.resolutions.Resubmitted++
		}
	}
	if err := r.system.Resolve(ctx, held); err != nil {
		return err
	}
	killed := make(chan struct{})
	close(killed)
	if err := r.feed(ctx, killed); err != nil {
		return err
	}
	var err error
	r.final, err = r.judge(ctx)
	return err
}
