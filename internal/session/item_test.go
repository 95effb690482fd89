package session_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/session"
)

var (
	noon = time.UnixMilli(1_763_812_800_000)
	why  = session.Failure{Code: fault.Timeout, Step: session.StepUpload, Reason: "no answer"}
)

// in gives an item of a three-step plan in one of the states of its upload.
func in(state session.State) *session.Item {
	it := session.NewItem(session.Source{Name: "a.mp3", Duration: 60}, extendPlan, nil)
	it.Session, it.Epoch = "ses_test", 1
	it.State = state
	switch state {
	case session.Sending, session.Running, session.Reconciling, session.Held:
		it.Claim = &session.Claim{Token: "mine", Worker: "w", Credits: 2}
		it.Used = map[session.StepName]int{session.StepUpload: 1}
	case session.Waiting:
		it.Operation, it.OperationAt = "op1", noon.UnixMilli()
		it.Operations = []session.Operation{{ID: "op1", Step: session.StepUpload, Credits: 2}}
	case session.Failed, session.Canceled:
		it.Failure = &why
	case session.Queued, session.Succeeded:
	}
	return &it
}

var states = []session.State{
	session.Queued, session.Sending, session.Running, session.Waiting, session.Reconciling,
	session.Held, session.Succeeded, session.Failed, session.Canceled,
}

// transitions lists every transition with the states it is legal from and where
// it leads. Every other state must refuse it and stay as it was.
var transitions = []struct {
	name string
	do   func(*session.Item) error
	to   map[session.State]string
}{
	{"Take paid", func(it *session.Item) error { return it.Take(session.Claim{Token: "new"}, true) }, map[session.State]string{"queued": "upload.sending"}},
	{"Take free", func(it *session.Item) error { return it.Take(session.Claim{Token: "new"}, false) }, map[session.State]string{"queued": "upload.running"}},
	{"Accept", func(it *session.Item) error { return it.Accept("mine", &provider.Accepted{OperationID: "op2"}, noon) }, map[session.State]string{"sending": "upload.waiting", "running": "upload.waiting", "reconciling": "upload.waiting", "held": "upload.waiting"}},
	{"Accept a clip", func(it *session.Item) error {
		return it.Accept("mine", &provider.Accepted{Clip: &provider.Clip{ID: "c"}}, noon)
	}, map[session.State]string{"sending": "extend.queued", "running": "extend.queued", "reconciling": "extend.queued", "held": "extend.queued"}},
	{"Accept, another's token", func(it *session.Item) error { return it.Accept("theirs", &provider.Accepted{OperationID: "op2"}, noon) }, nil},
	{"Release", func(it *session.Item) error { return it.Release("mine", why) }, map[session.State]string{"sending": "upload.queued", "running": "upload.queued"}},
	{"Release, another's token", func(it *session.Item) error { return it.Release("theirs", why) }, nil},
	{"PutBack", func(it *session.Item) error { return it.PutBack("mine", why) }, map[session.State]string{"sending": "upload.queued", "running": "upload.queued"}},
	{"PutBack, another's token", func(it *session.Item) error { return it.PutBack("theirs", why) }, nil},
	{"Park", func(it *session.Item) error { return it.Park("mine", why) }, map[session.State]string{"sending": "upload.queued", "running": "upload.queued"}},
	{"Park, another's token", func(it *session.Item) error { return it.Park("theirs", why) }, nil},
	{"Refuse", func(it *session.Item) error { return it.Refuse("mine", why, noon) }, map[session.State]string{"sending": "failed", "running": "failed"}},
	{"Refuse, another's token", func(it *session.Item) error { return it.Refuse("theirs", why, noon) }, nil},
	{"Doubt", func(it *session.Item) error { return it.Doubt("mine", why, noon) }, map[session.State]string{"sending": "upload.reconciling"}},
	{"Doubt, another's token", func(it *session.Item) error { return it.Doubt("theirs", why, noon) }, nil},
	{"Keep outside fetch", func(it *session.Item) error { return it.Keep("mine", nil, noon) }, nil},
	{"Save", func(it *session.Item) error { return it.Save("mine", []byte(`{}`)) }, map[session.State]string{"sending": "upload.sending", "running": "upload.running"}},
	{"Save, another's token", func(it *session.Item) error { return it.Save("theirs", []byte(`{}`)) }, nil},
	{"Finish", func(it *session.Item) error {
		return it.Finish("op1", &provider.State{Clip: &provider.Clip{ID: "c"}}, noon)
	}, map[session.State]string{"waiting": "extend.queued"}},
	{"Finish an old operation", func(it *session.Item) error {
		return it.Finish("op0", &provider.State{Clip: &provider.Clip{ID: "c"}}, noon)
	}, nil},
	{"Lose", func(it *session.Item) error { return it.Lose("op1", why) }, map[session.State]string{"waiting": "failed"}},
	{"Lose an old operation", func(it *session.Item) error { return it.Lose("op0", why) }, nil},
	{"Note", func(it *session.Item) error { return it.Note(&why) }, map[session.State]string{"waiting": "upload.waiting", "reconciling": "upload.reconciling"}},
	{"Orphan", func(it *session.Item) error { return it.Orphan(why, noon) }, map[session.State]string{"sending": "upload.reconciling", "running": "upload.queued"}},
	{"Renew", func(it *session.Item) error { return it.Renew() }, map[session.State]string{"queued": "upload.queued", "waiting": "upload.waiting", "reconciling": "upload.reconciling"}},
	{"Restart", func(it *session.Item) error { return it.Restart("op1", noon) }, map[session.State]string{"waiting": "upload.queued"}},
	{"Restart an old operation", func(it *session.Item) error { return it.Restart("op0", noon) }, nil},
	{"Restage outside extend", func(it *session.Item) error { return it.Restage(noon) }, nil},
	{"Reject", func(it *session.Item) error { return it.Reject(why) }, map[session.State]string{"queued": "failed"}},
	{"Delay", func(it *session.Item) error { return it.Delay(why) }, map[session.State]string{"queued": "upload.queued"}},
	{"Cancel", func(it *session.Item) error { return it.Cancel() }, map[session.State]string{"queued": "canceled"}},
	{"Send", func(it *session.Item) error { return it.Send(session.Claim{Token: "mine"}) }, map[session.State]string{"running": "upload.sending"}},
	{"Send, another's token", func(it *session.Item) error { return it.Send(session.Claim{Token: "theirs"}) }, nil},
	{"Refute", func(it *session.Item) error { return it.Refute(why, noon) }, map[session.State]string{"reconciling": "upload.queued"}},
	{"Hold", func(it *session.Item) error { return it.Hold(why) }, map[session.State]string{"reconciling": "upload.held"}},
	{"Repeat", func(it *session.Item) error { return it.Repeat(why, noon) }, map[session.State]string{"reconciling": "upload.queued"}},
	{"Adopt", func(it *session.Item) error { return it.Adopt("op9", noon) }, map[session.State]string{"reconciling": "upload.waiting", "held": "upload.waiting"}},
	{"Adopt what is adopted", func(it *session.Item) error { return it.Adopt("op1", noon) }, map[session.State]string{"reconciling": "upload.waiting", "held": "upload.waiting", "waiting": "upload.waiting"}},
	{"Adopt a clip", func(it *session.Item) error { return it.AdoptClip(provider.Clip{ID: "c"}, noon) }, map[session.State]string{"reconciling": "extend.queued", "held": "extend.queued"}},
	{"Resubmit", func(it *session.Item) error { return it.Resubmit(noon) }, map[session.State]string{"reconciling": "upload.queued", "held": "upload.queued"}},
	{"Abandon", func(it *session.Item) error { return it.Abandon(noon) }, map[session.State]string{"reconciling": "failed", "held": "failed"}},
	{"Retry", func(it *session.Item) error { return it.Retry("", noon) }, map[session.State]string{"failed": "upload.queued", "canceled": "upload.queued"}},
	{"Retry what has no clip", func(it *session.Item) error { return it.Retry(session.StepExtend, noon) }, nil},
	{"Retry an unknown step", func(it *session.Item) error { return it.Retry("mix", noon) }, nil},
}

func TestTransitions(t *testing.T) {
	for _, transition := range transitions {
		for _, state := range states {
			it, before := in(state), in(state)
			err := transition.do(it)
			want, legal := transition.to[state]
			switch {
			case legal && err != nil:
				t.Errorf("%s from %s: %v, want %s", transition.name, state, err, want)
			case legal && it.Label() != want:
				t.Errorf("%s from %s leads to %s, want %s", transition.name, state, it.Label(), want)
			case !legal && err == nil:
				t.Errorf("%s from %s leads to %s, want a refusal", transition.name, state, it.Label())
			case !legal && !cmp.Equal(before, it):
				t.Errorf("%s from %s was refused and changed the item:\n%s", transition.name, state, cmp.Diff(before, it))
			}
		}
	}
}

func TestRerunsUseNewGenerations(t *testing.T) {
	it := in(session.Held)
	if err := it.Resubmit(noon); err != nil || it.Generation != 1 {
		t.Fatalf("Resubmit: generation %d, %v; want 1", it.Generation, err)
	}
	if err := it.Take(session.Claim{Token: "t"}, true); err != nil {
		t.Fatal(err)
	}
	if err := it.Accept("t", &provider.Accepted{Clip: &provider.Clip{ID: "c"}}, noon); err != nil {
		t.Fatal(err)
	}
	if it.Label() != "extend.queued" || it.Generation != 0 {
		t.Errorf("next step at %s generation %d, want extend.queued 0", it.Label(), it.Generation)
	}
	take := session.Claim{Token: "u"}
	if err := it.Take(take, true); err != nil {
		t.Fatal(err)
	}
	if err := it.Refuse("u", why, noon); err != nil {
		t.Fatal(err)
	}
	if err := it.Retry(session.StepUpload, noon); err != nil || it.Generation != 2 {
		t.Errorf("Retry upload: generation %d, %v; want 2", it.Generation, err)
	}
	if err := it.Take(take, true); err != nil {
		t.Fatal(err)
	}
	if err := it.Accept("u", &provider.Accepted{Clip: &provider.Clip{ID: "d"}}, noon); err != nil {
		t.Fatal(err)
	}
	if it.Label() != "extend.queued" || it.Generation != 1 {
		t.Errorf("extend comes back as generation %d, want 1: 0 was claimed before", it.Generation)
	}
}

func TestThirdDeathIsQuarantined(t *testing.T) {
	it := in(session.Queued)
	for n, want := range []string{"upload.queued", "upload.queued", "failed"} {
		if err := it.Take(session.Claim{Token: "t"}, false); err != nil {
			t.Fatal(err)
		}
		if err := it.Orphan(session.Failure{Code: fault.Unavailable, Reason: "worker w died"}, noon); err != nil {
			t.Fatal(err)
		}
		if it.Label() != want || it.Deaths != n+1 {
			t.Errorf("after death %d: %s with %d deaths, want %s", n+1, it.Label(), it.Deaths, want)
		}
	}
	if !strings.Contains(it.Failure.Reason, "quarantined: 3 workers died at this step") {
		t.Errorf("reason %q does not say why", it.Failure.Reason)
	}
}

func TestStrayIsRecordedOnce(t *testing.T) {
	it := in(session.Waiting)
	for _, operation := range []string{"late", "late", "op1", ""} {
		if err := it.Stray(session.Operation{ID: operation, Step: session.StepUpload}, noon); err != nil {
			t.Fatal(err)
		}
	}
	want := []session.Operation{{ID: "op1", Step: session.StepUpload, Credits: 2}, {ID: "late", Step: session.StepUpload}}
	if diff := cmp.Diff(want, it.Operations); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
}

func TestContinueAtFromTheEnd(t *testing.T) {
	it := in(session.Queued)
	spec := &session.Spec{Params: &provider.Params{Model: "m", ContinueAt: -5}}
	if got := it.EffectiveParams(spec).ContinueAt; got != 55 {
		t.Errorf("continue-at -5 of 60 s = %g, want 55", got)
	}
	it.Params = &provider.Params{ContinueAt: 12}
	if got := it.EffectiveParams(spec); got.ContinueAt != 12 || got.Model != "" {
		t.Errorf("an item's own params = %+v, want them alone", got)
	}
}

func TestNextNamesTheTask(t *testing.T) {
	cases := []struct {
		state session.State
		id    string
	}{
		{session.Queued, "audio:upload:ses_test.0:upload:0"},
		{session.Waiting, "audio:poll:ses_test.0:upload:0"},
		{session.Reconciling, "audio:reconcile:ses_test.0:upload:0"},
		{session.Sending, ""},
		{session.Running, ""},
		{session.Held, ""},
		{session.Succeeded, ""},
		{session.Failed, ""},
		{session.Canceled, ""},
	}
	for _, c := range cases {
		task, ok, err := session.Next(in(c.state))
		if err != nil || task.ID != c.id || ok != (c.id != "") {
			t.Errorf("Next of %s = %q, %v, %v; want %q", c.state, task.ID, ok, err, c.id)
		}
	}
}

func TestItemIDs(t *testing.T) {
	const id = "ses_01939f3e-7b2a-7c4d-8e5f-0123456789ab"
	for _, bad := range []string{"", id, id + ".", id + ".-1", id + ".01", id + ".x", "ses_x.1", id + ".1.2"} {
		if _, _, ok := session.ParseItemID(bad); ok {
			t.Errorf("ParseItemID(%q) is taken for an item id", bad)
		}
	}
	if s, index, ok := session.ParseItemID(id + ".12"); !ok || s != id || index != 12 {
		t.Errorf("ParseItemID = %q, %d, %v", s, index, ok)
	}
}

// TestOneChargePerGeneration: whatever order the news of one request comes in, it
// counts once, and by its name if it has one.
func TestOneChargePerGeneration(t *testing.T) {
	presumed := session.Operation{Step: session.StepExtend, Credits: 12, Presumed: true}
	nameless := session.Operation{Step: session.StepExtend, Credits: 12}
	named := session.Operation{ID: "op", Step: session.StepExtend, Credits: 12}
	cases := map[string]struct {
		news []session.Operation
		want []session.Operation
	}{
		"a name after a guess":       {[]session.Operation{presumed, named}, []session.Operation{named}},
		"a name after a clip":        {[]session.Operation{nameless, named}, []session.Operation{named}},
		"a clip after a name":        {[]session.Operation{named, nameless}, []session.Operation{named}},
		"a guess after a name":       {[]session.Operation{named, presumed}, []session.Operation{named}},
		"certainty after a guess":    {[]session.Operation{presumed, nameless}, []session.Operation{nameless}},
		"the same guess again":       {[]session.Operation{presumed, presumed}, []session.Operation{presumed}},
		"another generation's guess": {[]session.Operation{named, {Step: session.StepExtend, Generation: 1, Credits: 12, Presumed: true}}, []session.Operation{named, {Step: session.StepExtend, Generation: 1, Credits: 12, Presumed: true}}},
	}
	for name, c := range cases {
		it := in(session.Queued)
		for _, op := range c.news {
			if err := it.Stray(op, noon); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(c.want, it.Operations); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
