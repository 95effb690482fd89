package enqueuetest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/session"
)

// two is a submission of two items, of which the first is extended.
func two() enqueue.Session {
	return enqueue.Session{
		Provider: "sim", Name: "evening", Key: "order-1", Extend: &enqueue.Extend{ContinueAt: 60, StyleWeight: new(0.5)},
		Items: []enqueue.Item{
			{Source: "https://example.com/a.mp3", Key: "a", Known: enqueue.Audio{SHA256: "ab", Duration: 90 * time.Second, ModTime: time.Unix(1, 0)}},
			{Source: "/songs/b.mp3", Name: "b", UploadOnly: true},
		},
	}
}

// open is two, left open.
func open() enqueue.Session {
	s := two()
	s.Open = true
	return s
}

// behaviours are what a producer may rely on.
var behaviours = map[string]func(t *testing.T, p subject){
	"an item that succeeded shows its results": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), two()))(t).SessionID
		p.succeed(id, 0, true)
		p.succeed(id, 1, false)
		status := must(p.Wait(t.Context(), id))(t)
		for n := range status.Items {
			status.Items[n].OperationIDs = nil // a provider's, which the recorder has none of
		}
		want := &enqueue.Status{
			SessionID: id, Name: "evening", Provider: "sim", Account: "main", Status: "succeeded",
			Counts:   enqueue.Counts{Total: 2, Succeeded: 2},
			AudioIDs: []string{"audio-0-a", "audio-0-b", "clip-1"}, CreditsSpent: 6,
			Items: []enqueue.ItemStatus{
				{
					ItemID: id + ".0", Source: "https://example.com/a.mp3", SHA256: "ab", DurationSeconds: 90, Status: "succeeded", Step: "fetch",
					ClipID: "clip-0", AudioIDs: []string{"audio-0-a", "audio-0-b"},
					Tracks: []enqueue.Track{{AudioID: "audio-0-a"}, {AudioID: "audio-0-b"}}, Credits: 3,
				},
				{
					ItemID: id + ".1", Index: 1, Source: "b", Status: "succeeded", Step: "upload",
					ClipID: "clip-1", AudioIDs: []string{"clip-1"}, Tracks: []enqueue.Track{}, Credits: 3,
				},
			},
		}
		if diff := cmp.Diff(want, status); diff != "" {
			t.Errorf("Wait (-want +got):\n%s", diff)
		}
	},
	"an item that failed or is held says why": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), two()))(t).SessionID
		p.fail(id, 0)
		p.hold(id, 1)
		status := must(p.Wait(t.Context(), id))(t)
		if status.Status != "held" || status.Counts != (enqueue.Counts{Total: 2, Failed: 1, Held: 1}) {
			t.Errorf("Wait = %s, %+v; want held with one failed and one held", status.Status, status.Counts)
		}
		wants := []enqueue.ItemError{
			{Code: "rejected", Step: "upload", Reason: "copyright", Charge: "not charged"},
			{Code: "timeout", Step: "upload", Reason: "no answer", Charge: "unknown"},
		}
		for n, want := range wants {
			if got := status.Items[n].Error; got == nil || *got != want {
				t.Errorf("error of item %d = %+v, want %+v", n, got, want)
			}
		}
	},
	"a submitted session waits": func(t *testing.T, p subject) {
		submitted := must(p.Submit(t.Context(), two()))(t)
		id := submitted.SessionID
		want := &enqueue.Submitted{SessionID: id, Items: []enqueue.Answer{{ItemID: id + ".0"}, {ItemID: id + ".1", Index: 1}}}
		if diff := cmp.Diff(want, submitted); diff != "" || !session.ValidID(id) {
			t.Errorf("Submit (-want +got):\n%s", diff)
		}
		progress := must(p.Progress(t.Context(), id))(t)
		wantProgress := &enqueue.Status{
			SessionID: id, Name: "evening", Provider: "sim", Account: "main", Status: "running",
			Counts: enqueue.Counts{Total: 2, Waiting: 2}, AudioIDs: []string{}, Items: []enqueue.ItemStatus{},
		}
		if diff := cmp.Diff(wantProgress, progress); diff != "" {
			t.Errorf("Progress (-want +got):\n%s", diff)
		}
		if status := must(p.Status(t.Context(), id))(t); len(status.Items) != 2 || status.Items[0].Status != "queued" || status.Items[0].Step != "upload" {
			t.Errorf("Status = %+v; want two items queued at upload", status)
		}
	},
	"a key is one session": func(t *testing.T, p subject) {
		first := must(p.Submit(t.Context(), two()))(t)
		same := two()
		same.Account, same.Items[0].Known.ModTime = "main", time.Unix(2, 0)
		again := must(p.Submit(t.Context(), same))(t)
		id := first.SessionID
		want := &enqueue.Submitted{SessionID: id, Existed: true, Items: []enqueue.Answer{{ItemID: id + ".0", Existed: true}, {ItemID: id + ".1", Index: 1, Existed: true}}}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Errorf("second Submit (-want +got):\n%s", diff)
		}
		other := two()
		other.Items = other.Items[:1]
		refused(t, "Submit with other items", enqueue.ErrConflict)(p.Submit(t.Context(), other))
		other = two()
		other.Extend.StyleWeight = new(0.6)
		refused(t, "Submit with another weight", enqueue.ErrConflict)(p.Submit(t.Context(), other))
		other = two()
		other.Items[1].UploadOnly = false
		refused(t, "Submit that extends one more", enqueue.ErrConflict)(p.Submit(t.Context(), other))
	},
	"without a key every submission is a session": func(t *testing.T, p subject) {
		s := two()
		s.Key = ""
		first, second := must(p.Submit(t.Context(), s))(t), must(p.Submit(t.Context(), s))(t)
		if first.SessionID == second.SessionID || second.Existed {
			t.Errorf("ids %s and %s, existed %v; want two new sessions", first.SessionID, second.SessionID, second.Existed)
		}
	},
	"an open session grows until it is sealed": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), open()))(t).SessionID
		p.succeed(id, 0, true)
		p.succeed(id, 1, false)
		if status := must(p.Progress(t.Context(), id))(t); status.Status != "open" || status.Over() {
			t.Errorf("an open session whose items ended is %s; want open", status.Status)
		}
		answers := must(p.Add(t.Context(), id, enqueue.Item{Source: "c.mp3", Key: "c"}, enqueue.Item{Source: "a", Key: "a"}))(t)
		want := []enqueue.Answer{{ItemID: id + ".2", Index: 2}, {ItemID: id + ".0", Existed: true}}
		if diff := cmp.Diff(want, answers); diff != "" {
			t.Errorf("Add (-want +got):\n%s", diff)
		}
		for range 2 {
			if err := p.Seal(t.Context(), id); err != nil {
				t.Errorf("Seal = %v", err)
			}
		}
		refused(t, "Add after Seal", enqueue.ErrConflict)(p.Add(t.Context(), id, enqueue.Item{Source: "d.mp3"}))
		if answers := must(p.Add(t.Context(), id, enqueue.Item{Source: "c.mp3", Key: "c"}))(t); !answers[0].Existed {
			t.Errorf("Add of what is there = %+v; want existed", answers)
		}
		p.fail(id, 2)
		if status := must(p.Wait(t.Context(), id))(t); status.Status != "partial" || status.Counts.Total != 3 {
			t.Errorf("Wait = %s with %d items; want partial with 3", status.Status, status.Counts.Total)
		}
	},
	"submitting again without Open seals": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), open()))(t).SessionID
		must(p.Submit(t.Context(), two()))(t)
		refused(t, "Add", enqueue.ErrConflict)(p.Add(t.Context(), id, enqueue.Item{Source: "d.mp3"}))
	},
	"cancel ends what waits, once and for all": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), open()))(t).SessionID
		p.succeed(id, 1, false)
		for range 2 {
			status := must(p.Cancel(t.Context(), id))(t)
			if status.Status != "partial" || status.Counts != (enqueue.Counts{Total: 2, Succeeded: 1, Canceled: 1}) || len(status.Items) != 0 {
				t.Errorf("Cancel = %+v; want partial, one succeeded, one canceled, no items", status)
			}
		}
		refused(t, "Add after Cancel", enqueue.ErrCanceled)(p.Add(t.Context(), id, enqueue.Item{Source: "d.mp3"}))
		submitted, err := p.Submit(t.Context(), two())
		if !errors.Is(err, enqueue.ErrCanceled) || submitted.SessionID != id || !errors.Is(submitted.Items[0].Err, enqueue.ErrCanceled) {
			t.Errorf("Submit after Cancel = %+v, %v; want ErrCanceled, for its items too", submitted, err)
		}
		if status := must(p.Wait(t.Context(), id))(t); status.Items[0].Status != "canceled" || status.Items[1].Status != "succeeded" {
			t.Errorf("items %+v; want canceled and succeeded", status.Items)
		}
	},
	"a session of no items succeeds": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), enqueue.Session{Provider: "sim"}))(t).SessionID
		status := must(p.Wait(t.Context(), id))(t)
		if status.Status != "succeeded" || status.Items == nil || status.AudioIDs == nil {
			t.Errorf("Wait = %+v; want succeeded, with lists that are empty and not null", status)
		}
		if answers := must(p.Add(t.Context(), id))(t); len(answers) != 0 {
			t.Errorf("Add of nothing = %+v; want no answers", answers)
		}
	},
	"what can never be accepted is invalid": func(t *testing.T, p subject) {
		var invalid *enqueue.InvalidError
		_, err := p.Submit(t.Context(), enqueue.Session{Items: []enqueue.Item{{}, {Source: "ftp://x/y"}}})
		if !errors.As(err, &invalid) || len(invalid.Findings) != 3 {
			t.Errorf("Submit = %v; want 3 findings", err)
		}
		_, err = p.Add(t.Context(), "nowhere", enqueue.Item{}, enqueue.Item{Source: "ftp://x/y"})
		if !errors.As(err, &invalid) || len(invalid.Findings) != 2 {
			t.Errorf("Add = %v; want 2 findings", err)
		}
	},
	"a wrong id is not found": func(t *testing.T, p subject) {
		absent := must(session.NewID())(t)
		for _, id := range []string{absent, "", "ses_", absent + ".0"} {
			everyCall(t, p, id, enqueue.ErrNotFound)
		}
	},
	"without a connection everything is unavailable": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), two()))(t).SessionID
		p.disconnect()
		everyCall(t, p, id, enqueue.ErrUnavailable)
		refused(t, "Submit", enqueue.ErrUnavailable)(p.Submit(t.Context(), two()))
		refused(t, "Status of no session", enqueue.ErrNotFound)(p.Status(t.Context(), "nowhere"))
	},
	"a canceled context is not a canceled session": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), two()))(t).SessionID
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for name, call := range map[string]func() error{
			"Submit": func() error { _, err := p.Submit(ctx, two()); return err },
			"Status": func() error { _, err := p.Status(ctx, id); return err },
			"Wait":   func() error { _, err := p.Wait(ctx, id); return err },
		} {
			if err := call(); !errors.Is(err, context.Canceled) || errors.Is(err, enqueue.ErrCanceled) {
				t.Errorf("%s = %v; want context.Canceled and not ErrCanceled", name, err)
			}
		}
	},
	"a deadline that passed": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), two()))(t).SessionID
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		defer cancel()
		refused(t, "Status", enqueue.ErrUnavailable)(p.Status(ctx, id))
		refused(t, "Wait", context.DeadlineExceeded)(p.Wait(ctx, id))
	},
	"wait hears of the end": func(t *testing.T, p subject) {
		id := must(p.Submit(t.Context(), two()))(t).SessionID
		ended := make(chan *enqueue.Status)
		go func() {
			status, err := p.Wait(t.Context(), id)
			if err != nil {
				t.Error(err)
			}
			ended <- status
		}()
		p.succeed(id, 0, true)
		select {
		case status := <-ended:
			t.Errorf("Wait returned %+v while an item waits", status)
		default:
		}
		p.succeed(id, 1, false)
		if status := <-ended; status == nil || status.Status != "succeeded" {
			t.Errorf("Wait = %+v; want succeeded", status)
		}
	},
}

// everyCall expects every call that names a session to be refused alike.
func everyCall(t *testing.T, p subject, id string, want error) {
	t.Helper()
	refused(t, "Add", want)(p.Add(t.Context(), id, enqueue.Item{Source: "a.mp3"}))
	refused(t, "Status", want)(p.Status(t.Context(), id))
	refused(t, "Progress", want)(p.Progress(t.Context(), id))
	refused(t, "Wait", want)(p.Wait(t.Context(), id))
	refused(t, "Cancel", want)(p.Cancel(t.Context(), id))
	if err := p.Seal(t.Context(), id); !errors.Is(err, want) {
		t.Errorf("Seal(%q) = %v; want %v", id, err, want)
	}
}

// refused takes the answer of a call that must fail.
func refused(t *testing.T, call string, want error) func(any, error) {
	t.Helper()
	return func(answer any, err error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("%s = %+v, %v; want %v", call, answer, err, want)
		}
	}
}

// must takes the answer of a call that must succeed.
func must[T any](answer T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
}

func TestClientAndRecorderBehaveAlike(t *testing.T) {
	for name, behaviour := range behaviours {
		for kind, subject := range subjects {
			t.Run(name+"/"+kind, func(t *testing.T) { behaviour(t, subject(t)) })
		}
	}
}
