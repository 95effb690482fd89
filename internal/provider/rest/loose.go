package rest

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
)

// Text reads a JSON string, and a number as its digits. Anything else reads as
// empty: a title that is an object must not cost a song that was paid for. What
// must be there, a driver checks for emptiness.
type Text string

// UnmarshalJSON never fails on valid JSON.
func (t *Text) UnmarshalJSON(raw []byte) error {
	*t = Text(scalar(raw))
	return nil
}

// Number reads a JSON number, and a string that spells one. Anything else, and
// what is not finite, reads as 0.
type Number float64

// UnmarshalJSON never fails on valid JSON.
func (n *Number) UnmarshalJSON(raw []byte) error {
	*n = 0
	value, err := strconv.ParseFloat(scalar(raw), 64)
	if err == nil && !math.IsInf(value, 0) && !math.IsNaN(value) {
		*n = Number(value)
	}
	return nil
}

// scalar gives a JSON string's content or a number's digits; otherwise nothing.
func scalar(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return ""
	}
	if c := raw[0]; c == '-' || c >= '0' && c <= '9' {
		return string(raw)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
