package simulator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segue-audio/segue/internal/fault"
)

// Kind names one way in which a provider misbehaves.
type Kind string

// The kinds. "Charged" says what happens to the account's credits.
const (
	// DropBefore closes the connection before anything happened: not charged.
	DropBefore Kind = "drop_before"
	// DropAfter accepts the request, charges it, and resets the connection
	// without an answer.
	DropAfter Kind = "drop_after"
	// ErrorAfter charges and answers HTTP 500 in the provider's own form.
	ErrorAfter Kind = "error_after"
	// PageAfter charges and answers with a proxy's HTML page, HTTP 502.
	PageAfter Kind = "page_after"
	// TruncateAfter charges and answers with the right status and half the JSON.
	TruncateAfter Kind = "truncate_after"
	// Delay holds the request for Options.FaultDelay before anything else.
	Delay Kind = "delay"
	// RateLimited answers 429 with Retry-After: not charged.
	RateLimited Kind = "rate_limited"
	// Maintenance answers 455: not charged.
	Maintenance Kind = "maintenance"
	// NoCredits answers 402 although the account has credits: not charged.
	NoCredits Kind = "no_credits"
	// Denied answers 401 although the key is good: not charged.
	Denied Kind = "denied"
	// OperationFailed accepts and charges; the operation ends as failed. What
	// is free, such as examining an upload, fails likewise.
	OperationFailed Kind = "operation_failed"
	// OperationTimeout accepts and charges; the operation ends as timed out.
	OperationTimeout Kind = "operation_timeout"
	// OperationRefunded accepts and charges; the operation fails with code 531
	// and gives the credits back.
	OperationRefunded Kind = "operation_refunded"
	// OperationMatched accepts and charges; the audio matches existing work.
	OperationMatched Kind = "operation_matched"
	// OperationSensitive accepts and charges; the words are refused.
	OperationSensitive Kind = "operation_sensitive"
	// ResultsVanish accepts, charges and succeeds; the result files are never
	// there.
	ResultsVanish Kind = "results_vanish"
	// CallbackEarly sends the first callback of an operation before the request
	// that starts it is answered, where that callback is not the last.
	CallbackEarly Kind = "callback_early"
	// CallbackLost never sends a callback, and never tries again.
	CallbackLost Kind = "callback_lost"
	// CallbackDoubled sends it twice.
	CallbackDoubled Kind = "callback_doubled"
	// CallbackReordered sends it after those that follow; the last one is held
	// back for Options.FaultDelay.
	CallbackReordered Kind = "callback_reordered"
	// CallbackForged sends a lie first, with a wrong signature.
	CallbackForged Kind = "callback_forged"
	// CallbackReplayed sends a lie first, with a good signature: it does not
	// cover the body.
	CallbackReplayed Kind = "callback_replayed"
	// CallbackStranger sends one about an unknown task first, signed well.
	CallbackStranger Kind = "callback_stranger"
	// BotCheck answers initialize-clip with HTTP 400 and an empty page, as what
	// guards the service behind the gateway does: nothing happened.
	BotCheck Kind = "bot_check"
	// TransferCut breaks the connection halfway through a transfer to the
	// storage: nothing is stored.
	TransferCut Kind = "transfer_cut"
	// TicketExpired makes the storage say that a ticket has expired although it
	// has not; the next request with it may do.
	TicketExpired Kind = "ticket_expired"
	// BooksLag accepts and charges; the charge is missing from the provider's lists
	// of deductions and of usage for Options.BooksDelay. The balance shows it.
	BooksLag Kind = "books_lag"
	// BooksError answers a question for such a list with HTTP 500.
	BooksError Kind = "books_error"
	// StatusError answers a status request with HTTP 500.
	StatusError Kind = "status_error"
	// CDNCut sends half of a result file and cuts the connection.
	CDNCut Kind = "cdn_cut"
	// CDNMissing answers the first request for a result file with 404.
	CDNMissing Kind = "cdn_missing"
	// CDNSlow pauses for Options.FaultDelay in the middle of a result file.
	CDNSlow Kind = "cdn_slow"
	// CDNPage answers with an HTML page, HTTP 200, instead of audio.
	CDNPage Kind = "cdn_page"
)

// class groups the endpoints that a kind makes sense for.
type class uint16

const (
	paid      class = 1 << iota // accepted requests cost credits
	creates                     // free, and leaves something behind
	status                      // asks about an operation
	reads                       // any other free question
	cdn                         // result files
	calls                       // accepted requests are followed by callbacks
	callback                    // the callbacks
	processes                   // free, and starts something that may fail
	storage                     // transfers of files
	songs                       // operations that may fail in the ways of KIE
	guarded                     // what bots are kept from
	purse                       // tells of the account's credits
	books                       // lists what was charged
	entered                     // accepted requests are in such lists

	submits = paid | creates
	api     = submits | status | reads
)

var kinds = map[Kind]class{
	DropBefore: api | storage, Delay: api | storage, RateLimited: api, Maintenance: api, Denied: api,
	DropAfter: submits | storage, ErrorAfter: submits | storage, PageAfter: submits, TruncateAfter: submits,
	NoCredits: paid, OperationFailed: paid | processes, OperationTimeout: paid,
	BotCheck: guarded, TransferCut: storage, TicketExpired: storage,
	StatusError: status, BooksError: books, BooksLag: entered,
	OperationRefunded: songs, OperationMatched: songs, OperationSensitive: songs, ResultsVanish: paid,
	CallbackEarly: calls,
	CallbackLost:  callback, CallbackDoubled: callback, CallbackReordered: callback,
	CallbackForged: callback, CallbackReplayed: callback, CallbackStranger: callback,
	CDNCut: cdn, CDNMissing: cdn, CDNSlow: cdn, CDNPage: cdn,
}

// Kinds lists every kind in alphabetical order.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// Faults gives each kind its probability per request, from 0 to 1. A kind that
// is absent never happens by chance; it can still be scripted.
//
// Draws depend on the seed, the kind, the endpoint and the number of the
// request at that endpoint, and on nothing else.
type Faults map[Kind]float64

// Mild is the mixture that `segue sim` starts with: rare enough to work with,
// common enough that a client that handles no faults loses something within a
// few hundred items. Denied and NoCredits are not in it: a careful client stops
// using the account, and a demonstration would end there. Nor is ResultsVanish,
// against which no care helps.
func Mild() Faults {
	return Faults{
		DropBefore: 0.01, DropAfter: 0.01, ErrorAfter: 0.004, PageAfter: 0.004, TruncateAfter: 0.004,
		Delay: 0.01, RateLimited: 0.01, Maintenance: 0.002,
		OperationFailed: 0.005, OperationTimeout: 0.002, StatusError: 0.01,
		BooksLag: 0.05, BooksError: 0.05,
		BotCheck: 0.005, TransferCut: 0.01, TicketExpired: 0.005,
		OperationRefunded: 0.002, OperationMatched: 0.001, OperationSensitive: 0.001,
		CallbackEarly: 0.01, CallbackLost: 0.01, CallbackDoubled: 0.01, CallbackReordered: 0.01,
		CallbackForged: 0.005, CallbackReplayed: 0.005, CallbackStranger: 0.005,
		CDNCut: 0.01, CDNMissing: 0.01, CDNSlow: 0.01, CDNPage: 0.002,
	}
}

func (f Faults) check() error {
	var findings []error
	for _, k := range slices.Sorted(maps.Keys(f)) {
		if _, known := kinds[k]; !known {
			findings = append(findings, fmt.Errorf("unknown fault %q", k))
			continue
		}
		// Written so that NaN is refused too.
		if p := f[k]; !(p >= 0 && p <= 1) {
			findings = append(findings, fmt.Errorf("fault %q has probability %v, want 0 to 1", k, p))
		}
	}
	return errors.Join(findings...)
}

// Next scripts a fault: the next Count requests of Endpoint meet Kind, and no
// other fault. Scripts for one endpoint run in the order they were added.
type Next struct {
	// Endpoint is a name such as "mountsea.item", or "cdn"; see Endpoints.
	Endpoint string `json:"endpoint"`
	Kind     Kind   `json:"kind"`
	// Count is at least 1.
	Count int `json:"count"`
	// Account is whose requests meet it; empty is everybody's.
	Account string `json:"account,omitempty"`
	// RetryAfter is what RateLimited and Maintenance ask for, in whole seconds; 0 is
	// Options.RetryAfter for the former and nothing for the latter.
	RetryAfter Span `json:"retryAfter,omitempty"`
}

// SetFaults replaces the probabilities. A bad name or number is fault.Invalid,
// and then nothing changes.
func (s *Simulator) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return fault.New(fault.Invalid, "simulator.SetFaults", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = maps.Clone(f)
	return nil
}

// Script adds scripted faults. An unknown endpoint, or a kind that cannot
// happen there, is fault.Invalid, and then nothing is added.
func (s *Simulator) Script(script ...Next) error {
	if err := s.checkScript(script); err != nil {
		return fault.New(fault.Invalid, "simulator.Script", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, script...)
	return nil
}

func (s *Simulator) checkScript(script []Next) error {
	var findings []error
	for _, n := range script {
		if err := s.checkStrike(n.Endpoint, n.Kind, n.RetryAfter); err != nil {
			findings = append(findings, err)
			continue
		}
		if n.Count < 1 {
			findings = append(findings, fmt.Errorf("fault %q at %q has count %d, want at least 1", n.Kind, n.Endpoint, n.Count))
		}
	}
	return errors.Join(findings...)
}

// checkStrike says whether a kind can happen at an endpoint, with a Retry-After.
func (s *Simulator) checkStrike(endpoint string, k Kind, retryAfter Span) error {
	at, known := s.classes[endpoint]
	switch {
	case !known:
		return fmt.Errorf("unknown endpoint %q", endpoint)
	case kinds[k] == 0:
		return fmt.Errorf("unknown fault %q", k)
	case kinds[k]&at == 0:
		return fmt.Errorf("fault %q cannot happen at %q", k, endpoint)
	case retryAfter != 0 && k != RateLimited && k != Maintenance:
		return fmt.Errorf("fault %q asks for no time", k)
	case retryAfter < 0 || time.Duration(retryAfter)%time.Second != 0:
		return fmt.Errorf("fault %q asks for %v, want whole seconds: the header counts in them", k, retryAfter)
	}
	return nil
}

// plan is what one request will meet.
type plan []Kind

func (p plan) has(k Kind) bool { return slices.Contains(p, k) }

func (p plan) without(k Kind) plan {
	return slices.DeleteFunc(p, func(planned Kind) bool { return planned == k })
}

// first gives the earliest of the given kinds that is planned, or "".
func (p plan) first(among ...Kind) Kind {
	for _, k := range among {
		if p.has(k) {
			return k
		}
	}
	return ""
}

// planned numbers a request and decides what it meets: what is scripted, or else
// a spell, or else what chance has. after is the Retry-After of the first two. The
// caller holds s.mu.
func (s *Simulator) planned(endpoint, account string) (met plan, after time.Duration) {
	s.requests[endpoint]++
	if k, after := s.scripted(endpoint, account); k != "" {
		return plan{k}, after
	}
	if k, after := s.spelled(endpoint, account); k != "" {
		return plan{k}, after
	}
	for k, probability := range s.faults {
		if kinds[k]&s.classes[endpoint] == 0 || probability == 0 {
			continue
		}
		if s.dice.fraction("fault/"+string(k)+"/"+endpoint, s.requests[endpoint]) < probability {
			met = append(met, k)
		}
	}
	return met, 0
}

func (s *Simulator) scripted(endpoint, account string) (Kind, time.Duration) {
	for i := range s.script {
		n := s.script[i]
		if n.Endpoint != endpoint || n.Account != "" && n.Account != account {
			continue
		}
		if s.script[i].Count--; s.script[i].Count == 0 {
			s.script = slices.Delete(s.script, i, i+1)
		}
		return n.Kind, time.Duration(n.RetryAfter)
	}
	return "", 0
}
