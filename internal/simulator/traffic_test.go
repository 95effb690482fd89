package simulator_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/segue-audio/segue/internal/simulator"
)

// named has two accounts with names, and KIE in either form.
func named(form string) func(*simulator.Options) {
	return func(o *simulator.Options) {
		o.KIE.Errors = form
		o.Keys = map[string]simulator.Account{"a": {Name: "one", Credits: 1000}, "b": {Name: "two", Credits: 30}}
	}
}

func (r *rig) extendAs(key string, change map[string]any) reply {
	r.t.Helper()
	return r.do(http.MethodPost, "/kie/api/v1/generate/upload-extend", key, r.wish(change))
}

// TestEverySubmissionIsLogged has each outcome once, however it is worded.
func TestEverySubmissionIsLogged(t *testing.T) {
	for _, form := range []string{"body", "status"} {
		t.Run(form, func(t *testing.T) {
			r := newRig(t, named(form))
			if err := r.sim.SetLimits(map[string]simulator.Limit{"kie": per(2, time.Minute, 0)}); err != nil {
				t.Fatal(err)
			}
			strike := func(k simulator.Kind) { r.script(simulator.Next{Endpoint: "kie.extend", Kind: k, Count: 1}) }
			r.extendAs("a", map[string]any{"title": "fine"})
			strike(simulator.Maintenance)
			r.extendAs("a", map[string]any{"title": "maintained"})
			strike(simulator.RateLimited)
			r.extendAs("a", nil)
			strike(simulator.DropBefore)
			r.extendAs("a", nil)
			strike(simulator.DropAfter)
			r.extendAs("a", nil)
			r.extendAs("a", nil) // the third within the window
			r.extendAs("wrong", nil)
			r.extendAs("", nil)
			r.extendAs("b", map[string]any{"model": "V9"})
			r.do(http.MethodPost, "/kie/api/v1/generate/upload-extend", "b", rawBody("no JSON"))
			r.do(http.MethodPost, "/kie/api/v1/generate/upload-extend", "b", rawBody(`{"title":"`+strings.Repeat("x", 2<<20)+`"}`))
			r.extendAs("b", nil)
			r.extendAs("b", nil)
			r.clock.advance(time.Minute)
			r.extendAs("b", nil) // 24 of 30 are gone
			// A question is no submission.
			r.do(http.MethodGet, "/kie/api/v1/generate/record-info?taskId="+r.sim.Submissions(0)[0].Operation, "a", nil)

			const m = "Iron Man"
			want := []simulator.Submission{
				{Account: "one", Outcome: 200, Marker: "fine"},
				{Account: "one", Outcome: 455, Fault: simulator.Maintenance, Marker: "maintained"},
				{Account: "one", Outcome: 429, Fault: simulator.RateLimited, Marker: m},
				{Account: "one", Outcome: 0, Fault: simulator.DropBefore, Marker: m},
				{Account: "one", Outcome: 200, Fault: simulator.DropAfter, Marker: m},
				{Account: "one", Outcome: 429, Marker: m},
				{Account: "", Outcome: 401, Marker: m},
				{Account: "", Outcome: 401, Marker: m},
				{Account: "two", Outcome: 400, Marker: m},
				{Account: "two", Outcome: 400},
				{Account: "two", Outcome: 413},
				{Account: "two", Outcome: 200, Marker: m},
				{Account: "two", Outcome: 200, Marker: m},
				{Account: "two", Outcome: 402, Marker: m},
			}
			for n := range want {
				want[n].Seq, want[n].Provider, want[n].Endpoint = n+1, "kie", "kie.extend"
			}
			got := r.sim.Submissions(0)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(simulator.Submission{}, "Arrived", "Time", "Operation", "Ended")); diff != "" {
				t.Errorf("the log (-want +got):\n%s", diff)
			}
			operations := map[string]bool{}
			for _, c := range r.sim.Charges() {
				operations[c.OperationID] = true
			}
			for _, one := range got {
				if accepted := one.Outcome == 200; operations[one.Operation] != accepted {
					t.Errorf("submission %d with outcome %d has operation %q of %v", one.Seq, one.Outcome, one.Operation, operations)
				}
			}
		})
	}
}

// TestSubmissionTimes looks at when things happened: the arrival, the decision, and
// the end of the operation, which is not when somebody asks.
func TestSubmissionTimes(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newRig(t, func(o *simulator.Options) {
		o.KIE.Unreachable = "early"
		named("status")(o)
	})
	// The provider looks at the audio before it accepts, and that takes a second.
	slow := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		r.clock.advance(time.Second)
		_, _ = w.Write(wav(30, "slow"))
	}))
	r.extendAs("a", map[string]any{"uploadUrl": slow.URL})
	if err := r.sim.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.sim.Submissions(0)[0]; !got.Ended.IsZero() {
		t.Errorf("a running operation ended %v", got.Ended)
	}
	r.clock.advance(time.Hour)
	got := r.sim.Submissions(0)[0]
	if !got.Arrived.Equal(start) || !got.Time.Equal(start.Add(time.Second)) || !got.Ended.Equal(start.Add(101*time.Second)) {
		t.Errorf("arrived %v, accepted %v, ended %v; want 12:00:00, a second later, and 100 s after that", got.Arrived, got.Time, got.Ended)
	}
}

// TestTrafficOfAnAccount has a schedule with a border that a fixed window would not
// see, and expectations that were counted by hand.
func TestTrafficOfAnAccount(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		named("status")(o)
		o.NoFetch, o.ExtendTime = true, simulator.Timing{Mean: 5 * time.Second}
		o.Limits = map[string]simulator.Limit{"kie": per(4, 10*time.Second, 3)}
	})
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	// In seconds from the start; every one is a submission.
	for _, s := range []int{0, 0, 9, 9, 9, 10, 19, 24} {
		r.clock.offset.Store(int64(s) * int64(time.Second))
		r.extendAs("a", nil)
	}
	// Accepted: two at 0; two at 9; the third at 9 is the fifth of the window; one at
	// 10, as the first two have left the window; one at 19; one at 24. Running: two to
	// 5, two from 9 to 14, one from 10 to 15.
	want := simulator.AccountTraffic{
		Provider: "kie", Account: "one", Limit: per(4, 10*time.Second, 3),
		Outcomes: map[int]int{200: 7, 429: 1}, Limited: 1,
		WorstWindow: 5, WorstWindowAt: start, MostInFlight: 3,
		First: start, Last: start.Add(24 * time.Second), PerSecond: 0.25,
		Used: 7.0 / 13.6, // 24 s are 2.4 windows, and a burst more
	}
	if diff := cmp.Diff([]simulator.AccountTraffic{want}, r.sim.Traffic(0).Accounts, cmpopts.EquateApprox(0, 1e-12)); diff != "" {
		t.Errorf("the account's traffic (-want +got):\n%s", diff)
	}
	later := r.sim.Traffic(6).Accounts[0]
	if later.Limited != 0 || later.WorstWindow != 2 || later.Outcomes[200] != 2 || !later.First.Equal(start.Add(19*time.Second)) {
		t.Errorf("after the sixth: %+v; want two submissions, at 19 and 24 s, none limited", later)
	}
}

// TestTrafficIsFull says what using all of a rate looks like: bursts at every
// moment that allows one.
func TestTrafficIsFull(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.NoFetch, o.Limits = true, map[string]simulator.Limit{"mountsea": per(5, 2*time.Second, 0)}
	})
	for range 4 {
		for range 5 {
			r.must(uploadPath, map[string]any{"audioUrl": "http://source/a.mp3"}, "taskId")
		}
		r.clock.advance(2 * time.Second)
	}
	a := r.sim.Traffic(0).Accounts[0]
	if a.Used != 1 || a.WorstWindow != 5 || a.Limited != 0 {
		t.Errorf("used %v, %d in the worst window, %d limited; want 1, 5, 0", a.Used, a.WorstWindow, a.Limited)
	}
}

// TestTrafficWithoutALimit still measures: the worst window is not what somebody
// enforced.
func TestTrafficWithoutALimit(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) { o.NoFetch = true })
	for range 30 {
		r.must(uploadPath, map[string]any{"audioUrl": "http://source/a.mp3"}, "taskId")
		r.clock.advance(400 * time.Millisecond)
	}
	a := r.sim.Traffic(0).Accounts[0]
	if a.WorstWindow != 25 || a.MostInFlight != 25 || a.Used != 0 || a.Limit != (simulator.Limit{}) {
		t.Errorf("%+v; want 25 within 10 s and 25 running for 10 s each, and no limit", a)
	}
}

// TestMarkersNameTheirAccounts catches the job that strayed.
func TestMarkersNameTheirAccounts(t *testing.T) {
	r := newRig(t, named("status"))
	for _, one := range []struct{ key, title string }{{"a", "first"}, {"b", "second"}, {"a", "first"}, {"b", "first"}} {
		r.extendAs(one.key, map[string]any{"title": one.title})
	}
	input := map[string]any{"upload_url": r.source("/wav/30/a"), "model": "V5", "continue_at": 20, "title": "unified", "prompt": "la"}
	r.do(http.MethodPost, "/kie/api/v1/jobs/createTask", "a", map[string]any{"model": "ai-music-api/upload-and-extend-audio", "input": input})
	r.do(http.MethodPost, itemPath, "a", map[string]any{"sessionId": "nobody's", "audioUrl": "http://x/a"})
	want := []simulator.MarkerTraffic{
		{Provider: "kie", Marker: "first", Accounts: map[string]int{"one": 2, "two": 1}, Accepted: 3},
		{Provider: "kie", Marker: "second", Accounts: map[string]int{"two": 1}, Accepted: 1},
		{Provider: "kie", Marker: "unified", Accounts: map[string]int{"one": 1}, Accepted: 1},
		{Provider: "mountsea", Marker: "nobody's", Accounts: map[string]int{"one": 1}},
	}
	if diff := cmp.Diff(want, r.sim.Traffic(0).Markers, cmpopts.IgnoreFields(simulator.MarkerTraffic{}, "First", "Last")); diff != "" {
		t.Errorf("markers (-want +got):\n%s", diff)
	}
}

func TestControlTraffic(t *testing.T) {
	r := newRig(t, named("status"))
	for _, title := range []string{"one", "two", "three"} {
		r.extendAs("a", map[string]any{"title": title})
	}
	r.settle(100 * time.Second)
	var titles []any
	got := r.do(http.MethodGet, "/_sim/submissions?after=1", "", nil)
	for _, one := range listAt(r.object(reply{status: got.status, body: fmt.Appendf(nil, `{"all":%s}`, got.body)}), "all") {
		titles = append(titles, at(one, "marker"), at(one, "ended"))
	}
	if diff := cmp.Diff([]any{"two", "2026-03-01T12:01:40Z", "three", "2026-03-01T12:01:40Z"}, titles); diff != "" {
		t.Errorf("submissions after the first (-want +got):\n%s", diff)
	}
	traffic := r.object(r.do(http.MethodGet, "/_sim/traffic?after=1", "", nil))
	if at(traffic, "accounts", 0, "worstWindow") != 2.0 || at(traffic, "accounts", 0, "outcomes", "200") != 2.0 || at(traffic, "forgotten") != 0.0 {
		t.Errorf("traffic after the first: %v, want two accepted, in one window", traffic)
	}
	for _, path := range []string{"/_sim/traffic", "/_sim/submissions", "/_sim/charges"} {
		if got := r.do(http.MethodGet, path+"?after=-1", "", nil); got.status != 400 {
			t.Errorf("%s after -1: status %d, want 400", path, got.status)
		}
		if got := r.do(http.MethodGet, path+"?after=99", "", nil); got.status != 200 {
			t.Errorf("%s after more than there are: status %d, want 200", path, got.status)
		}
	}
	if err := r.sim.Reset(); err != nil {
		t.Fatal(err)
	}
	if got := r.sim.Traffic(0); len(got.Accounts) != 0 || len(r.sim.Submissions(0)) != 0 {
		t.Errorf("after a reset: %+v, want nothing", got)
	}
}

// TestTrafficOfManyAtOnce submits from many sides while somebody reads along: no
// submission is lost, and the log agrees with the charges.
func TestTrafficOfManyAtOnce(t *testing.T) {
	r := newRig(t, func(o *simulator.Options) {
		o.NoFetch, o.KIE.Errors, o.Limits = true, "status", map[string]simulator.Limit{"kie": per(60, time.Hour, 40)}
	})
	var sides sync.WaitGroup
	for side := range 8 {
		sides.Go(func() {
			for n := range 10 {
				r.extend("kie", map[string]any{"title": fmt.Sprint(side, " ", n)})
				r.sim.Traffic(0)
			}
		})
	}
	sides.Wait()
	a := r.sim.Traffic(0).Accounts[0]
	if diff := cmp.Diff(map[int]int{200: 40, 429: 40}, a.Outcomes); diff != "" || a.MostInFlight != 40 || a.WorstWindow != 80 {
		t.Errorf("%d at once, %d in the worst window, want 40 and 80; outcomes (-want +got):\n%s", a.MostInFlight, a.WorstWindow, diff)
	}
	if got := len(r.sim.Traffic(0).Markers); got != 80 {
		t.Errorf("%d markers, want 80", got)
	}
}
