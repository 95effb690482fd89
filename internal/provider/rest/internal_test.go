package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	cases := []struct {
		value, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"10", "", 10 * time.Second},
		{" 1.5 ", "", 1500 * time.Millisecond},
		{"0", "", 0},
		{"-3", "", 0},
		{"NaN", "", 0},
		{"1e300", "", 24 * time.Hour},
		{"99999999", "", 24 * time.Hour},
		{"soon", "", 0},
		{"Sun, 22 Nov 2026 10:01:30 GMT", "", 90 * time.Second},
		{"Sun, 22 Nov 2026 09:59:00 GMT", "", 0},
		{"Sun, 22 Nov 2026 10:01:30 GMT", "Sun, 22 Nov 2026 10:01:00 GMT", 30 * time.Second},
		{"Sun, 22 Nov 2026 10:01:30 GMT", "yesterday", 90 * time.Second},
		{"Mon, 22 Nov 2027 10:00:00 GMT", "", 24 * time.Hour},
	}
	for _, c := range cases {
		h := http.Header{}
		h.Set("Retry-After", c.value)
		h.Set("Date", c.date)
		if got := retryAfter(h, now); got != c.want {
			t.Errorf("Retry-After %q, Date %q: %v, want %v", c.value, c.date, got, c.want)
		}
	}
}

func TestClean(t *testing.T) {
	const key = "sk-9f8e7d6c5b4a3928"
	const sent = `{"prompt":"walking home beneath the silver rain tonight"}`
	cases := []struct{ text, want string }{
		{"", ""},
		{"Audio source not found.", "Audio source not found."},
		{"two\nlines\tand\x1b[31m color", "two lines and [31m color"},
		{"clip e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c is gone", "clip e9fe2c0e-189d-4a0a-9f4d-354b1c47b99c is gone"},
		{"see https://cdn.example/x?sig=1 please", "see … please"},
		{"token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9eyJzdWIi expired", "token … expired"},
		{"key sk-9f8e7d6c5b4a3928 refused", "key … refused"},
		{"key ends in 5b4a3928.", "key ends in …"},
		{"sig=abc", "…"},
		{"lyrics 'walking home beneath the silver rain' are not allowed", "lyrics ' …"},
		{"bad \xff\xfe bytes", "bad bytes"},
		{strings.Repeat("wörd ", 100), strings.Repeat("wörd ", 32) + "…"},
	}
	for _, c := range cases {
		if got := clean(c.text, key, sent); got != c.want {
			t.Errorf("clean(%q) = %q, want %q", c.text, got, c.want)
		}
	}
	if got, want := clean("the key abc is wrong", "abc", ""), "the key … is wrong"; got != want {
		t.Errorf("clean with a short key = %q, want %q", got, want)
	}
}
