package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/bucket"
	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/schedule"
)

// entryName is what a name under providers, accounts, tokens or schedules looks
// like: it appears in variables, metrics, URLs and Redis keys.
var entryName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// checkNames holds the names that people chose to their form, and refuses two
// that a variable could not tell apart.
func (l *loader) checkNames() {
	taken := map[string]path{}
	for _, key := range sortedKeys(l.entries) {
		e := l.entries[key]
		above, name := e.path[:len(e.path)-1], e.path[len(e.path)-1]
		if root.find(above).elem == nil || keepsCase(above) || l.isBuiltin(e.path) {
			continue
		}
		if !entryName.MatchString(name) {
			l.fail(e.origin, e.path, "a name consists of lower-case letters, digits, - and _, 63 at most")
		}
		as := above.at(token(name)).key()
		if other, clash := taken[as]; clash {
			l.fail(e.origin, e.path, fmt.Sprintf("is the same as %s in variables (%s_…)", other, variable(e.path)))
		}
		taken[as] = e.path
	}
}

// redisSchemes are the kinds of address that a Redis may have.
var redisSchemes = []string{"redis://", "rediss://", "unix://", "redis-sentinel://", "redis-cluster://"}

// checkRedis looks at the address without net/url, which refuses host lists. No
// reason repeats the address: it may hold a password.
func (l *loader) checkRedis(r Redis) {
	if r.URL.IsZero() {
		return
	}
	p := path{"redis", "url"}
	scheme, rest, found := strings.Cut(r.URL.Reveal(), "://")
	if !found {
		l.fail(l.origin(p), p, "begins with none of "+inTerms(redisSchemes))
		return
	}
	if reason := redisReason(scheme, rest); reason != "" {
		l.fail(l.origin(p), p, reason)
	}
}

// redisReason says what is wrong with an address of Redis; empty when nothing is.
func redisReason(scheme, rest string) string {
	rest, _, _ = strings.Cut(rest, "?")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	hosts, tail, _ := strings.Cut(rest, "/")
	switch scheme {
	case "unix":
		if tail == "" {
			return "names no socket: write unix:///run/redis.sock"
		}
		return ""
	case "redis", "rediss":
		if n, err := strconv.Atoi(tail); tail != "" && (err != nil || n < 0) {
			return "after the host stands the number of a database: redis://host:6379/0"
		}
	case "redis-sentinel":
		if tail == "" {
			return "names no master: write redis-sentinel://host1:26379,host2:26379/mymaster"
		}
	case "redis-cluster":
		if tail != "" && tail != "0" {
			return "a cluster has the database 0 only"
		}
	default:
		return "begins with none of " + inTerms(redisSchemes)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if strings.TrimPrefix(host, ":") == "" || strings.HasPrefix(host, ":") {
			return "a host is missing"
		}
	}
	return ""
}

func (l *loader) checkProvider(p path, provider Provider) {
	poll, at := provider.Poll, p.at("poll")
	if poll.Max < poll.Min {
		l.fail(l.origin(at.at("max")), at.at("max"), fmt.Sprintf("is %s, less than min (%s)", shortDuration(poll.Max), shortDuration(poll.Min)))
	}
	if poll.Deadline < poll.Max {
		l.fail(l.origin(at.at("deadline")), at.at("deadline"), fmt.Sprintf("is %s, less than max (%s)", shortDuration(poll.Deadline), shortDuration(poll.Max)))
	}
	for _, key := range []string{"base_url", "staging_url", "credits_url"} {
		u, err := url.Parse(l.text(p.at(key)))
		if err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			l.warn(l.origin(p.at(key)), p.at(key), "the account's key travels unencrypted over http://")
		}
	}
}

func (l *loader) checkServer(s Server) {
	if len(s.Tokens) == 0 && isHostPort(s.Addr) && !isLoopback(s.Addr) {
		p := path{"server", "addr"}
		l.fail(l.origin(p), p, "other machines can reach this address: define server.tokens, or listen on 127.0.0.1")
	}
}

// checkStorage looks at where files are put.
func (l *loader) checkStorage(c *Config) {
	if c.StateDir == "" {
		p := path{"state_dir"}
		l.fail(l.origin(p), p, "is not set, and there is no home directory to put it into")
	}
	switch p := (path{"staging", "url"}); {
	case c.Staging.URL == "provider" || isBucket(c.Staging.URL):
	case c.Staging.URL != "file":
		l.fail(l.origin(p), p, "takes provider, file or s3://bucket/prefix")
	case c.Server.PublicURL == "":
		l.fail(l.origin(p), p, "file needs server.public_url, the address under which providers reach this server")
	}
	if reason := archiveReason(c.Archive.URL); reason != "" {
		p := path{"archive", "url"}
		l.fail(l.origin(p), p, reason)
	}
	if _, err := archive.ParseLayout(c.Archive.Layout); err != nil {
		p := path{"archive", "layout"}
		l.fail(l.origin(p), p, strings.ReplaceAll(fault.Reason(err), "\n", "; "))
	}
	access, secret := c.S3.AccessKey.IsZero(), c.S3.SecretKey.IsZero()
	if p := (path{"s3", "access_key"}); access != secret && c.S3.missing == nil {
		l.fail(l.origin(p), p, "access_key and secret_key go together; one of them is missing")
	}
}

// archiveReason says what is wrong with where results are to go; empty when nothing is.
func archiveReason(where string) string {
	dir, isFile := strings.CutPrefix(where, "file://")
	switch {
	case isBucket(where):
		if _, err := bucket.Parse(where); err != nil {
			return fault.Reason(err)
		}
	case !isFile && strings.Contains(dir, "://"):
		return "takes file:///directory or s3://bucket/prefix"
	case isFile && !strings.HasPrefix(dir, "/"):
		return "file:// is followed by an absolute path: file:///directory"
	case isFile && strings.ContainsAny(dir, "?#"):
		return "a file URL has no ? or #: write them as %3F and %23, or write the path without file://"
	}
	return ""
}

// isBucket says that text is s3://bucket or s3://bucket/prefix.
func isBucket(text string) bool {
	rest, isS3 := strings.CutPrefix(text, "s3://")
	name, _, _ := strings.Cut(rest, "/")
	return isS3 && name != ""
}

func (l *loader) checkSchedule(p path, s Schedule, c *Config) {
	fail := func(key, reason string) { l.fail(l.origin(p.at(key)), p.at(key), reason) }
	reason := cronReason(s.Cron)
	if reason != "" {
		fail("cron", reason)
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "Local" {
		fail("timezone", "is not a time zone: write UTC or a name such as Europe/Berlin")
	} else if reason == "" {
		// What the parser takes and a calendar cannot be made of.
		if _, err := schedule.NewPlan(&schedule.Entry{Cron: s.Cron, Timezone: s.Timezone}); err != nil {
			fail("cron", strings.TrimPrefix(fault.Reason(err), "cron "))
		}
	}
	switch {
	case s.Source == "":
		fail("source", "is missing: the files to carry, such as /inbox/**/*.mp3")
	case !filepath.IsAbs(s.Source) && !strings.Contains(s.Source, "://"):
		fail("source", "takes an absolute path or a URL: a scheduler runs somewhere else than you do")
	}
	if s.Extend != nil && s.Extend.ContinueAt == nil {
		fail("extend", "continue_at is missing: seconds from the start, or -5 for five from the end")
	}
	checkResults(s, fail)
	provider, err := c.Provider(s.Provider)
	switch {
	case err != nil && s.Provider == "":
		fail("provider", "is missing")
	case err != nil:
		fail("provider", "there is no such provider; "+didYouMean(s.Provider, c.ProviderNames()))
	case s.Account != "":
		if _, known := provider.Accounts[s.Account]; !known {
			fail("account", fmt.Sprintf("%s has no such account; %s", provider.Name, didYouMean(s.Account, sortedKeys(provider.Accounts))))
		}
	}
}

// checkResults checks what becomes of a schedule's results.
func checkResults(s Schedule, fail func(key, reason string)) {
	switch reason := archiveReason(s.Archive); {
	case reason != "":
		fail("archive", reason)
	case s.Archive != "" && !filepath.IsAbs(s.Archive) && !strings.Contains(s.Archive, "://"):
		fail("archive", "takes an absolute path, file:///directory or s3://bucket/prefix: a worker runs somewhere else than you do")
	}
	if s.Notify != "" {
		fail("notify", "is of no use: Segue sends no notifications yet. Take it out; segue schedule history tells how each firing ended")
	}
}

// cronReason says what is wrong with a cron entry; empty when nothing is.
func cronReason(entry string) string {
	if entry == "" {
		return "is missing: five fields, such as 0 2 * * * for 02:00 every day"
	}
	if strings.Contains(entry, "TZ=") {
		return "the time zone goes into timezone"
	}
	if _, err := cron.ParseStandard(entry); err != nil {
		return fmt.Sprintf("%q is not a cron entry: %s", entry, err)
	}
	return ""
}
