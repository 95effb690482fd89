package certify

import (
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

// Truth is what the provider and the rig know, and the system under test cannot
// change.
type Truth struct {
	// Batches are the songs that were submitted, by session.
	Batches map[string]Batch
	// Paid names the endpoint at which a step is charged.
	Paid map[string]string
	// Charges is the provider's charge log.
	Charges []simulator.Charge
	// Made are the clips that came of an operation, in the provider's order. Operations
	// that nobody need know about may be missing.
	Made map[string][]string
}

// Batch is what one session was asked for.
type Batch struct {
	// Account is whose key pays for it.
	Account string
	// Songs are in the order of the items.
	Songs []Song
	// Last is the step whose clips are the item's audioIds.
	Last string
}

// Session is what the system under test says became of one session.
type Session struct {
	ID    string
	Items []Item
	// AudioIDs is the session's aggregate.
	AudioIDs []string
	// Settled is how often the system recorded that it did what follows the
	// session's completion.
	Settled int
	// Effects are the times at which somebody could see it being done. One that is
	// killed between doing it and saying so leaves no time here.
	Effects []time.Time
	// Told are the audioIds that the effect handed on; nil when nothing was.
	Told []string
	// Spent is what the system says that the session cost, in the provider's credits;
	// nil when it does not keep count.
	Spent *float64
}

// Item is what the system under test says became of one song.
type Item struct {
	ID string
	// State is one of succeeded, failed, canceled, held, reconciling, or anything
	// else while it is on its way.
	State string
	// Step is the one that it is at.
	Step   string
	Reason string
	// Operations are all operations of paid steps on its record, Clips all clips:
	// evidence may have named a charge's clip and not its operation.
	Operations []string
	Clips      []string
}

func (it *Item) ended() bool {
	return it.State == "succeeded" || it.State == "failed" || it.State == "canceled"
}

// open says that the system itself says that it does not know what became of the
// item's paid request.
func (it *Item) open() bool { return it.State == "held" || it.State == "reconciling" }

// has says that a charge is on the item's record: its operation, or what was made.
func (it *Item) has(operation string, made []string) bool {
	return slices.Contains(it.Operations, operation) ||
		slices.ContainsFunc(made, func(clip string) bool { return slices.Contains(it.Clips, clip) })
}

// Held is an item that was left to a person, with what the provider's log says.
type Held struct {
	Item   string `json:"item"`
	Step   string `json:"step"`
	Reason string `json:"reason"`
	// Charged says that the provider charged the request in doubt, as Operation.
	Charged   bool   `json:"charged"`
	Operation string `json:"operation,omitempty"`
}

// Judgement is what a run came to.
type Judgement struct {
	Sessions int `json:"sessions"`
	Items    int `json:"items"`
	// Charges are the paid requests that the provider accepted.
	Charges int `json:"charges"`
	// Extra are charges of one job beyond its first.
	Extra int `json:"extraCharges"`
	// Lost are jobs that were charged, and no item has one of the operations on
	// record, though none says that it does not know.
	Lost int `json:"lostResults"`
	// Held are the items that wait for a person.
	Held []Held `json:"held"`
	// Failed counts failed items by reason.
	Failed    map[string]int `json:"failed"`
	Succeeded int            `json:"succeeded"`
	// Completed are the sessions of which every item has ended, Once those of them
	// whose completion took effect exactly once.
	Completed int `json:"completed"`
	Once      int `json:"completionOnce"`
	// Breaches say which promise was broken, and where; empty is a pass.
	Breaches []Breach `json:"breaches"`
}

// Breach is a promise that was broken.
type Breach struct {
	// Promise is its short name.
	Promise string `json:"promise"`
	// Finding says what was seen.
	Finding string `json:"finding"`
}

// The promises.
const (
	paidOnce    = "paid once"
	nothingLost = "nothing lost"
	inOrder     = "in order"
	onceSettled = "completed once"
	addsUp      = "adds up"
	explained   = "explained"
	allOver     = "comes to an end"
)

// Pass says that no promise was broken.
func (j *Judgement) Pass() bool { return len(j.Breaches) == 0 }
