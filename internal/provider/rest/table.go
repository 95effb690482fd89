package rest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Rule says what one refusal means.
type Rule struct {
	// Code is the kind of failure.
	Code fault.Code
	// Charge is fault.ChargeNone only where this answer proves that nothing was
	// billed.
	Charge fault.Charge
	// Scope is what else should stop for a while.
	Scope fault.Scope
	// After is the wait that the provider's documents name for this refusal; it
	// holds where the answer itself names none.
	After time.Duration
	// Why says in our own words what a person should know of it; may be empty.
	Why string
}

// Table lists a provider's refusals, by the verdict in the body ("429",
// "task_not_exist") and by the HTTP status in decimal. The verdict is looked up
// first: several providers answer HTTP 200 whatever happened. A row such as
// "HTTP 429" is for the status alone and goes before "429" there: what stands
// before a provider (a firewall, a load balancer) uses the numbers of HTTP, also
// where the provider gave them another meaning.
//
// An unlisted verdict with a 2xx status is malformed. An unlisted status is
// unavailable (5xx), invalid (4xx) or malformed. None of these claims that
// nothing was charged.
type Table map[string]Rule

// Statuses is the table that a driver begins with: the codes that the providers
// of this family share, in the meaning that HTTP gives them. A driver overwrites
// the rows that its provider uses in another way.
//
// Uncharged is what is refused at the door. What a gateway may also answer after
// it passed the request on (408, 409, every 5xx) has an unknown charge.
func Statuses() Table {
	return Table{
		"400": {Code: fault.Invalid, Charge: fault.ChargeNone},
		"401": {Code: fault.Denied, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
		"402": {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
		"403": {Code: fault.Denied, Charge: fault.ChargeNone, Scope: fault.ScopeAccount},
		"404": {Code: fault.NotFound, Charge: fault.ChargeNone},
		"405": {Code: fault.Invalid, Charge: fault.ChargeNone},
		"413": {Code: fault.Invalid, Charge: fault.ChargeNone},
		"415": {Code: fault.Invalid, Charge: fault.ChargeNone},
		"422": {Code: fault.Invalid, Charge: fault.ChargeNone},
		"429": {Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint},
		// 455 is the family's own: closed for maintenance.
		"455": {Code: fault.Unavailable, Charge: fault.ChargeNone, Scope: fault.ScopeProvider},

		"408": {Code: fault.Timeout},
		"409": {Code: fault.Conflict},
		"500": {Code: fault.Unavailable},
		"501": {Code: fault.Unavailable},
		"502": {Code: fault.Unavailable},
		"503": {Code: fault.Unavailable},
		"504": {Code: fault.Unavailable},
	}
}

// find gives the rule for an answer.
func (t Table) find(status int, verdict string) Rule {
	if rule, listed := t[verdict]; listed && verdict != "" {
		return rule
	}
	if good(status) {
		return Rule{Code: fault.Malformed}
	}
	number := strconv.Itoa(status)
	if rule, listed := t["HTTP "+number]; listed {
		return rule
	}
	if rule, listed := t[number]; listed {
		return rule
	}
	switch {
	case status >= http.StatusInternalServerError:
		return Rule{Code: fault.Unavailable}
	case status >= http.StatusBadRequest:
		return Rule{Code: fault.Invalid}
	}
	return Rule{Code: fault.Malformed}
}

func good(status int) bool { return status >= 200 && status < 300 }
