package main

import (
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/config"
)

func TestSpacing(t *testing.T) {
	for _, c := range []struct {
		rate config.Rate
		want time.Duration
	}{
		{config.Rate{N: 3, Per: time.Second}, time.Second / 3},
		{config.Rate{N: 1, Per: 10 * time.Second}, 10 * time.Second},
		{config.Rate{}, 0},
	} {
		if got := spacing(c.rate); got != c.want {
			t.Errorf("spacing(%v) = %v, want %v", c.rate, got, c.want)
		}
	}
}
