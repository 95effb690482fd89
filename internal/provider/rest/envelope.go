package rest

import (
	"encoding/json"
	"slices"
	"strings"
)

// Envelope says where the top level of a provider's answers carries its own
// verdict. The zero Envelope finds none.
type Envelope struct {
	// Code lists the fields that may hold the verdict, the most telling first. A
	// number and a string are read alike.
	Code []string
	// Success lists the verdicts that mean that all is well.
	Success []string
	// Message lists the fields that may hold words for a person: a string, or a
	// list of strings.
	Message []string
}

// verdict is what an answer's body says of itself; empty when it says nothing.
type verdict struct {
	code    string
	message string
}

// read finds the verdict of an answer. A body that is no JSON object has none.
func (e Envelope) read(body []byte) verdict {
	var fields map[string]json.RawMessage
	if len(e.Code) == 0 || json.Unmarshal(body, &fields) != nil {
		return verdict{}
	}
	var v verdict
	for _, name := range e.Code {
		if v.code = words(fields[name]); v.code != "" {
			break
		}
	}
	for _, name := range e.Message {
		if v.message = words(fields[name]); v.message != "" {
			break
		}
	}
	return v
}

// refused says whether the verdict is one, and not a success.
func (e Envelope) refused(v verdict) bool { return v.code != "" && !slices.Contains(e.Success, v.code) }

// words reads a string, a number, or a list of strings; anything else is empty.
func words(raw json.RawMessage) string {
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return strings.Join(list, "; ")
	}
	return scalar(raw)
}
