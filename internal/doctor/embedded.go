package doctor

import (
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// Embedded is the Redis that Segue runs itself, where redis.url is empty.
type Embedded struct {
	// Dir is where it keeps its data.
	Dir string
	// Server is the redis-server that is installed; empty when there is none.
	Server string
	// Introduced is what it says of its version when it is asked (--version).
	Introduced string
	// Busy is why it cannot be started: somebody else uses it, which is as good,
	// or something is wrong. Seen says that its data can be looked at all the same.
	Busy, Failed error
	Seen         bool
	// Fresh says that it was never used.
	Fresh  bool
	Stakes Stakes
}

// Examine says what the embedded Redis will run on.
func (e Embedded) Examine() []Finding {
	var c chart
	e.server(&c)
	switch {
	case e.Failed != nil:
		c.add(Error, "embedded.start", "see redis.log in "+e.Dir+", make room on its disk, or set redis.url", "the embedded Redis cannot be started: %s", fault.Reason(e.Failed))
	case e.Busy != nil && e.Seen:
		c.ok("embedded.start", "it is at work: %s", fault.Reason(e.Busy))
	case e.Busy != nil:
		c.add(Note, "embedded.start", "ask again when that has ended", "it is at work, and cannot be looked into: %s", fault.Reason(e.Busy))
	case e.Fresh:
		c.ok("embedded.start", "nothing was ever kept in %s", e.Dir)
	default:
		c.ok("embedded.start", "it starts, with its data in %s", e.Dir)
	}
	return c.findings
}

// server judges what is installed.
func (e Embedded) server(c *chart) {
	if e.Server == "" {
		level := Warning
		if e.Stakes.Real && !e.Stakes.Vouched {
			level = Error
		}
		c.add(level, "embedded.server", "install redis-server, or set redis.url (segue run --accept-volatile takes the risk)",
			"no redis-server is installed: a stand-in keeps the queue, and forgets up to a second of what was paid for when it is killed")
		return
	}
	c.ok("embedded.server", "%s is version %s", e.Server, version(e.Introduced))
}

// version finds the version in what a server says of itself:
//
//	Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=…
//	Valkey server v=8.0.1 …
func version(introduced string) string {
	for field := range strings.FieldsSeq(introduced) {
		if v, ok := strings.CutPrefix(field, "v="); ok {
			return v
		}
	}
	return "unknown"
}
