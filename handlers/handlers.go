// Package handlers is what workers execute: one file per task type.
//
// Every handler has one shape: read the state, claim the step, act, record the
// outcome, enqueue what follows, return. A process may die between any two of
// these; the next delivery of the task, or the sweep, goes on from what is
// recorded:
//
//	dies before the claim       the step is still queued: it is simply done again
//	dies claimed, not yet sent  a free step is done again; a paid one is in doubt,
//	                            since nobody can tell whether its request left:
//	                            evidence is looked for, and without any it is held
//	dies sent, not recorded     the same: never sent again without evidence
//	dies recorded, not enqueued the next delivery enqueues what follows
//	dies enqueued, not acked    the next delivery finds nothing to do
//
// A task that is behind its item's state does nothing but make sure that what
// follows is on the queue.
package handlers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/account"
	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/queue"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/internal/timing"
	"github.com/segue-audio/segue/tasks"
)

// Handlers executes tasks. All fields but those that say what nil means must be set.
type Handlers struct {
	Store    *session.Store
	Queue    *queue.Queue
	Accounts *account.Pool
	// Ledger keeps the accounts' credits and holds their budgets.
	Ledger *ledger.Book
	// Gate says when a request may leave: the accounts' slots, rates and pauses.
	Gate *account.Gate
	// Timing knows how long operations take.
	Timing *timing.Book
	// Probe learns about a source that was submitted without being probed.
	Probe func(ctx context.Context, s session.Source) (session.Source, error)
	// Open streams a source's bytes.
	Open func(ctx context.Context, s session.Source) (io.ReadCloser, error)
	// Stage turns a local file into a URL that a provider can fetch. Nil means
	// that this worker has no address a provider could reach.
	Stage func(ctx context.Context, s session.Source) (url string, err error)
	// Sign gives a URL by which a provider can fetch an object of the object store
	// (s3://), in the state that it was submitted in. Nil refuses such sources.
	Sign func(ctx context.Context, s session.Source) (url string, err error)
	// Remember is told of items that have succeeded, some hundred at a time, when their
	// session is complete, so that nothing of them is paid for again. It is told of each
	// at least once. Nil remembers nothing.
	Remember func(ctx context.Context, s *session.Session, items []*session.Item) error
	// Clips knows the audio that lies at the accounts. Nil uploads every file.
	Clips Clips
	// Callback gives the URL at which a provider reports under a token. Nil means
	// that no provider can reach us: polling alone does the job.
	Callback func(providerName, token string) string
	// Bulk makes a session of a schedule's firing, and reports it. Its errors say not_found
	// or conflict when there is nothing to do any more.
	Bulk func(ctx context.Context, firing tasks.Run) error
	// Archive opens where a session's results go; the empty URL is the default.
	Archive func(url string) (archive.Archive, error)
	// Keeping says how results are archived by now; nil is the zero Keeping.
	Keeping func() Keeping
	// Retention knows what providers delete first; nil fetches as results come.
	Retention *retention.Book
	Log       *slog.Logger
	// Worker is this process's name in claims and heartbeats.
	Worker string
	// GiveUp is how long a step may wait for a provider that is down or full
	// before the item fails.
	GiveUp time.Duration
	// Uploads is how many uploads a worker executes at once.
	Uploads int
	// Announced lists the accounts that this worker can use.
	Announced func() []account.Known
	// Hook is called at named places by tests that crash there; nil otherwise.
	Hook func(place string)

	openers openers
	atWork  atWork
	looked  readings
	trips   breakers
	resting resting
	asking  sync.Mutex // held by the sweep that asks for balances
}

// atWork is the claims that this process is acting on at this moment, by token.
type atWork struct{ tokens sync.Map }

// The time that each stage of a paid request has: the request ends before its
// claim, and the claim before its task.
const (
	sendTimeout = 100 * time.Second
	paidClaim   = 2 * time.Minute
	// staleClaim is how long before its writing a claim may have been dated.
	staleClaim = 5 * time.Second
	// recordTimeout is how long an outcome is tried to be written while Redis is
	// away. It is what stands between a paid answer and a held item.
	recordTimeout = 45 * time.Second
	// soon is when the sweep looks at an item that should have moved by itself.
	soon = 5 * time.Second
)

// at marks a place where a test may end the process.
func (h *Handlers) at(place string) {
	if h.Hook != nil {
		h.Hook(place)
	}
}

// job is one delivery of a step's task.
type job struct {
	*session.Work
	account *account.Account
	token   string
	// read is when, by this machine's clock, the state was read.
	read time.Time
	// began is when, by this machine's clock, the claim was about to be written.
	began time.Time
	// before is the account's balance before the request, where it may be evidence.
	before *session.Balance
	// mark is that of the job's reservation.
	mark int64
	// kind is what operations of this step are remembered under.
	kind string
	// turn is how long until the next step's request may leave, where it is known.
	turn time.Duration
}

// now is Redis's clock as it must stand by now, without asking, to a tenth of a
// second: what preparing and sending took is added to when the state was read.
func (j *job) now() time.Time { return j.Now.Add(time.Since(j.read).Truncate(100 * time.Millisecond)) }

// begin reads the state for a task. A nil job with a nil error means that there
// is nothing to do for it any more.
func (h *Handlers) begin(ctx context.Context, ref tasks.Step, want session.State) (*job, error) {
	read := time.Now()
	work, err := h.Store.Load(ctx, ref.Session, ref.Index)
	switch {
	case fault.CodeOf(err) == fault.NotFound:
		return nil, final(err)
	case err != nil:
		return nil, err
	}
	it := &work.Item
	if it.Since == 0 || (it.Backlog && it.State == session.Queued && it.Failure == nil) {
		it.Since = work.Now.UnixMilli() // a step's time begins with its first attempt
	}
	mine := string(it.Step) == ref.Name && it.Generation == ref.Generation && it.Rescue == ref.Rescue
	switch {
	case !mine || it.State == session.Held || it.State.Ended():
		return nil, h.follow(ctx, it, 0)
	case it.State == session.Sending || it.State == session.Running:
		return nil, h.reclaim(ctx, work)
	case it.State != want:
		return nil, h.follow(ctx, it, 0)
	}
	acc, err := h.Accounts.Get(work.Session.Provider, work.Session.Account)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "handlers.begin",
			fmt.Errorf("this worker cannot use account %s/%s: %s", work.Session.Provider, work.Session.Account, fault.Reason(err)))
	}
	return &job{Work: work, account: acc, kind: kindOf(work), read: read}, nil
}

// reclaim decides about a step that somebody claimed: its worker lives and is in
// time, or the step is taken away from it.
func (h *Handlers) reclaim(ctx context.Context, work *session.Work) error {
	claim := work.Item.Claim
	alive, err := h.Store.Workers(ctx)
	if err != nil {
		return err
	}
	_, busy := h.atWork.tokens.Load(claim.Token)
	switch {
	case !alive[claim.Worker]:
		return h.orphan(ctx, work, "worker "+claim.Worker+" died")
	case work.Now.UnixMilli() >= claim.Until:
		return h.orphan(ctx, work, "worker "+claim.Worker+" overran its claim")
	case claim.Worker == h.Worker && !busy:
		return h.orphan(ctx, work, "worker "+claim.Worker+" could not record its outcome")
	}
	return wait(soon, errors.New("another worker is at it"))
}

// orphan takes a step away from the worker that claimed it.
func (h *Handlers) orphan(ctx context.Context, work *session.Work, reason string) error {
	it, before := &work.Item, work.Item
	why := session.Failure{Code: fault.Unavailable, Step: it.Step, Reason: reason}
	if it.State == session.Sending {
		why.Code = fault.Timeout
		why.Reason = reason + " while its paid request was on the way"
		why.Charge = fault.ChargeUnknown.String()
	}
	if err := it.Orphan(why, work.Now); err != nil {
		return err
	}
	written, err := h.Store.Write(ctx, it, soon)
	switch {
	case fault.CodeOf(err) == fault.Conflict:
		return nil // somebody else decided first
	case err != nil:
		return err
	}
	h.Log.WarnContext(ctx, "step taken from its worker",
		slog.String("item", it.ID()), slog.String("reason", reason), slog.String("now", it.Label()))
	h.account(ctx, &work.Session, &before, it, 0)
	h.pace(ctx, &work.Session, &before, it)
	return h.follow(ctx, it, written.Completion)
}

// claim writes the intent. From here on only this job may act on the step. A job
// that has claimed the step to prepare it turns that claim into the intent.
func (h *Handlers) claim(ctx context.Context, j *job, r request) error {
	prepared, now, err := j.token != "", j.Now, error(nil)
	if prepared {
		now, err = h.Store.Now(ctx) // preparing may have taken long
	} else {
		j.token = rand.Text()
	}
	if err != nil {
		return err
	}
	// The request's deadline counts from before the claim is written, so that it is
	// earlier than the claim's end wherever this process freezes.
	j.began = time.Now()
	claim := session.Claim{
		Token: j.token, Worker: h.Worker, At: now.UnixMilli(),
		Until: now.Add(r.lease).UnixMilli(), Credits: r.credits, Params: r.params, Before: j.before,
	}
	next := j.Item
	if prepared {
		err = next.Send(claim)
	} else {
		err = next.Take(claim, r.paid)
	}
	if err != nil {
		return err
	}
	h.atWork.tokens.Store(j.token, struct{}{})
	err = h.writeClaim(ctx, &next)
	if err == nil && next.Updated.Sub(now) > staleClaim {
		err = fault.New(fault.Unavailable, "handlers.claim", errors.New("the claim was written late: its end is too near"))
	}
	if err != nil {
		return h.unclaimed(ctx, j, err)
	}
	j.Item = next
	if r.send == nil && next.Step == session.StepUpload {
		h.at("preparing")
	} else {
		h.at("claimed")
	}
	return nil
}

// done says that the job acts no more under its claim.
func (h *Handlers) done(j *job) { h.atWork.tokens.Delete(j.token) }

// unclaimed deals with a claim that was not written, or of which nobody knows
// whether it was. Nothing has been sent under it: if it is there, it is given back.
func (h *Handlers) unclaimed(ctx context.Context, j *job, cause error) error {
	why := failure(j.Item.Step, cause)
	why.Charge = fault.ChargeNone.String()
	canceled := fault.CodeOf(cause) == fault.Canceled && ctx.Err() == nil
	token, mine := j.token, false
	err := h.record(ctx, j, soon, func(it *session.Item, _ time.Time) error {
		if mine = it.Claim != nil && it.Claim.Token == token; !mine {
			return fault.New(fault.Conflict, "handlers.claim", errors.New("the claim was not written"))
		}
		return it.Release(token, why)
	})
	switch {
	case canceled:
		return h.cancel(ctx, j.Item.Session, j.Item.Index)
	case mine || fault.CodeOf(err) == fault.Conflict:
		return wait(time.Second, cause)
	}
	return errors.Join(cause, err)
}

// writeClaim writes the claim. A canceled session refuses every claim but one: what
// was paid for is fetched all the same.
func (h *Handlers) writeClaim(ctx context.Context, it *session.Item) error {
	if it.Step != session.StepFetch {
		return h.Store.WriteClaim(ctx, it, soon)
	}
	_, err := h.Store.Write(ctx, it, soon)
	return err
}

// cancel ends an item of a canceled session and returns errDone.
func (h *Handlers) cancel(ctx context.Context, id string, index int) error {
	var before session.Item
	work, written, err := h.Store.Update(ctx, id, index, soon, func(w *session.Work) error {
		before = w.Item
		return w.Item.Cancel()
	})
	if fault.CodeOf(err) == fault.Conflict {
		return errDone
	}
	if err != nil {
		return err
	}
	h.pace(ctx, &work.Session, &before, &work.Item)
	if err := h.follow(ctx, &work.Item, written.Completion); err != nil {
		return err
	}
	return errDone
}

// errDone ends a handler early and well.
var errDone = errors.New("nothing left to do")

// record writes an outcome, whatever happens to the task's context: an answer
// that was paid for is not dropped because a worker is stopping or Redis blinks.
// change is applied to the item as it is by then, again if need be.
func (h *Handlers) record(ctx context.Context, j *job, look time.Duration, change func(it *session.Item, now time.Time) error) error {
	ctx = context.WithoutCancel(ctx)
	h.at("before record")
	giveUp := time.Now().Add(recordTimeout)
	outcome, err := h.writeOnce(ctx, j, look, change)
	for pause := 50 * time.Millisecond; retryable(err); pause = min(2*pause, 2*time.Second) {
		if fault.CodeOf(err) != fault.Conflict {
			sleep(ctx, pause)
		}
		// A process that was frozen for longer than that still tries once.
		last := time.Now().After(giveUp)
		outcome, err = h.writeAgain(ctx, j, look, change)
		if last || fault.CodeOf(err) == fault.Conflict {
			break // the item as it is by now does not allow it
		}
	}
	if err != nil {
		return err
	}
	before := outcome.before
	j.Item = outcome.after
	h.at("recorded")
	h.account(ctx, &j.Session, &before, &j.Item, j.mark)
	h.pace(ctx, &j.Session, &before, &j.Item)
	h.shelve(ctx, j, &before, &j.Item)
	h.keepClip(ctx, j, &before, &j.Item)
	h.at("accounted")
	// What follows is due shortly before the sweep would look for it.
	return h.followAfter(ctx, &j.Item, outcome.completion, max(0, look-soon, j.turn))
}

// recorded is what one write of an outcome changed.
type recorded struct {
	before, after session.Item
	completion    int
}

// tryTimeout bounds one attempt to write an outcome.
const tryTimeout = 10 * time.Second

// writeOnce applies an outcome to the item as the job knows it.
func (h *Handlers) writeOnce(ctx context.Context, j *job, look time.Duration, change func(*session.Item, time.Time) error) (recorded, error) {
	r := recorded{before: j.Item, after: j.Item}
	if err := change(&r.after, j.now()); err != nil {
		return r, err
	}
	h.admitAtOnce(ctx, j, &r.before, &r.after)
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	written, err := h.Store.Write(ctx, &r.after, look)
	r.completion = written.Completion
	return r, err
}

// writeAgain applies it to the item as it is in Redis.
func (h *Handlers) writeAgain(ctx context.Context, j *job, look time.Duration, change func(*session.Item, time.Time) error) (recorded, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	var r recorded
	work, written, err := h.Store.Update(ctx, j.Item.Session, j.Item.Index, look, func(w *session.Work) error {
		r.before = w.Item
		if err := change(&w.Item, w.Now); err != nil {
			return err
		}
		h.admitAtOnce(ctx, j, &r.before, &w.Item)
		return nil
	})
	if work != nil {
		r.after = work.Item
	}
	r.completion = written.Completion
	return r, err
}

func retryable(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Conflict || code == fault.Unavailable || code == fault.Timeout
}

// sleep waits, or less when the context ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// follow enqueues what follows from an item's state, and the settling when this
// item's end completed its session.
func (h *Handlers) follow(ctx context.Context, it *session.Item, completion int) error {
	return h.followAfter(ctx, it, completion, 0)
}

func (h *Handlers) followAfter(ctx context.Context, it *session.Item, completion int, delay time.Duration) error {
	if err := h.Queue.Follow(ctx, it, completion, delay); err != nil {
		return err
	}
	h.at("enqueued")
	return nil
}

// failure describes err for people and for code.
func failure(step session.StepName, err error) session.Failure {
	return session.Failure{Code: fault.CodeOf(err), Step: step, Reason: fault.Reason(err)}
}
