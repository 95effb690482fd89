package account

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// The scripts, one file each. Those of the registry stand alone; all others take the
// keys of one account in the order of keysOf and begin with the prelude. What knows
// of rates has the lane before it, what knows of rings the ring.
var (
	//go:embed lua/prelude.lua
	prelude string
	//go:embed lua/lane.lua
	laneSource string
	//go:embed lua/ring.lua
	ringSource string

	//go:embed lua/enter.lua
	enterSource string
	//go:embed lua/go.lua
	goSource string
	//go:embed lua/leave.lua
	leaveSource string
	//go:embed lua/stocked.lua
	stockedSource string
	//go:embed lua/unstock.lua
	unstockSource string
	//go:embed lua/stale.lua
	staleSource string
	//go:embed lua/renew.lua
	renewSource string

	//go:embed lua/join.lua
	joinSource string
	//go:embed lua/pick.lua
	pickSource string
	//go:embed lua/return.lua
	returnSource string
	//go:embed lua/park.lua
	parkSource string

	//go:embed lua/close.lua
	closeSource string
	//go:embed lua/expire.lua
	expireSource string
	//go:embed lua/pauses.lua
	pausesSource string

	//go:embed lua/state.lua
	stateSource string
	//go:embed lua/class.lua
	classSource string
	//go:embed lua/announce.lua
	announceSource string
	//go:embed lua/known.lua
	knownSource string
	//go:embed lua/deny.lua
	denySource string
	//go:embed lua/denied.lua
	deniedSource string

	enterScript   = redis.NewScript(prelude + laneSource + enterSource)
	goScript      = redis.NewScript(prelude + laneSource + goSource)
	leaveScript   = redis.NewScript(prelude + leaveSource)
	stockedScript = redis.NewScript(prelude + stockedSource)
	unstockScript = redis.NewScript(prelude + unstockSource)
	staleScript   = redis.NewScript(prelude + staleSource)
	renewScript   = redis.NewScript(prelude + renewSource)

	joinScript   = redis.NewScript(prelude + ringSource + joinSource)
	pickScript   = redis.NewScript(prelude + laneSource + ringSource + pickSource)
	returnScript = redis.NewScript(prelude + ringSource + returnSource)
	parkScript   = redis.NewScript(prelude + ringSource + parkSource)

	closeScript  = redis.NewScript(prelude + closeSource)
	expireScript = redis.NewScript(prelude + expireSource)
	pausesScript = redis.NewScript(prelude + pausesSource)

	stateScript    = redis.NewScript(prelude + laneSource + stateSource)
	classScript    = redis.NewScript(prelude + classSource)
	announceScript = redis.NewScript(announceSource)
	knownScript    = redis.NewScript(knownSource)
	denyScript     = redis.NewScript(denySource)
	deniedScript   = redis.NewScript(deniedSource)
)
