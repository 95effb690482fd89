package bulk

import (
	"context"
	"time"

	"github.com/segue-audio/segue/internal/audio/source"
	"github.com/segue-audio/segue/internal/provider"
)

// Job is what is to be done with one input.
type Job struct {
	// Provider and Account are where it goes, by their names in the configuration.
	Provider, Account string
	// Params is how it is continued, as the provider is told (see Request.Params);
	// nil means that it is only uploaded.
	Params *provider.Params
	// Bound says that the result is of use at this account alone.
	Bound bool
	// Clips says that an upload ends with a clip that can be continued again.
	Clips bool
	// Staging names how the file gets to where the provider takes it.
	Staging string
	// Reasons say what is wrong with doing it, a sentence each; none is good.
	Reasons []string
}

// request is what the job's result is addressed by.
func (j Job) request(sum string) Request {
	r := Request{SHA256: sum, Provider: j.Provider, Params: j.Params}
	if j.Bound {
		r.Account = j.Account
	}
	return r
}

// Price is what a job costs.
type Price struct {
	Upload float64 `json:"upload"`
	// Extend counts for jobs that have parameters.
	Extend float64 `json:"extend"`
	// Assumed says that nobody published it.
	Assumed bool `json:"assumed"`
}

// Account is one account, and its limits.
type Account struct {
	Provider, Name string
	// Balance is what the provider says is left, rounded as coarsely as it should
	// move the hash; nil when it is not known. Budget is what may be spent; nil when
	// that is not limited.
	Balance, Budget *float64
	// Submit requests may leave in any period of Per; 0 does not limit them. InFlight
	// operations may run at once; 0 does not limit them.
	Submit   int
	Per      time.Duration
	InFlight int
	// Upload and Extend are how long an operation takes as a rule, which it holds its
	// place for. Uploads that end at once take none.
	Upload, Extend time.Duration
	// Retention is how long the provider keeps results; 0 when it does not say.
	Retention time.Duration
}

// Fetching is the pace at which results are fetched.
type Fetching struct {
	// AtOnce are fetched at the same time, each in Each; 0 is no limit.
	AtOnce int
	Each   time.Duration
}

// Kind is what becomes of an input.
type Kind string

// The kinds.
const (
	// New is done, and paid for.
	New Kind = "new"
	// Known was paid for already: Outcome.Entry has it.
	Known Kind = "reused"
	// Twice is a duplicate of one that is done in this run: Outcome.First.
	Twice Kind = "duplicate"
	// Wrong is not done: Outcome.Findings say why.
	Wrong Kind = "invalid"
)

// Outcome is what becomes of one input.
type Outcome struct {
	Kind  Kind
	Input source.Inspected
	Job   Job
	// Key is the request's, ClipKey the clip's; empty where the content is not known.
	Key, ClipKey string
	// Credits is what it costs.
	Credits float64
	// First is the input that a duplicate is one of.
	First source.Place
	// Entry is the result that is reused; Clip the one that need not be uploaded, and
	// Shared says that another input of this run is uploaded instead.
	Entry  *Entry
	Clip   *ClipEntry
	Shared bool
	// Findings are what there is to say about it. An argument or a row that named no
	// input is an outcome with a finding, and an empty input.
	Findings []source.Finding
}

// Settings is what Make works with. Job and Price are required.
type Settings struct {
	// Now is the time that everything is reckoned from.
	Now time.Time
	// Job says what is to be done with an input that is valid.
	Job func(in source.Inspected) Job
	// Price says what a job costs.
	Price func(j Job) Price
	// Accounts are those that jobs may name, with their limits. One that is not among
	// them has none.
	Accounts []Account
	// Fetching is the pace of fetching, for all accounts together.
	Fetching Fetching
	// Results and Clips look up what was paid for, some hundred keys at a time: Get
	// and Clips of an Index. Nil finds nothing.
	Results func(ctx context.Context, keys ...string) (map[string]Entry, error)
	Clips   func(ctx context.Context, keys ...string) (map[string]ClipEntry, error)
	// Again pays anew for what was paid for; what is there twice is done once still.
	Again bool
	// Each, if set, is told of each outcome, in the order of the inputs. Its error
	// ends the plan.
	Each func(o Outcome) error
	// Examples is how many findings, duplicates and reused results the plan itself
	// shows of each; 0 is 20, less is none.
	Examples int
}
