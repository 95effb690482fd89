package config

import (
	"fmt"
	"slices"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"github.com/segue-audio/segue/internal/fault"
)

// Options is what Load works with. Nothing else is read, apart from the files
// that are named here or in the configuration.
type Options struct {
	// File is the configuration file that was asked for; it must exist. Empty
	// means SEGUE_CONFIG, then the first of SearchPaths that exists, then none.
	File        string
	SearchPaths []string
	// Environ is the environment as os.Environ gives it. Variables that begin with
	// SEGUE_ must be keys, unless Reserved names them.
	Environ  []string
	Reserved []string
	// Flags may be nil. Of it only the flags made by AddFlag or BindFlag count.
	Flags *pflag.FlagSet
	// Drivers are the drivers that the program has.
	Drivers []Driver
	// Dir is where the command runs: what relative paths in variables and flags
	// are relative to. Empty leaves them as they are.
	Dir string
	// Home is what ~ stands for. StateHome is where state goes by default; empty
	// means .local/state in Home.
	Home, StateHome string
}

// Driver is what the program says about one of its drivers. Zero fields are not
// said, and the general defaults apply.
type Driver struct {
	Name string
	// Keyless drivers need no credential.
	Keyless bool
	// The rest are the defaults of the keys of the same names.
	BaseURL, StagingURL, CreditsURL string
	Limits                          Limits
	Credits                         Credits
	Poll                            Poll
}

// Load reads the configuration. It fails with code invalid and with all
// [Findings] at once. A credential that is not there is no such finding, since
// most commands need none: see [Config.Missing] and [Provider.Usable].
func Load(o Options) (*Config, error) {
	l := newLoader(o)
	file := l.readFile()
	l.readEnviron()
	l.readFlags()
	l.resolvePaths()
	l.fillDefaults()
	l.chooseSecrets()
	values := l.show()
	l.resolveSecrets()
	c, err := l.decode()
	if err != nil {
		return nil, fault.Uncharged(fault.Internal, "config.Load", err)
	}
	l.name(c)
	l.check(c)
	if findings := sorted(l.reports); len(findings) > 0 {
		return nil, findings.fault(fault.Invalid, "config.Load")
	}
	c.File, c.Warnings, c.values, c.missing = file, sorted(l.warnings), values, l.lacks()
	c.again, c.looks = func() (*Config, error) { return Load(o) }, l.looks
	return c, nil
}

// decode has viper apply the precedence and fill the structs. All values have
// their types already; an unused key would be a defect, since the schema is
// derived from the same structs.
func (l *loader) decode() (*Config, error) {
	v := viper.NewWithOptions(viper.KeyDelimiter(separator))
	for key, s := range l.layers[layerDefault] {
		v.SetDefault(key, s.value)
	}
	for _, layer := range []layer{layerFile, layerEnviron} {
		if err := v.MergeConfigMap(nested(l.layers[layer])); err != nil {
			return nil, err
		}
	}
	for key, s := range l.layers[layerFlag] {
		v.Set(key, s.value)
	}
	c := &Config{}
	if err := v.UnmarshalExact(c); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return c, nil
}

// name finishes what viper decoded: it tells the entries of maps their names,
// gives models the spelling that viper folds to lower case, and puts aside the
// drivers that nobody configured.
func (l *loader) name(c *Config) {
	c.builtin = map[string]Provider{}
	for name, p := range c.Providers {
		at := path{"providers", name}
		p.Name, p.Models = name, l.respell(at.at("models"), p.Models)
		for account, a := range p.Accounts {
			a.Name, a.missing = account, l.missing[at.at("accounts", account, "api_key").key()]
			p.Accounts[account] = a
		}
		c.Providers[name] = p
		if l.builtin[name] {
			c.builtin[name] = p
			delete(c.Providers, name)
		}
	}
	for name, t := range c.Server.Tokens {
		t.Name, t.missing = name, l.missing[path{"server", "tokens", name, "token"}.key()]
		c.Server.Tokens[name] = t
	}
	for name, s := range c.Schedules {
		s.Name = name
		c.Schedules[name] = s
	}
	c.S3.missing = l.missing[path{"s3", "access_key"}.key()]
	if c.S3.missing == nil {
		c.S3.missing = l.missing[path{"s3", "secret_key"}.key()]
	}
}

// respell gives models the names that were written.
func (l *loader) respell(p path, models map[string]Model) map[string]Model {
	spelt := make(map[string]Model, len(models))
	for _, name := range l.under(p) {
		folded := fold(name)
		if slices.ContainsFunc(l.under(p), func(other string) bool { return other < name && fold(other) == folded }) {
			l.fail(l.origin(p.at(name)), p.at(name), "differs from another model only in its capitals")
		}
		spelt[name] = models[folded]
	}
	return spelt
}
