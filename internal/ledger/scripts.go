package ledger

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// The scripts, one file each. All but the audit's take the keys of one account in
// the order of keysOf, use Redis's clock, and begin with the prelude.
var (
	//go:embed lua/prelude.lua
	prelude string
	//go:embed lua/budgets.lua
	budgetsSource string
	//go:embed lua/reserve.lua
	reserveSource string
	//go:embed lua/affords.lua
	affordsSource string
	//go:embed lua/charge.lua
	chargeSource string
	//go:embed lua/refund.lua
	refundSource string
	//go:embed lua/release.lua
	releaseSource string
	//go:embed lua/keep.lua
	keepSource string
	//go:embed lua/stale.lua
	staleSource string
	//go:embed lua/state.lua
	stateSource string
	//go:embed lua/trueup.lua
	trueUpSource string
	//go:embed lua/reading.lua
	readingSource string
	//go:embed lua/dry.lua
	drySource string
	//go:embed lua/refill.lua
	refillSource string
	//go:embed lua/record.lua
	recordSource string

	reserveScript = redis.NewScript(prelude + budgetsSource + reserveSource)
	affordsScript = redis.NewScript(prelude + budgetsSource + affordsSource)
	chargeScript  = redis.NewScript(prelude + chargeSource)
	refundScript  = redis.NewScript(prelude + refundSource)
	releaseScript = redis.NewScript(prelude + releaseSource)
	keepScript    = redis.NewScript(prelude + keepSource)
	staleScript   = redis.NewScript(prelude + staleSource)
	stateScript   = redis.NewScript(prelude + stateSource)
	trueUpScript  = redis.NewScript(prelude + trueUpSource)
	readingScript = redis.NewScript(prelude + readingSource)
	dryScript     = redis.NewScript(prelude + drySource)
	refillScript  = redis.NewScript(prelude + refillSource)
	recordScript  = redis.NewScript(recordSource)
)
