package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
)

// varname is what may follow api_key_env. A key pasted there by mistake must
// neither match nor be repeated in the finding.
var varname = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// rules are the checks of single values that validator does not bring. All but
// hostport and hostornet let the empty value pass: it means "not said".
var rules = map[string]func(text string) bool{
	"weburl":    func(text string) bool { return text == "" || isWebURL(text) },
	"varname":   func(text string) bool { return text == "" || varname.MatchString(text) },
	"hostport":  isHostPort,
	"hostornet": isHostOrNet,
}

// reasons says what the rules want; %s is the rule's parameter.
var reasons = map[string]string{
	"weburl":    "takes an http:// or https:// address without user, query or fragment",
	"varname":   "takes the name of an environment variable (the key itself goes into a file or into the variable)",
	"hostport":  "takes host:port, such as 127.0.0.1:8080",
	"hostornet": "takes hosts, host:port pairs and networks such as 10.0.0.0/8, one per entry",
	"oneof":     "takes one of: %s",
	"min":       "must be at least %s",
	"max":       "must be at most %s",
	"ne":        "must not be %s",
}

// check adds every finding about values that can be read but not be right.
func (l *loader) check(c *Config) {
	l.checkValues(c)
	l.checkNames()
	l.checkRedis(c.Redis)
	for _, p := range ordered(c.Providers) {
		l.checkProvider(path{"providers", p.Name}, p)
	}
	l.checkServer(c.Server)
	l.checkStorage(c)
	for _, s := range ordered(c.Schedules) {
		l.checkSchedule(path{"schedules", s.Name}, s, c)
	}
}

// newValidator knows our rules, and names fields by their keys.
func newValidator() (*validator.Validate, error) {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string { return f.Tag.Get("mapstructure") })
	for name, rule := range rules {
		err := v.RegisterValidation(name, func(f validator.FieldLevel) bool { return rule(f.Field().String()) })
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// checkValues applies the rules that stand in the tags.
func (l *loader) checkValues(c *Config) {
	v, err := newValidator()
	if err == nil {
		err = v.Struct(c)
	}
	var failed validator.ValidationErrors
	switch {
	case err == nil:
	case errors.As(err, &failed):
		for _, f := range failed {
			p := keyPath(f.Namespace())
			l.fail(l.origin(p), p, ruleReason(f))
		}
	default:
		l.fail(origin{}, nil, err.Error())
	}
}

// ruleReason says what a value should have been. The value is repeated only
// where it cannot be a misplaced credential.
func ruleReason(f validator.FieldError) string {
	reason, known := reasons[f.Tag()]
	if !known {
		return "does not satisfy " + f.Tag()
	}
	if !strings.Contains(reason, "%s") {
		return reason
	}
	reason = fmt.Sprintf(reason, strings.ReplaceAll(f.Param(), " ", ", "))
	if f.Tag() == "oneof" {
		return reason
	}
	if f.Kind() == reflect.Slice {
		return "must not be empty"
	}
	return fmt.Sprintf("is %v; it %s", plain(f.Value()), reason)
}

// namespacePart is one name in validator's way of writing a path:
// Config.providers[kie].limits.in_flight.
var namespacePart = regexp.MustCompile(`\[([^\]]*)\]|([^.\[\]]+)`)

// keyPath turns a validator namespace into a path; an index into a list ends at
// the list.
func keyPath(namespace string) path {
	var p path
	for _, part := range namespacePart.FindAllStringSubmatch(namespace, -1) {
		p = p.at(part[1] + part[2])
	}
	p = p[1:]
	for len(p) > 0 && root.find(p) == nil {
		p = p[:len(p)-1]
	}
	return p
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" &&
		u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func isHostPort(text string) bool {
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// hostname is a DNS name; a leading *. is not supported.
var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$`)

func isHostOrNet(text string) bool {
	if _, err := netip.ParsePrefix(text); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	if host, _, err := net.SplitHostPort(text); err == nil && isHostPort(text) {
		_, notAddr := netip.ParseAddr(host)
		return notAddr == nil || hostname.MatchString(host)
	}
	return hostname.MatchString(text)
}

// isLoopback says that nobody but this machine can reach an address host:port.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
