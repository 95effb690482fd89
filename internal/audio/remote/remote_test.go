package remote_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio"
	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// serve serves a file, with ranges or without, and counts the bytes it sent.
func serve(t *testing.T, data []byte, ranges bool) (url string, client *http.Client, sent *atomic.Int64) {
	t.Helper()
	sent = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		counted := &counter{ResponseWriter: w, sent: sent}
		if ranges {
			http.ServeContent(counted, r, "song", time.Time{}, bytes.NewReader(data))
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = counted.Write(data)
	}))
	t.Cleanup(server.Close)
	client, err := egress.Client([]string{server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return server.URL + "/song?signature=SECRET", client, sent
}

type counter struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// lengths are what the samples were made to be.
var lengths = map[string]time.Duration{
	"01-morning-tape.mp3": 11500 * time.Millisecond, "02-music-box.wav": 6400 * time.Millisecond, "03-organ-hymn.flac": 8 * time.Second,
	"04-night-drive.ogg": 9600 * time.Millisecond, "05-harbour-waltz.m4a": 9 * time.Second,
}

func TestProbe(t *testing.T) {
	for _, sample := range samples.Files() {
		for _, ranges := range []bool{true, false} {
			url, client, _ := serve(t, sample.Data, ranges)
			info, err := remote.Probe(t.Context(), client, url)
			if err != nil {
				t.Errorf("%s, ranges %t: %v", sample.Name, ranges, err)
				continue
			}
			if off := (info.Duration - lengths[sample.Name]).Abs(); off > 100*time.Millisecond || info.Size != int64(len(sample.Data)) {
				t.Errorf("%s, ranges %t: %v and %d bytes, want %v and %d", sample.Name, ranges, info.Duration, info.Size, lengths[sample.Name], len(sample.Data))
			}
		}
	}
}

// wav is a header that promises as many bytes of silence as follow it.
func wav(seconds int) []byte {
	size := uint32(seconds * 8000)
	head := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00")
	for n := range 4 {
		head[4+n] = byte((size + 36) >> (8 * n))
		head[40+n] = byte(size >> (8 * n))
	}
	return append(head, make([]byte, size)...)
}

func TestProbeOfALongFileReadsLittleOfIt(t *testing.T) {
	url, client, sent := serve(t, wav(2000), true) // 16 MB
	info, err := remote.Probe(t.Context(), client, url)
	if err != nil || info.Duration != 2000*time.Second {
		t.Fatalf("Probe = %+v, %v; want 2000 s", info, err)
	}
	if sent.Load() > 2<<20 {
		t.Errorf("%d bytes were sent to probe a WAV of 16 MB, want at most 2 MB", sent.Load())
	}
}

// The second block is already of another state: of another length, or of the same
// with another mark.
func TestProbeNoticesChanges(t *testing.T) {
	song := bytes.Repeat(samples.Files()[0].Data, 20)
	for name, change := range map[string]struct {
		data []byte
		etag string
	}{"length": {append(song, 0), `"1"`}, "mark": {song, `"2"`}, "weak mark": {song, `W/"2"`}} {
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			data, etag := song, `"1"`
			if asked.Add(1) > 1 {
				data, etag = change.data, change.etag
			}
			w.Header().Set("ETag", etag)
			http.ServeContent(w, r, "song", time.Time{}, bytes.NewReader(data))
		}))
		client, err := egress.Client([]string{server.Listener.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = remote.Probe(t.Context(), client, server.URL)
		if fault.CodeOf(err) != fault.Conflict || fault.Reason(err) != "the file changed while it was read" {
			t.Errorf("another %s: %v after %d requests, want a conflict", name, err, asked.Load())
		}
		client.CloseIdleConnections()
		server.Close()
	}
}

func TestOpenStreamsTheWholeFile(t *testing.T) {
	want := wav(3)
	url, client, _ := serve(t, want, true)
	body, err := remote.Open(t.Context(), client, url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v; want the file's %d", len(got), err, len(want))
	}
}

func TestRefusals(t *testing.T) {
	statuses := map[int]fault.Code{401: fault.Denied, 403: fault.Denied, 404: fault.NotFound, 410: fault.NotFound, 429: fault.Unavailable, 500: fault.Unavailable, 503: fault.Unavailable}
	for status, want := range statuses {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		client, err := egress.Client([]string{server.Listener.Addr().String()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = remote.Probe(t.Context(), client, server.URL+"/a.mp3?signature=SECRET")
		if fault.CodeOf(err) != want || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("status %d: %v, want %s without the signature", status, err, want)
		}
		client.CloseIdleConnections()
		server.Close()
	}
}

func TestPrivateHostsAreRefused(t *testing.T) {
	url, _, sent := serve(t, wav(1), true)
	client, err := egress.Client(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Probe(t.Context(), client, url); fault.CodeOf(err) != fault.Invalid || sent.Load() != 0 {
		t.Errorf("Probe of a loopback URL: %v after %d bytes, want invalid and none", err, sent.Load())
	}
	if _, err := remote.Probe(t.Context(), client, "http://[::bad"); fault.CodeOf(err) != fault.Invalid {
		t.Errorf("Probe of a malformed URL: %v, want invalid", err)
	}
}

// MP3 whose frames are counted takes every block, and they fit together.
func TestProbeOfManyBlocks(t *testing.T) {
	song := bytes.Repeat(samples.Files()[0].Data, 20)
	want, err := audio.Probe(bytes.NewReader(song))
	if err != nil {
		t.Fatal(err)
	}
	url, client, sent := serve(t, song, true)
	got, err := remote.Probe(t.Context(), client, url)
	if err != nil || got.Duration != want.Duration || got.Size != want.Size || sent.Load() < 512<<10 {
		t.Errorf("%+v, %v after %d bytes; want %v and %d bytes over several blocks", got, err, sent.Load(), want.Duration, want.Size)
	}
}
