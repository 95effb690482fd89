package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/segue-audio/segue/internal/provider/all"
)

// said is what one run of the program left behind.
type said struct {
	code           int
	stdout, stderr string
}

// segue runs the program in this process, in a home of its own.
func segue(t *testing.T, environ []string, args ...string) said {
	t.Helper()
	home := t.TempDir()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), environment{
		args:    append([]string{}, args...), // of nil, cobra takes the process's own
		environ: append([]string{"HOME=" + home, "XDG_STATE_HOME=" + home}, environ...),
		stdin:   strings.NewReader(""), stdout: &stdout, stderr: &stderr,
	})
	return said{code, stdout.String(), stderr.String()}
}

// holds reports where a run was not as it should be. The patterns are regular
// expressions, line by line; an error always ends with something to try.
func (s said) holds(t *testing.T, code int, patterns ...string) {
	t.Helper()
	if s.code != code {
		t.Errorf("exit code %d, want %d", s.code, code)
	}
	for _, pattern := range patterns {
		if !regexp.MustCompile("(?m)" + pattern).MatchString(s.stdout + s.stderr) {
			t.Errorf("nothing printed matches %q", pattern)
		}
	}
	if code != exitOK && !regexp.MustCompile(`(?m)^segue: .+\ntry: {3}.+\n\z`).MatchString(s.stderr) {
		t.Errorf("the error does not end with the next command to try")
	}
	if code != exitOK && s.stdout != "" {
		t.Errorf("an error, and yet something on stdout: %q", s.stdout)
	}
	if t.Failed() {
		t.Logf("stderr:\n%s", s.stderr)
	}
}

const noSession = "ses_01a20302-ba84-7557-95f4-dd3af291d1ee"

func TestUsageErrorsSayWhatIsWanted(t *testing.T) {
	for line, patterns := range map[string][]string{
		"runn":                                {`^segue: there is no command "segue runn"; did you mean run\?$`, `^try:   segue --help$`},
		"frobnicate songs":                    {`there is no command "segue frobnicate"$`},
		"config chekc":                        {`there is no command "segue config chekc"; did you mean check\?$`, `^try:   segue config --help$`},
		"completion bsh":                      {`there is no command "segue completion bsh"`},
		"run --bogus":                         {`^segue: unknown flag: --bogus$`, `^try:   segue run --help$`},
		"run x --timeout 3":                   {`invalid argument "3" for "--timeout" flag: .*missing unit in duration`},
		"run x --continue-at soon":            {`invalid argument "soon" for "--continue-at"`},
		"run":                                 {`^segue: run needs a source: `},
		"submit":                              {`^segue: submit needs a source: `},
		"demo songs":                          {`^segue: segue demo takes no arguments, and was given "songs"$`},
		"version now":                         {`^segue: segue version takes no arguments`},
		"status":                              {`^segue: segue status needs a session id \(segue sessions lists them\)$`},
		"items":                               {`needs a session id`},
		"results":                             {`needs a session id`},
		"retry":                               {`needs a session id`},
		"ledger --limit 0":                    {`^segue: --limit is 0; it is 1 or more$`},
		"ledger --since=-1h":                  {`--since is -1h0m0s; it is a time that has passed`},
		"ledger --session x --provider kie":   {`^segue: --session names one session of one account`},
		"ledger --balance --since 1h":         {`--since does not apply$`},
		"accounts main":                       {`^segue: there is no command "segue accounts main"`, `^try:   segue accounts --help$`},
		"accounts drain":                      {`^segue: segue accounts drain needs an account: its name, or PROVIDER/NAME`},
		"accounts remove a b":                 {`takes an account: .* and nothing else, and was given 2 arguments$`},
		"accounts darin main":                 {`^segue: there is no command "segue accounts darin"; did you mean drain\?`},
		"priority":                            {`^segue: segue priority needs a session id`},
		"priority " + noSession:               {`and behind it low, normal or high$`},
		"priority high " + noSession:          {`^segue: priority is "` + noSession + `"; it is low, normal or high, and comes last$`},
		"priority " + noSession + " highest":  {`^segue: priority is "highest"; it is low`},
		"rebuild everything":                  {`^segue: segue rebuild takes no arguments`},
		"resolve":                             {`^segue: segue resolve needs an item id`},
		"resolve a.mp3 --abandon":             {`^segue: "a.mp3" is no item id; `},
		"resolve " + noSession + " --abandon": {`is no item id; it is a session id, a dot, and an index$`, `^try:   segue resolve --help$`},
		"resolve " + noSession + ".0":         {`exactly one of --operation ID, --clip ID, --resubmit and --abandon \(0 given\)$`},
		"resolve " + noSession + ".0 --abandon --resubmit": {`\(2 given\)$`},
		"resolve " + noSession + ".0 --operation=":         {`\(0 given\)$`},
		"retry " + noSession + " --step mastering":         {`--step is "mastering"; it is upload, extend or fetch$`},
		"items " + noSession + " --status stuck":           {`--status is "stuck"; it is one of queued, sending, `},
		"results " + noSession + " --format xml":           {`--format is "xml"; it is csv or json$`},
		"sessions --limit 0":                               {`--limit is 0; it is 1 or more$`},
		"submit x --provider sim":                          {`^segue: redis.url is not set, `, `^try:   segue run with the same arguments`},
		"worker":                                           {`redis.url is not set`, `^try:   segue up, or set redis.url$`},
		"serve":                                            {`redis.url is not set`},
		"scheduler":                                        {`redis.url is not set`, `^try:   segue up, or set redis.url$`},
		"scheduler now":                                    {`^segue: segue scheduler takes no arguments`},
		"schedule lsit":                                    {`^segue: there is no command "segue schedule lsit"; did you mean list\?`},
		"schedule run":                                     {`^segue: segue schedule run needs the name of a schedule`},
		"schedule preview x -n 0":                          {`^segue: -n is 0; it is 1 to 1000$`},
		"schedule history x --limit 0":                     {`^segue: --limit is 0; it is 1 or more$`},
		"schedule backfill x":                              {`^segue: --from is missing: `},
		"schedule add x":                                   {`needs a name and one source \(a glob in quotes\), and was given 1 arguments$`},
		"schedule add x /y --provider sim --cron @daily":   {`^segue: redis.url is not set, `, `^try:   schedules.x in the configuration, then segue up; or set redis.url$`},
		"schedule add x /y --provider sim --cron @daily --overlap pile": {`^error: schedule x: overlap "pile" is not skip, queue or allow$`},
		"serve --server-addr 0.0.0.0:0":                                 {`other machines can reach this address: define server.tokens`},
		"sim --addr 0.0.0.0:0":                                          {`loopback only`},
		"sim --addr 127.0.0.1:0 --track-scale 90":                       {`TrackScale is 90`},
		"run x":                                             {`^error: --provider: no provider is named, and none is configured; name one of `, `^error: x: there is no such file`},
		"run x --provider montsea":                          {`^error: --provider: there is no provider "montsea"; did you mean mountsea\?`},
		"run x --provider sim --account mian":               {`^error: --account: provider sim has no account "mian"; did you mean main\?`},
		"run x --provider sim --on-unknown perhaps":         {`^error: --on-unknown: it is hold or resubmit, not "perhaps"$`},
		"run x --provider sim --priority urgent":            {`^error: --priority: it is low, normal or high, not "urgent"$`},
		"run x --provider sim --priority=":                  {`^error: --priority: it is low, normal or high, not ""$`},
		"run s3://bucket/x --provider sim --archive ftp://": {`^error: `},
	} {
		t.Run(line, func(t *testing.T) {
			segue(t, nil, strings.Fields(line)...).holds(t, exitUsage, patterns...)
		})
	}
	segue(t, nil, "run", "", "--provider", "sim").holds(t, exitUsage, "an empty source")
}

func TestWhatDoesNotExist(t *testing.T) {
	for line, patterns := range map[string][]string{
		"status " + noSession:                   {"^segue: there is no session " + noSession + "$", "^try:   segue sessions"},
		"status nonsense --watch":               {"^segue: there is no session nonsense$"},
		"items nonsense":                        {"^segue: there is no session nonsense$"},
		"results nonsense":                      {"^segue: there is no session nonsense$"},
		"cancel nonsense":                       {"^segue: there is no session nonsense$"},
		"cancel nonsense " + noSession:          {"^nonsense: there is no session nonsense$", "^segue: there is no session nonsense$"},
		"ledger --session nonsense":             {"^segue: there is no session nonsense$"},
		"ledger --account nobody":               {"^segue: there is no account \\*/nobody, configured or on the books$", "^try:   segue accounts"},
		"ledger --balance":                      {"^segue: there is no account whose balance can be asked for from here$"},
		"cancel " + noSession:                   {"^segue: there is no session " + noSession + "$"},
		"retry nonsense --yes":                  {"^segue: there is no session nonsense$"},
		"resolve " + noSession + ".3 --abandon": {"^segue: there is no item " + noSession + ".3$", "^try:   segue items " + noSession + "$"},
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			segue(t, nil, strings.Fields(line)...).holds(t, exitNotFound, patterns...)
		})
	}
	if got := segue(t, nil, "sessions", "--json"); got.code != exitOK || got.stdout != "[]\n" {
		t.Errorf("sessions --json of nothing = %q with exit code %d, want [] and 0", got.stdout, got.code)
	}
}

func TestRedisThatCannotBeReached(t *testing.T) {
	for _, line := range []string{
		"sessions", "status " + noSession, "worker", "serve --server-addr 127.0.0.1:0", "up --server-addr 127.0.0.1:0",
		"cancel " + noSession, "resolve " + noSession + ".0 --abandon",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			got := segue(t, []string{"SEGUE_REDIS_URL=redis://user:hunter2@127.0.0.1:1/0"}, strings.Fields(line)...)
			got.holds(t, exitUnreachable, "^segue: redis does not answer: .*connection refused$",
				`^try:   start it, or put redis.url right \(segue config print shows where it comes from\)`)
			if strings.Contains(got.stderr, "hunter2") {
				t.Error("the password is in the output")
			}
		})
	}
}

// A server that takes connections and never says anything is given up too; a test
// that hung would run into its deadline.
func TestRedisThatNeverAnswers(t *testing.T) {
	t.Parallel()
	silent := silentServer(t)
	got := segue(t, []string{"SEGUE_REDIS_URL=redis://" + silent + "/0"}, "sessions")
	got.holds(t, exitUnreachable, "^segue: redis does not answer: ")
}

func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				_, _ = io.Copy(io.Discard, conn) // ends when the client goes
				_ = conn.Close()
			})
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		open.Wait()
	})
	return l.Addr().String()
}

func TestConfigurationErrorsComeAllAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "typo.yaml")
	if err := os.WriteFile(file, []byte("worker:\n  drian: 3s\nlog: {level: loud}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"SEGUE_WORKER_DRIAN=3s", "SEGUE_WORKER_GIVE_UP=90"}
	patterns := []string{
		`^error: .*typo.yaml:2: worker.drian: there is no such key; did you mean drain\?$`,
		`^error: .*typo.yaml:3: log.level: takes one of: debug, info, warn, error$`,
		`^error: SEGUE_WORKER_DRIAN: there is no such key; did you mean SEGUE_WORKER_DRAIN\?$`,
		`^error: SEGUE_WORKER_GIVE_UP: 90 is no duration without a unit: write 90s$`,
		`^segue: 4 errors in the configuration$`,
		`^try:   segue config check --config .*typo.yaml, once that is put right$`,
	}
	for _, line := range []string{"run x --provider sim", "config check", "config print", "worker", "sessions"} {
		t.Run(line, func(t *testing.T) {
			segue(t, environ, append(strings.Fields(line), "--config", file)...).holds(t, exitUsage, patterns...)
		})
	}
	segue(t, nil, "config", "check", "--config", file+".not").holds(t, exitUsage, "typo.yaml.not: there is no such file")
	// A password is not repeated, not even that of an address which is none.
	got := segue(t, []string{"SEGUE_REDIS_URL=redis://:hunter2@[oops/0"}, "sessions")
	got.holds(t, exitUsage)
	if strings.Contains(got.stderr, "hunter2") {
		t.Errorf("the password is in %q", got.stderr)
	}
}

func TestConfigPrintMasksSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret.yaml")
	const text = "providers:\n  mountsea:\n    accounts:\n      main: {api_key: sk-written-down}\n      late: {api_key_env: NO_SUCH_KEY}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"SEGUE_WORKER_DRAIN=7s", "SEGUE_REDIS_URL=redis://me:hunter2@127.0.0.1:6379/0", "SEGUE_CONFIG=" + file}
	got := segue(t, environ, "config", "print", "--log-level", "warn")
	got.holds(t, exitOK, `^  drain: 7s +# env SEGUE_WORKER_DRAIN$`, `^  level: warn +# flag --log-level$`,
		`api_key: '\*\*\*' +# .*secret.yaml:4$`, `api_key_env: NO_SUCH_KEY`)
	structured := segue(t, environ, "config", "print", "--json")
	structured.holds(t, exitOK, `"key": "providers\.mountsea\.accounts\.main\.api_key"`, `"from": "env SEGUE_WORKER_DRAIN"`)
	for _, secret := range []string{"sk-written-down", "hunter2"} {
		if strings.Contains(got.stdout+got.stderr+structured.stdout+structured.stderr, secret) {
			t.Errorf("%s is in the output", secret)
		}
	}
	segue(t, environ, "config", "check").holds(t, exitOK, `^ok: .*secret.yaml$`, `^warning: .*late.api_key: NO_SUCH_KEY is not set$`)
}

func TestHelpNamesEveryFlagOfEveryCommand(t *testing.T) {
	a := &app{providers: all.Providers()}
	var visit func(cmd *cobra.Command, path []string)
	visit = func(cmd *cobra.Command, path []string) {
		help := segue(t, nil, append(path, "--help")...)
		if help.code != exitOK || help.stderr != "" || cmd.Short == "" || !strings.Contains(help.stdout, "Usage:\n  segue") {
			t.Errorf("segue %v --help: exit code %d, stderr %q; want a usage on stdout", path, help.code, help.stderr)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || !strings.Contains(help.stdout, "--"+f.Name) {
				t.Errorf("segue %v --help does not explain --%s", path, f.Name)
			}
		})
		for _, sub := range cmd.Commands() {
			if !strings.Contains(help.stdout, "\n  "+sub.Name()+" ") && sub.IsAvailableCommand() {
				t.Errorf("segue %v --help does not name %s", path, sub.Name())
			}
			visit(sub, append(slices.Clip(path), sub.Name()))
		}
	}
	visit(a.root(), nil)
	got := segue(t, nil)
	got.holds(t, exitOK, "^  segue demo ", "Exit codes: 0 all succeeded")
}

func TestCompletionForFourShells(t *testing.T) {
	for shell, want := range map[string]string{
		"bash": "__start_segue", "zsh": "#compdef segue", "fish": "complete .*-c segue",
		"powershell": "Register-ArgumentCompleter -CommandName 'segue'",
	} {
		got := segue(t, nil, "completion", shell)
		got.holds(t, exitOK, want)
		if path, err := exec.LookPath(shell); err == nil && shell != "powershell" {
			check := exec.CommandContext(t.Context(), path, "-n")
			check.Stdin = strings.NewReader(got.stdout)
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s does not take its completion: %v\n%s", shell, err, out)
			}
		}
	}
	segue(t, nil, "__complete", "re").holds(t, exitOK, "^resolve", "^results", "^retry")
}

func TestVersion(t *testing.T) {
	segue(t, nil, "version").holds(t, exitOK, `^segue .+ \(go1\..+, [a-z0-9]+/[a-z0-9]+\)$`)
	segue(t, nil, "version", "--json").holds(t, exitOK, `"version": ".+"`, `"go": "go1\.`, `"platform": "`)
}

func TestInterruptedBeforeAnythingWasSent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, environment{
		args:    []string{"run", "../../internal/audio/samples", "--provider", "sim", "--extend", "--continue-at", "2"},
		environ: []string{"HOME=" + t.TempDir()}, stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
	})
	said{code, stdout.String(), stderr.String()}.holds(t, exitInterrupted, "^segue: stopped; nothing was sent$", "^try:   the same command again$")
}
