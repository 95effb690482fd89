package handlers

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/retention"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

// The queue gives fetches out in the order in which they came. When providers were down
// for days, that is not the order in which they delete what they made. So a fetch's task
// is taken for what it is, leave to fetch something: where another item is deleted much
// earlier, that one is fetched, and the task comes again.

const (
	// slackShare is the part of a retention within which no item goes first: in quiet
	// times all are fetched as they come.
	slackShare = 100
	// restFor is how long items of a provider do not go first after one of them could not
	// be had: another attempt would keep a place from those that can be.
	restFor = 30 * time.Second
	// tries is how many items are tried to be had instead of a task's own.
	tries = 4
	// graceAfter is how long after its retention a provider is still asked, when it was
	// not the provider that said no.
	graceAfter = 24 * time.Hour
	// alarmSlots is in how many sweeps one looks for results that may be lost: one a minute.
	alarmSlots = int64(time.Minute / sweepEvery)
)

// longestPause is how long a fetch waits at most before it is tried again, also where the
// other side asks for more. Tests in virtual time wait less.
var longestPause = time.Hour

// resting are the providers whose items do not go first, with the end of that.
type resting struct{ until sync.Map }

func (r *resting) rest(name string)  { r.until.Store(name, time.Now().Add(restFor)) }
func (r *resting) awake(name string) { r.until.Delete(name) }

func (r *resting) rests(name string) bool {
	stored, _ := r.until.Load(name)
	until, rests := stored.(time.Time)
	return rests && time.Now().Before(until)
}

// waitingOf is the job's item as the book of deadlines knows it; ok is false where its
// provider deletes nothing, or there is no book.
func (h *Handlers) waitingOf(j *job) (w retention.Waiting, ok bool) {
	deadline := retention.Deadline(&j.Item, j.account.Info.Retention)
	if h.Retention == nil || deadline.IsZero() {
		return w, false
	}
	return retention.Waiting{Provider: j.Session.Provider, Item: j.Item.ID(), Deadline: deadline}, true
}

// shelve keeps the book of deadlines up to date with an item that was just written. The
// book is a hint: what cannot be written is made up for by the fetch.
func (h *Handlers) shelve(ctx context.Context, j *job, before, after *session.Item) {
	var err error
	switch w, ok := h.waitingOf(j); {
	case !ok:
	case retention.Awaits(after) && before.Step != session.StepFetch:
		err = h.Retention.Expect(ctx, w)
	case before.Step == session.StepFetch && after.State.Ended():
		err = h.Retention.Done(ctx, w.Provider, w.Item)
	}
	h.missed(ctx, err)
}

func (h *Handlers) missed(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		h.Log.WarnContext(ctx, "the book of deadlines could not be kept", slog.String("cause", fault.Reason(err)))
	}
}

// moreUrgent gives the job of an item that is deleted much earlier than the job's own, or
// nil. Whichever is to be fetched is taken for this worker.
func (h *Handlers) moreUrgent(ctx context.Context, j *job) *job {
	own, ok := h.waitingOf(j)
	if !ok {
		return nil
	}
	slack := j.account.Info.Retention / slackShare
	for range tries {
		first, err := h.Retention.First(ctx, h.providers())
		if err != nil {
			h.missed(ctx, err)
			return nil
		}
		first = slices.DeleteFunc(first, func(w retention.Waiting) bool {
			return h.resting.rests(w.Provider) || !w.Deadline.Before(own.Deadline.Add(-slack))
		})
		if len(first) == 0 {
			break
		}
		other := h.taken(ctx, slices.MinFunc(first, func(a, b retention.Waiting) int { return a.Deadline.Compare(b.Deadline) }))
		if other != nil {
			h.missed(ctx, h.Retention.Expect(ctx, own)) // others may fetch it meanwhile
			return other
		}
	}
	_, err := h.Retention.Take(ctx, own.Provider, own.Item)
	h.missed(ctx, err)
	return nil
}

// taken is the job of another item, if nobody else is at it.
func (h *Handlers) taken(ctx context.Context, w retention.Waiting) *job {
	mine, err := h.Retention.Take(ctx, w.Provider, w.Item)
	if err != nil || !mine {
		h.missed(ctx, err)
		return nil
	}
	id, index, ok := session.ParseItemID(w.Item)
	if !ok {
		return nil
	}
	work, err := h.Store.Load(ctx, id, index)
	if err != nil {
		return nil // its own task comes all the same
	}
	if !retention.Awaits(&work.Item) {
		h.missed(ctx, h.Retention.Done(ctx, w.Provider, w.Item))
		return nil
	}
	if work.Item.State != session.Queued {
		return nil
	}
	it := &work.Item
	other, err := h.begin(ctx, tasks.Step{
		V: tasks.Version, Session: id, Index: index, Name: string(it.Step), Generation: it.Generation, Rescue: it.Rescue,
	}, session.Queued)
	if err != nil {
		return nil
	}
	return other
}

// providers are those that this worker can use.
func (h *Handlers) providers() []string {
	var names []string
	for _, known := range h.announced() {
		if !slices.Contains(names, known.Provider) {
			names = append(names, known.Provider)
		}
	}
	return names
}

// unfetched says what an attempt that failed means for those to come.
func (h *Handlers) unfetched(ctx context.Context, j *job, cause error) {
	code := fault.CodeOf(cause)
	if code != fault.Unavailable && code != fault.Timeout {
		return // it is the item's own trouble: its task comes again by itself
	}
	h.resting.rest(j.Session.Provider)
	if w, ok := h.waitingOf(j); ok {
		h.missed(ctx, h.Retention.Expect(context.WithoutCancel(ctx), w))
	}
}

// errAfter is what the queue is told of a task under which another item was fetched.
var errAfter = errors.New("a result that its provider deletes earlier went first")

// stillThere says that a failed download is worth another attempt for as long as the
// provider keeps the results: they were paid for. The next attempt is never so far away
// that it would miss a good part of what is left of that time.
func stillThere(j *job, err error) error {
	const op = "handlers.Fetch"
	pause, deadline := backoff(j.Item.Attempts, err), retention.Deadline(&j.Item, j.account.Info.Retention)
	if !deadline.IsZero() {
		left, code := deadline.Sub(j.now()), fault.CodeOf(err)
		gone := code == fault.NotFound || code == fault.Denied
		if (gone && left < 0) || left < -graceAfter {
			return fault.Uncharged(fault.NotFound, op, err)
		}
		pause = min(pause, max(firstBackoff, left/20), longestPause)
	}
	return &fault.Error{Code: fault.Unavailable, Op: op, Charge: fault.ChargeNone, RetryAfter: pause, Err: err}
}

// risk is what one session has to lose.
type risk struct {
	items int
	first retention.Waiting
}

// alarm reports, once per session and level, results that nobody has archived although
// much of the time is over for which their provider keeps them.
func (h *Handlers) alarm(ctx context.Context, slot int64) error {
	if h.Retention == nil || slot%alarmSlots != 0 {
		return nil
	}
	now, err := h.Store.Now(ctx)
	if err != nil {
		return err
	}
	seen, all := map[string]bool{}, []error{}
	for _, known := range h.announced() {
		acc, err := h.Accounts.Get(known.Provider, known.Name)
		if err != nil || acc.Info.Retention <= 0 || seen[known.Provider] {
			continue // who cannot be used here is looked at by those who can
		}
		seen[known.Provider] = true
		all = append(all, h.alarmFor(ctx, known.Provider, acc.Info.Retention, now))
	}
	return errors.Join(all...)
}

func (h *Handlers) alarmFor(ctx context.Context, provider string, kept time.Duration, now time.Time) error {
	risks := map[string]*risk{}
	err := h.Retention.EachLate(ctx, provider, kept, now, func(w retention.Waiting) {
		id, _, _ := session.ParseItemID(w.Item)
		if risks[id] == nil {
			risks[id] = &risk{first: w}
		}
		risks[id].items++
	})
	all := make([]error, 1, 1+len(risks))
	all[0] = err
	for id, r := range risks {
		all = append(all, h.alarmOf(ctx, id, r, kept, now))
	}
	return errors.Join(all...)
}

func (h *Handlers) alarmOf(ctx context.Context, id string, r *risk, kept time.Duration, now time.Time) error {
	_, index, _ := session.ParseItemID(r.first.Item)
	work, err := h.Store.Load(ctx, id, index)
	if fault.CodeOf(err) == fault.NotFound || (err == nil && !retention.Awaits(&work.Item)) {
		return h.Retention.Done(ctx, r.first.Provider, r.first.Item) // the next look is at the others
	}
	if err != nil {
		return err
	}
	level := retention.Level(r.first.Deadline, now, kept)
	first, err := h.Retention.Alarm(ctx, id, level, kept)
	if err != nil || !first {
		return err
	}
	how := slog.LevelWarn
	if level >= 95 {
		how = slog.LevelError
	}
	h.Log.LogAttrs(ctx, how, "results are not archived, and their provider will delete them",
		slog.String("session", id), slog.Int("items", r.items), slog.Int("percent_of_retention", level),
		slog.Time("first_deleted", r.first.Deadline.UTC()))
	return nil
}
