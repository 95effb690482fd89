package session

import (
	"crypto/sha256"
	"encoding/hex"
)

// The keys. Those of one session share a hash tag, so that one script can touch
// them on a cluster. Keys without a session's tag are indexes: they are written
// before what they point at, so that a crash leaves at worst a pointer to nothing.
//
//	segue:sessions            zset  session id → created, ms
//	segue:open                zset  session id → created, ms; those that are owed work (Owe: when, and half a ms)
//	segue:workers             zset  worker id → last heartbeat, ms
//	segue:clocks              hash  worker id → how far its clock is ahead of Redis's, ms
//	segue:key:<digest>        string  producer's key → session id
//	segue:{<id>}              hash  spec, ready, sealed, canceled, remote, completions, settled, budget, priority
//	segue:{<id>}:items        hash  index → epoch|label|updated ms|JSON
//	segue:{<id>}:counts       hash  label → number of items
//	segue:{<id>}:results      hash  index → JSON of audioIds; ended items only
//	segue:{<id>}:due          zset  index → when the sweep should look, ms
//	segue:{<id>}:keys         hash  producer's key of an item → index
//	segue:{<id>}:outbox       hash  completion → when, ms; what is owed after it
//	segue:{<id>}:inbox        hash  index → JSON of what a provider reported of it
//	segue:{<id>}:backlog:…    zset  index → index; items that wait for a step to be admitted
//	segue:callback:<digest>   string  digest of a callback's token → item, step, generation
const (
	keySessions = "segue:sessions"
	keyOpen     = "segue:open"
	keyWorkers  = "segue:workers"
	keyClocks   = "segue:clocks"
)

func keyOfProducer(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "segue:key:" + hex.EncodeToString(sum[:])
}

func keySession(id string) string { return "segue:{" + id + "}" }
func keyItems(id string) string   { return keySession(id) + ":items" }
func keyCounts(id string) string  { return keySession(id) + ":counts" }
func keyResults(id string) string { return keySession(id) + ":results" }
func keyDue(id string) string     { return keySession(id) + ":due" }
func keyKeys(id string) string    { return keySession(id) + ":keys" }
func keyOutbox(id string) string  { return keySession(id) + ":outbox" }
func keyInbox(id string) string   { return keySession(id) + ":inbox" }

func keyBacklog(id string, step StepName) string { return keySession(id) + ":backlog:" + string(step) }

// keysOf are the keys of one session, in the order that every script takes them.
func keysOf(id string) []string {
	return []string{
		keySession(id), keyItems(id), keyCounts(id), keyResults(id), keyDue(id), keyKeys(id), keyOutbox(id), keyInbox(id),
		keyBacklog(id, StepUpload), keyBacklog(id, StepExtend),
	}
}
