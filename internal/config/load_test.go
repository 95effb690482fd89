package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
)

// drivers are what the tests' program has.
var drivers = []config.Driver{
	{
		Name: "kie", BaseURL: "https://api.kie.ai", StagingURL: "https://kieai.redpandaai.co",
		Limits:  config.Limits{Submit: config.Rate{N: 18, Per: 10 * time.Second}, InFlight: 100},
		Credits: config.Credits{Extend: 12},
		Poll:    config.Poll{Max: 45 * time.Second},
	},
	{Name: "mountsea", BaseURL: "https://api.mountsea.ai"},
	{Name: "sim", Keyless: true},
}

// setup is one test's file, variables and flags.
type setup struct {
	file    string
	environ []string
	flags   []string
}

// options writes the file into a directory of its own.
func (s setup) options(t *testing.T) config.Options {
	t.Helper()
	o := config.Options{Environ: s.environ, Drivers: drivers, Home: "/home/anna", Reserved: []string{"SEGUE_DEBUG"}}
	if s.file != "" {
		o.File = filepath.Join(t.TempDir(), "segue.yaml")
		write(t, o.File, s.file, 0o600)
	}
	o.Flags = pflag.NewFlagSet("segue", pflag.ContinueOnError)
	config.AddFlag(o.Flags, "worker.drain", "how long to drain")
	config.AddFlag(o.Flags, "redis.url", "address of Redis")
	config.AddFlag(o.Flags, "redis.require_durable", "refuse a forgetful Redis")
	config.AddFlag(o.Flags, "security.allow_private_hosts", "hosts")
	o.Flags.String("prompt", "", "a flag that is no key")
	if err := o.Flags.Parse(s.flags); err != nil {
		t.Fatalf("parse flags: %v", err)
	}
	return o
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s setup) *config.Config {
	t.Helper()
	c, err := config.Load(s.options(t))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func TestPrecedence(t *testing.T) {
	const file = "worker: {drain: 31s}\nredis: {require_durable: false}\n"
	cases := []struct {
		name string
		setup
		want time.Duration
	}{
		{"default", setup{}, 25 * time.Second},
		{"file", setup{file: file}, 31 * time.Second},
		{"environment over file", setup{file: file, environ: []string{"SEGUE_WORKER_DRAIN=32s"}}, 32 * time.Second},
		{"flag over environment", setup{file, []string{"SEGUE_WORKER_DRAIN=32s"}, []string{"--worker-drain=33s"}}, 33 * time.Second},
		{"flag over file", setup{file: file, flags: []string{"--worker-drain", "33s"}}, 33 * time.Second},
		{"an empty variable is unset", setup{file: file, environ: []string{"SEGUE_WORKER_DRAIN="}}, 31 * time.Second},
		{"a flag that is not given does not count", setup{file: file, flags: []string{"--redis-url="}}, 31 * time.Second},
		{"other variables are ignored", setup{environ: []string{"WORKER_DRAIN=1h", "HOME=/root"}}, 25 * time.Second},
		{"a null is not a value", setup{file: "worker: {drain: null}"}, 25 * time.Second},
		{"an empty group", setup{file: "worker:\nredis:\n"}, 25 * time.Second},
		{"an empty file", setup{file: "# nothing\n"}, 25 * time.Second},
		{"a byte order mark", setup{file: "\xef\xbb\xbfworker: {drain: 34s}"}, 34 * time.Second},
		{"an alias", setup{file: "log: {level: &x debug}\nworker: &w {drain: 35s}\n"}, 35 * time.Second},
		{"CRLF", setup{file: "worker:\r\n  drain: 36s\r\n"}, 36 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := load(t, c.setup).Worker.Drain; got != c.want {
				t.Errorf("worker.drain = %v, want %v", got, c.want)
			}
		})
	}
}

func TestEveryTypeFromEveryPlace(t *testing.T) {
	want := config.Config{
		Redis:    config.Redis{URL: config.NewURL("redis://h:1/2"), RequireDurable: false, WaitReplicas: -1},
		Security: config.Security{AllowPrivateHosts: []string{"localhost:9000", "10.0.0.0/8"}},
	}
	cases := map[string]setup{
		"file": {file: "redis: {url: redis://h:1/2, require_durable: no}\nsecurity: {allow_private_hosts: [localhost:9000, 10.0.0.0/8]}"},
		"environment": {environ: []string{
			"SEGUE_REDIS_URL=redis://h:1/2", "SEGUE_REDIS_REQUIRE_DURABLE=false",
			"SEGUE_SECURITY_ALLOW_PRIVATE_HOSTS=localhost:9000, 10.0.0.0/8",
		}},
		"flags": {flags: []string{
			"--redis-url=redis://h:1/2", "--redis-require-durable=false",
			"--security-allow-private-hosts=localhost:9000,10.0.0.0/8",
		}},
	}
	for name, s := range cases {
		c := load(t, s)
		if diff := cmp.Diff(want.Redis, c.Redis); diff != "" {
			t.Errorf("%s: redis (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(want.Security, c.Security); diff != "" {
			t.Errorf("%s: security (-want +got):\n%s", name, diff)
		}
	}
}

func TestBareBoolFlag(t *testing.T) {
	c := load(t, setup{file: "redis: {require_durable: false}", flags: []string{"--redis-require-durable"}})
	if !c.Redis.RequireDurable {
		t.Error("--redis-require-durable without a value left require_durable false, want true")
	}
}

func TestBindFlagOfAnUnknownKeyPanics(t *testing.T) {
	for _, key := range []string{"worker.drian", "worker", ""} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AddFlag(%q) did not panic", key)
				}
			}()
			config.AddFlag(pflag.NewFlagSet("segue", pflag.ContinueOnError), key, "")
		}()
	}
}

func TestWhichFile(t *testing.T) {
	dir := t.TempDir()
	first, second, asked := filepath.Join(dir, "first.yaml"), filepath.Join(dir, "second.yaml"), filepath.Join(dir, "asked.yaml")
	write(t, second, "log: {level: debug}", 0o600)
	write(t, asked, "log: {level: error}", 0o600)
	paths := []string{first, second}
	cases := []struct {
		name    string
		options config.Options
		want    string
	}{
		{"the first that exists", config.Options{SearchPaths: paths}, second},
		{"none", config.Options{SearchPaths: []string{first}}, ""},
		{"SEGUE_CONFIG", config.Options{SearchPaths: paths, Environ: []string{"SEGUE_CONFIG=" + asked}}, asked},
		{"asked for", config.Options{SearchPaths: paths, File: asked, Environ: []string{"SEGUE_CONFIG=" + second}}, asked},
	}
	for _, c := range cases {
		c.options.Home = "/home/anna"
		got, err := config.Load(c.options)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.File != c.want {
			t.Errorf("%s: read %q, want %q", c.name, got.File, c.want)
		}
	}
	_, err := config.Load(config.Options{File: first, Home: "/home/anna"})
	if got, want := fault.Reason(err), first+": there is no such file"; got != want || fault.CodeOf(err) != fault.Invalid {
		t.Errorf("missing file: %v (%s), want %q (invalid)", got, fault.CodeOf(err), want)
	}
}

func TestEnvironmentAlone(t *testing.T) {
	c := load(t, setup{environ: []string{
		"SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY=k-1",
		"SEGUE_PROVIDERS_KIE_ACCOUNTS_SECOND_API_KEY=k-2",
		"SEGUE_PROVIDERS_KIE_ACCOUNTS_SECOND_BUDGET=7.5",
		"SEGUE_PROVIDERS_KIE_LIMITS_SUBMIT=15/10s",
		"SEGUE_PROVIDERS_MY_TEST_DRIVER=mountsea",
		"SEGUE_PROVIDERS_MY_TEST_BASE_URL=http://127.0.0.1:9",
		"SEGUE_SERVER_TOKENS_CI_TOKEN=t-1",
		"SEGUE_SERVER_TOKENS_CI_SCOPES=read",
		"SEGUE_SCHEDULES_NIGHTLY_CRON=0 2 * * *",
		"SEGUE_SCHEDULES_NIGHTLY_SOURCE=/inbox/**/*.mp3",
		"SEGUE_SCHEDULES_NIGHTLY_PROVIDER=kie",
		"SEGUE_SCHEDULES_NIGHTLY_EXTEND_CONTINUE_AT=-5",
	}})
	kie := c.Providers["kie"]
	budget, continueAt := 7.5, -5.0
	want := map[string]config.Account{
		"main":   {Name: "main", APIKey: config.NewSecret("k-1")},
		"second": {Name: "second", APIKey: config.NewSecret("k-2"), Budget: &budget},
	}
	if diff := cmp.Diff(want, kie.Accounts, ignoreUnexported); diff != "" {
		t.Errorf("accounts (-want +got):\n%s", diff)
	}
	if got, want := kie.Limits.Submit, (config.Rate{N: 15, Per: 10 * time.Second}); got != want {
		t.Errorf("limits.submit = %v, want %v", got, want)
	}
	if got := c.Providers["my_test"]; got.Driver != "mountsea" || got.BaseURL != "http://127.0.0.1:9" {
		t.Errorf("provider my_test = %q at %q, want mountsea at http://127.0.0.1:9", got.Driver, got.BaseURL)
	}
	if got := c.Server.Tokens["ci"]; got.Token.Reveal() != "t-1" || len(got.Scopes) != 1 || got.Scopes[0] != "read" {
		t.Errorf("token ci = %q with scopes %v, want t-1 with read", got.Token.Reveal(), got.Scopes)
	}
	if got := c.Schedules["nightly"]; got.Extend == nil || !cmp.Equal(got.Extend.ContinueAt, &continueAt) {
		t.Errorf("schedule nightly = %+v, want it to extend at -5", got)
	}
}

func TestVariablesReachKeysOfTheFile(t *testing.T) {
	c := load(t, setup{
		file: `providers:
  my-kie:
    driver: kie
    accounts: {studio-a: {api_key: from-file}}
    models: {V4_5: {max_title: 80}}
`,
		environ: []string{
			"SEGUE_PROVIDERS_MY_KIE_ACCOUNTS_STUDIO_A_API_KEY=from-env",
			"SEGUE_PROVIDERS_MY_KIE_MODELS_V4_5_MAX_TITLE=90",
		},
	})
	p := c.Providers["my-kie"]
	if got := p.Accounts["studio-a"].APIKey.Reveal(); got != "from-env" {
		t.Errorf("key of studio-a = %q, want from-env", got)
	}
	if diff := cmp.Diff(map[string]config.Model{"V4_5": {MaxTitle: 90}}, p.Models); diff != "" {
		t.Errorf("models (-want +got):\n%s", diff)
	}
	if len(c.Providers) != 1 || len(p.Accounts) != 1 {
		t.Errorf("%d providers, %d accounts; want the one of the file", len(c.Providers), len(p.Accounts))
	}
}

func TestInjectedAndReservedVariablesAreNoMistakes(t *testing.T) {
	load(t, setup{environ: []string{
		"SEGUE_PORT=tcp://10.0.0.1:8080", "SEGUE_PORT_8080_TCP=tcp://10.0.0.1:8080", "SEGUE_PORT_8080_TCP_ADDR=10.0.0.1",
		"SEGUE_SERVICE_HOST=10.0.0.1", "SEGUE_SERVICE_PORT=8080", "SEGUE_SERVICE_PORT_HTTP=8080",
		"SEGUE_REDIS_SERVICE_HOST=10.0.0.2", "SEGUE_REDIS_PORT=tcp://10.0.0.2:6379", "SEGUE_REDIS_PORT_6379_TCP_PROTO=tcp",
		"SEGUE_DEBUG=1",
	}})
}

func TestDefaultsOfDrivers(t *testing.T) {
	kie := load(t, setup{file: "providers: {kie: }"}).Providers["kie"]
	want := config.Provider{
		Name: "kie", Driver: "kie", BaseURL: "https://api.kie.ai", StagingURL: "https://kieai.redpandaai.co",
		Accounts: map[string]config.Account{"main": {Name: "main", APIKeyEnv: "KIE_API_KEY"}},
		Limits: config.Limits{
			Submit: config.Rate{N: 18, Per: 10 * time.Second}, InFlight: 100, PollPerOperation: config.Rate{N: 3, Per: time.Second},
		},
		Credits: config.Credits{Extend: 12},
		Models:  map[string]config.Model{},
		Poll:    config.Poll{Min: 2 * time.Second, Max: 45 * time.Second, Deadline: time.Hour},
	}
	if diff := cmp.Diff(want, kie, ignoreUnexported); diff != "" {
		t.Errorf("provider kie (-want +got):\n%s", diff)
	}
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "kie.key"), "secret-1\n", 0o600)
	file := filepath.Join(dir, "segue.yaml")
	write(t, file, "state_dir: state\narchive: {url: ~/music}\nproviders: {kie: {accounts: {main: {api_key_file: kie.key}}}}\n", 0o600)
	c, err := config.Load(config.Options{File: file, Drivers: drivers, Home: "/home/anna"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.StateDir, filepath.Join(dir, "state"); got != want {
		t.Errorf("state_dir = %q, want %q: relative to the file", got, want)
	}
	if got, want := c.Archive.URL, "/home/anna/music"; got != want {
		t.Errorf("archive.url = %q, want %q", got, want)
	}
	if got, want := c.Providers["kie"].Accounts["main"].APIKey.Reveal(), "secret-1"; got != want {
		t.Errorf("api_key = %q, want %q: without the line end", got, want)
	}

	c = load(t, setup{})
	if got, want := c.StateDir+" "+c.Archive.URL, "/home/anna/.local/state/segue file:///home/anna/.local/state/segue/archive"; got != want {
		t.Errorf("defaults are %q, want %q", got, want)
	}
	c, err = config.Load(config.Options{StateHome: "/var/state", Dir: "/srv", Environ: []string{"SEGUE_STATE_DIR=rel"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.StateDir+" "+c.Archive.URL, "/srv/rel file:///srv/rel/archive"; got != want {
		t.Errorf("state_dir of the environment gives %q, want %q", got, want)
	}
}

// TestAFolderWithAHash: people call folders such things.
func TestAFolderWithAHash(t *testing.T) {
	c, err := config.Load(config.Options{Dir: t.TempDir(), Home: "/home/ann", StateHome: "/home/ann/songs #2"})
	if err != nil {
		t.Fatal(err)
	}
	if want := "file:///home/ann/songs%20%232/segue/archive"; c.Archive.URL != want {
		t.Errorf("archive.url is %q, want %q", c.Archive.URL, want)
	}
}
