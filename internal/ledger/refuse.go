package ledger

import (
	"fmt"
	"strconv"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// OverBudget is why a reservation was refused: a limit would have been passed.
type OverBudget struct {
	// Scope and Key name what the limit is for: the key of a session is its id, of a
	// day its UTC date, of the account the account.
	Scope, Key string
	// Limit, Spent and Reserved are as they stood, Price is what was asked for.
	Limit, Spent, Reserved, Price float64
	// Final says that no release of what is reserved can help, and no other day: only
	// a refund or a higher limit.
	Final bool
}

// Error says it in credits.
func (o *OverBudget) Error() string {
	return fmt.Sprintf("the budget of %s %s is %s credits: %s spent, %s reserved, %s more asked for",
		o.Scope, o.Key, plain(o.Limit), plain(o.Spent), plain(o.Reserved), plain(o.Price))
}

// Dry is why a reservation was refused: the provider said that the account has no
// credits left.
type Dry struct {
	// Until is when it is tried again, unless the balance is known to suffice before.
	Until time.Time
}

// Error says until when.
func (d *Dry) Error() string {
	return "the account is out of credits; nothing is sent before " + d.Until.UTC().Format(time.RFC3339) + " unless its balance rises"
}

func plain(credits float64) string { return strconv.FormatFloat(credits, 'f', -1, 64) }

// contended is when to ask again for what others have reserved: they settle or
// release within a request's deadline.
const contended = 30 * time.Second

// refusal is one limit that would have been passed, and what helps.
type refusal struct {
	over  *OverBudget
	retry time.Duration // meaningless when final
}

// overBudget reads the answer {ms, number of the limit, spent, reserved, …}, and
// gives the refusal that holds longest.
func overBudget(op string, r *Reservation, answer []int64) error {
	now := time.UnixMilli(answer[0])
	var worst refusal
	for n := 1; n+2 < len(answer); n += 3 {
		next := refuse(r, r.Limits[answer[n]], credits(answer[n+1]), credits(answer[n+2]), now)
		if worst.over == nil || (!worst.over.Final && (next.over.Final || next.retry > worst.retry)) {
			worst = next
		}
	}
	refused := fault.Uncharged(fault.Exhausted, op, worst.over)
	if !worst.over.Final {
		refused.RetryAfter = worst.retry
	}
	return refused
}

func refuse(r *Reservation, limit Limit, spent, reserved float64, now time.Time) refusal {
	over := &OverBudget{
		Scope: limit.Scope, Key: limit.Key,
		Limit: limit.Credits, Spent: spent, Reserved: reserved, Price: r.Credits,
	}
	full := exceeds(r.Credits+spent, limit.Credits)
	switch limit.Scope {
	case ScopeAccount:
		over.Key = r.Account.String()
	case ScopeSession:
		over.Key = r.Entry.Session
	case ScopeDay:
		over.Key = dateOf(now)
		over.Final = exceeds(r.Credits, limit.Credits)
		if full {
			return refusal{over, midnight(now).Sub(now)}
		}
		return refusal{over, contended}
	}
	over.Final = full
	return refusal{over, contended}
}

// exceeds compares as the books do, in whole millionths.
func exceeds(sum, limit float64) bool { return sum-limit >= 0.5e-6 }

// tooDry reads the answer {ms, until}.
func tooDry(op string, answer []int64) error {
	until := time.UnixMilli(answer[1])
	refused := fault.Uncharged(fault.Exhausted, op, &Dry{until})
	refused.Scope = fault.ScopeAccount
	refused.RetryAfter = until.Sub(time.UnixMilli(answer[0]))
	return refused
}
