package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
)

// findings loads what must not load, and gives the findings with the file's
// directory left out.
func findings(t *testing.T, s setup) []string {
	t.Helper()
	o := s.options(t)
	_, err := config.Load(o)
	if err == nil {
		return nil
	}
	var found config.Findings
	if fault.CodeOf(err) != fault.Invalid || !errors.As(err, &found) {
		t.Fatalf("Load = %v (%s), want findings with code invalid", err, fault.CodeOf(err))
	}
	lines := make([]string, len(found))
	for i, f := range found {
		lines[i] = strings.ReplaceAll(f.Error(), strings.TrimSuffix(o.File, "segue.yaml"), "")
	}
	return lines
}

func TestFindingsInFiles(t *testing.T) {
	const provider = "providers: {kie: {%}}"
	cases := []struct {
		name, file string
		want       string
	}{
		{"misspelt top", "wroker: {}", "segue.yaml:1: wroker: there is no such key; did you mean worker?"},
		{"misspelt below", "worker:\n  drian: 3s", "segue.yaml:2: worker.drian: there is no such key; did you mean drain?"},
		{"dashes", "state-dir: /x", "segue.yaml:1: state-dir: there is no such key; did you mean state_dir?"},
		{"capitals", "Redis: {}", "segue.yaml:1: Redis: there is no such key; did you mean redis?"},
		{"misplaced", "drain: 3s", "segue.yaml:1: drain: there is no such key; did you mean worker.drain?"},
		{"unlike anything", "log: {colour_scheme: dark}", "segue.yaml:1: log.colour_scheme: there is no such key; there are level, format"},
		{
			"misspelt in a map", "providers:\n  kie:\n    acounts: {}",
			"segue.yaml:3: providers.kie.acounts: there is no such key; did you mean accounts?",
		},
		{"not a mapping", "- a\n- b", "segue.yaml:1: this is not a configuration: it begins with keys such as redis: and providers:"},
		{"value for a group", "worker: 3", "segue.yaml:1: worker: takes keys under it: concurrency, bandwidth, drain, give_up"},
		{"value for a map", "providers: kie", "segue.yaml:1: providers: takes names with keys under them, as in {name: {key: value}}"},
		{"group for a value", "state_dir: {a: b}", "segue.yaml:1: state_dir: takes a value, not keys under it"},
		{"list for a value", "state_dir: [a]", "segue.yaml:1: state_dir: takes one value, not a list"},
		{"list of lists", "security: {allow_private_hosts: [[a]]}", "segue.yaml:1: security.allow_private_hosts: the entries of this list are plain values"},
		{"twice", "log: {}\nworker: {}\nlog: {}", "segue.yaml:3: log: given twice; the first is on line 1"},
		{"twice below", "worker:\n  drain: 3s\n  drain: 4s", "segue.yaml:3: worker.drain: given twice; the first is on line 2"},
		{"tab", "worker:\n\tdrain: 3s", "segue.yaml:2: a tab; YAML indents with spaces"},
		{"not YAML", "log: {}\nworker: {drain: 3s\n", "segue.yaml:2: did not find expected ',' or '}'"},
		{"not YAML on the first line", "worker: {drain: 3s", "segue.yaml:1: did not find expected ',' or '}'"},
		{"an open quote", "log: {}\nstate_dir: \"x\n", "segue.yaml:2: found unexpected end of stream"},
		{"a colon too many", "log: {}\nstate_dir: a: b\n", "segue.yaml:2: mapping values are not allowed in this context"},
		{"bad indent", "worker:\n  drain: 3s\n give_up: 3h\n", "segue.yaml:3: did not find expected key"},
		{"two documents", "log: {}\n---\nlog: {}", "segue.yaml:2: a second document starts here; a configuration is one"},
		{"merge key", "worker:\n  <<: {drain: 3s}", "segue.yaml:2: worker: merge keys (<<) are not supported; repeat the keys, or use an alias for the whole group"},

		{"bare number", "worker: {drain: 30}", "segue.yaml:1: worker.drain: 30 is no duration without a unit: write 30s"},
		{"bare zero", "worker: {drain: 0}", "segue.yaml:1: worker.drain: 0 is no duration without a unit: write 0s"},
		{"quoted bare number", `worker: {drain: "1.5"}`, "segue.yaml:1: worker.drain: 1.5 is no duration without a unit: write 1.5s"},
		{"days", "worker: {give_up: 2d}", `segue.yaml:1: worker.give_up: "2d": the longest unit is the hour: write 48h`},
		{"no duration", "worker: {drain: soon}", `segue.yaml:1: worker.drain: "soon" is not a duration: write 30s, 5m or 24h`},
		{"too short", "worker: {drain: 10ms}", "segue.yaml:1: worker.drain: is 10ms; it must be at least 1s"},
		{"negative", "worker: {drain: -3s}", "segue.yaml:1: worker.drain: is -3s; it must be at least 1s"},
		{"no number", "worker: {concurrency: {calls: many}}", `segue.yaml:1: worker.concurrency.calls: "many" is not a whole number`},
		{"fraction", "worker: {concurrency: {calls: 1.5}}", `segue.yaml:1: worker.concurrency.calls: "1.5" is not a whole number`},
		{"none at all", "worker: {concurrency: {calls: 0}}", "segue.yaml:1: worker.concurrency.calls: is 0; it must be at least 1"},
		{"no bool", "redis: {require_durable: maybe}", `segue.yaml:1: redis.require_durable: "maybe" is neither true nor false`},
		{"level", "log: {level: loud}", "segue.yaml:1: log.level: takes one of: debug, info, warn, error"},
		{"format", "log: {format: xml}", "segue.yaml:1: log.format: takes one of: text, json"},
		{"rate without a slash", in(provider, "limits: {submit: 20}"), `segue.yaml:1: providers.kie.limits.submit: "20" is not a rate: write 20/10s, 3/s or none`},
		{"rate of none", in(provider, "limits: {submit: 0/s}"), `segue.yaml:1: providers.kie.limits.submit: "0/s" is not a rate: before the slash stands a whole number of at least 1`},
		{"rate per nothing", in(provider, "limits: {submit: 3/0s}"), `segue.yaml:1: providers.kie.limits.submit: "3/0s" is not a rate: after the slash stands a time, as in 20/10s or 3/s`},
		{"negative credits", in(provider, "credits: {extend: -1}"), "segue.yaml:1: providers.kie.credits.extend: is -1; it must be at least 0"},
		{"not a number", in(provider, "credits: {extend: .nan}"), `segue.yaml:1: providers.kie.credits.extend: ".nan" is not a number`},
		{"negative budget", in(provider, "accounts: {main: {budget: -2}}"), "segue.yaml:1: providers.kie.accounts.main.budget: is -2; it must be at least 0"},
		{"poll", in(provider, "poll: {min: 50s}"), "segue.yaml:1: providers.kie.poll.max: is 45s, less than min (50s)"},
		{"poll deadline", in(provider, "poll: {deadline: 10s}"), "segue.yaml:1: providers.kie.poll.deadline: is 10s, less than max (45s)"},
		{"base url", in(provider, "base_url: api.kie.ai"), "segue.yaml:1: providers.kie.base_url: takes an http:// or https:// address without user, query or fragment"},
		{"key in the url", in(provider, "base_url: 'https://k@api.kie.ai'"), "segue.yaml:1: providers.kie.base_url: takes an http:// or https:// address without user, query or fragment"},
		{"models", "providers:\n  kie:\n    models:\n      V5: {max_title: 80}\n      v5: {max_title: 90}", "segue.yaml:5: providers.kie.models.v5: differs from another model only in its capitals"},

		{"driver", "providers: {kie: {driver: kai}}", "segue.yaml:1: providers.kie.driver: there is no such driver; did you mean kie?"},
		{"no driver", "providers:\n  kei: {}", "segue.yaml:2: providers.kei.driver: is missing, and no driver is called kei; did you mean kie?"},
		{"names", "providers:\n  Kie: {driver: kie}", "segue.yaml:2: providers.Kie: a name consists of lower-case letters, digits, - and _, 63 at most"},
		{"names with dots", "server: {tokens: {a.b: {token: x}}}", "segue.yaml:1: server.tokens.a.b: a name consists of lower-case letters, digits, - and _, 63 at most"},
		{
			"names alike in variables", "providers:\n  a-b: {driver: sim}\n  a_b: {driver: sim}",
			"segue.yaml:3: providers.a_b: is the same as providers.a-b in variables (SEGUE_PROVIDERS_A_B_…)",
		},
		{"two ways", in(provider, "accounts: {main: {api_key: x, api_key_env: Y}}"), "segue.yaml:1: providers.kie.accounts.main.api_key_env: api_key is given as well; give one of them"},
		{"the mask", in(provider, "accounts: {main: {api_key: '***'}}"), "segue.yaml:1: providers.kie.accounts.main.api_key: this is the mask that `segue config print` shows, not a key"},
		{"a key of two lines", in(provider, `accounts: {main: {api_key: "a\nb"}}`), "segue.yaml:1: providers.kie.accounts.main.api_key: a key holds no spaces, line ends or control characters"},

		{"redis scheme", "redis: {url: 'http://h:1'}", "segue.yaml:1: redis.url: begins with none of redis://, rediss://, unix://, redis-sentinel://, redis-cluster://"},
		{"redis without scheme", "redis: {url: 'localhost:6379'}", "segue.yaml:1: redis.url: begins with none of redis://, rediss://, unix://, redis-sentinel://, redis-cluster://"},
		{"redis database", "redis: {url: 'redis://h/zero'}", "segue.yaml:1: redis.url: after the host stands the number of a database: redis://host:6379/0"},
		{"redis host", "redis: {url: 'redis://'}", "segue.yaml:1: redis.url: a host is missing"},
		{"sentinel", "redis: {url: 'redis-sentinel://h1,h2'}", "segue.yaml:1: redis.url: names no master: write redis-sentinel://host1:26379,host2:26379/mymaster"},
		{"cluster hosts", "redis: {url: 'redis-cluster://h1,,h2'}", "segue.yaml:1: redis.url: a host is missing"},
		{"cluster database", "redis: {url: 'redis-cluster://h1/3'}", "segue.yaml:1: redis.url: a cluster has the database 0 only"},
		{"socket", "redis: {url: 'unix://'}", "segue.yaml:1: redis.url: names no socket: write unix:///run/redis.sock"},

		{"addr", "server: {addr: 8080}", "segue.yaml:1: server.addr: takes host:port, such as 127.0.0.1:8080"},
		{"tokens", "server:\n  addr: ':8080'", "segue.yaml:2: server.addr: other machines can reach this address: define server.tokens, or listen on 127.0.0.1"},
		{"scopes", "server: {tokens: {ci: {token: x, scopes: [raed]}}}", "segue.yaml:1: server.tokens.ci.scopes: takes one of: read, submit, operate"},
		{"no scopes", "server: {tokens: {ci: {token: x, scopes: []}}}", "segue.yaml:1: server.tokens.ci.scopes: must not be empty"},
		{"staging", "staging: {url: ftp://x}", "segue.yaml:1: staging.url: takes provider, file or s3://bucket/prefix"},
		{"staging alone", "staging: {url: file}", "segue.yaml:1: staging.url: file needs server.public_url, the address under which providers reach this server"},
		{"archive", "archive: {url: 'gs://b'}", "segue.yaml:1: archive.url: takes file:///directory or s3://bucket/prefix"},
		{"archive host", "archive: {url: 'file://music'}", "segue.yaml:1: archive.url: file:// is followed by an absolute path: file:///directory"},
		{"half of s3", "s3: {access_key: a}", "segue.yaml:1: s3.access_key: access_key and secret_key go together; one of them is missing"},
		{"private hosts", "security: {allow_private_hosts: ['http://x']}", "segue.yaml:1: security.allow_private_hosts: takes hosts, host:port pairs and networks such as 10.0.0.0/8, one per entry"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]string{c.want}, findings(t, setup{file: c.file})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// in puts keys into the group of a provider.
func in(provider, keys string) string { return strings.Replace(provider, "%", keys, 1) }

func TestFindingsInSchedules(t *testing.T) {
	cases := []struct {
		name, keys string
		want       []string
	}{
		{"nothing", "", []string{"cron: is missing: five fields, such as 0 2 * * * for 02:00 every day", "source: is missing: the files to carry, such as /inbox/**/*.mp3", "provider: is missing"}},
		{"fine", "cron: '@daily', source: 's3://b/p', provider: sim", nil},
		{"cron", "cron: '0 25 * * *', source: /x, provider: sim", []string{`cron: "0 25 * * *" is not a cron entry: end of range (25) above maximum (23): 25`}},
		{"zone in cron", "cron: 'TZ=UTC 0 2 * * *', source: /x, provider: sim", []string{"cron: the time zone goes into timezone"}},
		{"zone", "cron: '@daily', source: /x, provider: sim, timezone: Mars/Base", []string{"timezone: is not a time zone: write UTC or a name such as Europe/Berlin"}},
		{"a day that never comes", "cron: '0 2 30 2 *', source: /x, provider: sim", []string{`cron: "0 2 30 2 *" names a day that never comes`}},
		{"half a second", "cron: '@every 500ms', source: /x, provider: sim", []string{`cron: "@every 500ms": a period of whole seconds`}},
		{"this machine's zone", "cron: '@daily', source: /x, provider: sim, timezone: Local", []string{"timezone: is not a time zone: write UTC or a name such as Europe/Berlin"}},
		{"priority", "cron: '@daily', source: /x, provider: sim, priority: urgent", []string{"priority: takes one of: low, normal, high"}},
		{"daily budget", "cron: '@daily', source: /x, provider: sim, daily_budget: -1", []string{"daily_budget: is -1; it must be at least 0"}},
		{"source", "cron: '@daily', source: inbox/*.mp3, provider: sim", []string{"source: takes an absolute path or a URL: a scheduler runs somewhere else than you do"}},
		{"provider", "cron: '@daily', source: /x, provider: kei", []string{"provider: there is no such provider; did you mean kie?"}},
		{"account", "cron: '@daily', source: /x, provider: sim, account: mian", []string{"account: sim has no such account; did you mean main?"}},
		{"extend", "cron: '@daily', source: /x, provider: sim, extend: {}", []string{"extend: continue_at is missing: seconds from the start, or -5 for five from the end"}},
		{"continue_at", "cron: '@daily', source: /x, provider: sim, extend: {continue_at: 0}", []string{"extend.continue_at: is 0; it must not be 0"}},
		{"weight", "cron: '@daily', source: /x, provider: sim, extend: {continue_at: 1, style_weight: 2}", []string{"extend.style_weight: is 2; it must be at most 1"}},
		{"gender", "cron: '@daily', source: /x, provider: sim, extend: {continue_at: 1, vocal_gender: x}", []string{"extend.vocal_gender: takes one of: m, f"}},
		{"archive", "cron: '@daily', source: /x, provider: sim, archive: 's3://b-1/p'", nil},
		{"archive that is a directory", "cron: '@daily', source: /x, provider: sim, archive: /songs", nil},
		{"archive of somebody's directory", "cron: '@daily', source: /x, provider: sim, archive: songs", []string{"archive: takes an absolute path, file:///directory or s3://bucket/prefix: a worker runs somewhere else than you do"}},
		{"archive elsewhere", "cron: '@daily', source: /x, provider: sim, archive: 'ftp://a/b'", []string{"archive: takes file:///directory or s3://bucket/prefix"}},
		{"archive with a key in it", "cron: '@daily', source: /x, provider: sim, archive: 's3://k:secret@b/p'", []string{"archive: the S3 address contains a user name; keys are settings of their own"}},
		{"notify", "cron: '@daily', source: /x, provider: sim, notify: 'https://a.test/x'", []string{"notify: is of no use: Segue sends no notifications yet. Take it out; segue schedule history tells how each firing ended"}},
		{"overlap", "cron: '@daily', source: /x, provider: sim, overlap: pile", []string{"overlap: takes one of: skip, queue, allow"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var want []string
			for _, w := range c.want {
				want = append(want, "segue.yaml:1: schedules.nightly."+w)
			}
			if diff := cmp.Diff(want, findings(t, setup{file: "schedules: {nightly: {" + c.keys + "}}"})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindingsInVariables(t *testing.T) {
	const none = "there is no such key; did you mean "
	cases := []struct {
		name, variable string
		want           string
	}{
		{"misspelt", "SEGUE_WROKER_DRAIN=3s", "SEGUE_WROKER_DRAIN: " + none + "SEGUE_WORKER_DRAIN?"},
		{"in an account", "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_APIKEY=k-1", "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_APIKEY: " + none + "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY?"},
		{"in a group", "SEGUE_PROVIDERS_KIE_ACOUNTS_MAIN_API_KEY=k-1", "SEGUE_PROVIDERS_KIE_ACOUNTS_MAIN_API_KEY: " + none + "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY?"},
		{"a group", "SEGUE_REDIS=redis://h", "SEGUE_REDIS: " + none + "SEGUE_REDIS_URL?"},
		{"far off", "SEGUE_FAVOURITE_COLOUR_OF_THE_DAY=blue", "SEGUE_FAVOURITE_COLOUR_OF_THE_DAY: there is no such key; see `segue config print` for the keys there are"},
		{"a provider misspelt", "SEGUE_PROVIDERS_KEI_BASE_URL=https://x", "SEGUE_PROVIDERS_KEI_BASE_URL: is missing, and no driver is called kei; did you mean kie?"},
		{"value", "SEGUE_WORKER_DRAIN=30", "SEGUE_WORKER_DRAIN: 30 is no duration without a unit: write 30s"},
		{"check", "SEGUE_LOG_LEVEL=loud", "SEGUE_LOG_LEVEL: takes one of: debug, info, warn, error"},
		{
			"ambiguous", "SEGUE_PROVIDERS_A_ACCOUNTS_B_ACCOUNTS_C_BUDGET=1",
			"SEGUE_PROVIDERS_A_ACCOUNTS_B_ACCOUNTS_C_BUDGET: may mean providers.a.accounts.b_accounts_c.budget or providers.a_accounts_b.accounts.c.budget; write that one in the file",
		},
		{"models have capitals", "SEGUE_PROVIDERS_KIE_MODELS_V9_MAX_TITLE=1", "SEGUE_PROVIDERS_KIE_MODELS_V9_MAX_TITLE: there is no such key; see `segue config print` for the keys there are"},
		{"a key where a name goes", "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY_ENV=sk-s3cr3t", "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY_ENV: takes the name of an environment variable (the key itself goes into a file or into the variable)"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff([]string{c.want}, findings(t, setup{environ: []string{c.variable}})); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	got := findings(t, setup{
		file: `worker:
  drain: 30
  concurrency: {calls: 0}
redis: {ulr: x}
providers:
  kie:
    accounts: {main: {api_key: s3cr3t, api_key_env: X}}
    poll: {min: 1h}
  mystery: {}
`,
		environ: []string{"SEGUE_LOG_LEVEL=loud", "SEGUE_WORKER_DRIAN=1s"},
		flags:   []string{"--redis-url=s3cr3t", "--redis-require-durable=perhaps"},
	})
	want := []string{
		"segue.yaml:2: worker.drain: 30 is no duration without a unit: write 30s",
		"segue.yaml:3: worker.concurrency.calls: is 0; it must be at least 1",
		"segue.yaml:4: redis.ulr: there is no such key; did you mean url?",
		"segue.yaml:6: providers.kie.poll.max: is 45s, less than min (1h)",
		"segue.yaml:7: providers.kie.accounts.main.api_key_env: api_key is given as well; give one of them",
		"segue.yaml:9: providers.mystery.driver: is missing, and no driver is called mystery; there are kie, mountsea, sim",
		"SEGUE_LOG_LEVEL: takes one of: debug, info, warn, error",
		"SEGUE_WORKER_DRIAN: there is no such key; did you mean SEGUE_WORKER_DRAIN?",
		`--redis-require-durable: "perhaps" is neither true nor false`,
		"--redis-url: begins with none of redis://, rediss://, unix://, redis-sentinel://, redis-cluster://",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestNoHome(t *testing.T) {
	_, err := config.Load(config.Options{})
	if got, want := fault.Reason(err), "state_dir: is not set, and there is no home directory to put it into"; got != want {
		t.Errorf("Load without a home = %q, want %q", got, want)
	}
}

func TestAddressesOfRedisThatAreFine(t *testing.T) {
	for _, url := range []string{
		"", "redis://h", "redis://h:6379/3", "rediss://u:p@h/0?protocol=3", "unix:///run/redis.sock?db=1",
		"redis-sentinel://h1:26379,h2:26379/main", "redis-cluster://u:p@h1:1,h2:2", "redis://[::1]:6379",
	} {
		if got := findings(t, setup{file: "redis: {url: '" + url + "'}"}); got != nil {
			t.Errorf("redis.url %q: %v, want no finding", url, got)
		}
	}
}
