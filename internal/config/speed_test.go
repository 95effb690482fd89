package config

import (
	"strings"
	"testing"
)

func TestParseSpeed(t *testing.T) {
	for text, want := range map[string]struct {
		bytes   int64
		written string
	}{
		"20MB/s":       {20_000_000, "20MB/s"},
		"500KiB/s":     {512_000, "500KiB/s"},
		"500 KiB/s":    {512_000, "500KiB/s"},
		"1.5MiB/s":     {1_572_864, "1536KiB/s"},
		"1000KB/s":     {1_000_000, "1MB/s"},
		"16KiB/s":      {16_384, "16KiB/s"},
		"20001B/s":     {20_001, "20001B/s"},
		"10GB/s":       {10_000_000_000, "10GB/s"},
		"20mB/s":       {20_000_000, "20MB/s"},
		"none":         {0, "none"},
		" 20MB/s ":     {20_000_000, "20MB/s"},
		"2048GiB/s":    {2 << 40, "2048GiB/s"},
		"0.000064GB/s": {64_000, "64KB/s"},
	} {
		got, err := ParseSpeed(text)
		if err != nil || int64(got) != want.bytes || got.String() != want.written {
			t.Errorf("ParseSpeed(%q) = %d (%s), %v; want %d (%s)", text, int64(got), got, err, want.bytes, want.written)
		}
		if again, err := ParseSpeed(got.String()); again != got || err != nil {
			t.Errorf("ParseSpeed(%q) = %d, %v; want what was written, %d", got, again, err, got)
		}
	}
	for text, want := range map[string]string{
		"20MB":      "write 20MB/s",
		"20":        "write 20MB/s",
		"fast/s":    "its unit is one of",
		"20/s":      "its unit is one of",
		"20Mb/s":    "in bits",
		"20Mbit/s":  "in bits",
		"-1MB/s":    "write 20MB/s",
		"MB/s":      "write 20MB/s",
		"NaNMB/s":   "its unit is one of",
		"9e99GB/s":  "write 20MB/s",
		"1KB/s":     "slower than 16KiB/s",
		"0MB/s":     "none is no limit",
		"20MB/10s":  "write 20MB/s",
		"20MB/s/s":  "its unit is one of",
		"1 2MB/s":   "write 20MB/s",
		"20MB / s ": "write 20MB/s",
	} {
		if got, err := ParseSpeed(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSpeed(%q) = %s, %v; want an error with %q", text, got, err, want)
		}
	}
}
