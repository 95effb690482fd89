package handlers

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// request is one provider request of a step: what it costs and how it is sent.
type request struct {
	paid    bool
	credits float64
	// params identifies what is asked for, in the intent.
	params string
	// patient requests are repeated past GiveUp: they fetch what was paid for.
	patient bool
	lease   time.Duration
	timeout time.Duration
	send    func(ctx context.Context, callback string) (*provider.Accepted, error)
}

// submit reserves the request's credits, claims the step, sends its request once,
// and records the outcome.
func (h *Handlers) submit(ctx context.Context, j *job, r request) error {
	defer h.done(j)
	if in, err := h.enter(ctx, j); !in {
		return err
	}
	callback, err := h.expect(ctx, j)
	if err != nil {
		return h.postpone(ctx, j, err)
	}
	// The turn is waited for before the claim: a worker that dies waiting leaves no doubt.
	canary, stamped, err := h.stamp(ctx, j)
	if err != nil {
		return h.unsent(ctx, j, err)
	}
	reserved := time.Now() // before: a worker may freeze in it
	if err := h.reserve(ctx, j, r); err != nil {
		return h.unaffordable(ctx, j, err)
	}
	h.at("reserved")
	if j.token == "" || r.paid {
		if err := h.claim(ctx, j, r); err != nil {
			return done(err)
		}
	}
	if time.Since(reserved) > reservedFor {
		// The sweep frees reservations without a claim: make sure of ours.
		if err := h.reserve(ctx, j, r); err != nil {
			return h.unaffordable(ctx, j, err)
		}
	}
	if limited(j.account, j.Item.Step) && !stillFresh(stamped) {
		var tests bool
		if tests, stamped, err = h.stamp(ctx, j); err != nil {
			return h.unsent(ctx, j, err)
		}
		canary = canary || tests
	}
	sending, cancel := context.WithDeadline(ctx, j.began.Add(r.timeout))
	accepted, err := r.send(h.leaving(sending, j, stamped), callback)
	cancel()
	h.at("sent")
	paused := h.observe(ctx, j, canary, err)
	switch {
	case err == nil:
		return h.accept(ctx, j, accepted)
	case paused || errors.Is(err, errNotItsTurn):
		return h.yield(ctx, j, err)
	}
	return h.refused(ctx, j, r, err)
}

// unsent deals with a request that was not sent, because its turn had not come after
// all.
func (h *Handlers) unsent(ctx context.Context, j *job, cause error) error {
	if errors.Is(cause, errNotItsTurn) {
		return h.yield(ctx, j, cause)
	}
	return h.postpone(ctx, j, cause)
}

// accept records what the provider took on. If the step was meanwhile given to
// somebody else, the operation is put on record all the same: it was paid.
func (h *Handlers) accept(ctx context.Context, j *job, accepted *provider.Accepted) error {
	stray := session.Operation{
		ID: accepted.OperationID, Step: j.Item.Step, Generation: j.Item.Generation,
		Credits: j.Item.Claim.Credits, At: j.Now.UnixMilli(),
	}
	token := j.token
	err := h.record(ctx, j, h.firstLook(ctx, j, accepted), func(it *session.Item, now time.Time) error {
		return it.Accept(token, accepted, now)
	})
	if err == nil {
		return h.wakeIfReported(ctx, j)
	}
	if fault.CodeOf(err) == fault.Conflict {
		// The step is somebody else's by now, or the first of two writes came through
		// and its reply did not: then this changes nothing.
		return h.record(ctx, j, soon, func(it *session.Item, now time.Time) error { return it.Stray(stray, now) })
	}
	// This line is the last trace of a paid operation if Redis stays away: an
	// operator resolves the held item with it.
	h.Log.ErrorContext(ctx, "accepted operation could not be recorded", slog.String("item", j.Item.ID()),
		slog.String("operation", accepted.OperationID), slog.String("cause", err.Error()))
	return err
}

// expect makes a callback URL of the item's own, when the provider uses one and
// can reach us. Its token is known to the provider alone.
func (h *Handlers) expect(ctx context.Context, j *job) (url string, err error) {
	if h.Callback == nil || !j.account.Info.Callbacks || j.Item.Step == session.StepFetch {
		return "", nil
	}
	token := rand.Text()
	if err := h.Store.Expect(ctx, token, j.Item.Ref()); err != nil {
		return "", err
	}
	return h.Callback(j.Session.Provider, token), nil
}

// wakeIfReported runs the poll at once when the provider reported before it
// answered, or before the poll was on the queue.
func (h *Handlers) wakeIfReported(ctx context.Context, j *job) error {
	if h.Callback == nil || !j.account.Info.Callbacks || j.Item.State != session.Waiting {
		return nil
	}
	report, err := h.Store.Reported(ctx, j.Item.Session, j.Item.Index)
	if err != nil || !report.About(&j.Item) || !report.Done {
		return err
	}
	task, ok, err := session.Next(&j.Item)
	if err != nil || !ok {
		return err
	}
	return h.Queue.Wake(task)
}

// firstLook is when the sweep should look at an operation that was just accepted.
func (h *Handlers) firstLook(ctx context.Context, j *job, accepted *provider.Accepted) time.Duration {
	if accepted.Clip != nil {
		return soon
	}
	return h.Timing.Pause(ctx, j.kind, 0, bounds(j.account.Info.Poll)) + soon
}

// refused records a request that did not succeed, by its billing class alone.
func (h *Handlers) refused(ctx context.Context, j *job, r request, cause error) error {
	why := failure(j.Item.Step, cause)
	token := j.token
	charge := fault.ChargeOf(cause)
	why.Charge = charge.String()
	if j.notFound(cause) {
		h.forgetClip(ctx, j)
	}
	switch {
	case r.paid && charge == fault.ChargeUnknown:
		return h.doubt(ctx, j, why, cause)
	case j.stagedInVain(cause) || j.sparedInVain(cause):
		err := h.record(ctx, j, soon, func(it *session.Item, now time.Time) error {
			return errors.Join(it.Release(token, why), it.Restage(now))
		})
		return outcome(err, nil)
	case r.paid && broke(cause):
		return h.park(ctx, j, r, why, cause)
	case j.hopeless(cause) || (r.paid && charge == fault.ChargeMade) || (!r.patient && h.tooLate(j)):
		err := h.record(ctx, j, 0, func(it *session.Item, now time.Time) error { return it.Refuse(token, why, now) })
		return outcome(err, final(cause))
	}
	pause := backoff(j.Item.Attempts, cause)
	err := h.record(ctx, j, pause+soon, func(it *session.Item, _ time.Time) error { return it.Release(token, why) })
	return outcome(err, again(pause, cause))
}

// stagedInVain says that the provider did not find, at no cost, the file that the
// upload had staged for it for free. Staging once more may help; it helps at most
// once.
func (j *job) stagedInVain(cause error) bool {
	return j.notFound(cause) && fault.ChargeOf(cause) == fault.ChargeNone &&
		j.Item.Clip.URL != "" && !j.account.Info.Uploads.Paid && j.Item.Used[session.StepUpload] <= 1
}

// sparedInVain says that the provider did not find, at no cost, the clip of another
// item: this one is uploaded after all.
func (j *job) sparedInVain(cause error) bool {
	return j.notFound(cause) && fault.ChargeOf(cause) == fault.ChargeNone && j.Item.ClipOf != ""
}

// notFound says that the provider did not find what it was to continue.
func (j *job) notFound(cause error) bool {
	return j.Item.Step == session.StepExtend && fault.CodeOf(cause) == fault.NotFound
}

// doubt records a paid request whose outcome is unknown. It is never sent again
// without evidence.
func (h *Handlers) doubt(ctx context.Context, j *job, why session.Failure, cause error) error {
	token := j.token
	// When the request was surely over decides from when on evidence is believed.
	over, err := h.Store.Now(context.WithoutCancel(ctx))
	if err != nil {
		over = j.Now.Add(tasks.AudioUpload.Policy.Timeout) // later than any request can end
	}
	err = h.record(ctx, j, soon, func(it *session.Item, _ time.Time) error { return it.Doubt(token, why, over) })
	return outcome(err, final(cause))
}

// postpone records that a step could not be started: nothing was sent, whether or
// not it was claimed to be prepared.
func (h *Handlers) postpone(ctx context.Context, j *job, cause error) error {
	why := failure(j.Item.Step, cause)
	why.Charge = fault.ChargeNone.String()
	h.keyUsed(ctx, idOf(&j.Session), false, cause)
	if j.hopeless(cause) || h.tooLate(j) {
		return outcome(h.giveUp(ctx, j, why), final(cause))
	}
	pause := backoff(j.Item.Attempts, cause)
	return outcome(h.giveBack(ctx, j, why, pause), again(pause, cause))
}

// giveBack puts a step that was not started back on the queue, for later.
func (h *Handlers) giveBack(ctx context.Context, j *job, why session.Failure, pause time.Duration) error {
	token := j.token
	return h.record(ctx, j, pause+soon, func(it *session.Item, _ time.Time) error {
		if token == "" {
			return it.Delay(why)
		}
		return it.Release(token, why)
	})
}

// giveUp ends an item whose step cannot be started.
func (h *Handlers) giveUp(ctx context.Context, j *job, why session.Failure) error {
	token := j.token
	return h.record(ctx, j, 0, func(it *session.Item, now time.Time) error {
		if token == "" {
			return it.Reject(why)
		}
		return it.Refuse(token, why, now)
	})
}

// tooLate says that the step has waited as long as it may.
func (h *Handlers) tooLate(j *job) bool {
	return j.Item.Since > 0 && j.Now.Sub(time.UnixMilli(j.Item.Since)) > h.GiveUp
}

// maxMalformed is how many unreadable answers to free requests are taken for bad
// weather, such as a proxy's page or a body that was cut, before they count.
const maxMalformed = 5

// hopeless says that the job's step is not worth another attempt.
func (j *job) hopeless(cause error) bool {
	if fault.CodeOf(cause) == fault.Malformed && fault.ChargeOf(cause) == fault.ChargeNone {
		return j.Item.Attempts >= maxMalformed
	}
	return permanent(cause)
}

// permanent says that trying again cannot help.
func permanent(err error) bool {
	switch fault.CodeOf(err) {
	case fault.Invalid, fault.Denied, fault.NotFound, fault.Rejected, fault.Conflict, fault.Malformed:
		return true
	case fault.Exhausted, fault.Unavailable, fault.Timeout, fault.Pending, fault.Canceled, fault.Internal:
	}
	return false
}

// The bounds of the wait between two attempts.
const (
	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
)

// backoff is the wait after a number of failed attempts: what the other side
// asked for, or doubling from one second to five minutes, a quarter of it random.
func backoff(attempts int, cause error) time.Duration {
	if after := fault.RetryAfter(cause); after > 0 {
		return after + time.Duration(mathrand.Int64N(int64(time.Second)))
	}
	pause := firstBackoff << min(attempts, 16)
	pause = min(pause, maxBackoff)
	return pause - time.Duration(mathrand.Int64N(int64(pause)/4+1))
}

// outcome is what the queue is told: the trouble with recording, if there was
// any, or else what the attempt came to.
func outcome(recording, attempt error) error {
	if recording != nil {
		return recording
	}
	return attempt
}

// done turns the end of a handler's work into success.
func done(err error) error {
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// hashOf identifies a request's parameters in its intent. They are plain data:
// encoding them cannot fail.
func hashOf(params ...any) string {
	sum := sha256.New()
	for _, p := range params {
		body, err := json.Marshal(p)
		if err != nil {
			panic(err)
		}
		sum.Write(body)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
