package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/config"
)

func TestPrint(t *testing.T) {
	o := setup{
		file: `redis: {url: "redis://:pw@h:1/0"}
worker:
  drain: 40s
providers:
  "1a":
    driver: sim
    accounts: {main: {budget: 12.5}}
    models: {V4.5: {max_title: 80}, "no": {}}
schedules:
  n: {cron: "@daily", source: /x, provider: kie, extend: {continue_at: -5, prompt: "one\ntwo # three"}}
`,
		environ: []string{"SEGUE_LOG_LEVEL=debug", "SEGUE_PROVIDERS_1A_ACCOUNTS_MAIN_API_KEY=k"},
		flags:   []string{"--security-allow-private-hosts=a,b:1"},
	}.options(t)
	c, err := config.Load(o)
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(printed.String(), filepath.Dir(o.File)+"/", "")
	for _, want := range []string{
		"redis:\n  url: redis://***@h:1/0                      # segue.yaml:1\n  require_durable: true                       # default\n",
		"\nproviders:\n  1a:\n    driver: sim  ",
		"      main:\n        api_key: '***'                        # env SEGUE_PROVIDERS_1A_ACCOUNTS_MAIN_API_KEY\n        api_key_file: \"\"",
		"        budget: 12.5                          # segue.yaml:7\n",
		"    models:\n      V4.5:\n        max_prompt: 0                         # default\n",
		"      \"no\":\n        max_prompt: 0",
		"  drain: 40s                                  # segue.yaml:3\n  give_up: 24h                                # default\n",
		"      prompt: \"one\\ntwo # three\"",
		"    budget: null ",
		"  allow_private_hosts: [a, 'b:1']             # flag --security-allow-private-hosts\n",
		"log:\n  level: debug                                # env SEGUE_LOG_LEVEL\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("Print has no %q in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "kie:") || strings.Contains(got, "mountsea:") {
		t.Errorf("Print shows providers that nobody configured:\n%s", got)
	}
}

func TestPrintedConfigurationLoadsAgain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "segue.yaml")
	write(t, file, `providers: {studio: {driver: kie, accounts: {main: {api_key_env: K, budget: 3}}, limits: {submit: none}}}
schedules: {n: {cron: "@daily", source: /x, provider: studio, extend: {continue_at: 60, prompt: "a: b\nc"}}}
`, 0o600)
	options := config.Options{File: file, Drivers: drivers, Home: "/home/anna"}
	first, err := config.Load(options)
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	if err := first.Print(&printed); err != nil {
		t.Fatal(err)
	}
	write(t, file, printed.String(), 0o600)
	again, err := config.Load(options)
	if err != nil {
		t.Fatalf("Load of what Print wrote: %v\n%s", err, printed.String())
	}
	if diff := cmp.Diff(known(first), known(again)); diff != "" {
		t.Errorf("values differ (-first +again):\n%s", diff)
	}
}

// known is the values without where they came from.
func known(c *config.Config) map[string]any {
	values := map[string]any{}
	for _, v := range c.Values() {
		values[v.Key] = v.Value
	}
	return values
}

func TestPrintPassesWriteErrorsOn(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := load(t, setup{}).Print(w); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Print to a closed file = %v, want os.ErrClosed", err)
	}
}

func TestRates(t *testing.T) {
	cases := map[string]string{"20/10s": "20/10s", "3/s": "3/s", "3/1s": "3/s", "100/1m": "100/m", "5/h": "5/h", " 2 / 90s": "2/1m30s", "none": "none"}
	for in, want := range cases {
		got, err := config.ParseRate(strings.TrimSpace(in))
		if err != nil || got.String() != want {
			t.Errorf("ParseRate(%q) = %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "3", "/s", "3/", "-3/s", "3/-1s", "3/1", "x/s", "3/s/s", "3/d"} {
		if got, err := config.ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", in, got)
		}
	}
	var r config.Rate
	if err := r.UnmarshalText([]byte("7/m")); err != nil || r.N != 7 {
		t.Errorf("UnmarshalText(7/m) = %v, %v", r, err)
	}
	if err := r.UnmarshalText([]byte("7")); err == nil || r.N != 7 {
		t.Errorf("UnmarshalText(7) = %v, %v; want an error and the rate left alone", r, err)
	}
}
