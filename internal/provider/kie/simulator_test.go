package kie_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/provider"
	"github.com/segue-audio/segue/internal/simulator"
)

// rig is a simulator, a host of songs, and whoever hears its callbacks.
type rig struct {
	sim     *simulator.Simulator
	sources *httptest.Server
	began   time.Time
	clock   atomic.Int64 // what was added to it
	songs   atomic.Int64

	mu    sync.Mutex
	heard []delivery
}

// delivery is a callback as it arrived.
type delivery struct {
	header http.Header
	body   []byte
	at     time.Time
}

func newRig(tb testing.TB, seed int64) *rig {
	tb.Helper()
	r := &rig{sources: httptest.NewServer(http.HandlerFunc(serveSong)), began: time.Now()}
	direct := &http.Transport{DisableKeepAlives: true}
	sim, err := simulator.New(simulator.Options{
		Seed: seed, PublicURL: "http://sim.example", KIE: simulator.KIE{Requests: -1, InFlight: -1},
		Callbacks: simulator.CallbackOptions{WebhookKey: webhookKey},
		// Each look at the clock takes half a second of the simulator's time, so that
		// no question is asked too soon after the last.
		Now: func() time.Time {
			r.clock.Add(int64(time.Second / 2))
			return r.now()
		},
		HTTP: &http.Client{Transport: listening{r, direct}},
	})
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

// listening is the simulator's way out. It hears what is told to the placeholder,
// which has no host, and to hooks.example; what the simulator fetches from itself
// stays inside, and out of the counts of a wire; the rest is the host of songs.
type listening struct {
	r    *rig
	next http.RoundTripper
}

func (l listening) RoundTrip(req *http.Request) (*http.Response, error) {
	switch req.URL.Hostname() {
	case "sim.example":
		inside := httptest.NewRequestWithContext(req.Context(), req.Method, req.URL.RequestURI(), req.Body)
		answer := httptest.NewRecorder()
		l.r.sim.Handler().ServeHTTP(answer, inside)
		return answer.Result(), nil
	case "segue.invalid", "hooks.example":
		return l.hear(req)
	}
	return l.next.RoundTrip(req)
}

func (l listening) hear(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	l.r.heard = append(l.r.heard, delivery{req.Header.Clone(), body, l.r.now()})
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

func (r *rig) open(tb testing.TB, name, base string, client *http.Client, options map[string]string) provider.Driver {
	tb.Helper()
	c := provider.Config{BaseURL: base + "/" + name, APIKey: key, HTTP: client, Options: options}
	if name == "kie" {
		c.WebhookKey = webhookKey
	}
	i, opener := family[name]()
	if i.Uploads.By == provider.ByBytes {
		c.StagingURL = base + "/" + name + "-staging"
	}
	d, err := opener(c)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	return d
}

// upload asks for a song that nobody uploaded before, as a URL and as bytes.
func (r *rig) upload() *provider.Upload {
	path := fmt.Sprintf("/song/%d", r.songs.Add(1))
	song := songOf(path)
	return &provider.Upload{Audio: provider.Audio{
		URL: r.sources.URL + path + "?sig=c2lnbmF0dXJl", Name: "song.wav", Format: "wav", Size: int64(len(song)), Duration: 4 * time.Second,
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(song)), nil },
	}}
}

func (r *rig) now() time.Time { return r.began.Add(time.Duration(r.clock.Load())) }

// settle lets every operation end whose audio the simulator has.
func (r *rig) settle() { r.clock.Add(int64(5 * time.Minute)) }

func serveSong(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(songOf(r.URL.Path)) }

// songOf gives four seconds of sound that no other path has.
func songOf(path string) []byte {
	const samples = 4 * 8000
	var song bytes.Buffer
	song.WriteString("RIFF")
	_ = binary.Write(&song, binary.LittleEndian, uint32(36+samples))
	song.WriteString("WAVEfmt ")
	_ = binary.Write(&song, binary.LittleEndian, []uint16{16, 0, 1, 1, 8000, 0, 8000, 0, 1, 8})
	song.WriteString("data")
	_ = binary.Write(&song, binary.LittleEndian, uint32(samples))
	sound := bytes.Repeat([]byte{128, 160, 180, 160, 128, 96, 76, 96}, samples/8)
	copy(sound, path)
	song.Write(sound)
	return song.Bytes()
}
