package remote_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segue-audio/segue/internal/audio/remote"
	"github.com/segue-audio/segue/internal/audio/samples"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// at serves a handler, and gives the address of a song there.
func at(t *testing.T, handler http.HandlerFunc) remote.Address {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := egress.Client([]string{server.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return remote.Address{Client: client, URL: server.URL + "/song.mp3?signature=SECRET"}
}

// content serves bytes with ranges, under an ETag unless that is empty.
func content(w http.ResponseWriter, r *http.Request, etag string, data []byte) {
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	http.ServeContent(w, r, "song.mp3", time.Time{}, bytes.NewReader(data))
}

// long is MP3 of several blocks.
func long() []byte { return bytes.Repeat(samples.Files()[0].Data, 20) }

func TestReadGivesTheDigestAndTheState(t *testing.T) {
	song := long()
	sum := sha256.Sum256(song)
	want := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		etag  string
		size  int64
	}{
		"ranges and a strong tag": {func(w http.ResponseWriter, r *http.Request) { content(w, r, `"v1"`, song) }, `"v1"`, int64(len(song))},
		"a weak tag":              {func(w http.ResponseWriter, r *http.Request) { content(w, r, `W/"v1"`, song) }, "", int64(len(song))},
		"no tag":                  {func(w http.ResponseWriter, r *http.Request) { content(w, r, "", song) }, "", int64(len(song))},
		"a tag that is none":      {func(w http.ResponseWriter, r *http.Request) { content(w, r, `""`, song) }, "", int64(len(song))},
		"no ranges": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"v1"`)
			w.Header().Set("Content-Length", strconv.Itoa(len(song)))
			_, _ = w.Write(song)
		}, `"v1"`, int64(len(song))},
		"in pieces, without a length": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(song[:1000])
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(song[1000:])
		}, "", -1},
		"ranges of an unknown whole": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				_, _ = w.Write(song)
				return
			}
			w.Header().Set("Content-Range", "bytes 0-99/*")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(song[:100])
		}, "", -1},
		"another range than was asked for": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				content(w, r, `"v1"`, song)
				return
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 100-199/%d", len(song)))
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(song[100:200])
		}, `"v1"`, int64(len(song))},
		"behind a redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/elsewhere" {
				http.Redirect(w, r, "/elsewhere", http.StatusFound)
				return
			}
			content(w, r, `"v1"`, song)
		}, `"v1"`, int64(len(song))},
	} {
		t.Run(name, func(t *testing.T) {
			look, err := at(t, c.serve).Look(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer look.Close()
			if look.State.ETag != c.etag || look.State.Size != c.size {
				t.Errorf("state %+v, want the tag %s and %d bytes", look.State, c.etag, c.size)
			}
			info, err := look.Read()
			if err != nil {
				t.Fatal(err)
			}
			if info.SHA256 != want || info.Size != int64(len(song)) {
				t.Errorf("%d bytes of SHA-256 %s, want %d of %s", info.Size, info.SHA256, len(song), want)
			}
		})
	}
}

// What a server does wrong ends in a code, quickly, and with nothing of the URL.
func TestServersThatFail(t *testing.T) {
	song := long()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
		// patience is short where it is to end; elsewhere this machine may be slow.
		patience time.Duration
	}{
		"a web page": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<!DOCTYPE html><title>Log in, SECRET</title>"))
		}, "invalid: this is not audio (it is a web page)", 0},
		"an empty file that has no range": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			}
		}, "invalid: the file is empty", 0},
		"breaking off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(song)))
			_, _ = w.Write(song[:200_000])
		}, "unavailable: ", 0},
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "unavailable: HOST: it sends nothing, or next to nothing", 200 * time.Millisecond},
		"silence in the middle": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(song)))
			_, _ = w.Write(song[:100_000])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "unavailable: ", 200 * time.Millisecond},
		"no end": {func(w http.ResponseWriter, r *http.Request) {
			for piece := song; ; piece = song[1000:] {
				if _, err := w.Write(piece[:70_000]); err != nil {
					return
				}
				select {
				case <-time.After(20 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		}, "invalid: ", 200 * time.Millisecond},
		"redirects without end": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again?signature=SECRET", http.StatusFound)
		}, "malformed: HOST: redirects without end", 0},
		"a redirect to a private place": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/song?signature=SECRET", http.StatusFound)
		}, "invalid: ", 0},
		"another file by now": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				content(w, r, `"v2"`, song)
				return
			}
			content(w, r, `"v1"`, song)
		}, "conflict: the file changed since it was looked at", 0},
		"a longer file by now, in pieces": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				_, _ = w.Write(song)
				_ = http.NewResponseController(w).Flush()
				_, _ = w.Write(song)
				return
			}
			content(w, r, "", song)
		}, "conflict: the file changed since it was looked at", 0},
		"ranges for ever": {func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=0-99")
			content(w, r, "", song)
		}, "malformed: the server gives a part of the file where all of it is asked for", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := at(t, c.serve)
			address.Patience = c.patience
			err := read(t, address)
			host := strings.SplitN(address.URL, "/", 4)[2]
			got := string(fault.CodeOf(err)) + ": " + strings.ReplaceAll(fault.Reason(err), host, "HOST")
			if !strings.HasPrefix(got, c.want) || strings.HasSuffix(c.want, " ") == (got == c.want) {
				t.Errorf("%s, want %s", got, c.want)
			}
			if strings.Contains(fmt.Sprint(err), "SECRET") {
				t.Errorf("the error says too much: %v", err)
			}
		})
	}
}

// read looks at an address and reads it.
func read(t *testing.T, address remote.Address) error {
	t.Helper()
	look, err := address.Look(t.Context())
	if err != nil {
		return err
	}
	defer look.Close()
	_, err = look.Read()
	return err
}

// A file of many blocks on a line that is slow and steady is no failure.
func TestPatienceIsForEachPiece(t *testing.T) {
	song := long()
	var pieces atomic.Int32
	address := at(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(song)))
		for rest := song; len(rest) > 0; pieces.Add(1) {
			n := min(len(rest), 64<<10)
			_, _ = w.Write(rest[:n])
			_ = http.NewResponseController(w).Flush()
			rest = rest[n:]
			select {
			case <-time.After(60 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	})
	address.Patience = 1500 * time.Millisecond
	if err := read(t, address); err != nil || pieces.Load() < 30 {
		t.Errorf("%d pieces, one every 60 ms: %v; want more than fit into the patience, and no error", pieces.Load(), err)
	}
}
