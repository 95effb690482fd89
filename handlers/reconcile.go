package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

const (
	// firstLookAgain and lastLookAgain bound the pause between two searches for
	// evidence; a quarter of the doubt's age lies between them.
	firstLookAgain = 2 * time.Second
	lastLookAgain  = time.Minute
	// clipPatience is how much longer than its books a provider may need until an
	// accepted upload is a clip on its list.
	clipPatience = 10 * time.Minute
)

// Reconcile executes audio:reconcile: it looks once for evidence of what became of
// a paid request whose answer was lost, then sleeps, or moves on. Nothing is ever
// sent to find out.
func (h *Handlers) Reconcile(ctx context.Context, p tasks.Reconcile) error {
	j, err := h.begin(ctx, p.Step, session.Reconciling)
	if j == nil || err != nil {
		return err
	}
	report, err := h.Store.Reported(ctx, j.Item.Session, j.Item.Index)
	if err != nil {
		return err
	}
	if report.About(&j.Item) && report.Operation != "" {
		if err := h.Adopt(ctx, report, &j.Item); err != nil || h.moved(ctx, j) {
			return err
		}
	}
	found, err := h.evidence(ctx, j)
	switch {
	case err != nil:
		return err
	case found.clip != "":
		return h.settle(ctx, j, found, func(it *session.Item, now time.Time) error {
			return it.AdoptClip(provider.Clip{ID: found.clip}, now)
		})
	case found.refuted:
		why := session.Failure{
			Code: fault.Unavailable, Step: j.Item.Step, Charge: fault.ChargeNone.String(),
			Reason: "sent again: the first request was not accepted (" + found.words() + ")",
		}
		return h.settle(ctx, j, found, func(it *session.Item, now time.Time) error { return it.Refute(why, now) })
	case j.Now.Before(h.horizon(j)):
		return h.lookAgain(ctx, j)
	}
	return h.conclude(ctx, j, found)
}

// moved says whether the item is not the one any more that the job read.
func (h *Handlers) moved(ctx context.Context, j *job) bool {
	work, err := h.Store.Load(ctx, j.Item.Session, j.Item.Index)
	return err != nil || work.Item.Epoch != j.Item.Epoch
}

// horizon is when the search is given up: when no more evidence can come.
func (h *Handlers) horizon(j *job) time.Time {
	known := j.account.Info.Evidence
	doubted := time.UnixMilli(j.Item.Claim.Doubt)
	if known.Horizon > 0 {
		return doubted.Add(known.Horizon)
	}
	over := time.UnixMilli(j.Item.Claim.Over)
	end := doubted
	if h.Callback != nil && j.account.Info.Callbacks && known.Callback > 0 {
		end = latest(end, over.Add(known.Callback))
	}
	if _, ok := j.account.Driver.(provider.Witness); ok && known.Books > 0 {
		end = latest(end, over.Add(known.Books+lastLookAgain))
		if j.Item.Step == session.StepUpload && j.Session.Remote != "" {
			end = latest(end, over.Add(known.Books+clipPatience))
		}
	}
	if known.Balance > 0 && j.Item.Claim.Credits > 0 {
		end = latest(end, over.Add(known.Balance+lastLookAgain))
	}
	return end
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lookAgain puts the search to sleep.
func (h *Handlers) lookAgain(ctx context.Context, j *job) error {
	age := j.Now.Sub(time.UnixMilli(j.Item.Claim.Doubt))
	pause := min(max(age/4, firstLookAgain), lastLookAgain)
	pause = min(pause, max(h.horizon(j).Sub(j.Now), time.Second))
	if _, err := h.Store.Defer(ctx, j.Item.Session, pause+soon, j.Item.Index); err != nil {
		return err
	}
	return wait(pause, errors.New("no evidence yet"))
}

// settle ends a doubt by what was found.
func (h *Handlers) settle(ctx context.Context, j *job, found *findings, change func(*session.Item, time.Time) error) error {
	err := h.record(ctx, j, soon, change)
	if fault.CodeOf(err) == fault.Conflict {
		return nil // settled by somebody else meanwhile
	}
	if err == nil {
		h.Log.InfoContext(ctx, "doubt settled by evidence", slog.String("item", j.Item.ID()),
			slog.String("now", j.Item.Label()), slog.String("evidence", found.words()))
	}
	return err
}

// conclude ends a search that found nothing: by the policy that the producer chose,
// or by asking a person.
func (h *Handlers) conclude(ctx context.Context, j *job, found *findings) error {
	why := session.Failure{Code: fault.Timeout, Step: j.Item.Step, Charge: fault.ChargeUnknown.String()}
	if j.Item.Failure != nil {
		why = *j.Item.Failure
	}
	if words := found.words(); words != "" {
		why.Reason += "; " + words
	}
	repeat := j.Session.OnUnknown == session.Resubmit
	err := h.record(ctx, j, soon, func(it *session.Item, now time.Time) error {
		if repeat {
			return it.Repeat(why, now)
		}
		return it.Hold(why)
	})
	if fault.CodeOf(err) == fault.Conflict {
		return nil
	}
	if err == nil && j.Item.State == session.Held {
		h.Log.WarnContext(ctx, "item held", slog.String("item", j.Item.ID()), slog.String("step", string(j.Item.Step)), slog.String("reason", why.Reason))
	}
	return err
}

// findings is what a search brought.
type findings struct {
	// clip is the one that only this item can have.
	clip string
	// refuted says that the request was surely not accepted.
	refuted bool
	seen    []string
}

func (f *findings) say(format string, args ...any) {
	f.seen = append(f.seen, fmt.Sprintf(format, args...))
}

// words tells people what was seen.
func (f *findings) words() string { return strings.Join(f.seen, "; ") }

// evidence goes down the ladder, from what names the operation to what only rules
// it out. What cannot be asked now is no evidence.
func (h *Handlers) evidence(ctx context.Context, j *job) (*findings, error) {
	found := &findings{}
	if h.Callback != nil && j.account.Info.Callbacks {
		found.say("no callback came")
	}
	if err := h.askBooks(ctx, j, found); err != nil {
		return nil, err
	}
	if found.clip == "" && !found.refuted {
		if err := h.askBalance(ctx, j, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// askBooks asks the provider's own lists.
func (h *Handlers) askBooks(ctx context.Context, j *job, found *findings) error {
	witness, ok := j.account.Driver.(provider.Witness)
	known := j.account.Info.Evidence
	if !ok || known.Books <= 0 {
		return nil
	}
	claim := j.Item.Claim
	over := time.UnixMilli(claim.Over)
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	books, err := witness.Books(asking, &provider.Question{
		Step: string(j.Item.Step), Session: j.Session.Remote, From: time.UnixMilli(claim.At), Until: over,
	})
	cancel()
	if err != nil {
		found.say("the provider's lists could not be read: %s", fault.Reason(err))
		return nil
	}
	late := !j.Now.Before(over.Add(known.Books))
	switch {
	case books.Charges == 0 && late:
		found.refuted = true
		found.say("the provider's list shows no charge for it")
		return nil
	case books.Charges > 0:
		found.say("the provider's list shows %d such charges around that time", books.Charges)
	}
	if j.Item.Step != session.StepUpload || len(books.Clips) == 0 {
		return nil
	}
	return h.ownClip(ctx, j, books.Clips, found)
}

// ownClip finds the clip that only this item can have: the one on the provider's
// list that no other item has, when no other item can have it either.
func (h *Handlers) ownClip(ctx context.Context, j *job, listed []string, found *findings) error {
	known, open := map[string]bool{}, 0
	err := h.Store.Each(ctx, j.Item.Session, 0, 0, func(it *session.Item) error {
		if it.Clip != nil {
			known[it.Clip.ID] = true
		}
		if it.Index != j.Item.Index && mayHaveClip(it) {
			open++
		}
		return nil
	})
	if err != nil {
		return err
	}
	unknown := slices.DeleteFunc(slices.Clone(listed), func(id string) bool { return known[id] })
	switch {
	case len(unknown) == 0:
		found.say("its session lists no clip that is not known")
	case len(unknown) == 1 && open == 0 && j.Item.Used[session.StepUpload] == 1:
		found.clip = unknown[0]
		found.say("its session lists one clip more than is known: %s", unknown[0])
	default:
		found.say("its session lists %d clips that are not known, and %d other files may have them", len(unknown), open)
	}
	return nil
}

// mayHaveClip says that the provider may hold a clip of the item that the item does
// not know: an upload that may have been accepted and has not ended in one, or that
// was made more than once.
func mayHaveClip(it *session.Item) bool {
	used := it.Used[session.StepUpload]
	return used > 1 || (used == 1 && it.Clip == nil)
}

// askBalance compares the balance with the one that was read before the request
// left, while nothing else of the account was paid for or could be refunded.
func (h *Handlers) askBalance(ctx context.Context, j *job, found *findings) error {
	known := j.account.Info.Evidence
	over := time.UnixMilli(j.Item.Claim.Over)
	if known.Balance <= 0 || j.Item.Claim.Credits <= 0 || j.Now.Before(over.Add(known.Balance)) {
		return nil
	}
	before, quiet, err := h.quietSince(ctx, j)
	if err != nil || !quiet {
		return err
	}
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	balance, err := j.account.Driver.Credits(asking)
	cancel()
	if err != nil {
		found.say("the balance could not be read: %s", fault.Reason(err))
		return nil
	}
	// Nothing may have begun while it was read.
	if again, still, err := h.quietSince(ctx, j); err != nil || !still || again != before {
		return err
	}
	if balance != before {
		found.say("the balance went from %g to %g credits, and nothing else was paid for in that time", before, balance)
		return nil
	}
	found.refuted = true
	found.say("the balance of %g credits did not move", balance)
	return nil
}
