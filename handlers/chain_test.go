package handlers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"github.com/segue-audio/segue/handlers"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
	"github.com/segue-audio/segue/tasks"
)

func TestChain(t *testing.T) {
	r := newRig(t)
	id := r.submit(2, session.Spec{})
	current := r.carryOn(id)
	if current.Status() != session.StatusSucceeded || current.Settled != 1 {
		t.Errorf("status %s, settled %d times; want succeeded, once", current.Status(), current.Settled)
	}
	r.wantCharges("upload a.mp3 in remote-1", "upload b.mp3 in remote-1", "extend clip-op-1 at 55", "extend clip-op-2 at 55")
	view, err := r.store.View(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"op-3-a", "op-3-b", "op-4-a", "op-4-b"}, view.AudioIDs); diff != "" {
		t.Errorf("audioIds (-want +got):\n%s", diff)
	}
	if view.CreditsSpent != 24 {
		t.Errorf("credits spent %g, want 24", view.CreditsSpent)
	}
	want := map[string]string{
		id + "/000-a-1": "https://cdn.test/op-3-a", id + "/000-a-2": "https://cdn.test/op-3-b",
		id + "/001-b-1": "https://cdn.test/op-4-a", id + "/001-b-2": "https://cdn.test/op-4-b",
	}
	if diff := cmp.Diff(want, r.shelf.kept); diff != "" {
		t.Errorf("archived (-want +got):\n%s", diff)
	}
	report := r.shelf.files[id+"/session.json"]
	if !strings.Contains(report, `"status": "succeeded"`) || strings.Contains(report, "cdn.test") {
		t.Errorf("session.json lacks the status or holds a signed URL:\n%s", report)
	}
}

// TestEveryDeliveryTwice delivers each task a second time after it was done.
func TestEveryDeliveryTwice(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	for range 5 {
		task, ok := r.next(id, 0)
		if !ok {
			t.Fatalf("nothing follows at %s", r.item(id, 0).Label())
		}
		for n := range 3 {
			if err := r.deliver(task); err != nil {
				t.Errorf("delivery %d of %s: %v", n+1, task.ID, err)
			}
		}
	}
	if got := r.item(id, 0).Label(); got != "succeeded" {
		t.Errorf("after five tasks the item is at %s, want succeeded", got)
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
	if len(r.shelf.kept) != 2 || r.vendor.polls != 2 {
		t.Errorf("%d tracks, %d polls; want 2 and 2", len(r.shelf.kept), r.vendor.polls)
	}
}

// TestCrashAnywhere ends the process at every place of every step, restarts it,
// and holds the promises. A paid step that was claimed and not recorded is in doubt
// and, since this provider has no evidence to give, held; everything else ends by
// itself.
func TestCrashAnywhere(t *testing.T) {
	steps := []string{"audio:upload", "audio:poll upload", "audio:extend", "audio:poll extend", "audio:fetch", "session:settle"}
	cases := map[string]map[string]string{ // step → place → how the item ends up
		"audio:upload":      {"preparing": "succeeded", "reserved": "succeeded", "claimed": "upload.held", "sent": "upload.held", "before record": "upload.held", "recorded": "succeeded", "accounted": "succeeded", "enqueued": "succeeded"},
		"audio:poll upload": {"before record": "succeeded", "recorded": "succeeded", "enqueued": "succeeded"},
		"audio:extend":      {"reserved": "succeeded", "claimed": "extend.held", "sent": "extend.held", "before record": "extend.held", "recorded": "succeeded", "accounted": "succeeded", "enqueued": "succeeded"},
		"audio:poll extend": {"before record": "succeeded", "recorded": "succeeded", "enqueued": "succeeded"},
		"audio:fetch":       {"claimed": "succeeded", "before record": "succeeded", "recorded": "succeeded"},
		"session:settle":    {"reported": "succeeded"},
	}
	for at, step := range steps {
		for place, want := range cases[step] {
			t.Run(step+" "+place, func(t *testing.T) {
				r := newRig(t)
				id := r.submit(1, session.Spec{})
				for range at {
					task, _ := r.next(id, 0)
					if err := r.deliver(task); err != nil {
						t.Fatal(err)
					}
				}
				r.h.Hook = func(here string) {
					if here == place {
						panic(errCrash)
					}
				}
				task, ok := r.next(id, 0)
				if !ok {
					var err error
					if task, err = session.SettleTask(id, 1, 0); err != nil {
						t.Fatal(err)
					}
				}
				if err := r.deliver(task); !errors.Is(err, errCrash) {
					t.Fatalf("%s at %q: %v, want a crash", task.ID, place, err)
				}
				r.restart()
				r.pass(session.DeadAfter + time.Second)
				current := r.carryOn(id)
				if got := r.item(id, 0).Label(); got != want {
					t.Errorf("ends at %s, want %s", got, want)
				}
				seen := map[string]int{}
				for _, charge := range r.vendor.charges {
					if seen[charge]++; seen[charge] > 1 {
						t.Errorf("P1: charged twice: %s", charge)
					}
				}
				if want == "succeeded" && (current.Settled != 1 || len(r.vendor.charges) != 2) {
					t.Errorf("settled %d times with %d charges, want once with 2", current.Settled, len(r.vendor.charges))
				}
			})
		}
	}
}

func TestOutcomesOfPaidRequests(t *testing.T) {
	cases := []struct {
		name    string
		answer  func(func()) error
		label   string
		code    fault.Code
		charge  string
		charges int
	}{
		{"answer lost, billed", billAndLose, "upload.reconciling", fault.Timeout, "unknown", 1},
		{"answer lost, not billed", loseUnbilled, "upload.reconciling", fault.Timeout, "unknown", 0},
		{"bad request", refuse(fault.Invalid), "failed", fault.Invalid, "not charged", 0},
		{"wrong key", refuse(fault.Denied), "failed", fault.Denied, "not charged", 0},
		{"refused on its merits", refuse(fault.Rejected), "failed", fault.Rejected, "not charged", 0},
		{"rate limit", refuse(fault.Exhausted), "upload.queued", fault.Exhausted, "not charged", 0},
		{"down", refuse(fault.Unavailable), "upload.queued", fault.Unavailable, "not charged", 0},
		{"billed and failed", func(bill func()) error {
			bill()
			return &fault.Error{Code: fault.Unavailable, Charge: fault.ChargeMade, Err: errors.New("billed, no result")}
		}, "failed", fault.Unavailable, "charged", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.vendor.submits = []func(func()) error{c.answer}
			id := r.submit(1, session.Spec{})
			task, _ := r.next(id, 0)
			if err := r.deliver(task); err == nil {
				t.Error("the queue is told of success, want the trouble")
			}
			it := r.item(id, 0)
			if it.Label() != c.label || it.Failure == nil || it.Failure.Code != c.code || it.Failure.Charge != c.charge {
				t.Errorf("item at %s with %+v, want %s, %s, %s", it.Label(), it.Failure, c.label, c.code, c.charge)
			}
			if len(r.vendor.charges) != c.charges {
				t.Errorf("%d charges, want %d", len(r.vendor.charges), c.charges)
			}
		})
	}
}

func TestRefusedForNowIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.vendor.submits = []func(func()) error{refuse(fault.Unavailable), refuse(fault.Exhausted), refuse(fault.Unavailable)}
	id := r.submit(1, session.Spec{})
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

func TestGivesUpOnAProviderThatStaysDown(t *testing.T) {
	r := newRig(t)
	for range 2000 {
		r.vendor.submits = append(r.vendor.submits, refuse(fault.Unavailable))
	}
	id := r.submit(1, session.Spec{})
	task, _ := r.next(id, 0)
	if err := r.deliver(task); err == nil || errors.Is(err, asynq.SkipRetry) {
		t.Errorf("first attempt: %v, want a retry", err)
	}
	// The step's clock starts when a step is queued by the one before it; an
	// upload's starts with its first attempt.
	r.pass(25 * time.Hour)
	if err := r.deliver(task); !errors.Is(err, asynq.SkipRetry) {
		t.Errorf("after 25 h: %v, want the end", err)
	}
	if it := r.item(id, 0); it.State != session.Failed || it.Failure.Code != fault.Unavailable {
		t.Errorf("item %s %+v, want failed, unavailable", it.State, it.Failure)
	}
}

func TestResubmitPolicySendsOnceMoreAsANewGeneration(t *testing.T) {
	r := newRig(t)
	r.vendor.submits = []func(func()) error{billAndLose}
	id := r.submit(1, session.Spec{OnUnknown: session.Resubmit})
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "upload a.mp3 in remote-1", "extend clip-op-2 at 55")
	if got := r.item(id, 0).Used[session.StepUpload]; got != 2 {
		t.Errorf("%d generations of the upload, want 2", got)
	}
}

// TestLateAnswerOfAZombie: a worker is thought dead, its item is held, and then
// its answer comes after all: the very evidence that was missing.
func TestLateAnswerOfAZombie(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	zombie := r.h
	r.vendor.submits = []func(func()) error{func(bill func()) error {
		bill()
		r.restart()
		r.pass(session.DeadAfter + time.Second)
		r.sweep()
		if got := r.item(id, 0).Label(); got != "upload.reconciling" {
			t.Errorf("while its worker is frozen the item is at %s, want upload.reconciling", got)
		}
		return nil
	}}
	task, _ := r.next(id, 0)
	p, err := tasks.AudioUpload.Decode(task.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := zombie.Upload(t.Context(), p); err != nil {
		t.Errorf("the zombie's attempt: %v, want its answer recorded", err)
	}
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

func TestPolling(t *testing.T) {
	running := func() (*provider.State, error) { return &provider.State{Word: "running"}, nil }
	down := func() (*provider.State, error) { return nil, fault.New(fault.Unavailable, "v.Poll", errors.New("503")) }
	unknown := func() (*provider.State, error) {
		return nil, fault.New(fault.NotFound, "v.Poll", errors.New("no such task"))
	}
	lost := func() (*provider.State, error) {
		return &provider.State{Done: true, Failure: &fault.Error{Code: fault.Rejected, Charge: fault.ChargeMade, Err: errors.New("matches existing work")}}, nil
	}
	cases := []struct {
		name   string
		states []func() (*provider.State, error)
		want   string
		reason string
	}{
		{"not ready, then done", []func() (*provider.State, error){running, running}, "succeeded", ""},
		{"down for a while", []func() (*provider.State, error){down, down, running}, "succeeded", ""},
		{"unknown for a moment", []func() (*provider.State, error){unknown, unknown}, "succeeded", ""},
		{"unknown for good", []func() (*provider.State, error){unknown, unknown, unknown, unknown, unknown, unknown}, "failed", "was accepted, but nothing came of it"},
		{"ended badly", []func() (*provider.State, error){running, lost}, "failed", "matches existing work"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.vendor.states = c.states
			id := r.submit(1, session.Spec{})
			r.carryOn(id)
			it := r.item(id, 0)
			if it.Label() != c.want {
				t.Errorf("ends at %s, want %s", it.Label(), c.want)
			}
			if c.reason != "" && (it.Failure == nil || !strings.Contains(it.Failure.Reason, c.reason) || it.Failure.Charge != "charged") {
				t.Errorf("failure %+v, want one that says %q, charged", it.Failure, c.reason)
			}
		})
	}
}

// TestWaitingIsFree is P6 at the handler: a poll that finds nothing is no
// failure, and says when to come back.
func TestWaitingIsFree(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	upload, _ := r.next(id, 0)
	if err := r.deliver(upload); err != nil {
		t.Fatal(err)
	}
	poll, _ := r.next(id, 0)
	for _, c := range []struct{ age, want time.Duration }{
		{time.Second, 2 * time.Second},
		{9 * time.Second, 2 * time.Second},
		{40 * time.Second, 10 * time.Second},
		{500 * time.Second, 30 * time.Second},
	} {
		r.pass(c.age)
		r.vendor.states = append(r.vendor.states, func() (*provider.State, error) { return &provider.State{Word: "queued"}, nil })
		err := r.deliver(poll)
		if handlers.IsFailure(err) {
			t.Errorf("waiting counts as a failure: %v", err)
		}
		if got := handlers.RetryDelay(0, err, nil); got < c.want || got > c.want+2*time.Second {
			t.Errorf("after another %v the next question is in %v, want about %v", c.age, got, c.want)
		}
	}
	r.pass(2 * time.Hour)
	r.vendor.states = append(r.vendor.states, func() (*provider.State, error) { return &provider.State{Word: "queued"}, nil })
	if err := r.deliver(poll); !errors.Is(err, asynq.SkipRetry) {
		t.Errorf("past its deadline: %v, want the end", err)
	}
	if it := r.item(id, 0); it.State != session.Failed || it.Failure.Code != fault.Timeout || it.Failure.Charge != "charged" {
		t.Errorf("item %s %+v, want failed, timeout, charged", it.State, it.Failure)
	}
}

// TestReportsAreHints: a report of the end makes the poll come back at once when it
// came while the question was on its way, and soon when the provider's own books are
// behind it, or it lies. It never ends anything by itself.
func TestReportsAreHints(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	upload, _ := r.next(id, 0)
	if err := r.deliver(upload); err != nil {
		t.Fatal(err)
	}
	r.pass(100 * time.Second)
	poll, _ := r.next(id, 0)
	report := func(kind string, done bool) {
		t.Helper()
		about := r.item(id, 0).Ref()
		if _, err := r.store.Report(t.Context(), about, session.Report{Operation: "op-1", Kind: kind, Done: done}); err != nil {
			t.Fatal(err)
		}
	}
	running := func() (*provider.State, error) { return &provider.State{Word: "running"}, nil }
	for _, c := range []struct {
		name  string
		state func() (*provider.State, error)
		want  time.Duration
	}{
		{"nothing reported", running, 20 * time.Second},
		{"a stage reported", func() (*provider.State, error) { report("text", false); return running() }, 20 * time.Second},
		{"the end reported meanwhile", func() (*provider.State, error) {
			r.clock = r.clock.Add(time.Second)
			r.mini.SetTime(r.clock)
			report("complete", true)
			return running()
		}, 0},
		{"the end reported before, and not true", running, 2 * time.Second},
	} {
		r.vendor.states = []func() (*provider.State, error){c.state}
		err := r.deliver(poll)
		if got := handlers.RetryDelay(0, err, nil); handlers.IsFailure(err) || got < c.want || got > c.want+2*time.Second {
			t.Errorf("%s: %v, again in %v; want about %v", c.name, err, got, c.want)
		}
		r.pass(time.Second)
		if got := r.item(id, 0).Label(); got != "upload.waiting" {
			t.Fatalf("%s: the item is at %s, want upload.waiting", c.name, got)
		}
	}
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
}

// TestReportSettlesALostAnswer: the answer to a paid request is lost, but the
// provider reported under the item's own token: that is evidence enough.
func TestReportSettlesALostAnswer(t *testing.T) {
	r := newRig(t)
	r.info.Callbacks = true
	r.h.Callback = func(name, token string) string { return "https://segue.test/callbacks/" + name + "/" + token }
	id := r.submit(1, session.Spec{})
	r.vendor.submits = []func(func()) error{func(bill func()) error {
		about := session.Ref{Session: id, Index: 0, Step: session.StepUpload}
		if _, err := r.store.Report(t.Context(), about, session.Report{Operation: "op-1", Kind: "text"}); err != nil {
			t.Fatal(err)
		}
		return billAndLose(bill)
	}}
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

func TestFetchRenewsExpiredURLs(t *testing.T) {
	r := newRig(t)
	r.shelf.fails = []error{nil, fault.New(fault.Denied, "archive.Keep", errors.New("status 403"))}
	id := r.submit(1, session.Spec{})
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	if r.vendor.polls != 3 {
		t.Errorf("%d polls, want 3: the third asks for fresh URLs", r.vendor.polls)
	}
}

// TestFetchIsPatient: what was paid for is fetched for as long as it exists, far
// longer than a step otherwise may wait.
func TestFetchIsPatient(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	for range 4 {
		task, _ := r.next(id, 0)
		if err := r.deliver(task); err != nil {
			t.Fatal(err)
		}
	}
	fetch, _ := r.next(id, 0)
	for _, day := range []int{1, 3, 9} {
		r.shelf.fails = []error{fault.New(fault.Unavailable, "archive.Keep", errors.New("disk full"))}
		r.pass(time.Duration(day) * 24 * time.Hour)
		if err := r.deliver(fetch); err == nil || errors.Is(err, asynq.SkipRetry) {
			t.Errorf("after another %d days: %v, want a retry", day, err)
		}
		if got := r.item(id, 0).Label(); got != "fetch.queued" {
			t.Errorf("item at %s, want fetch.queued", got)
		}
	}
	r.shelf.fails = []error{fault.New(fault.NotFound, "archive.Keep", errors.New("410")), fault.New(fault.NotFound, "archive.Keep", errors.New("410"))}
	r.pass(2 * 24 * time.Hour)
	if err := r.deliver(fetch); !errors.Is(err, asynq.SkipRetry) {
		t.Errorf("after the provider's retention: %v, want the end", err)
	}
}

// TestExpiredUploadIsRepeated: a staged file that expired while the item waited is
// staged anew, as a new generation, where staging is free.
func TestExpiredUploadIsRepeated(t *testing.T) {
	r := newRig(t)
	r.info.Uploads.Paid = false
	r.vendor.states = []func() (*provider.State, error){func() (*provider.State, error) {
		return &provider.State{Done: true, Clip: &provider.Clip{ID: "old", Expires: r.clock.Add(time.Hour)}}, nil
	}}
	id := r.submit(1, session.Spec{})
	for range 2 {
		task, _ := r.next(id, 0)
		if err := r.deliver(task); err != nil {
			t.Fatal(err)
		}
	}
	r.pass(50 * time.Minute)
	extend, _ := r.next(id, 0)
	if err := r.deliver(extend); err != nil {
		t.Fatal(err)
	}
	if it := r.item(id, 0); it.Label() != "upload.queued" || it.Generation != 1 {
		t.Errorf("item at %s generation %d, want upload.queued, 1", it.Label(), it.Generation)
	}
	if current := r.carryOn(id); current.Status() != session.StatusSucceeded {
		t.Errorf("status %s, want succeeded", current.Status())
	}
	r.wantCharges("upload a.mp3 in remote-1", "upload a.mp3 in remote-1", "extend clip-op-2 at 55")
}

// TestUnfetchableUploadIsStagedOnceMore: the provider could not fetch what was
// staged; a second staging is tried, a third is not.
func TestUnfetchableUploadIsStagedOnceMore(t *testing.T) {
	staged := func() (*provider.State, error) {
		return &provider.State{Done: true, Clip: &provider.Clip{URL: "https://stage.test/x"}}, nil
	}
	accept := func(bill func()) error { bill(); return nil }
	for _, c := range []struct {
		answers []func(func()) error
		want    string
	}{
		{[]func(func()) error{accept, refuse(fault.NotFound), accept, accept}, "succeeded"},
		{[]func(func()) error{accept, refuse(fault.NotFound), accept, refuse(fault.NotFound)}, "failed"},
	} {
		r := newRig(t)
		r.info.Uploads.Paid = false
		r.vendor.submits = c.answers
		r.vendor.states = []func() (*provider.State, error){staged, staged}
		id := r.submit(1, session.Spec{})
		r.carryOn(id)
		if it := r.item(id, 0); it.Label() != c.want || it.Used[session.StepUpload] != 2 {
			t.Errorf("item ends at %s after %d uploads, want %s after 2", it.Label(), it.Used[session.StepUpload], c.want)
		}
	}
}

func TestSourceURLsAreEncoded(t *testing.T) {
	for given, want := range map[string]string{
		"https://host.test/a ü.mp3":             "https://host.test/a%20%C3%BC.mp3",
		"https://host.test/a%20b.mp3?sig=x%2By": "https://host.test/a%20b.mp3?sig=x%2By",
		"https://host.test/a?name=two words":    "https://host.test/a?name=two%20words",
	} {
		r := newRig(t)
		id := r.submit(1, session.Spec{})
		_, _, err := r.store.Update(t.Context(), id, 0, time.Minute, func(w *session.Work) error {
			w.Item.Source = session.Source{Name: given, URL: given}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		task, _ := r.next(id, 0)
		if err := r.deliver(task); err != nil {
			t.Fatal(err)
		}
		if len(r.vendor.urls) != 1 || r.vendor.urls[0] != want {
			t.Errorf("the provider is told %q, want %q", r.vendor.urls, want)
		}
	}
}

// TestDeathWhilePreparing: a worker that dies between taking a task and claiming
// its step leaves an item that the sweep finds within seconds.
func TestDeathWhilePreparing(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	r.h.Stage = func(context.Context, session.Source) (string, error) { panic(errCrash) }
	task, _ := r.next(id, 0)
	if err := r.deliver(task); !errors.Is(err, errCrash) {
		t.Fatalf("delivery: %v, want a crash", err)
	}
	r.restart()
	r.pass(8 * time.Second)
	r.sweep()
	again, _ := r.next(id, 0)
	if place, err := r.h.Queue.Find(again); err != nil || place != 1 {
		t.Errorf("8 s after the death the item's task is at place %d, %v; want 1 (coming)", place, err)
	}
	r.carryOn(id)
	r.wantCharges("upload a.mp3 in remote-1", "extend clip-op-1 at 55")
}

func TestCanceledSessionSendsNothingMore(t *testing.T) {
	r := newRig(t)
	id := r.submit(2, session.Spec{})
	first, _ := r.next(id, 0)
	second, _ := r.next(id, 1)
	if err := r.deliver(first); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if err := r.deliver(second); err != nil {
		t.Errorf("a task of a canceled session: %v, want success", err)
	}
	current := r.carryOn(id)
	if want := (session.Tally{Total: 2, Canceled: 2}); current.Tally() != want || current.Settled != 1 {
		t.Errorf("tally %+v, settled %d; want %+v, once", current.Tally(), current.Settled, want)
	}
	r.wantCharges("upload a.mp3 in remote-1")
	if it := r.item(id, 0); it.Clip == nil || it.Clip.ID != "clip-op-1" {
		t.Errorf("what was paid for before the cancel is lost: clip %+v", it.Clip)
	}
}

// TestCancelFetchesWhatWasPaidFor: an extend that was accepted before the cancel
// was paid for, so its results are kept.
func TestCancelFetchesWhatWasPaidFor(t *testing.T) {
	r := newRig(t)
	id := r.submit(2, session.Spec{})
	for range 3 { // upload, poll, extend
		task, _ := r.next(id, 0)
		if err := r.deliver(task); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.store.Cancel(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	current, err := r.store.Session(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if want := (session.Tally{Total: 2, Canceled: 1, Waiting: 1}); current.Tally() != want {
		t.Errorf("just canceled: %+v, want %+v", current.Tally(), want)
	}
	current = r.carryOn(id)
	if want := (session.Tally{Total: 2, Succeeded: 1, Canceled: 1}); current.Tally() != want {
		t.Errorf("in the end: %+v, want %+v", current.Tally(), want)
	}
	if len(r.shelf.kept) != 2 {
		t.Errorf("%d tracks kept, want the 2 that were paid for", len(r.shelf.kept))
	}
}

func TestInvalidItemsAreNeverSent(t *testing.T) {
	r := newRig(t)
	r.info.Uploads.Formats = []string{"wav"}
	id := r.submit(1, session.Spec{})
	current := r.carryOn(id)
	if current.Status() != session.StatusFailed {
		t.Errorf("status %s, want failed", current.Status())
	}
	if it := r.item(id, 0); it.Failure.Code != fault.Invalid || !strings.Contains(it.Failure.Reason, "does not take mp3") {
		t.Errorf("failure %+v, want invalid with the reason", it.Failure)
	}
	r.wantCharges()
}

func TestLostTasksAreMadeAnew(t *testing.T) {
	r := newRig(t)
	id := r.submit(1, session.Spec{})
	r.sweep() // makes its session take part in the turns
	r.admit()
	r.pass(61 * time.Second)
	r.sweep()
	task, _ := r.next(id, 0)
	if place, err := r.h.Queue.Find(task); err != nil || place != 1 {
		t.Errorf("after the sweep the task is at place %d, %v; want 1 (coming)", place, err)
	}
	// All of asynq's keys are lost.
	for _, key := range r.mini.Keys() {
		if strings.HasPrefix(key, "asynq:") {
			r.mini.Del(key)
		}
	}
	r.pass(61 * time.Second)
	r.sweep()
	if place, err := r.h.Queue.Find(task); err != nil || place != 1 {
		t.Errorf("after the loss and a sweep the task is at place %d, %v; want 1 (coming)", place, err)
	}
}

// TestUnfinishedSubmissionIsNeverStarted: a producer that died between its
// batches has paid for nothing.
func TestUnfinishedSubmissionIsNeverStarted(t *testing.T) {
	r := newRig(t)
	id, err := session.NewID()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.store.Create(t.Context(), session.Spec{ID: id, Provider: "vendor", Account: "main"}, false); err != nil {
		t.Fatal(err)
	}
	item := session.New{Item: session.NewItem(session.Source{Name: "a.mp3", Path: "/a.mp3"}, session.PlanFor(false), nil)}
	if _, err := r.store.Add(t.Context(), id, 0, []session.New{item}, time.Minute); err != nil {
		t.Fatal(err)
	}
	r.pass(time.Hour)
	r.sweep()
	if task, _ := r.next(id, 0); true {
		if place, err := r.h.Queue.Find(task); err != nil || place != 0 {
			t.Errorf("the task is at place %d, %v; want 0 (gone)", place, err)
		}
	}
	r.wantCharges()
}

func TestMuxKnowsEveryType(t *testing.T) {
	r := newRig(t)
	mux := r.h.Mux()
	for name := range tasks.All() {
		if _, pattern := mux.Handler(asynq.NewTask(name, nil)); pattern != name {
			t.Errorf("type %q is routed to %q: it has no handler", name, pattern)
		}
		err := mux.ProcessTask(t.Context(), asynq.NewTask(name+"x", nil))
		if fault.CodeOf(err) != fault.Invalid || !errors.Is(err, asynq.SkipRetry) {
			t.Errorf("type %q, of which %q is a prefix: %v, want a refusal", name+"x", name, err)
		}
		err = mux.ProcessTask(t.Context(), asynq.NewTask(name, []byte(`{"v":0}`)))
		if fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%s with a bad payload: %v, want invalid", name, err)
		}
	}
}
