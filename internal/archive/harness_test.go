package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"go.uber.org/goleak"

	"github.com/segue-audio/segue/internal/archive"
	"github.com/segue-audio/segue/internal/egress"
	"github.com/segue-audio/segue/internal/fault"
)

// TestMain shortens the waits between attempts at the store.
func TestMain(m *testing.M) {
	minio.DefaultRetryUnit = time.Millisecond
	goleak.VerifyTestMain(m)
}

// secret stands for a signature: it must not appear anywhere but on the wire.
const secret = "s3cret-signature"

// modified is a Last-Modified long past, so that it is a strong validator.
const modified = "Sat, 21 Nov 2026 08:00:00 GMT"

// wav is a track of the given length: 8000 bytes of seeded noise a second, so
// that a byte in the wrong place shows.
func wav(seconds float64, seed byte) []byte {
	samples := make([]byte, int(seconds*8000))
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(samples) // it never fails
	return append(wavHeader(len(samples)), samples...)
}

func wavHeader(samples int) []byte {
	header := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x00\x00\x00\x00")
	binary.LittleEndian.PutUint32(header[4:], uint32(36+samples))
	binary.LittleEndian.PutUint32(header[40:], uint32(samples))
	return header
}

// probe knows the tracks that wav makes, and nothing else.
func probe(ctx context.Context, path string) (archive.Probed, error) {
	file, err := os.Open(path)
	if err != nil {
		return archive.Probed{}, fault.New(fault.NotFound, "test.probe", err)
	}
	defer func() { _ = file.Close() }()
	var head [44]byte
	if _, err := io.ReadFull(file, head[:]); err != nil || string(head[:4]) != "RIFF" {
		return archive.Probed{}, fault.New(fault.Invalid, "test.probe", errors.New("this is not audio"))
	}
	hash := sha256.New()
	hash.Write(head[:])
	samples, err := io.Copy(hash, file)
	if err := errors.Join(err, ctx.Err()); err != nil {
		return archive.Probed{}, err
	}
	found := archive.Probed{
		Format: "wav", Size: 44 + samples, SHA256: hex.EncodeToString(hash.Sum(nil)),
		Duration: time.Duration(samples) * time.Second / 8000,
	}
	if promised := int64(binary.LittleEndian.Uint32(head[40:])); samples < promised {
		found.Problem = fmt.Sprintf("cut off: %d of %d samples are there", samples, promised)
	}
	return found, nil
}

// script answers the first request with its first stage, and so on; the last
// stage answers all that follow.
type script struct {
	*httptest.Server

	mu       sync.Mutex
	stages   []http.HandlerFunc
	requests []*http.Request
}

func serve(tb testing.TB, stages ...http.HandlerFunc) *script {
	tb.Helper()
	s := &script{stages: stages}
	s.Server = httptest.NewServer(s)
	tb.Cleanup(s.Close)
	return s
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	stage := s.stages[min(len(s.requests), len(s.stages)-1)]
	s.requests = append(s.requests, r)
	s.mu.Unlock()
	stage(w, r)
}

// then replaces the script from the next request on.
func (s *script) then(stages ...http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stages = append(slices.Repeat([]http.HandlerFunc{nil}, len(s.requests)), stages...)
}

// ranges lists the Range headers that came, "" for none.
func (s *script) ranges() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ranges := make([]string, len(s.requests))
	for n, r := range s.requests {
		ranges[n] = r.Header.Get("Range")
	}
	return ranges
}

func (s *script) url() string { return s.URL + "/tracks/one.wav?X-Signature=" + secret }

// whole serves content as a content network does: with ranges, a tag, a length.
func whole(content []byte, tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", tag)
		http.ServeContent(w, r, "one.wav", time.Time{}, bytes.NewReader(content))
	}
}

// cutAfter serves the rest that was asked for, and breaks off after n bytes.
func cutAfter(content []byte, tag string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		whole(content, tag)(&cutter{ResponseWriter: w, left: n}, r)
	}
}

type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b[:min(len(b), c.left)])
	c.left -= n
	if err != nil || c.left > 0 {
		return n, err
	}
	if err := http.NewResponseController(c.ResponseWriter).Flush(); err != nil {
		return n, err
	}
	panic(http.ErrAbortHandler)
}

// plain answers with a status, headers ("Name: value") and a body.
func plain(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ": ")
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// digestOf gives the hex digest of a content.
func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// bench is an archive in a directory of its own, and what it logged.
type bench struct {
	archive.Archive
	dir string
	log *bytes.Buffer
}

func open(tb testing.TB, dir string, change ...func(*archive.Options)) *bench {
	tb.Helper()
	client, err := egress.Client([]string{"127.0.0.1"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.CloseIdleConnections)
	b := &bench{dir: dir, log: &bytes.Buffer{}}
	o := archive.Options{HTTP: client, Probe: probe, Log: slog.New(slog.NewTextHandler(b.log, nil))}
	for _, apply := range change {
		apply(&o)
	}
	if b.Archive, err = archive.Open(dir, o); err != nil {
		tb.Fatalf("Open(%s): %v", dir, err)
	}
	return b
}

// checkKept compares what Keep said and what is on the disk with the content.
func (b *bench) checkKept(t *testing.T, kept *archive.Kept, err error, file string, content []byte) {
	t.Helper()
	if err != nil {
		t.Fatalf("Keep: %v", err)
	}
	sum := sha256.Sum256(content)
	want := archive.Kept{
		File: filepath.Join(b.dir, filepath.FromSlash(file)), Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
		Format: "wav", Duration: float64(len(content)-44) / 8000,
	}
	if *kept != want {
		t.Errorf("Keep gave %+v, want %+v", *kept, want)
	}
	if got, err := os.ReadFile(kept.File); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%s holds %d bytes, %v; want the %d that were served", kept.File, len(got), err, len(content))
	}
}

// files lists what lies below dir, without the archive's own and without records.
func files(t *testing.T, dir string) (visible, parts []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		name = filepath.ToSlash(name)
		switch {
		case strings.HasPrefix(name, ".segue/parts/"):
			parts = append(parts, strings.TrimPrefix(name, ".segue/parts/"))
		case !strings.HasPrefix(name, ".segue/"):
			visible = append(visible, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return visible, parts
}

// checkNoSecret looks for the signature wherever it could have been left.
func (b *bench) checkNoSecret(t *testing.T, err error) {
	t.Helper()
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
		t.Errorf("the error tells the signature: %v", err)
	}
	if strings.Contains(b.log.String(), secret) {
		t.Errorf("the log tells the signature: %s", b.log)
	}
	walk := filepath.WalkDir(b.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%s tells the signature", path)
		}
		return err
	})
	if walk != nil {
		t.Error(walk)
	}
}
