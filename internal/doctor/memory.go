package doctor

import "fmt"

// How full memory may be, in percent.
const (
	memoryFull  = 95
	memoryTight = 80
)

const cureMemory = "give it more memory (CONFIG SET maxmemory, or 0 on a machine of its own), or delete what is not needed; an item takes 0.6 to 1.8 KB"

// memory judges the room that is left and what was thrown away for want of it.
func (i info) memory(c *chart) {
	used, limit, of := i.number("used_memory"), i.number("maxmemory"), "maxmemory"
	if limit == 0 {
		limit, of = i.number("total_system_memory"), "the machine's memory; maxmemory is not set"
	}
	full := int64(0)
	if limit > 0 {
		full = used * 100 / limit
	}
	text := fmt.Sprintf("%s of %s are used (%d %% of %s)", size(used), size(limit), full, of)
	switch {
	case limit == 0:
		c.ok("redis.memory", "%s are used", size(used))
	case full >= memoryFull:
		c.add(Error, "redis.memory", cureMemory, "%s: writes are refused soon, and nothing moves then", text)
	case full >= memoryTight:
		c.add(Warning, "redis.memory", cureMemory, "%s", text)
	default:
		c.ok("redis.memory", "%s", text)
	}
	if evicted := i.number("evicted_keys"); evicted > 0 {
		c.add(Error, "redis.evicted", "compare segue sessions with the provider's list of charges; "+
			"redis-cli CONFIG SET maxmemory-policy noeviction; when that is done, redis-cli CONFIG RESETSTAT ends this report",
			"it has thrown away %s since its counters began: state of Segue may be among them", count(int(evicted), "key"))
		return
	}
	c.ok("redis.evicted", "it has thrown no keys away")
}

// size writes bytes as people read them.
func size(bytes int64) string {
	const unit = 1 << 10
	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}
	value, prefixes := float64(bytes)/unit, "KMGTP"
	for value >= unit && len(prefixes) > 1 {
		value, prefixes = value/unit, prefixes[1:]
	}
	return fmt.Sprintf("%.1f %cB", value, prefixes[0])
}
