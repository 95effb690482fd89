package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// mainAccount is the account of a provider for which none is configured.
const mainAccount = "main"

// fold is how viper spells the names of keys.
func fold(name string) string { return strings.ToLower(name) }

// resolvePaths makes the paths that were written absolute as far as it can: ~ is
// the home directory, and a relative path in a file is relative to that file. In
// a variable or flag it is relative to Options.Dir.
func (l *loader) resolvePaths() {
	for _, layer := range l.layers {
		for key, s := range layer {
			if text, ok := s.value.(string); ok && text != "" && isPath(s.path, text) {
				s.value = l.resolve(s.origin, text)
				layer[key] = s
			}
		}
	}
}

// isPath says that the value of a key is a path.
func isPath(p path, text string) bool {
	switch last := p[len(p)-1]; {
	case p.String() == "archive.url":
		return !strings.Contains(text, "://")
	case p.String() == "state_dir":
		return true
	default:
		return strings.HasSuffix(last, "_file")
	}
}

func (l *loader) resolve(o origin, text string) string {
	if text == "~" || strings.HasPrefix(text, "~/") {
		return filepath.Join(l.options.Home, text[1:])
	}
	if o.layer == layerFile {
		text = within(filepath.Dir(o.name), text)
	}
	return within(l.options.Dir, text)
}

// within takes a relative path to be relative to dir.
func within(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

// fillDefaults gives every key that exists a default.
func (l *loader) fillDefaults() {
	for name := range l.drivers {
		if at := (path{"providers", name}); !slices.Contains(l.under(at[:1]), name) {
			l.builtin[name] = true
			l.enter(origin{}, at)
		}
	}
	for _, name := range l.under(path{"providers"}) {
		l.fillProvider(path{"providers", name})
	}
	l.fill(path{"state_dir"}, l.stateDir(), "")
	l.each(root, nil, func(n *node, p path) {
		if _, filled := l.layers[layerDefault][p.key()]; filled {
			return
		}
		value, err := parse(n.leaf, n.fallback)
		if err != nil {
			panic("config: default of " + p.String() + ": " + err.Error())
		}
		l.fill(p, value, "")
	})
	if l.text(path{"archive", "url"}) == "" {
		l.archiveDefault()
	}
}

// fill notes a default.
func (l *loader) fill(p path, value any, of string) {
	l.layers[layerDefault][p.key()] = setting{slices.Clone(p), value, origin{name: of}}
}

// stateDir is the default of state_dir; empty when there is no home.
func (l *loader) stateDir() string {
	switch {
	case l.options.StateHome != "":
		return filepath.Join(l.options.StateHome, "segue")
	case l.options.Home != "":
		return filepath.Join(l.options.Home, ".local", "state", "segue")
	}
	return ""
}

// archiveDefault keeps results below the state directory.
func (l *loader) archiveDefault() {
	p := path{"archive", "url"}
	for _, layer := range l.layers {
		delete(layer, p.key())
	}
	dir := filepath.ToSlash(filepath.Join(l.text(path{"state_dir"}), "archive"))
	if strings.HasPrefix(dir, "/") {
		dir = (&url.URL{Scheme: "file", Path: dir}).String() // a folder may be called "songs #2"
	}
	l.fill(p, dir, "")
}

// fillProvider gives a provider its driver, an account and the driver's facts.
func (l *loader) fillProvider(p path) {
	name := l.text(p.at("driver"))
	if name == "" {
		name = p[1]
	}
	driver, known := l.drivers[name]
	if !known {
		l.unknownDriver(p, name)
		return
	}
	l.fill(p.at("driver"), name, "")
	for _, fact := range driver.facts() {
		l.fill(p.at(fact.path...), fact.value, "driver "+name)
	}
	accounts := p.at("accounts")
	if len(l.under(accounts)) == 0 {
		l.enter(origin{}, accounts.at(mainAccount))
	}
	if slices.Contains(l.under(accounts), mainAccount) {
		l.fillMain(accounts.at(mainAccount), driver)
	}
}

// fillMain lets the account main have its keys from the variables that people
// have set for the provider's other tools: KIE_API_KEY, KIE_WEBHOOK_KEY.
func (l *loader) fillMain(p path, driver Driver) {
	prefix := token(driver.Name)
	if !driver.Keyless && !l.given(p.at("api_key")) {
		l.fill(p.at("api_key_env"), prefix+"_API_KEY", "driver "+driver.Name)
	}
	if webhook := prefix + "_WEBHOOK_KEY"; l.options.lookup(webhook) != "" && !l.given(p.at("webhook_key")) {
		l.fill(p.at("webhook_key_env"), webhook, "driver "+driver.Name)
	}
}

// unknownDriver says what to do about a provider without a driver.
func (l *loader) unknownDriver(p path, name string) {
	names := sortedKeys(l.drivers)
	if l.text(p.at("driver")) == "" {
		l.fail(l.origin(p), p.at("driver"), "is missing, and no driver is called "+p[1]+"; "+didYouMean(name, names))
		return
	}
	l.fail(l.origin(p.at("driver")), p.at("driver"), "there is no such driver; "+didYouMean(name, names))
}

// facts lists the defaults that a driver brings, by path below its provider.
func (d Driver) facts() []setting {
	all := []setting{
		{path: path{"base_url"}, value: d.BaseURL},
		{path: path{"staging_url"}, value: d.StagingURL},
		{path: path{"credits_url"}, value: d.CreditsURL},
		{path: path{"limits", "submit"}, value: d.Limits.Submit},
		{path: path{"limits", "in_flight"}, value: d.Limits.InFlight},
		{path: path{"limits", "poll_per_operation"}, value: d.Limits.PollPerOperation},
		{path: path{"credits", "upload"}, value: d.Credits.Upload},
		{path: path{"credits", "extend"}, value: d.Credits.Extend},
		{path: path{"poll", "min"}, value: d.Poll.Min},
		{path: path{"poll", "max"}, value: d.Poll.Max},
		{path: path{"poll", "deadline"}, value: d.Poll.Deadline},
	}
	return slices.DeleteFunc(all, func(s setting) bool { return isZero(s.value) })
}
