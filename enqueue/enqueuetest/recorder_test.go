package enqueuetest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/enqueue/enqueuetest"
)

// listener is a test that collects what it is failed with.
type listener struct {
	testing.TB
	failures []string
}

func (l *listener) Helper() {}

func (l *listener) Errorf(format string, args ...any) {
	l.failures = append(l.failures, fmt.Sprintf(format, args...))
}

func TestRecorderShowsWhatWasSubmitted(t *testing.T) {
	r := enqueuetest.New(t)
	asked := open()
	id := must(r.Submit(t.Context(), asked))(t).SessionID
	must(r.Submit(t.Context(), open()))(t)
	must(r.Add(t.Context(), id, enqueue.Item{Source: "c.mp3"}))(t)
	other := must(r.Submit(t.Context(), enqueue.Session{Provider: "kie"}))(t).SessionID
	// What was recorded is the recorder's own.
	asked.Items[0].Source = "changed"
	*asked.Extend.StyleWeight = 0.9

	first := r.OfKey("order-1")
	if first.ID != id || first.Submissions != 2 || first.Sealed || first.Canceled || *first.Extend.StyleWeight != 0.5 {
		t.Errorf("OfKey = %+v; want session %s, submitted twice, open, style-weight 0.5", first, id)
	}
	sources := make([]string, len(first.Items))
	for n := range first.Items {
		sources[n] = first.Items[n].Source
	}
	if diff := cmp.Diff([]string{"https://example.com/a.mp3", "/songs/b.mp3", "c.mp3"}, sources); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
	all := r.Sessions()
	if len(all) != 2 || all[0].ID != id || all[1].ID != other || !all[1].Sealed {
		t.Errorf("Sessions = %+v; want %s and, sealed, %s", all, id, other)
	}
	if got := r.Session(other).Provider; got != "kie" {
		t.Errorf("provider of %s = %q, want kie", other, got)
	}
}

func TestFinishTakesResultsByIndex(t *testing.T) {
	r := enqueuetest.New(t)
	s := two()
	s.Items = append(s.Items, enqueue.Item{Source: "c.mp3"}, enqueue.Item{Source: "d.mp3"})
	id := must(r.Submit(t.Context(), s))(t).SessionID
	r.Fail(id, 2, enqueue.ItemError{Code: "rejected", Step: "extend", Reason: "moderation"})
	r.Hold(id, 3, enqueue.ItemError{Code: "timeout"})
	r.Finish(id, enqueuetest.Result{Tracks: []enqueue.Track{{AudioID: "x", Title: "X"}}, Credits: 12}, enqueuetest.Result{ClipID: "y"})
	status := must(r.Wait(t.Context(), id))(t)
	if diff := cmp.Diff([]string{"x", "y", "audio-3-a", "audio-3-b"}, status.AudioIDs); diff != "" {
		t.Errorf("audioIds (-want +got):\n%s", diff)
	}
	if status.Status != "partial" || status.CreditsSpent != 12 || status.Items[0].Tracks[0].Title != "X" {
		t.Errorf("status %+v; want partial, 12 credits, title X", status)
	}
	if got := status.Items[2]; got.Status != "failed" || got.Step != "extend" || got.ClipID != "clip-2" || got.Error.Reason != "moderation" {
		t.Errorf("item 2 = %+v; want failed at extend, with the clip of its upload", got)
	}
	if got := status.Items[3]; got.Status != "succeeded" || got.Error != nil {
		t.Errorf("item 3 = %+v; want succeeded after it was held", got)
	}
}

func TestMisuseFailsTheTest(t *testing.T) {
	rejected := enqueue.ItemError{Code: "rejected"}
	tests := []struct {
		name string
		use  func(r *enqueuetest.Recorder, id string)
		want string
	}{
		{"no session", func(r *enqueuetest.Recorder, _ string) { r.Session("ses_x") }, `no session "ses_x" was submitted`},
		{"finish of no session", func(r *enqueuetest.Recorder, _ string) { r.Finish("ses_x") }, `no session "ses_x" was submitted`},
		{"no key", func(r *enqueuetest.Recorder, _ string) { r.OfKey("order-2") }, `no session was submitted with the key "order-2"; keys: order-1`},
		{"no item", func(r *enqueuetest.Recorder, id string) { r.Fail(id, 2, rejected) }, "no item 2, there are 2"},
		{"before the first", func(r *enqueuetest.Recorder, id string) { r.Succeed(id, -1, enqueuetest.Result{}) }, "no item -1, there are 2"},
		{"ended", func(r *enqueuetest.Recorder, id string) { r.Fail(id, 1, rejected); r.Fail(id, 1, rejected) }, "item 1 has ended: it is failed"},
		{"no code", func(r *enqueuetest.Recorder, id string) { r.Fail(id, 0, enqueue.ItemError{}) }, `there is no code ""`},
		{"waiting is no failure", func(r *enqueuetest.Recorder, id string) { r.Fail(id, 0, enqueue.ItemError{Code: "pending"}) }, `there is no code "pending"`},
		{"no step", func(r *enqueuetest.Recorder, id string) {
			r.Fail(id, 1, enqueue.ItemError{Code: "rejected", Step: "extend"})
		}, `item 1 has no step "extend"`},
		{"no charge", func(r *enqueuetest.Recorder, id string) {
			r.Fail(id, 0, enqueue.ItemError{Code: "rejected", Charge: "maybe"})
		}, `there is no charge "maybe"`},
		{"too many results", func(r *enqueuetest.Recorder, id string) { r.Finish(id, make([]enqueuetest.Result, 3)...) }, "3 results for 2 items"},
		{"tracks of what is only uploaded", func(r *enqueuetest.Recorder, id string) {
			r.Succeed(id, 1, enqueuetest.Result{Tracks: make([]enqueue.Track, 1)})
		}, "item 1 is only uploaded: it has no tracks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := &listener{TB: t}
			r := enqueuetest.New(l)
			test.use(r, must(r.Submit(t.Context(), two()))(t).SessionID)
			if len(l.failures) != 1 || !strings.Contains(l.failures[0], test.want) {
				t.Errorf("failures %q; want one that says %q", l.failures, test.want)
			}
		})
	}
}

func TestReconnectBringsEverythingBack(t *testing.T) {
	r := enqueuetest.New(t)
	id := must(r.Submit(t.Context(), two()))(t).SessionID
	r.Disconnect()
	refused(t, "Status", enqueue.ErrUnavailable)(r.Status(t.Context(), id))
	r.Reconnect()
	if again := must(r.Submit(t.Context(), two()))(t); again.SessionID != id {
		t.Errorf("Submit after Reconnect = %s; want %s", again.SessionID, id)
	}
}

func TestManySubmittersOfOneKey(t *testing.T) {
	r := enqueuetest.New(t)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			submitted, err := r.Submit(t.Context(), open())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := r.Add(t.Context(), submitted.SessionID, enqueue.Item{Source: "c.mp3", Key: "c"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := r.Sessions(); len(got) != 1 || len(got[0].Items) != 3 || got[0].Submissions != 100 {
		t.Errorf("sessions %+v; want one with 3 items, submitted 100 times", got)
	}
}
