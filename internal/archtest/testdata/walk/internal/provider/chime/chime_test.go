package chime_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/chime"
	"github.com/segue-audio/segue/internal/provider/drivertest"
	"github.com/segue-audio/segue/internal/simulator"
)

const key = "key-5c1b0f9e7d3a4862"

func TestConformance(t *testing.T) {
	drivertest.Run(t, func(tb testing.TB, w *drivertest.Wire) *drivertest.Harness {
		tb.Helper()
		var minutes, songs atomic.Int64
		began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
		sim, err := simulator.New(simulator.Options{
			Seed: 1, NoFetch: true,
			Now: func() time.Time { return began.Add(time.Duration(minutes.Load()) * time.Minute) },
		})
		if err != nil {
			tb.Fatalf("simulator.New: %v", err)
		}
		tb.Cleanup(func() {
			if err := sim.Close(); err != nil {
				tb.Errorf("simulator.Close: %v", err)
			}
		})
		driver, err := chime.Open(provider.Config{BaseURL: w.Serve(sim.Handler()) + "/chime", APIKey: key, HTTP: w.Client()})
		if err != nil {
			tb.Fatalf("Open: %v", err)
		}
		return &drivertest.Harness{
			Driver: driver, Info: chime.Info(), APIKey: key,
			Upload: func() *provider.Upload {
				return &provider.Upload{Audio: provider.Audio{URL: fmt.Sprintf("https://files.example/%d.mp3?sig=c2lnbmF0dXJl", songs.Add(1))}}
			},
			Params:  provider.Params{ContinueAt: 2, Prompt: "over the hill"},
			Charges: func() int { return len(sim.Charges()) },
			Settle:  func() { minutes.Add(5) },
		}
	})
}
