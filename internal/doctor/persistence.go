package doctor

// The settings that say what a failed snapshot means.
const (
	setSave   = "save"
	setRefuse = "stop-writes-on-bgsave-error"
)

const cureDisk = "see its log, and make room on its disk (df), or put right who may write there; it goes on by itself"

// disk judges how writing its files went the last time.
func (i info) disk(s settings, c *chart) {
	healthy := true
	report := func(level Level, format string, args ...any) {
		healthy = false
		c.add(level, "redis.disk", cureDisk, format, args...)
	}
	if i["loading"] == "1" {
		healthy = false
		c.add(Warning, "redis.disk", "wait until it has read its data", "it is reading its data after a start")
	}
	if status := i["aof_last_write_status"]; status != "" && status != "ok" {
		report(Error, "its last write to the append-only file failed (%s): it refuses writes", status)
	}
	if status := i["aof_last_bgrewrite_status"]; status != "" && status != "ok" {
		report(Warning, "its last rewrite of the append-only file failed (%s): the file grows until the disk is full", status)
	}
	if status := i["rdb_last_bgsave_status"]; status != "" && status != "ok" {
		if s.stopsWrites() {
			report(Error, "its last snapshot failed (%s): it refuses writes (MISCONF) until one succeeds", status)
		} else {
			report(Warning, "its last snapshot failed (%s)", status)
		}
	}
	if healthy {
		c.ok("redis.disk", "its last writes to the disk went well")
	}
}

// stopsWrites says whether a failed snapshot makes Redis refuse writes; a Redis
// that does not say is taken to.
func (s settings) stopsWrites() bool {
	if s.refused != nil {
		return true
	}
	return s.values[setRefuse] == "yes" && s.values[setSave] != ""
}
