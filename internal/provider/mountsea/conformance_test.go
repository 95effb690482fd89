package mountsea_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/fault"
	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/provider/drivertest"
	"github.com/segue-audio/segue/internal/provider/mountsea"
	"github.com/segue-audio/segue/internal/simulator"
)

// TestConformance runs for several seeds: where MountSea's documents are silent,
// the simulator answers by its seed.
func TestConformance(t *testing.T) {
	for seed := range int64(3) {
		t.Run(fmt.Sprintf("seed %d", seed+1), func(t *testing.T) {
			drivertest.Run(t, func(tb testing.TB, w *drivertest.Wire) *drivertest.Harness {
				tb.Helper()
				r := newRig(tb, seed+1)
				base := w.Serve(r.sim.Handler())
				return &drivertest.Harness{
					Driver: r.open(tb, base, key, w.Client()), Info: mountsea.Info(), APIKey: key,
					Upload: func() *provider.Upload { return r.upload("song") },
					Broken: func() *provider.Upload { return r.upload("gone") },
					Params: provider.Params{ContinueAt: 2, Prompt: "over the hill", Style: "indie pop", Title: "Home"},
					Refusals: []drivertest.Refusal{
						{Name: "402 in the body", Status: 200, Body: `{"code":402,"msg":"empty"}`, Code: "exhausted", Scope: fault.ScopeAccount},
						{Name: "422 as NestJS says it", Status: 422, Body: `{"statusCode":422,"message":["x"]}`, Code: "invalid"},
					},
					Charges: func() int { return len(r.sim.Charges()) },
					Settle:  r.settle,
					Now:     r.now,
				}
			})
		})
	}
}

// rig is a simulator whose clock is moved by hand, and a host of songs.
type rig struct {
	sim     *simulator.Simulator
	sources *httptest.Server
	minutes atomic.Int64
	songs   atomic.Int64
}

func newRig(tb testing.TB, seed int64) *rig {
	tb.Helper()
	return newRigWith(tb, seed, nil)
}

func newRigWith(tb testing.TB, seed int64, change func(*simulator.Options)) *rig {
	tb.Helper()
	r := &rig{sources: httptest.NewServer(http.HandlerFunc(serveSong))}
	options := simulator.Options{
		Seed: seed, Now: r.now,
		HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if change != nil {
		change(&options)
	}
	sim, err := simulator.New(options)
	if err != nil {
		tb.Fatalf("simulator.New: %v", err)
	}
	r.sim = sim
	tb.Cleanup(func() {
		r.sources.Close()
		if err := sim.Close(); err != nil {
			tb.Errorf("simulator.Close: %v", err)
		}
	})
	return r
}

func (r *rig) now() time.Time {
	return time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC).Add(time.Duration(r.minutes.Load()) * time.Minute)
}

func (r *rig) open(tb testing.TB, base, apiKey string, client *http.Client) provider.Driver {
	tb.Helper()
	d, err := mountsea.Open(provider.Config{
		BaseURL: base + "/mountsea", CreditsURL: base + "/mountsea-credits", APIKey: apiKey, HTTP: client,
	})
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return d
}

// upload asks for a song that nobody uploaded before.
func (r *rig) upload(path string) *provider.Upload {
	return &provider.Upload{Audio: provider.Audio{URL: fmt.Sprintf("%s/%s/%d?sig=c2lnbmF0dXJl", r.sources.URL, path, r.songs.Add(1))}}
}

// settle lets every operation end whose audio the simulator has.
func (r *rig) settle() { r.minutes.Add(5) }

// serveSong gives four seconds of sound that no other path has, and nothing
// outside /song/.
func serveSong(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, "/song/") {
		http.NotFound(w, r)
		return
	}
	const samples = 4 * 8000
	var song bytes.Buffer
	song.WriteString("RIFF")
	_ = binary.Write(&song, binary.LittleEndian, uint32(36+samples))
	song.WriteString("WAVEfmt ")
	_ = binary.Write(&song, binary.LittleEndian, []uint16{16, 0, 1, 1, 8000, 0, 8000, 0, 1, 8})
	song.WriteString("data")
	_ = binary.Write(&song, binary.LittleEndian, uint32(samples))
	sound := bytes.Repeat([]byte{128, 160, 180, 160, 128, 96, 76, 96}, samples/8)
	copy(sound, r.URL.Path)
	song.Write(sound)
	_, _ = w.Write(song.Bytes())
}
