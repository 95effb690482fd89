package kie

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/rest"
)

// window is the documented one of the rate limit: what is over 20 requests in it
// is refused, neither queued nor billed.
const window = 10 * time.Second

// kieRefusals is the list of Apikley's contract with what KIE's pages add. A
// refusal comes instead of a taskId, so a listed one began no task; those that
// speak of a task's end (413, 501) are believed to, and may have been billed.
func kieRefusals() rest.Table {
	t := familyRefusals()
	t["429"] = rest.Rule{Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: window}
	t["413"] = rest.Rule{Code: fault.Rejected, Why: matches}
	t["501"] = rest.Rule{Code: fault.Unavailable, Why: "the generation failed"}
	t["531"] = rest.Rule{Code: fault.Unavailable, Charge: fault.ChargeNone, Why: refunded}
	return t
}

// sunoapiRefusals: the same numbers, and other meanings.
func sunoapiRefusals() rest.Table {
	t := familyRefusals()
	t["405"] = rest.Rule{Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: window}
	t["413"] = rest.Rule{Code: fault.Invalid, Charge: fault.ChargeNone, Why: "the prompt or the style is too long"}
	t["429"] = rest.Rule{Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeAccount, Why: "the credits are used up"}
	t["430"] = rest.Rule{Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: window}
	return t
}

// familyRefusals begins with HTTP's meanings. The rows for an HTTP status alone
// are for what stands in front of the API, which itself always answers in JSON.
func familyRefusals() rest.Table {
	t := rest.Statuses()
	t["HTTP 403"] = firewall
	for _, code := range []string{"405", "413"} {
		t["HTTP "+code] = t[code]
	}
	t["HTTP 429"] = rest.Rule{Code: fault.Exhausted, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint, After: window}
	// 409 says that a WAV record exists already. The page lists it for this request,
	// where it can mean nothing; what it would have cost is not known.
	t["433"] = rest.Rule{Code: fault.Invalid, Charge: fault.ChargeNone, Why: "the callback URL is not accepted"}
	t["451"] = rest.Rule{Code: fault.NotFound, Charge: fault.ChargeNone, Why: unfetched}
	t["505"] = rest.Rule{Code: fault.Invalid, Charge: fault.ChargeNone, Why: "the feature is switched off there"}
	for _, code := range []string{"501", "505", "531"} {
		t["HTTP "+code] = rest.Rule{Code: fault.Unavailable}
	}
	return t
}

// questionRefusals are those of record-info. A task's id is all that it validates,
// so a 422 of the API ("recordInfo is null") says that there is no such task.
func questionRefusals(t rest.Table) rest.Table {
	t = maps.Clone(t)
	t["HTTP 422"], t["422"] = t["422"], rest.Rule{Code: fault.NotFound, Charge: fault.ChargeNone, Why: "the task is not known there"}
	return t
}

// stagingRefusals are those of the file hosts: 400, 401, 405 and 500.
func stagingRefusals() rest.Table {
	t := rest.Statuses()
	t["HTTP 403"] = firewall
	return t
}

// firewall is a 403 without a word of the API: Cloudflare's "error code: 1010" for
// clients that it takes for robots. It says nothing about the key.
var firewall = rest.Rule{
	Code: fault.Unavailable, Charge: fault.ChargeNone, Scope: fault.ScopeEndpoint,
	Why: "the firewall in front of the provider refuses this client, not the key; see the option user_agent",
}

const (
	matches   = "the audio matches an existing work"
	refunded  = "the generation failed, and the credits were refunded"
	unfetched = "the provider could not fetch the audio"
)

// outcome is what a task's error code means. A task was accepted, so it was
// billed; that the credits come back is stated for 531 alone. Counting too much as
// spent keeps every budget, and the comparison with the balance shows a refund.
type outcome struct {
	code   fault.Code
	charge fault.Charge
	why    string
	// final says that the code can only be about the task, so that it is believed
	// also where an answer shows no task.
	final bool
}

// kieOutcomes are the codes of the callback page and of record-info. 408 is
// labelled "Rate Limited", explained as "Timeout", and elsewhere as ten minutes
// without a result: the latter two agree.
var kieOutcomes = map[string]outcome{
	"400": {code: fault.Rejected, charge: fault.ChargeMade, why: "the lyrics contain copyrighted material"},
	"408": {code: fault.Timeout, charge: fault.ChargeMade, why: "nothing came of it in time"},
	"413": {code: fault.Rejected, charge: fault.ChargeMade, why: matches, final: true},
	"451": {code: fault.NotFound, charge: fault.ChargeMade, why: unfetched},
	"500": {code: fault.Unavailable, charge: fault.ChargeMade},
	"501": {code: fault.Unavailable, charge: fault.ChargeMade, why: "the generation failed", final: true},
	"531": {code: fault.Unavailable, charge: fault.ChargeNone, why: refunded, final: true},
}

// sunoapiOutcomes: 400 is about parameters, formats and content alike.
var sunoapiOutcomes = map[string]outcome{
	"400": {code: fault.Rejected, charge: fault.ChargeMade, why: "the parameters, the format or the content were refused"},
	"451": {code: fault.NotFound, charge: fault.ChargeMade, why: unfetched},
	"500": {code: fault.Unavailable, charge: fault.ChargeMade},
}

func codes(outcomes map[string]outcome) []string { return slices.Sorted(maps.Keys(outcomes)) }

// failed is the end of a task that went wrong. word is the provider's, where there
// is one; code and message are what it says of the reason. The codes decide, the
// words are for people.
func (d *driver) failed(word, code, message string) *provider.State {
	why, listed := d.outcomes[code]
	if !listed {
		why = outcome{code: fault.Unavailable, charge: fault.ChargeMade}
	}
	if word == sensitive {
		why.code = fault.Rejected
	}
	if code != "" && code != "0" {
		code = "code " + d.api.Clean(code)
	} else {
		code = ""
	}
	said := []string{word, code, why.why, d.api.Clean(message)}
	text := slices.DeleteFunc(said, func(part string) bool { return part == "" })
	err := &fault.Error{Code: why.code, Op: d.op("Poll"), Charge: why.charge, Err: errors.New(strings.Join(text, ": "))}
	return &provider.State{Done: true, Word: cmp.Or(word, code), Failure: err}
}

// refused is an answer whose verdict is about the question, not about the task.
func (d *driver) refused(code string) error {
	rule := d.refusals[code]
	return &fault.Error{
		Code: rule.Code, Op: d.op("Poll"), Charge: fault.ChargeNone, Scope: rule.Scope, RetryAfter: rule.After,
		Err: errors.New("code " + code),
	}
}
