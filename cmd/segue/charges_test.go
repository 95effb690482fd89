package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/ledger"
	"github.com/segue-audio/segue/internal/session"
)

// paid is an operation of a step in a generation.
func paid(step session.StepName, generation int, id string) session.Operation {
	return session.Operation{ID: id, Step: step, Generation: generation, Credits: 10}
}

// TestOutcomes names what became of every charge that an item can have on record.
func TestOutcomes(t *testing.T) {
	const upload, extend, fetch = session.StepUpload, session.StepExtend, session.StepFetch
	refunded, presumed := paid(extend, 0, "a"), paid(extend, 0, "")
	refunded.Refunded, presumed.Presumed = true, true
	claim := &session.Claim{Credits: 10}
	for name, tt := range map[string]struct {
		item session.Item
		want []string
	}{
		"nothing yet":     {session.Item{Step: upload, State: session.Queued}, nil},
		"on the way":      {session.Item{Step: upload, State: session.Sending, Claim: claim}, []string{"running"}},
		"at no cost":      {session.Item{Step: upload, State: session.Sending, Claim: &session.Claim{}}, nil},
		"accepted":        {session.Item{Step: upload, State: session.Waiting, Operation: "a", Operations: []session.Operation{paid(upload, 0, "a")}}, []string{"running"}},
		"reconciling":     {session.Item{Step: upload, State: session.Reconciling, Claim: claim}, []string{"in doubt"}},
		"held":            {session.Item{Step: extend, State: session.Held, Claim: claim, Operations: []session.Operation{paid(upload, 0, "a")}}, []string{"kept", "in doubt"}},
		"ended badly":     {session.Item{Step: extend, State: session.Failed, Operations: []session.Operation{paid(upload, 0, "a"), paid(extend, 0, "b")}}, []string{"kept", "failed"}},
		"given back":      {session.Item{Step: extend, State: session.Failed, Operations: []session.Operation{refunded}}, []string{"refunded"}},
		"given up":        {session.Item{Step: extend, State: session.Failed, Operations: []session.Operation{presumed}}, []string{"presumed"}},
		"sent again":      {session.Item{Step: extend, Generation: 1, State: session.Waiting, Operation: "b", Operations: []session.Operation{presumed, paid(extend, 1, "b")}}, []string{"presumed", "running"}},
		"found after all": {session.Item{Step: extend, Generation: 1, State: session.Waiting, Operation: "a", Operations: []session.Operation{paid(extend, 0, "a")}}, []string{"running"}},
		"run again":       {session.Item{Step: extend, Generation: 1, State: session.Queued, Operations: []session.Operation{paid(extend, 0, "a")}}, []string{"failed"}},
		"both charged":    {session.Item{Step: fetch, State: session.Queued, Operations: []session.Operation{paid(extend, 0, "a"), paid(extend, 1, "b")}}, []string{"failed", "kept"}},
		"late":            {session.Item{Step: fetch, State: session.Queued, Operations: []session.Operation{paid(extend, 1, "b"), paid(extend, 0, "a")}}, []string{"kept", "stray"}},
		"twice in one generation": {
			session.Item{Step: fetch, State: session.Succeeded, Operations: []session.Operation{paid(extend, 0, "a"), paid(extend, 0, "b")}},
			[]string{"kept", "stray"},
		},
		"known while its step is still to be sent": {
			session.Item{Step: extend, State: session.Queued, Operations: []session.Operation{paid(extend, 0, "a")}}, []string{"stray"},
		},
		"done":              {session.Item{Step: fetch, State: session.Succeeded, Operations: []session.Operation{paid(upload, 0, "a"), paid(extend, 0, "b")}}, []string{"kept", "kept"}},
		"canceled half way": {session.Item{Step: extend, State: session.Canceled, Operations: []session.Operation{paid(upload, 0, "a")}}, []string{"kept"}},
		"back to the upload": {
			session.Item{Step: upload, Generation: 1, State: session.Queued, Operations: []session.Operation{paid(upload, 0, "a"), paid(extend, 0, "b")}},
			[]string{"failed", "failed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			tt.item.Plan = wholePlan
			var got []string
			for _, c := range chargesOf(&tt.item) {
				got = append(got, c.Outcome)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
	uploaded := session.Item{Plan: uploadPlan, Step: upload, State: session.Succeeded, Operations: []session.Operation{paid(upload, 0, "a")}}
	if got := chargesOf(&uploaded)[0].Outcome; got != "kept" {
		t.Errorf("the upload of an item that is only uploaded is %s, want kept", got)
	}
}

// TestCommittedIsWhatBudgetsCount adds an item up as the books must.
func TestCommittedIsWhatBudgetsCount(t *testing.T) {
	refunded, presumed := paid(session.StepExtend, 0, "a"), paid(session.StepExtend, 1, "")
	refunded.Refunded, presumed.Presumed = true, true
	var got committed
	got.add(&session.Item{
		Step: session.StepExtend, Generation: 2, State: session.Held, Claim: &session.Claim{Credits: 10},
		Operations: []session.Operation{paid(session.StepUpload, 0, "u"), refunded, presumed},
	})
	if want := (committed{Spent: 20, Presumed: 10, InDoubt: 10, Open: 10, Refunded: 10}); got != want {
		t.Errorf("committed %+v, want %+v", got, want)
	}
	if !got.agrees(totals{Spent: 20, Reserved: 10}) || got.agrees(totals{Spent: 20}) || got.agrees(totals{Spent: 30, Reserved: 10}) {
		t.Error("it agrees with other books than those that say 20 spent and 10 reserved")
	}
}

// TestNewestKeepsTheNewest of far more charges than are shown, in flat memory.
func TestNewestKeepsTheNewest(t *testing.T) {
	day := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	n := newest{most: 3, after: day}
	summed := sums{}
	n.add([]charge{{At: day.Add(-time.Second), Outcome: "kept", Credits: 1}}, summed)
	for second := range 5000 { // in an order in which the newest comes early
		n.add([]charge{{At: day.Add(time.Duration((second+4000)%5000) * time.Second), Outcome: "kept", Credits: 2}}, summed)
		if len(n.kept) > 1013 {
			t.Fatalf("%d charges are kept, want no more than 1,013 at a time", len(n.kept))
		}
	}
	all, omitted := n.list()
	got := make([]string, len(all))
	for i, c := range all {
		got[i] = c.At.Format(time.TimeOnly)
	}
	if diff := cmp.Diff([]string{"01:23:19", "01:23:18", "01:23:17"}, got); diff != "" || omitted != 4997 {
		t.Errorf("%d omitted, want 4997; kept (-want +got):\n%s", omitted, diff)
	}
	if diff := cmp.Diff(sums{"kept": {5000, 10000}}, summed); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
}

// TestDriftAsPeopleReadIt tells what moved from what the books explain.
func TestDriftAsPeopleReadIt(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	before := ledger.Reading{At: at, Balance: 100, Spent: 30, Floor: 30}
	after := ledger.Reading{At: at.Add(time.Hour), Balance: 70, Spent: 40, Reserved: 5, Floor: 40}
	if diff := cmp.Diff(&drift{Moved: 30, Explained: 10, Unexplained: 15, Uncertain: 5, Seconds: 3600}, driftOf(before, after)); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
}
