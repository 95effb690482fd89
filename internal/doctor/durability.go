package doctor

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/segue-audio/segue/internal/fault"
)

// The settings of Redis that decide what it keeps.
const (
	setAppendOnly = "appendonly"
	setFsync      = "appendfsync"
	setOnRewrite  = "no-appendfsync-on-rewrite"
	setPolicy     = "maxmemory-policy"
)

// checkSettings names the finding that CONFIG is forbidden.
const checkSettings = "redis.settings"

// Durability asks a Redis how it keeps its data, every master of a cluster, and
// judges it as what is paid for needs it: an Error means that it would forget, or
// does not say, and then no real credits may be spent on it unless somebody
// vouches. A Redis that does not answer is an Error with code unavailable.
func Durability(ctx context.Context, rdb redis.UniversalClient) []Finding {
	var c chart
	all, err := nodesOf(ctx, rdb)
	if err != nil {
		return []Finding{unreachable(err)}
	}
	for _, n := range all {
		s, err := readSettings(ctx, n.client)
		if err != nil {
			c.from(n.name, []Finding{unreachable(err)})
			continue
		}
		c.from(n.name, s.durability())
	}
	return c.findings
}

// Forgets is what decides whether real credits may be spent on a Redis: it gives
// the first reason why not, of those that Durability finds.
func Forgets(ctx context.Context, rdb redis.UniversalClient) (why Finding, forgets bool) {
	why, found := Worst(Durability(ctx, rdb))
	return why, found && why.Level == Error
}

// Stakes is what a forgetful Redis would cost.
type Stakes struct {
	// Real says that a provider is configured that takes real credits.
	Real bool
	// Vouched says that somebody vouches for Redis: redis.require_durable is false.
	Vouched bool
}

// weigh gives findings about durability the gravity that the stakes give them.
func (s Stakes) weigh(findings []Finding) []Finding {
	weighed := make([]Finding, len(findings))
	for n, f := range findings {
		switch {
		case f.Code != "" || f.Level == OK:
		case s.Vouched && f.Check == checkSettings:
			f.Level, f.Cure = Note, ""
			f.Text += "; redis.require_durable: false vouches for it"
		case !s.Real:
			f.Level = Note
			f.Text += " (only simulated credits are at stake)"
		case s.Vouched && f.Level == Error:
			f.Level = Warning
			f.Text += " (redis.require_durable: false lets it pass)"
		}
		weighed[n] = f
	}
	return weighed
}

// settings is what a Redis says of its own configuration.
type settings struct {
	// values are by name; a name is missing where this Redis does not know it.
	values map[string]string
	// refused is why it does not say; nil when it does.
	refused error
}

// readSettings asks for all settings that the doctor looks at. The error is of a
// Redis that does not answer.
func readSettings(ctx context.Context, rdb redis.Cmdable) (settings, error) {
	s := settings{values: map[string]string{}}
	for _, name := range []string{setAppendOnly, setFsync, setOnRewrite, setPolicy, setSave, setRefuse, setMinReplicas} {
		found, err := rdb.ConfigGet(ctx, name).Result()
		if refused := redis.Error(nil); errors.As(err, &refused) {
			s.refused = refused
			return s, nil
		}
		if err != nil {
			return s, fault.New(fault.Unavailable, "doctor.readSettings", err)
		}
		if value, known := found[name]; known {
			s.values[name] = value
		}
	}
	return s, nil
}

// durability judges, as if real credits were at stake.
func (s settings) durability() []Finding {
	var c chart
	if s.refused != nil {
		c.add(Error, checkSettings, "redis.require_durable: false, if you know that it has appendonly yes, appendfsync always and maxmemory-policy noeviction",
			"redis does not say whether it keeps what was paid for: CONFIG GET: %s", s.refused)
		return c.findings
	}
	s.appendOnly(&c)
	s.eviction(&c)
	return c.findings
}

// set is the command that sets something for now and for ever.
func set(name, value string) string {
	return fmt.Sprintf("redis-cli CONFIG SET %s %s, then redis-cli CONFIG REWRITE (or the same in its file)", name, value)
}

func (s settings) appendOnly(c *chart) {
	if value := s.values[setAppendOnly]; value != "yes" {
		c.add(Error, "redis.appendonly", set(setAppendOnly, "yes"),
			"redis would forget what was paid for: appendonly is %q, want \"yes\"", value)
		return
	}
	c.ok("redis.appendonly", "appendonly is yes")
	switch value := s.values[setFsync]; value {
	case "always":
		c.ok("redis.appendfsync", "appendfsync is always: what it answered is on the disk")
	case "everysec":
		c.add(Warning, "redis.appendfsync", set(setFsync, "always"),
			"appendfsync is everysec: a power cut forgets up to two seconds of paid requests, and each may be a song that is paid for twice")
	default:
		c.add(Error, "redis.appendfsync", set(setFsync, "always"),
			"redis would forget what was paid for: appendfsync is %q, and a power cut forgets what the system had not written yet, half a minute and more", value)
	}
	if s.values[setOnRewrite] == "yes" {
		c.add(Warning, "redis.appendfsync", set(setOnRewrite, "no"),
			"no-appendfsync-on-rewrite is yes: while redis rewrites its file, nothing is sure to be on the disk, whatever appendfsync says")
	}
}

func (s settings) eviction(c *chart) {
	if value := s.values[setPolicy]; value != "noeviction" {
		c.add(Error, "redis.maxmemory-policy", set(setPolicy, "noeviction"),
			"redis would forget what was paid for: maxmemory-policy is %q, want \"noeviction\"", value)
		return
	}
	c.ok("redis.maxmemory-policy", "maxmemory-policy is noeviction")
}
