package rest

import (
	"errors"
	"net/http"
)

// Auth is a credential and the header that carries it. It prints without the
// credential.
type Auth struct {
	header string
	prefix string
	key    string
}

// Bearer sends key as "Authorization: Bearer key".
func Bearer(key string) Auth { return Auth{header: "Authorization", prefix: "Bearer ", key: key} }

// KeyHeader sends key as the whole value of the named header.
func KeyHeader(name, key string) Auth { return Auth{header: name, key: key} }

// String names the header and hides the credential.
func (a Auth) String() string { return a.header + ": ***" }

// GoString is String, so that %#v hides the credential too.
func (a Auth) GoString() string { return a.String() }

func (a Auth) apply(h http.Header) { h.Set(a.header, a.prefix+a.key) }

// check finds the two mistakes that people make with keys: leaving them out, and
// reading them from a file together with the line's end.
func (a Auth) check() error {
	if a.key == "" {
		return errors.New("there is no API key")
	}
	for _, r := range a.key {
		if r <= ' ' || r > '~' {
			return errors.New("the API key has a space, a line break or another character that a header cannot carry")
		}
	}
	return nil
}
