package session

import (
	_ "embed"

	"github.com/redis/go-redis/v9"
)

// The scripts, one file each. All take the keys of one session in the order of
// keysOf, use Redis's clock, and begin with the prelude.
var (
	//go:embed lua/prelude.lua
	prelude string
	//go:embed lua/create.lua
	createSource string
	//go:embed lua/add.lua
	addSource string
	//go:embed lua/seal.lua
	sealSource string
	//go:embed lua/write.lua
	writeSource string
	//go:embed lua/defer.lua
	deferSource string
	//go:embed lua/cancel.lua
	cancelSource string
	//go:embed lua/settle.lua
	settleSource string
	//go:embed lua/remote.lua
	remoteSource string
	//go:embed lua/overdue.lua
	overdueSource string
	//go:embed lua/report.lua
	reportSource string
	//go:embed lua/admit.lua
	admitSource string
	//go:embed lua/close.lua
	closeSource string
	//go:embed lua/readmit.lua
	readmitSource string

	closeScript   = redis.NewScript(closeSource)
	createScript  = redis.NewScript(prelude + createSource)
	addScript     = redis.NewScript(prelude + addSource)
	sealScript    = redis.NewScript(prelude + sealSource)
	writeScript   = redis.NewScript(prelude + writeSource)
	deferScript   = redis.NewScript(prelude + deferSource)
	cancelScript  = redis.NewScript(prelude + cancelSource)
	settleScript  = redis.NewScript(prelude + settleSource)
	remoteScript  = redis.NewScript(prelude + remoteSource)
	overdueScript = redis.NewScript(prelude + overdueSource)
	reportScript  = redis.NewScript(prelude + reportSource)
	admitScript   = redis.NewScript(prelude + admitSource)
	readmitScript = redis.NewScript(prelude + readmitSource)
)
