package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// The types a key can have. Everything else in Config is a group of keys or a
// map of named groups.
var (
	typeString   = reflect.TypeFor[string]()
	typeBool     = reflect.TypeFor[bool]()
	typeInt      = reflect.TypeFor[int]()
	typeFloat    = reflect.TypeFor[float64]()
	typeOptional = reflect.TypeFor[*float64]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeList     = reflect.TypeFor[[]string]()
	typeRate     = reflect.TypeFor[Rate]()
	typeSpeed    = reflect.TypeFor[Speed]()
	typeSecret   = reflect.TypeFor[Secret]()
	typeURL      = reflect.TypeFor[URL]()
)

// parsers reads the text of a key by its type. One list entry is one text.
var parsers = map[reflect.Type]func(text string) (any, error){
	typeString:   func(text string) (any, error) { return text, nil },
	typeBool:     parseBool,
	typeInt:      parseInt,
	typeFloat:    parseFloat,
	typeOptional: parseOptional,
	typeDuration: func(text string) (any, error) { return parseDuration(text) },
	typeList:     func(text string) (any, error) { return splitList(text), nil },
	typeRate:     func(text string) (any, error) { return ParseRate(text) },
	typeSpeed:    func(text string) (any, error) { return ParseSpeed(text) },
	typeSecret:   parseSecret,
	typeURL:      func(text string) (any, error) { return NewURL(text), nil },
}

// parse reads the text of a key; the empty text is the type's zero value. Its
// errors never contain the text of a secret.
func parse(t reflect.Type, text string) (any, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return reflect.Zero(t).Interface(), nil
	}
	return parsers[t](text)
}

func parseBool(text string) (any, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return nil, fmt.Errorf("%q is neither true nor false", text)
}

func parseInt(text string) (any, error) {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a whole number", text)
	}
	return n, nil
}

func parseFloat(text string) (any, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return nil, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}

func parseOptional(text string) (any, error) {
	n, err := parseFloat(text)
	if err != nil {
		return nil, err
	}
	number, ok := n.(float64)
	if !ok {
		return nil, fmt.Errorf("%q is not a number", text)
	}
	return &number, nil
}

// parseSecret refuses what cannot be a credential without repeating it.
func parseSecret(text string) (any, error) {
	if text == mask {
		return nil, errors.New("this is the mask that `segue config print` shows, not a key")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, errors.New("a key holds no spaces, line ends or control characters")
	}
	return NewSecret(text), nil
}

// splitList reads the comma-separated form that variables and flags use.
func splitList(text string) []string {
	var entries []string
	for entry := range strings.SplitSeq(text, ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			entries = append(entries, entry)
		}
	}
	return entries
}

// plain turns a key's value into what may be shown: secrets masked, durations
// and rates as people write them.
func plain(value any) any {
	switch v := value.(type) {
	case time.Duration:
		return shortDuration(v)
	case *float64:
		if v == nil {
			return nil
		}
		return *v
	case []string:
		if v == nil {
			return []string{}
		}
		return v
	case fmt.Stringer:
		return v.String()
	}
	return value
}
