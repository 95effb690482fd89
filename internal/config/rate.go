package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is at most N in any window of length Per. The zero Rate is no limit.
type Rate struct {
	N   int
	Per time.Duration
}

// noRate is how the zero Rate is written.
const noRate = "none"

// ParseRate reads "20/10s", "3/s" and "none".
func ParseRate(text string) (Rate, error) {
	if text == noRate {
		return Rate{}, nil
	}
	count, window, found := strings.Cut(text, "/")
	if !found {
		return Rate{}, fmt.Errorf("%q is not a rate: write 20/10s, 3/s or none", text)
	}
	n, err := strconv.Atoi(strings.TrimSpace(count))
	if err != nil || n < 1 {
		return Rate{}, fmt.Errorf("%q is not a rate: before the slash stands a whole number of at least 1", text)
	}
	window = strings.TrimSpace(window)
	if window != "" && (window[0] < '0' || window[0] > '9') {
		window = "1" + window
	}
	per, err := parseDuration(window)
	if err != nil || per <= 0 {
		return Rate{}, fmt.Errorf("%q is not a rate: after the slash stands a time, as in 20/10s or 3/s", text)
	}
	return Rate{N: n, Per: per}, nil
}

// String writes a rate as ParseRate reads it.
func (r Rate) String() string {
	if r == (Rate{}) {
		return noRate
	}
	window := shortDuration(r.Per)
	if len(window) == 2 && window[0] == '1' {
		window = window[1:]
	}
	return fmt.Sprintf("%d/%s", r.N, window)
}

// MarshalText is String, for JSON and YAML.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRate.
func (r *Rate) UnmarshalText(text []byte) error {
	parsed, err := ParseRate(string(text))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}

// parseDuration reads a duration with its unit. A bare number is refused, also
// 0: 30 of what?
func parseDuration(text string) (time.Duration, error) {
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		return 0, fmt.Errorf("%s is no duration without a unit: write %ss", text, text)
	}
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		if n, err := strconv.Atoi(days); err == nil && n < 100_000 {
			return 0, fmt.Errorf("%q: the longest unit is the hour: write %dh", text, n*24)
		}
	}
	return 0, fmt.Errorf("%q is not a duration: write 30s, 5m or 24h", text)
}

// shortDuration drops the zero minutes and seconds that Duration.String adds.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
