package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/config"
)

// written is a configuration in a directory of its own, with a key file beside it.
type written struct {
	*testing.T
	dir string
}

func (w written) put(name, text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w written) load() *config.Config {
	w.Helper()
	c, err := config.Load(config.Options{
		SearchPaths: []string{filepath.Join(w.dir, "segue.yaml"), filepath.Join(w.dir, "other.yaml")},
		Home:        "/home/anna", Drivers: []config.Driver{{Name: "kie"}},
		Environ: []string{"SEGUE_WORKER_DRAIN=40s"},
	})
	if err != nil {
		w.Fatal(err)
	}
	return c
}

const before = `
redis: {url: "redis://user:first@127.0.0.1:6379/0"}
providers:
  kie:
    limits: {submit: 20/10s}
    accounts:
      main: {api_key_file: key}
      gone: {api_key: a}
`

const after = `
redis: {url: "redis://user:second@127.0.0.1:6379/0"}
worker: {bandwidth: {fetch: 20MB/s}}
providers:
  kie:
    limits: {submit: 18/10s}
    models: {V5: {max_prompt: 3000}}
    accounts:
      main: {api_key_file: key, budget: 20}
      second: {api_key: b}
schedules:
  nightly: {cron: "@daily", source: /inbox, provider: kie, extend: {continue_at: -5}}
`

// Reading again gives what the files say now, and what else was said as it was.
func TestAgain(t *testing.T) {
	w := written{t, t.TempDir()}
	w.put("segue.yaml", before)
	w.put("key", "one")
	c := w.load()
	w.put("segue.yaml", after)
	w.put("key", "two")
	next, err := c.Again()
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Providers["kie"].Accounts["main"].APIKey.Reveal(); got != "one" {
		t.Errorf("the configuration that was there has the key %q, want one", got)
	}
	if got := next.Providers["kie"].Accounts["main"].APIKey.Reveal(); got != "two" {
		t.Errorf("the new one has the key %q, want two", got)
	}
	if got := next.Worker.Drain.String(); got != "40s" {
		t.Errorf("worker.drain is %s, want the variable's 40s", got)
	}
	want := []string{
		"providers.kie.accounts.gone.api_key", "providers.kie.accounts.main.api_key", "providers.kie.accounts.main.budget",
		"providers.kie.accounts.second.api_key", "providers.kie.limits.submit", "providers.kie.models.V5.max_prompt",
		"redis.url", "schedules.nightly.cron", "schedules.nightly.extend.continue_at", "schedules.nightly.provider",
		"schedules.nightly.source", "worker.bandwidth.fetch",
	}
	if diff := cmp.Diff(want, only(c.Changes(next), want)); diff != "" {
		t.Errorf("Changes (-want +got):\n%s", diff)
	}
	// The defaults of what appears or goes are changes too, and nothing else is.
	for _, key := range c.Changes(next) {
		if !hasPrefix(key, "providers.kie.accounts.", "providers.kie.models.", "providers.kie.limits.submit", "redis.url", "schedules.nightly.", "worker.bandwidth.fetch") {
			t.Errorf("%s has changed, says Changes", key)
		}
	}
	if got := next.Changes(next); len(got) != 0 {
		t.Errorf("a configuration differs from itself in %v", got)
	}
}

// only keeps the keys that are wanted.
func only(keys, wanted []string) []string {
	var kept []string
	for _, key := range keys {
		for _, want := range wanted {
			if key == want {
				kept = append(kept, key)
			}
		}
	}
	return kept
}

func hasPrefix(key string, prefixes ...string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// A file that is wrong leaves the configuration as it was.
func TestAgainRefusesWhatIsWrong(t *testing.T) {
	w := written{t, t.TempDir()}
	w.put("segue.yaml", before)
	w.put("key", "one")
	c := w.load()
	w.put("segue.yaml", "worker: {dran: 3s}\n")
	next, err := c.Again()
	findings, ok := errors.AsType[config.Findings](err)
	if next != nil || !ok || len(findings) != 1 {
		t.Errorf("Again() = %v, %v; want one finding and no configuration", next, err)
	}
	if got := c.Providers["kie"].Accounts["main"].APIKey.Reveal(); got != "one" {
		t.Errorf("the old configuration has the key %q, want one", got)
	}
}

// Looks tells when reading again is worth it: any file was changed that it was read
// from, or would have been.
func TestLooks(t *testing.T) {
	w := written{t, t.TempDir()}
	w.put("other.yaml", "log: {level: warn}\n")
	w.put("key", "one")
	changes := func(name string, c *config.Config, want bool) {
		t.Helper()
		if got := c.Looks() != c.ReadFrom(); got != want {
			t.Errorf("%s: Looks() differs from ReadFrom(): %t, want %t", name, got, want)
		}
	}
	c := w.load()
	changes("nothing happened", c, false)
	w.put("unrelated.yaml", "x")
	changes("a file that is not read", c, false)
	w.put("segue.yaml", before)
	changes("a file that comes first", c, true)
	c = w.load()
	changes("read anew", c, false)
	w.put("key", "another")
	changes("a key file", c, true)
	c = w.load()
	if err := os.Remove(filepath.Join(w.dir, "key")); err != nil {
		t.Fatal(err)
	}
	changes("a key file that is gone", c, true)
	changes("a key that is missing", w.load(), false)
}
