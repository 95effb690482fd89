package session

import "time"

// Operation is something that was charged, or may have been, for an item.
type Operation struct {
	// ID is the provider's id of it; empty when it was charged and none is known.
	ID         string   `json:"id,omitempty"`
	Step       StepName `json:"step"`
	Generation int      `json:"gen,omitempty"`
	Credits    float64  `json:"credits,omitempty"`
	// At is when it was accepted, in Unix milliseconds, by Redis's clock.
	At int64 `json:"at,omitempty"`
	// Refunded says that the provider gave the credits back.
	Refunded bool `json:"refunded,omitempty"`
	// Presumed says that nobody knows whether it was charged: somebody went on
	// without knowing. Budgets count it, what was spent does not.
	Presumed bool `json:"presumed,omitempty"`
}

// Standing is what has become of the credits of one paid request.
type Standing uint8

const (
	// Free means that it costs nothing: it never left, was refused, or was refuted.
	Free Standing = iota
	// Open means that it may be under way, or is in doubt.
	Open
	// Charged means that it was accepted, or is presumed to have been.
	Charged
	// Refunded means that it was charged and given back.
	Refunded
)

// Standing says what has become of the credits for a step in a generation. Whoever
// keeps accounts asks it, and nothing else: the item is the truth, the ledger
// follows.
func (it *Item) Standing(step StepName, generation int) (Standing, float64) {
	for _, op := range it.Operations {
		if op.Step != step || op.Generation != generation {
			continue
		}
		if op.Refunded {
			return Refunded, op.Credits
		}
		return Charged, op.Credits
	}
	if it.Step == step && it.Generation == generation && (it.State == Sending || it.State.InDoubt()) {
		return Open, it.Claim.Credits
	}
	return Free, 0
}

// Credits is what was spent on the item, as far as it is known.
func (it *Item) Credits() float64 {
	var sum float64
	for _, op := range it.Operations {
		if !op.Refunded && !op.Presumed {
			sum += op.Credits
		}
	}
	return sum
}

// Committed is what budgets count for the item: what was spent, and what is
// presumed to have been.
func (it *Item) Committed() float64 {
	var sum float64
	for _, op := range it.Operations {
		if !op.Refunded {
			sum += op.Credits
		}
	}
	return sum
}

// Stray puts on record an operation that was accepted after its claim had been
// given to somebody else: it was paid, so it is never forgotten. Where the step is
// about to be sent again and has not been claimed for it, the item goes on with the
// operation instead: what was paid for once is enough.
func (it *Item) Stray(op Operation, now time.Time) error {
	if op.ID == "" && op.Credits == 0 {
		return nil // a step that ended at once, and free: nothing was left behind
	}
	known := false
	for _, before := range it.Operations {
		known = known || (op.ID != "" && before.ID == op.ID)
	}
	it.charge(op)
	again := it.State == Queued && it.Step == op.Step && it.Generation == op.Generation+1 && it.Used[it.Step] <= it.Generation
	if again && op.ID != "" && !known {
		it.State, it.Operation, it.OperationAt = Waiting, op.ID, now.UnixMilli()
		it.Failure = nil
	}
	return nil
}

// charge puts an operation on record, once. A step has one charge in a generation:
// what was presumed about it, or known without a name, gives way to what is known.
func (it *Item) charge(op Operation) {
	if op.ID == "" && op.Credits == 0 {
		return
	}
	kept := make([]Operation, 0, len(it.Operations)+1) // never write into a slice that somebody else may hold
	for _, known := range it.Operations {
		same := known.Step == op.Step && known.Generation == op.Generation
		switch {
		case same && known.ID == op.ID && known.Presumed == op.Presumed, same && op.ID == "" && !known.Presumed:
			return
		case same && (known.Presumed || known.ID == ""):
			continue
		}
		kept = append(kept, known)
	}
	kept = append(kept, op)
	it.Operations = kept
}

// refund records that the provider gave back what an operation cost.
func (it *Item) refund(operation string) {
	kept := make([]Operation, len(it.Operations))
	copy(kept, it.Operations)
	for n := range kept {
		if kept[n].ID == operation {
			kept[n].Refunded = true
		}
	}
	it.Operations = kept
}
