package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Speed is bytes per second. The zero Speed is no limit.
type Speed int64

// slowestSpeed is the least that a transfer may be held to: below it, providers and
// Segue itself give transfers up.
const slowestSpeed Speed = 16 << 10

// speedUnits are the units of a speed, the largest first: a speed is written in the
// largest one of which it is a whole number.
var speedUnits = []struct {
	name  string
	bytes int64
}{
	{"GiB", 1 << 30},
	{"GB", 1e9},
	{"MiB", 1 << 20},
	{"MB", 1e6},
	{"KiB", 1 << 10},
	{"KB", 1e3},
	{"B", 1},
}

// ParseSpeed reads "20MB/s", "500 KiB/s" and "none".
func ParseSpeed(text string) (Speed, error) {
	if text == noRate {
		return 0, nil
	}
	malformed := fmt.Errorf("%q is not a speed: write 20MB/s, 500KiB/s or none", text)
	amount, perSecond := strings.CutSuffix(strings.TrimSpace(text), "/s")
	if !perSecond {
		return 0, malformed
	}
	digits := strings.TrimRight(amount, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz ")
	unit, err := unitOf(strings.TrimSpace(amount[len(digits):]))
	if err != nil {
		return 0, fmt.Errorf("%q is not a speed: %w", text, err)
	}
	number, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsNaN(number) || number < 0 || number*float64(unit) > math.MaxInt64/2 {
		return 0, malformed
	}
	speed := Speed(math.Round(number * float64(unit)))
	if speed < slowestSpeed {
		return 0, fmt.Errorf("%q is slower than %s, at which transfers are given up; none is no limit", text, slowestSpeed)
	}
	return speed, nil
}

// unitOf reads a unit of bytes. Bits are refused: 20Mb/s is what lines are sold by, and
// means an eighth of what somebody who writes it here would get.
func unitOf(name string) (int64, error) {
	for _, unit := range speedUnits {
		if strings.EqualFold(unit.name, name) && strings.HasSuffix(name, "B") {
			return unit.bytes, nil
		}
	}
	if strings.HasSuffix(name, "b") || strings.HasSuffix(name, "bit") {
		return 0, errors.New("it is in bits; write bytes, with a capital B")
	}
	return 0, errors.New("its unit is one of B, KB, KiB, MB, MiB, GB and GiB, as in 20MB/s")
}

// String writes a speed as ParseSpeed reads it.
func (s Speed) String() string {
	if s <= 0 {
		return noRate
	}
	for _, unit := range speedUnits {
		if int64(s)%unit.bytes == 0 {
			return fmt.Sprintf("%d%s/s", int64(s)/unit.bytes, unit.name)
		}
	}
	return noRate // never: every speed is a whole number of bytes
}

// MarshalText is String, for JSON and YAML.
func (s Speed) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText is ParseSpeed.
func (s *Speed) UnmarshalText(text []byte) error {
	parsed, err := ParseSpeed(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}
