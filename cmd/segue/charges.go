package main

import (
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/session"
)

// The outcomes of a charge: what became of what was paid for.
const (
	// kept: its result is there: a clip, or the tracks.
	chargeKept = "kept"
	// running: the provider has it, or the request is on the way.
	chargeRunning = "running"
	// failed: it was charged, and nothing came of it.
	chargeFailed = "failed"
	// refunded: the provider gave the credits back.
	chargeRefunded = "refunded"
	// presumed: nobody knows whether it was charged, and somebody went on.
	chargePresumed = "presumed"
	// in doubt: nobody knows whether it was charged, and nobody goes on.
	chargeInDoubt = "in doubt"
	// stray: it was accepted after its step had been given up, and is of no use.
	chargeStray = "stray"
)

// outcomes are all of them, as summaries list them.
var outcomes = []string{chargeKept, chargeRunning, chargeFailed, chargeRefunded, chargePresumed, chargeInDoubt, chargeStray}

// charge is one paid request, and what became of it.
type charge struct {
	ItemID     string `json:"itemId"`
	Source     string `json:"source"`
	Step       string `json:"step"`
	Generation int    `json:"generation"`
	// OperationID is empty where the provider's id is not known.
	OperationID string  `json:"operationId"`
	Credits     float64 `json:"credits"`
	// At is when it was accepted, or was about to be sent.
	At      time.Time `json:"at"`
	Outcome string    `json:"outcome"`
}

// chargesOf lists an item's paid requests, in the order in which they were recorded.
func chargesOf(it *session.Item) []charge {
	all := make([]charge, 0, len(it.Operations)+1)
	for n, op := range it.Operations {
		all = append(all, charge{
			ItemID: it.ID(), Source: it.Source.Name, Step: string(op.Step), Generation: op.Generation,
			OperationID: op.ID, Credits: op.Credits, At: time.UnixMilli(op.At).UTC(), Outcome: outcomeOf(it, n),
		})
	}
	if standing, credits := it.Standing(it.Step, it.Generation); standing == session.Open && credits > 0 {
		open := charge{
			ItemID: it.ID(), Source: it.Source.Name, Step: string(it.Step), Generation: it.Generation,
			Credits: credits, At: time.UnixMilli(it.Claim.At).UTC(), Outcome: chargeRunning,
		}
		if it.State.InDoubt() {
			open.Outcome = chargeInDoubt
		}
		all = append(all, open)
	}
	return all
}

// outcomeOf says what became of the n-th operation on an item's record.
func outcomeOf(it *session.Item, n int) string {
	op := it.Operations[n]
	switch {
	case op.Refunded:
		return chargeRefunded
	case op.Presumed:
		return chargePresumed
	case it.State == session.Waiting && op.ID == it.Operation:
		// It may be of an earlier generation: of a request that was thought to be lost.
		return chargeRunning
	case late(it, n):
		return chargeStray
	}
	passed := slices.Index(it.Plan, op.Step) < slices.Index(it.Plan, it.Step)
	current := op.Step == it.Step && op.Generation == it.Generation
	switch {
	case passed && latest(it, n), current && it.State == session.Succeeded:
		return chargeKept
	case !current || it.State == session.Failed:
		return chargeFailed
	}
	return chargeStray
}

// late says that an operation became known after another one of its step had been
// accepted, in its generation or a later one.
func late(it *session.Item, n int) bool {
	op := it.Operations[n]
	return slices.ContainsFunc(it.Operations[:n], func(before session.Operation) bool {
		return before.Step == op.Step && before.Generation >= op.Generation && !before.Presumed && !before.Refunded
	})
}

// latest says that no later generation of an operation's step was charged.
func latest(it *session.Item, n int) bool {
	op := it.Operations[n]
	return !slices.ContainsFunc(it.Operations, func(other session.Operation) bool {
		return other.Step == op.Step && other.Generation > op.Generation
	})
}

// sum is how many charges there are of one outcome, and what they cost.
type sum struct {
	Charges int     `json:"charges"`
	Credits float64 `json:"credits"`
}

// sums adds charges up by outcome.
type sums map[string]sum

func (s sums) add(all []charge) {
	for _, c := range all {
		was := s[c.Outcome]
		s[c.Outcome] = sum{was.Charges + 1, was.Credits + c.Credits}
	}
}
