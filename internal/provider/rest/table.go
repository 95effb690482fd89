package rest

import (
	"net/http"
	"strconv"

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
}

// Table lists a provider's refusals, by the verdict in the body ("429",
// "task_not_exist") and by the HTTP status in decimal. The verdict is looked up
// first: several providers answer HTTP 200 whatever happened.
//
// An unlisted verdict with a 2xx status is malformed. An unlisted status is
// unavailable (5xx), invalid (4xx) or malformed. None of these claims that
// nothing was charged.
type Table map[string]Rule

// find gives the rule for an answer and says whether the table lists it.
func (t Table) find(status int, verdict string) Rule {
	if rule, listed := t[verdict]; listed && verdict != "" {
		return rule
	}
	if good(status) {
		return Rule{Code: fault.Malformed}
	}
	if rule, listed := t[strconv.Itoa(status)]; listed {
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
