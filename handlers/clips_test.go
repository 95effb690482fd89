package handlers_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

// bookOfClips is handlers.Clips in memory, on the rig's clock.
type bookOfClips struct {
	r     *rig
	clips map[string]session.Item // content → the item that uploaded it
	begun map[string]announced
	fails error
	kept  int
}

type announced struct {
	item  string
	until time.Time
}

func withClips(r *rig) *bookOfClips {
	b := &bookOfClips{r: r, clips: map[string]session.Item{}, begun: map[string]announced{}}
	made := r.make
	r.make = func() *handlers.Handlers { h := made(); h.Clips = b; return h }
	r.h.Clips = b
	return b
}

func (b *bookOfClips) Find(_ context.Context, _ *session.Session, it *session.Item) (*provider.Clip, string, error) {
	of, ok := b.clips[it.Source.SHA256]
	if b.fails != nil || !ok {
		return nil, "", b.fails
	}
	return of.Clip, of.ID(), nil
}

func (b *bookOfClips) Begin(_ context.Context, _ *session.Session, it *session.Item, lease time.Duration) (string, error) {
	if a, ok := b.begun[it.Source.SHA256]; ok && a.item != it.ID() && b.r.clock.Before(a.until) {
		return a.item, nil
	}
	b.begun[it.Source.SHA256] = announced{it.ID(), b.r.clock.Add(lease)}
	return "", nil
}

func (b *bookOfClips) Keep(_ context.Context, _ *session.Session, it *session.Item) error {
	b.clips[it.Source.SHA256] = *it
	b.kept++
	return nil
}

func (b *bookOfClips) End(_ context.Context, _ *session.Session, it *session.Item) error {
	if b.begun[it.Source.SHA256].item == it.ID() {
		delete(b.begun, it.Source.SHA256)
	}
	return nil
}

func (b *bookOfClips) Lose(_ context.Context, _ *session.Session, it *session.Item) error {
	if of := b.clips[it.Source.SHA256]; of.ID() == it.ClipOf {
		delete(b.clips, it.Source.SHA256)
	}
	return nil
}

func (r *rig) wantEnd(id string, index int, clip, of string, credits float64) {
	r.t.Helper()
	it := r.item(id, index)
	if it.Label() != "succeeded" || it.Clip.ID != clip || it.ClipOf != of || it.Credits() != credits {
		r.t.Errorf("item %d: %s with clip %s of %q for %g credits; want succeeded, %s of %q, %g",
			index, it.Label(), it.Clip.ID, it.ClipOf, it.Credits(), clip, of, credits)
	}
}

func TestClipIsContinuedASecondTime(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	first := r.submit(1, session.Spec{})
	r.carryOn(first)
	second := r.submit(1, session.Spec{})
	r.carryOn(second)
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-1 at 55")
	r.wantEnd(first, 0, "clip-op-1", "", 12)
	r.wantEnd(second, 0, "clip-op-1", first+".0", 10)
	if book.kept != 1 || r.vendor.opened != 1 {
		t.Errorf("%d clips kept and %d remote sessions opened, want 1 and 1: the second was not uploaded", book.kept, r.vendor.opened)
	}
}

// TestSameAudioTwice: what is continued in two ways in one session is uploaded once.
func TestSameAudioTwice(t *testing.T) {
	r := newRig(t)
	withClips(r)
	id := r.submit(2, session.Spec{})
	r.carryOn(id)
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-1 at 55")
	r.wantEnd(id, 1, "clip-op-1", id+".0", 10)
}

// TestUploaderDies: others of the same audio wait for no longer than the lease.
func TestUploaderDies(t *testing.T) {
	r := newRig(t)
	withClips(r)
	id := r.submit(2, session.Spec{})
	first, _ := r.next(id, 0)
	r.h.Hook = func(here string) {
		if here == "sent" {
			panic(errCrash)
		}
	}
	if err := r.deliver(first); !errors.Is(err, errCrash) {
		t.Fatalf("%v, want a crash", err)
	}
	r.restart()
	r.pass(session.DeadAfter + time.Second)
	second, _ := r.next(id, 1)
	if err := r.deliver(second); err == nil {
		t.Error("the second upload began at once, want it to wait for the first")
	}
	it := r.item(id, 1)
	if it.State != session.Queued || it.Failure == nil || it.Failure.Reason != "the same audio is being uploaded as "+id+".0" {
		t.Errorf("while it waits it is %s: %+v", it.Label(), it.Failure)
	}
	r.pass(5 * time.Minute)
	r.carryOn(id)
	r.wantEnd(id, 1, "clip-op-2", "", 12)
	r.wantCharges("upload a.mp3 in remote-1", "upload b.mp3 in remote-1", "extend clip-op-2 at 55")
}

// TestWaitingForAnotherUploadIsNoAttempt: it takes minutes, and leaves an upload all the
// attempts that it has.
func TestWaitingForAnotherUploadIsNoAttempt(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	book.begun["ff"] = announced{"ses_other.0", r.clock.Add(time.Minute)}
	id := r.submit(1, session.Spec{})
	for range 8 {
		task, _ := r.next(id, 0)
		if err := r.deliver(task); err == nil {
			t.Error("the upload began, want it to wait")
		}
		r.pass(5 * time.Second)
	}
	if it := r.item(id, 0); it.Attempts != 0 || it.Failure == nil {
		t.Errorf("%d attempts counted, for %+v; want none, and a reason", it.Attempts, it.Failure)
	}
	r.pass(time.Minute)
	r.vendor.submits = []func(func()) error{refuse(fault.Malformed)} // a proxy's page
	r.carryOn(id)
	r.wantEnd(id, 0, "clip-op-1", "", 12)
}

// TestOldClipIsUploadedOnce: what is about to expire is uploaded by one for all.
func TestOldClipIsUploadedOnce(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	book.clips["ff"] = session.Item{Session: "ses_old", Clip: &provider.Clip{ID: "old", Expires: r.clock.Add(time.Minute)}}
	id := r.submit(3, session.Spec{})
	r.carryOn(id)
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-1 at 55", "extend clip-op-1 at 55")
}

// TestLostClipThatWasCharged: a refusal that was paid for ends the item, with what it
// cost, and the clip is not offered to others.
func TestLostClipThatWasCharged(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	r.carryOn(r.submit(1, session.Spec{}))
	r.vendor.submits = []func(func()) error{func(bill func()) error {
		bill()
		return &fault.Error{Code: fault.NotFound, Charge: fault.ChargeMade, Op: "vendor.Extend", Err: errors.New("clip not found")}
	}}
	id := r.submit(1, session.Spec{})
	r.carryOn(id)
	it := r.item(id, 0)
	if it.Label() != "failed" || it.Credits() != 10 || len(book.clips) != 0 {
		t.Errorf("%s for %g credits, with %d clips in the book; want failed, 10 and none", it.Label(), it.Credits(), len(book.clips))
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-1 at 55")
	spent, err := r.ledger.Totals(t.Context(), ledger.Account{Provider: "vendor", Name: "main"}, ledger.ScopeSession, id)
	if err != nil || spent != (ledger.Totals{Spent: 10}) {
		t.Errorf("the books have %+v, %v; want 10 spent", spent, err)
	}
}

// TestLostClip: what the provider has no more is uploaded after all, once.
func TestLostClip(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	r.carryOn(r.submit(1, session.Spec{}))
	r.vendor.submits = []func(func()) error{refuse(fault.NotFound)}
	second := r.submit(1, session.Spec{})
	r.carryOn(second)
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "upload a.mp3 in remote-2", "extend clip-op-3 at 55")
	r.wantEnd(second, 0, "clip-op-3", "", 12)
	if of := book.clips["ff"]; of.ID() != second+".0" {
		t.Errorf("the book has the clip of %s, want the new one", of.ID())
	}
}

// TestLostClipFoundOutLate: the extend was accepted, and came to nothing. It is not
// sent again by itself; who retries it has the file uploaded.
func TestLostClipFoundOutLate(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	r.carryOn(r.submit(1, session.Spec{}))
	r.vendor.states = []func() (*provider.State, error){func() (*provider.State, error) {
		return &provider.State{Done: true, Failure: fault.New(fault.NotFound, "vendor.Poll", errors.New("clip not found"))}, nil
	}}
	second := r.submit(1, session.Spec{})
	r.carryOn(second)
	if it := r.item(second, 0); it.Label() != "failed" || it.RetriedFrom("") != session.StepUpload || len(book.clips) != 0 {
		t.Errorf("%s, to be retried from %s, with %d clips in the book; want failed, upload, 0", it.Label(), it.RetriedFrom(""), len(book.clips))
	}
	if _, _, err := r.store.Update(t.Context(), second, 0, 0, func(w *session.Work) error { return w.Item.Retry("", w.Now) }); err != nil {
		t.Fatal(err)
	}
	for range 3 { // upload, poll, extend
		task, _ := r.next(second, 0)
		if err := r.deliver(task); err != nil {
			t.Errorf("%s: %v", task.ID, err)
		}
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-1 at 55", "upload a.mp3 in remote-2", "extend clip-op-4 at 55")
}

func TestClipIsNotReused(t *testing.T) {
	cases := map[string]func(r *rig, b *bookOfClips) (id string){
		"a session that asks for uploads": func(r *rig, _ *bookOfClips) string { return r.submit(1, session.Spec{Anew: true}) },
		"a clip that is about to expire": func(r *rig, b *bookOfClips) string {
			of := b.clips["ff"]
			of.Clip = &provider.Clip{ID: "old", Expires: r.clock.Add(10 * time.Minute)}
			b.clips["ff"] = of
			return r.submit(1, session.Spec{})
		},
		"a book that cannot be read": func(r *rig, b *bookOfClips) string {
			b.fails = fault.New(fault.Malformed, "book", errors.New("torn"))
			return r.submit(1, session.Spec{})
		},
		"a provider whose clips are URLs": func(r *rig, _ *bookOfClips) string {
			r.info.Uploads.Clips = false
			r.restart()
			return r.submit(1, session.Spec{})
		},
	}
	for name, second := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			book := withClips(r)
			r.carryOn(r.submit(1, session.Spec{}))
			r.carryOn(second(r, book))
			r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "upload a.mp3 in remote-2", "extend clip-op-3 at 55")
		})
	}
}

// TestBookOfClipsAway: Redis is there and the book is not; nothing is sent until it is
// known whether that would be paid for a second time.
func TestBookOfClipsAway(t *testing.T) {
	r := newRig(t)
	book := withClips(r)
	book.fails = fault.New(fault.Unavailable, "book", errors.New("away"))
	id := r.submit(1, session.Spec{})
	task, _ := r.next(id, 0)
	if err := r.deliver(task); err == nil {
		t.Error("the upload went well, want it put off")
	}
	r.wantCharges()
	book.fails = nil
	r.carryOn(id)
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

func TestCrashWhileReusing(t *testing.T) {
	for _, place := range []string{"preparing", "before record", "recorded", "accounted", "enqueued"} {
		t.Run(place, func(t *testing.T) {
			r := newRig(t)
			withClips(r)
			r.carryOn(r.submit(1, session.Spec{}))
			id := r.submit(1, session.Spec{})
			r.h.Hook = func(here string) {
				if here == place {
					panic(errCrash)
				}
			}
			task, _ := r.next(id, 0)
			if err := r.deliver(task); !errors.Is(err, errCrash) {
				t.Fatalf("at %q: %v, want a crash", place, err)
			}
			r.restart()
			r.pass(session.DeadAfter + time.Second)
			r.carryOn(id)
			r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-1 at 55")
		})
	}
}
