package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/segue-audio/segue/internal/config"
	"github.com/segue-audio/segue/internal/fault"
)

func TestProvider(t *testing.T) {
	const two = "providers: {kie: , studio: {driver: mountsea}}"
	cases := []struct {
		name string
		setup
		asked      string
		want, fail string
	}{
		{"configured", setup{file: two}, "studio", "studio", ""},
		{"a driver nobody configured", setup{file: two}, "sim", "sim", ""},
		{"unknown", setup{file: two}, "kei", "", `there is no provider "kei"; did you mean kie?`},
		{"the only one", setup{file: "providers: {studio: {driver: mountsea}}"}, "", "studio", ""},
		{"several", setup{file: two, environ: []string{"KIE_API_KEY=k"}}, "", "", "no provider is named, and there are several; name one of kie, studio"},
		{"the only one with a key", setup{environ: []string{"MOUNTSEA_API_KEY=k"}}, "", "mountsea", ""},
		{"two with keys", setup{environ: []string{"MOUNTSEA_API_KEY=k", "KIE_API_KEY=k"}}, "", "", "no provider is named, and there are several; name one of kie, mountsea"},
		{"none", setup{}, "", "", "no provider is named, and none is configured; name one of kie, mountsea, sim"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := load(t, c.setup).Provider(c.asked)
			if c.fail != "" {
				if fault.CodeOf(err) != fault.Invalid || fault.Reason(err) != c.fail {
					t.Errorf("Provider(%q) = %v, want invalid: %s", c.asked, err, c.fail)
				}
				return
			}
			if err != nil || got.Name != c.want {
				t.Errorf("Provider(%q) = %q, %v; want %q", c.asked, got.Name, err, c.want)
			}
		})
	}
}

func TestBuiltinProviderIsComplete(t *testing.T) {
	c := load(t, setup{environ: []string{"KIE_API_KEY=k-1", "KIE_WEBHOOK_KEY=w-1"}})
	kie, err := c.Provider("kie")
	if err != nil {
		t.Fatal(err)
	}
	a, err := kie.Account("")
	if err != nil || a.Err() != nil || a.APIKey.Reveal() != "k-1" || a.WebhookKey.Reveal() != "w-1" {
		t.Errorf("account = %q, %q, %v, %v; want the keys of KIE_API_KEY and KIE_WEBHOOK_KEY", a.APIKey.Reveal(), a.WebhookKey.Reveal(), err, a.Err())
	}
	if kie.Driver != "kie" || kie.BaseURL != "https://api.kie.ai" || kie.Limits.InFlight != 100 {
		t.Errorf("provider = %q at %q with %d in flight; want kie's defaults", kie.Driver, kie.BaseURL, kie.Limits.InFlight)
	}
	if len(c.Providers) != 0 {
		t.Errorf("Providers = %v, want none: nobody configured one", c.Providers)
	}
}

func TestKeys(t *testing.T) {
	c := load(t, setup{file: "providers: {kie: {accounts: {b: {api_key: k}, a: {api_key: k}, c: {api_key_env: C_KEY}, d: }}}"})
	usable, err := c.Providers["kie"].Usable()
	var names []string
	for _, a := range usable {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" || err != nil {
		t.Errorf("Usable() (-want +got), error %v:\n%s", err, diff)
	}
	if _, err := c.Providers["kie"].Account(""); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Account of four without main = %v, want invalid", err)
	}
	if _, err := c.Providers["kie"].Account("e"); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Account of an unknown name = %v, want invalid", err)
	}

	sim, err := c.Provider("sim")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sim.Usable(); err != nil {
		t.Errorf("sim without a key: %v, want it to be usable", err)
	}
	mountsea, err := c.Provider("mountsea")
	if err != nil {
		t.Fatal(err)
	}
	_, err = mountsea.Usable()
	if fault.CodeOf(err) != fault.Denied || !strings.Contains(err.Error(), "MOUNTSEA_API_KEY is not set") {
		t.Errorf("mountsea without a key: %v, want denied, naming MOUNTSEA_API_KEY", err)
	}
	if got := c.Missing(); got == nil || strings.Contains(got.Error(), "MOUNTSEA") {
		t.Errorf("Missing() = %v, want the accounts of the file and nothing else", got)
	}
}

func TestMissingTokens(t *testing.T) {
	c := load(t, setup{file: "server: {tokens: {a: , b: {token_env: B_TOKEN}, c: {token: x}}}\ns3: {access_key_env: S3_KEY}"})
	for name, want := range map[string]fault.Code{"a": fault.Denied, "b": fault.Denied, "c": ""} {
		if got := fault.CodeOf(c.Server.Tokens[name].Err()); got != want {
			t.Errorf("token %s: %q, want %q", name, got, want)
		}
	}
	if got := fault.CodeOf(c.S3.Err()); got != fault.Denied {
		t.Errorf("s3: %q, want denied", got)
	}
	if got := c.Server.Tokens["c"].Scopes; !cmp.Equal(got, []string{"submit", "read"}) {
		t.Errorf("default scopes = %v, want submit and read", got)
	}
	if c.Missing() == nil || config.Findings(nil).Error() != "" {
		t.Error("Missing() = nil, want what is missing")
	}
}
