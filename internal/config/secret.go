package config

import (
	"crypto/subtle"
	"log/slog"
	"regexp"
)

// mask stands wherever a secret would be printed.
const mask = "***"

// Secret is a credential that does not print: fmt, every text encoder and slog
// write "***" instead. Only Reveal gives the text.
//
// The text sits behind a pointer because fmt calls no methods of values in
// unexported fields, nor for verbs such as %d: there it prints an address.
type Secret struct{ text *string }

// NewSecret wraps a credential; the empty text is the zero Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{&text}
}

// Reveal gives the credential itself, for the one request that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero says that there is no credential.
func (s Secret) IsZero() bool { return s.text == nil }

// Equal compares without telling by its duration where two secrets differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// String gives "***", or nothing when there is no credential.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return mask
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText is String, for JSON, YAML and their kind.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// URL is an address that may carry a password. It prints with the password
// masked; Reveal gives it whole.
type URL struct{ text *string }

// NewURL wraps an address; the empty text is the zero URL.
func NewURL(text string) URL { return URL(NewSecret(text)) }

// Reveal gives the address with its password, for the one who connects.
func (u URL) Reveal() string { return Secret(u).Reveal() }

// IsZero says that there is no address.
func (u URL) IsZero() bool { return u.text == nil }

// Equal compares the whole addresses.
func (u URL) Equal(other URL) bool { return Secret(u).Equal(Secret(other)) }

// userinfo finds everything up to the last @: an unescaped / in a password must
// not end the search. net/url is not used, since it refuses the host lists of
// sentinel and cluster addresses, and what does not parse must not print either.
var userinfo = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*://)?.*@`)

// passwordQuery finds credentials given as parameters.
var passwordQuery = regexp.MustCompile(`(?i)([?&](?:password|sentinel_password|token|auth)=)[^&#]*`)

// String gives the address with its password masked.
func (u URL) String() string {
	return passwordQuery.ReplaceAllString(userinfo.ReplaceAllString(u.Reveal(), "${1}"+mask+"@"), "${1}"+mask)
}

// GoString is String, for %#v.
func (u URL) GoString() string { return u.String() }

// MarshalText is String, for JSON, YAML and their kind.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// LogValue is String, for slog.
func (u URL) LogValue() slog.Value { return slog.StringValue(u.String()) }
