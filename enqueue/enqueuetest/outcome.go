package enqueuetest

import (
	"fmt"
	"slices"

	"github.com/segue-audio/segue/enqueue"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/session"
)

// Result is what an item ends well with. What is not said is made up, the same in
// every run: clip-0 for item 0, and audio-0-a and audio-0-b where it is extended.
type Result struct {
	// ClipID is the uploaded audio.
	ClipID string
	// Tracks are the continuations; an item that is only uploaded has none.
	Tracks []enqueue.Track
	// Credits is what was spent on the item.
	Credits float64
}

// Sessions lists what was submitted, in the order of the submissions.
func (r *Recorder) Sessions() []Recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Recorded, len(r.order))
	for n, known := range r.order {
		all[n] = known.shown()
	}
	return all
}

// Session gives the session with the id. It fails the test when there is none.
func (r *Recorder) Session(id string) Recorded {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.sessions[id]
	if known == nil {
		r.t.Errorf("enqueuetest: no session %q was submitted", id)
		return Recorded{}
	}
	return known.shown()
}

// OfKey gives the session that was submitted with the key. It fails the test when
// there is none.
func (r *Recorder) OfKey(key string) Recorded {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.keys[key]
	if known == nil {
		r.t.Errorf("enqueuetest: no session was submitted with the key %q; keys: %s", key, keyed(r.keys))
		return Recorded{}
	}
	return known.shown()
}

// Finish ends every item of a session that has not ended, well: item i with
// results[i], those behind them with made-up results.
func (r *Recorder) Finish(id string, results ...Result) {
	r.t.Helper()
	r.change(id, func(k *record) error {
		if len(results) > len(k.items) {
			return fmt.Errorf("%d results for %d items", len(results), len(k.items))
		}
		for index := range k.items {
			if session.State(k.items[index].Status).Ended() {
				continue
			}
			var result Result
			if index < len(results) {
				result = results[index]
			}
			if err := k.succeed(index, result); err != nil {
				return err
			}
		}
		return nil
	})
}

// Succeed ends one item well; a held one too, as an operator's decision may.
func (r *Recorder) Succeed(id string, index int, result Result) {
	r.t.Helper()
	r.change(id, func(k *record) error { return k.succeed(index, result) })
}

// Fail ends one item badly; a held one too. The code is required; an empty step is
// the upload.
func (r *Recorder) Fail(id string, index int, why enqueue.ItemError) {
	r.t.Helper()
	r.change(id, func(k *record) error { return k.stop(index, session.Failed, why) })
}

// Hold leaves one item in doubt: nobody knows whether its request was paid for. A
// session of which only held items are left is held, and Wait returns. The code is
// required; an empty step is the upload, an empty charge unknown.
func (r *Recorder) Hold(id string, index int, why enqueue.ItemError) {
	r.t.Helper()
	if why.Charge == "" {
		why.Charge = fault.ChargeUnknown.String()
	}
	r.change(id, func(k *record) error { return k.stop(index, session.Held, why) })
}

// change moves a session's items and wakes those who wait for it.
func (r *Recorder) change(id string, move func(*record) error) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.sessions[id]
	if known == nil {
		r.t.Errorf("enqueuetest: no session %q was submitted", id)
		return
	}
	if err := move(known); err != nil {
		r.t.Errorf("enqueuetest: session %s: %v", id, err)
	}
	r.changed()
}

// running gives an item that has not ended.
func (k *record) running(index int) (*enqueue.ItemStatus, error) {
	if index < 0 || index >= len(k.items) {
		return nil, fmt.Errorf("no item %d, there are %d", index, len(k.items))
	}
	it := &k.items[index]
	if session.State(it.Status).Ended() {
		return nil, fmt.Errorf("item %d has ended: it is %s", index, it.Status)
	}
	return it, nil
}

// plan is an item's steps.
func (k *record) plan(index int) []session.StepName {
	return session.PlanFor(extends(&k.Session, &k.Items[index]))
}

func (k *record) succeed(index int, result Result) error {
	it, err := k.running(index)
	if err != nil {
		return err
	}
	plan := k.plan(index)
	it.Status, it.Step, it.Error = string(session.Succeeded), string(plan[len(plan)-1]), nil
	it.ClipID, it.Credits = result.ClipID, result.Credits
	if it.ClipID == "" {
		it.ClipID = fmt.Sprintf("clip-%d", index)
	}
	it.AudioIDs = []string{it.ClipID}
	switch {
	case len(plan) == 1 && len(result.Tracks) > 0:
		return fmt.Errorf("item %d is only uploaded: it has no tracks", index)
	case len(plan) == 1:
		return nil
	}
	it.Tracks = slices.Clone(result.Tracks)
	if len(it.Tracks) == 0 {
		it.Tracks = []enqueue.Track{{AudioID: fmt.Sprintf("audio-%d-a", index)}, {AudioID: fmt.Sprintf("audio-%d-b", index)}}
	}
	it.AudioIDs = []string{}
	for _, track := range it.Tracks {
		it.AudioIDs = append(it.AudioIDs, track.AudioID)
	}
	return nil
}

// stop ends an item badly, or leaves it held.
func (k *record) stop(index int, state session.State, why enqueue.ItemError) error {
	it, err := k.running(index)
	if err != nil {
		return err
	}
	if why.Step == "" {
		why.Step = string(session.StepUpload)
	}
	if err := k.plausible(index, why); err != nil {
		return err
	}
	it.Status, it.Step, it.Error = string(state), why.Step, &why
	if why.Step != string(session.StepUpload) {
		it.ClipID = fmt.Sprintf("clip-%d", index)
	}
	return nil
}

// plausible refuses what no worker would write: a test that expects it would
// expect what never comes.
func (k *record) plausible(index int, why enqueue.ItemError) error {
	charges := []string{"", fault.ChargeNone.String(), fault.ChargeMade.String(), fault.ChargeUnknown.String()}
	switch {
	case why.Code == string(fault.Pending) || !slices.Contains(fault.Codes(), fault.Code(why.Code)):
		return fmt.Errorf("item %d: there is no code %q", index, why.Code)
	case !slices.Contains(k.plan(index), session.StepName(why.Step)):
		return fmt.Errorf("item %d has no step %q", index, why.Step)
	case !slices.Contains(charges, why.Charge):
		return fmt.Errorf("item %d: there is no charge %q", index, why.Charge)
	}
	return nil
}
