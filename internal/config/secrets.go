package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"strings"

	"github.com/segue-audio/segue/internal/fault"
)

// maxSecret is more than any credential needs.
const maxSecret = 64 << 10

// ways are the three keys that may hold one secret.
func ways(p path) [3]path {
	group, last := p[:len(p)-1], p[len(p)-1]
	return [3]path{p, group.at(last + "_file"), group.at(last + "_env")}
}

// secrets calls fn for every secret that exists.
func (l *loader) secrets(fn func(p path)) {
	l.each(root, nil, func(n *node, p path) {
		if n.leaf == typeSecret {
			fn(p)
		}
	})
}

// given says that some place other than a default says where a secret is.
func (l *loader) given(p path) bool {
	for _, way := range ways(p) {
		if s, ok := l.effective(way); ok && s.origin.layer != layerDefault && !isZero(s.value) {
			return true
		}
	}
	return false
}

// chooseSecrets lets each secret come from one key only. A variable that names
// one way replaces another way in the file; two ways in one place are an error.
func (l *loader) chooseSecrets() {
	l.secrets(func(p path) {
		chosen := false
		for at := layerFlag; ; at-- {
			l.chooseIn(at, p, &chosen)
			if at == layerDefault {
				return
			}
		}
	})
}

// chooseIn looks at one layer: once a higher one has chosen, this one's are void.
func (l *loader) chooseIn(at layer, p path, chosen *bool) {
	var first path
	for _, way := range ways(p) {
		s, ok := l.layers[at][way.key()]
		switch {
		case !ok || isZero(s.value):
		case *chosen:
			l.void(at, way)
		case first != nil:
			l.fail(s.origin, way, fmt.Sprintf("%s is given as well; give one of them", first[len(first)-1]))
		default:
			first = way
		}
	}
	*chosen = *chosen || first != nil
}

// void takes a value away that another way of giving the secret replaces.
func (l *loader) void(at layer, p path) {
	delete(l.layers[at], p.key())
	if at == layerDefault {
		l.fill(p, reflect.Zero(root.find(p).leaf).Interface(), "")
	}
}

// resolveSecrets puts the credentials themselves where the structs want them,
// and notes which are not there.
func (l *loader) resolveSecrets() {
	l.secrets(func(p path) {
		secret, o, err := l.credential(p)
		if err != nil {
			l.missing[p.key()] = Finding{Where: o.where(), Key: p.String(), Reason: err.Error()}
			if p[len(p)-1] == "webhook_key" {
				l.warn(o, p, err.Error()+"; callbacks are not verified")
			}
			return
		}
		l.layers[o.layer][p.key()] = setting{p, secret, o}
	})
}

// credential reads one secret. Its errors say where it was looked for.
func (l *loader) credential(p path) (Secret, origin, error) {
	for i, way := range ways(p) {
		s, ok := l.effective(way)
		if !ok || isZero(s.value) {
			continue
		}
		if secret, itself := s.value.(Secret); itself {
			l.warnInline(s.origin, way)
			return secret, s.origin, nil
		}
		name, _ := s.value.(string)
		read := l.fromFile
		if i == 2 {
			read = l.fromEnviron
		}
		secret, err := read(s.origin, way, name)
		return secret, s.origin, err
	}
	return Secret{}, l.origin(p), l.absence(p)
}

// absence says whether a secret that nobody gave is a lack.
func (l *loader) absence(p path) error {
	switch last := p[len(p)-1]; last {
	case "api_key":
		if l.drivers[l.text(p[:2].at("driver"))].Keyless {
			return nil
		}
		return errors.New("there is no key; set one of api_key_file, api_key_env, api_key")
	case "token":
		return errors.New("there is no token; set one of token_file, token_env, token")
	}
	return nil
}

func (l *loader) fromEnviron(_ origin, _ path, name string) (Secret, error) {
	if !varname.MatchString(name) {
		return Secret{}, errors.New("does not name a variable")
	}
	text := strings.TrimSpace(l.options.lookup(name))
	if text == "" {
		return Secret{}, fmt.Errorf("%s is not set", name)
	}
	return asSecret(text, name)
}

func (l *loader) fromFile(o origin, p path, name string) (Secret, error) {
	text, err := l.read(name, maxSecret)
	if err != nil {
		return Secret{}, fmt.Errorf("%s: %s", name, fileReason(err))
	}
	if worldReadable(name) {
		l.warn(o, p, name+" can be read by every user of this machine; chmod 600 it")
	}
	trimmed := strings.TrimRight(string(text), "\r\n")
	if trimmed == "" {
		return Secret{}, fmt.Errorf("%s is empty", name)
	}
	return asSecret(trimmed, name)
}

// asSecret checks the text of a credential that came from a file or variable.
func asSecret(text, from string) (Secret, error) {
	value, err := parseSecret(text)
	if err != nil {
		return Secret{}, fmt.Errorf("%s: %w", from, err)
	}
	secret, _ := value.(Secret)
	return secret, nil
}

// warnInline minds a key written into a file that everybody can read.
func (l *loader) warnInline(o origin, p path) {
	if o.layer == layerFile && worldReadable(o.name) {
		l.warn(o, p, "stands in a file that every user of this machine can read; chmod 600 it")
	}
}

// worldReadable says that others may read a file. Windows keeps that elsewhere.
func worldReadable(name string) bool {
	if runtime.GOOS == "windows" {
		return false
	}
	stat, err := os.Stat(name)
	return err == nil && stat.Mode().IsRegular() && stat.Mode().Perm()&0o004 != 0
}

// Missing lists the credentials that the configuration speaks of and that are
// not there, as one error of code denied; nil when none is missing.
func (c *Config) Missing() error {
	return c.missing.fault(fault.Denied, "config.Missing")
}

// lacks lists what is missing, without the drivers that nobody configured.
func (l *loader) lacks() Findings {
	var findings Findings
	l.secrets(func(p path) {
		var f Finding
		if !l.isBuiltin(p) && errors.As(l.missing[p.key()], &f) {
			findings = append(findings, f)
		}
	})
	return findings
}
