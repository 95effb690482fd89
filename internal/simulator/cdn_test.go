package simulator_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/simulator"
)

func TestCDN(t *testing.T) {
	r := newRig(t, nil)
	file := r.track()
	plain := r.fetch(file)
	if plain.status != 200 || plain.header.Get("Accept-Ranges") != "bytes" || plain.header.Get("ETag") == "" {
		t.Fatalf("status %d, headers %v; want 200 with ranges and an ETag", plain.status, plain.header)
	}
	get := func(name, value string) reply {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, file, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(name, value)
		res, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		return reply{status: res.StatusCode, header: res.Header, body: readAll(t, res)}
	}
	if got := get("Range", "bytes=100-299"); got.status != 206 || !bytes.Equal(got.body, plain.body[100:300]) {
		t.Errorf("range: status %d, %d bytes; want 206 and bytes 100 to 299 of the file", got.status, len(got.body))
	}
	if got := get("If-None-Match", plain.header.Get("ETag")); got.status != 304 {
		t.Errorf("known ETag: status %d, want 304", got.status)
	}
	if got := get("Range", "bytes=9999999-"); got.status != 416 {
		t.Errorf("range beyond the file: status %d, want 416", got.status)
	}
	if again := r.fetch(file); !bytes.Equal(again.body, plain.body) {
		t.Error("the second download has other bytes")
	}
	if got := r.fetch(r.api.URL + "/cdn/nothing.mp3"); got.status != 404 {
		t.Errorf("unknown file: status %d, want 404", got.status)
	}
	image := r.fetch(strings.Replace(strings.TrimSuffix(file, ".mp3"), "/cdn/", "/cdn/image_", 1) + ".jpeg")
	if image.status != 200 || http.DetectContentType(image.body) != "image/jpeg" {
		t.Errorf("cover: status %d, %s; want 200 and a JPEG", image.status, http.DetectContentType(image.body))
	}
}

func TestCDNFaults(t *testing.T) {
	r := newRig(t, nil)
	file := r.track()
	size := len(r.fetch(file).body)

	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNCut, Count: 1})
	if got := r.fetch(file); got.err == nil || len(got.body) != size/2 || got.header.Get("Content-Length") == "" {
		t.Errorf("cut: %d of %d bytes, error %v; want half and an error", len(got.body), size, got.err)
	}
	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNSlow, Count: 1})
	if got := r.fetch(file); got.err != nil || len(got.body) != size {
		t.Errorf("slow: %d of %d bytes (%v), want all", len(got.body), size, got.err)
	}
	r.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNPage, Count: 1})
	if got := r.fetch(file); got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
		t.Errorf("page: status %d as %s, want 200 as HTML", got.status, got.header.Get("Content-Type"))
	}

	fresh := newRig(t, nil)
	file = fresh.track()
	fresh.script(simulator.Next{Endpoint: "cdn", Kind: simulator.CDNMissing, Count: 2})
	for i, want := range []int{404, 200, 200} {
		if got := fresh.fetch(file); got.status != want {
			t.Errorf("request %d: status %d, want %d: only the first one misses", i+1, got.status, want)
		}
	}
}

// track makes one finished generation and gives the address of its first track.
func (r *rig) track() string {
	r.t.Helper()
	task := r.generate(map[string]any{"task": "create", "model": "chirp-v50"})
	r.clock.advance(100 * time.Second)
	return textAt(r.status(task), "data", 0, "audio_url")
}
