package simulator

import (
	"cmp"
	"errors"
	"time"
)

// KIE settles what the documents of KIE and its relatives leave open, and holds
// their limits, which apply to each of the three providers on its own. The zero
// value is what is documented, and the seed decides the rest.
type KIE struct {
	// Errors is how a refusal travels: "body" is HTTP 200 with the code in the
	// body, "status" the same body under that HTTP status. Empty: by seed, and
	// always "body" at sunoapi.org, as it was observed there.
	Errors string `json:"errors"`
	// Unreachable is when an uploadUrl that cannot be downloaded is noticed:
	// "early" refuses the request with 451, free of charge; "late" accepts it,
	// charges, and fails. Empty: by seed.
	Unreachable string `json:"unreachable"`
	// Requests is how many operations an account may start within Per (20
	// within 10 s), over any stretch of time. Negative: any number.
	Requests int           `json:"requests"`
	Per      time.Duration `json:"per"`
	// InFlight is how many of an account's operations may run (100). Negative:
	// any number.
	InFlight int `json:"inFlight"`
	// StagingLife is how long a staged file can be downloaded (24 h).
	StagingLife time.Duration `json:"stagingLife"`
	// Retention is how long results can be downloaded (14 days).
	Retention time.Duration `json:"retention"`
}

func (o KIE) withDefaults() KIE {
	o.Requests = cmp.Or(o.Requests, 20)
	o.Per = cmp.Or(o.Per, 10*time.Second)
	o.InFlight = cmp.Or(o.InFlight, 100)
	o.StagingLife = cmp.Or(o.StagingLife, 24*time.Hour)
	o.Retention = cmp.Or(o.Retention, 14*24*time.Hour)
	return o
}

func (o KIE) check() error {
	switch {
	case o.Errors != "" && o.Errors != "body" && o.Errors != "status":
		return errors.New(`option KIE.Errors must be "body", "status" or empty`)
	case o.Unreachable != "" && o.Unreachable != "early" && o.Unreachable != "late":
		return errors.New(`option KIE.Unreachable must be "early", "late" or empty`)
	case o.Per < 0 || o.StagingLife < 0 || o.Retention < 0:
		return errors.New("durations of option KIE must not be negative")
	}
	return nil
}

// The poll ceilings: of record-info per task, and of recordInfo per account.
const (
	recordPolls  = 3
	unifiedPolls = 10
	pollSpan     = time.Second
)
