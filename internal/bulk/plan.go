package bulk

import (
	"time"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/fault"
)

// Plan is what a run would do. Its JSON is what `segue plan --json` prints: camelCase,
// times in RFC 3339 UTC, durations in seconds, credits as the provider counts them.
// Fields are only ever added.
type Plan struct {
	// Hash moves when the inputs' contents, their parameters, what becomes of them,
	// the prices or the accounts do; see Make.
	Hash string `json:"hash"`
	// At is when the plan was made.
	At time.Time `json:"at"`
	// Inputs counts what was named.
	Inputs Inputs `json:"inputs"`
	// Credits is what the run would cost, over all accounts; CreditsSaved is what is
	// not paid again because a result or a clip is there already.
	Credits      float64 `json:"credits"`
	CreditsSaved float64 `json:"creditsSaved"`
	// PricesAssumed says that a provider publishes no prices: Credits is then what
	// budgets would count, and no quotation.
	PricesAssumed bool `json:"pricesAssumed"`
	// Seconds is how long the run takes at the least, at the limits.
	Seconds float64 `json:"seconds"`
	// Accounts is what falls to each, in the order that Settings names them in; those
	// that have nothing to do are left out.
	Accounts []AccountPlan `json:"accounts"`
	// Retention is what may be deleted before it is fetched.
	Retention Retention `json:"retention"`
	// Staging is how the files get to where the providers take them, by name.
	Staging []Staging `json:"staging"`
	// Warnings are sentences about what a person should know before the run: credits
	// that are short, prices that are assumed, results that would expire.
	Warnings []string `json:"warnings"`
	// Findings, Duplicates and Reused are the first few of each; Inputs counts them.
	// Findings are those that block the run, and then notes while there is room.
	Findings   []Remark    `json:"findings"`
	Duplicates []Duplicate `json:"duplicates"`
	Reused     []Reused    `json:"reused"`
}

// Inputs counts what becomes of the inputs.
type Inputs struct {
	// Total is Valid and Invalid: rows of manifests, files, URLs, and arguments that
	// named nothing.
	Total   int `json:"total"`
	Valid   int `json:"valid"`
	Invalid int `json:"invalid"`
	// New, Reused and Duplicates are the valid ones: what would be paid for, what was,
	// and what is there twice in this very run.
	New        int `json:"new"`
	Reused     int `json:"reused"`
	Duplicates int `json:"duplicates"`
	// Unread are those of the new ones whose content is not known, such as URLs: what
	// was paid for is not recognised in them.
	Unread int `json:"unread"`
	// Findings and Notes count what there is to say, which may be several things
	// about one input.
	Findings int `json:"findings"`
	Notes    int `json:"notes"`
	// Bytes and AudioSeconds are those of the valid inputs, as far as they are known.
	Bytes        int64   `json:"bytes"`
	AudioSeconds float64 `json:"audioSeconds"`
}

// AccountPlan is one account's part.
type AccountPlan struct {
	Provider string `json:"provider"`
	Account  string `json:"account"`
	// Items are the inputs that are new; Uploads and Extends the operations that they
	// take, ClipsReused the uploads that are not needed.
	Items       int `json:"items"`
	Uploads     int `json:"uploads"`
	Extends     int `json:"extends"`
	ClipsReused int `json:"clipsReused"`
	// Credits is what they cost.
	Credits float64 `json:"credits"`
	// Balance is what the provider says is left, Budget what may be spent; null where
	// it is not known, or not limited.
	Balance *float64 `json:"balance"`
	Budget  *float64 `json:"budget"`
	// Short is how many credits are missing; Fits how many of the items there are
	// credits for, in their order.
	Short float64 `json:"short"`
	Fits  int     `json:"fits"`
	// Seconds is how long it takes at the least; Limit is what it waits for: "rate",
	// "in flight", or "operation" where one takes so long.
	Seconds float64 `json:"seconds"`
	Limit   string  `json:"limit,omitempty"`
}

// Retention is what providers may delete before it is fetched.
type Retention struct {
	// AtRisk counts the new results that would wait for longer than their provider
	// keeps them, at the pace of fetching; SecondsBehind is how long the last one
	// waits.
	AtRisk        int     `json:"atRisk"`
	SecondsBehind float64 `json:"secondsBehind"`
	// Expiring counts results that were paid for, lie in no archive, and are deleted
	// before this run is over; Soonest is the first of them.
	Expiring int       `json:"expiring"`
	Soonest  time.Time `json:"soonest,omitzero"`
	// ClipsExpiring counts uploads that would not be repeated although their clip is
	// deleted before this run is over.
	ClipsExpiring int `json:"clipsExpiring"`
}

// Staging is one way that files take to a provider.
type Staging struct {
	// How names the way, as the caller does.
	How   string `json:"how"`
	Files int    `json:"files"`
	// Bytes is their size; Unsized counts those whose size is not known.
	Bytes   int64 `json:"bytes"`
	Unsized int   `json:"unsized"`
}

// Remark is a finding, as a plan shows it.
type Remark struct {
	// Origin is the argument, or file:line; Source the input, where that is another.
	Origin string `json:"origin"`
	Source string `json:"source,omitempty"`
	Reason string `json:"reason"`
	// Code is a failure code; empty for a note, which asks for nothing.
	Code fault.Code `json:"code,omitempty"`
}

// Duplicate is an input that is there twice: same content, same parameters.
type Duplicate struct {
	Origin string `json:"origin"`
	Source string `json:"source"`
	// First is the one that is done.
	First string `json:"first"`
}

// Reused is an input that was paid for already.
type Reused struct {
	Origin   string    `json:"origin"`
	Source   string    `json:"source"`
	Session  string    `json:"sessionId"`
	Item     string    `json:"itemId"`
	AudioIDs []string  `json:"audioIds"`
	Files    []string  `json:"files"`
	Expires  time.Time `json:"expires,omitzero"`
}

// Blocked says that a run would be refused until inputs are put right.
func (p *Plan) Blocked() bool { return p.Inputs.Invalid > 0 }

// remark is a finding as a plan shows it.
func remark(f source.Finding) Remark {
	return Remark{Origin: f.Origin, Source: f.Source, Reason: f.Reason, Code: f.Code}
}
