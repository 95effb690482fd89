package schedule

import (
	_ "embed"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// The keys. All share one hash tag: schedules are few, and one script can then touch
// a schedule together with the list of them.
//
//	segue:{schedules}                      zset  name → when a scheduler should look next, ms
//	segue:{schedules}:<name>               hash  the fields below
//	segue:{schedules}:<name>:firings       hash  fire → JSON; the history
//	segue:{schedules}:<name>:order         zset  fire → when it was decided, ms
//	segue:{schedules}:<name>:open          hash  fire → the entry it follows; firings that are not over
//	segue:{schedules}:<name>:seen:<n>      hash  8 bytes of a source's digest → who carried it
//
// The fields of a schedule's hash:
//
//	entry, version     the entry as JSON, and how often it was changed
//	epoch              how often anything was written: what a write compares
//	cursor             every firing of the calendar until then is written down, Unix seconds
//	paused, removed    since when, ms; absent when it is not
//	horizon            the latest firing of the calendar that history has forgotten
//
// A source that was carried is kept as 6 bytes that stand for the firing; one that a
// firing is about to carry as ~ and its name.
const keyIndex = "segue:{schedules}"

const (
	// kept is how many firings of a schedule are remembered, keptFor for how long, and
	// keptAlways how many of them whatever their age.
	kept       = 1000
	keptFor    = 90 * 24 * time.Hour
	keptAlways = 10
)

func keySchedule(name string) string { return keyIndex + ":" + name }
func keyFirings(name string) string  { return keySchedule(name) + ":firings" }
func keyOrder(name string) string    { return keySchedule(name) + ":order" }
func keyOpen(name string) string     { return keySchedule(name) + ":open" }

func keySeen(name string, bucket int) string {
	return keySchedule(name) + ":seen:" + strconv.Itoa(bucket)
}

// keysOf are the keys of one schedule, in the order that the scripts take them.
func keysOf(name string) []string {
	return []string{keyIndex, keySchedule(name), keyFirings(name), keyOrder(name), keyOpen(name)}
}

// The scripts, one file each.
var (
	//go:embed lua/read.lua
	readSource string
	//go:embed lua/commit.lua
	commitSource string
	//go:embed lua/due.lua
	dueSource string
	//go:embed lua/fresh.lua
	freshSource string
	//go:embed lua/mark.lua
	markSource string

	readScript   = redis.NewScript(readSource)
	commitScript = redis.NewScript(commitSource)
	dueScript    = redis.NewScript(dueSource)
	freshScript  = redis.NewScript(freshSource)
	markScript   = redis.NewScript(markSource)
)
