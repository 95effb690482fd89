package session

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
)

// StepName names a stage of a plan.
type StepName string

// The steps.
const (
	StepUpload StepName = "upload"
	StepExtend StepName = "extend"
	StepFetch  StepName = "fetch"
)

// State is where an item's current step is.
type State string

// The states. The arrows that exist:
//
//	queued      → sending | running | failed | canceled
//	running     → sending | queued | failed | waiting | (next step) | succeeded
//	sending     → waiting | (next step) | queued | reconciling | failed
//	reconciling → waiting | (next step) | queued (a new generation) | held | failed
//	held        → waiting | (next step) | queued (a new generation) | failed
//	waiting     → (next step) | succeeded | failed
//	failed, canceled → queued (a new generation)
const (
	// Queued: nobody works on it; it waits in its session, or its task is on the queue.
	Queued State = "queued"
	// Sending: a worker has claimed it, and its paid request is about to leave,
	// has left, or was answered. Nobody else may send it.
	Sending State = "sending"
	// Running: a worker has claimed it and does something that costs nothing.
	Running State = "running"
	// Waiting: the provider works on an operation; a poll asks about it.
	Waiting State = "waiting"
	// Reconciling: the outcome of a paid request is unknown, and evidence is being
	// looked for.
	Reconciling State = "reconciling"
	// Held: the outcome of a paid request is unknown, and nothing tells it: a person
	// decides.
	Held State = "held"
	// Succeeded: the item has ended well.
	Succeeded State = "succeeded"
	// Failed: the item has ended, and Failure says why.
	Failed State = "failed"
	// Canceled: the item was ended before it was done, by somebody's decision.
	Canceled State = "canceled"
)

// Ended says that no worker has anything left to do.
func (s State) Ended() bool { return s == Succeeded || s == Failed || s == Canceled }

// claimed says that a worker is at it.
func (s State) claimed() bool { return s == Sending || s == Running }

// InDoubt says that a paid request may have been accepted, and nobody knows.
func (s State) InDoubt() bool { return s == Reconciling || s == Held }

// Item is one audio file in a session, and all that happens to it.
type Item struct {
	// Session and Index are the item's place; Epoch counts its writes and Updated
	// is the time of the last one, by Redis's clock. The store keeps them.
	Session string    `json:"-"`
	Index   int       `json:"-"`
	Epoch   int64     `json:"-"`
	Updated time.Time `json:"-"`

	Source Source `json:"src"`
	// Params is how this item is continued where it differs from its session.
	Params *provider.Params `json:"params,omitempty"`
	// Plan is the item's steps, in order.
	Plan []StepName `json:"plan"`
	// Step is the current one, State where it is.
	Step  StepName `json:"step"`
	State State    `json:"state"`
	// Generation counts an operator's re-runs of the current step; Rescue counts
	// replaced tasks; Attempts counts attempts that failed for the time being;
	// Deaths counts the workers that died at it, Doubts the requests whose outcome
	// was unknown. All belong to the current step.
	Generation int `json:"gen,omitempty"`
	Rescue     int `json:"rescue,omitempty"`
	Attempts   int `json:"attempts,omitempty"`
	Deaths     int `json:"deaths,omitempty"`
	Doubts     int `json:"doubts,omitempty"`
	// Used is, per step, how many generations were ever claimed: a number below it
	// is never claimed as new again, whatever way the item comes back to the step.
	Used map[StepName]int `json:"used,omitempty"`
	// Since is when the current step was first queued, in Unix milliseconds.
	Since int64 `json:"since,omitempty"`
	// Backlog says that a queued step was written to wait in its session until it is
	// admitted: see Admit of the store. It has no task until then.
	Backlog bool `json:"backlog,omitempty"`
	// Claim is the intent: written before a request leaves, kept until its
	// outcome is known.
	Claim *Claim `json:"claim,omitempty"`
	// Operation is the provider's id of what the current step waits for.
	Operation string `json:"op,omitempty"`
	// OperationAt is when it was accepted, in Unix milliseconds.
	OperationAt int64 `json:"opAt,omitempty"`
	// Checkpoint is the driver's own memory of a step with several parts.
	Checkpoint json.RawMessage `json:"checkpoint,omitempty"`
	// Operations lists everything that was ever charged for the item.
	Operations []Operation `json:"ops,omitempty"`
	// Clip is what the upload ended with, Tracks what the extend ended with.
	Clip   *provider.Clip `json:"clip,omitempty"`
	Tracks []Track        `json:"tracks,omitempty"`
	// ClipOf is the item whose upload Clip is, where that is another one. Anew says
	// that this item's audio is to be uploaded whatever lies at the account already.
	ClipOf string `json:"clipOf,omitempty"`
	Anew   bool   `json:"anew,omitempty"`
	// Failure is why the item failed, is held, or waits longer than usual.
	Failure *Failure `json:"failure,omitempty"`
	// Decided is the last decision that an operator made about a doubt, as its verb:
	// making it a second time changes nothing.
	Decided string `json:"decided,omitempty"`
}

// Source is the audio of an item.
type Source struct {
	// Name is what the producer called it: a path or a URL.
	Name string `json:"name"`
	// Path is the local file, absolute; URL is where it is on the network. One of
	// the two is set.
	Path string `json:"path,omitempty"`
	URL  string `json:"url,omitempty"`
	// The rest is what probing learned; a zero Duration means not probed yet.
	Format   string  `json:"format,omitempty"`
	Size     int64   `json:"size,omitempty"`
	ModTime  int64   `json:"mtime,omitempty"` // Unix nanoseconds
	SHA256   string  `json:"sha256,omitempty"`
	ETag     string  `json:"etag,omitempty"` // of an object in a bucket: which contents are meant
	Duration float64 `json:"seconds,omitempty"`
}

// Claim is one worker's claim to an item's current step, and for a paid step the
// intent to send its request.
type Claim struct {
	// Token is unguessable; only who holds it may record the outcome.
	Token  string `json:"token"`
	Worker string `json:"worker"`
	// Until is when the claim is over even if its worker lives, in Unix
	// milliseconds. The request's own deadline is earlier.
	Until int64 `json:"until"`
	// Params is the hash of the request's parameters, Credits what it will cost.
	Params  string  `json:"params,omitempty"`
	Credits float64 `json:"credits,omitempty"`
	// At is when the intent was written: the request left later. Doubt is when its
	// outcome became doubtful, Over when it cannot be accepted any more; both are
	// zero before. All in Unix milliseconds, by Redis's clock.
	At    int64 `json:"at,omitempty"`
	Doubt int64 `json:"doubt,omitempty"`
	Over  int64 `json:"over,omitempty"`
	// Before is the account's balance before the request, when nothing else of the
	// account was under way.
	Before *Balance `json:"before,omitempty"`
}

// Balance is an account's balance at a moment, and how many reservations had been
// made by then: while that number stands, nothing else was paid for.
type Balance struct {
	Credits float64 `json:"credits"`
	Moves   int64   `json:"moves"`
}

// Track is one finished result and where it is kept.
type Track struct {
	provider.Track
	File   string `json:"file,omitempty"`
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
}

// Failure says what went wrong, for people and for code.
type Failure struct {
	Code   fault.Code `json:"code"`
	Step   StepName   `json:"step"`
	Reason string     `json:"reason"`
	// Charge is what the failed request cost, as fault.Charge names it.
	Charge string `json:"charge,omitempty"`
}

// NewItem returns an item at the start of its plan.
func NewItem(source Source, plan []StepName, params *provider.Params) Item {
	return Item{Source: source, Params: params, Plan: plan, Step: plan[0], State: Queued, Backlog: true}
}

// PlanFor returns the steps of an item.
func PlanFor(extend bool) []StepName {
	if extend {
		return []StepName{StepUpload, StepExtend, StepFetch}
	}
	return []StepName{StepUpload}
}

// Label is where the item is, in one word for counting: "extend.waiting", or
// the bare state once it has ended.
func (it *Item) Label() string {
	if it.State.Ended() {
		return string(it.State)
	}
	return string(it.Step) + "." + string(it.State)
}

// ID is the item's id.
func (it *Item) ID() string { return ItemID(it.Session, it.Index) }

// AudioIDs is what the item adds to its session's audioIds: its tracks when it
// was extended, its clip when it was only uploaded.
func (it *Item) AudioIDs() []string {
	var ids []string
	switch {
	case it.State != Succeeded:
	case it.Plan[len(it.Plan)-1] == StepUpload:
		ids = append(ids, it.Clip.ID)
	default:
		for _, t := range it.Tracks {
			ids = append(ids, t.AudioID)
		}
	}
	return ids
}

// EffectiveParams is how the item is continued, with a continue-at that was
// counted from the end turned into seconds from the beginning.
func (it *Item) EffectiveParams(spec *Spec) provider.Params {
	params := provider.Params{}
	switch {
	case it.Params != nil:
		params = *it.Params
	case spec.Params != nil:
		params = *spec.Params
	}
	if params.ContinueAt < 0 {
		params.ContinueAt += it.Source.Duration
	}
	return params
}

// illegal says that a transition does not exist from here: somebody else moved
// the item first, or the caller's token is not the claim's.
func (it *Item) illegal(transition string) error {
	return fault.New(fault.Conflict, "session."+transition,
		fmt.Errorf("item %s is at %s generation %d", it.ID(), it.Label(), it.Generation))
}

// Take claims the current step for a worker. A paid step becomes sending: from
// the moment this is written, nobody but the claim's holder may send its request,
// and nobody ever sends it a second time in this generation.
func (it *Item) Take(claim Claim, paid bool) error {
	if it.State != Queued {
		return it.illegal("Take")
	}
	it.State = Running
	if paid {
		it.State = Sending
	}
	it.Backlog = false
	it.Claim = &claim
	used := maps.Clone(it.Used)
	if used == nil {
		used = make(map[StepName]int, 1)
	}
	used[it.Step] = max(used[it.Step], it.Generation+1)
	it.Used = used
	return nil
}

// holds says whether token is the one of the item's claim.
func (it *Item) holds(token string) bool { return it.Claim != nil && it.Claim.Token == token }

// Send turns a claim under which the step was prepared into the intent to send its
// paid request: from this write on nobody else ever sends it in this generation.
func (it *Item) Send(claim Claim) error {
	if it.State != Running || !it.holds(claim.Token) {
		return it.illegal("Send")
	}
	it.State = Sending
	it.Claim = &claim
	return nil
}

// Accept records that the provider took the request on. It is legal from a doubt
// too: a worker that was thought dead and reports late brings the very evidence
// that was missing.
func (it *Item) Accept(token string, accepted *provider.Accepted, now time.Time) error {
	if !it.holds(token) || (!it.State.claimed() && !it.State.InDoubt()) {
		return it.illegal("Accept")
	}
	credits := it.Claim.Credits
	it.release()
	it.Failure = nil
	if accepted.Checkpoint != nil {
		it.Checkpoint = accepted.Checkpoint
	}
	it.charge(Operation{ID: accepted.OperationID, Step: it.Step, Generation: it.Generation, Credits: credits, At: now.UnixMilli()})
	if accepted.Clip != nil {
		it.Clip = accepted.Clip
		it.advance(now)
		return nil
	}
	it.State, it.Operation, it.OperationAt = Waiting, accepted.OperationID, now.UnixMilli()
	return nil
}

// Release gives the step back: what was attempted surely cost nothing, and may
// be attempted again.
func (it *Item) Release(token string, why Failure) error {
	if !it.holds(token) || !it.State.claimed() {
		return it.illegal("Release")
	}
	it.release()
	it.State = Queued
	it.Attempts++
	it.Failure = &why
	return nil
}

// PutBack is Release for a step that waits for something else than its provider: no
// attempt is counted.
func (it *Item) PutBack(token string, why Failure) error {
	attempts := it.Attempts
	if err := it.Release(token, why); err != nil {
		return err
	}
	it.Attempts = attempts
	return nil
}

// Refuse ends the item: what was attempted failed for good, and its cost is known.
func (it *Item) Refuse(token string, why Failure, now time.Time) error {
	if !it.holds(token) || !it.State.claimed() {
		return it.illegal("Refuse")
	}
	if it.State == Sending && why.Charge == fault.ChargeMade.String() {
		it.charge(Operation{Step: it.Step, Generation: it.Generation, Credits: it.Claim.Credits, At: now.UnixMilli()})
	}
	it.fail(why)
	return nil
}

// Keep records the archived results and ends the item well.
func (it *Item) Keep(token string, tracks []Track, now time.Time) error {
	if !it.holds(token) || it.State != Running || it.Step != StepFetch {
		return it.illegal("Keep")
	}
	it.release()
	it.Tracks = tracks
	it.advance(now)
	return nil
}

// Reusable says that the item may be continued from a clip that lies at its account
// already: it is to be continued, and nobody wants it uploaded.
func (it *Item) Reusable() bool {
	return it.Step == StepUpload && len(it.Plan) > 1 && it.Source.SHA256 != "" && it.Generation == 0 && !it.Anew
}

// Reuse ends an upload of which nothing was sent: the same audio lies at the account
// already, as the clip of another item. token is that of the claim under which the
// step was prepared.
func (it *Item) Reuse(token string, clip provider.Clip, of string, now time.Time) error {
	if !it.holds(token) || it.State != Running || !it.Reusable() {
		return it.illegal("Reuse")
	}
	it.release()
	it.Clip, it.ClipOf = &clip, of
	it.advance(now)
	return nil
}

// Restage goes back to the upload: what it ended with is gone at the provider before
// it was used. Only an upload that costs nothing is repeated so, or one that was
// spared so far.
func (it *Item) Restage(now time.Time) error {
	if it.State != Queued || it.Step != StepExtend {
		return it.illegal("Restage")
	}
	it.disown()
	it.Clip = nil
	it.rerun(StepUpload, now)
	return nil
}

// disown lets go of a clip that is another item's, for good.
func (it *Item) disown() {
	if it.ClipOf != "" {
		it.Clip, it.ClipOf, it.Anew = nil, "", true
	}
}

// Restart begins an upload anew, because nothing came of its operation. Only one
// that costs nothing is repeated so.
func (it *Item) Restart(operation string, now time.Time) error {
	if it.State != Waiting || it.Step != StepUpload || it.Operation != operation {
		return it.illegal("Restart")
	}
	it.rerun(StepUpload, now)
	return nil
}

// Reject ends an item whose step cannot be started: nothing was claimed, and
// nothing was sent.
func (it *Item) Reject(why Failure) error {
	if it.State != Queued {
		return it.illegal("Reject")
	}
	it.fail(why)
	return nil
}

// Delay records that the step cannot be started for the time being.
func (it *Item) Delay(why Failure) error {
	if it.State != Queued {
		return it.illegal("Delay")
	}
	it.Attempts++
	it.Backlog = false
	it.Failure = &why
	return nil
}

// Yield puts a step that may not be sent for the time being back into its session,
// where it waits for nothing but to be admitted again: no attempt is counted. token
// is that of the claim under which the step was prepared, or empty.
func (it *Item) Yield(token string, why Failure) error {
	if token == "" && it.State != Queued || token != "" && (!it.holds(token) || !it.State.claimed()) || it.Step == StepFetch {
		return it.illegal("Yield")
	}
	it.release()
	it.State = Queued
	it.Backlog = true
	it.Rescue++ // the id of the task that is being executed is taken
	it.Failure = &why
	return nil
}

// Park is Yield for want of credits: how long the step may wait for its provider is
// counted anew from when it goes on.
func (it *Item) Park(token string, why Failure) error {
	if err := it.Yield(token, why); err != nil {
		return err
	}
	it.Since = 0
	return nil
}

// Save stores a driver's checkpoint under the claim.
func (it *Item) Save(token string, checkpoint json.RawMessage) error {
	if !it.holds(token) || !it.State.claimed() {
		return it.illegal("Save")
	}
	it.Checkpoint = checkpoint
	return nil
}

// Finish records that the operation ended well.
func (it *Item) Finish(operation string, state *provider.State, now time.Time) error {
	if it.State != Waiting || it.Operation != operation {
		return it.illegal("Finish")
	}
	switch it.Step {
	case StepUpload:
		it.Clip = state.Clip
	case StepExtend:
		it.Tracks = make([]Track, len(state.Tracks))
		for n, t := range state.Tracks {
			it.Tracks[n] = Track{Track: t}
		}
	case StepFetch:
		return it.illegal("Finish")
	}
	it.advance(now)
	return nil
}

// Lose records that the operation ended badly. One that was not charged after all
// gave its credits back.
func (it *Item) Lose(operation string, why Failure) error {
	if it.State != Waiting || it.Operation != operation {
		return it.illegal("Lose")
	}
	if why.Charge == fault.ChargeNone.String() {
		it.refund(operation)
	}
	it.fail(why)
	return nil
}

// Note records that asking about the operation, or for evidence, brought nothing
// for the time being; nil clears what was noted.
func (it *Item) Note(why *Failure) error {
	if it.State != Waiting && it.State != Reconciling {
		return it.illegal("Note")
	}
	it.Failure = why
	if it.Attempts++; why == nil {
		it.Attempts = 0
	}
	return nil
}

// Renew replaces the item's task, which is gone or stuck, by one with a new id.
func (it *Item) Renew() error {
	if it.State != Queued && it.State != Waiting && it.State != Reconciling {
		return it.illegal("Renew")
	}
	it.Rescue++
	it.Backlog = false
	return nil
}

// Cancel ends an item before its next paid step: one whose upload or extend is
// queued. A request that may have left is followed to its end, and what was paid
// for is fetched.
func (it *Item) Cancel() error {
	if it.State != Queued || it.Step == StepFetch {
		return it.illegal("Cancel")
	}
	it.State = Canceled
	it.Backlog = false
	it.Failure = nil
	return nil
}

// advance moves to the next step of the plan, or ends the item well.
func (it *Item) advance(now time.Time) {
	it.Operation, it.OperationAt, it.Checkpoint = "", 0, nil
	it.Rescue, it.Attempts, it.Deaths, it.Doubts = 0, 0, 0, 0
	it.Failure = nil
	it.State = Succeeded
	for n, step := range it.Plan {
		if step == it.Step && n+1 < len(it.Plan) {
			it.Step, it.State, it.Since = it.Plan[n+1], Queued, now.UnixMilli()
			it.Generation = it.Used[it.Step]
			it.Backlog = it.Step != StepFetch
			return
		}
	}
}

// fail ends the item badly. The operation stays on record: it may have been paid.
func (it *Item) fail(why Failure) {
	it.release()
	it.State = Failed
	it.Backlog = false
	it.Failure = &why
}

func (it *Item) release() { it.Claim = nil }
