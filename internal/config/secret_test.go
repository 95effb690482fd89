package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
)

var ignoreUnexported = cmpopts.IgnoreUnexported(config.Account{})

// tell is in every secret of these tests.
const tell = "s3cr3t"

const secretive = `redis: {url: "redis://user:s3cr3t/x@127.0.0.1:1/0?password=s3cr3t"}
providers:
  kie:
    accounts:
      main: {api_key: s3cr3t-inline, webhook_key: s3cr3t-hook}
      second: {api_key_env: SECOND_KEY}
server: {tokens: {ci: {token: s3cr3t-token}}}
s3: {access_key: s3cr3t-access, secret_key: s3cr3t-secret}
`

func TestSecretsDoNotPrint(t *testing.T) {
	c := load(t, setup{file: secretive, environ: []string{"SECOND_KEY=s3cr3t-env", "MOUNTSEA_API_KEY=s3cr3t-builtin"}})
	mountsea, err := c.Provider("mountsea")
	if err != nil {
		t.Fatal(err)
	}
	outputs := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		outputs["fmt "+verb] = fmt.Sprintf(verb+verb+verb, c, mountsea, struct{ hidden any }{mountsea}) +
			fmt.Sprintf(verb+verb, mountsea.Accounts["main"].APIKey, c.Redis.URL)
	}
	asJSON, err := json.Marshal([]any{c, mountsea, c.Values()})
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal([]any{c, mountsea})
	if err != nil {
		t.Fatal(err)
	}
	var printed, logged bytes.Buffer
	if err := c.Print(&printed); err != nil {
		t.Fatal(err)
	}
	key := mountsea.Accounts["main"].APIKey
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "config", c, "key", key, "url", c.Redis.URL)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "config", c, "key", key, "url", c.Redis.URL)
	outputs["json"], outputs["yaml"], outputs["print"], outputs["slog"] = string(asJSON), string(asYAML), printed.String(), logged.String()
	for where, text := range outputs {
		if strings.Contains(text, tell) || strings.Contains(text, fmt.Sprintf("%x", tell)) {
			t.Errorf("%s reveals a secret: %s", where, text)
		}
	}
	for _, where := range []string{"json", "yaml", "print", "slog", "fmt %+v"} {
		if !strings.Contains(outputs[where], "***") {
			t.Errorf("%s shows no mask; did it print the configuration at all?\n%s", where, outputs[where])
		}
	}
	if got := key.Reveal(); got != "s3cr3t-builtin" {
		t.Errorf("Reveal() = %q, want s3cr3t-builtin", got)
	}
}

func TestURLMasksPasswords(t *testing.T) {
	cases := map[string]string{
		"redis://127.0.0.1:6379/0":                      "redis://127.0.0.1:6379/0",
		"redis://:pw@h:1":                               "redis://***@h:1",
		"redis-sentinel://u:p@w@h1:1,h2:2/m":            "redis-sentinel://***@h1:1,h2:2/m",
		"rediss://u:a/b@h:1/0?sentinel_password=x&db=1": "rediss://***@h:1/0?sentinel_password=***&db=1",
		"u:pw@h:1": "***@h:1",
		"":         "",
	}
	for in, want := range cases {
		if got := config.NewURL(in).String(); got != want {
			t.Errorf("NewURL(%q) prints as %q, want %q", in, got, want)
		}
	}
}

func TestWhereSecretsComeFrom(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"good": "file-key\r\n", "empty": "\n", "two": "a\nb\n"} {
		write(t, filepath.Join(dir, name), text, 0o600)
	}
	t.Chdir(dir)
	const environ = "KEY_VAR=env-key"
	cases := []struct {
		name, account string
		environ       []string
		want, missing string
	}{
		{"itself", "{api_key: inline}", nil, "inline", ""},
		{"a number keeps its zeros", "{api_key: 00123}", nil, "00123", ""},
		{"file", "{api_key_file: " + dir + "/good}", nil, "file-key", ""},
		{"variable", "{api_key_env: KEY_VAR}", []string{environ}, "env-key", ""},
		{"main without any", "{}", []string{"KIE_API_KEY=def"}, "def", ""},
		{"a variable replaces a file's way", "{api_key_env: KEY_VAR}", []string{environ, "SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY=over"}, "over", ""},
		{"a variable names another file", "{api_key: inline}", []string{"SEGUE_PROVIDERS_KIE_ACCOUNTS_MAIN_API_KEY_FILE=good"}, "file-key", ""},
		{"unset variable", "{api_key_env: KEY_VAR}", nil, "", "KEY_VAR is not set"},
		{"unset default", "{}", nil, "", "KIE_API_KEY is not set"},
		{"no file", "{api_key_file: " + dir + "/none}", nil, "", dir + "/none: there is no such file"},
		{"empty file", "{api_key_file: " + dir + "/empty}", nil, "", dir + "/empty is empty"},
		{"a directory", "{api_key_file: " + dir + "}", nil, "", dir + ": is a directory"},
		{"two lines", "{api_key_file: " + dir + "/two}", nil, "", dir + "/two: a key holds no spaces, line ends or control characters"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			loaded := load(t, setup{file: "providers: {kie: {accounts: {main: " + c.account + "}}}", environ: c.environ})
			a, err := loaded.Providers["kie"].Account("main")
			if err != nil {
				t.Fatal(err)
			}
			if got := a.APIKey.Reveal(); got != c.want {
				t.Errorf("key = %q, want %q", got, c.want)
			}
			if c.missing == "" {
				if a.Err() != nil || loaded.Missing() != nil {
					t.Errorf("Err() = %v, Missing() = %v; want none", a.Err(), loaded.Missing())
				}
				return
			}
			if got := a.Err(); fault.CodeOf(got) != fault.Denied || !strings.HasSuffix(got.Error(), "api_key: "+c.missing) && !strings.HasSuffix(got.Error(), ": "+c.missing) {
				t.Errorf("Err() = %v, want denied: %s", got, c.missing)
			}
			if got := loaded.Missing(); fault.CodeOf(got) != fault.Denied || !strings.Contains(got.Error(), c.missing) {
				t.Errorf("Missing() = %v, want denied: %s", got, c.missing)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	key, file := filepath.Join(dir, "key"), filepath.Join(dir, "segue.yaml")
	write(t, key, "k", 0o644)
	write(t, file, `providers:
  kie:
    base_url: http://api.example.com
    credits_url: http://127.0.0.1:9
    accounts:
      main: {api_key_file: key, webhook_key_env: HOOK}
      second: {api_key: inline}
`, 0o644)
	c, err := config.Load(config.Options{File: file, Drivers: drivers, Home: "/home/anna"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		file + ":3: providers.kie.base_url: the account's key travels unencrypted over http://",
		file + ":6: providers.kie.accounts.main.api_key_file: " + key + " can be read by every user of this machine; chmod 600 it",
		file + ":6: providers.kie.accounts.main.webhook_key: HOOK is not set; callbacks are not verified",
		file + ":7: providers.kie.accounts.second.api_key: stands in a file that every user of this machine can read; chmod 600 it",
	}
	if got := config.Findings(c.Warnings).Error(); got != strings.Join(want, "\n") {
		t.Errorf("warnings:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	if err := c.Providers["kie"].Accounts["main"].Err(); err != nil {
		t.Errorf("a missing webhook key makes the account unusable: %v", err)
	}
}
